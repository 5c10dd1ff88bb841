/* Sections: what they hold, what readers see of them, and the stock that fills up outside them. */
#include "ks_test.h"

static struct ks *ks_of(void **state)
{
    return ((struct ks_fixture *)*state)->ks;
}

static uint32_t tx_seq(struct ks *ks, uint16_t slot)
{
    return ks->shared->reads[slot].tx_seq;
}

static uint32_t version(struct ks *ks, uint16_t slot)
{
    return ks->shared->writes[slot].version;
}

static void test_single_section(void **state)
{
    struct ks *ks = ks_of(state);
    struct key key = test_key_in(5, "k");
    ks_lock(ks, 5);
    assert_true(ks_holds(ks, 5));
    assert_false(ks_holds(ks, 6));
    assert_false(slot_try_lock(&ks->shared->writes[5].lock));
    assert_int_equal(version(ks, 5), 0);
    ks_put(ks, &key, ks_entry_string(ks, &key, slice_str("v"), EXPIRY_NONE));
    assert_int_equal(version(ks, 5) & 1, 1);
    assert_int_equal(tx_seq(ks, 5), 0); /* one key: no transaction */
    ks_unlock(ks, 5);
    assert_int_equal(version(ks, 5), 2);
    assert_false(ks_holds(ks, 5));
    assert_true(slot_try_lock(&ks->shared->writes[5].lock));
    slot_unlock(&ks->shared->writes[5].lock);
    /* Looking changes nothing. */
    ks_lock(ks, 5);
    assert_non_null(ks_find(ks, &key, 0));
    ks_unlock(ks, 5);
    assert_int_equal(version(ks, 5), 2);
}

static void test_many_section(void **state)
{
    struct ks *ks = ks_of(state);
    const uint16_t slots[] = {16383, 5, 70, 5, 0};
    struct key key = test_key_in(70, "k");
    ks_lock_many(ks, slots, 5, false);
    for (unsigned i = 0; i < 5; i++)
        assert_true(ks_holds(ks, slots[i]));
    assert_false(ks_holds(ks, 69));
    assert_int_equal(tx_seq(ks, 5), 0); /* nothing changed yet */
    ks_lock(ks, 70);                    /* nests */
    ks_put(ks, &key, ks_entry_string(ks, &key, slice_str("v"), EXPIRY_NONE));
    ks_unlock(ks, 70);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(tx_seq(ks, slots[i]), 1);
    assert_int_equal(version(ks, 70), 1);
    assert_true(test_is(ks, key, "v")); /* its own writes */
    ks_unlock_many(ks);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(tx_seq(ks, slots[i]), 2);
        assert_int_equal(version(ks, slots[i]), slots[i] == 70 ? 2 : 0);
        assert_false(ks_holds(ks, slots[i]));
        assert_true(slot_try_lock(&ks->shared->writes[slots[i]].lock));
        slot_unlock(&ks->shared->writes[slots[i]].lock);
    }
}

static void test_whole_keyspace(void **state)
{
    struct ks *ks = ks_of(state);
    ks_lock_many(ks, NULL, 0, true);
    for (unsigned slot = 0; slot < SLOTS; slot++)
        assert_false(slot_try_lock(&ks->shared->writes[slot].lock));
    ks_unlock_many(ks);
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        assert_true(slot_try_lock(&ks->shared->writes[slot].lock));
        slot_unlock(&ks->shared->writes[slot].lock);
    }
    const uint16_t none[1] = {0};
    ks_lock_many(ks, none, 0, false);
    assert_false(ks_holds(ks, 0));
    ks_unlock_many(ks);
}

static void test_reads_within_sections(void **state)
{
    struct ks *ks = ks_of(state);
    struct key keys[2] = {test_key_in(1, "a"), test_key_in(2, "b")};
    const struct entry *out[2];
    const uint16_t slots[] = {1, 2};
    test_set(ks, keys[0], "v", EXPIRY_NONE);
    ks_lock_many(ks, slots, 2, false);
    ks_get_many(ks, keys, 2, out, 0);
    assert_non_null(out[0]);
    assert_null(out[1]);
    ks_put(ks, &keys[1], ks_entry_string(ks, &keys[1], slice_str("w"), ks->now_ms - 1));
    ks_get_many(ks, keys, 2, out, 0);
    assert_null(out[1]); /* expired, and deleted under the lock that is held */
    ks_unlock_many(ks);
    assert_int_equal(ks_slot_count(ks->shared, 2), 0);
}

/* A transaction by another lcore is in the way: reads wait for the lock or try again, as they must.
 */
static void test_disturbed_reads(void **state)
{
    struct ks *ks = ks_of(state);
    struct key key = test_key_in(3, "k");
    test_set(ks, key, "v", EXPIRY_NONE);
    metrics_reset();
    ks->shared->reads[3].tx_seq = 7;
    assert_true(test_is(ks, key, "v")); /* by the lock, which is free */
    assert_int_equal(metric_sum(METRIC_read_retries), 1);
    ks->shared->reads[3].tx_seq = 8;
    ks->shared->writes[3].version = 9;
    assert_true(test_is(ks, key, "v"));
    assert_int_equal(metric_sum(METRIC_read_retries), 1);
    const struct entry *out;
    ks_get_many(ks, &key, 1, &out, 0);
    assert_non_null(out);
    assert_int_equal(metric_sum(METRIC_read_retries), 4);
}

static void test_stock_keeps_promises(void **state)
{
    struct stock stock;
    struct bucket *taken[2000];
    unsigned n = 0;
    stock_init(&stock);
    for (unsigned i = 0; i < 1000; i++)
        assert_true(stock_promise(&stock));
    assert_true(stock_refill(&stock));
    /* Growing takes what is not promised, and no more. */
    while ((taken[n] = stock_take(&stock, 0)))
        n++;
    assert_int_equal(stock.count[0], 1000);
    for (unsigned i = 0; i < 1000; i++) {
        stock_release(&stock);
        taken[n] = stock_take(&stock, 0);
        assert_non_null(taken[n]);
        for (unsigned w = 0; w < BUCKET_WORDS; w++)
            assert_int_equal(bucket_word(taken[n], w), 0);
        n++;
    }
    assert_null(stock_take(&stock, 0));
    for (unsigned i = 0; i < n; i++) {
        memset(taken[i], 0xff, sizeof(*taken[i]));
        stock_give(&stock, taken[i], 0);
    }
    assert_true(stock.count[0] < 1000); /* the surplus went back */
    struct bucket *again = stock_take(&stock, 0);
    assert_int_equal(bucket_word(again, 0), 0);
    stock_give(&stock, again, 0);
    stock_fini(&stock);
}

static void test_stock_directories(void **state)
{
    struct stock stock;
    stock_init(&stock);
    assert_true(stock_refill(&stock));
    assert_null(stock_take_directory(&stock, 3)); /* wanted from now on */
    assert_true(stock_refill(&stock));
    _Atomic(uint64_t) *directory = stock_take_directory(&stock, 3);
    assert_non_null(directory);
    ks_mem_free(directory, 8 * sizeof(uint64_t));
    assert_null(stock_take_directory(&stock, 4));
    assert_true(stock_refill(&stock));
    assert_null(stock_take_directory(&stock, 5)); /* another size: that one is wanted now */
    stock.may_allocate = true;
    directory = stock_take_directory(&stock, 6);
    assert_non_null(directory);
    ks_mem_free(directory, 64 * sizeof(uint64_t));
    stock_fini(&stock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_single_section, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_many_section, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_whole_keyspace, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_reads_within_sections, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_disturbed_reads, ks_setup, ks_teardown),
        cmocka_unit_test(test_stock_keeps_promises),
        cmocka_unit_test(test_stock_directories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
