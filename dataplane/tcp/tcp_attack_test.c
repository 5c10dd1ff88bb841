/* Rows 13 to 17, 53, 54 and 56 of README.md: segments that try to disturb a connection. */
#include "tcp_test.h"
#include <string.h>

static void test_row13_syn_in_synchronized_state_draws_challenge_ack(void **state)
{
    tcp_test_start(0);
    OPEN();
    SEND(.flags = SYN, .seq = 1);
    EXPECT(.seq = 1, .ack = 1);
    SEND(.flags = SYN, .seq = 5000); /* in the window */
    EXPECT(.seq = 1, .ack = 1);
    SEND(.flags = SYN, .seq = 0x80000000); /* far off */
    EXPECT(.seq = 1, .ack = 1);
    SEND(.flags = SYN | ACK, .seq = 1, .ack = 1);
    EXPECT(.seq = 1, .ack = 1);
    EXPECT_NONE();
    assert_int_equal(STATE(), TCP_ESTABLISHED);
    SEND(.seq = 1, .ack = 1, .data = "still here");
    assert_int_equal(T.user.received_len, 10);
}

static void test_row14_rst_exact_closes(void **state)
{
    tcp_test_start(0);
    OPEN();
    SEND(.flags = RST, .seq = 1);
    EXPECT_NONE();
    assert_int_equal(T.user.ended, 1);
    assert_int_equal(T.user.why, STREAM_END_RESET);
    assert_int_equal(STAT(conns_open), 0);
}

static void test_row14_rst_in_window_is_challenged(void **state)
{
    tcp_test_start(0);
    OPEN();
    SEND(.flags = RST, .seq = 2);
    EXPECT(.seq = 1, .ack = 1);
    SEND(.flags = RST, .seq = 65535);
    EXPECT(.seq = 1, .ack = 1);
    assert_int_equal(STAT(challenge_acks), 2);
    assert_int_equal(T.user.ended, 0);
}

static void test_row14_rst_outside_is_dropped(void **state)
{
    tcp_test_start(0);
    OPEN();
    SEND(.flags = RST, .seq = 0);
    SEND(.flags = RST, .seq = 65537);
    SEND(.flags = RST | ACK, .seq = 0x80000000, .ack = 1);
    EXPECT_NONE();
    assert_int_equal(STAT(challenge_acks), 0);
    assert_int_equal(STATE(), TCP_ESTABLISHED);
}

static void test_row14_rst_after_unread_data_delivers_it_first(void **state)
{
    tcp_test_start(0);
    OPEN();
    SEND_BURST(.seq = 1, .ack = 1, .data = "last words");
    SEND_BURST(.flags = RST, .seq = 11);
    ROUND();
    assert_int_equal(T.user.received_len, 10);
    assert_int_equal(T.user.ended, 1);
}

static void test_row15_ack_of_what_was_never_sent(void **state)
{
    tcp_test_start(0);
    OPEN();
    SEND(.seq = 1, .ack = 2, .data = "blind");
    EXPECT(.seq = 1, .ack = 1);
    assert_int_equal(T.user.received_len, 0);
}

static void test_row15_data_in_blind_ack_refused(void **state)
{
    T.peer.window = 1000;
    tcp_test_start(0);
    OPEN();
    /* The oldest acceptable ACK is snd_una - the largest window (RFC 5961, 5.2). */
    SEND(.seq = 1, .ack = 1 - 1001u, .data = "blind");
    EXPECT(.seq = 1, .ack = 1);
    assert_int_equal(T.user.received_len, 0);
    SEND(.seq = 1, .ack = 1 - 1000u, .data = "old");
    assert_int_equal(T.user.received_len, 3);
}

static void test_row15_segment_without_ack_is_dropped(void **state)
{
    tcp_test_start(0);
    OPEN();
    SEND(.flags = NO_FLAGS, .seq = 1, .data = "x");
    SEND(.flags = PSH, .seq = 1, .data = "x");
    EXPECT_NONE();
    assert_int_equal(T.user.received_len, 0);
}

static void test_row16_challenge_acks_limited_per_connection(void **state)
{
    tcp_test_start(0);
    OPEN();
    struct test_peer first = T.peer;
    uint32_t first_iss = T.iss;
    T.peer.port++;
    OPEN();
    for (int i = 0; i < 100; i++)
        SEND(.flags = RST, .seq = 2);
    assert_int_equal(tcp_test_drop_sent(), TCP_CHALLENGE_ACKS_MAX);
    assert_int_equal(STAT(challenge_acks_limited), 100 - TCP_CHALLENGE_ACKS_MAX);
    /* Another connection does not notice. */
    T.peer = first;
    T.iss = first_iss;
    SEND(.flags = RST, .seq = 2);
    EXPECT(.seq = 1, .ack = 1);
    /* The next period has a new allowance. */
    T.peer.port++;
    ADVANCE(TCP_CHALLENGE_PERIOD_MS);
    SEND(.flags = RST, .seq = 2);
    assert_int_equal(tcp_test_drop_sent(), 1);
}

static void test_row17_out_of_window_data_is_acked_and_dropped(void **state)
{
    tcp_test_start(0);
    OPEN();
    SEND(.seq = 1 + 65535, .ack = 1, .data = "beyond");
    EXPECT(.seq = 1, .ack = 1);
    SEND(.seq = 1 - 6u, .ack = 1, .data = "before");
    EXPECT(.seq = 1, .ack = 1);
    assert_int_equal(T.user.received_len, 0);
    assert_int_equal(STAT(out_of_window_in), 2);
}

static void out_of_window_here(uint8_t state, uint32_t seq, uint32_t ack)
{
    assert_int_equal(STATE(), state);
    SEND(.seq = ack + 70000, .ack = seq, .data = "beyond");
    EXPECT(.seq = seq, .ack = ack);
    assert_int_equal(STATE(), state);
}

static void test_row17_out_of_window_data_in_closing_states(void **state)
{
    tcp_test_start(0);
    OPEN();
    struct stream *s = T.user.stream;
    s->ops->close(s);
    ROUND();
    EXPECT(.seq = 1, .ack = 1, .flags = FIN | ACK);
    SEND(.seq = 71000, .ack = 1, .data = "beyond");
    EXPECT(.seq = 2, .ack = 1);
    SEND(.seq = 1, .ack = 2);
    out_of_window_here(TCP_FIN_WAIT_2, 2, 1);
}

static void test_row17_out_of_window_data_in_close_wait_and_last_ack(void **state)
{
    tcp_test_start(0);
    OPEN();
    SEND(.seq = 1, .ack = 1, .flags = FIN | ACK);
    EXPECT(.seq = 1, .ack = 2);
    out_of_window_here(TCP_CLOSE_WAIT, 1, 2);
    struct stream *s = T.user.stream;
    s->ops->close(s);
    ROUND();
    EXPECT(.seq = 1, .ack = 2, .flags = FIN | ACK);
    assert_int_equal(STATE(), TCP_LAST_ACK);
    SEND(.seq = 71000, .ack = 1, .data = "beyond");
    EXPECT(.seq = 2, .ack = 2);
}

static void test_row17_two_sides_that_disagree_do_not_ack_for_ever(void **state)
{
    tcp_test_start(0);
    OPEN();
    for (int i = 0; i < 1000; i++)
        SEND(.seq = 0x40000000, .ack = 1);
    assert_int_equal(tcp_test_drop_sent(), TCP_CHALLENGE_ACKS_MAX);
}

/* --- row 54: ICMP --- */

static void icmp_send(uint8_t type, uint8_t code, uint32_t seq, uint32_t rest)
{
    struct test_quote q = {.from = T.peer.addr,
                           .local = T.net.config.ip4,
                           .remote = T.peer.addr,
                           .local_port = T.port,
                           .remote_port = T.peer.port,
                           .seq = T.iss + seq};
    test_net_input(&T.net, test_frame_icmp_error(&T.net.port, &q, type, code, rest));
    ROUND();
}

static void test_row54_too_big_reduces_the_segments(void **state)
{
    tcp_test_start(0);
    OPEN();
    WRITE_PATTERN(2920);
    EXPECT(.seq = 1, .ack = 1, .len = 1460);
    EXPECT(.seq = 1461, .ack = 1, .len = 1460);
    icmp_send(3, 4, 1, 1000);
    EXPECT(.seq = 1, .ack = 1, .len = 960);
    EXPECT(.seq = 961, .ack = 1, .len = 960);
    EXPECT(.seq = 1921, .ack = 1, .len = 960);
    EXPECT(.seq = 2881, .ack = 1, .len = 40);
    assert_int_equal(STAT(pmtu_reduced), 1);
    icmp_send(3, 4, 1, 1400); /* never up again */
    assert_int_equal(INFO().mss, 960);
    SEND(.seq = 1, .ack = 2921);
    EXPECT_NONE();
}

static void test_row54_quoted_sequence_must_be_in_flight(void **state)
{
    tcp_test_start(0);
    OPEN();
    WRITE_PATTERN(100);
    EXPECT(.seq = 1, .ack = 1, .len = 100);
    icmp_send(3, 4, 0, 600);
    icmp_send(3, 4, 101, 600);
    icmp_send(3, 4, 0x12345678, 600);
    assert_int_equal(INFO().mss, 1460);
    assert_int_equal(STAT(pmtu_reduced), 0);
}

static void test_row54_too_big_in_the_middle_of_recovery(void **state)
{
    T.peer.sack_on = true;
    tcp_test_start(0);
    OPEN();
    WRITE_PATTERN(14600);
    for (uint32_t i = 3; i <= 5; i++)
        SEND(.seq = 1, .ack = 1, .sack_count = 1, .sack = {{1 + 2 * 1460, 1 + i * 1460}});
    assert_true(tcp_test_conn()->flags & TCPF_FAST_RECOVERY);
    SEND(.seq = 1, .ack = 1 + 5 * 1460); /* nothing SACKed is left, recovery goes on */
    icmp_send(3, 4, 1 + 5 * 1460, 1000);
    tcp_test_drop_sent();
    assert_null(tcp_test_conn()->board);
    SEND(.seq = 1, .ack = 14601);
    assert_int_equal(T.user.stream->out.len, 0);
}

static void test_row54_mtu_has_a_floor(void **state)
{
    tcp_test_start(0);
    OPEN();
    WRITE_PATTERN(100);
    EXPECT(.seq = 1, .ack = 1, .len = 100);
    icmp_send(3, 4, 1, 68);
    assert_true(INFO().mss >= TCP_MSS_FLOOR);
}

static void test_row54_errors_do_not_end_an_open_connection(void **state)
{
    tcp_test_start(0);
    OPEN();
    WRITE_PATTERN(100);
    EXPECT(.seq = 1, .ack = 1, .len = 100);
    for (uint8_t code = 0; code < 16; code++)
        if (code != 4)
            icmp_send(3, code, 1, 0);
    icmp_send(11, 0, 1, 0);
    assert_int_equal(T.user.ended, 0);
    assert_int_equal(STATE(), TCP_ESTABLISHED);
}

static void test_row54_hard_error_refuses_a_connect(void **state)
{
    tcp_test_start(0);
    tcp_test_connect_start();
    EXPECT(.flags = SYN, .mss = 1460, .scale_on = true, .sack_ok = true);
    icmp_send(3, 3, 7, 0); /* another sequence number */
    assert_int_equal(T.user.ended, 0);
    icmp_send(3, 3, 0, 0);
    assert_int_equal(T.user.ended, 1);
    assert_int_equal(T.user.why, STREAM_END_REFUSED);
}

static void test_row56_land_and_port_zero_are_dropped(void **state)
{
    tcp_test_start(0);
    struct l4_packet p = {.src = T.net.config.ip4, .dst = T.net.config.ip4, .checksum_good = true};
    struct rte_tcp_hdr h = {.src_port = __builtin_bswap16(T.port),
                            .dst_port = __builtin_bswap16(T.port),
                            .data_off = 5 << 4,
                            .tcp_flags = SYN};
    tcp_input_segment(T.tcp, test_frame_raw(&T.net.port, &h, sizeof(h)), &p);
    p.src = T.peer.addr;
    h.src_port = 0;
    tcp_input_segment(T.tcp, test_frame_raw(&T.net.port, &h, sizeof(h)), &p);
    ROUND();
    EXPECT_NONE();
    assert_int_equal(STAT(header_bad), 2);
    assert_int_equal(STAT(conns_open), 0);
}

static void test_row53_header_lies(void **state)
{
    tcp_test_start(0);
    struct l4_packet p = {.src = T.peer.addr, .dst = T.net.config.ip4, .checksum_good = true};
    struct rte_tcp_hdr h = {.src_port = 1, .dst_port = __builtin_bswap16(T.port), .tcp_flags = SYN};
    for (unsigned words = 0; words < 16; words++) {
        if (words == 5)
            continue;
        h.data_off = (uint8_t)(words << 4);
        tcp_input_segment(T.tcp, test_frame_raw(&T.net.port, &h, sizeof(h)), &p);
    }
    tcp_input_segment(T.tcp, test_frame_raw(&T.net.port, &h, 19), &p);
    assert_int_equal(STAT(header_bad), 16);
    p.checksum_good = false;
    h.data_off = 5 << 4;
    tcp_input_segment(T.tcp, test_frame_raw(&T.net.port, &h, sizeof(h)), &p);
    assert_int_equal(STAT(checksum_bad), 1);
    ROUND();
    EXPECT_NONE();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TCP_TEST(test_row13_syn_in_synchronized_state_draws_challenge_ack),
        TCP_TEST(test_row14_rst_exact_closes),
        TCP_TEST(test_row14_rst_in_window_is_challenged),
        TCP_TEST(test_row14_rst_outside_is_dropped),
        TCP_TEST(test_row14_rst_after_unread_data_delivers_it_first),
        TCP_TEST(test_row15_ack_of_what_was_never_sent),
        TCP_TEST(test_row15_data_in_blind_ack_refused),
        TCP_TEST(test_row15_segment_without_ack_is_dropped),
        TCP_TEST(test_row16_challenge_acks_limited_per_connection),
        TCP_TEST(test_row17_out_of_window_data_is_acked_and_dropped),
        TCP_TEST(test_row17_out_of_window_data_in_closing_states),
        TCP_TEST(test_row17_out_of_window_data_in_close_wait_and_last_ack),
        TCP_TEST(test_row17_two_sides_that_disagree_do_not_ack_for_ever),
        TCP_TEST(test_row53_header_lies),
        TCP_TEST(test_row54_too_big_reduces_the_segments),
        TCP_TEST(test_row54_quoted_sequence_must_be_in_flight),
        TCP_TEST(test_row54_too_big_in_the_middle_of_recovery),
        TCP_TEST(test_row54_mtu_has_a_floor),
        TCP_TEST(test_row54_errors_do_not_end_an_open_connection),
        TCP_TEST(test_row54_hard_error_refuses_a_connect),
        TCP_TEST(test_row56_land_and_port_zero_are_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
