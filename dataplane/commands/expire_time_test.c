#include "expire_time.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "entry.h"

static void test_relative_and_absolute_times(void **state)
{
    int64_t when_ms;
    assert_true(expire_time_resolve(10, true, 5000, &when_ms));
    assert_int_equal(when_ms, 15000);
    assert_true(expire_time_resolve(-10, true, 5000, &when_ms));
    assert_int_equal(when_ms, -5000);
    assert_true(expire_time_resolve(1700000000123, false, 0, &when_ms));
    assert_int_equal(when_ms, 1700000000123);
}

static void test_overflow_is_refused(void **state)
{
    int64_t when_ms;
    assert_false(expire_time_resolve(INT64_MAX / 1000 + 1, true, 0, &when_ms));
    assert_false(expire_time_resolve(INT64_MIN / 1000 - 1, true, 0, &when_ms));
    assert_false(expire_time_resolve(INT64_MAX, false, 1, &when_ms));
    assert_true(expire_time_resolve(INT64_MAX, false, 0, &when_ms));
    assert_true(expire_time_resolve(INT64_MIN, false, 1, &when_ms));
}

static void test_conditions(void **state)
{
    assert_true(expire_allowed(0, EXPIRY_NONE, 5));
    assert_true(expire_allowed(EXPIRE_NX, EXPIRY_NONE, 5));
    assert_false(expire_allowed(EXPIRE_NX, 3, 5));
    assert_true(expire_allowed(EXPIRE_XX, 3, 5));
    assert_false(expire_allowed(EXPIRE_XX, EXPIRY_NONE, 5));
    assert_true(expire_allowed(EXPIRE_GT, 3, 5));
    assert_false(expire_allowed(EXPIRE_GT, 5, 5));
    assert_false(expire_allowed(EXPIRE_GT, EXPIRY_NONE, 5));
    assert_true(expire_allowed(EXPIRE_LT, 6, 5));
    assert_false(expire_allowed(EXPIRE_LT, 5, 5));
    assert_true(expire_allowed(EXPIRE_LT, EXPIRY_NONE, 5));
    assert_false(expire_allowed(EXPIRE_XX | EXPIRE_LT, EXPIRY_NONE, 5));
}

static void test_time_left_is_rounded_to_seconds(void **state)
{
    assert_int_equal(expire_left(10499, 10000, true), 0);
    assert_int_equal(expire_left(10500, 10000, true), 1);
    assert_int_equal(expire_left(10499, 10000, false), 499);
    assert_int_equal(expire_left(9000, 10000, true), 0);
    assert_int_equal(expire_left(9000, 10000, false), 0);
    assert_int_equal(expire_left(INT64_MAX, 0, true), INT64_MAX / 1000 + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_relative_and_absolute_times),
        cmocka_unit_test(test_overflow_is_refused),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_time_left_is_rounded_to_seconds),
    };
    return cmocka_run_group_tests_name("expire_time", tests, NULL, NULL);
}
