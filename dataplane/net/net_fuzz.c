/* Sequences of frames and events into one netif. The input is a list of records:
 *
 *   kind (1 byte), length (2 bytes, big-endian), that many bytes
 *
 * kind & 7 chooses: 0-4 a frame (as it is; with destination and checksums mended, so that it gets
 * past the first gates; the same in a chain; in an exact-sized external buffer, where a sanitizer
 * sees any read behind the end; with the port's verdict on the checksum from the upper bits), 5
 * time passes, 6 a segment of ours leaves, 7 another lcore tells of a neighbour. After each record
 * all invariants are walked; at the end every buffer must be back. */
#include <stdlib.h>
#include <string.h>
#include <rte_mbuf.h>
#include "check.h"
#include "net_fuzz.h"
#include "test_port.h"

static struct test_net net;
static uint8_t scratch[66000];

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static uint16_t sum16(const uint8_t *p, size_t len)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < len; i++)
        sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* Mends what the frame itself says it carries; lengths stay as they are. */
static void mend4(uint8_t *ip, size_t len)
{
    size_t header_len = (ip[0] & 15u) * 4u, total = get16(ip + 2);
    if (header_len < 20 || header_len > len)
        return;
    put16(ip + 10, 0);
    put16(ip + 10, sum16(ip, header_len));
    if (total < header_len || total > len)
        return;
    uint8_t *l4 = ip + header_len;
    size_t l4_len = total - header_len;
    if (ip[9] == 1 && l4_len >= 4) {
        put16(l4 + 2, 0);
        put16(l4 + 2, sum16(l4, l4_len));
    } else if (ip[9] == 6 && l4_len >= 20) {
        uint32_t src, dst;
        memcpy(&src, ip + 12, 4);
        memcpy(&dst, ip + 16, 4);
        struct ip_addr from = ip_addr_from4(src), to = ip_addr_from4(dst);
        put16(l4 + 16, 0);
        put16(l4 + 16, test_l4_checksum(&from, &to, 6, l4, l4_len));
    }
}

static void mend6(uint8_t *ip, size_t len)
{
    size_t l4_len = get16(ip + 4);
    size_t checksum_at = ip[6] == 58 ? 2 : 16;
    if ((ip[6] != 58 && ip[6] != 6) || l4_len < checksum_at + 2 || l4_len + 40 > len)
        return;
    struct ip_addr src, dst;
    memcpy(src.b, ip + 8, 16);
    memcpy(dst.b, ip + 24, 16);
    put16(ip + 40 + checksum_at, 0);
    put16(ip + 40 + checksum_at, test_l4_checksum(&src, &dst, ip[6], ip + 40, l4_len));
}

static void mend(uint8_t *frame, size_t len)
{
    if (len < 14)
        return;
    if ((frame[0] & 1) == 0)
        memcpy(frame, test_mac_us, 6);
    if (get16(frame + 12) == 0x0800 && len >= 34)
        mend4(frame + 14, len - 14);
    else if (get16(frame + 12) == 0x86dd && len >= 54)
        mend6(frame + 14, len - 14);
}

static void external_free(void *buffer, void *opaque)
{
    free(buffer);
}

/* The bytes in a buffer of exactly their size, without headroom. */
static struct rte_mbuf *external(const uint8_t *bytes, uint16_t len)
{
    static struct rte_mbuf_ext_shared_info shared[65536];
    static uint16_t turn;
    struct rte_mbuf_ext_shared_info *info = &shared[turn++];
    struct rte_mbuf *m = rte_pktmbuf_alloc(net.port.queue.pool);
    uint8_t *buffer = malloc(len + 1u);
    CHECK(m != NULL && buffer != NULL);
    memcpy(buffer, bytes, len);
    buffer = realloc(buffer, len > 0 ? len : 1);
    info->free_cb = external_free;
    rte_mbuf_ext_refcnt_set(info, 1);
    rte_pktmbuf_attach_extbuf(m, buffer, RTE_BAD_IOVA, len, info);
    m->data_off = 0;
    m->data_len = len;
    m->pkt_len = len;
    return m;
}

static void frame_in(uint8_t kind, const uint8_t *bytes, uint16_t len)
{
    memcpy(scratch, bytes, len);
    if ((kind & 7) != 0)
        mend(scratch, len);
    struct rte_mbuf *m =
        (kind & 7) == 3 ? external(scratch, len) : test_frame_raw(&net.port, scratch, len);
    if ((kind & 7) == 2 && m->nb_segs == 1) {
        test_frame_split(&net.port, m, (kind >> 3) % (len + 1u));
        test_frame_split(&net.port, m, m->data_len / 2u);
    }
    if ((kind & 7) == 4) {
        static const uint64_t l4[4] = {RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN, RTE_MBUF_F_RX_L4_CKSUM_GOOD,
                                       RTE_MBUF_F_RX_L4_CKSUM_NONE, RTE_MBUF_F_RX_L4_CKSUM_BAD};
        m->ol_flags |= l4[kind >> 6];
        if (kind & 0x20)
            m->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD;
    }
    /* A reassembled datagram of another lcore comes back through this one's foreign hook. */
    test_net_input(&net, m);
}

static struct ip_addr some_address(const uint8_t *bytes, uint16_t len)
{
    struct ip_addr a = test_ip("10.77.0.0");
    if (len >= 16)
        memcpy(a.b, bytes, 16);
    else if (len > 0)
        a.b[15] = bytes[0];
    return a;
}

static void segment_out(const uint8_t *bytes, uint16_t len)
{
    struct ip_addr dst = some_address(bytes, len), src;
    struct net_path path = {.mac_from_peer = len & 1, .next_hop_mac = {2, 2, 2, 2, 2, 2}};
    if (!netif_source_for(net.nif, &dst, &src))
        return;
    struct rte_mbuf *m = rte_pktmbuf_alloc(net.port.queue.pool);
    CHECK(m != NULL);
    uint8_t *tcp = (uint8_t *)rte_pktmbuf_append(m, 20);
    memset(tcp, 0, 20);
    tcp[12] = 0x50;
    tcp[13] = len > 1 ? bytes[1] : TEST_ACK;
    m->l4_len = 20;
    netif_output_tcp(net.nif, &path, &src, &dst, m);
}

static void foreign(void *arg, uint16_t lcore, struct rte_mbuf *m)
{
    CHECK(lcore != 0 && lcore == flow_owner_of_frame(&net.steering, m, false));
    netif_input(net.nif, &m, 1);
}

/* Whatever made us send, the frame is sound. */
static void check_sent(void)
{
    struct rte_mbuf *m;
    while ((m = test_port_take(&net.port)) != NULL) {
        CHECK(m->pkt_len >= 42 && m->pkt_len <= 14 + 1500 && m->nb_segs == 1);
        CHECK(memcmp(rte_pktmbuf_mtod_offset(m, uint8_t *, 6), test_mac_us, 6) == 0);
        test_frame_complete(m);
        rte_pktmbuf_free(m);
    }
}

static void run_record(uint8_t kind, const uint8_t *bytes, uint16_t len)
{
    switch (kind & 7) {
    case 5:
        net.nif->now_us += len >= 2 ? (uint64_t)get16(bytes) * 1000 : 100000;
        netif_tick(net.nif);
        break;
    case 6:
        segment_out(bytes, len);
        break;
    case 7: {
        struct ip_addr a = some_address(bytes, len);
        netif_neighbour_set(net.nif, &a, test_mac_peer);
        break;
    }
    default:
        frame_in(kind, bytes, len);
    }
    netif_flush(net.nif);
    check_sent();
    netif_validate(net.nif);
    CHECK(netif_deadline_us(net.nif) > net.nif->now_us || (kind & 7) != 5);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    const struct l4_ops *l4;
    if (!ready) {
        test_net_init(&net, 0, 4, NULL, NULL);
        ready = true;
    }
    l4 = net.nif->l4;
    netif_free(net.nif);
    net.nif = netif_new(&net.port.queue, &net.config, l4, &net.seen);
    CHECK(net.nif != NULL);
    net.nif->now_us = TEST_NOW_US;
    net.nif->foreign = foreign;
    for (unsigned records = 0; size >= 3 && records < 200; records++) {
        size_t len = get16(data + 1);
        if (len > size - 3)
            len = size - 3;
        run_record(data[0], data + 3, (uint16_t)len);
        data += 3 + len;
        size -= 3 + len;
    }
    netif_free(net.nif);
    CHECK(test_port_buffers_used(&net.port) == 0);
    net.nif = netif_new(&net.port.queue, &net.config, l4, &net.seen);
    return 0;
}
