/* Rows 35 and 36 of README.md, NewReno by RFC 5681 and CUBIC by RFC 9438. */
#include "test_cmocka.h"
#include "tcp_cc.h"
#include "tcp_limits.h"

#define MSS 1000u

static void test_row35_initial_window(void **state)
{
    assert_int_equal(tcp_cc_initial_window(1460), 14600);
    assert_int_equal(tcp_cc_initial_window(536), 5360);
    assert_int_equal(tcp_cc_initial_window(9000), 18000);
    assert_int_equal(tcp_cc_initial_window(4000), 14600);
}

static void test_row35_newreno_slow_start_then_one_segment_per_window(void **state)
{
    struct tcp_cc_state cc;
    tcp_cc_init(&cc, 10 * MSS);
    cc.ssthresh_bytes = 20 * MSS;
    struct tcp_cc_event e = {.mss = MSS, .acked_bytes = MSS};
    for (int i = 0; i < 10; i++)
        tcp_cc_newreno.acked(&cc, &e);
    assert_int_equal(cc.cwnd_bytes, 20 * MSS);
    for (int i = 0; i < 20; i++)
        tcp_cc_newreno.acked(&cc, &e);
    assert_int_equal(cc.cwnd_bytes, 21 * MSS);
}

static void test_row35_slow_start_counts_two_segments_per_ack_at_most(void **state)
{
    struct tcp_cc_state cc;
    tcp_cc_init(&cc, 10 * MSS);
    struct tcp_cc_event e = {.mss = MSS, .acked_bytes = 9 * MSS};
    tcp_cc_newreno.acked(&cc, &e);
    assert_int_equal(cc.cwnd_bytes, 12 * MSS);
}

static void test_row35_newreno_halves_what_was_in_flight(void **state)
{
    struct tcp_cc_state cc;
    tcp_cc_init(&cc, 40 * MSS);
    struct tcp_cc_event e = {.mss = MSS, .flight_bytes = 30 * MSS};
    tcp_cc_newreno.loss(&cc, &e);
    assert_int_equal(cc.ssthresh_bytes, 15 * MSS);
    assert_int_equal(cc.cwnd_bytes, 15 * MSS);
    tcp_cc_newreno.timeout(&cc, &e);
    assert_int_equal(cc.cwnd_bytes, MSS);
    e.flight_bytes = MSS;
    tcp_cc_newreno.loss(&cc, &e);
    assert_int_equal(cc.ssthresh_bytes, 2 * MSS);
}

static void test_row36_restart_falls_back_to_the_initial_window(void **state)
{
    struct tcp_cc_state cc;
    tcp_cc_init(&cc, 100 * MSS);
    tcp_cc_restart(&cc, MSS);
    assert_int_equal(cc.cwnd_bytes, 10 * MSS);
    cc.cwnd_bytes = 3 * MSS;
    tcp_cc_restart(&cc, MSS);
    assert_int_equal(cc.cwnd_bytes, 3 * MSS);
}

/* One round trip of ms milliseconds in which a whole window is acknowledged. */
static void cubic_round(struct tcp_cc_state *cc, uint32_t *now_ms, uint32_t ms)
{
    struct tcp_cc_event e = {.mss = MSS, .acked_bytes = MSS, .srtt_us = ms * 1000};
    uint32_t acks = cc->cwnd_bytes / MSS;
    for (uint32_t i = 0; i < acks; i++) {
        e.now_ms = *now_ms + i * ms / acks;
        tcp_cc_cubic_ops.acked(cc, &e);
    }
    *now_ms += ms;
}

static void test_cubic_returns_to_its_maximum_after_k(void **state)
{
    struct tcp_cc_state cc;
    tcp_cc_init(&cc, 1000 * MSS);
    struct tcp_cc_event e = {.mss = MSS, .flight_bytes = 1000 * MSS, .srtt_us = 100000};
    tcp_cc_cubic_ops.loss(&cc, &e);
    assert_int_equal(cc.cwnd_bytes, 700 * MSS);
    /* K = cbrt(300 / 0.4) = 9.09 s */
    uint32_t now_ms = 1000;
    while (now_ms < 1000 + 4500)
        cubic_round(&cc, &now_ms, 100);
    assert_in_range(cc.cwnd_bytes, 940 * MSS, 1000 * MSS); /* steep, then flat */
    while (now_ms < 1000 + 9100)
        cubic_round(&cc, &now_ms, 100);
    assert_in_range(cc.cwnd_bytes, 990 * MSS, 1010 * MSS);
    while (now_ms < 1000 + 18200)
        cubic_round(&cc, &now_ms, 100);
    assert_in_range(cc.cwnd_bytes, 1200 * MSS, 1350 * MSS); /* searching for more */
}

static void test_cubic_is_not_slower_than_reno_on_short_paths(void **state)
{
    struct tcp_cc_state cc;
    tcp_cc_init(&cc, 20 * MSS);
    struct tcp_cc_event e = {.mss = MSS, .flight_bytes = 20 * MSS, .srtt_us = 1000};
    tcp_cc_cubic_ops.loss(&cc, &e);
    assert_int_equal(cc.cwnd_bytes, 14 * MSS);
    uint32_t now_ms = 1000;
    for (int i = 0; i < 100; i++)
        cubic_round(&cc, &now_ms, 1);
    /* alpha = 0.53 segments per round trip up to w_max, one beyond: far more than the curve in 0.1
     * s. */
    assert_in_range(cc.cwnd_bytes, 90 * MSS, 115 * MSS);
}

static void test_cubic_gives_way_when_its_maximum_shrinks(void **state)
{
    struct tcp_cc_state cc;
    tcp_cc_init(&cc, 100 * MSS);
    struct tcp_cc_event e = {.mss = MSS, .flight_bytes = 100 * MSS};
    tcp_cc_cubic_ops.loss(&cc, &e);
    assert_true(cc.cubic.w_max > 99.9f && cc.cubic.w_max < 100.1f);
    e.flight_bytes = 70 * MSS;
    tcp_cc_cubic_ops.loss(&cc, &e);
    assert_true(cc.cubic.w_max > 59.0f && cc.cubic.w_max < 60.0f); /* 70 * 1.7 / 2 */
    assert_int_equal(cc.cwnd_bytes, 49 * MSS);
}

static void test_cubic_timeout(void **state)
{
    struct tcp_cc_state cc;
    tcp_cc_init(&cc, 100 * MSS);
    struct tcp_cc_event e = {.mss = MSS, .flight_bytes = 100 * MSS};
    tcp_cc_cubic_ops.timeout(&cc, &e);
    assert_int_equal(cc.cwnd_bytes, MSS);
    assert_int_equal(cc.ssthresh_bytes, 70 * MSS);
}

static void test_windows_stay_bounded(void **state)
{
    const struct tcp_cc_ops *ops[] = {&tcp_cc_newreno, &tcp_cc_cubic_ops};
    for (int i = 0; i < 2; i++) {
        struct tcp_cc_state cc;
        tcp_cc_init(&cc, 10 * MSS);
        struct tcp_cc_event e = {.mss = MSS, .acked_bytes = 2 * MSS, .srtt_us = 10000};
        for (int k = 0; k < 2000000; k++) {
            e.now_ms++;
            ops[i]->acked(&cc, &e);
        }
        assert_in_range(cc.cwnd_bytes, 1000 * MSS, TCP_CWND_MAX + 2 * MSS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_row35_initial_window),
        cmocka_unit_test(test_row35_newreno_slow_start_then_one_segment_per_window),
        cmocka_unit_test(test_row35_slow_start_counts_two_segments_per_ack_at_most),
        cmocka_unit_test(test_row35_newreno_halves_what_was_in_flight),
        cmocka_unit_test(test_row36_restart_falls_back_to_the_initial_window),
        cmocka_unit_test(test_cubic_returns_to_its_maximum_after_k),
        cmocka_unit_test(test_cubic_is_not_slower_than_reno_on_short_paths),
        cmocka_unit_test(test_cubic_gives_way_when_its_maximum_shrinks),
        cmocka_unit_test(test_cubic_timeout),
        cmocka_unit_test(test_windows_stay_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
