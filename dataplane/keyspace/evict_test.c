/* Eviction by every policy, and active expiry. */
#include "ks_test.h"

#define KEYS 4000

static struct ks *ks_of(void **state)
{
    return ((struct ks_fixture *)*state)->ks;
}

static void limit_set(struct ks *ks, uint64_t bytes)
{
    char text[32];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
    test_config("maxmemory", text);
}

static bool is_there(struct ks *ks, unsigned i)
{
    struct key key = test_key("key:%u", i);
    return ks_get(ks, &key, KS_READ_NO_TOUCH | KS_READ_NO_STATS);
}

/* KEYS keys, every second one with an expiry that grows with its number; the first half is then
 * used (later, and often). */
static void fill(struct ks *ks)
{
    for (unsigned i = 0; i < KEYS; i++)
        test_set(ks, test_key("key:%u", i), "some value here",
                 i % 2 ? ks->now_ms + 10000000 + i * 1000 : EXPIRY_NONE);
    ks->now_ms += 100000;
    for (unsigned i = 0; i < KEYS / 2; i++)
        for (unsigned times = 0; times < 20; times++) {
            struct key key = test_key("key:%u", i);
            ks_get(ks, &key, 0);
        }
}

static bool has_room(struct ks *ks)
{
    return ks_make_room(ks, 100) == KS_ROOM_FREE;
}

static bool is_full(struct ks *ks)
{
    return ks_make_room(ks, 100) == KS_ROOM_NONE;
}

/* Shrinks the limit to nine tenths and evicts down to it. */
static void squeeze(struct ks *ks)
{
    limit_set(ks, ks_used_bytes(ks->shared) * 9 / 10);
    for (unsigned i = 0; i < 100; i++) {
        assert_true(has_room(ks));
        test_drain(ks);
    }
}

struct left {
    unsigned used, unused, with_expiry, without, early, late;
};

static struct left count_left(struct ks *ks)
{
    struct left left = {0};
    for (unsigned i = 0; i < KEYS; i++) {
        if (!is_there(ks, i))
            continue;
        left.used += i < KEYS / 2;
        left.unused += i >= KEYS / 2;
        left.with_expiry += i % 2;
        left.without += i % 2 == 0;
        left.early += i % 2 && i < KEYS / 4;
        left.late += i % 2 && i >= KEYS * 3 / 4;
    }
    return left;
}

static struct left evict_by(void **state, const char *policy)
{
    struct ks *ks = ks_of(state);
    test_config("maxmemory-policy", policy);
    metrics_reset();
    fill(ks);
    squeeze(ks);
    assert_true(ks_used_bytes(ks->shared) <= config_get()->maxmemory_bytes);
    uint64_t evicted = metric_sum(METRIC_evicted_keys);
    assert_int_equal(ks_count(ks->shared), KEYS - evicted);
    assert_in_range(evicted, KEYS / 20, KEYS / 5);
    return count_left(ks);
}

static void test_allkeys_lru(void **state)
{
    struct left left = evict_by(state, "allkeys-lru");
    assert_int_equal(left.used, KEYS / 2);
}

static void test_allkeys_lfu(void **state)
{
    struct left left = evict_by(state, "allkeys-lfu");
    assert_true(left.used > KEYS / 2 - 20);
}

static void test_allkeys_random(void **state)
{
    struct left left = evict_by(state, "allkeys-random");
    assert_true(left.used < KEYS / 2);
    assert_true(left.unused < KEYS / 2);
    assert_true(left.with_expiry < KEYS / 2);
    assert_true(left.without < KEYS / 2);
}

static void test_volatile_lru(void **state)
{
    struct left left = evict_by(state, "volatile-lru");
    assert_int_equal(left.without, KEYS / 2);
    assert_true(left.used > KEYS / 2 - 20);
}

static void test_volatile_lfu(void **state)
{
    struct left left = evict_by(state, "volatile-lfu");
    assert_int_equal(left.without, KEYS / 2);
    assert_true(left.used > KEYS / 2 - 20);
}

static void test_volatile_random(void **state)
{
    struct left left = evict_by(state, "volatile-random");
    assert_int_equal(left.without, KEYS / 2);
}

static void test_volatile_ttl(void **state)
{
    struct left left = evict_by(state, "volatile-ttl");
    assert_int_equal(left.without, KEYS / 2);
    assert_int_equal(left.late, KEYS / 8);
    assert_true(left.early < KEYS / 8 - 100);
}

static void test_noeviction(void **state)
{
    struct ks *ks = ks_of(state);
    test_config("maxmemory-policy", "noeviction");
    test_set(ks, test_key("key:1"), "v", EXPIRY_NONE);
    assert_true(has_room(ks));
    limit_set(ks, 1);
    assert_true(is_full(ks));
    assert_true(is_there(ks, 1));
    limit_set(ks, 0);
    assert_true(has_room(ks));
}

/* One key with an expiry among thousands without, in one slot: it is found; then nothing is left.
 */
static void test_needle(void **state)
{
    struct ks *ks = ks_of(state);
    test_config("maxmemory-policy", "volatile-lru");
    for (unsigned i = 0; i < KEYS; i++)
        test_set(ks, test_key_in(9, "key:%u", i), "v", i == 1234 ? ks->now_ms + 5000 : EXPIRY_NONE);
    limit_set(ks, ks_used_bytes(ks->shared) - 1);
    for (unsigned calls = 0; ks_count(ks->shared) == KEYS; calls++) {
        assert_true(calls < 10);
        assert_false(is_full(ks));
    }
    assert_int_equal(ks_count(ks->shared), KEYS - 1);
    limit_set(ks, ks_used_bytes(ks->shared) - 1);
    assert_true(is_full(ks));
}

static void test_replicas_do_not_evict(void **state)
{
    struct ks *ks = ks_of(state);
    test_config("maxmemory-policy", "allkeys-random");
    test_set(ks, test_key("key:1"), "v", EXPIRY_NONE);
    limit_set(ks, 1);
    ks->master = false;
    assert_true(has_room(ks));
    assert_int_equal(ks_count(ks->shared), 1);
}

/* A command far larger than what one call evicts is let in once as much was evicted. */
static void test_a_large_command_waits(void **state)
{
    struct ks *ks = ks_of(state);
    test_config("maxmemory-policy", "allkeys-random");
    fill(ks);
    uint64_t used = ks_used_bytes(ks->shared);
    limit_set(ks, used / 4);
    size_t bytes = used / 2;
    unsigned calls = 1;
    for (; ks_make_room(ks, bytes) == KS_ROOM_LATER; calls++)
        assert_true(calls < KEYS);
    assert_true(calls > 5);
    assert_true(used - ks_used_bytes(ks->shared) >= bytes);
    /* What it took is spent; then there is room for small ones only. */
    assert_int_equal(ks_make_room(ks, bytes), KS_ROOM_LATER);
    assert_int_equal(ks_make_room(ks, 10), KS_ROOM_FREE);
    test_drain(ks);
}

/* ---- active expiry ---- */

static void test_cycle_deletes_what_expired(void **state)
{
    struct ks *ks = ks_of(state);
    for (unsigned i = 0; i < KEYS; i++)
        test_set(ks, test_key("key:%u", i), "v", i % 4 ? ks->now_ms + 100 : EXPIRY_NONE);
    assert_int_equal(ks_expire_cycle(ks, 100000), 0);
    ks->now_ms += 200;
    uint32_t deleted = 0, calls = 0;
    while (ks_expiring_count(ks->shared) > 0) {
        deleted += ks_expire_cycle(ks, 100);
        assert_true(++calls < 10000);
    }
    assert_int_equal(deleted, KEYS * 3 / 4);
    assert_int_equal(ks_count(ks->shared), KEYS / 4);
}

/* With nothing to do it costs little: a bounded number of buckets per tick. */
static void test_cycle_is_bounded(void **state)
{
    struct ks *ks = ks_of(state);
    for (unsigned i = 0; i < KEYS; i++)
        test_set(ks, test_key_in(3, "key:%u", i), "v", ks->now_ms + 1000000);
    assert_int_equal(ks_expire_cycle(ks, UINT32_MAX), 0);
    assert_int_equal(ks->p->expire_credit, 0);
    ks->now_ms += 50;
    assert_int_equal(ks_expire_cycle(ks, UINT32_MAX), 0);
    assert_int_equal(ks->p->expire_credit, 0);
    ks->now_ms += 60; /* the next tick */
    assert_int_equal(ks_expire_cycle(ks, 5), 0);
    assert_true(ks->p->expire_credit > 0);
}

static void test_cycle_keeps_off_on_replicas(void **state)
{
    struct ks *ks = ks_of(state);
    test_set(ks, test_key("key:1"), "v", ks->now_ms - 5);
    ks->master = false;
    assert_int_equal(ks_expire_cycle(ks, 100000), 0);
    assert_int_equal(ks_count(ks->shared), 1);
}

/* Few expired keys among many that live on: what stays is about the tenth that is tolerated. */
static void test_cycle_tolerates_a_tenth(void **state)
{
    struct ks *ks = ks_of(state);
    for (unsigned i = 0; i < KEYS; i++)
        test_set(ks, test_key_in((uint16_t)(i % 4), "key:%u", i), "v",
                 ks->now_ms + (i % 3 ? 1000000 : 100));
    ks->now_ms += 200;
    for (unsigned i = 0; i < 200; i++) {
        ks_expire_cycle(ks, 1000);
        ks->now_ms += 100;
    }
    assert_true(ks_count(ks->shared) <= KEYS * 2 / 3 + KEYS / 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_allkeys_lru, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_allkeys_lfu, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_allkeys_random, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_volatile_lru, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_volatile_lfu, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_volatile_random, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_volatile_ttl, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_noeviction, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_needle, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_replicas_do_not_evict, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_a_large_command_waits, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_cycle_deletes_what_expired, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_cycle_is_bounded, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_cycle_keeps_off_on_replicas, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_cycle_tolerates_a_tenth, ks_setup, ks_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
