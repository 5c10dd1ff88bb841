/* ICMP of both families: echo, errors about our segments, protocol unreachable, limits. */
#include <string.h>
#include "test_cmocka.h"
#include <rte_mbuf.h>
#include "test_port.h"

static struct test_net net;
static uint8_t frame_bytes[4096];

static const struct {
    const char *us, *peer, *gateway, *far;
    uint8_t echo, reply;
    uint32_t icmp_at;
} family[2] = {
    {"10.77.0.1", "10.77.0.2", "10.77.0.254", "10.9.9.9", 8, 0, 34},
    {"fd77::1", "fd77::2", "fd77::fe", "2001:db8::9", 128, 129, 54},
};

static struct test_ip_header from_peer(unsigned f)
{
    return (struct test_ip_header){.src = test_ip(family[f].peer), .dst = test_ip(family[f].us)};
}

/* Takes the one captured frame into frame_bytes, checks its sums; its length. */
static uint32_t take_icmp(unsigned f)
{
    struct rte_mbuf *m = test_port_take(&net.port);
    struct ip_addr src = test_ip(family[f].us), dst = test_ip(family[f].peer);
    uint32_t at = family[f].icmp_at, sum = 0;
    assert_non_null(m);
    assert_int_equal(m->ol_flags, 0);
    assert_int_equal(m->tx_offload, 0);
    uint32_t len = test_frame_bytes(m, frame_bytes, sizeof frame_bytes);
    rte_pktmbuf_free(m);
    assert_memory_equal(frame_bytes, test_mac_peer, 6);
    assert_memory_equal(frame_bytes + 6, test_mac_us, 6);
    if (f == 1) {
        assert_int_equal(test_l4_checksum(&src, &dst, 58, frame_bytes + at, len - at), 0);
        return len;
    }
    for (unsigned i = 14; i < 34; i += 2)
        sum += (uint32_t)frame_bytes[i] << 8 | frame_bytes[i + 1];
    assert_int_equal((sum & 0xffff) + (sum >> 16), 0xffff);
    assert_int_equal(frame_bytes[16] << 8 | frame_bytes[17], len - 14);
    sum = 0;
    frame_bytes[len] = 0;
    for (unsigned i = at; i < len; i += 2)
        sum += (uint32_t)frame_bytes[i] << 8 | frame_bytes[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    assert_int_equal((sum & 0xffff) + (sum >> 16), 0xffff);
    return len;
}

static void echo_is_answered(void **state)
{
    uint8_t body[1476];
    for (unsigned f = 0; f < 2; f++) {
        for (unsigned len = 4; len < 1400; len = len * 2 + 1) {
            for (unsigned i = 0; i < len; i++)
                body[i] = (uint8_t)(i * 31 + len);
            struct test_ip_header h = from_peer(f);
            struct rte_mbuf *m = test_frame_icmp(&net.port, &h, family[f].echo, 0, body, len);
            /* The port's remarks about what came do not go out as wishes. */
            m->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
            m->tso_segsz = 100;
            test_net_input(&net, m);
            assert_int_equal(take_icmp(f), family[f].icmp_at + 4 + len);
            assert_int_equal(frame_bytes[family[f].icmp_at], family[f].reply);
            assert_memory_equal(frame_bytes + family[f].icmp_at + 4, body, len);
        }
    }
}

static void echo_in_chains(void **state)
{
    uint8_t body[300];
    memset(body, 7, sizeof body);
    for (unsigned f = 0; f < 2; f++) {
        for (unsigned caps = 0; caps < 2; caps++) {
            net.port.info.caps = caps ? PORT_TX_MULTI_SEG : 0;
            for (uint32_t cut = 0; cut < family[f].icmp_at + 304; cut++) {
                struct test_ip_header h = from_peer(f);
                struct rte_mbuf *m =
                    test_frame_icmp(&net.port, &h, family[f].echo, 0, body, sizeof body);
                test_frame_split(&net.port, m, cut);
                test_net_input(&net, m);
                assert_true(caps || net.port.sent[net.port.sent_head]->nb_segs == 1);
                assert_int_equal(take_icmp(f), family[f].icmp_at + 304);
                assert_memory_equal(frame_bytes + family[f].icmp_at + 4, body, sizeof body);
            }
        }
    }
}

static void bad_or_odd_messages_are_dropped(void **state)
{
    uint8_t body[32] = {0};
    for (unsigned f = 0; f < 2; f++) {
        uint64_t bad = net.nif->stats->rx_icmp_bad, ignored = net.nif->stats->rx_icmp_ignored;
        struct test_ip_header h = from_peer(f);
        struct rte_mbuf *m = test_frame_icmp(&net.port, &h, family[f].echo, 0, body, 20);
        rte_pktmbuf_mtod_offset(m, uint8_t *, family[f].icmp_at)[9] ^= 1;
        test_net_input(&net, m);
        for (unsigned len = 0; len < 4; len++)
            test_net_input(&net, test_frame_icmp(&net.port, &h, family[f].echo, 0, body, len));
        assert_int_equal(net.nif->stats->rx_icmp_bad, bad + 5);
        test_net_input(&net, test_frame_icmp(&net.port, &h, family[f].reply, 0, body, 20));
        assert_int_equal(net.nif->stats->rx_icmp_ignored, ignored + 1);
    }
    /* Redirect, timestamp, address mask, source quench (bad-input.md row 63). */
    static const uint8_t types[] = {5, 13, 17, 4};
    uint64_t ignored = net.nif->stats->rx_icmp_ignored;
    for (unsigned i = 0; i < 4; i++) {
        struct test_ip_header h = from_peer(0);
        test_net_input(&net, test_frame_icmp(&net.port, &h, types[i], 0, body, 32));
        assert_int_equal(net.nif->stats->rx_icmp_ignored, ignored + i + 1);
    }
    assert_int_equal(net.port.sent_count, 0);
}

static void echo_is_rate_limited(void **state)
{
    for (unsigned f = 0; f < 2; f++) {
        struct test_ip_header h = from_peer(f);
        uint64_t limited = net.nif->stats->tx_icmp_limited;
        net.nif->now_us += 1000000;
        for (unsigned i = 0; i < 10000; i++)
            test_net_input(&net, test_frame_icmp(&net.port, &h, family[f].echo, 0, "12345678", 8));
        assert_in_range(net.port.sent_count, 1, 2000);
        assert_int_equal(net.nif->stats->tx_icmp_limited - limited, 10000 - net.port.sent_count);
        test_port_drop_sent(&net.port);
        net.nif->now_us += 50;
        test_net_input(&net, test_frame_icmp(&net.port, &h, family[f].echo, 0, "12345678", 8));
        assert_int_equal(net.port.sent_count, 1);
        test_port_drop_sent(&net.port);
    }
}

/* Answers go to hosts, about messages to this host. */
static void echo_of_groups_and_nobody_is_ignored(void **state)
{
    struct test_ip_header h = from_peer(1);
    h.dst = test_ip("ff02::1");
    memcpy(h.dst_mac, "\x33\x33\0\0\0\1", 6);
    test_net_input(&net, test_frame_icmp(&net.port, &h, 128, 0, "12345678", 8));
    h = from_peer(1);
    h.src = test_ip("::");
    test_net_input(&net, test_frame_icmp(&net.port, &h, 128, 0, "12345678", 8));
    assert_int_equal(net.nif->stats->rx_icmp_ignored, 2);
    assert_int_equal(net.port.sent_count, 0);
}

/* --- errors --- */

static struct test_quote quote(unsigned f)
{
    return (struct test_quote){.from = test_ip(family[f].gateway),
                               .local = test_ip(family[f].us),
                               .remote = test_ip(family[f].far),
                               .local_port = 6379,
                               .remote_port = 45678,
                               .seq = 0xdeadbeef};
}

static void errors_reach_tcp(void **state)
{
    static const struct {
        unsigned f;
        uint8_t type, code;
        enum icmp_kind kind;
    } cases[] = {
        {0, 3, 0, ICMP_SOFT},
        {0, 3, 1, ICMP_SOFT},
        {0, 3, 2, ICMP_UNREACHABLE_HARD},
        {0, 3, 3, ICMP_UNREACHABLE_HARD},
        {0, 3, 5, ICMP_SOFT},
        {0, 3, 13, ICMP_SOFT},
        {0, 11, 0, ICMP_SOFT},
        {0, 12, 0, ICMP_SOFT},
        {1, 1, 0, ICMP_SOFT},
        {1, 1, 1, ICMP_SOFT},
        {1, 1, 3, ICMP_SOFT},
        {1, 1, 4, ICMP_UNREACHABLE_HARD},
        {1, 3, 0, ICMP_SOFT},
        {1, 4, 0, ICMP_SOFT},
        {1, 4, 1, ICMP_UNREACHABLE_HARD},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct test_quote q = quote(cases[i].f);
        test_net_input(&net, test_frame_icmp_error(&net.port, &q, cases[i].type, cases[i].code, 0));
        assert_int_equal(net.seen.errors, i + 1);
        assert_int_equal(net.seen.error.kind, cases[i].kind);
        assert_int_equal(net.seen.error.seq, 0xdeadbeef);
        assert_int_equal(net.seen.error.local_port, 6379);
        assert_int_equal(net.seen.error.remote_port, 45678);
        assert_true(ip_addr_equal(&net.seen.error_remote, &q.remote));
        assert_true(ip_addr_equal(&net.seen.error_local, &q.local));
    }
}

/* tcp.md row 54, bad-input.md row 63: never below the floor, never up. */
static void too_big_is_clamped(void **state)
{
    static const struct {
        unsigned f;
        uint32_t rest, mtu;
    } cases[] = {{0, 1400, 1400}, {0, 0, 576},     {0, 68, 576},    {0, 576, 576}, {0, 1499, 1499},
                 {1, 1400, 1400}, {1, 1280, 1280}, {1, 1279, 1280}, {1, 0, 1280},  {1, 68, 1280}};
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned f = cases[i].f;
        struct test_quote q = quote(f);
        test_net_input(&net,
                       test_frame_icmp_error(&net.port, &q, f ? 2 : 3, f ? 0 : 4, cases[i].rest));
        assert_int_equal(net.seen.errors, i + 1);
        assert_int_equal(net.seen.error.kind, ICMP_TOO_BIG);
        assert_int_equal(net.seen.error.mtu, cases[i].mtu);
    }
    /* Not a reduction. */
    for (unsigned f = 0; f < 2; f++) {
        struct test_quote q = quote(f);
        uint32_t errors = net.seen.errors;
        test_net_input(&net, test_frame_icmp_error(&net.port, &q, f ? 2 : 3, f ? 0 : 4, 1500));
        test_net_input(&net, test_frame_icmp_error(&net.port, &q, f ? 2 : 3, f ? 0 : 4, 65000));
        assert_int_equal(net.seen.errors, errors);
    }
    assert_int_equal(net.nif->stats->rx_icmp_bad, 4);
}

/* RFC 1191, 5: a router that gives no MTU; guessed from the quoted length. */
static void too_big_without_mtu_takes_a_plateau(void **state)
{
    static const uint16_t total[] = {1500, 1493, 1492, 1006, 600, 576, 40};
    static const uint16_t mtu[] = {1492, 1492, 1006, 576, 576, 576, 576};
    for (unsigned i = 0; i < 7; i++) {
        uint8_t body[4 + 28] = {0};
        struct test_quote q = quote(0);
        struct rte_mbuf *m = test_frame_icmp_error(&net.port, &q, 3, 4, 0);
        struct test_ip_header h = {.src = q.from, .dst = q.local};
        memcpy(body, rte_pktmbuf_mtod_offset(m, uint8_t *, 38), sizeof body);
        rte_pktmbuf_free(m);
        body[6] = (uint8_t)(total[i] >> 8);
        body[7] = (uint8_t)total[i];
        test_net_input(&net, test_frame_icmp(&net.port, &h, 3, 4, body, sizeof body));
        assert_int_equal(net.seen.error.mtu, mtu[i]);
    }
}

static void errors_about_others_are_dropped(void **state)
{
    unsigned bad = 0;
    for (unsigned f = 0; f < 2; f++) {
        uint8_t type = f ? 1 : 3;
        uint32_t quote_at = family[f].icmp_at + 8;
        struct test_quote q = quote(f);
        q.local = test_ip(family[f].peer);
        struct rte_mbuf *m = test_frame_icmp_error(&net.port, &q, type, 0, 0);
        /* To us, but about somebody else's segment. */
        struct ip_addr us = test_ip(family[f].us);
        struct test_ip_header h = {.src = q.from, .dst = us};
        uint8_t body[64];
        memcpy(body, rte_pktmbuf_mtod_offset(m, uint8_t *, family[f].icmp_at + 4),
               m->pkt_len - family[f].icmp_at - 4);
        uint32_t len = m->pkt_len - family[f].icmp_at - 4;
        rte_pktmbuf_free(m);
        test_net_input(&net, test_frame_icmp(&net.port, &h, type, 0, body, len));
        assert_int_equal(net.nif->stats->rx_icmp_bad, ++bad);
        /* Not TCP, another version, cut before the sequence number. */
        q = quote(f);
        m = test_frame_icmp_error(&net.port, &q, type, 0, 0);
        memcpy(body, rte_pktmbuf_mtod_offset(m, uint8_t *, quote_at - 4), len);
        rte_pktmbuf_free(m);
        uint8_t *proto = &body[4 + (f ? 6 : 9)];
        *proto = 17;
        test_net_input(&net, test_frame_icmp(&net.port, &h, type, 0, body, len));
        assert_int_equal(net.nif->stats->rx_icmp_bad, ++bad);
        *proto = 6;
        body[4] ^= 0x20;
        test_net_input(&net, test_frame_icmp(&net.port, &h, type, 0, body, len));
        assert_int_equal(net.nif->stats->rx_icmp_bad, ++bad);
        body[4] ^= 0x20;
        for (uint32_t cut = 4; cut < 4u + (f ? 48 : 28); cut++) {
            test_net_input(&net, test_frame_icmp(&net.port, &h, type, 0, body, cut));
            assert_int_equal(net.nif->stats->rx_icmp_bad, ++bad);
        }
    }
    assert_int_equal(net.seen.errors, 0);
    assert_int_equal(net.port.sent_count, 0);
}

/* An IPv6 error must not reach an IPv4 connection by quoting mapped addresses. */
static void mapped_quotes_are_dropped(void **state)
{
    struct test_ip_header h = {.src = test_ip("fd77::fe"), .dst = test_ip("fd77::1")};
    struct ip_addr local = test_ip("10.77.0.1"), remote = test_ip("10.9.9.9");
    uint8_t body[4 + 40 + 20] = {0};
    body[4] = 0x60;
    body[4 + 6] = 6;
    memcpy(body + 4 + 8, local.b, 16);
    memcpy(body + 4 + 24, remote.b, 16);
    test_net_input(&net, test_frame_icmp(&net.port, &h, 1, 4, body, sizeof body));
    assert_int_equal(net.nif->stats->rx_icmp_bad, 1);
    assert_int_equal(net.seen.errors, 0);
}

/* --- protocols that nobody here speaks --- */

static void unknown_protocols_are_told(void **state)
{
    uint8_t payload[40];
    memset(payload, 3, sizeof payload);
    for (unsigned f = 0; f < 2; f++) {
        uint32_t at = family[f].icmp_at;
        for (unsigned len = 0; len <= 40; len += 4) {
            struct test_ip_header h = from_peer(f);
            h.proto = 132;
            net.nif->now_us += 100000;
            test_net_input(&net, test_frame_ip(&net.port, &h, payload, len));
            uint32_t reply_len = take_icmp(f);
            assert_int_equal(frame_bytes[at], f ? 4 : 3);
            assert_int_equal(frame_bytes[at + 1], f ? 1 : 2);
            assert_int_equal(frame_bytes[at + 7], f ? 6 : 0);
            uint32_t quoted = f ? 40 + len : 20 + (len < 8 ? len : 8);
            assert_int_equal(reply_len, at + 8 + quoted);
            assert_int_equal(frame_bytes[at + 8], f ? 0x60 : 0x45);
        }
    }
    assert_int_equal(net.nif->stats->rx_unknown_protocol, 22);
    /* An IPv6 error quotes as much as fits the least MTU. */
    static const uint8_t large[1440];
    struct test_ip_header h = from_peer(1);
    h.proto = 132;
    test_net_input(&net, test_frame_ip(&net.port, &h, large, sizeof large));
    assert_in_range(take_icmp(1), 14 + 1000, 14 + 1280);
}

static void unreachables_are_rate_limited(void **state)
{
    for (unsigned i = 0; i < 1000; i++) {
        struct test_ip_header h = from_peer(i % 2);
        h.proto = 17;
        test_net_input(&net, test_frame_ip(&net.port, &h, "12345678", 8));
    }
    assert_int_equal(net.port.sent_count, 20);
    assert_int_equal(net.nif->stats->tx_icmp_limited, 980);
    /* Never in answer to an ICMP error or a fragment, or to a group. */
    test_port_drop_sent(&net.port);
    net.nif->now_us += 10000000;
    struct test_ip_header h = from_peer(0);
    h.proto = 17;
    h.fragment = 0x2000;
    test_net_input(&net, test_frame_ip(&net.port, &h, "12345678", 8));
    assert_int_equal(net.port.sent_count, 0);
}

static void no_buffers_no_answer(void **state)
{
    static struct rte_mbuf *held[TEST_PORT_BUFFERS];
    struct test_ip_header h = from_peer(0);
    h.proto = 17;
    struct rte_mbuf *udp = test_frame_ip(&net.port, &h, "12345678", 8);
    struct test_arp a = {.op = 1, .sender = h.src, .target = h.dst};
    memcpy(a.sender_mac, test_mac_peer, 6);
    struct rte_mbuf *arp = test_frame_arp(&net.port, &a);
    unsigned count = 0;
    while ((held[count] = rte_pktmbuf_alloc(net.port.queue.pool)) != NULL)
        count++;
    netif_input(net.nif, &udp, 1); /* frees its buffer after failing */
    assert_int_equal(net.nif->stats->mbuf_failures, 1);
    held[count] = rte_pktmbuf_alloc(net.port.queue.pool);
    assert_non_null(held[count++]);
    netif_input(net.nif, &arp, 1);
    assert_int_equal(net.nif->stats->mbuf_failures, 2);
    for (unsigned i = 0; i < count; i++)
        rte_pktmbuf_free(held[i]);
    netif_flush(net.nif);
    assert_int_equal(net.port.sent_count, 0);
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
        TEST(echo_is_answered),
        TEST(echo_in_chains),
        TEST(bad_or_odd_messages_are_dropped),
        TEST(echo_is_rate_limited),
        TEST(echo_of_groups_and_nobody_is_ignored),
        TEST(errors_reach_tcp),
        TEST(too_big_is_clamped),
        TEST(too_big_without_mtu_takes_a_plateau),
        TEST(errors_about_others_are_dropped),
        TEST(mapped_quotes_are_dropped),
        TEST(unknown_protocols_are_told),
        TEST(unreachables_are_rate_limited),
        TEST(no_buffers_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
