#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include "check.h"
#include "intset.h"
#include "rng.h"

static uint8_t *intset_of(const int64_t *values, size_t n)
{
    uint8_t *is = intset_new();
    for (size_t i = 0; i < n; i++)
        assert_int_equal(intset_add(&is, values[i]), INTSET_CHANGED);
    return is;
}

static void test_bytes_are_those_of_the_format(void **state)
{
    uint8_t *is = intset_of((const int64_t[]){5, -2, 300}, 3);
    static const uint8_t narrow[] = {2, 0, 0, 0, 3, 0, 0, 0, 0xfe, 0xff, 5, 0, 0x2c, 1};
    assert_int_equal(intset_bytes(is), sizeof(narrow));
    assert_memory_equal(is, narrow, sizeof(narrow));
    assert_int_equal(intset_add(&is, -70000), INTSET_CHANGED);
    static const uint8_t wider[] = {4,    0,    0,    0,    4, 0, 0, 0, 0x90, 0xee, 0xfe, 0xff,
                                    0xfe, 0xff, 0xff, 0xff, 5, 0, 0, 0, 0x2c, 1,    0,    0};
    assert_int_equal(intset_bytes(is), sizeof(wider));
    assert_memory_equal(is, wider, sizeof(wider));
    free(is);
}

static void test_width_grows_and_never_shrinks(void **state)
{
    uint8_t *is = intset_of((const int64_t[]){1, INT64_MAX, INT64_MIN}, 3);
    assert_int_equal(is[0], 8);
    assert_int_equal(intset_at(is, 0), INT64_MIN);
    assert_int_equal(intset_at(is, 2), INT64_MAX);
    assert_true(intset_remove(&is, INT64_MAX));
    assert_true(intset_remove(&is, INT64_MIN));
    assert_false(intset_remove(&is, INT64_MIN));
    assert_int_equal(is[0], 8);
    assert_int_equal(intset_at(is, 0), 1);
    free(is);
}

#define RANGE 512

static void test_random_changes_against_a_model(void **state)
{
    struct rng rng;
    rng_seed(&rng, 3);
    for (int64_t scale = 1; scale <= (int64_t)1 << 40; scale <<= 20) {
        bool present[RANGE] = {false};
        uint8_t *is = intset_new();
        for (unsigned i = 0; i < 5000; i++) {
            int64_t index = (int64_t)rng_below(&rng, RANGE);
            int64_t value = (index - RANGE / 2) * scale;
            bool add = rng_below(&rng, 2);
            if (add)
                assert_int_equal(intset_add(&is, value),
                                 present[index] ? INTSET_UNCHANGED : INTSET_CHANGED);
            else
                assert_int_equal(intset_remove(&is, value), present[index]);
            present[index] = add;
            assert_true(intset_validate(slice_from(is, intset_bytes(is))));
        }
        uint32_t at = 0;
        for (int64_t i = 0; i < RANGE; i++) {
            assert_int_equal(intset_contains(is, (i - RANGE / 2) * scale), present[i]);
            if (present[i])
                assert_int_equal(intset_at(is, at++), (i - RANGE / 2) * scale);
        }
        assert_int_equal(at, intset_count(is));
        free(is);
    }
}

static void test_damaged_blocks_are_refused(void **state)
{
    uint8_t *is = intset_of((const int64_t[]){1, 2, 3}, 3);
    size_t len = intset_bytes(is);
    assert_true(intset_validate(slice_from(is, len)));
    for (size_t cut = 0; cut < len; cut++)
        assert_false(intset_validate(slice_from(is, cut)));
    static const struct {
        size_t at;
        uint8_t value;
    } rows[] = {{0, 3}, {0, 4}, {1, 1}, {4, 2}, {4, 4}, {7, 0x80}, {8, 2}, {10, 3}, {13, 0x80}};
    for (size_t i = 0; i < count_of(rows); i++) {
        uint8_t kept = is[rows[i].at];
        is[rows[i].at] = rows[i].value;
        assert_false(intset_validate(slice_from(is, len)));
        is[rows[i].at] = kept;
    }
    free(is);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_are_those_of_the_format),
        cmocka_unit_test(test_width_grows_and_never_shrinks),
        cmocka_unit_test(test_random_changes_against_a_model),
        cmocka_unit_test(test_damaged_blocks_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
