/* The neighbour table as seen through the netif: ARP and ND frames in, requests and packets out. */
#include <stdio.h>
#include <string.h>
#include "test_cmocka.h"
#include <rte_mbuf.h>
#include "neigh.h"
#include "test_port.h"

static struct test_net net;
static struct test_segment seen;
static const uint8_t mac_other[6] = {2, 0x77, 0, 0, 0, 0x33};
static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static void advance(uint64_t us)
{
    net.nif->now_us += us;
    netif_tick(net.nif);
    netif_flush(net.nif);
}

static struct rte_mbuf *segment(uint8_t flags, uint8_t mark)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(net.port.queue.pool);
    uint8_t *tcp = (uint8_t *)rte_pktmbuf_append(m, 21);
    memset(tcp, 0, 20);
    tcp[12] = 0x50;
    tcp[13] = flags;
    tcp[20] = mark;
    m->l4_len = 20;
    return m;
}

static void send_to(struct ip_addr dst, struct net_path *path, uint8_t flags, uint8_t mark)
{
    struct ip_addr src;
    assert_true(netif_source_for(net.nif, &dst, &src));
    netif_output_tcp(net.nif, path, &src, &dst, segment(flags, mark));
    netif_flush(net.nif);
}

/* Takes all captured frames; how many were ARP requests or neighbour solicitations. */
static unsigned requests(uint8_t dst_mac[6])
{
    struct rte_mbuf *m;
    unsigned count = 0;
    while ((m = test_port_take(&net.port)) != NULL) {
        const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);
        bool arp = f[12] == 8 && f[13] == 6 && f[21] == 1;
        bool solicitation = f[12] == 0x86 && f[20] == 58 && f[54] == 135;
        if (arp || solicitation) {
            count++;
            if (dst_mac != NULL)
                memcpy(dst_mac, f, 6);
        }
        rte_pktmbuf_free(m);
    }
    return count;
}

static void arp_in(uint16_t op, const uint8_t sender_mac[6], const char *sender, const char *target,
                   bool broadcast)
{
    struct test_arp a = {.op = op, .sender = test_ip(sender), .target = test_ip(target)};
    memcpy(a.sender_mac, sender_mac, 6);
    memcpy(a.target_mac, test_mac_us, 6);
    memcpy(a.dst_mac, broadcast ? everybody : test_mac_us, 6);
    test_net_input(&net, test_frame_arp(&net.port, &a));
}

static void reply_from(const uint8_t mac[6], const char *sender)
{
    arp_in(2, mac, sender, "10.77.0.1", false);
}

static const struct neighbour *entry(const char *a)
{
    struct ip_addr addr = test_ip(a);
    return neigh_find(net.nif->neighbours, &addr);
}

/* tcp.md row 59. */
static void three_packets_wait_in_order(void **state)
{
    struct net_path path = {0};
    uint8_t dst[6];
    for (uint8_t i = 0; i < 5; i++)
        send_to(test_ip("10.77.0.2"), &path, TEST_ACK, i);
    assert_false(path.resolved);
    assert_int_equal(requests(dst), 1);
    assert_memory_equal(dst, everybody, 6);
    assert_int_equal(net.nif->stats->tx_unresolved_drops, 2);
    assert_int_equal(test_port_buffers_used(&net.port), 3);
    reply_from(test_mac_peer, "10.77.0.2");
    for (uint8_t i = 2; i < 5; i++) {
        assert_true(test_port_take_segment(&net.port, &seen));
        assert_int_equal(seen.data[0], i);
        assert_memory_equal(seen.dst_mac, test_mac_peer, 6);
    }
    send_to(test_ip("10.77.0.2"), &path, TEST_ACK, 9);
    assert_true(path.resolved);
    assert_true(test_port_take_segment(&net.port, &seen));
    assert_int_equal(test_port_buffers_used(&net.port), 0);
}

static void requests_are_paced_then_negative(void **state)
{
    struct net_path path = {0};
    unsigned asked = 0;
    send_to(test_ip("10.77.0.2"), &path, TEST_ACK, 1);
    for (unsigned ms = 0; ms < 2900; ms += 100) {
        send_to(test_ip("10.77.0.2"), &path, TEST_ACK, 1);
        asked += requests(NULL);
        advance(100000);
    }
    assert_int_equal(asked, 3);
    advance(200000);
    assert_int_equal(entry("10.77.0.2")->state, NEIGHBOUR_FAILED);
    assert_int_equal(test_port_buffers_used(&net.port), 0);
    /* For a while nothing is asked and nothing waits. */
    for (unsigned i = 0; i < 20; i++) {
        send_to(test_ip("10.77.0.2"), &path, TEST_ACK, 1);
        advance(100000);
        assert_int_equal(requests(NULL), 0);
        assert_int_equal(test_port_buffers_used(&net.port), 0);
    }
    advance(1100000);
    send_to(test_ip("10.77.0.2"), &path, TEST_ACK, 1);
    assert_int_equal(requests(NULL), 1);
    reply_from(test_mac_peer, "10.77.0.2");
    assert_true(test_port_take_segment(&net.port, &seen));
}

/* The same when no timer ran in between. */
static void a_late_use_asks_again(void **state)
{
    struct ip_addr a = test_ip("10.77.0.2");
    assert_false(netif_reachable(net.nif, &a));
    for (unsigned i = 0; i < 3; i++)
        advance(1000000);
    assert_int_equal(requests(NULL), 3);
    assert_int_equal(entry("10.77.0.2")->state, NEIGHBOUR_FAILED);
    net.nif->now_us += NEIGHBOUR_FAILED_US;
    assert_false(netif_reachable(net.nif, &a));
    netif_flush(net.nif);
    assert_int_equal(requests(NULL), 1);
    assert_int_equal(entry("10.77.0.2")->state, NEIGHBOUR_INCOMPLETE);
}

static void reachable_asks_once(void **state)
{
    struct ip_addr a = test_ip("10.77.0.2");
    for (unsigned i = 0; i < 10; i++)
        assert_false(netif_reachable(net.nif, &a));
    netif_flush(net.nif);
    assert_int_equal(requests(NULL), 1);
    reply_from(test_mac_peer, "10.77.0.2");
    assert_true(netif_reachable(net.nif, &a));
}

/* Everybody far away is behind one neighbour. */
static void gateway_is_asked_once(void **state)
{
    struct net_path path[3];
    memset(path, 0, sizeof path);
    send_to(test_ip("10.1.1.1"), &path[0], TEST_ACK, 1);
    send_to(test_ip("10.1.1.2"), &path[1], TEST_ACK, 2);
    send_to(test_ip("10.1.1.3"), &path[2], TEST_ACK, 3);
    assert_int_equal(requests(NULL), 1);
    reply_from(mac_other, "10.77.0.254");
    for (unsigned i = 0; i < 3; i++)
        assert_true(test_port_take_segment(&net.port, &seen));
    assert_memory_equal(seen.dst_mac, mac_other, 6);
}

/* tcp.md row 59: the SYN's source address serves; what follows asks in the background. */
static void syn_ack_needs_no_arp(void **state)
{
    struct net_path path = {.mac_from_peer = true};
    memcpy(path.next_hop_mac, mac_other, 6);
    send_to(test_ip("10.77.0.2"), &path, TEST_SYN | TEST_ACK, 0);
    send_to(test_ip("10.77.0.2"), &path, TEST_RST, 0);
    assert_true(test_port_take_segment(&net.port, &seen));
    assert_memory_equal(seen.dst_mac, mac_other, 6);
    assert_true(test_port_take_segment(&net.port, &seen));
    assert_null(entry("10.77.0.2"));
    /* The first segment of the established connection does not wait either. */
    send_to(test_ip("10.77.0.2"), &path, TEST_ACK, 1);
    assert_int_equal(net.port.sent_count, 2);
    assert_int_equal(entry("10.77.0.2")->state, NEIGHBOUR_INCOMPLETE);
    test_port_drop_sent(&net.port);
    /* ARP says otherwise. */
    reply_from(test_mac_peer, "10.77.0.2");
    send_to(test_ip("10.77.0.2"), &path, TEST_ACK, 1);
    assert_true(test_port_take_segment(&net.port, &seen));
    assert_memory_equal(seen.dst_mac, test_mac_peer, 6);
    assert_false(path.mac_from_peer);
}

static void silent_arp_leaves_the_peers_mac(void **state)
{
    struct net_path path = {.mac_from_peer = true};
    memcpy(path.next_hop_mac, mac_other, 6);
    send_to(test_ip("10.77.0.2"), &path, TEST_ACK, 1);
    for (unsigned i = 0; i < 40; i++) {
        advance(250000);
        send_to(test_ip("10.77.0.2"), &path, TEST_ACK, 1);
    }
    requests(NULL);
    assert_int_equal(net.nif->stats->tx_unresolved_drops, 0);
    send_to(test_ip("10.77.0.2"), &path, TEST_ACK, 1);
    assert_true(test_port_take_segment(&net.port, &seen));
    assert_memory_equal(seen.dst_mac, mac_other, 6);
}

/* bad-input.md row 60. */
static void strangers_do_not_fill_the_table(void **state)
{
    char sender[32];
    for (unsigned i = 0; i < 100000; i++) {
        snprintf(sender, sizeof sender, "10.77.0.%u", 2 + i % 250);
        arp_in((uint16_t)(1 + i % 2), mac_other, sender, i % 3 ? "10.77.0.1" : sender, i % 5 == 0);
        if (i % 1000 == 0)
            test_port_drop_sent(&net.port);
    }
    assert_int_equal(net.nif->neighbours->count, 0);
}

static void own_address_is_not_given_away(void **state)
{
    arp_in(2, mac_other, "10.77.0.1", "10.77.0.1", true);
    arp_in(1, mac_other, "10.77.0.1", "10.77.0.1", true);
    arp_in(2, mac_other, "10.77.0.1", "10.77.0.1", false);
    assert_int_equal(net.nif->stats->rx_arp_bad, 3);
    assert_int_equal(net.port.sent_count, 0);
    assert_null(entry("10.77.0.1"));
}

static void gratuitous_flip_is_verified(void **state)
{
    struct ip_addr a = test_ip("10.77.0.2");
    struct net_path path = {0};
    uint8_t dst[6];
    test_net_resolve(&net, &a, test_mac_peer);
    for (unsigned i = 0; i < 50; i++) {
        arp_in(1, mac_other, "10.77.0.2", "10.77.0.2", true);
        arp_in(2, mac_other, "10.77.0.2", "10.77.0.2", true);
    }
    /* Once asked, everybody; the old MAC stays until somebody answers. */
    advance(NEIGHBOUR_ASK_INTERVAL_US);
    arp_in(1, mac_other, "10.77.0.2", "10.77.0.2", true);
    assert_int_equal(requests(dst), 1);
    assert_memory_equal(dst, everybody, 6);
    send_to(a, &path, TEST_ACK, 1);
    assert_true(test_port_take_segment(&net.port, &seen));
    assert_memory_equal(seen.dst_mac, test_mac_peer, 6);
    /* A "reply" to everybody is no answer to us. */
    arp_in(2, mac_other, "10.77.0.2", "10.77.0.1", true);
    assert_memory_equal(entry("10.77.0.2")->mac, test_mac_peer, 6);
    /* It moved indeed: paths follow. */
    reply_from(mac_other, "10.77.0.2");
    send_to(a, &path, TEST_ACK, 1);
    assert_true(test_port_take_segment(&net.port, &seen));
    assert_memory_equal(seen.dst_mac, mac_other, 6);
    /* An answer that nobody asked for is an announcement. */
    reply_from(test_mac_peer, "10.77.0.2");
    assert_memory_equal(entry("10.77.0.2")->mac, mac_other, 6);
}

static void malformed_arp_is_counted(void **state)
{
    static const struct {
        unsigned at;
        uint8_t value;
    } cases[] = {{14, 1},  {15, 6}, {16, 0}, {18, 0},   {18, 16},
                 {19, 16}, {21, 0}, {21, 3}, {22, 0xff}};
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct test_arp a = {
            .op = 1, .sender = test_ip("10.77.0.2"), .target = test_ip("10.77.0.1")};
        memcpy(a.sender_mac, test_mac_peer, 6);
        struct rte_mbuf *m = test_frame_arp(&net.port, &a);
        rte_pktmbuf_mtod(m, uint8_t *)[cases[i].at] = cases[i].value;
        test_net_input(&net, m);
        assert_int_equal(net.nif->stats->rx_arp_bad, i + 1);
    }
    assert_int_equal(net.port.sent_count, 0);
    struct test_arp a = {.op = 1, .sender = test_ip("10.77.0.2"), .target = test_ip("10.77.0.1")};
    for (uint16_t len = 14; len < 42; len++) {
        struct rte_mbuf *m = test_frame_arp(&net.port, &a);
        rte_pktmbuf_trim(m, (uint16_t)(m->pkt_len - len));
        uint64_t bad = net.nif->stats->rx_arp_bad;
        test_net_input(&net, m);
        assert_int_equal(net.nif->stats->rx_arp_bad, bad + 1);
    }
}

static void arp_requests_for_us_are_answered(void **state)
{
    uint8_t f[64];
    for (unsigned i = 0; i < 3; i++) {
        /* From a neighbour, as a probe (no sender yet), and cut in two buffers. */
        struct test_arp a = {.op = 1,
                             .sender = test_ip(i == 1 ? "0.0.0.0" : "10.77.0.2"),
                             .target = test_ip("10.77.0.1")};
        memcpy(a.sender_mac, test_mac_peer, 6);
        memcpy(a.dst_mac, everybody, 6);
        struct rte_mbuf *m = test_frame_arp(&net.port, &a);
        if (i == 2)
            test_frame_split(&net.port, m, 20);
        test_net_input(&net, m);
        m = test_port_take(&net.port);
        assert_non_null(m);
        assert_int_equal(test_frame_bytes(m, f, sizeof f), 42);
        rte_pktmbuf_free(m);
        assert_memory_equal(f, test_mac_peer, 6);
        assert_memory_equal(f + 6, test_mac_us, 6);
        assert_memory_equal(f + 12, "\x08\x06\x00\x01\x08\x00\x06\x04\x00\x02", 10);
        assert_memory_equal(f + 22, test_mac_us, 6);
        assert_memory_equal(f + 28, "\x0a\x4d\x00\x01", 4);
    }
    arp_in(1, test_mac_peer, "10.77.0.2", "10.77.0.3", true);
    assert_int_equal(net.port.sent_count, 0);
}

static void unused_entries_age_away(void **state)
{
    struct ip_addr a = test_ip("10.77.0.2");
    test_net_resolve(&net, &a, test_mac_peer);
    for (unsigned s = 0; s < 400 && net.nif->neighbours->count > 0; s++)
        advance(1000000);
    assert_int_equal(net.nif->neighbours->count, 0);
    assert_int_equal(requests(NULL), 0);
    assert_true(netif_deadline_us(net.nif) == UINT64_MAX);
}

static void used_entries_are_asked_again(void **state)
{
    struct ip_addr a = test_ip("10.77.0.2");
    struct net_path path = {0};
    unsigned asked = 0;
    uint8_t dst[6];
    test_net_resolve(&net, &a, test_mac_peer);
    for (unsigned s = 0; s < 300; s++) {
        advance(1000000);
        send_to(a, &path, TEST_ACK, 1);
        assert_memory_equal(path.next_hop_mac, test_mac_peer, 6);
        if (requests(dst) > 0) {
            asked++;
            assert_memory_equal(dst, test_mac_peer, 6); /* to it alone */
            reply_from(test_mac_peer, "10.77.0.2");
        }
    }
    assert_in_range(asked, 8, 10);
}

static void a_dead_neighbour_is_given_up(void **state)
{
    struct ip_addr a = test_ip("10.77.0.2");
    struct net_path path = {0};
    uint8_t dst[6] = {0};
    test_net_resolve(&net, &a, test_mac_peer);
    send_to(a, &path, TEST_ACK, 1);
    advance(NEIGHBOUR_REACHABLE_US + NEIGHBOUR_SWEEP_US);
    unsigned asked = 0;
    for (unsigned s = 0; s < 7; s++) {
        send_to(a, &path, TEST_ACK, 1);
        asked += requests(dst);
        advance(NEIGHBOUR_ASK_INTERVAL_US);
        asked += requests(dst);
    }
    assert_int_equal(asked, 6); /* three to it, three to everybody */
    assert_memory_equal(dst, everybody, 6);
    assert_int_equal(entry("10.77.0.2")->state, NEIGHBOUR_FAILED);
    assert_false(netif_reachable(net.nif, &a));
    assert_int_equal(test_port_buffers_used(&net.port), 0);
}

static void pending_is_bounded(void **state)
{
    struct net_path path;
    for (unsigned i = 0; i < NEIGHBOURS_PENDING_MAX + 50; i++) {
        struct ip_addr a = test_ip("fd77::1000");
        a.b[14] = (uint8_t)(0x10 + i / 256);
        a.b[15] = (uint8_t)i;
        path = (struct net_path){0};
        send_to(a, &path, TEST_ACK, 1);
    }
    assert_int_equal(net.nif->stats->neighbour_full, 50);
    assert_int_equal(net.nif->neighbours->pending_count, NEIGHBOURS_PENDING_MAX);
    requests(NULL);
    assert_int_equal(test_port_buffers_used(&net.port), NEIGHBOURS_PENDING_MAX);
    netif_validate(net.nif);
    for (unsigned i = 0; i < 10; i++)
        advance(1000000);
    requests(NULL);
    assert_int_equal(net.nif->neighbours->pending_count, 0);
    assert_int_equal(test_port_buffers_used(&net.port), 0);
}

static void a_full_table_replaces_the_least_used(void **state)
{
    struct ip_addr gateway = test_ip("fd77::fe");
    test_net_resolve(&net, &gateway, mac_other);
    for (unsigned i = 0; i < NEIGHBOURS_MAX + 3000; i++) {
        struct ip_addr a = test_ip("fd77::1:0:0");
        a.b[14] = (uint8_t)(i >> 8);
        a.b[15] = (uint8_t)i;
        net.nif->now_us++;
        test_net_resolve(&net, &a, test_mac_peer);
        if (i % 500 == 0)
            netif_validate(net.nif);
    }
    assert_int_equal(net.nif->neighbours->count, NEIGHBOURS_MAX);
    assert_non_null(neigh_find(net.nif->neighbours, &gateway));
    assert_int_equal(net.nif->stats->neighbour_full, 0);
}

/* --- several lcores --- */

static unsigned told;
static struct ip_addr told_addr;
static void tell(void *arg, const struct ip_addr *a, const uint8_t mac[6])
{
    told++;
    told_addr = *a;
    if (arg != NULL)
        netif_neighbour_set(arg, a, mac);
}

/* The answer arrives on lcore 0, which never asked; the lcore that did is told. */
static void answers_reach_the_lcore_that_asked(void **state)
{
    struct netif_config c = net.config;
    struct ip_addr a = test_ip("10.77.0.2");
    c.lcore = 1;
    struct netif *other = netif_new(&net.port.queue, &c, net.nif->l4, NULL);
    other->now_us = net.nif->now_us;
    net.nif->neighbour_learned = tell;
    net.nif->neighbour_arg = other;
    told = 0;
    assert_false(netif_reachable(other, &a));
    netif_flush(other);
    assert_int_equal(requests(NULL), 1);
    reply_from(test_mac_peer, "10.77.0.2");
    assert_int_equal(told, 1);
    assert_true(ip_addr_equal(&told_addr, &a));
    assert_true(netif_reachable(other, &a));
    assert_int_equal(net.nif->neighbours->count, 0);
    netif_free(other);
}

static void telling_is_rate_limited(void **state)
{
    net.nif->neighbour_learned = tell;
    net.nif->neighbour_arg = NULL;
    told = 0;
    for (unsigned i = 0; i < 5000; i++)
        reply_from(test_mac_peer, "10.77.0.2");
    assert_in_range(told, 1, 300);
    net.nif->now_us += 1000000;
    reply_from(test_mac_peer, "10.77.0.2");
    assert_in_range(told, 2, 301);
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
        TEST(three_packets_wait_in_order),
        TEST(requests_are_paced_then_negative),
        TEST(a_late_use_asks_again),
        TEST(reachable_asks_once),
        TEST(gateway_is_asked_once),
        TEST(syn_ack_needs_no_arp),
        TEST(silent_arp_leaves_the_peers_mac),
        TEST(strangers_do_not_fill_the_table),
        TEST(own_address_is_not_given_away),
        TEST(gratuitous_flip_is_verified),
        TEST(malformed_arp_is_counted),
        TEST(arp_requests_for_us_are_answered),
        TEST(unused_entries_age_away),
        TEST(used_entries_are_asked_again),
        TEST(a_dead_neighbour_is_given_up),
        TEST(pending_is_bounded),
        TEST(a_full_table_replaces_the_least_used),
        TEST(answers_reach_the_lcore_that_asked),
        TEST(telling_is_rate_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
