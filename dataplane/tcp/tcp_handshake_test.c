/* Rows 1 to 12 of README.md: opening connections. */
#include "tcp_test.h"
#include <string.h>

static void test_row01_syn_draws_syn_ack_with_offered_options_only(void **state)
{
    tcp_test_start(0);
    SEND(.flags = SYN, .mss = 1460);
    EXPECT(.flags = SYN | ACK, .ack = 1, .mss = 1460, .no_ts = true);
    EXPECT_NONE();
    T.peer.port++;
    SEND(.flags = SYN, .mss = 1460, .scale_on = true, .scale = 7, .sack_ok = true, .ts_val = 99);
    EXPECT(.flags = SYN | ACK, .ack = 1, .mss = 1460, .scale_on = true, .sack_ok = true,
           .ts_ecr = 99);
    EXPECT_NONE();
}

static void test_row01_data_in_syn_is_not_taken(void **state)
{
    tcp_test_start(0);
    SEND(.flags = SYN, .data = "GET /", .mss = 1460);
    EXPECT(.flags = SYN | ACK, .ack = 1, .mss = 1460);
    SEND(.seq = 1, .ack = 1, .data = "GET /");
    assert_int_equal(T.user.received_len, 5);
}

static void test_row02_listen_ack_draws_rst_and_garbage_nothing(void **state)
{
    tcp_test_start(0);
    SEND(.seq = 77, .ack = 1234, .ack_isn_raw = true);
    EXPECT(.flags = RST, .seq = 1234, .raw_seq = true);
    SEND(.flags = SYN | ACK, .seq = 77, .ack = 1234, .ack_isn_raw = true);
    EXPECT(.flags = RST, .seq = 1234, .raw_seq = true);
    SEND(.flags = RST);
    SEND(.flags = RST | ACK);
    SEND(.flags = NO_FLAGS);
    SEND(.flags = FIN);
    SEND(.flags = SYN | FIN);
    SEND(.flags = SYN | RST);
    EXPECT_NONE();
    assert_int_equal(STAT(conns_open), 0);
}

static void test_row03_closed_port_rst_numbers(void **state)
{
    tcp_test_start(0);
    T.port = 81;
    SEND(.flags = SYN, .seq = 500, .raw_seq = true);
    EXPECT(.flags = RST | ACK, .seq = 0, .ack = 501, .raw_seq = true);
    SEND(.flags = ACK, .seq = 500, .ack = 900, .raw_seq = true, .ack_isn_raw = true, .data = "xyz");
    EXPECT(.flags = RST, .seq = 900, .raw_seq = true);
    SEND(.flags = FIN, .seq = 500, .raw_seq = true, .data = "xyz");
    EXPECT(.flags = NO_FLAGS | RST | ACK, .seq = 0, .ack = 504, .raw_seq = true);
    SEND(.flags = RST, .seq = 500);
    SEND(.flags = RST | ACK, .seq = 500);
    EXPECT_NONE();
}

static void test_row05_duplicate_syn_same_answer_one_connection(void **state)
{
    tcp_test_start(0);
    SEND(.flags = SYN, .mss = 1460);
    EXPECT(.flags = SYN | ACK, .ack = 1, .mss = 1460);
    uint32_t iss = T.iss;
    ADVANCE(300);
    SEND(.flags = SYN, .mss = 1460);
    EXPECT(.flags = SYN | ACK, .ack = 1, .mss = 1460);
    assert_int_equal(T.iss, iss);
    assert_int_equal(STAT(conns_open), 1);
    SEND(.seq = 1, .ack = 1);
    assert_int_equal(T.accepted, 1);
}

static void test_row06_syn_ack_backs_off_and_gives_up(void **state)
{
    tcp_test_start(0);
    SEND(.flags = SYN, .mss = 1460);
    EXPECT(.flags = SYN | ACK, .ack = 1, .mss = 1460);
    for (uint64_t wait_ms = 1000; wait_ms <= 8000; wait_ms *= 2) {
        ADVANCE(wait_ms - 1);
        EXPECT_NONE();
        ADVANCE(1);
        EXPECT(.flags = SYN | ACK, .ack = 1, .mss = 1460);
    }
    assert_int_equal(STAT(conns_half_open), 1);
    ADVANCE(16000);
    EXPECT_NONE();
    assert_int_equal(STAT(conns_open), 0);
    assert_int_equal(STAT(conns_half_open), 0);
    assert_int_equal(T.accepted, 0);
}

static void test_row06_syn_backs_off_and_gives_up(void **state)
{
    tcp_test_start(0);
    tcp_test_connect_start();
    EXPECT(.flags = SYN, .mss = 1460, .scale_on = true, .sack_ok = true);
    for (uint64_t wait_ms = 1000; wait_ms <= 16000; wait_ms *= 2) {
        ADVANCE(wait_ms - 1);
        EXPECT_NONE();
        ADVANCE(1);
        EXPECT(.flags = SYN, .mss = 1460, .scale_on = true, .sack_ok = true);
    }
    assert_int_equal(T.user.ended, 0);
    ADVANCE(32000);
    EXPECT_NONE();
    assert_int_equal(T.user.ended, 1);
    assert_int_equal(T.user.why, STREAM_END_TIMEOUT);
    assert_int_equal(STAT(conns_open), 0);
    assert_int_equal(STAT(connect_failures), 1);
}

static void test_row07_backlog_full_existing_flows_unaffected(void **state)
{
    T.config.backlog = 4;
    tcp_test_start(0);
    OPEN();
    struct test_peer first = T.peer;
    uint32_t first_iss = T.iss;
    for (int i = 1; i <= 20; i++) {
        T.peer.port = (uint16_t)(50000 + i);
        SEND(.flags = SYN, .mss = 1460);
        EXPECT(.flags = SYN | ACK, .ack = 1, .mss = 1460);
    }
    assert_int_equal(STAT(conns_half_open), 4);
    assert_int_equal(STAT(conns_open), 5);
    assert_int_equal(STAT(backlog_full), 16);
    assert_int_equal(STAT(syn_cookies_sent), 16);
    T.peer = first;
    T.iss = first_iss;
    SEND(.seq = 1, .ack = 1, .data = "PING");
    assert_int_equal(T.user.received_len, 4);
    WRITE("PONG");
    EXPECT(.seq = 1, .ack = 5, .data = "PONG");
}

/* --- row 8: cookies; a backlog of zero sends nothing else --- */

static void test_row08_good_cookie_connects_without_options(void **state)
{
    T.config.backlog = 0;
    tcp_test_start(0);
    SEND(.flags = SYN, .mss = 1460, .scale_on = true, .scale = 7, .sack_ok = true);
    /* Without timestamps the cookie has no room for the other options. */
    EXPECT(.flags = SYN | ACK, .ack = 1, .mss = 1460);
    assert_int_equal(STAT(conns_open), 0);
    SEND(.seq = 1, .ack = 1, .data = "PING");
    assert_int_equal(STAT(syn_cookies_good), 1);
    assert_int_equal(T.accepted, 1);
    assert_int_equal(T.user.received_len, 4);
    assert_int_equal(INFO().mss, 1460);
    WRITE("PONG");
    EXPECT(.seq = 1, .ack = 5, .data = "PONG");
}

static void test_row08_cookie_keeps_options_in_the_timestamp(void **state)
{
    T.config.backlog = 0;
    T.peer.ts_on = T.peer.sack_on = T.peer.scale_on = true;
    T.peer.scale = 7;
    T.peer.mss = 1400;
    tcp_test_start(0);
    OPEN();
    assert_int_equal(STAT(syn_cookies_good), 1);
    struct tcp_conn *c = tcp_test_conn();
    assert_int_equal(c->flags & (TCPF_TS | TCPF_SACK | TCPF_SCALE),
                     TCPF_TS | TCPF_SACK | TCPF_SCALE);
    assert_int_equal(c->snd_scale, 7);
    assert_int_equal(c->mss, 1360);
    assert_int_equal(c->snd_wnd, 65535 << 7);
    ADVANCE(1);
    WRITE("x");
    uint32_t ts_before = T.ts_seen;
    EXPECT(.seq = 1, .ack = 1, .data = "x");
    assert_true(seq_leq(ts_before, T.ts_seen));
}

static void test_row08_forged_cookie_refused(void **state)
{
    T.config.backlog = 0;
    tcp_test_start(0);
    SEND(.flags = SYN, .mss = 1460);
    EXPECT(.flags = SYN | ACK, .ack = 1, .mss = 1460);
    for (int bit = 0; bit < 32; bit++) {
        uint32_t forged = (T.iss ^ 1u << bit) + 1;
        SEND(.seq = 1, .ack = forged, .ack_isn_raw = true);
        EXPECT(.flags = RST, .seq = forged, .raw_seq = true);
    }
    SEND(.seq = 2, .ack = 1); /* another initial sequence number */
    EXPECT(.flags = RST, .seq = 1);
    T.peer.port++; /* another tuple */
    SEND(.seq = 1, .ack = 1);
    EXPECT(.flags = RST, .seq = 1);
    assert_int_equal(STAT(syn_cookies_bad), 34);
    assert_int_equal(STAT(conns_open), 0);
}

static void test_row08_expired_cookie_refused(void **state)
{
    T.config.backlog = 0;
    tcp_test_start(0);
    SEND(.flags = SYN, .mss = 1460);
    EXPECT(.flags = SYN | ACK, .ack = 1, .mss = 1460);
    uint32_t old_iss = T.iss;
    ADVANCE(2 * TCP_COOKIE_PERIOD_MS);
    T.peer.port++; /* cookies are still being sent */
    SEND(.flags = SYN, .mss = 1460);
    EXPECT(.flags = SYN | ACK, .ack = 1, .mss = 1460);
    T.peer.port--;
    T.iss = old_iss;
    SEND(.seq = 1, .ack = 1);
    EXPECT(.flags = RST, .seq = 1);
    assert_int_equal(STAT(syn_cookies_bad), 1);
    assert_int_equal(T.accepted, 0);
}

static void test_row08_no_cookie_sent_none_accepted(void **state)
{
    tcp_test_start(0);
    SEND(.seq = 1, .ack = 1);
    EXPECT(.flags = RST, .seq = 1);
    assert_int_equal(STAT(syn_cookies_bad), 0);
}

/* --- active opens --- */

static void test_row09_syn_sent_bad_ack_draws_rst(void **state)
{
    tcp_test_start(0);
    tcp_test_connect_start();
    EXPECT(.flags = SYN, .mss = 1460, .scale_on = true, .sack_ok = true);
    SEND(.flags = SYN | ACK, .ack = 2);
    EXPECT(.flags = RST, .seq = 2);
    SEND(.flags = ACK, .ack = 0);
    EXPECT(.flags = RST, .seq = 0);
    SEND(.flags = SYN | ACK | RST, .ack = 2);
    EXPECT_NONE();
    assert_int_equal(STATE(), TCP_SYN_SENT);
    SEND(.flags = SYN | ACK, .ack = 1, .mss = 1460);
    EXPECT(.seq = 1, .ack = 1);
    assert_int_equal(T.user.connected, 1);
}

static void test_row09_syn_sent_rst_needs_valid_ack(void **state)
{
    tcp_test_start(0);
    tcp_test_connect_start();
    EXPECT(.flags = SYN, .mss = 1460, .scale_on = true, .sack_ok = true);
    SEND(.flags = RST);
    SEND(.flags = RST | ACK, .ack = 0);
    SEND(.flags = RST | ACK, .ack = 2);
    assert_int_equal(T.user.ended, 0);
    SEND(.flags = RST | ACK, .ack = 1);
    assert_int_equal(T.user.ended, 1);
    assert_int_equal(T.user.why, STREAM_END_REFUSED);
    EXPECT_NONE();
}

static void test_row10_simultaneous_open(void **state)
{
    tcp_test_start(0);
    tcp_test_connect_start();
    EXPECT(.flags = SYN, .mss = 1460, .scale_on = true, .sack_ok = true);
    SEND(.flags = SYN, .mss = 1460);
    EXPECT(.flags = SYN | ACK, .ack = 1, .mss = 1460);
    assert_int_equal(STATE(), TCP_SYN_RECEIVED);
    SEND(.flags = SYN | ACK, .ack = 1, .mss = 1460);
    assert_int_equal(STATE(), TCP_ESTABLISHED);
    assert_int_equal(T.user.connected, 1);
    EXPECT_NONE();
    WRITE("x");
    EXPECT(.seq = 1, .ack = 1, .data = "x");
    SEND(.seq = 1, .ack = 2, .data = "y");
    assert_int_equal(T.user.received_len, 1);
}

static void test_row10_simultaneous_open_with_bare_ack(void **state)
{
    tcp_test_start(0);
    tcp_test_connect_start();
    EXPECT(.flags = SYN, .mss = 1460, .scale_on = true, .sack_ok = true);
    SEND(.flags = SYN, .mss = 1460);
    EXPECT(.flags = SYN | ACK, .ack = 1, .mss = 1460);
    SEND(.seq = 1, .ack = 1);
    assert_int_equal(STATE(), TCP_ESTABLISHED);
    assert_int_equal(T.user.connected, 1);
    assert_int_equal(T.accepted, 0);
}

static void test_row11_window_in_syn_is_not_scaled(void **state)
{
    T.peer.scale_on = true;
    T.peer.scale = 9;
    T.peer.window = 1000;
    tcp_test_start(0);
    SEND(.flags = SYN, .mss = 1460, .scale_on = true, .scale = 9);
    EXPECT(.flags = SYN | ACK, .ack = 1, .mss = 1460, .scale_on = true, .window = 65535);
    assert_int_equal(tcp_test_conn()->snd_wnd, 1000);
    SEND(.seq = 1, .ack = 1, .window = 1000);
    assert_int_equal(INFO().snd_wnd, 1000 << 9);
    /* Our own window: a quarter of what half of the port's 4096 mbufs are taken to hold. */
    WRITE("x");
    EXPECT(.seq = 1, .ack = 1, .data = "x", .window = 262144 >> TCP_RX_SCALE);
    assert_int_equal(INFO().rcv_wnd, 262144);
}

static void test_row11_shift_above_14_counts_as_14(void **state)
{
    T.peer.scale_on = true;
    T.peer.scale = 200;
    T.peer.window = 2;
    tcp_test_start(0);
    OPEN();
    assert_int_equal(tcp_test_conn()->snd_scale, 14);
    assert_int_equal(INFO().snd_wnd, 2 << 14);
}

static void test_row11_no_scaling_unless_both_offer(void **state)
{
    tcp_test_start(0);
    CONNECT();
    assert_int_equal(INFO().snd_wnd, 65535);
    WRITE("x");
    EXPECT(.seq = 1, .ack = 1, .data = "x", .window = 65535);
    assert_int_equal(INFO().rcv_wnd, 65535);
}

static void test_row12_no_mss_option_means_536(void **state)
{
    T.peer.mss = 0;
    tcp_test_start(0);
    OPEN();
    WRITE_PATTERN(1000);
    EXPECT(.seq = 1, .ack = 1, .len = 536);
    EXPECT(.seq = 537, .ack = 1, .len = 464);
}

static void test_row12_tiny_mss_is_raised_to_the_floor(void **state)
{
    T.peer.mss = 1;
    tcp_test_start(0);
    OPEN();
    WRITE_PATTERN(TCP_MSS_FLOOR + 10);
    EXPECT(.seq = 1, .ack = 1, .len = TCP_MSS_FLOOR);
    EXPECT(.seq = 1 + TCP_MSS_FLOOR, .ack = 1, .len = 10);
}

static void test_mss_of_the_peer_never_exceeds_ours(void **state)
{
    T.peer.mss = 9000;
    tcp_test_start(0);
    OPEN();
    assert_int_equal(INFO().mss, 1460);
}

/* --- what the user may do during the handshake --- */

static void test_user_refuses(void **state)
{
    T.user.refuse = true;
    tcp_test_start(0);
    SEND(.flags = SYN, .mss = 1460);
    EXPECT(.flags = SYN | ACK, .ack = 1, .mss = 1460);
    SEND(.seq = 1, .ack = 1);
    EXPECT(.flags = RST | ACK, .seq = 1, .ack = 1);
    assert_int_equal(STAT(conns_open), 0);
    assert_int_equal(T.user.ended, 0);
}

static void test_user_refuses_with_a_farewell(void **state)
{
    T.user.farewell = true;
    tcp_test_start(0);
    SEND(.flags = SYN, .mss = 1460);
    EXPECT(.flags = SYN | ACK, .ack = 1, .mss = 1460);
    SEND(.seq = 1, .ack = 1, .data = "PING");
    EXPECT(.flags = FIN | ACK, .seq = 1, .ack = 5, .data = "sorry");
    SEND(.flags = FIN | ACK, .seq = 5, .ack = 7);
    EXPECT(.seq = 7, .ack = 6);
    assert_int_equal(STAT(conns_open), 0);
    assert_int_equal(STAT(accepts), 0);
    assert_int_equal(T.user.ended, 0);
}

static void test_user_aborts_inside_accept(void **state)
{
    T.user.abort_in_accept = true;
    tcp_test_start(0);
    SEND(.flags = SYN, .mss = 1460);
    EXPECT(.flags = SYN | ACK, .ack = 1, .mss = 1460);
    SEND(.seq = 1, .ack = 1, .data = "x");
    EXPECT(.flags = RST | ACK, .seq = 1, .ack = 1);
    assert_int_equal(STAT(conns_open), 0);
    assert_int_equal(T.user.ended, 0);
}

static void test_conns_max_drops_syn(void **state)
{
    T.config.conns_max = 2;
    tcp_test_start(0);
    for (int i = 0; i < 2; i++, T.peer.port++) {
        SEND(.flags = SYN, .mss = 1460);
        EXPECT(.flags = SYN | ACK, .ack = 1, .mss = 1460);
    }
    SEND(.flags = SYN, .mss = 1460);
    EXPECT_NONE();
    assert_int_equal(STAT(conns_full), 1);
    assert_null(tcp_connect(T.tcp, &T.peer.addr, 9, 0, NULL, NULL));
}

static void test_listeners_are_bounded_and_unique(void **state)
{
    tcp_test_start(0);
    struct tcp_listener *own = tcp_listener_find(T.tcp, T.port);
    assert_false(tcp_listen(T.tcp, T.port, own->accept, NULL));
    for (uint16_t port = 1; port < TCP_LISTENERS_MAX; port++)
        assert_true(tcp_listen(T.tcp, port, own->accept, NULL));
    assert_false(tcp_listen(T.tcp, 1000, own->accept, NULL));
    tcp_unlisten(T.tcp, 1);
    assert_true(tcp_listen(T.tcp, 1000, own->accept, NULL));
    tcp_unlisten(T.tcp, T.port);
    SEND(.flags = SYN, .seq = 5, .raw_seq = true);
    EXPECT(.flags = RST | ACK, .ack = 6, .raw_seq = true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TCP_TEST(test_row01_syn_draws_syn_ack_with_offered_options_only),
        TCP_TEST(test_row01_data_in_syn_is_not_taken),
        TCP_TEST(test_row02_listen_ack_draws_rst_and_garbage_nothing),
        TCP_TEST(test_row03_closed_port_rst_numbers),
        TCP_TEST(test_row05_duplicate_syn_same_answer_one_connection),
        TCP_TEST(test_row06_syn_ack_backs_off_and_gives_up),
        TCP_TEST(test_row06_syn_backs_off_and_gives_up),
        TCP_TEST(test_row07_backlog_full_existing_flows_unaffected),
        TCP_TEST(test_row08_good_cookie_connects_without_options),
        TCP_TEST(test_row08_cookie_keeps_options_in_the_timestamp),
        TCP_TEST(test_row08_forged_cookie_refused),
        TCP_TEST(test_row08_expired_cookie_refused),
        TCP_TEST(test_row08_no_cookie_sent_none_accepted),
        TCP_TEST(test_row09_syn_sent_bad_ack_draws_rst),
        TCP_TEST(test_row09_syn_sent_rst_needs_valid_ack),
        TCP_TEST(test_row10_simultaneous_open),
        TCP_TEST(test_row10_simultaneous_open_with_bare_ack),
        TCP_TEST(test_row11_window_in_syn_is_not_scaled),
        TCP_TEST(test_row11_shift_above_14_counts_as_14),
        TCP_TEST(test_row11_no_scaling_unless_both_offer),
        TCP_TEST(test_row12_no_mss_option_means_536),
        TCP_TEST(test_row12_tiny_mss_is_raised_to_the_floor),
        TCP_TEST(test_mss_of_the_peer_never_exceeds_ours),
        TCP_TEST(test_user_refuses),
        TCP_TEST(test_user_refuses_with_a_farewell),
        TCP_TEST(test_user_aborts_inside_accept),
        TCP_TEST(test_conns_max_drops_syn),
        TCP_TEST(test_listeners_are_bounded_and_unique),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
