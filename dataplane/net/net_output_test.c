/* Segments out: headers, offload flags, routes, the burst. */
#include <string.h>
#include "test_cmocka.h"
#include <rte_mbuf.h>
#include "test_port.h"

static struct test_net net;
static struct test_segment seen;
static const uint8_t mac_gateway[6] = {2, 0x77, 0, 0, 0, 0xfe};

/* A segment as TCP hands it over: TCP header first, l4_len set. */
static struct rte_mbuf *segment(uint8_t flags, const void *data, uint16_t len)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(net.port.queue.pool);
    uint8_t *tcp = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(20 + len));
    memset(tcp, 0, 20);
    tcp[1] = 80;
    tcp[12] = 0x50;
    tcp[13] = flags;
    memset(tcp + 16, 0x5a, 2); /* netif fills it in */
    if (len > 0)
        memcpy(tcp + 20, data, len);
    m->l4_len = 20;
    return m;
}

static void send_to(const char *dst, struct net_path *path, struct rte_mbuf *m)
{
    struct ip_addr to = test_ip(dst), from = {0};
    assert_true(netif_source_for(net.nif, &to, &from) || path->mac_from_peer);
    netif_output_tcp(net.nif, path, &from, &to, m);
    netif_flush(net.nif);
}

static void resolve(const char *a, const uint8_t mac[6])
{
    struct ip_addr addr = test_ip(a);
    test_net_resolve(&net, &addr, mac);
}

static void headers_and_flags(void **state)
{
    static const char *const peers[] = {"10.77.0.2", "fd77::2", "fe80::2"};
    static const char *const sources[] = {"10.77.0.1", "fd77::1", "fe80::77:ff:fe00:1"};
    for (unsigned i = 0; i < 3; i++) {
        struct net_path path = {0};
        struct ip_addr dst = test_ip(peers[i]), src = test_ip(sources[i]);
        resolve(peers[i], test_mac_peer);
        send_to(peers[i], &path, segment(TEST_ACK, "abc", 3));
        assert_int_equal(net.port.sent_count, 1);
        const struct rte_mbuf *m = net.port.sent[net.port.sent_head];
        uint64_t family = i == 0 ? RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM : RTE_MBUF_F_TX_IPV6;
        assert_int_equal(m->ol_flags, family | RTE_MBUF_F_TX_TCP_CKSUM);
        assert_int_equal(m->l2_len, 14);
        assert_int_equal(m->l3_len, i == 0 ? 20 : 40);
        assert_int_equal(m->l4_len, 20);
        /* Completes the checksum from the pseudo header's sum and checks everything. */
        assert_true(test_port_take_segment(&net.port, &seen));
        assert_true(ip_addr_equal(&seen.dst, &dst));
        assert_true(ip_addr_equal(&seen.src, &src));
        assert_memory_equal(seen.dst_mac, test_mac_peer, 6);
        assert_memory_equal(seen.src_mac, test_mac_us, 6);
        assert_int_equal(seen.data_len, 3);
        assert_memory_equal(seen.data, "abc", 3);
    }
}

static void large_segments_ask_for_tso(void **state)
{
    static uint8_t data[1900];
    for (unsigned i = 0; i < 2; i++) {
        const char *peer = i == 0 ? "10.77.0.2" : "fd77::2";
        struct net_path path = {0};
        resolve(peer, test_mac_peer);
        struct rte_mbuf *m = segment(TEST_ACK, data, sizeof data);
        m->tso_segsz = 1460;
        send_to(peer, &path, m);
        assert_true(net.port.sent[net.port.sent_head]->ol_flags & RTE_MBUF_F_TX_TCP_SEG);
        assert_true(test_port_take_segment(&net.port, &seen));
        assert_int_equal(seen.tso_segsz, 1460);
        assert_int_equal(seen.data_len, sizeof data);
    }
}

static void chains_leave_whole(void **state)
{
    static uint8_t data[1500];
    struct net_path path = {0};
    resolve("10.77.0.2", test_mac_peer);
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)i;
    struct rte_mbuf *m = segment(TEST_ACK, data, sizeof data);
    test_frame_split(&net.port, m, 20);
    send_to("10.77.0.2", &path, m);
    assert_true(test_port_take_segment(&net.port, &seen));
    assert_int_equal(seen.data_len, sizeof data);
    assert_memory_equal(seen.data, data, sizeof data);
}

static void far_destinations_go_to_the_gateway(void **state)
{
    struct net_path path = {0}, path6 = {0};
    resolve("10.77.0.254", mac_gateway);
    resolve("fd77::fe", mac_gateway);
    send_to("10.9.9.9", &path, segment(TEST_ACK, NULL, 0));
    assert_true(test_port_take_segment(&net.port, &seen));
    assert_memory_equal(seen.dst_mac, mac_gateway, 6);
    send_to("2001:db8::1", &path6, segment(TEST_ACK, NULL, 0));
    assert_true(test_port_take_segment(&net.port, &seen));
    assert_memory_equal(seen.dst_mac, mac_gateway, 6);
}

static void no_route_is_counted(void **state)
{
    static const char *const nowhere[] = {
        "10.77.0.255", "224.0.0.1", "0.0.0.0", "127.0.0.1", "10.77.0.1",
        "ff02::1",     "::",        "::1",     "fd77::1",   "fe80::77:ff:fe00:1"};
    struct ip_addr src = test_ip("10.77.0.1");
    for (unsigned i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++) {
        struct ip_addr dst = test_ip(nowhere[i]), from;
        struct net_path path = {0};
        assert_false(netif_source_for(net.nif, &dst, &from));
        assert_false(netif_reachable(net.nif, &dst));
        netif_output_tcp(net.nif, &path, &src, &dst, segment(TEST_ACK, NULL, 0));
        assert_int_equal(net.nif->stats->tx_no_route, i + 1);
    }
    netif_flush(net.nif);
    assert_int_equal(net.port.sent_count, 0);
}

static void without_gateway_only_the_subnet(void **state)
{
    struct netif_config c = net.config;
    struct ip_addr far = test_ip("10.9.9.9"), near = test_ip("10.77.0.9"), src;
    struct ip_addr far6 = test_ip("2001:db8::1"), link6 = test_ip("fe80::9");
    memset(&c.gateway4, 0, sizeof c.gateway4);
    memset(&c.gateway6, 0, sizeof c.gateway6);
    memset(&c.ip6, 0, sizeof c.ip6);
    struct netif *n = netif_new(&net.port.queue, &c, net.nif->l4, NULL);
    assert_false(netif_source_for(n, &far, &src));
    assert_true(netif_source_for(n, &near, &src));
    assert_false(netif_source_for(n, &far6, &src));
    assert_true(netif_source_for(n, &link6, &src));
    assert_true(ip_addr_equal(&src, &n->link_local));
    netif_free(n);
}

/* A node without IPv4 has no IPv4 sources, and answers to none of its packets. */
static void ipv6_only(void **state)
{
    struct netif_config c = net.config;
    struct ip_addr near = test_ip("10.77.0.9"), zero = test_ip("0.0.0.0"), src;
    memset(&c.ip4, 0, sizeof c.ip4);
    struct netif *n = netif_new(&net.port.queue, &c, net.nif->l4, NULL);
    struct test_tcp t = {.src = near, .dst = zero, .flags = TEST_SYN};
    struct rte_mbuf *m = test_frame_tcp(&net.port, &t);
    assert_false(netif_source_for(n, &near, &src));
    netif_input(n, &m, 1);
    assert_int_equal(n->stats->rx_not_ours, 1);
    netif_free(n);
}

static void prefixes_are_exact(void **state)
{
    struct netif_config c = net.config;
    struct ip_addr src, in = test_ip("10.77.7.254"), out = test_ip("10.77.8.1");
    struct ip_addr in6 = test_ip("fd77:0:0:7::9"), out6 = test_ip("fd77:0:0:8::9");
    c.prefix4 = 21;
    c.prefix6 = 61;
    memset(&c.gateway4, 0, sizeof c.gateway4);
    memset(&c.gateway6, 0, sizeof c.gateway6);
    struct netif *n = netif_new(&net.port.queue, &c, net.nif->l4, NULL);
    assert_true(netif_source_for(n, &in, &src));
    assert_false(netif_source_for(n, &out, &src));
    assert_true(netif_source_for(n, &in6, &src));
    assert_false(netif_source_for(n, &out6, &src));
    netif_free(n);
}

static void mtu_per_family(void **state)
{
    struct ip_addr four = test_ip("10.77.0.2"), six = test_ip("fd77::2");
    assert_int_equal(netif_l4_mtu(net.nif, &four), 1480);
    assert_int_equal(netif_l4_mtu(net.nif, &six), 1460);
}

static void a_full_burst_is_sent_at_once(void **state)
{
    struct net_path path = {0};
    struct ip_addr dst = test_ip("10.77.0.2"), src = test_ip("10.77.0.1");
    resolve("10.77.0.2", test_mac_peer);
    uint32_t calls = net.port.tx_calls;
    uint64_t frames = net.nif->stats->tx_frames, bytes = net.nif->stats->tx_bytes;
    for (unsigned i = 0; i < NET_TX_BURST + 10; i++)
        netif_output_tcp(net.nif, &path, &src, &dst, segment(TEST_ACK, NULL, 0));
    assert_int_equal(net.port.tx_calls, calls + 1);
    netif_flush(net.nif);
    assert_int_equal(net.port.tx_calls, calls + 2);
    assert_int_equal(net.nif->stats->tx_frames, frames + NET_TX_BURST + 10);
    assert_int_equal(net.nif->stats->tx_bytes, bytes + (NET_TX_BURST + 10) * 54);
}

static void queue_up(struct net_path *path, uint16_t first, uint16_t count)
{
    struct ip_addr dst = test_ip("10.77.0.2"), src = test_ip("10.77.0.1");
    for (uint16_t i = first; i < first + count; i++)
        netif_output_tcp(net.nif, path, &src, &dst, segment(TEST_ACK, &i, 2));
}

static void assert_sent_in_order(uint16_t first, uint16_t count)
{
    for (uint16_t i = first; i < first + count; i++) {
        assert_true(test_port_take_segment(&net.port, &seen));
        assert_memory_equal(seen.data, &i, 2);
    }
    assert_int_equal(net.port.sent_count, 0);
}

static void what_the_port_refuses_waits_in_order(void **state)
{
    struct net_path path = {0};
    resolve("10.77.0.2", test_mac_peer);
    uint64_t frames = net.nif->stats->tx_frames;
    net.port.accept_max = 0;
    queue_up(&path, 0, 10);
    uint32_t calls = net.port.tx_calls;
    netif_flush(net.nif);
    assert_true(net.port.tx_calls - calls <= 4);
    assert_int_equal(net.nif->tx_count, 10);
    assert_true(netif_deadline_us(net.nif) == net.nif->now_us);
    net.port.accept_max = 3;
    queue_up(&path, 10, 100);
    netif_flush(net.nif);
    assert_int_equal(net.nif->tx_count, 0);
    assert_int_equal(net.nif->stats->tx_frames, frames + 110);
    assert_int_equal(net.nif->stats->tx_port_drops, 0);
    assert_sent_in_order(0, 110);
}

static void a_stalled_port_loses_what_waits(void **state)
{
    struct net_path path = {0};
    resolve("10.77.0.2", test_mac_peer);
    uint64_t bytes = net.nif->stats->tx_bytes;
    net.port.accept_max = 0;
    net.nif->now_us += 1000000;
    queue_up(&path, 0, 10);
    net.nif->now_us += NET_TX_STALL_US - 1;
    netif_flush(net.nif);
    assert_int_equal(net.nif->tx_count, 10);
    /* A single frame is progress: the clock starts anew. */
    net.port.accept_max = 1;
    net.port.accept_calls = 1;
    netif_flush(net.nif);
    assert_int_equal(net.nif->tx_count, 9);
    net.nif->now_us += NET_TX_STALL_US - 1;
    netif_flush(net.nif);
    assert_int_equal(net.nif->tx_count, 9);
    test_port_drop_sent(&net.port);
    bytes += 56;
    net.nif->now_us += 1;
    netif_flush(net.nif);
    assert_int_equal(net.nif->tx_count, 0);
    assert_int_equal(net.nif->stats->tx_port_drops, 9);
    assert_int_equal(net.nif->stats->tx_bytes, bytes);
    assert_int_equal(test_port_buffers_used(&net.port), 0);
}

static void waiting_frames_are_bounded(void **state)
{
    struct net_path path = {0};
    resolve("10.77.0.2", test_mac_peer);
    net.port.accept_max = 0;
    queue_up(&path, 0, 1000);
    netif_validate(net.nif);
    assert_int_equal(net.nif->tx_count, NET_TX_QUEUE_MAX - 1);
    assert_int_equal(net.nif->stats->tx_port_drops, 1000 - (NET_TX_QUEUE_MAX - 1));
    net.port.accept_max = UINT16_MAX;
    netif_flush(net.nif);
    assert_sent_in_order(0, NET_TX_QUEUE_MAX - 1);
}

static void ending_frees_what_waits(void **state)
{
    struct net_path path = {0};
    struct netif *n = netif_new(&net.port.queue, &net.config, net.nif->l4, NULL);
    struct ip_addr dst = test_ip("10.77.0.2"), src = test_ip("10.77.0.1");
    netif_output_tcp(n, &path, &src, &dst, segment(TEST_ACK, NULL, 0)); /* behind the neighbour */
    assert_int_equal(n->tx_count, 1);                                   /* the request */
    netif_free(n);
    assert_int_equal(test_port_buffers_used(&net.port), 0);
}

static int set_up(void **state)
{
    test_net_init(&net, 0, 1, NULL, NULL);
    return 0;
}

static int tear_down(void **state)
{
    netif_validate(net.nif);
    test_net_fini(&net);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(headers_and_flags),
        TEST(large_segments_ask_for_tso),
        TEST(chains_leave_whole),
        TEST(far_destinations_go_to_the_gateway),
        TEST(no_route_is_counted),
        TEST(without_gateway_only_the_subnet),
        TEST(ipv6_only),
        TEST(prefixes_are_exact),
        TEST(mtu_per_family),
        TEST(a_full_burst_is_sent_at_once),
        TEST(what_the_port_refuses_waits_in_order),
        TEST(a_stalled_port_loses_what_waits),
        TEST(waiting_frames_are_bounded),
        TEST(ending_frees_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
