/* 100,000 idle connections: what they cost (design-dataplane, rule 24: a difference of resident
 * size), and that all of it comes back. Also row 52 from the far end: sequence numbers that wrap
 * while sending. */
#include "tcp_test.h"
#include <stdio.h>
#include <unistd.h>
#include "tcp_isn.h"

#define CONNS 100000u
/* Of the 100 MB, the engine's part; the rest is the session's. */
#define BYTES_PER_CONN_MAX 420u

static uint64_t resident_bytes(void)
{
    unsigned long total = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%lu %lu", &total, &resident), 2);
    fclose(f);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint32_t accepted, ended;

static void idle_ended(struct stream *s, enum stream_end why)
{
    ended++;
}

static bool idle_accept(void *arg, struct stream *s)
{
    static const struct stream_user_ops ops = {.ended = idle_ended};
    s->user_ops = &ops;
    accepted++;
    return true;
}

static struct rte_mbuf *segment(const struct flow_tuple *tuple, struct l4_packet *p, uint32_t seq,
                                uint32_t ack, uint8_t flags)
{
    struct rte_tcp_hdr h = {.src_port = __builtin_bswap16(tuple->remote_port),
                            .dst_port = __builtin_bswap16(tuple->local_port),
                            .sent_seq = __builtin_bswap32(seq),
                            .recv_ack = __builtin_bswap32(ack),
                            .data_off = 5 << 4,
                            .tcp_flags = flags,
                            .rx_win = 0xffff};
    *p = (struct l4_packet){.src = tuple->remote,
                            .dst = tuple->local,
                            .flow_hash = flow_hash(&T.net.steering, tuple),
                            .src_mac = {2, 0x77, 0, 0, 0, 2},
                            .checksum_good = true};
    return test_frame_raw(&T.net.port, &h, sizeof(h));
}

/* A handshake without looking at the SYN-ACK: its number is known. */
static void connect_one(uint32_t i)
{
    struct flow_tuple tuple = {.remote = ip_addr_from4(__builtin_bswap32(0x0a4d0002 + i / 25000)),
                               .local = T.net.config.ip4,
                               .remote_port = (uint16_t)(20000 + i % 25000),
                               .local_port = 7000};
    struct l4_packet p;
    uint32_t iss = tcp_isn(T.config.secret, &tuple, T.net.nif->now_us);
    tcp_input_segment(T.tcp, segment(&tuple, &p, 999, 0, SYN), &p);
    tcp_flush(T.tcp);
    tcp_input_segment(T.tcp, segment(&tuple, &p, 1000, iss + 1, ACK), &p);
    if (i % 16 == 0) {
        tcp_deliver(T.tcp);
        tcp_flush(T.tcp);
        netif_flush(T.net.nif);
        test_port_drop_sent(&T.net.port);
    }
}

static void test_100000_idle_connections(void **state)
{
    T.config.conns_max = CONNS + 64;
    T.config.keepalive_s = 300;
    tcp_test_start(0);
    assert_true(tcp_listen(T.tcp, 7000, idle_accept, NULL));
    uint64_t before = resident_bytes();
    for (uint32_t i = 0; i < CONNS; i++)
        connect_one(i);
    tcp_test_round();
    test_port_drop_sent(&T.net.port);
    uint64_t used = resident_bytes() - before;
    assert_int_equal(accepted, CONNS);
    assert_int_equal(STAT(conns_open), CONNS);
    print_message("%.1f bytes each\n", (double)used / CONNS);
#ifndef SW_SANITIZE
    assert_true(used <= (uint64_t)CONNS * BYTES_PER_CONN_MAX);
#endif
    assert_int_equal(test_port_buffers_used(&T.net.port), 0);
    tcp_free(T.tcp);
    T.tcp = NULL;
    test_port_drop_sent(&T.net.port);
    assert_int_equal(ended, CONNS);
    test_net_fini(&T.net);
}

static void test_row52_our_sequence_numbers_wrap(void **state)
{
    tcp_test_start(0);
    struct flow_tuple tuple = {.remote = T.peer.addr,
                               .local = T.net.config.ip4,
                               .remote_port = T.peer.port,
                               .local_port = T.port};
    /* A secret under which the first number lies just before the wrap. */
    uint32_t *word = (uint32_t *)T.tcp->config.secret;
    while (tcp_isn(T.tcp->config.secret, &tuple, T.net.nif->now_us) < 0xffffe000)
        ++*word;
    OPEN();
    assert_true(T.iss >= 0xffffe000);
    uint32_t written = 0, acked = 0;
    while (acked < 40 * 1460) {
        if (written < 40 * 1460)
            WRITE_PATTERN(4 * 1460);
        written += 4 * 1460;
        for (; test_port_take_segment(&T.net.port, &T.last); acked += T.last.data_len) {
            uint8_t pattern[1460];
            assert_int_equal(T.last.seq - T.iss, 1 + acked);
            tcp_test_pattern(pattern, 1 + acked, T.last.data_len);
            assert_memory_equal(T.last.data, pattern, T.last.data_len);
        }
        SEND(.seq = 1, .ack = 1 + acked);
    }
    assert_int_equal(STAT(retransmitted_segments), 0);
    assert_true(tcp_test_conn()->snd_una < 0x80000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TCP_TEST(test_100000_idle_connections),
        TCP_TEST(test_row52_our_sequence_numbers_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
