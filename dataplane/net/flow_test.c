#include <string.h>
#include "test_cmocka.h"
#include <rte_mbuf.h>
#include <rte_thash.h>
#include "test_port.h"

/* The key and the vectors of the RSS specification (hash of addresses, hash with ports). */
static const uint8_t rss_key[40] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
                                    0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
                                    0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
                                    0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};
static const struct {
    const char *local, *remote;
    uint16_t local_port, remote_port;
    uint32_t addresses, tuple;
} vectors[] = {
    {"161.142.100.80", "66.9.149.187", 1766, 2794, 0x323e8fc2, 0x51ccc178},
    {"65.69.140.83", "199.92.111.2", 4739, 14230, 0xd718262a, 0xc626b0ea},
    {"12.22.207.184", "24.19.198.95", 38024, 12898, 0xd2d0a5de, 0x5c2b394a},
    {"209.142.163.6", "38.27.205.30", 2217, 48228, 0x82989176, 0xafc7327f},
    {"202.188.127.2", "153.39.163.191", 1303, 44251, 0x5d1809c5, 0x10e828a2},
    {"3ffe:2501:200:3::1", "3ffe:2501:200:1fff::7", 1766, 2794, 0x2cc18cd5, 0x40207d3d},
    {"ff02::1", "3ffe:501:8::260:97ff:fe40:efab", 4739, 14230, 0x0f0c461c, 0xdde51bbf},
    {"fe80::200:f8ff:fe21:67cf", "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 38024, 44251, 0x4b61e985,
     0x02d1feef},
};

static struct flow_steering steering;

static void agrees_with_the_specification(void **state)
{
    flow_init(&steering, rss_key, 4);
    for (unsigned i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct flow_tuple t = {.remote = test_ip(vectors[i].remote),
                               .local = test_ip(vectors[i].local),
                               .remote_port = vectors[i].remote_port,
                               .local_port = vectors[i].local_port};
        assert_int_equal(flow_hash(&steering, &t), vectors[i].tuple);
        assert_int_equal(flow_hash_addresses(&steering, &t.remote, &t.local), vectors[i].addresses);
    }
}

static uint64_t random_state = 12345;
static uint64_t random_next(void)
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return random_state >> 16;
}

/* As DPDK's software hash, which takes the tuple in words of host order. */
static uint32_t hash_by_dpdk(const uint8_t key[40], const struct flow_tuple *t)
{
    uint32_t words[9];
    unsigned n = ip_addr_is4(&t->remote) ? 1 : 4;
    for (unsigned i = 0; i < n; i++) {
        words[i] = __builtin_bswap32(t->remote.w[4 - n + i]);
        words[n + i] = __builtin_bswap32(t->local.w[4 - n + i]);
    }
    words[2 * n] = (uint32_t)t->remote_port << 16 | t->local_port;
    return rte_softrss(words, 2 * n + 1, key);
}

static void agrees_with_rte_softrss(void **state)
{
    uint8_t key[40];
    for (unsigned round = 0; round < 20000; round++) {
        if (round % 100 == 0) {
            for (unsigned i = 0; i < sizeof key; i++)
                key[i] = (uint8_t)random_next();
            flow_init(&steering, key, 3);
        }
        struct flow_tuple t = {.remote_port = (uint16_t)random_next(),
                               .local_port = (uint16_t)random_next()};
        for (unsigned i = 0; i < 4; i++) {
            t.remote.w[i] = (uint32_t)random_next();
            t.local.w[i] = (uint32_t)random_next();
        }
        if (round % 2 == 0) {
            t.remote = ip_addr_from4(t.remote.w[3]);
            t.local = ip_addr_from4(t.local.w[3]);
        }
        assert_int_equal(flow_hash(&steering, &t), hash_by_dpdk(key, &t));
    }
}

static void table_spreads_round_robin(void **state)
{
    flow_init(&steering, rss_key, 3);
    for (uint32_t hash = 0; hash < 1000; hash++)
        assert_int_equal(flow_owner_of_hash(&steering, hash), hash % 128 % 3);
}

static bool never_in_use(void *arg, uint16_t port)
{
    return false;
}

static bool always_in_use(void *arg, uint16_t port)
{
    return true;
}

static bool in_use_below(void *arg, uint16_t port)
{
    return port < *(uint16_t *)arg;
}

/* tcp.md row 55. */
static void picked_ports_hash_back(void **state)
{
    static const char *const pairs[][2] = {{"10.0.0.2", "10.0.0.1"}, {"fd00::2", "fd00::1"}};
    flow_init(&steering, rss_key, 4);
    for (unsigned family = 0; family < 2; family++) {
        for (uint16_t lcore = 0; lcore < 4; lcore++) {
            struct flow_tuple t = {.remote = test_ip(pairs[family][0]),
                                   .local = test_ip(pairs[family][1]),
                                   .remote_port = 6379};
            uint16_t cursor = 65530, last = 0;
            for (unsigned i = 0; i < 1000; i++) {
                uint16_t port = flow_pick_port(&steering, &t, lcore, &cursor, never_in_use, NULL);
                assert_true(port >= FLOW_PORT_FIRST && port != last);
                assert_int_equal(t.local_port, port);
                assert_int_equal(flow_owner_of_hash(&steering, flow_hash(&steering, &t)), lcore);
                last = port;
            }
        }
    }
}

static void picking_honours_in_use(void **state)
{
    struct flow_tuple t = {.remote = test_ip("10.0.0.2"), .local = test_ip("10.0.0.1")};
    uint16_t cursor = 0, floor_port = 60000;
    flow_init(&steering, rss_key, 2);
    assert_int_equal(flow_pick_port(&steering, &t, 1, &cursor, always_in_use, NULL), 0);
    for (unsigned i = 0; i < 50; i++)
        assert_true(flow_pick_port(&steering, &t, 1, &cursor, in_use_below, &floor_port) >= 60000);
}

/* --- owners of frames --- */

static struct test_port port;

static uint16_t owner_and_free(struct rte_mbuf *m, bool rx_hash)
{
    uint16_t owner = flow_owner_of_frame(&steering, m, rx_hash);
    rte_pktmbuf_free(m);
    return owner;
}

static struct test_tcp segment(const char *remote, const char *local, uint16_t remote_port)
{
    return (struct test_tcp){.src = test_ip(remote),
                             .dst = test_ip(local),
                             .src_port = remote_port,
                             .dst_port = 6379,
                             .flags = TEST_ACK};
}

static struct flow_tuple tuple_of(const struct test_tcp *t)
{
    return (struct flow_tuple){
        .remote = t->src, .local = t->dst, .remote_port = t->src_port, .local_port = t->dst_port};
}

static void tcp_frames_by_their_tuple(void **state)
{
    static const char *const pairs[][2] = {{"10.77.0.2", "10.77.0.1"}, {"fd77::2", "fd77::1"}};
    flow_init(&steering, rss_key, 5);
    for (unsigned i = 0; i < 200; i++) {
        struct test_tcp t = segment(pairs[i % 2][0], pairs[i % 2][1], (uint16_t)(1000 + i));
        struct flow_tuple tuple = tuple_of(&t);
        uint32_t hash = flow_hash(&steering, &tuple);
        struct rte_mbuf *m = test_frame_tcp(&port, &t);
        /* A hash of the port under another key does not count. */
        m->hash.rss = 99;
        m->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
        assert_int_equal(flow_owner_of_frame(&steering, m, false),
                         flow_owner_of_hash(&steering, hash));
        assert_int_equal(m->hash.rss, hash);
        assert_true(m->ol_flags & RTE_MBUF_F_RX_RSS_HASH);
        rte_pktmbuf_free(m);
    }
}

static void offloaded_hash_is_used_when_ours(void **state)
{
    struct test_tcp t = segment("10.77.0.2", "10.77.0.1", 1234);
    struct rte_mbuf *m = test_frame_tcp(&port, &t);
    flow_init(&steering, rss_key, 5);
    m->hash.rss = 3;
    m->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
    assert_int_equal(flow_owner_of_frame(&steering, m, true), 3);
    assert_int_equal(m->hash.rss, 3);
    rte_pktmbuf_free(m);
    /* The port gave none for this one. */
    struct flow_tuple tuple = tuple_of(&t);
    assert_int_equal(owner_and_free(test_frame_tcp(&port, &t), true),
                     flow_owner_of_hash(&steering, flow_hash(&steering, &tuple)));
}

/* tcp.md row 60: errors go where the connection lives. */
static void icmp_errors_by_the_quoted_tuple(void **state)
{
    static const struct {
        const char *from, *local, *remote;
        uint8_t type;
    } cases[] = {{"10.77.0.254", "10.77.0.1", "10.9.9.9", 3},
                 {"10.77.0.254", "10.77.0.1", "10.9.9.9", 11},
                 {"fd77::fe", "fd77::1", "fd99::9", 1},
                 {"fd77::fe", "fd77::1", "fd99::9", 2}};
    flow_init(&steering, rss_key, 7);
    for (unsigned i = 0; i < 400; i++) {
        unsigned c = i % 4;
        struct test_quote q = {.from = test_ip(cases[c].from),
                               .local = test_ip(cases[c].local),
                               .remote = test_ip(cases[c].remote),
                               .local_port = (uint16_t)(40000 + i),
                               .remote_port = 6379};
        struct flow_tuple t = {.remote = q.remote,
                               .local = q.local,
                               .remote_port = q.remote_port,
                               .local_port = q.local_port};
        struct rte_mbuf *m = test_frame_icmp_error(&port, &q, cases[c].type, 4, 1400);
        if (i % 3 == 0)
            test_frame_split(&port, m, 20 + i % 40);
        assert_int_equal(owner_and_free(m, false),
                         flow_owner_of_hash(&steering, flow_hash(&steering, &t)));
    }
}

static void fragments_by_their_addresses(void **state)
{
    uint8_t bytes[64];
    flow_init(&steering, rss_key, 7);
    for (unsigned i = 0; i < 64; i++) {
        struct test_ip_header h = {.src = test_ip("10.77.0.2"),
                                   .dst = test_ip("10.77.0.1"),
                                   .proto = 6,
                                   .fragment = (uint16_t)(i == 0 ? 0x2000 : i)};
        memset(bytes, (int)(i * 3), sizeof bytes);
        h.src.b[15] = 9;
        uint32_t hash = flow_hash_addresses(&steering, &h.src, &h.dst);
        assert_int_equal(owner_and_free(test_frame_ip(&port, &h, bytes, sizeof bytes), false),
                         flow_owner_of_hash(&steering, hash));
    }
}

static void everything_else_is_lcore_0s(void **state)
{
    flow_init(&steering, rss_key, 7);
    struct test_arp arp = {.op = 1, .sender = test_ip("10.77.0.2"), .target = test_ip("10.77.0.1")};
    assert_int_equal(owner_and_free(test_frame_arp(&port, &arp), false), 0);
    struct test_ip_header h = {.src = test_ip("10.77.0.2"), .dst = test_ip("10.77.0.1")};
    assert_int_equal(owner_and_free(test_frame_icmp(&port, &h, 8, 0, "12345678", 8), false), 0);
    h.proto = 17;
    assert_int_equal(owner_and_free(test_frame_ip(&port, &h, "12345678", 8), false), 0);
    /* A VLAN tag hides the tuple. */
    struct test_tcp t = segment("10.77.0.2", "10.77.0.1", 1234);
    struct rte_mbuf *m = test_frame_tcp(&port, &t);
    rte_pktmbuf_mtod(m, uint8_t *)[12] = 0x81;
    rte_pktmbuf_mtod(m, uint8_t *)[13] = 0;
    assert_int_equal(owner_and_free(m, false), 0);
}

/* Every truncation of every kind of frame is read only as far as it goes (checked by ASan too). */
static void truncated_frames_are_survived(void **state)
{
    struct test_quote q = {.from = test_ip("10.77.0.254"),
                           .local = test_ip("10.77.0.1"),
                           .remote = test_ip("10.9.9.9")};
    struct test_quote q6 = {
        .from = test_ip("fd77::fe"), .local = test_ip("fd77::1"), .remote = test_ip("fd99::9")};
    struct test_tcp t = segment("10.77.0.2", "10.77.0.1", 1234);
    struct test_tcp t6 = segment("fd77::2", "fd77::1", 1234);
    uint8_t options[16] = {6, 1};
    struct test_ip_header h6 = {.src = t6.src, .dst = t6.dst, .proto = 60};
    flow_init(&steering, rss_key, 7);
    for (unsigned kind = 0; kind < 5; kind++) {
        for (uint32_t len = 0; len < 130; len++) {
            struct rte_mbuf *m = kind == 0   ? test_frame_tcp(&port, &t)
                                 : kind == 1 ? test_frame_tcp(&port, &t6)
                                 : kind == 2 ? test_frame_icmp_error(&port, &q, 3, 4, 0)
                                 : kind == 3 ? test_frame_icmp_error(&port, &q6, 2, 0, 1400)
                                             : test_frame_ip(&port, &h6, options, 16);
            if (len < m->pkt_len)
                rte_pktmbuf_trim(m, (uint16_t)(m->pkt_len - len));
            assert_true(owner_and_free(m, false) < 7);
        }
    }
}

static int set_up(void **state)
{
    test_eal_init();
    test_port_init(&port, 512, 0);
    return 0;
}

static int tear_down(void **state)
{
    test_port_fini(&port);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_specification),
        cmocka_unit_test(agrees_with_rte_softrss),
        cmocka_unit_test(table_spreads_round_robin),
        cmocka_unit_test(picked_ports_hash_back),
        cmocka_unit_test(picking_honours_in_use),
        cmocka_unit_test(tcp_frames_by_their_tuple),
        cmocka_unit_test(offloaded_hash_is_used_when_ours),
        cmocka_unit_test(icmp_errors_by_the_quoted_tuple),
        cmocka_unit_test(fragments_by_their_addresses),
        cmocka_unit_test(everything_else_is_lcore_0s),
        cmocka_unit_test(truncated_frames_are_survived),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
