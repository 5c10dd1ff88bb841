/* Row 32 of README.md: RTT and RTO by RFC 6298. */
#include "test_cmocka.h"
#include "tcp_limits.h"
#include "tcp_rtt.h"

static void test_row32_first_sample(void **state)
{
    struct tcp_rtt r;
    tcp_rtt_init(&r);
    assert_int_equal(tcp_rtt_rto_ms(&r), 1000);
    tcp_rtt_sample(&r, 400000);
    assert_int_equal(r.srtt_us, 400000);
    assert_int_equal(r.rttvar_us, 200000);
    assert_int_equal(tcp_rtt_rto_ms(&r), 1200);
}

static void test_row32_following_samples(void **state)
{
    struct tcp_rtt r;
    tcp_rtt_init(&r);
    tcp_rtt_sample(&r, 400000);
    tcp_rtt_sample(&r, 800000);
    /* RTTVAR = 3/4 * 200 + 1/4 * 400 = 250; SRTT = 7/8 * 400 + 1/8 * 800 = 450 */
    assert_int_equal(r.rttvar_us, 250000);
    assert_int_equal(r.srtt_us, 450000);
    assert_int_equal(tcp_rtt_rto_ms(&r), 1450);
}

static void test_row32_bounds(void **state)
{
    struct tcp_rtt r;
    tcp_rtt_init(&r);
    tcp_rtt_sample(&r, 0);
    assert_int_equal(tcp_rtt_rto_ms(&r), TCP_RTO_MIN_MS);
    for (int i = 0; i < 100; i++)
        tcp_rtt_sample(&r, UINT32_MAX);
    assert_int_equal(tcp_rtt_rto_ms(&r), TCP_RTO_MAX_MS);
}

static void test_row32_steady_path_converges(void **state)
{
    struct tcp_rtt r;
    tcp_rtt_init(&r);
    for (int i = 0; i < 200; i++)
        tcp_rtt_sample(&r, 500000);
    assert_in_range(r.srtt_us, 499900, 500000);
    assert_in_range(tcp_rtt_rto_ms(&r), 500, 502);
}

static void test_row33_backoff_doubles_and_a_sample_ends_it(void **state)
{
    struct tcp_rtt r;
    tcp_rtt_init(&r);
    tcp_rtt_sample(&r, 400000);
    tcp_rtt_backoff(&r);
    assert_int_equal(tcp_rtt_rto_ms(&r), 2400);
    for (int i = 0; i < 1000; i++)
        tcp_rtt_backoff(&r);
    assert_int_equal(tcp_rtt_rto_ms(&r), TCP_RTO_MAX_MS);
    tcp_rtt_sample(&r, 400000);
    assert_in_range(tcp_rtt_rto_ms(&r), 400, 1200);
}

static void test_row06_lost_syn_raises_the_first_rto(void **state)
{
    struct tcp_rtt r;
    tcp_rtt_init(&r);
    tcp_rtt_backoff(&r);
    tcp_rtt_syn_lost(&r);
    assert_int_equal(tcp_rtt_rto_ms(&r), 3000);
    tcp_rtt_init(&r);
    tcp_rtt_sample(&r, 10000); /* by timestamp */
    tcp_rtt_syn_lost(&r);
    assert_int_equal(tcp_rtt_rto_ms(&r), TCP_RTO_MIN_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_row32_first_sample),
        cmocka_unit_test(test_row32_following_samples),
        cmocka_unit_test(test_row32_bounds),
        cmocka_unit_test(test_row32_steady_path_converges),
        cmocka_unit_test(test_row33_backoff_doubles_and_a_sample_ends_it),
        cmocka_unit_test(test_row06_lost_syn_raises_the_first_rto),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
