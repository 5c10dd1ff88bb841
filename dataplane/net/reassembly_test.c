/* Fragments of both families, through the netif. */
#include <string.h>
#include "test_cmocka.h"
#include <rte_mbuf.h>
#include "reassembly.h"
#include "test_port.h"

static struct test_net net;
static uint8_t tcp[60000], whole_data[60000];
static uint32_t tcp_len;

static const char *const peer[2] = {"10.77.0.2", "fd77::2"};
static const char *const us[2] = {"10.77.0.1", "fd77::1"};

/* Puts one whole TCP segment of that many data bytes into tcp. */
static void segment_make(unsigned family, uint32_t data_len)
{
    struct test_tcp t = {.src = test_ip(peer[family]),
                         .dst = test_ip(us[family]),
                         .src_port = 40000,
                         .dst_port = 6379,
                         .flags = TEST_ACK,
                         .data = whole_data,
                         .data_len = data_len};
    static uint8_t frame[66000];
    for (uint32_t i = 0; i < data_len; i++)
        whole_data[i] = (uint8_t)(i * 13 + (i >> 8));
    struct rte_mbuf *m = test_frame_tcp(&net.port, &t);
    uint32_t len = test_frame_bytes(m, frame, sizeof frame), at = family ? 54 : 34;
    rte_pktmbuf_free(m);
    tcp_len = len - at;
    memcpy(tcp, frame + at, tcp_len);
}

/* The piece [offset, offset + len) of tcp as a fragment. */
static struct rte_mbuf *piece(unsigned family, uint16_t id, uint32_t offset, uint32_t len)
{
    bool more = offset + len < tcp_len;
    static uint8_t l4[66000];
    struct test_ip_header h = {.src = test_ip(peer[family]), .dst = test_ip(us[family])};
    if (family == 0) {
        h.proto = 6;
        h.id = id;
        h.fragment = (uint16_t)(offset / 8 | (more ? 0x2000 : 0));
        return test_frame_ip(&net.port, &h, tcp + offset, len);
    }
    h.proto = 44;
    memset(l4, 0, 8);
    l4[0] = 6;
    l4[2] = (uint8_t)(offset >> 8);
    l4[3] = (uint8_t)((offset & 0xf8) | more);
    l4[6] = (uint8_t)(id >> 8);
    l4[7] = (uint8_t)id;
    memcpy(l4 + 8, tcp + offset, len);
    return test_frame_ip(&net.port, &h, l4, len + 8);
}

static void feed(struct rte_mbuf *m)
{
    test_net_input(&net, m);
    netif_validate(net.nif);
}

static void assert_whole(uint32_t segments)
{
    assert_int_equal(net.seen.segments, segments);
    assert_int_equal(net.seen.data_len, tcp_len);
    assert_memory_equal(net.seen.data, tcp, tcp_len);
}

static void pieces_in_any_order(void **state)
{
    static const uint8_t order[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                        {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (unsigned f = 0; f < 2; f++) {
        net.seen.segments = 0;
        for (unsigned o = 0; o < 6; o++) {
            segment_make(f, 3001);
            for (unsigned i = 0; i < 3; i++) {
                uint32_t offset = order[o][i] * 1024u;
                assert_int_equal(net.seen.segments, o);
                feed(piece(f, (uint16_t)o, offset, offset == 2048 ? tcp_len - 2048 : 1024));
            }
            assert_whole(o + 1);
            assert_memory_equal(net.seen.packet.src_mac, test_mac_peer, 6);
        }
    }
    assert_int_equal(test_port_buffers_used(&net.port), 0);
    assert_int_equal(net.nif->stats->rx_fragments, 36);
    assert_int_equal(net.nif->stats->rx_fragment_drops, 0);
}

static void a_large_datagram(void **state)
{
    for (unsigned f = 0; f < 2; f++) {
        net.seen.segments = 0;
        segment_make(f, 59000);
        for (uint32_t offset = 0; offset < tcp_len; offset += 1448)
            feed(piece(f, 1, offset, tcp_len - offset < 1448 ? tcp_len - offset : 1448));
        assert_whole(1);
    }
}

static void duplicates_change_nothing(void **state)
{
    for (unsigned f = 0; f < 2; f++) {
        net.seen.segments = 0;
        segment_make(f, 2000);
        for (unsigned i = 0; i < 5; i++)
            feed(piece(f, 1, 1024, tcp_len - 1024));
        feed(piece(f, 1, 0, 1024));
        assert_whole(1);
    }
    assert_int_equal(net.nif->stats->rx_fragment_drops, 8);
}

/* bad-input.md row 61: an overlap ends the datagram, what comes later included. */
static void overlaps_end_the_datagram(void **state)
{
    for (unsigned f = 0; f < 2; f++) {
        net.seen.segments = 0;
        segment_make(f, 2000);
        feed(piece(f, 1, 0, 1024));
        feed(piece(f, 1, 1016, 16));
        feed(piece(f, 1, 1024, tcp_len - 1024));
        feed(piece(f, 1, 0, 1024));
        feed(piece(f, 1, 1024, tcp_len - 1024));
        assert_int_equal(net.seen.segments, 0);
        assert_int_equal(test_port_buffers_used(&net.port), 0);
        /* Within, around, before. */
        feed(piece(f, 2, 512, 512));
        feed(piece(f, 2, 600, 8));
        feed(piece(f, 3, 512, 512));
        feed(piece(f, 3, 256, 1024));
        feed(piece(f, 4, 512, 512));
        feed(piece(f, 4, 256, 264));
        assert_int_equal(test_port_buffers_used(&net.port), 0);
        /* The identification is free again afterwards. */
        net.nif->now_us += REASSEMBLY_TIME_US;
        netif_tick(net.nif);
        feed(piece(f, 1, 0, 1024));
        feed(piece(f, 1, 1024, tcp_len - 1024));
        assert_whole(1);
    }
}

static void two_ends_conflict(void **state)
{
    segment_make(0, 2000);
    feed(piece(0, 1, 1024, tcp_len - 1024));
    tcp_len -= 100;
    feed(piece(0, 1, 1536, tcp_len - 1536));
    assert_int_equal(test_port_buffers_used(&net.port), 0);
    /* A piece behind the end, and an end before a piece. */
    segment_make(0, 2000);
    uint32_t full = tcp_len;
    tcp_len = 512;
    feed(piece(0, 2, 256, 256));
    tcp_len = full;
    feed(piece(0, 2, 1024, 256));
    feed(piece(0, 3, 1024, 256));
    tcp_len = 512;
    feed(piece(0, 3, 256, 256));
    assert_int_equal(test_port_buffers_used(&net.port), 0);
    assert_int_equal(net.nif->stats->rx_l4_checksum_bad, 0); /* nothing was put together */
    assert_int_equal(net.seen.segments, 0);
}

/* RFC 1858: no TCP header in pieces. */
static void tiny_fragments_are_dropped(void **state)
{
    for (unsigned f = 0; f < 2; f++) {
        uint64_t drops = net.nif->stats->rx_fragment_drops;
        segment_make(f, 2000);
        feed(piece(f, 1, 0, 8));
        feed(piece(f, 1, 0, 16));
        feed(piece(f, 2, 8, 800));
        feed(piece(f, 3, 16, 800));
        feed(piece(f, 4, 24, 801)); /* not in eights, not last */
        assert_int_equal(net.nif->stats->rx_fragment_drops, drops + 5);
        assert_int_equal(test_port_buffers_used(&net.port), 0);
    }
    /* Nothing inside; past the largest datagram. */
    struct test_ip_header h = {
        .src = test_ip(peer[0]), .dst = test_ip(us[0]), .proto = 6, .fragment = 0x2010};
    feed(test_frame_ip(&net.port, &h, tcp, 0));
    h.fragment = 0x1fff;
    feed(test_frame_ip(&net.port, &h, tcp, 64));
    assert_int_equal(net.nif->stats->rx_fragment_drops, 12);
    assert_int_equal(test_port_buffers_used(&net.port), 0);
}

static void time_is_bounded(void **state)
{
    segment_make(0, 2000);
    feed(piece(0, 1, 0, 1024));
    assert_true(netif_deadline_us(net.nif) <= net.nif->now_us + REASSEMBLY_TIME_US);
    net.nif->now_us += REASSEMBLY_TIME_US - 1;
    netif_tick(net.nif);
    assert_int_equal(test_port_buffers_used(&net.port), 1);
    net.nif->now_us += 1;
    netif_tick(net.nif);
    assert_int_equal(test_port_buffers_used(&net.port), 0);
    assert_true(netif_deadline_us(net.nif) == UINT64_MAX);
    feed(piece(0, 1, 1024, tcp_len - 1024));
    assert_int_equal(net.seen.segments, 0);
}

static void memory_is_bounded(void **state)
{
    segment_make(0, 59000);
    /* More datagrams than places: the oldest goes. */
    for (uint16_t id = 0; id < 200; id++) {
        net.nif->now_us++;
        feed(piece(0, id, 0, 1024));
        assert_true(test_port_buffers_used(&net.port) <= REASSEMBLY_DATAGRAMS_MAX);
    }
    /* Many small pieces per datagram. */
    for (uint16_t id = 0; id < 100; id++) {
        net.nif->now_us++;
        for (uint32_t k = 0; k < 60; k++) {
            feed(piece(0, (uint16_t)(1000 + id), 512 + k * 16, 8));
            assert_true(test_port_buffers_used(&net.port) <= REASSEMBLY_MBUFS_MAX);
        }
    }
    /* Too many of one datagram: it ends. */
    uint64_t drops = net.nif->stats->rx_fragment_drops;
    net.nif->now_us++;
    for (uint32_t k = 0; k < 100; k++)
        feed(piece(0, 1999, 512 + k * 16, 8));
    assert_true(net.nif->stats->rx_fragment_drops >= drops + 100);
    /* Large ones, in chains. */
    for (uint16_t id = 0; id < 100; id++) {
        net.nif->now_us++;
        feed(piece(0, (uint16_t)(2000 + id), 1024, 50000));
        assert_true(test_port_buffers_used(&net.port) <= REASSEMBLY_MBUFS_MAX);
    }
    assert_int_equal(net.seen.segments, 0);
    net.nif->now_us += REASSEMBLY_TIME_US;
    netif_tick(net.nif);
    assert_int_equal(test_port_buffers_used(&net.port), 0);
}

static void different_senders_do_not_mix(void **state)
{
    segment_make(0, 2000);
    feed(piece(0, 1, 0, 1024));
    struct rte_mbuf *m = piece(0, 1, 1024, tcp_len - 1024);
    uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, 14);
    ip[15] = 3; /* another source, the header's sum mended */
    ip[11]--;
    feed(m);
    assert_int_equal(net.nif->stats->rx_ip_checksum_bad, 0);
    assert_int_equal(net.seen.segments, 0);
    assert_int_equal(test_port_buffers_used(&net.port), 2);
}

static void checksums_of_the_whole_are_verified(void **state)
{
    segment_make(0, 2000);
    tcp[500] ^= 1;
    struct rte_mbuf *m = piece(0, 1, 0, 1024);
    m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD; /* says nothing about the whole */
    feed(m);
    feed(piece(0, 1, 1024, tcp_len - 1024));
    assert_int_equal(net.nif->stats->rx_l4_checksum_bad, 1);
    assert_int_equal(net.seen.segments, 0);
}

/* An echo above the MTU comes in fragments, and so does the answer: fed to a second netif it is one
 * message again. Its ICMP checksum is verified there, so nothing is lost or twisted. */
static void large_echoes_are_answered_in_fragments(void **state)
{
    static const uint32_t sizes[] = {1473, 1481, 2000, 2960, 2961, 9000, 59000};
    struct netif_config c = net.config;
    static uint8_t body[60000];
    struct rte_mbuf *m;
    memset(body, 0x77, sizeof body);
    c.ip4 = test_ip(peer[0]);
    c.ip6 = test_ip(peer[1]);
    memcpy(c.mac, test_mac_peer, 6);
    for (unsigned f = 0; f < 2; f++) {
        for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct netif *other = netif_new(&net.port.queue, &c, net.nif->l4, &net.seen);
            struct test_ip_header h = {.src = test_ip(peer[f]), .dst = test_ip(us[f])};
            uint32_t pieces = (sizes[i] + 4 + (f ? 1447 : 1479)) / (f ? 1448 : 1480);
            feed(test_frame_icmp(&net.port, &h, f ? 128 : 8, 0, body, sizes[i]));
            assert_int_equal(net.port.sent_count, pieces > 1 ? pieces : 1);
            while ((m = test_port_take(&net.port)) != NULL) {
                assert_true(m->pkt_len <= 1514 && m->nb_segs == 1);
                netif_input(other, &m, 1);
            }
            netif_validate(other);
            assert_int_equal(other->stats->rx_fragments, pieces > 1 ? pieces : 0);
            assert_int_equal(other->stats->rx_icmp_ignored, 1); /* a reply that nobody awaits */
            netif_free(other);
            assert_int_equal(test_port_buffers_used(&net.port), 0);
        }
    }
    assert_int_equal(net.nif->stats->rx_icmp_echo, 2 * sizeof sizes / sizeof sizes[0]);
}

static void echoes_in_fragments_are_put_together(void **state)
{
    struct test_ip_header h = {.src = test_ip(peer[0]), .dst = test_ip(us[0]), .proto = 1};
    uint8_t icmp[120] = {8, 0, 0xf7, 0xff};
    h.fragment = 0x2000;
    feed(test_frame_ip(&net.port, &h, icmp, 80));
    h.fragment = 80 / 8;
    feed(test_frame_ip(&net.port, &h, icmp + 80, 40));
    assert_int_equal(net.nif->stats->rx_icmp_echo, 1);
    assert_int_equal(net.port.sent_count, 1);
}

/* A chain of fragment headers inside a fragment is not unrolled. */
static void nested_fragments_are_refused(void **state)
{
    uint8_t l4[64] = {44, 0, 0, 1};
    struct test_ip_header h = {.src = test_ip(peer[1]), .dst = test_ip(us[1]), .proto = 44};
    feed(test_frame_ip(&net.port, &h, l4, 64));
    assert_int_equal(net.nif->stats->rx_ip_header_bad, 1);
    assert_int_equal(test_port_buffers_used(&net.port), 0);
}

/* --- several lcores --- */

static struct rte_mbuf *handed;
static uint16_t handed_to;
static void hand_over(void *arg, uint16_t lcore, struct rte_mbuf *m)
{
    handed = m;
    handed_to = lcore;
}

/* tcp.md row 60: put together here, owned there. */
static void datagrams_reach_their_owner(void **state)
{
    struct flow_tuple t;
    const struct l4_ops *l4 = net.nif->l4;
    netif_free(net.nif);
    flow_init(&net.steering, net.steering.key, 16);
    for (unsigned f = 0; f < 2; f++) {
        segment_make(f, 2000);
        t = (struct flow_tuple){.remote = test_ip(peer[f]),
                                .local = test_ip(us[f]),
                                .remote_port = 40000,
                                .local_port = 6379};
        uint16_t owner = flow_owner_of_hash(&net.steering, flow_hash(&net.steering, &t));
        net.config.lcore = (uint16_t)(owner + 1);
        net.nif = netif_new(&net.port.queue, &net.config, l4, &net.seen);
        feed(piece(f, 1, 0, 1024));
        feed(piece(f, 1, 1024, tcp_len - 1024));
        assert_int_equal(net.nif->stats->rx_foreign_drops, 1);
        net.nif->foreign = hand_over;
        feed(piece(f, 2, 0, 1024));
        feed(piece(f, 2, 1024, tcp_len - 1024));
        assert_int_equal(handed_to, owner);
        assert_int_equal(flow_owner_of_frame(&net.steering, handed, false), owner);
        assert_int_equal(net.seen.segments, f);
        /* On its own lcore it is a frame like any other. */
        netif_input(net.nif, &handed, 1);
        assert_whole(f + 1);
        if (f == 0)
            netif_free(net.nif);
    }
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
        TEST(pieces_in_any_order),
        TEST(a_large_datagram),
        TEST(duplicates_change_nothing),
        TEST(overlaps_end_the_datagram),
        TEST(two_ends_conflict),
        TEST(tiny_fragments_are_dropped),
        TEST(time_is_bounded),
        TEST(memory_is_bounded),
        TEST(different_senders_do_not_mix),
        TEST(checksums_of_the_whole_are_verified),
        TEST(large_echoes_are_answered_in_fragments),
        TEST(echoes_in_fragments_are_put_together),
        TEST(nested_fragments_are_refused),
        TEST(datagrams_reach_their_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
