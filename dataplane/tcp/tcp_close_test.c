/* Rows 46 to 51 of README.md: endings. */
#include "tcp_test.h"

static void user_closes(void)
{
    struct stream *s = T.user.stream;
    T.user.stream = NULL;
    s->ops->close(s);
    ROUND();
}

static void test_row46_lost_fin_is_resent_with_the_same_sequence(void **state)
{
    tcp_test_start(0);
    OPEN();
    WRITE("bye");
    EXPECT(.seq = 1, .ack = 1, .data = "bye");
    SEND(.seq = 1, .ack = 4);
    user_closes();
    EXPECT(.seq = 4, .ack = 1, .flags = FIN | ACK);
    ADVANCE(TCP_RTO_MIN_MS);
    EXPECT(.seq = 4, .ack = 1, .flags = FIN | ACK);
    ADVANCE(2 * TCP_RTO_MIN_MS);
    EXPECT(.seq = 4, .ack = 1, .flags = FIN | ACK);
    SEND(.seq = 1, .ack = 5);
    assert_int_equal(STATE(), TCP_FIN_WAIT_2);
    ADVANCE(10000);
    EXPECT_NONE();
}

static void test_row46_fin_and_data_lost_together(void **state)
{
    tcp_test_start(0);
    OPEN();
    struct stream *s = T.user.stream;
    outbuf_append(&s->out, "last", 4);
    user_closes();
    EXPECT(.seq = 1, .ack = 1, .flags = FIN | ACK, .data = "last");
    ADVANCE(TCP_RTO_MIN_MS);
    EXPECT(.seq = 1, .ack = 1, .flags = FIN | ACK, .data = "last");
    SEND(.seq = 1, .ack = 5); /* the data came, the FIN did not */
    assert_int_equal(STATE(), TCP_FIN_WAIT_1);
    ADVANCE(2 * TCP_RTO_MIN_MS);
    EXPECT(.seq = 5, .ack = 1, .flags = FIN | ACK);
}

static void test_row47_simultaneous_close_ends_in_time_wait(void **state)
{
    tcp_test_start(0);
    OPEN();
    user_closes();
    EXPECT(.seq = 1, .ack = 1, .flags = FIN | ACK);
    SEND(.seq = 1, .ack = 1, .flags = FIN | ACK);
    EXPECT(.seq = 2, .ack = 2);
    assert_int_equal(STATE(), TCP_CLOSING);
    SEND(.seq = 2, .ack = 2);
    assert_int_equal(STAT(conns_open), 0);
    assert_int_equal(STAT(conns_time_wait), 1);
    EXPECT_NONE();
}

static void test_row47_simultaneous_close_keeps_the_fin(void **state)
{
    tcp_test_start(0);
    OPEN();
    user_closes();
    EXPECT(.seq = 1, .ack = 1, .flags = FIN | ACK); /* lost */
    SEND(.seq = 1, .ack = 1, .flags = FIN | ACK);
    EXPECT(.seq = 2, .ack = 2);
    ADVANCE(TCP_RTO_MIN_MS);
    EXPECT(.seq = 1, .ack = 2, .flags = FIN | ACK);
    SEND(.seq = 1, .ack = 1, .flags = FIN | ACK); /* the peer's again: our ACK was lost as well */
    EXPECT(.seq = 2, .ack = 2);
    SEND(.seq = 2, .ack = 2);
    assert_int_equal(STAT(conns_time_wait), 1);
}

static void to_time_wait(void)
{
    OPEN();
    user_closes();
    EXPECT(.seq = 1, .ack = 1, .flags = FIN | ACK);
    SEND(.seq = 1, .ack = 2, .flags = FIN | ACK);
    EXPECT(.seq = 2, .ack = 2);
    assert_int_equal(STAT(conns_time_wait), 1);
    assert_int_equal(STAT(conns_open), 0);
}

static void test_row48_time_wait_acks_again_and_waits_anew(void **state)
{
    tcp_test_start(0);
    to_time_wait();
    ADVANCE(TCP_TIME_WAIT_MS - 1000);
    SEND(.seq = 1, .ack = 2, .flags = FIN | ACK);
    EXPECT(.seq = 2, .ack = 2);
    ADVANCE(TCP_TIME_WAIT_MS - 1000);
    assert_int_equal(STAT(conns_time_wait), 1);
    ADVANCE(1000);
    assert_int_equal(STAT(conns_time_wait), 0);
}

static void test_row48_time_wait_ignores_rst(void **state)
{
    tcp_test_start(0);
    to_time_wait();
    SEND(.seq = 2, .flags = RST);
    SEND(.seq = 2, .ack = 2, .flags = RST | ACK);
    EXPECT_NONE();
    assert_int_equal(STAT(conns_time_wait), 1);
}

static void test_row48_time_wait_answers_with_timestamps(void **state)
{
    T.peer.ts_on = true;
    tcp_test_start(0);
    to_time_wait();
    SEND(.seq = 1, .ack = 2, .flags = FIN | ACK);
    EXPECT(.seq = 2, .ack = 2, .ts_ecr = T.peer.ts);
}

static void test_row48_reuse_by_larger_sequence(void **state)
{
    tcp_test_start(0);
    to_time_wait();
    uint32_t old_iss = T.iss;
    SEND(.flags = SYN, .seq = 1, .mss = 1460); /* below what was received: an old duplicate */
    EXPECT(.seq = 2, .ack = 2);
    assert_int_equal(STAT(time_wait_reused), 0);
    T.peer.iss += 100;
    OPEN();
    assert_int_equal(STAT(time_wait_reused), 1);
    assert_int_equal(STAT(conns_time_wait), 0);
    assert_true(seq_lt(old_iss + 2, T.iss));
    SEND(.seq = 1, .ack = 1, .data = "new");
    assert_int_equal(T.user.received_len, 3);
}

static void test_row48_reuse_by_larger_timestamp(void **state)
{
    T.peer.ts_on = true;
    tcp_test_start(0);
    to_time_wait();
    T.peer.iss -= 1000; /* a smaller sequence number, but a later clock */
    SEND(.flags = SYN, .mss = 1460, .ts_val = T.peer.ts - 5);
    assert_int_equal(STAT(time_wait_reused), 0);
    tcp_test_drop_sent();
    T.peer.ts += 5;
    OPEN();
    assert_int_equal(STAT(time_wait_reused), 1);
}

static void test_row48_time_wait_is_capped(void **state)
{
    T.config.conns_max = 10;
    tcp_test_start(0);
    for (int i = 0; i < 20; i++) {
        OPEN();
        user_closes();
        test_port_drop_sent(&T.net.port);
        SEND(.seq = 1, .ack = 2, .flags = FIN | ACK);
        test_port_drop_sent(&T.net.port);
        T.peer.port++;
        assert_true(STAT(conns_time_wait) <= 6);
    }
    /* Live connections push TIME-WAIT out, the oldest first. */
    for (int i = 0; i < 10; i++, T.peer.port++)
        OPEN();
    assert_int_equal(STAT(conns_open), 10);
    assert_int_equal(STAT(conns_time_wait), 0);
    assert_true(STAT(time_wait_recycled) >= 15);
}

static void test_row49_fin_wait_2_times_out(void **state)
{
    tcp_test_start(0);
    OPEN();
    user_closes();
    EXPECT(.seq = 1, .ack = 1, .flags = FIN | ACK);
    SEND(.seq = 1, .ack = 2);
    assert_int_equal(STATE(), TCP_FIN_WAIT_2);
    ADVANCE(TCP_ORPHAN_MS);
    EXPECT(.seq = 2, .ack = 1, .flags = RST | ACK);
    assert_int_equal(STAT(conns_open), 0);
    assert_int_equal(T.user.ended, 0); /* the user has left */
}

static void test_row49_orphan_that_never_reads_times_out(void **state)
{
    tcp_test_start(0);
    OPEN();
    WRITE_PATTERN(100);
    EXPECT(.seq = 1, .ack = 1, .len = 100);
    SEND(.seq = 1, .ack = 51, .window = ZERO_WINDOW);
    user_closes();
    for (int i = 0; i < 90 && STAT(conns_open); i++) {
        ADVANCE(1000);
        if (tcp_test_drop_sent() && STAT(conns_open))
            SEND(.seq = 1, .ack = 51, .window = ZERO_WINDOW);
    }
    assert_int_equal(STAT(conns_open), 0);
    assert_int_equal(STAT(resets_out), 1);
}

static void test_row50_close_with_unread_data_resets(void **state)
{
    T.user.hold = true;
    tcp_test_start(0);
    OPEN();
    SEND(.seq = 1, .ack = 1, .data = "unread");
    user_closes();
    EXPECT(.seq = 1, .ack = 7, .flags = RST | ACK);
    assert_int_equal(STAT(conns_open), 0);
    assert_int_equal(STAT(conns_time_wait), 0);
}

static void test_row50_queued_output_leaves_before_the_reset(void **state)
{
    T.user.hold = true;
    tcp_test_start(0);
    OPEN();
    SEND(.seq = 1, .ack = 1, .data = "unread");
    outbuf_append(&T.user.stream->out, "error", 5);
    user_closes();
    EXPECT(.seq = 1, .ack = 7, .data = "error");
    EXPECT_NONE();
    SEND(.seq = 7, .ack = 6);
    EXPECT(.seq = 6, .ack = 7, .flags = RST | ACK);
    assert_int_equal(STAT(conns_open), 0);
}

static void test_row50_half_close_delivers(void **state)
{
    tcp_test_start(0);
    OPEN();
    SEND(.seq = 1, .ack = 1, .data = "request", .flags = FIN | ACK);
    EXPECT(.seq = 1, .ack = 9);
    assert_int_equal(T.user.eof, 1);
    assert_int_equal(T.user.received_len, 7);
    WRITE("answer");
    EXPECT(.seq = 1, .ack = 9, .data = "answer");
    SEND(.seq = 9, .ack = 7);
    user_closes();
    EXPECT(.seq = 7, .ack = 9, .flags = FIN | ACK);
    SEND(.seq = 9, .ack = 8);
    assert_int_equal(STAT(conns_open), 0);
    assert_int_equal(STAT(conns_time_wait), 0);
}

static void test_row50_data_after_close_is_acked_and_dropped(void **state)
{
    tcp_test_start(0);
    OPEN();
    user_closes();
    EXPECT(.seq = 1, .ack = 1, .flags = FIN | ACK);
    SEND(.seq = 1, .ack = 2, .data = "too late");
    ADVANCE(TCP_DELAYED_ACK_MS);
    EXPECT(.seq = 2, .ack = 9);
    SEND(.seq = 9, .ack = 2, .flags = FIN | ACK);
    EXPECT(.seq = 2, .ack = 10);
    assert_int_equal(STAT(conns_time_wait), 1);
    assert_int_equal(T.user.received_len, 0);
}

static void test_close_before_the_handshake_is_over(void **state)
{
    tcp_test_start(0);
    tcp_test_connect_start();
    EXPECT(.flags = SYN, .mss = 1460, .scale_on = true, .sack_ok = true);
    user_closes();
    assert_int_equal(STAT(conns_open), 0);
    tcp_test_connect_start();
    EXPECT(.flags = SYN, .mss = 1460, .scale_on = true, .sack_ok = true);
    outbuf_append(&T.user.stream->out, "hi", 2);
    user_closes();
    SEND(.flags = SYN | ACK, .ack = 1, .mss = 1460);
    EXPECT(.seq = 1, .ack = 1, .flags = FIN | ACK, .data = "hi");
    SEND(.seq = 1, .ack = 4, .flags = FIN | ACK);
    EXPECT(.seq = 4, .ack = 2);
    assert_int_equal(T.user.connected, 0);
}

static void test_row51_user_timeout_aborts(void **state)
{
    T.config.user_timeout_s = 30;
    tcp_test_start(0);
    OPEN();
    WRITE_PATTERN(5000);
    ADVANCE(29000);
    assert_int_equal(T.user.ended, 0);
    ADVANCE(1100);
    assert_int_equal(T.user.ended, 1);
    assert_int_equal(T.user.why, STREAM_END_TIMEOUT);
    assert_int_equal(STAT(conns_open), 0);
}

static void test_row51_keepalive_aborts_a_dead_peer(void **state)
{
    T.config.keepalive_s = 300;
    tcp_test_start(0);
    OPEN();
    ADVANCE(299999);
    EXPECT_NONE();
    ADVANCE(1);
    EXPECT(.seq = 0, .ack = 1);
    ADVANCE(100000);
    EXPECT(.seq = 0, .ack = 1);
    ADVANCE(100000);
    EXPECT(.seq = 0, .ack = 1);
    assert_int_equal(T.user.ended, 0);
    ADVANCE(100000);
    EXPECT(.seq = 1, .ack = 1, .flags = RST | ACK);
    assert_int_equal(T.user.ended, 1);
    assert_int_equal(T.user.why, STREAM_END_TIMEOUT);
    assert_int_equal(STAT(keepalive_drops), 1);
}

static void test_row51_keepalive_keeps_a_live_peer(void **state)
{
    T.config.keepalive_s = 60;
    tcp_test_start(0);
    OPEN();
    for (int i = 0; i < 10; i++) {
        ADVANCE(60000);
        EXPECT(.seq = 0, .ack = 1);
        SEND(.seq = 1, .ack = 1);
    }
    EXPECT_NONE();
    assert_int_equal(T.user.ended, 0);
}

static void test_row51_keepalive_setting_reaches_open_connections(void **state)
{
    tcp_test_start(0);
    OPEN();
    ADVANCE(100000);
    EXPECT_NONE();
    tcp_keepalive_set(T.tcp, 30);
    ADVANCE(1);
    EXPECT(.seq = 0, .ack = 1); /* silent for longer already */
    SEND(.seq = 1, .ack = 1);
    ADVANCE(30000);
    EXPECT(.seq = 0, .ack = 1);
    tcp_keepalive_set(T.tcp, 0);
    ADVANCE(1000000);
    EXPECT_NONE();
    assert_int_equal(T.user.ended, 0);
}

static void test_row51_all_buffers_return_after_an_abort(void **state)
{
    T.user.hold = true;
    tcp_test_start(0);
    OPEN();
    uint32_t before = test_port_buffers_used(&T.net.port);
    SEND(.seq = 1, .ack = 1, .len = 1000);
    SEND(.seq = 5001, .ack = 1, .len = 1000);
    WRITE_PATTERN(10000);
    test_port_drop_sent(&T.net.port);
    assert_true(test_port_buffers_used(&T.net.port) > before);
    struct stream *s = T.user.stream;
    s->ops->abort(s);
    ROUND();
    EXPECT(.seq = 10001, .ack = 1001, .flags = RST | ACK);
    assert_int_equal(test_port_buffers_used(&T.net.port), before);
    assert_int_equal(STAT(conns_open), 0);
    assert_int_equal(T.user.ended, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TCP_TEST(test_row46_lost_fin_is_resent_with_the_same_sequence),
        TCP_TEST(test_row46_fin_and_data_lost_together),
        TCP_TEST(test_row47_simultaneous_close_ends_in_time_wait),
        TCP_TEST(test_row47_simultaneous_close_keeps_the_fin),
        TCP_TEST(test_row48_time_wait_acks_again_and_waits_anew),
        TCP_TEST(test_row48_time_wait_ignores_rst),
        TCP_TEST(test_row48_time_wait_answers_with_timestamps),
        TCP_TEST(test_row48_reuse_by_larger_sequence),
        TCP_TEST(test_row48_reuse_by_larger_timestamp),
        TCP_TEST(test_row48_time_wait_is_capped),
        TCP_TEST(test_row49_fin_wait_2_times_out),
        TCP_TEST(test_row49_orphan_that_never_reads_times_out),
        TCP_TEST(test_row50_close_with_unread_data_resets),
        TCP_TEST(test_row50_queued_output_leaves_before_the_reset),
        TCP_TEST(test_row50_half_close_delivers),
        TCP_TEST(test_row50_data_after_close_is_acked_and_dropped),
        TCP_TEST(test_close_before_the_handshake_is_over),
        TCP_TEST(test_row51_user_timeout_aborts),
        TCP_TEST(test_row51_keepalive_aborts_a_dead_peer),
        TCP_TEST(test_row51_keepalive_keeps_a_live_peer),
        TCP_TEST(test_row51_keepalive_setting_reaches_open_connections),
        TCP_TEST(test_row51_all_buffers_return_after_an_abort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
