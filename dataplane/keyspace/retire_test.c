/* When memory goes: not before readers are through, in pieces, and within a bound. */
#include "ks_test.h"
#include <pthread.h>
#include <semaphore.h>

static struct ks *ks_of(void **state)
{
    return ((struct ks_fixture *)*state)->ks;
}

static int destroyed;

static void destroy(void *memory)
{
    destroyed++;
    free(memory);
}

/* A reader that is online and does not pass a quiescent state until told. */
struct holder {
    pthread_t thread;
    sem_t online, leave, left;
};

static void *holder_main(void *arg)
{
    struct holder *h = arg;
    qsbr_register();
    sem_post(&h->online);
    sem_wait(&h->leave);
    qsbr_unregister();
    sem_post(&h->left);
    return NULL;
}

static void holder_begin(struct holder *h)
{
    sem_init(&h->online, 0, 0);
    sem_init(&h->leave, 0, 0);
    sem_init(&h->left, 0, 0);
    assert_int_equal(pthread_create(&h->thread, NULL, holder_main, h), 0);
    sem_wait(&h->online);
}

static void holder_end(struct holder *h)
{
    sem_post(&h->leave);
    pthread_join(h->thread, NULL);
}

static void test_waits_for_readers(void **state)
{
    struct ks *ks = ks_of(state);
    struct holder h;
    destroyed = 0;
    holder_begin(&h);
    ks_retire(ks, malloc(10), destroy);
    for (unsigned i = 0; i < 50; i++) {
        assert_true(ks_reclaim(ks, true, 1000));
        qsbr_quiescent();
        sched_yield();
    }
    assert_int_equal(destroyed, 0);
    holder_end(&h);
    test_drain(ks);
    assert_int_equal(destroyed, 1);
}

static void test_partial_batches_wait_until_idle(void **state)
{
    struct ks *ks = ks_of(state);
    destroyed = 0;
    ks_retire(ks, malloc(10), destroy);
    assert_true(ks_reclaim(ks, false, 1000));
    assert_null(ks->p->retire.first);
    ks->now_ms += 1000; /* or until they are old */
    assert_true(ks_reclaim(ks, false, 1000));
    assert_non_null(ks->p->retire.first);
    assert_null(ks->p->retire.open);
    test_drain(ks);
    assert_int_equal(destroyed, 1);
}

static void test_large_objects_go_in_pieces(void **state)
{
    struct ks *ks = ks_of(state);
    struct key key = test_key("large");
    struct toy *toy = toy_new(1000);
    struct entry *e = ks_entry_object(ks, &key, OBJ_LIST, ENC_QUICKLIST, toy, EXPIRY_NONE);
    ks_lock(ks, key.slot);
    ks_put(ks, &key, e);
    assert_true(ks_delete(ks, &key));
    ks_unlock(ks, key.slot);
    unsigned pieces = 0;
    while (toys_alive) {
        size_t before = toy->count;
        ks_reclaim(ks, true, 100);
        qsbr_quiescent();
        assert_true(!toys_alive || before - toy->count <= 100);
        pieces += !toys_alive || toy->count != before;
    }
    assert_true(pieces >= 10);
    test_drain(ks);
}

/* Many middling objects count by their elements. */
static void test_budget_counts_elements(void **state)
{
    struct ks *ks = ks_of(state);
    for (unsigned i = 0; i < 50; i++) {
        struct key key = test_key("key:%u", i);
        struct entry *e =
            ks_entry_object(ks, &key, OBJ_LIST, ENC_QUICKLIST, toy_new(90), EXPIRY_NONE);
        ks_lock(ks, key.slot);
        ks_put(ks, &key, e);
        assert_true(ks_delete(ks, &key));
        ks_unlock(ks, key.slot);
    }
    while (toys_alive) {
        int before = toys_alive;
        ks_reclaim(ks, true, 100);
        qsbr_quiescent();
        assert_true(before - toys_alive <= 2);
    }
    test_drain(ks);
}

static void test_cap(void **state)
{
    struct ks *ks = ks_of(state);
    struct holder h;
    ks->shared->retired_cap_bytes = 100000;
    metrics_reset();
    holder_begin(&h);
    struct key key = test_key("k");
    struct entry *e;
    unsigned stored = 0;
    while ((e = ks_entry_string(ks, &key, slice_str("a value of some length"), EXPIRY_NONE))) {
        ks_lock(ks, key.slot);
        ks_put(ks, &key, e);
        ks_unlock(ks, key.slot);
        ks_reclaim(ks, false, 100);
        qsbr_quiescent();
        stored++;
        assert_true(stored < 100000);
    }
    assert_true(stored > 100);
    assert_true(ks_retired_bytes(ks->shared) <= 100000 + 100);
    assert_true(metric_sum(METRIC_retire_limit_hits) > 0);
    assert_true(ks_used_bytes(ks->shared) < 1000); /* retired counts as freed */
    holder_end(&h);
    test_drain(ks);
    assert_int_equal(ks_retired_bytes(ks->shared), 0);
    test_set(ks, key, "again", EXPIRY_NONE);
}

#define SQUEEZE_KEYS 200000

/* While readers hold grace periods up, a lowered limit evicts up to the bound of retired bytes and
 * no further: writers wait, none is refused. */
static void test_eviction_keeps_to_the_cap(void **state)
{
    struct ks *ks = ks_of(state);
    struct holder h;
    for (unsigned i = 0; i < SQUEEZE_KEYS; i++)
        test_set(ks, test_key("key:%u", i), "some value of some forty bytes, more or less",
                 EXPIRY_NONE);
    test_drain(ks);
    ks->shared->retired_cap_bytes = 2 << 20;
    uint64_t used = ks_used_bytes(ks->shared);
    test_config("maxmemory-policy", "allkeys-lru");
    test_config("maxmemory", "1mb");
    metrics_reset();
    holder_begin(&h);
    unsigned stored = 0, i = 0;
    for (; i < 100000 && stored < 5000 && !ks_crowded(ks); i++) {
        ks_reclaim(ks, false, 100);
        qsbr_quiescent();
        if (ks_make_room(ks, 100) == KS_ROOM_FREE) {
            test_set(ks, test_key("new:%u", stored), "v", EXPIRY_NONE); /* never refused */
            stored++;
        }
    }
    assert_true(ks_crowded(ks));
    for (i = 0; i < 1000; i++) {
        ks_reclaim(ks, true, 100);
        qsbr_quiescent();
        assert_int_equal(ks_make_room(ks, 2 << 20), KS_ROOM_LATER);
    }
    assert_true(ks->crowded);
    assert_in_range(ks_retired_bytes(ks->shared), 1 << 20, (1 << 20) + 100000);
    assert_true(ks_used_bytes(ks->shared) + ks_retired_bytes(ks->shared) < used + 1000000);
    assert_int_equal(metric_sum(METRIC_retire_limit_hits), 0);
    /* Readers that do not move at all: the bound itself, then. */
    ks->now_ms += RETIRED_STALL_MS + 1;
    assert_false(ks_crowded(ks));
    holder_end(&h);
    test_drain(ks);
    assert_false(ks_crowded(ks));
    while (ks_make_room(ks, 100) != KS_ROOM_FREE || ks_used_bytes(ks->shared) > 1 << 20) {
        if (ks_crowded(ks))
            test_drain(ks);
        assert_true(++i < 100000);
    }
    test_drain(ks);
    assert_false(ks->crowded);
    assert_int_equal(metric_sum(METRIC_retire_limit_hits), 0);
}

/* A deleted giant takes no more room than it did: with maxmemory it does not stop writes. */
static void test_cap_and_a_giant(void **state)
{
    struct ks *ks = ks_of(state);
    test_config("maxmemory", "100mb");
    size_t len = 60u << 20;
    uint8_t *bytes = calloc(1, len);
    struct key key = test_key("giant");
    struct entry *e = ks_entry_string(ks, &key, slice_from(bytes, len), EXPIRY_NONE);
    free(bytes);
    ks_lock(ks, key.slot);
    ks_put(ks, &key, e);
    assert_true(ks_delete(ks, &key));
    ks_unlock(ks, key.slot);
    assert_true(ks_retired_bytes(ks->shared) > len - 1);
    test_set(ks, key, "small", EXPIRY_NONE);
    test_drain(ks);
}

static void test_flush_is_freed_in_pieces(void **state)
{
    struct ks *ks = ks_of(state);
    for (unsigned i = 0; i < 3000; i++)
        test_set(ks, test_key_in((uint16_t)(i % 2), "key:%u", i), "v", EXPIRY_NONE);
    struct key key = test_key_in(1, "toy");
    struct entry *e = ks_entry_object(ks, &key, OBJ_LIST, ENC_QUICKLIST, toy_new(9), EXPIRY_NONE);
    ks_lock(ks, 1);
    ks_put(ks, &key, e);
    ks_unlock(ks, 1);
    ks_flush_all(ks);
    assert_int_equal(ks_count(ks->shared), 0);
    assert_int_equal(ks_used_bytes(ks->shared), 0);
    assert_int_equal(ks_slot_count(ks->shared, 1), 0);
    assert_true(test_is(ks, test_key_in(1, "key:1"), NULL));
    test_set(ks, test_key_in(1, "key:1"), "new", EXPIRY_NONE);
    assert_int_equal(ks_count(ks->shared), 1);
    unsigned rounds = 0;
    while (ks_reclaim(ks, true, 100)) {
        qsbr_quiescent();
        rounds++;
    }
    assert_true(rounds > 16384 / 100);
    assert_int_equal(toys_alive, 0);
    assert_int_equal(ks_count(ks->shared), 1);
    assert_true(test_is(ks, test_key_in(1, "key:1"), "new"));
    test_del(ks, test_key_in(1, "key:1"));
    assert_int_equal(ks_used_bytes(ks->shared), 0);
}

static void test_flush_within_exec(void **state)
{
    struct ks *ks = ks_of(state);
    struct key key = test_key("k");
    test_set(ks, key, "old", EXPIRY_NONE);
    ks_lock_many(ks, NULL, 0, true);
    ks_flush_all(ks);
    assert_null(ks_find(ks, &key, 0));
    struct entry *e = ks_entry_string(ks, &key, slice_str("new"), EXPIRY_NONE);
    ks_put(ks, &key, e);
    assert_non_null(ks_find(ks, &key, 0));
    ks_unlock_many(ks);
    assert_true(test_is(ks, key, "new"));
    assert_int_equal(ks_count(ks->shared), 1);
    test_drain(ks);
    assert_true(test_is(ks, key, "new"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_waits_for_readers, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_partial_batches_wait_until_idle, ks_setup,
                                        ks_teardown),
        cmocka_unit_test_setup_teardown(test_large_objects_go_in_pieces, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_budget_counts_elements, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_cap, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_eviction_keeps_to_the_cap, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_cap_and_a_giant, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_flush_is_freed_in_pieces, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_flush_within_exec, ks_setup, ks_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
