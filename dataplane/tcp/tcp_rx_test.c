/* Rows 17 to 25, 52 and 58 of README.md: receiving. */
#include "tcp_test.h"
#include <string.h>

#define MSS 1460u

static void test_row18_left_overlap_is_trimmed(void **state)
{
    tcp_test_start(0);
    OPEN();
    SEND(.seq = 1, .ack = 1, .len = 100);
    SEND(.seq = 51, .ack = 1, .len = 100);
    RECEIVED(150);
    EXPECT(.seq = 1, .ack = 151, .any_sack = true);
}

static void test_row18_old_data_never_replaces_delivered(void **state)
{
    T.user.hold = true;
    tcp_test_start(0);
    OPEN();
    SEND(.seq = 1, .ack = 1, .data = "ABCDEF");
    SEND(.seq = 1, .ack = 1, .data = "xxxxxxGH");
    struct stream *s = T.user.stream;
    char all[9] = {0};
    size_t at = 0;
    struct slice piece;
    while ((piece = s->ops->peek(s)).len) {
        memcpy(all + at, piece.data, piece.len);
        at += piece.len;
        s->ops->consume(s, piece.len);
    }
    assert_string_equal(all, "ABCDEFGH");
}

static void test_row18_right_overlap_is_trimmed(void **state)
{
    tcp_test_start(0);
    OPEN();
    SEND(.seq = 101, .ack = 1, .len = 50);
    SEND(.seq = 1, .ack = 1, .len = 120);
    RECEIVED(150);
}

static void test_row18_segment_that_covers_runs_replaces_them(void **state)
{
    tcp_test_start(0);
    OPEN();
    SEND(.seq = 201, .ack = 1, .len = 10);
    SEND(.seq = 301, .ack = 1, .len = 10);
    SEND(.seq = 401, .ack = 1, .len = 100);
    SEND(.seq = 101, .ack = 1, .len = 350); /* over two runs, into the third */
    SEND(.seq = 151, .ack = 1, .len = 20);  /* nothing new */
    SEND(.seq = 1, .ack = 1, .len = 100);
    RECEIVED(500);
}

static void test_row18_data_beyond_the_window_is_cut(void **state)
{
    T.user.hold = true;
    tcp_test_start(0);
    OPEN();
    for (uint32_t seq = 1; seq < 65535; seq += 1285) /* 51 * 1285 = 65535 */
        SEND(.seq = seq, .ack = 1, .len = seq == 1 + 50 * 1285 ? 1400 : 1285);
    assert_int_equal(INFO().rx_queued_bytes, 65535);
    assert_int_equal(INFO().rcv_wnd, 0);
}

static void permute(uint8_t *order, int n, int at, void (*visit)(const uint8_t *order))
{
    if (at == n) {
        visit(order);
        return;
    }
    for (int i = at; i < n; i++) {
        uint8_t swap = order[at];
        order[at] = order[i];
        order[i] = swap;
        permute(order, n, at + 1, visit);
        order[i] = order[at];
        order[at] = swap;
    }
}

static uint32_t base;

static void send_permuted(const uint8_t *order)
{
    for (int i = 0; i < 8; i++)
        SEND_BURST(.seq = base + order[i] * 10u, .ack = 1, .len = 10);
    ROUND();
    base += 80;
    assert_int_equal(T.user.received_len, base - 1);
    assert_int_equal(T.tcp->rx_mbufs, 0);
    test_port_drop_sent(&T.net.port);
}

static void test_row19_any_permutation_of_eight_delivers_identical_bytes(void **state)
{
    tcp_test_start(0);
    OPEN();
    static uint8_t order[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    base = 1;
    /* All 40,320 would overflow the user's buffer: those of the first seven, the eighth in front.
     */
    permute(order, 7, 0, send_permuted);
    RECEIVED(base - 1);
    uint8_t last_first[8] = {7, 0, 1, 2, 3, 4, 5, 6};
    send_permuted(last_first);
    RECEIVED(base - 1);
}

static void test_row20_gapped_one_byte_segments_are_bounded(void **state)
{
    tcp_test_start(0);
    OPEN();
    uint32_t before = test_port_buffers_used(&T.net.port);
    for (uint32_t i = 0; i < 2000; i++) {
        SEND(.seq = 3 + 2 * i, .ack = 1, .len = 1);
        test_port_drop_sent(&T.net.port);
    }
    assert_true(test_port_buffers_used(&T.net.port) - before <= TCP_OOO_RUNS_MAX);
    assert_int_equal(INFO().ooo_bytes, TCP_OOO_RUNS_MAX);
    assert_int_equal(STAT(ooo_drops), 2000 - TCP_OOO_RUNS_MAX);
}

static void test_row20_adjacent_one_byte_segments_share_mbufs(void **state)
{
    tcp_test_start(0);
    OPEN();
    uint32_t before = test_port_buffers_used(&T.net.port);
    for (uint32_t i = 0; i < 4000; i++)
        SEND_BURST(.seq = 2 + i, .ack = 1, .len = 1);
    ROUND();
    test_port_drop_sent(&T.net.port);
    assert_true(test_port_buffers_used(&T.net.port) - before <= 4);
    SEND(.seq = 1, .ack = 1, .len = 1);
    RECEIVED(4001);
}

static void test_row20_unread_one_byte_segments_share_mbufs(void **state)
{
    T.user.hold = true;
    tcp_test_start(0);
    OPEN();
    uint32_t before = test_port_buffers_used(&T.net.port);
    for (uint32_t i = 0; i < 4000; i++)
        SEND_BURST(.seq = 1 + i, .ack = 1, .len = 1);
    ROUND();
    test_port_drop_sent(&T.net.port);
    assert_true(test_port_buffers_used(&T.net.port) - before <= 4);
    assert_int_equal(INFO().rx_queued_bytes, 4000);
}

static void test_row20_total_memory_bounds_out_of_order_data(void **state)
{
    tcp_test_start(0);
    OPEN();
    T.tcp->config.rx_memory_bytes = 8000; /* the window was offered when there was more */
    for (uint32_t i = 0; i < 10; i++)
        SEND(.seq = 1001 + i * 1000, .ack = 1, .len = 1000);
    assert_int_equal(INFO().ooo_bytes, 6000); /* three quarters */
    assert_int_equal(STAT(ooo_drops), 4);
    SEND(.seq = 1, .ack = 1, .len = 1000);
    RECEIVED(7000);
}

static void test_window_is_a_share_of_what_memory_is_left(void **state)
{
    T.config.rx_memory_bytes = 8000;
    tcp_test_start(0);
    SEND(.flags = SYN, .mss = 1460);
    EXPECT(.flags = SYN | ACK, .ack = 1, .mss = 1460, .window = 2000);
}

static void test_total_memory_bounds_unread_data(void **state)
{
    T.user.hold = true;
    tcp_test_start(0);
    OPEN();
    T.tcp->config.rx_memory_bytes = 4000; /* the window was offered when there was more */
    for (uint32_t i = 0; i < 10; i++)
        SEND(.seq = 1 + i * 1000, .ack = 1, .len = 1000);
    assert_true(INFO().rx_queued_bytes <= 4000);
    assert_true(STAT(rx_memory_drops) > 0);
    assert_int_equal(STATE(), TCP_ESTABLISHED);
    test_port_drop_sent(&T.net.port);
    T.user.hold = false;
    uint32_t next = INFO().rcv_nxt - T.peer.iss;
    SEND(.seq = next - 1000, .ack = 1, .len = 1000); /* a duplicate: the user is not called */
    T.user.stream->user_ops->readable(T.user.stream);
    SEND(.seq = next, .ack = 1, .len = 1000);
    RECEIVED(next - 1 + 1000);
}

static void test_row21_fin_before_data_is_held(void **state)
{
    tcp_test_start(0);
    OPEN();
    SEND(.seq = 11, .ack = 1, .flags = FIN | ACK);
    EXPECT(.seq = 1, .ack = 1);
    assert_int_equal(T.user.eof, 0);
    SEND(.seq = 1, .ack = 1, .len = 10);
    EXPECT(.seq = 1, .ack = 12);
    RECEIVED(10);
    assert_int_equal(T.user.eof, 1);
    assert_int_equal(STATE(), TCP_CLOSE_WAIT);
}

static void test_row21_fin_of_an_out_of_order_segment_is_held(void **state)
{
    tcp_test_start(0);
    OPEN();
    SEND(.seq = 11, .ack = 1, .len = 10, .flags = FIN | ACK);
    EXPECT(.seq = 1, .ack = 1);
    SEND(.seq = 1, .ack = 1, .len = 10);
    EXPECT(.seq = 1, .ack = 22);
    RECEIVED(20);
    assert_int_equal(T.user.eof, 1);
}

static void test_row22_fin_with_data(void **state)
{
    tcp_test_start(0);
    OPEN();
    SEND(.seq = 1, .ack = 1, .len = 10, .flags = FIN | ACK);
    EXPECT(.seq = 1, .ack = 12);
    RECEIVED(10);
    assert_int_equal(T.user.eof, 1);
}

static void test_row22_data_after_fin_is_ignored(void **state)
{
    tcp_test_start(0);
    OPEN();
    SEND(.seq = 1, .ack = 1, .len = 10, .flags = FIN | ACK);
    EXPECT(.seq = 1, .ack = 12);
    SEND(.seq = 12, .ack = 1, .len = 10);
    SEND(.seq = 11, .ack = 1, .len = 10);
    RECEIVED(10);
    assert_int_equal(INFO().rcv_nxt - T.peer.iss, 12);
    assert_int_equal(T.user.eof, 1);
}

static void test_row22_data_behind_a_held_fin_is_ignored(void **state)
{
    tcp_test_start(0);
    OPEN();
    SEND(.seq = 11, .ack = 1, .flags = FIN | ACK);
    SEND(.seq = 11, .ack = 1, .len = 50);
    SEND(.seq = 6, .ack = 1, .len = 50);
    SEND(.seq = 1, .ack = 1, .len = 5);
    RECEIVED(10);
    assert_int_equal(T.user.eof, 1);
}

static void test_row22_fin_before_data_that_waits_out_of_order(void **state)
{
    tcp_test_start(0);
    OPEN();
    SEND(.seq = 5, .ack = 1, .len = 50);
    SEND(.seq = 1, .ack = 1, .flags = FIN | ACK);
    assert_int_equal(T.user.eof, 1);
    assert_int_equal(INFO().ooo_bytes, 0);
    RECEIVED(0);
}

static void test_row23_keepalive_probe_draws_ack(void **state)
{
    tcp_test_start(0);
    OPEN();
    SEND(.seq = 0, .ack = 1);
    EXPECT(.seq = 1, .ack = 1);
    SEND(.seq = 0, .ack = 1, .data = "\xff"); /* with a byte of garbage, as some send it */
    EXPECT(.seq = 1, .ack = 1);
    assert_int_equal(T.user.received_len, 0);
}

static void test_row24_ack_is_delayed_at_most_500_ms(void **state)
{
    tcp_test_start(0);
    OPEN();
    SEND(.seq = 1, .ack = 1, .len = 100);
    EXPECT_NONE();
    ADVANCE(TCP_DELAYED_ACK_MS - 1);
    EXPECT_NONE();
    ADVANCE(1);
    EXPECT(.seq = 1, .ack = 101);
    assert_true(TCP_DELAYED_ACK_MS <= 500);
    ADVANCE(10000);
    EXPECT_NONE();
}

static void test_row24_every_second_full_segment_is_acked_at_once(void **state)
{
    tcp_test_start(0);
    OPEN();
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t seq = 1 + i * 2 * MSS;
        SEND(.seq = seq, .ack = 1, .len = MSS);
        EXPECT_NONE();
        SEND(.seq = seq + MSS, .ack = 1, .len = MSS);
        EXPECT(.seq = 1, .ack = seq + 2 * MSS);
    }
}

static void test_row24_ack_rides_on_data(void **state)
{
    tcp_test_start(0);
    OPEN();
    SEND(.seq = 1, .ack = 1, .len = 100);
    WRITE("reply");
    EXPECT(.seq = 1, .ack = 101, .data = "reply");
    SEND(.seq = 101, .ack = 6);
    ADVANCE(1000);
    EXPECT_NONE();
}

static void test_row25_immediate_ack_on_gap_and_on_fill(void **state)
{
    tcp_test_start(0);
    OPEN();
    SEND(.seq = 101, .ack = 1, .len = 100);
    EXPECT(.seq = 1, .ack = 1);
    SEND(.seq = 301, .ack = 1, .len = 100);
    EXPECT(.seq = 1, .ack = 1);
    SEND(.seq = 1, .ack = 1, .len = 100); /* fills the first gap only */
    EXPECT(.seq = 1, .ack = 201);
    SEND(.seq = 201, .ack = 1, .len = 100);
    EXPECT(.seq = 1, .ack = 401);
    RECEIVED(400);
}

static void test_row52_sequence_wrap(void **state)
{
    T.peer.iss = 0xffffff00;
    tcp_test_start(0);
    OPEN();
    SEND(.seq = 201, .ack = 1, .len = 100);
    SEND(.seq = 101, .ack = 1, .len = 100);
    SEND(.seq = 1, .ack = 1, .len = 100);
    RECEIVED(300);
}

static void test_row58_frame_larger_than_the_mss(void **state)
{
    tcp_test_start(0);
    OPEN();
    SEND(.seq = 1, .ack = 1, .len = 40000); /* a chain of mbufs */
    RECEIVED(40000);
    EXPECT(.seq = 1, .ack = 40001);
    SEND(.seq = 80001, .ack = 1, .len = 20000);
    SEND(.seq = 60001, .ack = 1, .len = 30000);
    SEND(.seq = 40001, .ack = 1, .len = 30000);
    RECEIVED(100000);
}

static void test_row58_empty_mbufs_inside_a_chain(void **state)
{
    tcp_test_start(0);
    OPEN();
    uint8_t bytes[34 + 20 + 9] = {0};
    tcp_test_pattern(bytes + 54, 1, 9);
    struct test_tcp f = {.src = T.peer.addr,
                         .dst = T.net.config.ip4,
                         .src_port = T.peer.port,
                         .dst_port = T.port,
                         .seq = T.peer.iss + 1,
                         .ack = T.iss + 1,
                         .flags = ACK,
                         .window = 65535,
                         .data = bytes + 54,
                         .data_len = 9};
    struct rte_mbuf *m = test_frame_tcp(&T.net.port, &f);
    test_frame_split(&T.net.port, m, 58);
    test_frame_split(&T.net.port, m, 58);
    test_frame_split(&T.net.port, m, 54);
    test_net_input(&T.net, m);
    ROUND();
    RECEIVED(9);
}

static void test_user_leaves_inside_readable(void **state)
{
    T.user.close_on_readable = true;
    tcp_test_start(0);
    OPEN();
    SEND(.seq = 1, .ack = 1, .len = 10);
    EXPECT(.flags = RST | ACK, .seq = 1, .ack = 11); /* unread data: row 50 */
    assert_int_equal(STAT(conns_open), 0);
    T.user.close_on_readable = false;
    T.user.abort_on_readable = true;
    T.peer.port++;
    OPEN();
    SEND(.seq = 1, .ack = 1, .len = 10, .flags = FIN | ACK);
    EXPECT(.flags = RST | ACK, .seq = 1, .ack = 12);
    assert_int_equal(STAT(conns_open), 0);
    assert_int_equal(T.user.eof + T.user.ended, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TCP_TEST(test_row18_left_overlap_is_trimmed),
        TCP_TEST(test_row18_old_data_never_replaces_delivered),
        TCP_TEST(test_row18_right_overlap_is_trimmed),
        TCP_TEST(test_row18_segment_that_covers_runs_replaces_them),
        TCP_TEST(test_row18_data_beyond_the_window_is_cut),
        TCP_TEST(test_row19_any_permutation_of_eight_delivers_identical_bytes),
        TCP_TEST(test_row20_gapped_one_byte_segments_are_bounded),
        TCP_TEST(test_row20_adjacent_one_byte_segments_share_mbufs),
        TCP_TEST(test_row20_unread_one_byte_segments_share_mbufs),
        TCP_TEST(test_row20_total_memory_bounds_out_of_order_data),
        TCP_TEST(test_window_is_a_share_of_what_memory_is_left),
        TCP_TEST(test_total_memory_bounds_unread_data),
        TCP_TEST(test_row21_fin_before_data_is_held),
        TCP_TEST(test_row21_fin_of_an_out_of_order_segment_is_held),
        TCP_TEST(test_row22_fin_with_data),
        TCP_TEST(test_row22_data_after_fin_is_ignored),
        TCP_TEST(test_row22_data_behind_a_held_fin_is_ignored),
        TCP_TEST(test_row22_fin_before_data_that_waits_out_of_order),
        TCP_TEST(test_row23_keepalive_probe_draws_ack),
        TCP_TEST(test_row24_ack_is_delayed_at_most_500_ms),
        TCP_TEST(test_row24_every_second_full_segment_is_acked_at_once),
        TCP_TEST(test_row24_ack_rides_on_data),
        TCP_TEST(test_row25_immediate_ack_on_gap_and_on_fill),
        TCP_TEST(test_row52_sequence_wrap),
        TCP_TEST(test_row58_frame_larger_than_the_mss),
        TCP_TEST(test_row58_empty_mbufs_inside_a_chain),
        TCP_TEST(test_user_leaves_inside_readable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
