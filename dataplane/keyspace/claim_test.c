/* Claims: who is granted when, and what everybody else sees of it. */
#include <pthread.h>
#include <sched.h>
#include "claim.h"
#include "ks_test.h"
#include "rng.h"

/* A claim with what its owner was told. */
struct asker {
    struct claim *claim;
    _Atomic(bool) granted;
};

static void on_granted(void *arg)
{
    struct asker *a = arg;
    atomic_store_explicit(&a->granted, true, memory_order_release);
}

static void ask(struct ks *ks, struct asker *a)
{
    atomic_store(&a->granted, false);
    if (ks_claim(ks, a->claim, on_granted, a))
        atomic_store(&a->granted, true);
    ks_claims_validate(ks->shared);
}

/* names: keys, in upper case exclusive ("aB": a shared, b exclusive). */
static struct asker claim_of(struct ks *ks, const char *names)
{
    struct asker a = {.claim = claim_new((unsigned)strlen(names))};
    assert_non_null(a.claim);
    for (; *names; names++) {
        bool upper = *names < 'a';
        struct key key = test_key("%c", upper ? *names - 'A' + 'a' : *names);
        claim_add_key(a.claim, &key, upper);
    }
    return a;
}

static void release(struct ks *ks, struct asker *a)
{
    assert_true(atomic_load(&a->granted));
    ks_claim_release(ks, a->claim);
    ks_claims_validate(ks->shared);
    claim_free(a->claim);
}

#define ASK(name, keys)                     \
    struct asker name = claim_of(ks, keys); \
    ask(ks, &name)
#define GRANTED(a) assert_true(atomic_load(&(a).granted))
#define WAITS(a) assert_false(atomic_load(&(a).granted))

static struct ks *ks_of(void **state)
{
    return ((struct ks_fixture *)*state)->ks;
}

static void test_exclusive_ones_take_turns(void **state)
{
    struct ks *ks = ks_of(state);
    ASK(first, "A");
    ASK(second, "A");
    ASK(third, "A");
    ASK(other, "B");
    GRANTED(first);
    GRANTED(other);
    WAITS(second);
    release(ks, &first);
    GRANTED(second);
    WAITS(third);
    release(ks, &second);
    GRANTED(third);
    release(ks, &third);
    release(ks, &other);
}

static void test_shared_ones_go_together_and_starve_nobody(void **state)
{
    struct ks *ks = ks_of(state);
    ASK(reader, "a");
    ASK(reader2, "a");
    ASK(writer, "A");
    ASK(late, "a");
    ASK(late2, "a");
    GRANTED(reader);
    GRANTED(reader2);
    WAITS(writer);
    WAITS(late); /* behind the writer, though readers are in */
    release(ks, &reader);
    WAITS(writer);
    release(ks, &reader2);
    GRANTED(writer);
    WAITS(late);
    release(ks, &writer);
    GRANTED(late);
    GRANTED(late2);
    release(ks, &late);
    release(ks, &late2);
}

static void test_all_or_nothing_in_order(void **state)
{
    struct ks *ks = ks_of(state);
    ASK(a, "A");
    ASK(both, "AB");
    ASK(b, "B");
    GRANTED(a);
    WAITS(both);
    WAITS(b); /* both came first */
    release(ks, &a);
    GRANTED(both);
    WAITS(b);
    release(ks, &both);
    GRANTED(b);
    release(ks, &b);
}

static void test_one_that_leaves_the_queue_lets_others_in(void **state)
{
    struct ks *ks = ks_of(state);
    ASK(a, "a");
    ASK(dead, "AC");
    ASK(behind, "a");
    ASK(c, "C");
    WAITS(dead);
    WAITS(behind);
    WAITS(c);
    assert_true(ks_claim_cancel(ks, dead.claim));
    claim_free(dead.claim);
    GRANTED(behind);
    GRANTED(c);
    WAITS(dead); /* was never told */
    release(ks, &a);
    release(ks, &behind);
    assert_false(ks_claim_cancel(ks, c.claim)); /* granted: release it */
    release(ks, &c);
}

static void test_the_same_key_twice(void **state)
{
    struct ks *ks = ks_of(state);
    ASK(twice, "aAa");
    ASK(reader, "a");
    GRANTED(twice);
    WAITS(reader);
    release(ks, &twice);
    release(ks, &reader);
}

static struct asker claim_scope(struct ks *ks, int slot, bool exclusive)
{
    struct asker a = {.claim = claim_new(1)};
    if (slot < 0)
        claim_add_all(a.claim, exclusive);
    else
        claim_add_slot(a.claim, (uint16_t)slot, exclusive);
    return a;
}

static void test_slots_hold_their_keys(void **state)
{
    struct ks *ks = ks_of(state);
    struct asker slot = claim_scope(ks, key_slot(slice_str("a")), false);
    ask(ks, &slot);
    ASK(reader, "a");
    ASK(writer, "A");
    ASK(elsewhere, "B");
    GRANTED(slot);
    GRANTED(reader);
    GRANTED(elsewhere);
    WAITS(writer);
    release(ks, &slot);
    WAITS(writer);
    release(ks, &reader);
    GRANTED(writer);
    struct asker whole = claim_scope(ks, key_slot(slice_str("a")), true);
    ask(ks, &whole);
    WAITS(whole);
    release(ks, &writer);
    GRANTED(whole);
    release(ks, &whole);
    release(ks, &elsewhere);
}

static void test_the_whole_keyspace(void **state)
{
    struct ks *ks = ks_of(state);
    ASK(reader, "a");
    struct asker look = claim_scope(ks, -1, false);
    ask(ks, &look);
    ASK(reader2, "b");
    ASK(writer, "B");
    GRANTED(look);
    GRANTED(reader2);
    WAITS(writer);
    struct asker flush = claim_scope(ks, -1, true);
    ask(ks, &flush);
    ASK(late, "c");
    WAITS(flush);
    WAITS(late);
    release(ks, &look);
    release(ks, &reader2);
    GRANTED(writer);
    release(ks, &writer);
    WAITS(flush);
    release(ks, &reader);
    GRANTED(flush);
    WAITS(late);
    release(ks, &flush);
    release(ks, &late);
}

/* ---- what others see ---- */

static bool may(struct ks *ks, const char *name, bool exclusive)
{
    struct key key = test_key("%s", name);
    bool claimed = ks_lock(ks, key.slot);
    bool allowed = !claimed || ks_claim_allows(ks, &key, exclusive);
    ks_unlock(ks, key.slot);
    return allowed;
}

static void test_short_commands_meet_granted_claims_only(void **state)
{
    struct ks *ks = ks_of(state);
    ASK(reader, "a");
    ASK(writer, "A");
    assert_true(may(ks, "a", false));
    assert_false(may(ks, "a", true));
    assert_true(may(ks, "b", true));
    release(ks, &reader);
    assert_false(may(ks, "a", false));
    release(ks, &writer);
    assert_true(may(ks, "a", true));
    struct key key = test_key("a");
    assert_false(ks_lock(ks, key.slot)); /* nothing left to ask about */
    ks_unlock(ks, key.slot);
}

/* Reading in one go passes, changing and asking wait, and whoever waits is not overtaken. */
static void test_a_claim_that_lets_in(void **state)
{
    struct ks *ks = ks_of(state);
    struct asker mover = claim_of(ks, "A");
    ks_claim_let_read(ks, mover.claim, true);
    ask(ks, &mover);
    GRANTED(mover);
    assert_true(may(ks, "a", false));
    assert_false(may(ks, "a", true));
    ASK(reader, "a");
    WAITS(reader);
    assert_true(may(ks, "a", false));
    ks_claim_let_read(ks, mover.claim, false);
    assert_false(may(ks, "a", false));
    release(ks, &mover);
    GRANTED(reader);
    release(ks, &reader);
}

static void test_a_key_beside_a_claimed_one(void **state)
{
    struct ks *ks = ks_of(state);
    struct key claimed = test_key_in(7, "x"), free_one = test_key_in(7, "y");
    struct asker a = {.claim = claim_new(1)};
    claim_add_key(a.claim, &claimed, true);
    ask(ks, &a);
    assert_true(ks_lock(ks, 7));
    assert_false(ks_claim_allows(ks, &claimed, false));
    assert_true(ks_claim_allows(ks, &free_one, true));
    ks_unlock(ks, 7);
    release(ks, &a);
}

static void test_the_owner_works_without_the_lock(void **state)
{
    struct ks *ks = ks_of(state);
    struct key key = test_key("a");
    test_set(ks, key, "old", EXPIRY_NONE);
    ASK(a, "A");
    ks_claim_enter(ks, a.claim, ks->now_ms);
    assert_non_null(ks_find(ks, &key, 0));
    assert_false(ks_holds(ks, key.slot));
    ks_put(ks, &key, ks_entry_string(ks, &key, slice_str("new"), EXPIRY_NONE));
    assert_true(ks_set_expiry(ks, &key, ks->now_ms + 1000));
    ks_claim_leave(ks);
    assert_true(test_is(ks, key, "new"));
    ks_claim_enter(ks, a.claim, ks->now_ms);
    assert_true(ks_delete(ks, &key));
    ks_claim_leave(ks);
    release(ks, &a);
    assert_true(test_is(ks, key, NULL));
}

static void test_claimed_keys_do_not_expire(void **state)
{
    struct ks *ks = ks_of(state);
    struct key key = test_key("a");
    test_set(ks, key, "v", ks->now_ms + 10);
    ASK(a, "a");
    int64_t begun_ms = ks->now_ms;
    ks->now_ms += 1000;
    assert_true(test_is(ks, key, NULL)); /* hidden … */
    ks_expire_cycle(ks, 1000);
    assert_int_equal(ks_count(ks->shared), 1); /* … but there */
    ks_claim_enter(ks, a.claim, begun_ms);
    assert_non_null(ks_find(ks, &key, 0)); /* its owner's time stands still */
    ks_claim_leave(ks);
    assert_int_equal(ks->now_ms, begun_ms + 1000);
    release(ks, &a);
    assert_true(test_is(ks, key, NULL));
    assert_int_equal(ks_count(ks->shared), 0);
}

static uint32_t tx_seq(struct ks *ks, uint16_t slot)
{
    return atomic_load(&ks->shared->reads[slot].tx_seq);
}

static void test_readers_of_a_change_of_several(void **state)
{
    struct ks *ks = ks_of(state);
    struct key a = test_key("a"), b = test_key("b"), pair[] = {a, b};
    struct key beside = test_key_in(a.slot, "beside"), far = test_key_in(9, "far");
    const struct entry *found[2];
    test_set(ks, a, "1", EXPIRY_NONE);
    test_set(ks, b, "1", EXPIRY_NONE);
    test_set(ks, beside, "1", EXPIRY_NONE);
    ASK(c, "AB");
    ks_claim_enter(ks, c.claim, ks->now_ms);
    while (!ks_claim_open(ks, c.claim, 1))
        continue;
    ks_put(ks, &a, ks_entry_string(ks, &a, slice_str("2"), EXPIRY_NONE));
    ks_claim_leave(ks);
    assert_int_equal(tx_seq(ks, a.slot) & 1, 1);
    assert_int_equal(tx_seq(ks, b.slot) & 1, 1);

    assert_null(ks_get(ks, &a, 0));
    assert_true(ks->met_claim);
    ks->met_claim = false;
    assert_null(ks_get(ks, &b, 0)); /* not changed yet, but it may be any moment */
    assert_true(ks->met_claim);
    ks->met_claim = false;
    ks_get_many(ks, pair, 2, found, 0);
    assert_true(ks->met_claim && !found[0] && !found[1]);
    ks->met_claim = false;
    assert_true(test_is(ks, beside, "1"));
    assert_false(ks->met_claim);

    /* Others change what is beside, alone and together; the slot stays odd. */
    test_set(ks, beside, "2", EXPIRY_NONE);
    const uint16_t slots[] = {a.slot, far.slot};
    struct entry *e1 = ks_entry_string(ks, &beside, slice_str("3"), EXPIRY_NONE);
    struct entry *e2 = ks_entry_string(ks, &far, slice_str("3"), EXPIRY_NONE);
    assert_true(ks_lock_many(ks, slots, 2, false));
    ks_put(ks, &beside, e1);
    ks_put(ks, &far, e2);
    ks_unlock_many(ks);
    assert_int_equal(tx_seq(ks, a.slot) & 1, 1);
    assert_int_equal(tx_seq(ks, far.slot) & 1, 0);
    assert_int_equal(atomic_load(&ks->shared->writes[a.slot].version) & 1, 1);

    ks_claim_enter(ks, c.claim, ks->now_ms);
    ks_put(ks, &b, ks_entry_string(ks, &b, slice_str("2"), EXPIRY_NONE));
    while (!ks_claim_close(ks, c.claim, 1))
        continue;
    ks_claim_leave(ks);
    release(ks, &c);
    assert_int_equal(tx_seq(ks, a.slot) & 1, 0);
    assert_int_equal(atomic_load(&ks->shared->writes[a.slot].version) & 1, 0);
    assert_true(test_is(ks, a, "2") && test_is(ks, b, "2") && test_is(ks, beside, "3"));
    assert_false(ks->met_claim);
}

static void test_noted_slots_of_the_whole(void **state)
{
    struct ks *ks = ks_of(state);
    struct key a = test_key("a"), b = test_key("b");
    test_set(ks, b, "1", EXPIRY_NONE);
    struct asker all = claim_scope(ks, -1, true);
    ask(ks, &all);
    assert_true(claim_note_slot(all.claim, a.slot));
    ks_claim_enter(ks, all.claim, ks->now_ms);
    unsigned pieces = 1;
    while (!ks_claim_open(ks, all.claim, 64))
        pieces++;
    assert_true(pieces > 1); /* looking for the noted ones is work, too */
    ks_put(ks, &a, ks_entry_string(ks, &a, slice_str("2"), EXPIRY_NONE));
    ks_claim_leave(ks);
    assert_null(ks_get(ks, &a, 0));
    assert_true(ks->met_claim);
    ks->met_claim = false;
    assert_true(test_is(ks, b, "1")); /* not concerned: no lock, no wait */
    assert_false(may(ks, "b", true));
    ks_claim_enter(ks, all.claim, ks->now_ms);
    while (!ks_claim_close(ks, all.claim, 64))
        continue;
    ks_claim_leave(ks);
    release(ks, &all);
    assert_true(test_is(ks, a, "2"));
}

/* ---- several lcores ---- */

#define RACERS 3
#define RACE_KEYS 4
#define RACE_ROUNDS 3000

/* Guarded by claims alone: the thread sanitizer looks on. */
static int64_t guarded[RACE_KEYS];

struct racer {
    pthread_t thread;
    struct keyspace *k;
    unsigned index;
    int64_t added[RACE_KEYS];
};

static void wait_for(struct asker *a)
{
    while (!atomic_load_explicit(&a->granted, memory_order_acquire)) {
        qsbr_quiescent();
        sched_yield();
    }
}

static void race_once(struct racer *r, struct ks *ks, struct rng *rng)
{
    struct asker a = {.claim = claim_new(RACE_KEYS)};
    unsigned written = (unsigned)rng_below(rng, 1 << RACE_KEYS);
    bool all = rng_below(rng, 10) == 0;
    if (all)
        claim_add_all(a.claim, written & 1);
    for (unsigned i = 0; i < RACE_KEYS && !all; i++) {
        struct key key = test_key("%c", 'a' + i);
        if (written >> i & 1 || rng_below(rng, 2))
            claim_add_key(a.claim, &key, written >> i & 1);
        else
            written &= ~(1u << i);
    }
    if (all)
        written = written & 1 ? (1u << RACE_KEYS) - 1 : 0;
    if (ks_claim(ks, a.claim, on_granted, &a))
        atomic_store(&a.granted, true);
    else if (rng_below(rng, 8) == 0 && ks_claim_cancel(ks, a.claim)) {
        claim_free(a.claim);
        return;
    }
    wait_for(&a);
    ks_claim_enter(ks, a.claim, ks->now_ms);
    for (unsigned i = 0; i < RACE_KEYS; i++) {
        if (!(written >> i & 1))
            continue;
        guarded[i] += r->index + 1;
        r->added[i] += r->index + 1;
    }
    while (!ks_claim_open(ks, a.claim, 1 << 14) || !ks_claim_close(ks, a.claim, 1 << 14))
        continue;
    ks_claim_leave(ks);
    ks_claim_release(ks, a.claim);
    claim_free(a.claim);
}

static void *racer_run(void *arg)
{
    struct racer *r = arg;
    struct rng rng;
    rng_seed(&rng, 77 + r->index);
    qsbr_register();
    metrics_attach((int)r->index);
    struct ks *ks = ks_new(r->k, r->index, 5 + r->index);
    ks->now_ms = 1700000000000;
    for (int i = 0; i < RACE_ROUNDS; i++) {
        race_once(r, ks, &rng);
        qsbr_quiescent();
    }
    ks_free(ks);
    qsbr_unregister();
    return NULL;
}

static void test_claims_exclude_each_other(void **state)
{
    struct ks_fixture *f = *state;
    struct racer racers[RACERS];
    qsbr_offline();
    for (unsigned i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){.k = f->k, .index = i + 1};
        assert_int_equal(pthread_create(&racers[i].thread, NULL, racer_run, &racers[i]), 0);
    }
    int64_t sums[RACE_KEYS] = {0};
    for (unsigned i = 0; i < RACERS; i++) {
        pthread_join(racers[i].thread, NULL);
        for (unsigned k = 0; k < RACE_KEYS; k++)
            sums[k] += racers[i].added[k];
    }
    qsbr_online();
    for (unsigned k = 0; k < RACE_KEYS; k++) {
        assert_int_equal(guarded[k], sums[k]);
        assert_true(sums[k] > 0);
    }
    ks_claims_validate(f->k);
    for (unsigned slot = 0; slot < SLOTS; slot++)
        assert_int_equal(tx_seq(f->ks, (uint16_t)slot) & 1, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_exclusive_ones_take_turns, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_shared_ones_go_together_and_starve_nobody, ks_setup,
                                        ks_teardown),
        cmocka_unit_test_setup_teardown(test_all_or_nothing_in_order, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_one_that_leaves_the_queue_lets_others_in, ks_setup,
                                        ks_teardown),
        cmocka_unit_test_setup_teardown(test_the_same_key_twice, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_slots_hold_their_keys, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_the_whole_keyspace, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_short_commands_meet_granted_claims_only, ks_setup,
                                        ks_teardown),
        cmocka_unit_test_setup_teardown(test_a_claim_that_lets_in, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_a_key_beside_a_claimed_one, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_the_owner_works_without_the_lock, ks_setup,
                                        ks_teardown),
        cmocka_unit_test_setup_teardown(test_claimed_keys_do_not_expire, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_readers_of_a_change_of_several, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_noted_slots_of_the_whole, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_claims_exclude_each_other, ks_setup, ks_teardown),
    };
    return cmocka_run_group_tests_name("claim", tests, NULL, NULL);
}
