#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "clock.h"

static void test_time_moves_forward(void **state)
{
    uint64_t last = clock_now_us();
    for (int i = 0; i < 100000; i++) {
        uint64_t now = clock_now_us();
        assert_true(now >= last);
        last = now;
    }
    uint64_t start = clock_now_us();
    while (clock_now_us() == start)
        ;
}

static void test_tsc_rate_is_sane(void **state)
{
    assert_in_range(clock_tsc_hz(), 100000000u, 20000000000u);
    uint64_t before = clock_tsc();
    uint64_t start_us = clock_now_us();
    while (clock_now_us() - start_us < 1000)
        ;
    assert_true(clock_tsc() > before);
}

static void test_wall_clock_never_goes_back(void **state)
{
    int64_t last = clock_wall_refresh_ms();
    assert_true(last > 1600000000000);
    assert_int_equal(clock_wall_ms(), last);
    for (int i = 0; i < 100000; i++) {
        int64_t now = clock_wall_refresh_ms();
        assert_true(now >= last);
        last = now;
    }
    /* Read before the shared value is refreshed, so it cannot be ahead of it by a millisecond. */
    int64_t us = clock_wall_us();
    assert_true(us / 1000 <= clock_wall_refresh_ms());
}

int main(void)
{
    clock_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_moves_forward),
        cmocka_unit_test(test_tsc_rate_is_sane),
        cmocka_unit_test(test_wall_clock_never_goes_back),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
