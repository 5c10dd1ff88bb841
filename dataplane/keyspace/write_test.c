/* Single commands: storing, encodings, expiry, accounting, watching. */
#include "ks_test.h"
#include "bigstr.h"

static struct ks *ks_of(void **state)
{
    return ((struct ks_fixture *)*state)->ks;
}

static void put_new(struct ks *ks, struct key key, struct entry *e)
{
    assert_non_null(e);
    ks_lock(ks, key.slot);
    ks_put(ks, &key, e);
    ks_unlock(ks, key.slot);
}

static void assert_encoding(struct ks *ks, const char *value, enum obj_encoding enc)
{
    struct key key = test_key("enc");
    test_set(ks, key, value, EXPIRY_NONE);
    assert_int_equal(entry_encoding(ks_get(ks, &key, 0)), enc);
}

static void test_encodings(void **state)
{
    struct ks *ks = ks_of(state);
    assert_encoding(ks, "0", ENC_INT);
    assert_encoding(ks, "-9223372036854775808", ENC_INT);
    assert_encoding(ks, "9223372036854775808", ENC_EMBSTR);
    assert_encoding(ks, "01", ENC_EMBSTR);
    assert_encoding(ks, "", ENC_EMBSTR);
    assert_encoding(ks, "aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd4444", ENC_EMBSTR);
    assert_encoding(ks, "aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd45555", ENC_RAW);
    struct key key = test_key("enc");
    put_new(ks, key, ks_entry_string_raw(ks, &key, slice_str("12"), EXPIRY_NONE));
    assert_int_equal(entry_encoding(ks_get(ks, &key, 0)), ENC_RAW);
    put_new(ks, key, ks_entry_string_as(ks, &key, slice_str("12"), EXPIRY_NONE, ENC_EMBSTR));
    assert_int_equal(entry_encoding(ks_get(ks, &key, 0)), ENC_EMBSTR);
}

/* The smallest entries come from an allocation class that is aligned to 8 bytes only. */
static void test_smallest_entries(void **state)
{
    struct ks *ks = ks_of(state);
    for (int i = 0; i < 64; i++)
        test_set(ks, test_key("%c", ' ' + i), "1", EXPIRY_NONE);
    for (int i = 0; i < 64; i++) {
        struct key key = test_key("%c", ' ' + i);
        const struct entry *e = ks_get(ks, &key, 0);
        assert_non_null(e);
        assert_true(slice_equal(entry_key(e), key.name));
    }
}

/* Slots that were flushed keep their mark until they are detached: the cycle must end all the same. */
static void test_expiry_cycle_after_flush(void **state)
{
    struct ks *ks = ks_of(state);
    for (int i = 0; i < 300; i++)
        test_set(ks, test_key("volatile%d", i), "1", ks->now_ms + 100000);
    ks_flush_all(ks);
    assert_int_equal(ks_expire_cycle(ks, 64), 0);
    test_drain(ks);
    assert_int_equal(ks_expire_cycle(ks, 64), 0);
}

static void test_large_strings(void **state)
{
    struct ks *ks = ks_of(state);
    static uint8_t bytes[ENTRY_EMBED_MAX + 1];
    struct key key = test_key("large");
    put_new(ks, key, ks_entry_string(ks, &key, slice_from(bytes, ENTRY_EMBED_MAX), EXPIRY_NONE));
    assert_null(entry_big(ks_get(ks, &key, 0)));
    put_new(ks, key, ks_entry_string(ks, &key, slice_from(bytes, sizeof(bytes)), EXPIRY_NONE));
    assert_non_null(entry_big(ks_get(ks, &key, 0)));
    assert_int_equal(entry_string_len(ks_get(ks, &key, 0)), sizeof(bytes));

    /* An expiry takes the value over, an append shares it; nothing is freed that is still used. */
    struct bigstr *big = entry_big(ks_get(ks, &key, 0));
    ks_lock(ks, key.slot);
    assert_true(ks_set_expiry(ks, &key, ks->now_ms + 1000));
    assert_ptr_equal(entry_big(ks_find(ks, &key, 0)), big);
    struct bigstr *longer = bigstr_write(big, sizeof(bytes), slice_str("tail"));
    ks_put(ks, &key, ks_entry_big(ks, &key, longer, EXPIRY_NONE));
    ks_unlock(ks, key.slot);
    test_drain(ks);
    assert_int_equal(entry_string_len(ks_get(ks, &key, 0)), sizeof(bytes) + 4);
    assert_true(test_del(ks, key));
    test_drain(ks);
    assert_int_equal(ks_used_bytes(ks->shared), 0);
}

static void test_discard(void **state)
{
    struct ks *ks = ks_of(state);
    static uint8_t bytes[50000];
    struct key key = test_key("never");
    ks_entry_discard(ks, ks_entry_string(ks, &key, slice_str("small"), EXPIRY_NONE));
    ks_entry_discard(ks, ks_entry_string(ks, &key, slice_from(bytes, sizeof(bytes)), 5));
    struct toy *toy = toy_new(3);
    ks_entry_discard(ks, ks_entry_object(ks, &key, OBJ_SET, ENC_INTSET, toy, EXPIRY_NONE));
    test_drain(ks); /* the leak checker sees the rest */
    assert_int_equal(ks->p->stock.promised, 0);
    assert_int_equal(ks_used_bytes(ks->shared), 0);
    assert_int_equal(toy->count, 3);
    free(toy);
    toys_alive--;
}

static void test_detach_moves_the_object(void **state)
{
    struct ks *ks = ks_of(state);
    struct key from = test_key_in(1, "from");
    struct key to = test_key_in(2, "to");
    struct toy *toy = toy_new(10);
    put_new(ks, from, ks_entry_object(ks, &from, OBJ_SET, ENC_INTSET, toy, EXPIRY_NONE));
    put_new(ks, to, ks_entry_object(ks, &to, OBJ_LIST, ENC_LISTPACK, toy_new(3), EXPIRY_NONE));
    const uint16_t slots[] = {2, 1};
    ks_lock_many(ks, slots, 2, false);
    struct entry *e = ks_entry_object(ks, &to, OBJ_SET, ENC_INTSET, toy, EXPIRY_NONE);
    assert_true(ks_detach(ks, &from));
    ks_put(ks, &to, e);
    ks_unlock_many(ks);
    test_drain(ks);
    assert_int_equal(toys_alive, 1);
    assert_null(ks_get(ks, &from, 0));
    assert_ptr_equal(entry_object(ks_get(ks, &to, 0)), toy);
    assert_true(test_del(ks, to));
    test_drain(ks);
    assert_int_equal(toys_alive, 0);
    assert_int_equal(ks_used_bytes(ks->shared), 0);
}

/* Whatever deltas a type reports, what was added for an object is taken away with it. */
static void test_object_accounting(void **state)
{
    struct ks *ks = ks_of(state);
    struct key key = test_key("object");
    put_new(ks, key, ks_entry_object(ks, &key, OBJ_HASH, ENC_LISTPACK, toy_new(0), EXPIRY_NONE));
    uint64_t before = ks_used_bytes(ks->shared);
    ks_lock(ks, key.slot);
    ks_changed(ks, &key, ENC_HASHTABLE, 100000);
    assert_int_equal(ks_used_bytes(ks->shared), before + 100000);
    assert_true(ks_set_expiry(ks, &key, ks->now_ms + 5));
    assert_int_equal(entry_encoding(ks_find(ks, &key, 0)), ENC_HASHTABLE);
    ks_changed(ks, &key, ENC_HASHTABLE, -300000);
    assert_true(ks_delete(ks, &key));
    ks_unlock(ks, key.slot);
    test_drain(ks);
    assert_int_equal(ks_used_bytes(ks->shared), 0);
    ks_account(ks, 500);
    ks_flush_all(ks);
    assert_int_equal(ks_used_bytes(ks->shared), 500);
    ks_account(ks, -500);
}

struct hook_log {
    int expired, evicted;
};

static void hook(void *arg, const struct key *key, int why)
{
    struct hook_log *log = arg;
    log->expired += why == KS_DELETE_EXPIRED;
    log->evicted += why == KS_DELETE_EVICTED;
}

static void test_expired_keys_on_access(void **state)
{
    struct ks *ks = ks_of(state);
    struct hook_log log = {0};
    ks->on_delete = hook;
    ks->hook_arg = &log;
    struct key key = test_key("volatile");
    test_set(ks, key, "v", ks->now_ms + 10);
    ks->now_ms += 10;
    assert_true(test_is(ks, key, "v")); /* still alive in its last millisecond */
    assert_int_equal(ks_expiring_count(ks->shared), 1);
    ks->now_ms += 1;
    assert_true(test_is(ks, key, NULL));
    assert_int_equal(log.expired, 1);
    assert_int_equal(ks_count(ks->shared), 0);
    assert_int_equal(ks_expiring_count(ks->shared), 0);

    test_set(ks, key, "v", ks->now_ms - 1);
    assert_false(test_del(ks, key)); /* logically absent */
    assert_int_equal(log.expired, 2);

    /* A replica hides it but waits for the primary's DEL. */
    ks->master = false;
    test_set(ks, key, "v", ks->now_ms - 1);
    assert_true(test_is(ks, key, NULL));
    ks_lock(ks, key.slot);
    assert_null(ks_find(ks, &key, 0));
    ks_unlock(ks, key.slot);
    assert_int_equal(log.expired, 2);
    assert_int_equal(ks_count(ks->shared), 1);
    ks->on_delete = NULL;
}

static void test_frozen_time(void **state)
{
    struct ks *ks = ks_of(state);
    struct key key = test_key("volatile");
    test_set(ks, key, "v", ks->now_ms + 10);
    ks_freeze_time(ks, true);
    ks->now_ms += 100;
    assert_true(test_is(ks, key, "v"));
    ks_freeze_time(ks, false);
    assert_true(test_is(ks, key, NULL));
}

static void test_access_clocks(void **state)
{
    struct ks *ks = ks_of(state);
    test_config("maxmemory-policy", "allkeys-lru");
    struct key key = test_key("touched");
    test_set(ks, key, "v", EXPIRY_NONE);
    ks->now_ms += 50000;
    assert_int_equal(entry_idle_s(ks_get(ks, &key, KS_READ_NO_TOUCH), ks->now_ms), 50);
    ks_lock(ks, key.slot);
    assert_true(ks_set_expiry(ks, &key, ks->now_ms + 1000)); /* the clock is inherited */
    ks_unlock(ks, key.slot);
    assert_int_equal(entry_idle_s(ks_get(ks, &key, KS_READ_NO_TOUCH), ks->now_ms), 50);
    assert_int_equal(entry_idle_s(ks_get(ks, &key, 0), ks->now_ms), 0);

    test_config("maxmemory-policy", "allkeys-lfu");
    test_set(ks, key, "v", EXPIRY_NONE);
    for (unsigned i = 0; i < 200; i++)
        ks_get(ks, &key, 0);
    uint8_t frequency = entry_frequency(ks_get(ks, &key, KS_READ_NO_TOUCH), ks->now_ms);
    assert_true(frequency > 6);
    test_set(ks, key, "w", EXPIRY_NONE);
    assert_int_equal(entry_frequency(ks_get(ks, &key, KS_READ_NO_TOUCH), ks->now_ms), frequency);
}

static void test_statistics(void **state)
{
    struct ks *ks = ks_of(state);
    metrics_reset();
    struct key key = test_key("here");
    struct key none = test_key("not here");
    test_set(ks, key, "v", EXPIRY_NONE);
    ks_get(ks, &key, 0);
    ks_get(ks, &none, 0);
    ks_get(ks, &none, 0);
    ks_get(ks, &key, KS_READ_NO_STATS);
    assert_int_equal(metric_sum(METRIC_keyspace_hits), 1);
    assert_int_equal(metric_sum(METRIC_keyspace_misses), 2);
}

static void test_watch(void **state)
{
    struct ks *ks = ks_of(state);
    struct key key = test_key("watched");
    struct key other = test_key_in(key.slot, "other");
    _Atomic(bool) dirty = false;
    struct ks_watch w = {.name = (uint8_t *)"watched", .name_len = 7};
    ks_watch(ks, &key, &w, &dirty);
    test_set(ks, other, "x", EXPIRY_NONE);
    test_del(ks, other);
    assert_false(dirty);
    test_set(ks, key, "x", EXPIRY_NONE);
    assert_true(dirty);
    dirty = false;
    test_del(ks, key);
    assert_true(dirty);
    dirty = false;
    test_del(ks, key); /* nothing there: nothing changes */
    assert_false(dirty);
    ks_unwatch(ks, &w);
    test_set(ks, key, "y", EXPIRY_NONE);
    assert_false(dirty);
}

static void test_watch_and_expiry(void **state)
{
    struct ks *ks = ks_of(state);
    struct key key = test_key("watched");
    _Atomic(bool) dirty = false;
    struct ks_watch w = {.name = (uint8_t *)"watched", .name_len = 7};
    /* Expires while it is watched: a change. */
    test_set(ks, key, "x", ks->now_ms + 10);
    ks_watch(ks, &key, &w, &dirty);
    ks->now_ms += 11;
    assert_true(test_is(ks, key, NULL));
    assert_true(dirty);
    ks_unwatch(ks, &w);
    /* Had expired before: its deletion is none, what comes after is one. */
    test_set(ks, key, "x", ks->now_ms - 1);
    dirty = false;
    ks_watch(ks, &key, &w, &dirty);
    assert_true(test_is(ks, key, NULL));
    assert_false(dirty);
    test_set(ks, key, "x", EXPIRY_NONE);
    assert_true(dirty);
    ks_unwatch(ks, &w);
}

static void test_watch_and_flush(void **state)
{
    struct ks *ks = ks_of(state);
    struct key key = test_key("watched");
    struct key absent = test_key("absent");
    _Atomic(bool) dirty = false, dirty_absent = false;
    struct ks_watch w = {.name = (uint8_t *)"watched", .name_len = 7};
    struct ks_watch w_absent = {.name = (uint8_t *)"absent", .name_len = 6};
    test_set(ks, key, "x", EXPIRY_NONE);
    ks_watch(ks, &key, &w, &dirty);
    ks_watch(ks, &absent, &w_absent, &dirty_absent);
    ks_flush_all(ks);
    assert_true(dirty);
    assert_false(dirty_absent);
    ks_unwatch(ks, &w);
    ks_unwatch(ks, &w_absent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_encodings, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_smallest_entries, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_expiry_cycle_after_flush, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_large_strings, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_discard, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_detach_moves_the_object, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_object_accounting, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_expired_keys_on_access, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_frozen_time, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_access_clocks, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_statistics, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_watch, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_watch_and_expiry, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_watch_and_flush, ks_setup, ks_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
