/* The index itself: growth, splits, windows, shrinking, memory. */
#include "ks_test.h"

#define SLOT 77

static struct ks *ks_of(void **state)
{
    return ((struct ks_fixture *)*state)->ks;
}

static uint64_t root_now(struct ks *ks)
{
    return slot_root(ks->shared, SLOT);
}

static struct key nth_key(unsigned i)
{
    return test_key_in(SLOT, "key:%u", i);
}

static void fill(struct ks *ks, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        test_set(ks, nth_key(i), "v", EXPIRY_NONE);
        if (i % 64 == 0) {
            ks_reclaim(ks, true, 1000);
            qsbr_quiescent();
        }
    }
}

static void test_empty_slot_holds_nothing(void **state)
{
    struct ks *ks = ks_of(state);
    assert_int_equal(ks_used_bytes(ks->shared), 0);
    fill(ks, 0, 1);
    assert_int_equal(ks->shared->writes[SLOT].buckets, 1);
    assert_int_equal(ks_used_bytes(ks->shared), 64 + 16);
    assert_true(test_del(ks, nth_key(0)));
    assert_int_equal(root_now(ks), 0);
    assert_int_equal(ks_used_bytes(ks->shared), 0);
}

static void test_one_bucket_holds_seven(void **state)
{
    struct ks *ks = ks_of(state);
    fill(ks, 0, 7);
    assert_int_equal(root_segment_bits(root_now(ks)), 0);
    fill(ks, 7, 8);
    assert_true(root_segment_bits(root_now(ks)) >= 1);
    test_validate(ks, SLOT);
}

/* Through every kind of growth; at depth 8 and 16 keys are hashed again. All stay found. */
static void test_grows_and_shrinks(void **state)
{
    struct ks *ks = ks_of(state);
    unsigned n = 0;
    for (unsigned step = 1; n < 60000; step = step * 5 / 4 + 1) {
        fill(ks, n, n + step);
        n += step;
        test_validate(ks, SLOT);
        for (unsigned i = 0; i < 50; i++)
            assert_true(test_is(ks, nth_key((unsigned)rng_below(&ks->p->rng, n)), "v"));
    }
    assert_true(root_directory_bits(root_now(ks)) >= 8);
    assert_int_equal(ks_slot_count(ks->shared, SLOT), n);
    assert_int_equal(ks_count(ks->shared), n);
    uint32_t buckets_full = ks->shared->writes[SLOT].buckets;
    for (unsigned i = 0; i < n - 1; i++) {
        assert_true(test_del(ks, nth_key(i)));
        if (i % 4096 == 0)
            test_validate(ks, SLOT);
        ks_reclaim(ks, true, 1000);
        qsbr_quiescent();
    }
    test_validate(ks, SLOT);
    assert_true(ks->shared->writes[SLOT].buckets < buckets_full / 50);
    assert_true(test_is(ks, nth_key(n - 1), "v"));
    assert_true(test_del(ks, nth_key(n - 1)));
    test_drain(ks);
    assert_int_equal(ks_used_bytes(ks->shared), 0);
}

/* The promise of the design: at most 24 bytes of index per key once there are some hundred. */
static void test_index_bytes_per_key(void **state)
{
    struct ks *ks = ks_of(state);
    unsigned n = 150;
    for (fill(ks, 0, n); n < 5000; n += 50) {
        uint64_t entries = n * 16; /* "key:NNNN" and "v" with 6 bytes before them */
        uint64_t index = ks_used_bytes(ks->shared) - entries;
        assert_true(index < n * 28);
        fill(ks, n, n + 50);
    }
}

/* Without spare memory growing waits, and everything still works. */
static void test_growth_without_stock(void **state)
{
    struct ks *ks = ks_of(state);
    ks_lock(ks, SLOT);
    for (unsigned i = 0; i < 2000; i++) {
        struct key key = nth_key(i);
        ks_put(ks, &key, ks_entry_string(ks, &key, slice_str("v"), EXPIRY_NONE));
    }
    ks_validate_slot(ks, SLOT);
    ks_unlock(ks, SLOT);
    for (unsigned i = 0; i < 2000; i++)
        assert_true(test_is(ks, nth_key(i), "v"));
    fill(ks, 2000, 4000);
    test_validate(ks, SLOT);
    ks_lock_many(ks, NULL, 0, true);
    for (unsigned i = 0; i < 4000; i++) {
        struct key key = nth_key(i);
        assert_true(ks_delete(ks, &key));
    }
    ks_validate_slot(ks, SLOT);
    ks_unlock_many(ks);
}

/* Chained buckets go when their entries go, in any order. */
static void test_chains(void **state)
{
    struct ks *ks = ks_of(state);
    struct key keys[40];
    char names[40][32];
    unsigned n = 0;
    /* Keys that stay together for 12 bits of hash. */
    for (unsigned i = 0; n < 40; i++) {
        int len = snprintf(names[n], sizeof(names[n]), "chain:%u", i);
        struct slice name = slice_from(names[n], (size_t)len);
        if (key_hash(name) >> 52 == 5)
            keys[n++] = (struct key){name, key_hash(name), SLOT};
    }
    for (unsigned i = 0; i < 40; i++)
        test_set(ks, keys[i], "v", EXPIRY_NONE);
    test_validate(ks, SLOT);
    unsigned depth;
    assert_non_null(bucket_next(index_locate(root_now(ks), keys[0].hash, &depth)));
    for (unsigned i = 0; i < 40; i++) {
        unsigned at = (i * 17 + 3) % 40;
        assert_true(test_is(ks, keys[at], "v"));
        assert_true(test_del(ks, keys[at]));
        test_validate(ks, SLOT);
    }
    test_drain(ks);
    assert_int_equal(ks_used_bytes(ks->shared), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_empty_slot_holds_nothing, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_one_bucket_holds_seven, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_grows_and_shrinks, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_index_bytes_per_key, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_growth_without_stock, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_chains, ks_setup, ks_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
