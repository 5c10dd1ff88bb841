/* The engine against its port: IPv6, frames above the MSS, an empty pool, a port that takes
 * nothing. */
#include "tcp_test.h"
#include <rte_mempool.h>

#define MSS 1460u

static void test_ipv6(void **state)
{
    T.peer.addr = test_ip("fd77::2");
    T.peer.mss = 1440;
    tcp_test_start(0);
    OPEN();
    assert_int_equal(INFO().mss, 1440);
    SEND(.seq = 1, .ack = 1, .len = 1000);
    RECEIVED(1000);
    WRITE_PATTERN(2000);
    EXPECT(.seq = 1, .ack = 1001, .len = 1440);
    EXPECT(.seq = 1441, .ack = 1001, .len = 560);
    char name[STREAM_NAME_SIZE];
    T.user.stream->ops->name_peer(T.user.stream, name);
    assert_string_equal(name, "[fd77::2]:40000");
    T.user.stream->ops->name_local(T.user.stream, name);
    assert_string_equal(name, "[fd77::1]:6379");
}

static void test_names_of_ipv4(void **state)
{
    tcp_test_start(0);
    OPEN();
    char name[STREAM_NAME_SIZE];
    T.user.stream->ops->name_peer(T.user.stream, name);
    assert_string_equal(name, "10.77.0.2:40000");
    T.user.stream->ops->name_local(T.user.stream, name);
    assert_string_equal(name, "10.77.0.1:6379");
}

static void test_large_frames_on_ports_that_cut_them(void **state)
{
    tcp_test_start(PORT_TX_TSO | PORT_TX_MULTI_SEG);
    OPEN();
    WRITE_PATTERN(10 * MSS + 100);
    EXPECT(.seq = 1, .ack = 1, .len = 10 * MSS);
    assert_int_equal(T.last.tso_segsz, MSS);
    SEND(.seq = 1, .ack = 1 + 10 * MSS);
    EXPECT(.seq = 1 + 10 * MSS, .ack = 1, .len = 100);
    assert_int_equal(T.last.tso_segsz, 0);
}

static void test_large_frames_have_room_for_timestamps(void **state)
{
    T.peer.ts_on = true;
    tcp_test_start(PORT_TX_GSO | PORT_TX_MULTI_SEG);
    OPEN();
    WRITE_PATTERN(5 * MSS);
    EXPECT(.seq = 1, .ack = 1, .len = 5 * MSS);
    assert_int_equal(T.last.tso_segsz, MSS - TCP_OPTION_TS_LEN);
}

static void test_no_large_frames_without_chains(void **state)
{
    tcp_test_start(PORT_TX_TSO);
    OPEN();
    WRITE_PATTERN(2 * MSS);
    EXPECT(.seq = 1, .ack = 1, .len = MSS);
    EXPECT(.seq = 1 + MSS, .ack = 1, .len = MSS);
}

static void test_jumbo_frames(void **state)
{
    T.peer.mss = 9000;
    tcp_test_start(PORT_TX_MULTI_SEG);
    T.net.nif->config.mtu = 9000;
    SEND(.flags = SYN, .mss = 9000);
    EXPECT(.flags = SYN | ACK, .ack = 1, .mss = 8960);
    SEND(.seq = 1, .ack = 1);
    WRITE_PATTERN(10000);
    EXPECT(.seq = 1, .ack = 1, .len = 8960);
    EXPECT(.seq = 8961, .ack = 1, .len = 1040);
}

static void test_jumbo_frames_without_chains_fit_one_mbuf(void **state)
{
    tcp_test_start(0);
    T.net.nif->config.mtu = 9000;
    SEND(.flags = SYN, .mss = 9000);
    EXPECT(.flags = SYN | ACK, .ack = 1, .mss = 8960);
    SEND(.seq = 1, .ack = 1);
    WRITE_PATTERN(5000);
    uint32_t got = 0;
    for (; test_port_take_segment(&T.net.port, &T.last); got += T.last.data_len)
        assert_true(T.last.data_len <= 2048);
    assert_int_equal(got, 5000);
}

static struct rte_mbuf *taken[TEST_PORT_BUFFERS];
static uint32_t taken_count;

static void pool_empty(uint32_t leave)
{
    struct rte_mempool *pool = T.net.port.queue.pool;
    while (rte_mempool_avail_count(pool) > leave)
        taken[taken_count++] = rte_pktmbuf_alloc(pool);
}

static void pool_refill(void)
{
    while (taken_count)
        rte_pktmbuf_free(taken[--taken_count]);
}

static void test_empty_pool_delays_and_loses_nothing(void **state)
{
    tcp_test_start(PORT_TX_MULTI_SEG | PORT_TX_TSO);
    OPEN();
    for (uint32_t leave = 0; leave < 3; leave++) {
        uint32_t seq = 1 + leave * 5000;
        pool_empty(leave);
        WRITE_PATTERN(5000);
        tcp_test_drop_sent();
        assert_true(tcp_flush_pending(T.tcp));
        pool_refill();
        ROUND();
        tcp_test_drop_sent();
        SEND(.seq = 1, .ack = seq + 5000);
        assert_int_equal(T.user.stream->out.len, 0);
    }
    assert_true(STAT(mbuf_failures) > 0);
}

static void test_empty_pool_at_every_step_of_a_connection(void **state)
{
    tcp_test_start(0);
    for (int step = 0; step < 6; step++, T.peer.port++) {
        T.user.stream = NULL;
        for (int now = 0; now < 6; now++) {
            if (now == step)
                pool_empty(1); /* for the peer's segment */
            switch (now) {
            case 0:
                SEND(.flags = SYN, .mss = 1460);
                T.iss = tcp_test_conn()->snd_una;
                break;
            case 1:
                SEND(.seq = 1, .ack = 1);
                break;
            case 2:
                SEND(.seq = 1, .ack = 1, .len = 10);
                break;
            case 3:
                WRITE_PATTERN(10);
                break;
            case 4:
                SEND(.seq = 11, .ack = 11);
                break;
            default:
                SEND(.seq = 11, .ack = 11, .flags = RST);
            }
            pool_refill();
            ROUND();
            tcp_test_drop_sent();
        }
        ADVANCE(1000);
        tcp_test_drop_sent();
        assert_int_equal(STAT(conns_open), 0);
        assert_int_equal(test_port_buffers_used(&T.net.port), 0);
    }
}

static void test_port_that_takes_nothing_is_a_lossy_link(void **state)
{
    tcp_test_start(0);
    OPEN();
    T.net.port.accept_max = 0;
    WRITE_PATTERN(3000);
    EXPECT_NONE();
    T.net.port.accept_max = UINT16_MAX;
    ADVANCE(TCP_RTO_MIN_MS);
    EXPECT(.seq = 1, .ack = 1, .len = MSS);
}

static void test_free_with_everything_in_flight(void **state)
{
    T.user.hold = true;
    tcp_test_start(0);
    OPEN();
    SEND(.seq = 1, .ack = 1, .len = 1000);
    SEND(.seq = 3001, .ack = 1, .len = 1000);
    WRITE_PATTERN(100000);
    T.peer.port++;
    SEND(.flags = SYN, .mss = 1460);
    assert_non_null(tcp_connect(T.tcp, &T.peer.addr, 9, 0, NULL, NULL));
    tcp_free(T.tcp);
    T.tcp = NULL;
    assert_int_equal(T.user.ended, 1);
    assert_int_equal(T.user.why, STREAM_END_ABORTED);
    test_net_fini(&T.net); /* checks the pool */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TCP_TEST(test_ipv6),
        TCP_TEST(test_names_of_ipv4),
        TCP_TEST(test_large_frames_on_ports_that_cut_them),
        TCP_TEST(test_large_frames_have_room_for_timestamps),
        TCP_TEST(test_no_large_frames_without_chains),
        TCP_TEST(test_jumbo_frames),
        TCP_TEST(test_jumbo_frames_without_chains_fit_one_mbuf),
        TCP_TEST(test_empty_pool_delays_and_loses_nothing),
        TCP_TEST(test_empty_pool_at_every_step_of_a_connection),
        TCP_TEST(test_port_that_takes_nothing_is_a_lossy_link),
        TCP_TEST(test_free_with_everything_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
