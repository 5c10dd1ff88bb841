#include "allocator.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void test_stats_follow_an_allocation(void **state)
{
    struct allocator_stats before, after;
    const size_t size = 64u << 20;
    allocator_stats_sample(5000000, 1000);
    allocator_stats_read(&before, 1000);
    assert_true(before.used > 1000);
    assert_int_equal(before.used, before.allocated);
    assert_int_equal(before.startup, before.allocated - 1000);
    char *block = malloc(size);
    assert_non_null(block);
    memset(block, 1, size);
    allocator_stats_sample(5000000 + ALLOCATOR_STATS_AGE_US - 1, 1000 + size);
    allocator_stats_read(&after, 1000 + size);
    assert_int_equal(after.allocated, before.allocated); /* not asked again yet … */
    assert_int_equal(after.used, before.used + size);    /* … but known to have grown */
    assert_int_equal(after.peak, after.used);
    allocator_stats_read(&after, 500);
    assert_int_equal(after.used, before.used - 500);
    allocator_stats_sample(5000000 + ALLOCATOR_STATS_AGE_US, 1000 + size);
    allocator_stats_read(&after, 1000 + size);
    assert_true(after.allocated >= before.allocated + size / 2);
    assert_int_equal(after.used, after.allocated);
    assert_int_equal(after.startup, before.startup);
    assert_true(after.process_resident >= before.process_resident + size / 2);
    assert_true(after.resident >= after.active / 2);
    assert_true(after.system_total > size);
    free(block);
    allocator_purge();
}

static void test_report_names_the_allocator(void **state)
{
    size_t len;
    char *report = allocator_report(&len);
    if (strcmp(allocator_name(), "libc") == 0)
        assert_null(report);
    else
        assert_true(report && len == strlen(report) && strstr(report, "jemalloc"));
    free(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stats_follow_an_allocation),
        cmocka_unit_test(test_report_names_the_allocator),
    };
    return cmocka_run_group_tests_name("allocator", tests, NULL, NULL);
}
