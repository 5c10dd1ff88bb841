#include "ks_test.h"
#include "bigstr.h"

static struct entry *inline_entry(size_t key_len, size_t value_len, int64_t expiry_ms)
{
    static uint8_t bytes[70000];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7);
    struct entry_spec spec = {.key = slice_from(bytes, key_len),
                              .type = OBJ_STRING,
                              .enc_stored = ENC_RAW,
                              .expiry_ms = expiry_ms,
                              .clock = 0xabcdef,
                              .value = slice_from(bytes + 1, value_len)};
    struct entry *e = entry_new(&spec);
    assert_non_null(e);
    assert_true(slice_equal(entry_key(e), spec.key));
    assert_true(slice_equal(entry_string(e), spec.value));
    return e;
}

static void test_layout_at_length_borders(void **state)
{
    const size_t key_lens[] = {0, 1, 10, 127, 128, 16383, 16384, 65536};
    const size_t value_lens[] = {0, 1, 32, 127, 128, 4096};
    const int64_t expiries[] = {EXPIRY_NONE, 0, 1, INT64_MAX};
    for (unsigned k = 0; k < count_of(key_lens); k++)
        for (unsigned v = 0; v < count_of(value_lens); v++)
            for (unsigned x = 0; x < count_of(expiries); x++) {
                struct entry *e = inline_entry(key_lens[k], value_lens[v], expiries[x]);
                assert_int_equal(entry_expiry_ms(e), expiries[x]);
                assert_int_equal(entry_string_len(e), value_lens[v]);
                assert_null(entry_big(e));
                entry_free(e);
            }
}

static void test_small_entry_is_48_bytes(void **state)
{
    struct entry *e = inline_entry(10, 32, EXPIRY_NONE);
    assert_int_equal(entry_alloc_bytes(e), 48);
    assert_int_equal(entry_mem_bytes(e), 48);
    entry_free(e);
    e = inline_entry(10, 32, 5);
    assert_int_equal(entry_alloc_bytes(e), 56);
    entry_free(e);
}

static void test_object_entry(void **state)
{
    int object;
    struct entry_spec spec = {.key = slice_str("k"),
                              .type = OBJ_HASH,
                              .enc_stored = ENC_LISTPACK,
                              .expiry_ms = 77,
                              .clock = 5,
                              .pointer = &object};
    struct entry *e = entry_new(&spec);
    assert_ptr_equal(entry_object(e), &object);
    assert_int_equal(entry_object_bytes(e), 0);
    entry_object_bytes_set(e, -123456789012);
    assert_int_equal(entry_object_bytes(e), -123456789012);
    entry_encoding_set(e, ENC_HASHTABLE);
    assert_int_equal(entry_encoding(e), ENC_HASHTABLE);
    assert_int_equal(entry_type(e), OBJ_HASH);
    assert_int_equal(entry_expiry_ms(e), 77);
    assert_int_equal(entry_head(e) >> HEAD_CLOCK_SHIFT, 5);
    assert_ptr_equal(entry_object(e), &object);
    entry_clock_set(e, 0xffffff);
    assert_int_equal(entry_encoding(e), ENC_HASHTABLE);
    assert_int_equal(entry_head(e) >> HEAD_CLOCK_SHIFT, 0xffffff);
    entry_free(e);
}

static void test_big_entry(void **state)
{
    static uint8_t bytes[5000];
    struct bigstr *big = bigstr_new(slice_from(bytes, sizeof(bytes)));
    struct entry_spec spec = {.key = slice_str("k"),
                              .type = OBJ_STRING,
                              .enc_stored = ENC_STORED_BIG,
                              .expiry_ms = EXPIRY_NONE,
                              .pointer = big};
    struct entry *e = entry_new(&spec);
    assert_ptr_equal(entry_big(e), big);
    assert_int_equal(entry_encoding(e), ENC_RAW);
    assert_int_equal(entry_string_len(e), 5000);
    entry_free(e);
    bigstr_put(big);
}

static void test_names(void **state)
{
    assert_string_equal(entry_type_name(OBJ_STRING), "string");
    assert_string_equal(entry_type_name(OBJ_ZSET), "zset");
    assert_string_equal(entry_type_name(OBJ_STREAM), "stream");
    assert_string_equal(entry_encoding_name(ENC_INT), "int");
    assert_string_equal(entry_encoding_name(ENC_EMBSTR), "embstr");
    assert_string_equal(entry_encoding_name(ENC_HASHTABLE), "hashtable");
    assert_string_equal(entry_encoding_name(ENC_STREAM), "stream");
}

static void test_lru_clock(void **state)
{
    int64_t now_ms = 1700000000000;
    uint32_t clock = clock_lru(now_ms);
    assert_int_equal(clock_lru_idle_s(clock, now_ms), 0);
    assert_int_equal(clock_lru_idle_s(clock, now_ms + 999), 0);
    assert_int_equal(clock_lru_idle_s(clock, now_ms + 61000), 61);
    /* 24 bits of seconds wrap after 194 days: an age across the wrap stays right. */
    int64_t wrap_ms = (INT64_C(1) << 24) * 1000 * 102;
    assert_int_equal(clock_lru(wrap_ms - 5000) >> 20, 0xf);
    assert_int_equal(clock_lru_idle_s(clock_lru(wrap_ms - 5000), wrap_ms + 5000), 10);
}

static void test_lfu_counter(void **state)
{
    test_config("lfu-decay-time", "1");
    test_config("lfu-log-factor", "10");
    int64_t now_ms = 1700000000000;
    uint32_t clock = clock_lfu_new(now_ms);
    assert_int_equal(clock_lfu_counter(clock, now_ms), 5);
    assert_int_equal(clock_lfu_counter(clock, now_ms + 3 * 60000), 2);
    assert_int_equal(clock_lfu_counter(clock, now_ms + 90 * 60000), 0);
    /* random 0 always counts: up to the top and no further. */
    for (unsigned i = 0; i < 300; i++)
        clock = clock_lfu_touch(clock, now_ms, 0);
    assert_int_equal(clock_lfu_counter(clock, now_ms), 255);
    /* With odds against it nothing changes. */
    clock = clock_lfu_touch(clock_lfu_new(now_ms) + 10, now_ms, 7);
    assert_int_equal(clock_lfu_counter(clock, now_ms), 15);
    test_config("lfu-decay-time", "0");
    assert_int_equal(clock_lfu_counter(clock, now_ms + 90 * 60000), 15);
}

/* Redis' table: about 10 after 100 hits, 18 after 1000, 142 after 100000 with factor 10. */
static void test_lfu_grows_with_the_logarithm(void **state)
{
    struct rng rng;
    rng_seed(&rng, 7);
    test_config("lfu-decay-time", "1");
    test_config("lfu-log-factor", "10");
    uint32_t clock = clock_lfu_new(0);
    for (unsigned i = 1; i <= 100000; i++) {
        clock = clock_lfu_touch(clock, 0, rng_next(&rng));
        uint8_t counter = clock_lfu_counter(clock, 0);
        if (i == 100)
            assert_in_range(counter, 6, 15);
        if (i == 1000)
            assert_in_range(counter, 12, 28);
    }
    assert_in_range(clock_lfu_counter(clock, 0), 120, 165);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout_at_length_borders),
        cmocka_unit_test(test_small_entry_is_48_bytes),
        cmocka_unit_test(test_object_entry),
        cmocka_unit_test(test_big_entry),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_lru_clock),
        cmocka_unit_test_setup_teardown(test_lfu_counter, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_lfu_grows_with_the_logarithm, ks_setup, ks_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
