#include "latency.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "command.h"
#include "latency_events.h"
#include "watching.h"

static void test_buckets_follow_each_other(void **state)
{
    uint32_t last = 0;
    for (uint64_t ns = 1; ns < 1000000000; ns += 1 + ns / 300) {
        uint32_t bucket = latency_bucket_of_ns(ns);
        assert_true(bucket >= last);
        assert_true(latency_bucket_top_ns(bucket) >= ns);
        assert_true(bucket == 0 || latency_bucket_top_ns(bucket - 1) < ns);
        last = bucket;
    }
}

/* Values that a redis-server 7.0.15 printed for durations in whole microseconds. */
static void test_resolution_is_that_of_redis(void **state)
{
    static const uint64_t seen[][2] = {{1000, 1003},     {4000, 4015},      {23000, 23039},
                                       {66000, 66047},   {100000, 100351},  {132000, 132095},
                                       {311000, 311295}, {1080000, 1081343}};
    for (unsigned i = 0; i < sizeof(seen) / sizeof(seen[0]); i++)
        assert_int_equal(latency_bucket_top_ns(latency_bucket_of_ns(seen[i][0])), seen[i][1]);
}

static void test_sums_over_lcores_and_reset(void **state)
{
    commands_init();
    struct latency *l = latency_new(2);
    const struct command *get = command_lookup(slice_str("get"));
    struct worker w[2] = {{.id = 0, .latency = l}, {.id = 1, .latency = l}};
    struct latency_summary s;
    assert_false(latency_summarise(l, get, &s));
    for (int i = 0; i < 99; i++)
        latency_sample(&w[0], get, 4);
    latency_sample(&w[1], get, 1000);
    assert_true(latency_summarise(l, get, &s));
    assert_int_equal(s.count, 100);
    assert_int_equal(latency_percentile_ns(&s, 50), 4015);
    assert_int_equal(latency_percentile_ns(&s, 99), 4015);
    assert_int_equal(latency_percentile_ns(&s, 99.9), 1003519);
    latency_summary_free(&s);
    latency_histograms_reset(l);
    assert_false(latency_summarise(l, get, &s));
    latency_sample(&w[1], get, 0);
    assert_true(latency_summarise(l, get, &s));
    assert_int_equal(s.count, 1);
    latency_summary_free(&s);
    latency_free(l);
}

static void test_events_keep_the_worst_of_a_second(void **state)
{
    struct latency_events *l = calloc(1, sizeof(*l));
    struct latency_event e;
    latency_events_add(l, "command", 100, 5);
    latency_events_add(l, "command", 100, 9);
    latency_events_add(l, "command", 100, 7);
    latency_events_add(l, "command", 101, 3);
    assert_true(latency_events_find(l, slice_str("COMMAND"), &e));
    assert_int_equal(e.max_ms, 9);
    assert_int_equal(latency_event_row(&e, 0)->delay_ms, 9);
    assert_int_equal(latency_event_row(&e, 1)->time_s, 101);
    assert_null(latency_event_row(&e, 2));
    assert_int_equal(latency_event_last(&e)->delay_ms, 3);
    assert_false(latency_events_find(l, slice_str("fork"), &e));
    assert_true(latency_events_reset(l, slice_str("command")));
    assert_false(latency_events_reset(l, slice_str("command")));
    assert_false(latency_events_get(l, 0, &e));
    free(l);
}

static void test_events_are_bounded(void **state)
{
    static char names[LATENCY_EVENTS_MAX + 1][4];
    struct latency_events *l = calloc(1, sizeof(*l));
    struct latency_event e;
    for (unsigned i = 0; i <= LATENCY_EVENTS_MAX; i++) {
        names[i][0] = 'e';
        names[i][1] = (char)('a' + i);
        latency_events_add(l, names[i], 1, 1);
    }
    assert_true(latency_events_find(l, slice_str(names[LATENCY_EVENTS_MAX - 1]), &e));
    assert_false(latency_events_find(l, slice_str(names[LATENCY_EVENTS_MAX]), &e));
    for (int64_t s = 2; s < 2 + 2 * LATENCY_SAMPLES; s++)
        latency_events_add(l, names[0], s, (uint64_t)s);
    assert_true(latency_events_get(l, 0, &e));
    assert_int_equal(latency_event_row(&e, 0)->time_s, 2 + LATENCY_SAMPLES);
    assert_int_equal(latency_event_row(&e, LATENCY_SAMPLES - 1)->time_s, 1 + 2 * LATENCY_SAMPLES);
    assert_null(latency_event_row(&e, LATENCY_SAMPLES));
    free(l);
}

/* ---- race: two lcores sample and note while a third thread reads ---- */

#define RACE_SAMPLES 20000

static void *race_lcore(void *arg)
{
    struct worker *w = arg;
    const struct command *get = command_lookup(slice_str("get"));
    for (int i = 0; i < RACE_SAMPLES; i++) {
        latency_sample(w, get, (uint64_t)i % 50);
        latency_events_add(latency_events_of(w->latency), "command", i / 100, (uint64_t)i);
    }
    return NULL;
}

static void test_race(void **state)
{
    commands_init();
    struct latency *l = latency_new(2);
    const struct command *get = command_lookup(slice_str("get"));
    struct worker w[2] = {{.id = 0, .latency = l}, {.id = 1, .latency = l}};
    struct latency_summary s;
    struct latency_event e;
    pthread_t threads[2];
    uint64_t last = 0;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race_lcore, &w[i]), 0);
    while (last < RACE_SAMPLES) {
        if (latency_summarise(l, get, &s)) {
            assert_true(s.count >= last);
            last = s.count;
            latency_summary_free(&s);
        }
        if (latency_events_get(latency_events_of(l), 0, &e))
            assert_true(latency_event_last(&e)->delay_ms <= e.max_ms);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_true(latency_summarise(l, get, &s));
    assert_int_equal(s.count, 2 * RACE_SAMPLES);
    latency_summary_free(&s);
    latency_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets_follow_each_other),
        cmocka_unit_test(test_resolution_is_that_of_redis),
        cmocka_unit_test(test_sums_over_lcores_and_reset),
        cmocka_unit_test(test_events_keep_the_worst_of_a_second),
        cmocka_unit_test(test_events_are_bounded),
        cmocka_unit_test(test_race),
    };
    return cmocka_run_group_tests_name("latency", tests, NULL, NULL);
}
