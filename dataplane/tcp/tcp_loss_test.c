/* Rows 26 to 29 and 32 to 37 of README.md: acknowledgements that tell of loss, and what follows. */
#include "tcp_sack.h"
#include "tcp_test.h"

#define MSS 1460u

/* Segment i of a transfer in full segments. */
#define SEQ(i) (1 + (i)*MSS)

static void open_sack(void)
{
    T.peer.sack_on = true;
    tcp_test_start(0);
    OPEN();
}

/* Ten segments are out, the initial window. */
static void ten_segments(void)
{
    WRITE_PATTERN(100 * MSS);
    for (uint32_t i = 0; i < 10; i++)
        EXPECT(.seq = SEQ(i), .ack = 1, .len = MSS);
    EXPECT_NONE();
}

/* --- SACK as a receiver --- */

static void test_row26_sack_newest_block_first(void **state)
{
    open_sack();
    SEND(.seq = 101, .ack = 1, .len = 10);
    EXPECT(.seq = 1, .ack = 1, .sack_count = 1, .sack = {{101, 111}});
    SEND(.seq = 301, .ack = 1, .len = 10);
    EXPECT(.seq = 1, .ack = 1, .sack_count = 2, .sack = {{301, 311}, {101, 111}});
    SEND(.seq = 201, .ack = 1, .len = 10);
    EXPECT(.seq = 1, .ack = 1, .sack_count = 3, .sack = {{201, 211}, {301, 311}, {101, 111}});
    SEND(.seq = 111, .ack = 1, .len = 10);
    EXPECT(.seq = 1, .ack = 1, .sack_count = 3, .sack = {{101, 121}, {201, 211}, {301, 311}});
    SEND(.seq = 401, .ack = 1, .len = 10);
    SEND(.seq = 501, .ack = 1, .len = 10);
    EXPECT(.seq = 1, .ack = 1, .any_sack = true);
    EXPECT(.seq = 1, .ack = 1, .sack_count = 4,
           .sack = {{501, 511}, {401, 411}, {101, 121}, {201, 211}});
    SEND(.seq = 1, .ack = 1, .len = 100);
    EXPECT(.seq = 1, .ack = 121, .sack_count = 3, .sack = {{501, 511}, {401, 411}, {201, 211}});
}

static void test_row26_at_most_three_blocks_with_timestamps(void **state)
{
    T.peer.ts_on = true;
    open_sack();
    for (uint32_t i = 0; i < 5; i++)
        SEND(.seq = 101 + 100 * i, .ack = 1, .len = 10);
    for (int i = 0; i < 4; i++)
        EXPECT(.seq = 1, .ack = 1, .any_sack = true);
    EXPECT(.seq = 1, .ack = 1, .sack_count = 3, .sack = {{501, 511}, {401, 411}, {301, 311}});
}

static void test_row26_no_sack_unless_negotiated(void **state)
{
    tcp_test_start(0);
    OPEN();
    SEND(.seq = 101, .ack = 1, .len = 10);
    EXPECT(.seq = 1, .ack = 1);
}

static void test_row26_blocks_never_push_data_over_the_mtu(void **state)
{
    T.peer.ts_on = true;
    open_sack();
    SEND_BURST(.seq = 101, .ack = 1, .len = 10);
    SEND_BURST(.seq = 201, .ack = 1, .len = 10);
    WRITE_PATTERN(2000);
    EXPECT(.seq = 1, .ack = 1, .len = 1448);
    EXPECT(.seq = 1449, .ack = 1, .len = 552);
    EXPECT(.seq = 2001, .ack = 1, .sack_count = 2, .sack = {{201, 211}, {101, 111}});
    EXPECT_NONE();
}

static void test_row27_dsack_for_old_data(void **state)
{
    open_sack();
    SEND(.seq = 1, .ack = 1, .len = 100);
    SEND(.seq = 1, .ack = 1, .len = 100);
    EXPECT(.seq = 1, .ack = 101, .sack_count = 1, .sack = {{1, 101}});
    SEND(.seq = 201, .ack = 1, .len = 100);
    EXPECT(.seq = 1, .ack = 101, .sack_count = 1, .sack = {{201, 301}}); /* reported once */
}

static void test_row27_dsack_inside_a_block(void **state)
{
    open_sack();
    SEND(.seq = 201, .ack = 1, .len = 100);
    EXPECT(.seq = 1, .ack = 1, .sack_count = 1, .sack = {{201, 301}});
    SEND(.seq = 221, .ack = 1, .len = 50);
    EXPECT(.seq = 1, .ack = 1, .sack_count = 2, .sack = {{221, 271}, {201, 301}});
}

/* --- SACK as a sender --- */

static void test_row28_blocks_outside_of_flight_are_ignored(void **state)
{
    open_sack();
    ten_segments();
    SEND(.seq = 1, .ack = 1, .sack_count = 1, .sack = {{SEQ(10), SEQ(12)}}); /* never sent */
    SEND(.seq = 1, .ack = 1, .sack_count = 1, .sack = {{SEQ(2), SEQ(30)}});
    SEND(.seq = 1, .ack = 1, .sack_count = 1, .sack = {{0x80000000, 0x80001000}});
    SEND(.seq = 1, .ack = 1, .sack_count = 1, .sack = {{SEQ(3), SEQ(2)}}); /* reversed */
    SEND(.seq = 1, .ack = 1, .sack_count = 1, .sack = {{SEQ(3), SEQ(3)}}); /* empty */
    SEND(.seq = 1, .ack = 1, .sack_count = 1, .sack = {{1, SEQ(1)}});      /* at snd_una */
    assert_null(tcp_test_conn()->board);
    assert_int_equal(STAT(fast_retransmits), 0);
    EXPECT_NONE();
}

static void test_row28_pathological_blocks_are_bounded(void **state)
{
    open_sack();
    ten_segments();
    /* One byte each, two apart, from the right: every block is a range of its own. */
    for (uint32_t i = 0; i < 2000; i++) {
        uint32_t left = SEQ(10) - 3 - 2 * i;
        SEND(.seq = 1, .ack = 1, .sack_count = 1, .sack = {{left, left + 1}});
    }
    assert_true(tcp_test_conn()->board->count <= TCP_SACK_RANGES_MAX);
    tcp_test_drop_sent();
    SEND(.seq = 1, .ack = SEQ(10));
    assert_null(tcp_test_conn()->board);
}

static void test_row29_only_what_is_lost_is_resent(void **state)
{
    open_sack();
    ten_segments();
    /* Segments 1, 4 and 5 are lost. */
    SEND(.seq = 1, .ack = SEQ(1));
    tcp_test_drop_sent();
    SEND(.seq = 1, .ack = SEQ(1), .sack_count = 1, .sack = {{SEQ(2), SEQ(3)}});
    tcp_test_drop_sent(); /* limited transmit */
    SEND(.seq = 1, .ack = SEQ(1), .sack_count = 1, .sack = {{SEQ(2), SEQ(4)}});
    tcp_test_drop_sent();
    SEND(.seq = 1, .ack = SEQ(1), .sack_count = 2, .sack = {{SEQ(6), SEQ(7)}, {SEQ(2), SEQ(4)}});
    EXPECT(.seq = SEQ(1), .ack = 1, .len = MSS);
    for (uint32_t i = 8; i <= 13; i++)
        SEND(.seq = 1, .ack = SEQ(1), .sack_count = 2,
             .sack = {{SEQ(6), SEQ(i)}, {SEQ(2), SEQ(4)}});
    bool seen[20] = {false};
    while (test_port_take_segment(&T.net.port, &T.last)) {
        uint32_t i = (T.last.seq - T.iss - 1) / MSS;
        if (i >= 20 || T.last.data_len == 0)
            continue;
        assert_false(i == 2 || i == 3 || (i >= 6 && i < 10));
        assert_false(seen[i]);
        seen[i] = true;
    }
    assert_true(seen[4]);
    assert_true(seen[5]);
    assert_int_equal(STAT(fast_retransmits), 1);
    assert_int_equal(STAT(rto_fired), 0);
}

static void test_row29_retransmission_that_is_lost_is_sent_again(void **state)
{
    open_sack();
    ten_segments();
    for (uint32_t i = 2; i <= 4; i++)
        SEND(.seq = 1, .ack = 1, .sack_count = 1, .sack = {{SEQ(1), SEQ(i)}});
    uint32_t first_sent = 0, highest = 0;
    for (uint32_t i = 5; i <= 20; i++) {
        while (test_port_take_segment(&T.net.port, &T.last)) {
            first_sent += T.last.seq - T.iss == 1;
            highest = seq_max(highest, T.last.seq - T.iss + T.last.data_len);
        }
        if (seq_leq(SEQ(i), highest))
            SEND(.seq = 1, .ack = 1, .sack_count = 1, .sack = {{SEQ(1), SEQ(i)}});
    }
    assert_int_equal(first_sent, 2); /* once three segments that left after it have arrived */
    assert_int_equal(STAT(rto_fired), 0);
    assert_int_equal(STAT(fast_retransmits), 1);
}

static void test_row29_timeout_does_not_resend_what_was_sacked(void **state)
{
    open_sack();
    ten_segments();
    SEND(.seq = 1, .ack = 1, .sack_count = 1, .sack = {{SEQ(1), SEQ(2)}});
    EXPECT(.seq = SEQ(10), .ack = 1, .len = MSS); /* limited transmit */
    ADVANCE(TCP_RTO_MIN_MS);
    EXPECT(.seq = SEQ(0), .ack = 1, .len = MSS);
    EXPECT_NONE();
    SEND(.seq = 1, .ack = SEQ(2)); /* slow start: the next two */
    EXPECT(.seq = SEQ(2), .ack = 1, .len = MSS);
    EXPECT(.seq = SEQ(3), .ack = 1, .len = MSS);
    EXPECT_NONE();
}

static void test_row29_sacked_data_that_the_peer_dropped_is_resent(void **state)
{
    open_sack();
    ten_segments();
    SEND(.seq = 1, .ack = 1, .sack_count = 1, .sack = {{SEQ(1), SEQ(10)}});
    tcp_test_drop_sent();
    ADVANCE(TCP_RTO_MIN_MS);
    SEND(.seq = 1, .ack = SEQ(1)); /* segment 0 came; 1 to 9 are gone again */
    ADVANCE(10000);
    bool resent = false;
    while (test_port_take_segment(&T.net.port, &T.last))
        resent |= T.last.seq - T.iss == SEQ(1) && T.last.data_len;
    assert_true(resent);
}

/* --- timer --- */

static void test_row33_rto_doubles_up_to_the_cap(void **state)
{
    T.config.user_timeout_s = 100000;
    tcp_test_start(0);
    OPEN();
    WRITE_PATTERN(100);
    EXPECT(.seq = 1, .ack = 1, .len = 100);
    uint64_t wait_ms = TCP_RTO_MIN_MS;
    for (int i = 0; i < 14; i++) {
        ADVANCE(wait_ms - 1);
        EXPECT_NONE();
        ADVANCE(1);
        EXPECT(.seq = 1, .ack = 1, .len = 100);
        wait_ms = wait_ms * 2 > TCP_RTO_MAX_MS ? TCP_RTO_MAX_MS : wait_ms * 2;
    }
    assert_int_equal(wait_ms, 60000);
}

static void test_row33_duplicate_ack_does_not_restart_the_timer(void **state)
{
    tcp_test_start(0);
    OPEN();
    ten_segments();
    ADVANCE(TCP_RTO_MIN_MS - 10);
    SEND(.seq = 1, .ack = 1);
    SEND(.seq = 1, .ack = 1);
    tcp_test_drop_sent();
    ADVANCE(10);
    EXPECT(.seq = 1, .ack = 1, .len = MSS);
    assert_int_equal(STAT(rto_fired), 1);
}

static void test_row33_ack_of_new_data_restarts_the_timer(void **state)
{
    tcp_test_start(0);
    OPEN();
    WRITE_PATTERN(2 * MSS);
    tcp_test_drop_sent();
    ADVANCE(TCP_RTO_MIN_MS - 10);
    SEND(.seq = 1, .ack = SEQ(1));
    ADVANCE(INFO().rto_us / 1000 - 1);
    EXPECT_NONE();
    ADVANCE(1);
    EXPECT(.seq = SEQ(1), .ack = 1, .len = MSS);
}

static void test_row34_cancelled_timer_never_fires(void **state)
{
    tcp_test_start(0);
    OPEN();
    WRITE_PATTERN(10);
    EXPECT(.seq = 1, .ack = 1, .len = 10);
    ADVANCE(TCP_RTO_MIN_MS - 1);
    SEND(.seq = 1, .ack = 11);
    ADVANCE(100000);
    EXPECT_NONE();
    assert_int_equal(STAT(rto_fired), 0);
}

static void test_row34_timer_of_a_reused_connection_slot(void **state)
{
    tcp_test_start(0);
    OPEN();
    WRITE_PATTERN(10);
    tcp_test_drop_sent();
    SEND(.seq = 1, .ack = 1, .flags = RST);
    assert_int_equal(STAT(conns_open), 0);
    T.peer.port++;
    OPEN(); /* takes the same place in the pool */
    ADVANCE(100000);
    EXPECT_NONE();
}

static void test_row32_karn_no_sample_from_a_retransmission(void **state)
{
    tcp_test_start(0);
    OPEN();
    WRITE_PATTERN(10);
    uint32_t srtt_us = INFO().srtt_us;
    ADVANCE(TCP_RTO_MIN_MS);
    tcp_test_drop_sent();
    ADVANCE(100);
    SEND(.seq = 1, .ack = 11);
    assert_int_equal(INFO().srtt_us, srtt_us);
    /* The backoff stays until a new segment is measured (RFC 6298, 5.7 and Karn). */
    assert_int_equal(INFO().rto_us, 2 * TCP_RTO_MIN_MS * 1000);
    WRITE_PATTERN(10);
    ADVANCE(10);
    SEND(.seq = 1, .ack = 21);
    assert_true(INFO().srtt_us > srtt_us);
    assert_int_equal(INFO().rto_us, TCP_RTO_MIN_MS * 1000);
}

static void test_row32_timestamps_measure_retransmissions(void **state)
{
    T.peer.ts_on = true;
    tcp_test_start(0);
    OPEN();
    WRITE_PATTERN(10);
    EXPECT(.seq = 1, .ack = 1, .len = 10);
    ADVANCE(TCP_RTO_MIN_MS);
    EXPECT(.seq = 1, .ack = 1, .len = 10);
    ADVANCE(20);
    SEND(.seq = 1, .ack = 11);
    assert_in_range(INFO().srtt_us, 20000 / 8, 20000 / 8 + 1);
    assert_int_equal(INFO().rto_us, TCP_RTO_MIN_MS * 1000);
}

/* --- congestion control on the wire --- */

static void test_row35_initial_window_is_ten_segments(void **state)
{
    tcp_test_start(0);
    OPEN();
    ten_segments();
    assert_int_equal(INFO().cwnd_bytes, 10 * MSS);
}

static void test_row35_slow_start_doubles(void **state)
{
    tcp_test_start(0);
    OPEN();
    ten_segments();
    for (uint32_t i = 2; i <= 10; i += 2) {
        SEND(.seq = 1, .ack = SEQ(i));
        assert_int_equal(tcp_test_drop_sent(), 4);
    }
    assert_int_equal(INFO().cwnd_bytes, 20 * MSS);
}

static void test_row35_cwnd_after_timeout_is_one_segment(void **state)
{
    tcp_test_start(0);
    OPEN();
    ten_segments();
    ADVANCE(TCP_RTO_MIN_MS);
    EXPECT(.seq = 1, .ack = 1, .len = MSS);
    EXPECT_NONE();
    assert_int_equal(INFO().cwnd_bytes, MSS);
    assert_int_equal(INFO().ssthresh_bytes, 5 * MSS);
    ADVANCE(2 * TCP_RTO_MIN_MS); /* again: ssthresh stays */
    EXPECT(.seq = 1, .ack = 1, .len = MSS);
    assert_int_equal(INFO().ssthresh_bytes, 5 * MSS);
    SEND(.seq = 1, .ack = SEQ(1));
    EXPECT(.seq = SEQ(1), .ack = 1, .len = MSS);
    EXPECT(.seq = SEQ(2), .ack = 1, .len = MSS);
    EXPECT_NONE();
}

static void test_row35_window_grows_only_when_it_is_used(void **state)
{
    tcp_test_start(0);
    OPEN();
    for (uint32_t i = 0; i < 50; i++) {
        WRITE_PATTERN(10);
        EXPECT(.seq = 1 + 10 * i, .ack = 1, .len = 10);
        SEND(.seq = 1, .ack = 11 + 10 * i);
    }
    assert_int_equal(INFO().cwnd_bytes, 10 * MSS);
}

static void test_row36_idle_restart(void **state)
{
    tcp_test_start(0);
    OPEN();
    WRITE_PATTERN(40 * MSS);
    uint32_t sent = tcp_test_drop_sent();
    while (sent < 40) {
        SEND(.seq = 1, .ack = SEQ(sent));
        sent += tcp_test_drop_sent();
    }
    SEND(.seq = 1, .ack = SEQ(40));
    assert_true(INFO().cwnd_bytes > 10 * MSS);
    ADVANCE(INFO().rto_us / 1000 + 1);
    WRITE_PATTERN(40 * MSS);
    assert_int_equal(tcp_test_drop_sent(), 10);
}

static void test_row37_three_duplicate_acks_retransmit(void **state)
{
    tcp_test_start(0);
    OPEN();
    ten_segments();
    SEND(.seq = 1, .ack = 1);
    SEND(.seq = 1, .ack = 1);
    EXPECT(.seq = SEQ(10), .ack = 1, .len = MSS); /* limited transmit (RFC 3042) */
    EXPECT(.seq = SEQ(11), .ack = 1, .len = MSS);
    assert_int_equal(STAT(fast_retransmits), 0);
    SEND(.seq = 1, .ack = 1);
    EXPECT(.seq = 1, .ack = 1, .len = MSS);
    assert_int_equal(STAT(fast_retransmits), 1);
    assert_int_equal(INFO().ssthresh_bytes, 6 * MSS);
    SEND(.seq = 1, .ack = SEQ(12));
    assert_int_equal(INFO().cwnd_bytes, 6 * MSS);
    assert_int_equal(tcp_test_drop_sent(), 6);
    assert_int_equal(STAT(rto_fired), 0);
}

static void test_row37_partial_ack_retransmits_the_next_hole(void **state)
{
    tcp_test_start(0);
    OPEN();
    ten_segments();
    for (int i = 0; i < 3; i++)
        SEND(.seq = 1, .ack = 1);
    tcp_test_drop_sent();
    SEND(.seq = 1, .ack = SEQ(4)); /* segment 4 was lost too */
    EXPECT(.seq = SEQ(4), .ack = 1, .len = MSS);
    tcp_test_drop_sent();
    assert_int_equal(STAT(fast_retransmits), 1);
    SEND(.seq = 1, .ack = SEQ(12));
    assert_int_equal(tcp_test_conn()->flags & TCPF_FAST_RECOVERY, 0);
}

static void test_row37_duplicates_of_a_timeout_start_no_recovery(void **state)
{
    tcp_test_start(0);
    OPEN();
    ten_segments();
    ADVANCE(TCP_RTO_MIN_MS);
    SEND(.seq = 1, .ack = SEQ(3));
    for (int i = 0; i < 5; i++)
        SEND(.seq = 1, .ack = SEQ(3));
    assert_int_equal(STAT(fast_retransmits), 0);
}

static void test_row37_what_is_no_duplicate_ack(void **state)
{
    tcp_test_start(0);
    OPEN();
    ten_segments();
    for (uint32_t i = 0; i < 5; i++)
        SEND(.seq = 1 + i, .ack = 1, .len = 1); /* data */
    for (uint32_t i = 0; i < 5; i++)
        SEND(.seq = 6, .ack = 1, .window = 60000 - i); /* window updates */
    assert_int_equal(STAT(dup_acks_in), 0);
    assert_int_equal(STAT(fast_retransmits), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TCP_TEST(test_row26_sack_newest_block_first),
        TCP_TEST(test_row26_at_most_three_blocks_with_timestamps),
        TCP_TEST(test_row26_no_sack_unless_negotiated),
        TCP_TEST(test_row26_blocks_never_push_data_over_the_mtu),
        TCP_TEST(test_row27_dsack_for_old_data),
        TCP_TEST(test_row27_dsack_inside_a_block),
        TCP_TEST(test_row28_blocks_outside_of_flight_are_ignored),
        TCP_TEST(test_row28_pathological_blocks_are_bounded),
        TCP_TEST(test_row29_only_what_is_lost_is_resent),
        TCP_TEST(test_row29_retransmission_that_is_lost_is_sent_again),
        TCP_TEST(test_row29_timeout_does_not_resend_what_was_sacked),
        TCP_TEST(test_row29_sacked_data_that_the_peer_dropped_is_resent),
        TCP_TEST(test_row32_karn_no_sample_from_a_retransmission),
        TCP_TEST(test_row32_timestamps_measure_retransmissions),
        TCP_TEST(test_row33_rto_doubles_up_to_the_cap),
        TCP_TEST(test_row33_duplicate_ack_does_not_restart_the_timer),
        TCP_TEST(test_row33_ack_of_new_data_restarts_the_timer),
        TCP_TEST(test_row34_cancelled_timer_never_fires),
        TCP_TEST(test_row34_timer_of_a_reused_connection_slot),
        TCP_TEST(test_row35_initial_window_is_ten_segments),
        TCP_TEST(test_row35_slow_start_doubles),
        TCP_TEST(test_row35_cwnd_after_timeout_is_one_segment),
        TCP_TEST(test_row35_window_grows_only_when_it_is_used),
        TCP_TEST(test_row36_idle_restart),
        TCP_TEST(test_row37_three_duplicate_acks_retransmit),
        TCP_TEST(test_row37_partial_ack_retransmits_the_next_hole),
        TCP_TEST(test_row37_duplicates_of_a_timeout_start_no_recovery),
        TCP_TEST(test_row37_what_is_no_duplicate_ack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
