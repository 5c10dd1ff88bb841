#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "rng.h"

static void test_same_seed_same_numbers(void **state)
{
    struct rng a, b, c;
    rng_seed(&a, 7);
    rng_seed(&b, 7);
    rng_seed(&c, 8);
    int equal = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t x = rng_next(&a);
        assert_int_equal(x, rng_next(&b));
        equal += x == rng_next(&c);
    }
    assert_int_equal(equal, 0);
}

static void test_reference_sequence(void **state)
{
    /* xoshiro256** from the state 1, 2, 3, 4, as its published test vectors have it. */
    struct rng rng = {{1, 2, 3, 4}};
    assert_int_equal(rng_next(&rng), 11520);
    assert_int_equal(rng_next(&rng), 0);
    assert_int_equal(rng_next(&rng), 1509978240);
    assert_int_equal(rng_next(&rng), 1215971899390074240);
}

static void test_below_is_in_range_and_even(void **state)
{
    struct rng rng;
    rng_seed(&rng, 3);
    for (int i = 0; i < 100; i++)
        assert_int_equal(rng_below(&rng, 1), 0);
    unsigned counts[7] = {0};
    for (int i = 0; i < 70000; i++)
        counts[rng_below(&rng, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_in_range(counts[i], 9500, 10500);
    /* A bound just over 2^63 makes every second draw fall into the biased part. */
    uint64_t bound = (1ull << 63) + 1;
    for (int i = 0; i < 1000; i++)
        assert_true(rng_below(&rng, bound) < bound);
}

static void test_secret_fills_every_byte(void **state)
{
    uint8_t a[1000] = {0};
    uint8_t seen[1000] = {0};
    for (int round = 0; round < 8; round++) {
        random_secret(a, sizeof(a) - 1);
        assert_int_equal(a[sizeof(a) - 1], 0);
        for (size_t i = 0; i < sizeof(a); i++)
            seen[i] |= a[i];
    }
    for (size_t i = 0; i + 1 < sizeof(a); i++)
        assert_int_not_equal(seen[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_numbers),
        cmocka_unit_test(test_reference_sequence),
        cmocka_unit_test(test_below_is_in_range_and_even),
        cmocka_unit_test(test_secret_fills_every_byte),
    };
    return cmocka_run_group_tests_name("rng", tests, NULL, NULL);
}
