/* Rows 30, 31, 41 to 45 and 55 of README.md: windows, timestamps, the choice of ports. */
#include "tcp_test.h"

#define MSS 1460u

/* --- timestamps --- */

static void open_ts(void)
{
    T.peer.ts_on = true;
    tcp_test_start(0);
    OPEN();
}

static void test_row30_echo_is_of_the_earliest_unacknowledged_segment(void **state)
{
    open_ts();
    uint32_t ts = T.peer.ts;
    SEND_BURST(.seq = 1, .ack = 1, .len = 10, .ts_val = ts + 10);
    SEND_BURST(.seq = 11, .ack = 1, .len = 10, .ts_val = ts + 20);
    ROUND();
    ADVANCE(TCP_DELAYED_ACK_MS);
    EXPECT(.seq = 1, .ack = 21, .ts_ecr = ts + 10);
}

static void test_row30_echo_ignores_out_of_order_segments(void **state)
{
    open_ts();
    uint32_t ts = T.peer.ts;
    SEND(.seq = 101, .ack = 1, .len = 10, .ts_val = ts + 50);
    EXPECT(.seq = 1, .ack = 1, .ts_ecr = ts);
    SEND(.seq = 1, .ack = 1, .len = 100, .ts_val = ts + 60); /* fills the gap */
    EXPECT(.seq = 1, .ack = 111, .ts_ecr = ts + 60);
}

static void test_row30_paws_drops_and_acks(void **state)
{
    open_ts();
    uint32_t ts = T.peer.ts;
    SEND(.seq = 1, .ack = 1, .len = 10, .ts_val = ts + 10);
    ADVANCE(TCP_DELAYED_ACK_MS);
    EXPECT(.seq = 1, .ack = 11);
    SEND(.seq = 11, .ack = 1, .len = 10, .ts_val = ts + 9);
    EXPECT(.seq = 1, .ack = 11, .ts_ecr = ts + 10);
    assert_int_equal(STAT(paws_drops), 1);
    assert_int_equal(T.user.received_len, 10);
}

static void test_row30_paws_exempts_rst(void **state)
{
    open_ts();
    SEND(.seq = 1, .flags = RST, .ts_val = T.peer.ts - 1000);
    assert_int_equal(T.user.ended, 1);
}

static void test_row30_paws_forgets_after_24_days(void **state)
{
    open_ts();
    uint32_t ts = T.peer.ts;
    ADVANCE(25ull * 86400 * 1000);
    SEND(.seq = 1, .ack = 1, .len = 10, .ts_val = ts - 5);
    assert_int_equal(T.user.received_len, 10);
}

static void test_row31_segment_without_timestamp_is_accepted(void **state)
{
    open_ts();
    SEND(.seq = 1, .ack = 1, .len = 10, .no_ts = true);
    assert_int_equal(T.user.received_len, 10);
    WRITE("x");
    EXPECT(.seq = 1, .ack = 11, .data = "x", .ts_ecr = T.peer.ts);
    SEND(.seq = 11, .ack = 2, .no_ts = true);
    assert_int_equal(T.user.drained, 1);
}

static void test_no_timestamps_unless_offered(void **state)
{
    tcp_test_start(0);
    OPEN();
    WRITE("x");
    EXPECT(.seq = 1, .ack = 1, .data = "x", .no_ts = true);
}

/* --- silly windows --- */

static void test_row41_nagle_is_off(void **state)
{
    tcp_test_start(0);
    OPEN();
    WRITE("a");
    WRITE("b");
    WRITE("c");
    EXPECT(.seq = 1, .ack = 1, .data = "a");
    EXPECT(.seq = 2, .ack = 1, .data = "b");
    EXPECT(.seq = 3, .ack = 1, .data = "c");
}

static void test_row41_sender_waits_for_a_window_worth_a_segment(void **state)
{
    T.peer.window = 4 * MSS;
    tcp_test_start(0);
    OPEN();
    WRITE_PATTERN(10 * MSS);
    for (uint32_t i = 0; i < 4; i++)
        EXPECT(.seq = 1 + i * MSS, .ack = 1, .len = MSS);
    SEND(.seq = 1, .ack = 1 + 4 * MSS,
         .window = 500); /* less than a segment, than half the window */
    EXPECT_NONE();
    SEND(.seq = 1, .ack = 1 + 4 * MSS, .window = MSS);
    EXPECT(.seq = 1 + 4 * MSS, .ack = 1, .len = MSS);
}

static void test_row41_override_timer_sends_into_a_small_window(void **state)
{
    T.peer.window = 4 * MSS;
    tcp_test_start(0);
    OPEN();
    WRITE_PATTERN(10 * MSS);
    tcp_test_drop_sent();
    SEND(.seq = 1, .ack = 1 + 4 * MSS, .window = 500);
    EXPECT_NONE();
    ADVANCE(TCP_RTO_MIN_MS);
    EXPECT(.seq = 1 + 4 * MSS, .ack = 1, .len = 500);
    EXPECT_NONE();
}

static void test_row41_small_peer_window_uses_half_of_it(void **state)
{
    T.peer.window = 100;
    tcp_test_start(0);
    OPEN();
    WRITE_PATTERN(1000);
    EXPECT(.seq = 1, .ack = 1, .len = 100);
    SEND(.seq = 1, .ack = 101, .window = 49);
    EXPECT_NONE();
    SEND(.seq = 1, .ack = 101, .window = 50);
    EXPECT(.seq = 101, .ack = 1, .len = 50);
}

static void hold_full_window(void)
{
    T.user.hold = true;
    tcp_test_start(0);
    OPEN();
    uint32_t seq = 1;
    for (; seq + MSS <= 65536; seq += MSS) {
        SEND(.seq = seq, .ack = 1, .len = MSS);
        tcp_test_drop_sent();
    }
    SEND(.seq = seq, .ack = 1, .len = 65536 - seq);
    ADVANCE(TCP_DELAYED_ACK_MS);
    tcp_test_drop_sent();
    assert_int_equal(INFO().rcv_wnd, 0);
}

static void user_reads(uint32_t len)
{
    struct stream *s = T.user.stream;
    while (len) {
        struct slice piece = s->ops->peek(s);
        size_t take = piece.len < len ? piece.len : len;
        s->ops->consume(s, take);
        len -= (uint32_t)take;
    }
    ROUND();
}

static void test_row41_receiver_offers_no_silly_window_not_even_to_probes(void **state)
{
    hold_full_window();
    user_reads(100);
    EXPECT_NONE();
    SEND(.seq = 65536, .ack = 1, .len = 1); /* a probe with a byte */
    EXPECT(.seq = 1, .ack = 65536, .window = ZERO_WINDOW);
    SEND(.seq = 65535, .ack = 1); /* one without */
    EXPECT(.seq = 1, .ack = 65536, .window = ZERO_WINDOW);
    user_reads(MSS);
    EXPECT(.seq = 1, .ack = 65536, .window = MSS + 100);
}

/* --- closed windows --- */

static void test_row42_persist_backs_off_and_never_kills_a_peer_that_answers(void **state)
{
    T.config.user_timeout_s = 60;
    T.peer.window = ZERO_WINDOW;
    tcp_test_start(0);
    OPEN();
    WRITE_PATTERN(100);
    EXPECT_NONE();
    uint64_t wait_ms = TCP_RTO_MIN_MS;
    for (int i = 0; i < 20; i++) {
        ADVANCE(wait_ms - 1);
        EXPECT_NONE();
        ADVANCE(1);
        EXPECT(.seq = 0, .ack = 1);
        SEND(.seq = 1, .ack = 1);
        wait_ms = wait_ms * 2 > TCP_RTO_MAX_MS ? TCP_RTO_MAX_MS : wait_ms * 2;
    }
    assert_int_equal(T.user.ended, 0);
    assert_int_equal(STAT(persist_probes), 20);
    SEND(.seq = 1, .ack = 1, .window = 1000);
    EXPECT(.seq = 1, .ack = 1, .len = 100);
}

static void test_row42_persist_gives_up_on_a_silent_peer(void **state)
{
    T.config.user_timeout_s = 60;
    T.peer.window = ZERO_WINDOW;
    tcp_test_start(0);
    OPEN();
    WRITE_PATTERN(100);
    ADVANCE(60000); /* counted from the first probe */
    assert_int_equal(T.user.ended, 0);
    ADVANCE(TCP_RTO_MIN_MS);
    tcp_test_drop_sent();
    assert_int_equal(T.user.ended, 1);
    assert_int_equal(T.user.why, STREAM_END_TIMEOUT);
}

static void test_row42_our_closed_window_answers_probes(void **state)
{
    hold_full_window();
    for (int i = 0; i < 50; i++) {
        SEND(.seq = 65536, .ack = 1, .len = 1);
        EXPECT(.seq = 1, .ack = 65536, .window = ZERO_WINDOW);
    }
    EXPECT_NONE();
    assert_int_equal(INFO().rx_queued_bytes, 65535);
}

static void test_row42_closed_window_takes_acks(void **state)
{
    T.user.hold = true;
    tcp_test_start(0);
    OPEN();
    WRITE_PATTERN(100);
    tcp_test_drop_sent();
    for (uint32_t seq = 1; seq < 65536; seq += 1285)
        SEND(.seq = seq, .ack = 1, .len = 1285);
    tcp_test_drop_sent();
    SEND(.seq = 65536, .ack = 101); /* in order, no data */
    assert_int_equal(T.user.drained, 1);
    WRITE_PATTERN(10);
    tcp_test_drop_sent();
    SEND(.seq = 65536, .ack = 111, .len = 1); /* a probe that acknowledges */
    assert_int_equal(T.user.drained, 2);
}

static void test_row43_two_closed_windows_do_not_ack_for_ever(void **state)
{
    hold_full_window();
    T.peer.window = ZERO_WINDOW;
    SEND(.seq = 65536, .ack = 1);
    WRITE_PATTERN(100);
    EXPECT_NONE();
    uint32_t sent = 0;
    for (int ms = 0; ms < 10000; ms += 100) {
        ADVANCE(100);
        while (test_port_take_segment(&T.net.port, &T.last)) {
            sent++;
            /* The peer answers a probe as we would: a bare ACK at its own sequence number. */
            if (T.last.seq - T.iss == 0)
                SEND(.seq = 65536, .ack = 1);
        }
    }
    assert_true(sent <= 6);
}

static void test_row44_peer_shrinks_its_window(void **state)
{
    T.peer.window = 10 * MSS;
    tcp_test_start(0);
    OPEN();
    WRITE_PATTERN(20 * MSS);
    assert_int_equal(tcp_test_drop_sent(), 10);
    SEND(.seq = 1, .ack = 1 + MSS,
         .window = 2 * MSS); /* the right edge moves back by seven segments */
    EXPECT_NONE();
    ADVANCE(INFO().rto_us / 1000);
    EXPECT(.seq = 1 + MSS, .ack = 1, .len = MSS);
    SEND(.seq = 1, .ack = 1 + 10 * MSS, .window = 2 * MSS);
    EXPECT(.seq = 1 + 10 * MSS, .ack = 1, .len = MSS);
    EXPECT(.seq = 1 + 11 * MSS, .ack = 1, .len = MSS);
    EXPECT_NONE();
}

static void test_row44_window_closes_under_data_in_flight(void **state)
{
    T.config.user_timeout_s = 30;
    tcp_test_start(0);
    OPEN();
    WRITE_PATTERN(3 * MSS);
    tcp_test_drop_sent();
    SEND(.seq = 1, .ack = 1, .window = ZERO_WINDOW);
    for (int i = 0; i < 20; i++) {
        ADVANCE(5000);
        if (tcp_test_drop_sent())
            SEND(.seq = 1, .ack = 1, .window = ZERO_WINDOW);
    }
    assert_int_equal(T.user.ended, 0);
    SEND(.seq = 1, .ack = 1, .window = 60000);
    EXPECT(.seq = 1, .ack = 1, .len = MSS);
    SEND(.seq = 1, .ack = 1 + 3 * MSS);
    assert_int_equal(T.user.stream->out.len, 0);
}

static void test_row45_window_reopens_with_an_update(void **state)
{
    hold_full_window();
    user_reads(30000);
    EXPECT(.seq = 1, .ack = 65536, .any_sack = true);
    assert_true(T.last.window >= 2 * MSS);
    user_reads(35535);
    SEND(.seq = 65536, .ack = 1, .len = 10);
    ADVANCE(TCP_DELAYED_ACK_MS);
    assert_true(tcp_test_drop_sent() > 0);
    assert_int_equal(INFO().rcv_wnd, 65535 - 10);
}

static void test_row45_peer_update_starts_the_sender(void **state)
{
    T.peer.window = ZERO_WINDOW;
    tcp_test_start(0);
    OPEN();
    WRITE_PATTERN(3000);
    SEND(.seq = 1, .ack = 1, .window = 60000);
    EXPECT(.seq = 1, .ack = 1, .len = MSS);
    EXPECT(.seq = 1 + MSS, .ack = 1, .len = MSS);
    EXPECT(.seq = 1 + 2 * MSS, .ack = 1, .len = 80);
    SEND(.seq = 1, .ack = 3001);
    ADVANCE(100000);
    EXPECT_NONE();
}

static void test_old_segments_do_not_change_the_window(void **state)
{
    tcp_test_start(0);
    OPEN();
    SEND(.seq = 1, .ack = 1, .len = 10, .window = 5000);
    SEND(.seq = 1, .ack = 1, .window = 1); /* reordered: older than the last */
    assert_int_equal(INFO().snd_wnd, 5000);
}

static void test_fair_share_of_one_flush(void **state)
{
    tcp_test_start(0);
    OPEN();
    T.peer.window = 65535;
    tcp_test_conn()->cc.cwnd_bytes = 1 << 20;
    tcp_test_conn()->snd_wnd = 1 << 20;
    WRITE_PATTERN(300000);
    uint32_t first = tcp_test_drop_sent();
    assert_int_equal(first, (TCP_FLUSH_BYTES_MAX + MSS - 1) / MSS);
    assert_true(tcp_flush_pending(T.tcp));
    ROUND();
    assert_int_equal(tcp_test_drop_sent(), first);
}

/* --- row 55 --- */

static void test_row55_client_port_hashes_back_to_its_lcore(void **state)
{
    tcp_test_start(0);
    flow_init(&T.net.steering, T.net.steering.key, 4);
    for (uint16_t lcore = 0; lcore < 4; lcore++) {
        T.tcp->config.lcore = lcore;
        for (int i = 0; i < 5; i++) {
            struct stream *s = tcp_connect(T.tcp, &T.peer.addr, 7000, 0, NULL, NULL);
            assert_non_null(s);
            struct flow_tuple tuple;
            tcp_stream_tuple(s, &tuple);
            assert_int_equal(
                flow_owner_of_hash(&T.net.steering, flow_hash(&T.net.steering, &tuple)), lcore);
        }
    }
    assert_int_equal(STAT(conns_open), 20);
}

static void test_row55_source_port_in_use_is_refused(void **state)
{
    tcp_test_start(0);
    assert_non_null(tcp_connect(T.tcp, &T.peer.addr, 7000, 12345, NULL, NULL));
    assert_null(tcp_connect(T.tcp, &T.peer.addr, 7000, 12345, NULL, NULL));
    assert_non_null(tcp_connect(T.tcp, &T.peer.addr, 7001, 12345, NULL, NULL));
    assert_null(tcp_connect(T.tcp, &T.peer.addr, 7001, T.port, NULL, NULL)); /* we listen there */
    assert_null(tcp_connect(T.tcp, &T.peer.addr, 0, 0, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TCP_TEST(test_row30_echo_is_of_the_earliest_unacknowledged_segment),
        TCP_TEST(test_row30_echo_ignores_out_of_order_segments),
        TCP_TEST(test_row30_paws_drops_and_acks),
        TCP_TEST(test_row30_paws_exempts_rst),
        TCP_TEST(test_row30_paws_forgets_after_24_days),
        TCP_TEST(test_row31_segment_without_timestamp_is_accepted),
        TCP_TEST(test_no_timestamps_unless_offered),
        TCP_TEST(test_row41_nagle_is_off),
        TCP_TEST(test_row41_sender_waits_for_a_window_worth_a_segment),
        TCP_TEST(test_row41_override_timer_sends_into_a_small_window),
        TCP_TEST(test_row41_small_peer_window_uses_half_of_it),
        TCP_TEST(test_row41_receiver_offers_no_silly_window_not_even_to_probes),
        TCP_TEST(test_row42_persist_backs_off_and_never_kills_a_peer_that_answers),
        TCP_TEST(test_row42_persist_gives_up_on_a_silent_peer),
        TCP_TEST(test_row42_our_closed_window_answers_probes),
        TCP_TEST(test_row42_closed_window_takes_acks),
        TCP_TEST(test_row43_two_closed_windows_do_not_ack_for_ever),
        TCP_TEST(test_row44_peer_shrinks_its_window),
        TCP_TEST(test_row44_window_closes_under_data_in_flight),
        TCP_TEST(test_row45_window_reopens_with_an_update),
        TCP_TEST(test_row45_peer_update_starts_the_sender),
        TCP_TEST(test_old_segments_do_not_change_the_window),
        TCP_TEST(test_fair_share_of_one_flush),
        TCP_TEST(test_row55_client_port_hashes_back_to_its_lcore),
        TCP_TEST(test_row55_source_port_in_use_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
