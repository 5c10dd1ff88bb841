/* Options as a peer may send them, well-formed or not. */
#include "test_cmocka.h"
#include <string.h>
#include "rng.h"
#include "tcp_options.h"

#define PARSE(syn, ...)                                   \
    do {                                                  \
        const uint8_t bytes[] = {__VA_ARGS__};            \
        tcp_options_parse(bytes, sizeof(bytes), syn, &o); \
    } while (0)

static void test_round_trip(void **state)
{
    uint8_t p[TCP_OPTIONS_MAX];
    size_t len = tcp_options_put_mss(p, 1460);
    len += tcp_options_put_sack_permitted(p + len);
    len += tcp_options_put_ts(p + len, 0x01020304, 0xa1a2a3a4);
    len += tcp_options_put_scale(p + len, 9);
    assert_int_equal(len, 24);
    struct tcp_options o;
    tcp_options_parse(p, len, true, &o);
    assert_true(o.has_mss && o.has_ts && o.has_scale && o.sack_permitted);
    assert_int_equal(o.mss, 1460);
    assert_int_equal(o.scale, 9);
    assert_int_equal(o.ts_val, 0x01020304);
    assert_int_equal(o.ts_ecr, 0xa1a2a3a4);
    const struct tcp_block blocks[4] = {{1, 2}, {3, 4}, {5, 6}, {0xfffffff0, 10}};
    len = tcp_options_put_sack(p, blocks, 4);
    assert_int_equal(len, 36);
    tcp_options_parse(p, len, false, &o);
    assert_int_equal(o.sack_count, 4);
    assert_memory_equal(o.sack, blocks, sizeof(blocks));
}

static void test_options_of_a_syn_count_only_there(void **state)
{
    struct tcp_options o;
    PARSE(false, 2, 4, 5, 0xb4, 1, 3, 3, 7, 4, 2, 0, 0);
    assert_false(o.has_mss || o.has_scale || o.sack_permitted);
    PARSE(true, 2, 4, 5, 0xb4, 1, 3, 3, 7, 4, 2, 0, 0);
    assert_true(o.has_mss && o.has_scale && o.sack_permitted);
}

static void test_lengths_that_lie_end_the_parsing(void **state)
{
    struct tcp_options o;
    PARSE(true, 99, 0, 2, 4, 5, 0xb4);
    assert_false(o.has_mss);
    PARSE(true, 99, 1, 2, 4, 5, 0xb4);
    assert_false(o.has_mss);
    PARSE(true, 2, 4, 5);
    assert_false(o.has_mss);
    PARSE(true, 2);
    assert_false(o.has_mss);
    PARSE(false, 8, 10, 0, 0, 0, 1, 0, 0, 0);
    assert_false(o.has_ts);
    PARSE(false, 5, 255, 0, 0, 0, 1);
    assert_int_equal(o.sack_count, 0);
}

static void test_wrong_sizes_are_skipped(void **state)
{
    struct tcp_options o;
    PARSE(true, 2, 3, 5, 3, 4, 1, 1, 8, 9, 0, 0, 0, 1, 0, 0, 0, 5, 6, 1, 2, 3, 4, 5, 2, 2, 4, 5,
          0xb4);
    assert_false(o.has_scale || o.has_ts);
    assert_int_equal(o.sack_count, 0);
    assert_int_equal(o.mss, 1460);
}

static void test_the_first_of_repeated_options_counts(void **state)
{
    struct tcp_options o;
    PARSE(true, 2, 4, 5, 0xb4, 2, 4, 1, 1, 3, 3, 2, 3, 3, 9);
    assert_int_equal(o.mss, 1460);
    assert_int_equal(o.scale, 2);
}

static void test_end_of_options_hides_the_rest(void **state)
{
    struct tcp_options o;
    PARSE(true, 1, 1, 0, 2, 4, 5, 0xb4);
    assert_false(o.has_mss);
}

static void test_unknown_options_are_skipped(void **state)
{
    struct tcp_options o;
    PARSE(true, 34, 2, 253, 4, 1, 2, 2, 4, 5, 0xb4);
    assert_int_equal(o.mss, 1460);
}

static void test_random_bytes_stay_inside(void **state)
{
    struct rng rng;
    rng_seed(&rng, 1);
    for (int i = 0; i < 200000; i++) {
        size_t len = rng_below(&rng, TCP_OPTIONS_MAX + 1);
        uint8_t *p = test_malloc(len ? len : 1); /* exact: the sanitizer sees a step too far */
        for (size_t k = 0; k < len; k++)
            p[k] = (uint8_t)rng_below(&rng, rng_below(&rng, 2) ? 12 : 256);
        struct tcp_options o;
        tcp_options_parse(p, len, i & 1, &o);
        assert_true(o.sack_count <= TCP_SACK_BLOCKS_MAX);
        assert_true(o.scale <= 14);
        test_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_options_of_a_syn_count_only_there),
        cmocka_unit_test(test_lengths_that_lie_end_the_parsing),
        cmocka_unit_test(test_wrong_sizes_are_skipped),
        cmocka_unit_test(test_the_first_of_repeated_options_counts),
        cmocka_unit_test(test_end_of_options_hides_the_rest),
        cmocka_unit_test(test_unknown_options_are_skipped),
        cmocka_unit_test(test_random_bytes_stay_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
