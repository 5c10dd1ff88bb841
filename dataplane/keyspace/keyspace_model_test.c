/* Random operations against a plain array: the same answers, valid slots, nothing lost or leaked.
 */
#include "ks_test.h"

#define KEYS 6000
#define SLOTS_USED 2
#define STEPS 100000

struct model_key {
    bool there;
    int64_t expiry_ms;
    uint32_t value;
    bool toy;
};

struct model {
    struct ks *ks;
    struct rng rng;
    struct model_key keys[KEYS];
    unsigned spread; /* of these keys a step uses the first */
};

static struct key model_key(unsigned i)
{
    return test_key_in((uint16_t)(i % SLOTS_USED * 5000), "key:%u", i);
}

static bool model_live(const struct model *m, unsigned i)
{
    const struct model_key *key = &m->keys[i];
    return key->there && (key->expiry_ms == EXPIRY_NONE || key->expiry_ms >= m->ks->now_ms);
}

static void check_value(const struct model *m, unsigned i, const struct entry *e)
{
    char text[32];
    assert_int_equal(e != NULL, model_live(m, i));
    if (!e)
        return;
    const struct model_key *key = &m->keys[i];
    assert_int_equal(entry_expiry_ms(e), key->expiry_ms);
    assert_int_equal(entry_type(e), key->toy ? OBJ_LIST : OBJ_STRING);
    if (key->toy)
        return;
    snprintf(text, sizeof(text), "value %u", key->value);
    assert_true(slice_equal(entry_string(e), slice_str(text)));
}

static int64_t random_expiry(struct model *m)
{
    if (rng_below(&m->rng, 3))
        return EXPIRY_NONE;
    return m->ks->now_ms + (int64_t)rng_below(&m->rng, 3000);
}

static void step_put(struct model *m, unsigned i)
{
    struct ks *ks = m->ks;
    struct key key = model_key(i);
    struct model_key *want = &m->keys[i];
    *want = (struct model_key){.there = true,
                               .expiry_ms = random_expiry(m),
                               .value = (uint32_t)rng_next(&m->rng),
                               .toy = rng_below(&m->rng, 8) == 0};
    char text[32];
    snprintf(text, sizeof(text), "value %u", want->value);
    struct entry *e = want->toy ? ks_entry_object(ks, &key, OBJ_LIST, ENC_LISTPACK,
                                                  toy_new(rng_below(&m->rng, 50)), want->expiry_ms)
                                : ks_entry_string(ks, &key, slice_str(text), want->expiry_ms);
    assert_non_null(e);
    ks_lock(ks, key.slot);
    ks_put(ks, &key, e);
    ks_unlock(ks, key.slot);
}

static void step_change(struct model *m, unsigned i)
{
    struct ks *ks = m->ks;
    struct key key = model_key(i);
    ks_lock(ks, key.slot);
    struct entry *e = ks_find(ks, &key, 0);
    check_value(m, i, e);
    if (!e)
        m->keys[i].there = false;
    if (e && m->keys[i].toy) {
        struct toy *toy = entry_object(e);
        toy->count += 3;
        ks_changed(ks, &key, toy->count > 40 ? ENC_QUICKLIST : ENC_LISTPACK, 48);
    } else if (e) {
        m->keys[i].expiry_ms = random_expiry(m);
        assert_true(ks_set_expiry(ks, &key, m->keys[i].expiry_ms));
    }
    ks_unlock(ks, key.slot);
}

static void step_delete(struct model *m, unsigned i)
{
    bool live = model_live(m, i);
    assert_int_equal(test_del(m->ks, model_key(i)), live);
    m->keys[i].there = false;
}

static void step_get(struct model *m, unsigned i)
{
    struct key key = model_key(i);
    check_value(m, i, ks_get(m->ks, &key, 0));
}

static void step_get_many(struct model *m)
{
    struct key keys[6];
    char names[6][32];
    const struct entry *out[6];
    unsigned index[6];
    for (unsigned i = 0; i < 6; i++) {
        index[i] = (unsigned)rng_below(&m->rng, m->spread);
        keys[i] = model_key(index[i]);
        memcpy(names[i], keys[i].name.data, keys[i].name.len);
        keys[i].name.data = (uint8_t *)names[i];
    }
    ks_get_many(m->ks, keys, 6, out, 0);
    for (unsigned i = 0; i < 6; i++)
        check_value(m, index[i], out[i]);
}

struct seen {
    unsigned times[KEYS];
};

static void scan_seen(void *arg, const struct entry *e)
{
    struct seen *seen = arg;
    struct slice name = entry_key(e);
    char text[32] = {0};
    memcpy(text, name.data, name.len);
    seen->times[strtoul(text + 4, NULL, 10)]++;
}

static void step_scan(struct model *m)
{
    struct seen seen = {0};
    uint64_t cursor = 0;
    do {
        cursor = ks_scan(m->ks, cursor, 5, scan_seen, &seen);
    } while (cursor);
    for (unsigned i = 0; i < KEYS; i++)
        assert_int_equal(seen.times[i], model_live(m, i));
}

static void step_flush(struct model *m)
{
    ks_flush_all(m->ks);
    for (unsigned i = 0; i < KEYS; i++)
        m->keys[i].there = false;
    assert_int_equal(ks_count(m->ks->shared), 0);
}

static void step(struct model *m)
{
    unsigned i = (unsigned)rng_below(&m->rng, m->spread);
    uint64_t what = rng_below(&m->rng, 1000);
    if (what < 380)
        step_put(m, i);
    else if (what < 600)
        step_delete(m, i);
    else if (what < 750)
        step_change(m, i);
    else if (what < 930)
        step_get(m, i);
    else if (what < 970)
        step_get_many(m);
    else if (what < 980)
        m->ks->now_ms += 50;
    else if (what < 984)
        step_scan(m);
    else if (what < 985 && rng_below(&m->rng, 40) == 0)
        step_flush(m);
    else if (what < 986)
        m->spread = 1 + (unsigned)rng_below(&m->rng, KEYS);
    else
        ks_reclaim(m->ks, what & 1, (uint32_t)rng_below(&m->rng, 200));
}

static void model_run(void **state, uint64_t seed)
{
    struct ks_fixture *f = *state;
    static struct model m;
    m = (struct model){.ks = f->ks, .spread = KEYS};
    rng_seed(&m.rng, seed);
    step_flush(&m);
    for (unsigned i = 0; i < STEPS; i++) {
        step(&m);
        for (unsigned s = 0; s < SLOTS_USED; s++)
            if (i % 128 == 0)
                test_validate(f->ks, (uint16_t)(s * 5000));
        qsbr_quiescent();
    }
    step_scan(&m);
}

static void test_model_seeds(void **state)
{
    for (uint64_t seed = 1; seed <= 3; seed++)
        model_run(state, seed);
}

/* After everything is gone, so is every accounted byte. */
static void test_model_accounts(void **state)
{
    struct ks_fixture *f = *state;
    model_run(state, 99);
    for (unsigned i = 0; i < KEYS; i++)
        test_del(f->ks, model_key(i));
    test_drain(f->ks);
    assert_int_equal(ks_count(f->k), 0);
    assert_int_equal(ks_expiring_count(f->k), 0);
    assert_int_equal(ks_used_bytes(f->k), 0);
    assert_int_equal(ks_retired_bytes(f->k), 0);
    assert_int_equal(toys_alive, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_model_seeds, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_model_accounts, ks_setup, ks_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
