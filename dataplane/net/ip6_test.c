/* IPv6 in: headers, extension headers, neighbour discovery, multicast listener reports. */
#include <string.h>
#include "test_cmocka.h"
#include <rte_mbuf.h>
#include "neigh.h"
#include "test_port.h"

static struct test_net net;
static struct test_segment seen;
static const uint8_t mac_other[6] = {2, 0x77, 0, 0, 0, 0x33};
static uint8_t frame_bytes[2048];

static struct test_tcp segment(void)
{
    return (struct test_tcp){.src = test_ip("fd77::2"),
                             .dst = test_ip("fd77::1"),
                             .src_port = 40000,
                             .dst_port = 6379,
                             .flags = TEST_ACK,
                             .data = "hello",
                             .data_len = 5};
}

static struct rte_mbuf *frame(void)
{
    struct test_tcp t = segment();
    return test_frame_tcp(&net.port, &t);
}

static uint8_t *at(struct rte_mbuf *m, unsigned offset)
{
    return rte_pktmbuf_mtod_offset(m, uint8_t *, offset);
}

#define ASSERT_DROPPED(m, counter)                                         \
    do {                                                                   \
        uint64_t before = net.nif->stats->counter;                         \
        uint32_t segments = net.seen.segments, sent = net.port.sent_count; \
        test_net_input(&net, m);                                           \
        assert_int_equal(net.nif->stats->counter, before + 1);             \
        assert_int_equal(net.seen.segments, segments);                     \
        assert_int_equal(net.port.sent_count, sent);                       \
    } while (0)

#define ASSERT_DELIVERED(m)                                \
    do {                                                   \
        uint32_t segments = net.seen.segments;             \
        test_net_input(&net, m);                           \
        assert_int_equal(net.seen.segments, segments + 1); \
    } while (0)

static void segment_is_delivered(void **state)
{
    static const char *const pairs[][2] = {{"fd77::2", "fd77::1"},
                                           {"fe80::2", "fe80::77:ff:fe00:1"}};
    for (unsigned i = 0; i < 2; i++) {
        struct test_tcp t = segment();
        t.src = test_ip(pairs[i][0]);
        t.dst = test_ip(pairs[i][1]);
        struct flow_tuple tuple = {
            .remote = t.src, .local = t.dst, .remote_port = 40000, .local_port = 6379};
        ASSERT_DELIVERED(test_frame_tcp(&net.port, &t));
        assert_int_equal(net.seen.data_len, 25);
        assert_memory_equal(net.seen.data + 20, "hello", 5);
        assert_true(ip_addr_equal(&net.seen.packet.src, &t.src));
        assert_true(ip_addr_equal(&net.seen.packet.dst, &t.dst));
        assert_int_equal(net.seen.packet.flow_hash, flow_hash(&net.steering, &tuple));
    }
}

static void padding_and_truncation(void **state)
{
    struct rte_mbuf *m = frame();
    memset(rte_pktmbuf_append(m, 9), 0xaa, 9);
    ASSERT_DELIVERED(m);
    assert_int_equal(net.seen.data_len, 25);
    uint32_t len = test_frame_bytes(m = frame(), frame_bytes, sizeof frame_bytes);
    rte_pktmbuf_free(m);
    for (uint32_t cut = 14; cut < len; cut++)
        ASSERT_DROPPED(test_frame_raw(&net.port, frame_bytes, cut), rx_ip_header_bad);
    m = frame();
    *at(m, 14) = 0x40;
    ASSERT_DROPPED(m, rx_ip_header_bad);
    m = frame();
    *at(m, 54 + 21) ^= 1;
    ASSERT_DROPPED(m, rx_l4_checksum_bad);
}

static void impossible_addresses_are_dropped(void **state)
{
    static const char *const bad[] = {"ff02::1", "::1", "ff0e::77"};
    struct test_tcp t = segment();
    for (unsigned i = 0; i < 3; i++) {
        t.src = test_ip(bad[i]);
        ASSERT_DROPPED(test_frame_tcp(&net.port, &t), rx_ip_source_bad);
    }
    t.src = test_ip("::");
    ASSERT_DROPPED(test_frame_tcp(&net.port, &t), rx_not_ours);
    t = segment();
    t.src = t.dst;
    ASSERT_DROPPED(test_frame_tcp(&net.port, &t), rx_land);
    t.src = test_ip("fe80::77:ff:fe00:1");
    ASSERT_DROPPED(test_frame_tcp(&net.port, &t), rx_land);
    t = segment();
    t.dst = test_ip("fd77::3");
    ASSERT_DROPPED(test_frame_tcp(&net.port, &t), rx_not_ours);
    /* IPv4 in disguise, as source and as destination. */
    struct rte_mbuf *m = frame();
    memcpy(at(m, 22), "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x4d\0\2", 16);
    ASSERT_DROPPED(m, rx_ip_source_bad);
    m = frame();
    memcpy(at(m, 38), "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x4d\0\1", 16);
    ASSERT_DROPPED(m, rx_not_ours);
    /* TCP to a group; a unicast packet in a group's frame. */
    static const uint8_t group[6] = {0x33, 0x33, 0, 0, 0, 1};
    t = segment();
    t.dst = test_ip("ff02::1");
    memcpy(t.dst_mac, group, 6);
    ASSERT_DROPPED(test_frame_tcp(&net.port, &t), rx_not_ours);
    t = segment();
    memcpy(t.dst_mac, group, 6);
    ASSERT_DROPPED(test_frame_tcp(&net.port, &t), rx_not_ours);
}

/* --- extension headers --- */

/* TCP behind the given extension headers; first: kind of the first one, the last names TCP. */
static struct rte_mbuf *extended(uint8_t first, const uint8_t *headers, uint32_t len)
{
    static uint8_t l4[1024];
    struct test_tcp t = segment();
    struct rte_mbuf *m = test_frame_tcp(&net.port, &t);
    struct test_ip_header h = {.src = t.src, .dst = t.dst, .proto = first};
    memcpy(l4, headers, len);
    memcpy(l4 + len, at(m, 54), 25);
    rte_pktmbuf_free(m);
    return test_frame_ip(&net.port, &h, l4, len + 25);
}

static void harmless_extensions_are_passed(void **state)
{
    static const uint8_t hop[8] = {60, 0, 5, 2, 0, 0, 1, 0}, pads[16] = {6, 1, 1, 12};
    static const uint8_t routing[8] = {6, 0, 0, 0}, atomic[8] = {6, 0, 0, 0, 1, 2, 3, 4};
    uint8_t both[24];
    memcpy(both, hop, 8);
    memcpy(both + 8, pads, 16);
    ASSERT_DELIVERED(extended(0, both, 24));
    assert_int_equal(net.seen.data_len, 25);
    assert_memory_equal(net.seen.data + 20, "hello", 5);
    ASSERT_DELIVERED(extended(60, pads, 16));
    ASSERT_DELIVERED(extended(43, routing, 8));
    ASSERT_DELIVERED(extended(44, atomic, 8));
    /* Cut into buffers anywhere. */
    for (uint32_t cut = 0; cut < 14 + 40 + 24 + 25; cut++) {
        struct rte_mbuf *m = extended(0, both, 24);
        test_frame_split(&net.port, m, cut);
        ASSERT_DELIVERED(m);
        assert_memory_equal(net.seen.data + 20, "hello", 5);
    }
}

static void demanding_extensions_are_refused(void **state)
{
    static const uint8_t discard[8] = {6, 0, 0x40, 4}, jumbo[8] = {6, 0, 0xc2, 4, 0, 1, 0, 0};
    static const uint8_t past_end[8] = {6, 0, 1, 5}, cut_off[8] = {6, 0, 1, 3, 0, 0, 0, 7};
    static const uint8_t routing[8] = {6, 0, 0, 1};
    ASSERT_DROPPED(extended(60, discard, 8), rx_ip_options);
    ASSERT_DROPPED(extended(0, jumbo, 8), rx_ip_options);
    ASSERT_DROPPED(extended(60, past_end, 8), rx_ip_options);
    ASSERT_DROPPED(extended(60, cut_off, 8), rx_ip_options);
    ASSERT_DROPPED(extended(43, routing, 8), rx_ip_options);
}

static void extension_chains_are_bounded(void **state)
{
    uint8_t headers[512] = {0};
    for (unsigned i = 0; i < 10; i++) {
        headers[i * 8] = i == 7 ? 6 : 60;
        headers[i * 8 + 2] = 1;
        headers[i * 8 + 3] = 4;
    }
    ASSERT_DELIVERED(extended(60, headers, 64));
    headers[7 * 8] = 60;
    headers[8 * 8] = 6;
    ASSERT_DROPPED(extended(60, headers, 72), rx_ip_header_bad);
    /* 256 bytes at most. */
    memset(headers, 0, sizeof headers);
    headers[0] = 6;
    headers[1] = 31;
    ASSERT_DELIVERED(extended(60, headers, 256));
    headers[1] = 32;
    ASSERT_DROPPED(extended(60, headers, 264), rx_ip_header_bad);
    headers[1] = 255;
    ASSERT_DROPPED(extended(60, headers, 8), rx_ip_header_bad);
    /* Hop-by-hop only first. */
    static const uint8_t late_hop[16] = {0, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4};
    ASSERT_DROPPED(extended(60, late_hop, 16), rx_ip_header_bad);
}

/* --- neighbour discovery --- */

struct nd {
    const char *src, *dst, *target;
    uint8_t type, code, ttl, option, option_len;
    uint32_t flags;
    const uint8_t *mac;
};

static struct rte_mbuf *nd_frame(const struct nd *d)
{
    uint8_t body[28] = {0};
    struct ip_addr target = test_ip(d->target);
    struct test_ip_header h = {
        .src = test_ip(d->src), .dst = test_ip(d->dst), .ttl = d->ttl ? d->ttl : 255};
    if (h.dst.b[0] == 0xff) {
        memcpy(h.dst_mac, "\x33\x33", 2);
        memcpy(h.dst_mac + 2, h.dst.b + 12, 4);
    }
    body[0] = (uint8_t)(d->flags >> 24);
    memcpy(body + 4, target.b, 16);
    body[20] = d->option;
    body[21] = d->option_len;
    if (d->mac != NULL)
        memcpy(body + 22, d->mac, 6);
    return test_frame_icmp(&net.port, &h, d->type, d->code, body, d->option ? 28 : 20);
}

#define SOLICITED 0x40000000u
#define OVERRIDE 0x20000000u

static const struct nd solicitation = {.src = "fd77::2",
                                       .dst = "ff02::1:ff00:1",
                                       .target = "fd77::1",
                                       .type = 135,
                                       .option = 1,
                                       .option_len = 1,
                                       .mac = test_mac_peer};

/* Takes the one captured frame into frame_bytes; its length. Checks the ICMPv6 checksum. */
static uint32_t take_icmp6(void)
{
    struct ip_addr src, dst;
    struct rte_mbuf *m = test_port_take(&net.port);
    assert_non_null(m);
    assert_null(test_port_take(&net.port));
    assert_int_equal(m->ol_flags, 0);
    uint32_t len = test_frame_bytes(m, frame_bytes, sizeof frame_bytes);
    rte_pktmbuf_free(m);
    assert_int_equal(frame_bytes[20], 58);
    memcpy(src.b, frame_bytes + 22, 16);
    memcpy(dst.b, frame_bytes + 38, 16);
    assert_int_equal(test_l4_checksum(&src, &dst, 58, frame_bytes + 54, len - 54), 0);
    return len;
}

static void solicitations_are_answered(void **state)
{
    struct ip_addr target = test_ip("fd77::1"), peer = test_ip("fd77::2");
    test_net_input(&net, nd_frame(&solicitation));
    assert_int_equal(take_icmp6(), 14 + 40 + 32);
    assert_memory_equal(frame_bytes, test_mac_peer, 6);
    assert_int_equal(frame_bytes[21], 255);
    assert_memory_equal(frame_bytes + 22, target.b, 16);
    assert_memory_equal(frame_bytes + 38, peer.b, 16);
    assert_int_equal(frame_bytes[54], 136);
    assert_int_equal(frame_bytes[58], 0x60);
    assert_memory_equal(frame_bytes + 62, target.b, 16);
    assert_int_equal(frame_bytes[78], 2);
    assert_memory_equal(frame_bytes + 80, test_mac_us, 6);
    /* For the link-local address too, and sent to us alone without the option. */
    struct nd d = solicitation;
    d.target = d.dst = "fe80::77:ff:fe00:1";
    d.option = 0;
    test_net_input(&net, nd_frame(&d));
    take_icmp6();
    assert_memory_equal(frame_bytes, test_mac_peer, 6);
    /* Nobody's entry was made. */
    assert_int_equal(net.nif->neighbours->count, 0);
}

static void our_addresses_are_defended(void **state)
{
    struct nd d = solicitation;
    d.src = "::";
    d.option = 0;
    test_net_input(&net, nd_frame(&d));
    take_icmp6();
    assert_memory_equal(frame_bytes, "\x33\x33\0\0\0\1", 6);
    assert_int_equal(frame_bytes[58], 0x20);
}

static void bad_discovery_is_counted(void **state)
{
    struct nd d;
#define BAD(...)      \
    d = solicitation; \
    __VA_ARGS__;      \
    ASSERT_DROPPED(nd_frame(&d), rx_nd_bad)
    BAD(d.ttl = 254);
    BAD(d.code = 1);
    BAD(d.target = "ff02::1");
    BAD(d.option_len = 0);
    BAD(d.option_len = 2);
    BAD(d.mac = (const uint8_t *)"\1\0\0\0\0\1");
    BAD(d.src = "::");
    BAD(d.src = "::"; d.option = 0; d.dst = "fd77::1");
    BAD(d.type = 136; d.target = "fd77::1"; d.dst = "fd77::1"); /* claims ours */
    BAD(d.type = 136; d.target = "fd77::2"; d.dst = "ff02::1"; d.flags = SOLICITED);
    BAD(d.type = 136; d.target = "ff02::2"; d.dst = "fd77::1");
    d = solicitation;
    struct rte_mbuf *m = nd_frame(&d);
    *at(m, 56) ^= 1;
    ASSERT_DROPPED(m, rx_icmp_bad);
    /* Cut below the target. */
    struct test_ip_header h = {.src = test_ip("fd77::2"), .dst = test_ip("fd77::1"), .ttl = 255};
    uint8_t body[600] = {0};
    ASSERT_DROPPED(test_frame_icmp(&net.port, &h, 135, 0, body, 19), rx_nd_bad);
    ASSERT_DROPPED(test_frame_icmp(&net.port, &h, 135, 0, body, 600), rx_nd_bad);
}

static void routers_and_redirects_are_ignored(void **state)
{
    struct test_ip_header h = {.src = test_ip("fe80::9"), .dst = test_ip("fd77::1"), .ttl = 255};
    uint8_t body[64] = {0};
    static const uint8_t types[] = {133, 134, 137, 129, 200};
    for (unsigned i = 0; i < sizeof types; i++)
        ASSERT_DROPPED(test_frame_icmp(&net.port, &h, types[i], 0, body, 64), rx_icmp_ignored);
}

static void resolves_by_solicitation(void **state)
{
    struct ip_addr peer = test_ip("fd77::1234:5678"), src = test_ip("fd77::1");
    struct net_path path = {0};
    struct rte_mbuf *m = rte_pktmbuf_alloc(net.port.queue.pool);
    uint8_t *tcp = (uint8_t *)rte_pktmbuf_append(m, 20);
    memset(tcp, 0, 20);
    tcp[12] = 0x50;
    m->l4_len = 20;
    netif_output_tcp(net.nif, &path, &src, &peer, m);
    netif_flush(net.nif);
    take_icmp6();
    assert_memory_equal(frame_bytes, "\x33\x33\xff\x34\x56\x78", 6);
    assert_memory_equal(frame_bytes + 38, "\xff\2\0\0\0\0\0\0\0\0\0\1\xff\x34\x56\x78", 16);
    assert_int_equal(frame_bytes[54], 135);
    assert_int_equal(frame_bytes[78], 1);
    assert_memory_equal(frame_bytes + 80, test_mac_us, 6);
    struct nd d = {.src = "fd77::1234:5678",
                   .dst = "fd77::1",
                   .target = "fd77::1234:5678",
                   .type = 136,
                   .flags = SOLICITED | OVERRIDE,
                   .option = 2,
                   .option_len = 1,
                   .mac = mac_other};
    test_net_input(&net, nd_frame(&d));
    assert_true(test_port_take_segment(&net.port, &seen));
    assert_memory_equal(seen.dst_mac, mac_other, 6);
    assert_true(netif_reachable(net.nif, &peer));
    /* Without the override flag another MAC is not even a reason to ask. */
    net.nif->now_us += 2000000;
    d.mac = test_mac_peer;
    d.flags = SOLICITED;
    test_net_input(&net, nd_frame(&d));
    assert_int_equal(net.port.sent_count, 0);
    d.flags = OVERRIDE;
    test_net_input(&net, nd_frame(&d));
    assert_int_equal(net.port.sent_count, 1);
    assert_memory_equal(neigh_find(net.nif->neighbours, &peer)->mac, mac_other, 6);
}

static unsigned told;
static void tell(void *arg, const struct ip_addr *a, const uint8_t mac[6])
{
    told++;
    assert_memory_equal(mac, test_mac_peer, 6);
}

/* The advertisement may leave out what its frame says; other lcores hear of it. */
static void advertisements_without_option(void **state)
{
    struct ip_addr peer = test_ip("fe80::2");
    struct nd d = {.src = "fe80::2",
                   .dst = "fe80::77:ff:fe00:1",
                   .target = "fe80::2",
                   .type = 136,
                   .flags = SOLICITED};
    net.nif->neighbour_learned = tell;
    assert_false(netif_reachable(net.nif, &peer));
    test_net_input(&net, nd_frame(&d));
    assert_true(netif_reachable(net.nif, &peer));
    assert_int_equal(told, 1);
    /* About somebody who is not on this link: not a word. */
    d.target = "2001:db8::7";
    test_net_input(&net, nd_frame(&d));
    assert_int_equal(told, 1);
}

static void announces_at_start(void **state)
{
    unsigned arp = 0, advertisements = 0, reports = 0;
    netif_announce(net.nif);
    netif_flush(net.nif);
    struct rte_mbuf *m;
    while ((m = test_port_take(&net.port)) != NULL) {
        uint32_t len = test_frame_bytes(m, frame_bytes, sizeof frame_bytes);
        struct ip_addr src, dst;
        memcpy(src.b, frame_bytes + 22, 16);
        memcpy(dst.b, frame_bytes + 38, 16);
        if (frame_bytes[13] == 6) {
            arp++;
            assert_memory_equal(frame_bytes + 28, frame_bytes + 38, 4);
        } else if (frame_bytes[20] == 58) {
            advertisements++;
            assert_int_equal(frame_bytes[54], 136);
        } else {
            reports++;
            assert_int_equal(frame_bytes[20], 0);
            assert_int_equal(frame_bytes[21], 1);
            assert_int_equal(frame_bytes[62], 143);
            assert_int_equal(frame_bytes[69], 2);
            assert_int_equal(test_l4_checksum(&src, &dst, 58, frame_bytes + 62, len - 62), 0);
        }
        rte_pktmbuf_free(m);
    }
    assert_int_equal(arp, 1);
    assert_int_equal(advertisements, 2);
    assert_int_equal(reports, 1);
}

static void listener_queries_are_answered_at_a_pace(void **state)
{
    static const uint8_t group[6] = {0x33, 0x33, 0, 0, 0, 1};
    struct test_ip_header h = {.src = test_ip("fe80::9"), .dst = test_ip("ff02::1"), .ttl = 1};
    uint8_t body[24] = {0};
    memcpy(h.dst_mac, group, 6);
    for (unsigned i = 0; i < 10; i++)
        test_net_input(&net, test_frame_icmp(&net.port, &h, 130, 0, body, 24));
    assert_int_equal(net.port.sent_count, 2);
    test_port_drop_sent(&net.port);
    h.ttl = 64;
    ASSERT_DROPPED(test_frame_icmp(&net.port, &h, 130, 0, body, 24), rx_icmp_bad);
    h.ttl = 1;
    ASSERT_DROPPED(test_frame_icmp(&net.port, &h, 130, 0, body, 20), rx_icmp_bad);
    h.src = test_ip("fd77::9");
    ASSERT_DROPPED(test_frame_icmp(&net.port, &h, 130, 0, body, 24), rx_icmp_bad);
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
        TEST(segment_is_delivered),
        TEST(padding_and_truncation),
        TEST(impossible_addresses_are_dropped),
        TEST(harmless_extensions_are_passed),
        TEST(demanding_extensions_are_refused),
        TEST(extension_chains_are_bounded),
        TEST(solicitations_are_answered),
        TEST(our_addresses_are_defended),
        TEST(bad_discovery_is_counted),
        TEST(routers_and_redirects_are_ignored),
        TEST(resolves_by_solicitation),
        TEST(advertisements_without_option),
        TEST(announces_at_start),
        TEST(listener_queries_are_answered_at_a_pace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
