#include "ks_test.h"

#define KEYS 3000

static struct ks *ks_of(void **state)
{
    return ((struct ks_fixture *)*state)->ks;
}

struct seen {
    unsigned times[KEYS];
    unsigned others;
};

static void see(void *arg, const struct entry *e)
{
    struct seen *seen = arg;
    struct slice name = entry_key(e);
    char text[32] = {0};
    memcpy(text, name.data, name.len);
    if (text[0] == 'k')
        seen->times[strtoul(text + 4, NULL, 10)]++;
    else
        seen->others++;
}

static void fill(struct ks *ks, const char *kind, unsigned slots, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        test_set(ks, test_key_in((uint16_t)(i % slots * 3), "%s:%u", kind, i), "v", EXPIRY_NONE);
        ks_reclaim(ks, true, 100);
        qsbr_quiescent();
    }
}

static void test_empty(void **state)
{
    struct seen seen = {0};
    assert_int_equal(ks_scan(ks_of(state), 0, 10, see, &seen), 0);
    assert_int_equal(ks_scan_slot(ks_of(state), 5, 0, 10, see, &seen), 0);
    assert_int_equal(seen.others, 0);
}

/* A few keys in many slots are one call: empty slots cost no budget. */
static void test_few_keys(void **state)
{
    struct ks *ks = ks_of(state);
    struct seen seen = {0};
    for (unsigned i = 0; i < 9; i++)
        test_set(ks, test_key("key:%u", i), "v", EXPIRY_NONE);
    assert_int_equal(ks_scan(ks, 0, 10, see, &seen), 0);
    for (unsigned i = 0; i < 9; i++)
        assert_int_equal(seen.times[i], 1);
}

static void test_steady_keyspace_is_seen_once(void **state)
{
    struct ks *ks = ks_of(state);
    static struct seen seen;
    seen = (struct seen){0};
    fill(ks, "key", 5, 0, KEYS);
    uint64_t cursor = 0;
    unsigned calls = 0;
    do {
        cursor = ks_scan(ks, cursor, 3, see, &seen);
        calls++;
    } while (cursor);
    for (unsigned i = 0; i < KEYS; i++)
        assert_int_equal(seen.times[i], 1);
    assert_true(calls > KEYS / 7 / 3);
}

/* The guarantee while the index grows and shrinks between any two calls. */
static void test_guarantee_under_change(void **state)
{
    struct ks *ks = ks_of(state);
    struct rng rng;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        static struct seen seen;
        seen = (struct seen){0};
        rng_seed(&rng, seed);
        unsigned steady = 40 + (unsigned)rng_below(&rng, 300), others = 0;
        fill(ks, "key", 2, 0, steady);
        uint64_t cursor = 0;
        do {
            cursor = ks_scan(ks, cursor, 1 + (uint32_t)rng_below(&rng, 4), see, &seen);
            unsigned target = (unsigned)rng_below(&rng, rng_below(&rng, 2) ? 4000 : 50);
            if (target > others)
                fill(ks, "other", 2, others, target);
            for (; others > target; others--)
                test_del(ks, test_key_in((uint16_t)((others - 1) % 2 * 3), "other:%u", others - 1));
            others = target;
        } while (cursor);
        for (unsigned i = 0; i < steady; i++)
            assert_true(seen.times[i] >= 1);
        ks_flush_all(ks);
        test_drain(ks);
    }
}

/* Numbers that no SCAN gave out: any answer, no harm, and it comes to an end. */
static void test_foreign_cursors(void **state)
{
    struct ks *ks = ks_of(state);
    static struct seen seen;
    struct rng rng;
    rng_seed(&rng, 5);
    fill(ks, "key", 3, 0, 500);
    for (unsigned i = 0; i < 200; i++) {
        uint64_t cursor = i ? rng_next(&rng) >> rng_below(&rng, 64) : UINT64_MAX;
        unsigned calls = 0;
        do {
            cursor = ks_scan(ks, cursor, 10, see, &seen);
            assert_true(++calls < 1000);
        } while (cursor);
    }
}

static void test_one_slot(void **state)
{
    struct ks *ks = ks_of(state);
    static struct seen seen;
    seen = (struct seen){0};
    fill(ks, "key", 3, 0, 900);
    uint64_t cursor = 0;
    do {
        cursor = ks_scan_slot(ks, 3, cursor, 2, see, &seen);
    } while (cursor);
    for (unsigned i = 0; i < 900; i++)
        assert_int_equal(seen.times[i], i % 3 == 1);
    assert_int_equal(ks_slot_count(ks->shared, 3), 300);
}

static void test_expired_keys_are_hidden(void **state)
{
    struct ks *ks = ks_of(state);
    struct seen seen = {0};
    test_set(ks, test_key("key:1"), "v", ks->now_ms + 5);
    test_set(ks, test_key("key:2"), "v", EXPIRY_NONE);
    ks->now_ms += 6;
    ks_scan(ks, 0, 10, see, &seen);
    assert_int_equal(seen.times[1], 0);
    assert_int_equal(seen.times[2], 1);
}

/* Every key comes up, about as often as any other, however the slots are filled. */
static void test_random_is_fair(void **state)
{
    struct ks *ks = ks_of(state);
    static unsigned times[KEYS];
    memset(times, 0, sizeof(times));
    for (unsigned i = 0; i < 60; i++)
        test_set(ks, test_key_in(i < 50 ? 7 : (uint16_t)(i * 200), "key:%u", i), "v", EXPIRY_NONE);
    for (unsigned i = 0; i < 60000; i++) {
        struct slice name;
        uint8_t *owned;
        assert_true(ks_random(ks, &name, &owned));
        char text[32] = {0};
        memcpy(text, name.data, name.len);
        times[strtoul(text + 4, NULL, 10)]++;
        free(owned);
    }
    for (unsigned i = 0; i < 60; i++)
        assert_in_range(times[i], 300, 3000);
}

static void test_random_when_nearly_all_expired(void **state)
{
    struct ks *ks = ks_of(state);
    struct slice name;
    uint8_t *owned;
    assert_false(ks_random(ks, &name, &owned));
    for (unsigned i = 0; i < 500; i++)
        test_set(ks, test_key("old:%u", i), "v", ks->now_ms + 1);
    test_set(ks, test_key("live"), "v", EXPIRY_NONE);
    ks->now_ms += 10;
    assert_true(ks_random(ks, &name, &owned));
    assert_true(slice_equal(name, slice_str("live")));
    free(owned);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_empty, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_few_keys, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_steady_keyspace_is_seen_once, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_guarantee_under_change, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_foreign_cursors, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_one_slot, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_expired_keys_are_hidden, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_random_is_fair, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_random_when_nearly_all_expired, ks_setup, ks_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
