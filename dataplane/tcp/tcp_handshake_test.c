/* Rows 1 to 12 of the list in docs: opening connections. */
#include "tcp_test.h"

static void test_row01_syn_draws_syn_ack_with_offered_options_only(void **state)
{
    tcp_test_start(0);
    SEND(.flags = SYN, .mss = 1460);
    EXPECT(.flags = SYN | ACK, .ack = 1, .mss = 1460, .no_ts = true);
    EXPECT_NONE();
    T.peer.port++;
    SEND(.flags = SYN, .mss = 1460, .scale_on = true, .scale = 7, .sack_ok = true, .ts_val = 99);
    EXPECT(.flags = SYN | ACK, .ack = 1, .mss = 1460, .scale_on = true, .sack_ok = true, .ts_ecr = 99);
    EXPECT_NONE();
}

static void test_open_data_reply_close(void **state)
{
    tcp_test_start(0);
    OPEN();
    assert_int_equal(T.accepted, 1);
    SEND(.seq = 1, .ack = 1, .data = "PING");
    EXPECT_NONE();
    assert_int_equal(T.user.received_len, 4);
    WRITE("PONG!");
    EXPECT(.seq = 1, .ack = 5, .data = "PONG!");
    SEND(.seq = 5, .ack = 6);
    assert_int_equal(T.user.drained, 1);
    EXPECT_NONE();
    T.user.close_on_eof = true;
    SEND(.seq = 5, .ack = 6, .flags = FIN | ACK);
    EXPECT(.seq = 6, .ack = 6, .flags = FIN | ACK);
    SEND(.seq = 6, .ack = 7);
    EXPECT_NONE();
    assert_int_equal(STAT(conns_open), 0);
    assert_int_equal(STAT(conns_time_wait), 0);
}

static void test_connect_data_close(void **state)
{
    tcp_test_start(0);
    CONNECT();
    WRITE("hello");
    EXPECT(.seq = 1, .ack = 1, .data = "hello");
    SEND(.seq = 1, .ack = 6, .data = "world");
    assert_memory_equal(T.user.received, "world", 5);
    struct stream *s = T.user.stream;
    s->ops->close(s);
    ROUND();
    EXPECT(.seq = 6, .ack = 6, .flags = FIN | ACK);
    SEND(.seq = 6, .ack = 7, .flags = FIN | ACK);
    EXPECT(.seq = 7, .ack = 7);
    assert_int_equal(STAT(conns_open), 0);
    assert_int_equal(STAT(conns_time_wait), 1);
    ADVANCE(61000);
    assert_int_equal(STAT(conns_time_wait), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TCP_TEST(test_row01_syn_draws_syn_ack_with_offered_options_only),
        TCP_TEST(test_open_data_reply_close),
        TCP_TEST(test_connect_data_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
