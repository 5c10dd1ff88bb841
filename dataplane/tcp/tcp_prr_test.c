/* Row 37 of README.md: the pace of fast recovery (RFC 6937). */
#include "test_cmocka.h"
#include "tcp_prr.h"

#define MSS 1000u

/* Every ACK delivers one segment; what the window then allows is sent. How many segments left. */
static uint32_t acks(struct tcp_prr *p, uint32_t count, uint32_t *pipe, uint32_t ssthresh)
{
    uint32_t sent = 0;
    for (uint32_t i = 0; i < count; i++) {
        *pipe -= MSS;
        uint32_t cwnd = tcp_prr_acked(p, MSS, *pipe, ssthresh, MSS);
        for (; *pipe + MSS <= cwnd; *pipe += MSS, sent++)
            p->out_bytes += MSS;
    }
    return sent;
}

static void test_row37_sends_in_proportion(void **state)
{
    struct tcp_prr p;
    tcp_prr_begin(&p, 20 * MSS);
    uint32_t pipe = 19 * MSS; /* one segment was lost */
    assert_in_range(acks(&p, 10, &pipe, 10 * MSS), 4,
                    6); /* every second ACK: no silence, no burst */
    assert_in_range(acks(&p, 9, &pipe, 10 * MSS), 4, 6);
    assert_in_range(pipe, 9 * MSS, 11 * MSS);
}

static void test_row37_no_burst_after_heavy_loss(void **state)
{
    struct tcp_prr p;
    tcp_prr_begin(&p, 20 * MSS);
    uint32_t pipe = 5 * MSS; /* fourteen were lost: far below ssthresh */
    uint32_t sent = acks(&p, 1, &pipe, 10 * MSS);
    assert_in_range(sent, 1, 2);
    assert_in_range(acks(&p, 4, &pipe, 10 * MSS), 4, 8);
    acks(&p, 20, &pipe, 10 * MSS);
    assert_in_range(pipe, 9 * MSS, 10 * MSS);
}

static void test_never_below_what_is_in_flight(void **state)
{
    struct tcp_prr p;
    tcp_prr_begin(&p, 0);
    p.out_bytes = 50 * MSS;
    assert_int_equal(tcp_prr_acked(&p, 0, 30 * MSS, 10 * MSS, MSS), 30 * MSS);
    assert_int_equal(tcp_prr_acked(&p, 0, 0, 10 * MSS, MSS), MSS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_row37_sends_in_proportion),
        cmocka_unit_test(test_row37_no_burst_after_heavy_loss),
        cmocka_unit_test(test_never_below_what_is_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
