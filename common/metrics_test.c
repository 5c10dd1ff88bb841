#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>
#include "metrics.h"

static void *count_on_block(void *arg)
{
    metrics_attach((int)(intptr_t)arg);
    for (int i = 0; i < 100000; i++)
        metric_inc(rx_packets);
    metric_add(rx_packets, 5);
    return NULL;
}

static void test_sum_over_blocks(void **state)
{
    uint64_t before = metric_sum(METRIC_rx_packets);
    pthread_t threads[3];
    for (intptr_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_on_block, (void *)i), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(metric_sum(METRIC_rx_packets) - before, 3 * 100005);
}

static void test_reset(void **state)
{
    metrics_attach(LCORES_MAX - 1);
    metric_add(tx_packets, 7);
    assert_int_equal(metric_sum(METRIC_tx_packets), 7);
    metrics_reset();
    assert_int_equal(metric_sum(METRIC_tx_packets), 0);
    metric_inc(tx_packets);
    assert_int_equal(metric_sum(METRIC_tx_packets), 1);
}

static void test_every_row_counts_for_itself(void **state)
{
    metrics_reset();
#define METRIC(name, help)                                  \
    metric_add(name, METRIC_##name + 1);                    \
    assert_string_equal(metric_name(METRIC_##name), #name); \
    assert_true(strlen(metric_help(METRIC_##name)) > 0);
#include "metrics.def"
#undef METRIC
    for (int id = 0; id < METRIC_COUNT; id++)
        assert_int_equal(metric_sum((enum metric_id)id), id + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sum_over_blocks),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_every_row_counts_for_itself),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
