#include <string.h>
#include "test_cmocka.h"
#include <rte_mbuf.h>
#include "test_port.h"

static struct test_net net;

static struct test_tcp segment(void)
{
    return (struct test_tcp){.src = test_ip("10.77.0.2"),
                             .dst = test_ip("10.77.0.1"),
                             .src_port = 40000,
                             .dst_port = 6379,
                             .seq = 1000,
                             .ack = 2000,
                             .flags = TEST_ACK | TEST_PSH,
                             .window = 65535,
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

/* Mends the IPv4 header's checksum after a test changed it. */
static void header_sum(struct rte_mbuf *m)
{
    uint32_t sum = 0, len = (*at(m, 14) & 15u) * 4;
    *at(m, 24) = *at(m, 25) = 0;
    for (uint32_t i = 0; i < len; i += 2)
        sum += (uint32_t)*at(m, 14 + i) << 8 | *at(m, 15 + i);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    *at(m, 24) = (uint8_t)(~sum >> 8);
    *at(m, 25) = (uint8_t)~sum;
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
    struct test_tcp t = segment();
    struct flow_tuple tuple = {
        .remote = t.src, .local = t.dst, .remote_port = 40000, .local_port = 6379};
    ASSERT_DELIVERED(frame());
    assert_int_equal(net.seen.data_len, 25);
    assert_memory_equal(net.seen.data + 20, "hello", 5);
    assert_true(ip_addr_equal(&net.seen.packet.src, &t.src));
    assert_true(ip_addr_equal(&net.seen.packet.dst, &t.dst));
    assert_memory_equal(net.seen.packet.src_mac, test_mac_peer, 6);
    assert_int_equal(net.seen.packet.flow_hash, flow_hash(&net.steering, &tuple));
    assert_true(net.seen.packet.checksum_good);
    /* Also when nobody computed the hash before. */
    struct rte_mbuf *m = frame();
    netif_input(net.nif, &m, 1);
    assert_int_equal(net.seen.packet.flow_hash, flow_hash(&net.steering, &tuple));
    assert_int_equal(net.nif->stats->rx_frames, 2);
}

static void padding_is_trimmed(void **state)
{
    struct rte_mbuf *m = frame();
    memset(rte_pktmbuf_append(m, 40), 0xaa, 40);
    ASSERT_DELIVERED(m);
    assert_int_equal(net.seen.data_len, 25);
    /* Padding in a buffer of its own. */
    m = frame();
    uint32_t len = m->pkt_len;
    memset(rte_pktmbuf_append(m, 30), 0xaa, 30);
    test_frame_split(&net.port, m, len);
    ASSERT_DELIVERED(m);
    assert_int_equal(net.seen.data_len, 25);
}

/* The IP packet ends in the middle of the chain. */
static void padding_in_chains_is_trimmed(void **state)
{
    for (uint32_t cut = 1; cut < 59; cut++) {
        struct rte_mbuf *m = frame();
        memset(rte_pktmbuf_append(m, 40), 0xaa, 40);
        test_frame_split(&net.port, m, 80);
        test_frame_split(&net.port, m, cut);
        ASSERT_DELIVERED(m);
        assert_int_equal(net.seen.data_len, 25);
        assert_memory_equal(net.seen.data + 20, "hello", 5);
    }
}

/* tcp.md row 53, bad-input.md row 61. */
static void header_lies_are_dropped(void **state)
{
    struct rte_mbuf *m;
    for (unsigned ihl = 0; ihl < 5; ihl++) {
        m = frame();
        *at(m, 14) = (uint8_t)(0x40 | ihl);
        ASSERT_DROPPED(m, rx_ip_header_bad);
    }
    m = frame();
    *at(m, 14) = 0x65;
    ASSERT_DROPPED(m, rx_ip_header_bad);
    static const uint16_t lies[] = {0, 19, 46, 1500, 65535};
    for (unsigned i = 0; i < 5; i++) {
        m = frame();
        *at(m, 16) = (uint8_t)(lies[i] >> 8);
        *at(m, 17) = (uint8_t)lies[i];
        header_sum(m);
        ASSERT_DROPPED(m, rx_ip_header_bad);
    }
    m = frame();
    *at(m, 24) ^= 1;
    ASSERT_DROPPED(m, rx_ip_checksum_bad);
}

static void options_are_refused(void **state)
{
    uint8_t bytes[128] = {0};
    struct rte_mbuf *m = frame();
    uint32_t len = test_frame_bytes(m, bytes, sizeof bytes);
    rte_pktmbuf_free(m);
    memmove(bytes + 38, bytes + 34, len - 34);
    memset(bytes + 34, 1, 4);
    bytes[14] = 0x46;
    bytes[17] = (uint8_t)(bytes[17] + 4);
    m = test_frame_raw(&net.port, bytes, len + 4);
    header_sum(m);
    ASSERT_DROPPED(m, rx_ip_options);
}

static void truncations_are_dropped(void **state)
{
    struct rte_mbuf *whole = frame();
    uint8_t bytes[128];
    uint32_t len = test_frame_bytes(whole, bytes, sizeof bytes);
    rte_pktmbuf_free(whole);
    for (uint32_t cut = 0; cut < 14; cut++)
        ASSERT_DROPPED(test_frame_raw(&net.port, bytes, cut), rx_runt);
    for (uint32_t cut = 14; cut < len; cut++)
        ASSERT_DROPPED(test_frame_raw(&net.port, bytes, cut), rx_ip_header_bad);
}

static void short_tcp_is_dropped(void **state)
{
    struct test_ip_header h = {
        .src = test_ip("10.77.0.2"), .dst = test_ip("10.77.0.1"), .proto = 6};
    uint8_t tcp[20] = {0};
    for (uint32_t len = 0; len < 20; len++)
        ASSERT_DROPPED(test_frame_ip(&net.port, &h, tcp, len), rx_l4_short);
}

/* tcp.md row 56. */
static void impossible_sources_are_dropped(void **state)
{
    static const char *const bad[] = {"0.0.0.0",         "0.1.2.3",   "127.0.0.1",   "224.0.0.1",
                                      "255.255.255.255", "240.0.0.1", "10.77.0.255", "10.77.0.0"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct test_tcp t = segment();
        t.src = test_ip(bad[i]);
        ASSERT_DROPPED(test_frame_tcp(&net.port, &t), rx_ip_source_bad);
    }
    struct test_tcp land = segment();
    land.src = land.dst;
    ASSERT_DROPPED(test_frame_tcp(&net.port, &land), rx_land);
}

static void others_frames_are_dropped(void **state)
{
    struct test_tcp t = segment();
    t.dst = test_ip("10.77.0.3");
    ASSERT_DROPPED(test_frame_tcp(&net.port, &t), rx_not_ours);
    t = segment();
    t.dst = test_ip("10.77.0.255");
    ASSERT_DROPPED(test_frame_tcp(&net.port, &t), rx_not_ours);
    /* Ours by IP, but sent to everybody, to a group, to another MAC, from a group, from ourselves.
     */
    static const uint8_t macs[][6] = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
                                      {1, 0, 0x5e, 0, 0, 1},
                                      {0x33, 0x33, 0, 0, 0, 1},
                                      {2, 0x77, 0, 0, 0, 9}};
    for (unsigned i = 0; i < 4; i++) {
        t = segment();
        memcpy(t.dst_mac, macs[i], 6);
        ASSERT_DROPPED(test_frame_tcp(&net.port, &t), rx_not_ours);
    }
    t = segment();
    memcpy(t.src_mac, macs[1], 6);
    ASSERT_DROPPED(test_frame_tcp(&net.port, &t), rx_not_ours);
    memcpy(t.src_mac, test_mac_us, 6);
    ASSERT_DROPPED(test_frame_tcp(&net.port, &t), rx_not_ours);
}

/* bad-input.md row 64. */
static void other_ethertypes_are_dropped(void **state)
{
    static const uint16_t types[] = {0x8100, 0x88a8, 0x88cc, 0x0026};
    for (unsigned i = 0; i < 4; i++) {
        struct rte_mbuf *m = frame();
        *at(m, 12) = (uint8_t)(types[i] >> 8);
        *at(m, 13) = (uint8_t)types[i];
        if (i < 2)
            ASSERT_DROPPED(m, rx_vlan);
        else
            ASSERT_DROPPED(m, rx_unknown_ethertype);
    }
    struct rte_mbuf *m = frame();
    m->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
    ASSERT_DROPPED(m, rx_vlan);
}

/* tcp.md row 57: what the port says, times what is in the field. */
static void four_checksum_states(void **state)
{
    static const struct {
        uint64_t flag;
        bool field_right, delivered;
    } cases[] = {
        {RTE_MBUF_F_RX_L4_CKSUM_GOOD, true, true},
        {RTE_MBUF_F_RX_L4_CKSUM_GOOD, false, true},
        {RTE_MBUF_F_RX_L4_CKSUM_NONE, false, true},
        {RTE_MBUF_F_RX_L4_CKSUM_NONE, true, true},
        {RTE_MBUF_F_RX_L4_CKSUM_BAD, true, false},
        {RTE_MBUF_F_RX_L4_CKSUM_BAD, false, false},
        {RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN, true, true},
        {RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN, false, false},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rte_mbuf *m = frame();
        m->ol_flags |= cases[i].flag;
        if (!cases[i].field_right)
            *at(m, 34 + 16) ^= 0x55;
        if (cases[i].delivered)
            ASSERT_DELIVERED(m);
        else
            ASSERT_DROPPED(m, rx_l4_checksum_bad);
    }
    static const struct {
        uint64_t flag;
        bool field_right, delivered;
    } header_cases[] = {{RTE_MBUF_F_RX_IP_CKSUM_GOOD, false, true},
                        {RTE_MBUF_F_RX_IP_CKSUM_NONE, false, true},
                        {RTE_MBUF_F_RX_IP_CKSUM_BAD, true, false},
                        {RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN, false, false},
                        {RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN, true, true}};
    for (unsigned i = 0; i < sizeof header_cases / sizeof header_cases[0]; i++) {
        struct rte_mbuf *m = frame();
        m->ol_flags |= header_cases[i].flag;
        if (!header_cases[i].field_right)
            *at(m, 24) ^= 0x55;
        if (header_cases[i].delivered)
            ASSERT_DELIVERED(m);
        else
            ASSERT_DROPPED(m, rx_ip_checksum_bad);
    }
}

static void every_flipped_bit_is_noticed(void **state)
{
    for (unsigned byte = 14; byte < 14 + 20 + 25; byte++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct rte_mbuf *m = frame();
            uint32_t segments = net.seen.segments;
            *at(m, byte) ^= (uint8_t)(1 << bit);
            test_net_input(&net, m);
            assert_int_equal(net.seen.segments, segments);
        }
    }
}

/* The frame cut into two or three buffers at any byte gives the same segment. */
static void chains_cut_anywhere(void **state)
{
    static uint8_t data[900];
    struct test_tcp t = segment();
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + 1);
    t.data = data;
    t.data_len = sizeof data;
    for (uint32_t cut = 0; cut <= 14 + 40 + sizeof data; cut++) {
        struct rte_mbuf *m = test_frame_tcp(&net.port, &t);
        test_frame_split(&net.port, m, cut);
        if (cut > 3)
            test_frame_split(&net.port, m, cut / 2);
        ASSERT_DELIVERED(m);
        assert_int_equal(net.seen.data_len, 20 + sizeof data);
        assert_memory_equal(net.seen.data + 20, data, sizeof data);
        m = test_frame_tcp(&net.port, &t);
        *at(m, 60 + cut % 800) ^= 1;
        test_frame_split(&net.port, m, cut);
        ASSERT_DROPPED(m, rx_l4_checksum_bad);
    }
}

/* Buffers that are not ours to write (clones) are copied where headers must be made one piece. */
static void shared_chains_are_copied(void **state)
{
    struct rte_mbuf *m = frame();
    test_frame_split(&net.port, m, 40);
    struct rte_mbuf *clone = rte_pktmbuf_clone(m, net.port.queue.pool);
    ASSERT_DELIVERED(clone);
    assert_memory_equal(net.seen.data + 20, "hello", 5);
    assert_int_equal(m->data_len, 40);
    assert_int_equal(m->nb_segs, 2);
    rte_pktmbuf_free(m);
}

/* tcp.md row 58: frames larger than the MTU come from peers' GSO and ports' LRO. */
static void large_frames_are_accepted(void **state)
{
    static uint8_t data[64000];
    struct test_tcp t = segment();
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i ^ i >> 8);
    t.data = data;
    t.data_len = sizeof data;
    struct rte_mbuf *m = test_frame_tcp(&net.port, &t);
    assert_true(m->nb_segs > 30);
    ASSERT_DELIVERED(m);
    assert_int_equal(net.seen.data_len, 20 + sizeof data);
    assert_memory_equal(net.seen.data + 20, data, sizeof data);
}

static void bursts_keep_order(void **state)
{
    struct rte_mbuf *pkts[32];
    for (unsigned i = 0; i < 32; i++)
        pkts[i] = frame();
    uint32_t segments = net.seen.segments;
    netif_input(net.nif, pkts, 32);
    assert_int_equal(net.seen.segments, segments + 32);
    netif_input(net.nif, pkts, 0);
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
        TEST(segment_is_delivered),         TEST(padding_is_trimmed),
        TEST(padding_in_chains_is_trimmed), TEST(header_lies_are_dropped),
        TEST(options_are_refused),          TEST(truncations_are_dropped),
        TEST(short_tcp_is_dropped),         TEST(impossible_sources_are_dropped),
        TEST(others_frames_are_dropped),    TEST(other_ethertypes_are_dropped),
        TEST(four_checksum_states),         TEST(every_flipped_bit_is_noticed),
        TEST(chains_cut_anywhere),          TEST(shared_chains_are_copied),
        TEST(large_frames_are_accepted),    TEST(bursts_keep_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
