#include "offload.h"
#include <string.h>
#include <rte_ethdev.h>
#include <rte_gso.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_net.h>
#include <rte_tcp.h>
#include <rte_udp.h>
#include "check.h"

#define L4_MASK RTE_MBUF_F_TX_L4_MASK
#define TCP_FIN_PSH (RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG)

static uint32_t header_bytes(const struct rte_mbuf *frame)
{
    return (uint32_t)frame->l2_len + frame->l3_len + frame->l4_len;
}

static bool is_tso(const struct rte_mbuf *frame)
{
    return (frame->ol_flags & RTE_MBUF_F_TX_TCP_SEG) != 0;
}

/* Bytes of header that the flags make somebody write to: they must stand in the first segment. */
static bool header_whole(const struct rte_mbuf *frame)
{
    uint64_t flags = frame->ol_flags;
    uint32_t need = 0;
    if (flags & RTE_MBUF_F_TX_IP_CKSUM)
        need = (uint32_t)frame->l2_len + (uint32_t)sizeof(struct rte_ipv4_hdr);
    if (flags & (RTE_MBUF_F_TX_TCP_SEG | L4_MASK)) {
        bool udp = (flags & L4_MASK) == RTE_MBUF_F_TX_UDP_CKSUM;
        uint32_t l4 = (uint32_t)(udp ? sizeof(struct rte_udp_hdr) : sizeof(struct rte_tcp_hdr));
        need = (uint32_t)frame->l2_len + frame->l3_len + l4;
    }
    if (is_tso(frame) && (frame->tso_segsz == 0 || header_bytes(frame) > need))
        need = frame->tso_segsz == 0 ? UINT32_MAX : header_bytes(frame);
    return need <= rte_pktmbuf_data_len(frame);
}

static void checksum_ip4(struct rte_mbuf *frame)
{
    struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(frame, struct rte_ipv4_hdr *, frame->l2_len);
    ip->hdr_checksum = 0;
    ip->hdr_checksum = (uint16_t)~rte_raw_cksum(ip, frame->l3_len);
}

static uint16_t pseudo_header_sum(const struct rte_mbuf *frame, const void *ip)
{
    if (frame->ol_flags & RTE_MBUF_F_TX_IPV4)
        return rte_ipv4_phdr_cksum(ip, 0);
    return rte_ipv6_phdr_cksum(ip, 0);
}

static uint16_t sum_fold(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* One's complement sum from offset to the end, over segments of any length: what starts at an odd
 * place counts byte-swapped. (rte_raw_cksum_mbuf of DPDK 22.11 swaps before it folds: wrong then.)
 */
static uint16_t chain_sum(const struct rte_mbuf *frame, uint32_t offset)
{
    uint32_t sum = 0;
    uint32_t done = 0;
    for (const struct rte_mbuf *seg = frame; seg != NULL; seg = seg->next) {
        uint32_t len = rte_pktmbuf_data_len(seg);
        uint32_t skip = RTE_MIN(offset, len);
        uint16_t part = rte_raw_cksum(rte_pktmbuf_mtod_offset(seg, const void *, skip), len - skip);
        sum += done & 1 ? rte_bswap16(part) : part;
        done += len - skip;
        offset -= skip;
    }
    return sum_fold(sum);
}

static void checksum_l4(struct rte_mbuf *frame)
{
    uint32_t offset = (uint32_t)frame->l2_len + frame->l3_len;
    bool udp = (frame->ol_flags & L4_MASK) == RTE_MBUF_F_TX_UDP_CKSUM;
    size_t field =
        udp ? offsetof(struct rte_udp_hdr, dgram_cksum) : offsetof(struct rte_tcp_hdr, cksum);
    char *at = rte_pktmbuf_mtod_offset(frame, char *, offset + field);
    const void *ip = rte_pktmbuf_mtod_offset(frame, const void *, frame->l2_len);
    memset(at, 0, sizeof(uint16_t));
    uint32_t sum = (uint32_t)chain_sum(frame, offset) + pseudo_header_sum(frame, ip);
    uint16_t checksum = (uint16_t)~sum_fold(sum);
    /* RFC 768: zero means none was computed. */
    if (udp && checksum == 0)
        checksum = 0xffff;
    memcpy(at, &checksum, sizeof(checksum));
}

/* What is done here is not left flagged: some drivers would do it again. */
static void checksums_fill(const struct offload *offload, struct rte_mbuf *frame)
{
    uint64_t flags = frame->ol_flags;
    uint64_t hardware = __atomic_load_n(&offload->hardware, __ATOMIC_RELAXED);
    if ((flags & RTE_MBUF_F_TX_IP_CKSUM) && !(hardware & RTE_MBUF_F_TX_IP_CKSUM)) {
        checksum_ip4(frame);
        frame->ol_flags &= ~RTE_MBUF_F_TX_IP_CKSUM;
    }
    uint64_t kind = flags & L4_MASK;
    if (kind != RTE_MBUF_F_TX_TCP_CKSUM && kind != RTE_MBUF_F_TX_UDP_CKSUM)
        return;
    if (hardware & RTE_MBUF_F_TX_TCP_CKSUM) {
        if (offload->prepare)
            rte_net_intel_cksum_prepare(frame);
        return;
    }
    checksum_l4(frame);
    frame->ol_flags &= ~L4_MASK;
}

static struct rte_mbuf *flatten(struct offload *offload, struct rte_mbuf *frame)
{
    struct rte_mbuf *flat = rte_pktmbuf_alloc(offload->pool);
    if (flat == NULL)
        return NULL;
    char *to = rte_pktmbuf_pkt_len(frame) > UINT16_MAX
                   ? NULL
                   : rte_pktmbuf_append(flat, (uint16_t)rte_pktmbuf_pkt_len(frame));
    if (to == NULL) {
        rte_pktmbuf_free(flat);
        return NULL;
    }
    for (const struct rte_mbuf *seg = frame; seg != NULL; seg = seg->next) {
        memcpy(to, rte_pktmbuf_mtod(seg, const void *), rte_pktmbuf_data_len(seg));
        to += rte_pktmbuf_data_len(seg);
    }
    flat->ol_flags = frame->ol_flags & ~(RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL);
    flat->tx_offload = frame->tx_offload;
    flat->packet_type = frame->packet_type;
    rte_pktmbuf_free(frame);
    return flat;
}

/* Every segment is pool's own and nobody else's. */
static bool buffers_own(const struct offload *offload, const struct rte_mbuf *frame)
{
    for (const struct rte_mbuf *seg = frame; seg != NULL; seg = seg->next)
        if (seg->pool != offload->pool || !RTE_MBUF_DIRECT(seg) || rte_mbuf_refcnt_read(seg) != 1)
            return false;
    return true;
}

static struct rte_mbuf *copy_own(struct offload *offload, struct rte_mbuf *frame)
{
    struct rte_mbuf *copy = rte_pktmbuf_copy(frame, offload->pool, 0, UINT32_MAX);
    if (copy != NULL)
        rte_pktmbuf_free(frame);
    return copy;
}

/* One frame that is not to be cut any more; NULL: freed and counted. */
static struct rte_mbuf *finish(struct offload *offload, struct rte_mbuf *frame)
{
    bool too_long = rte_pktmbuf_pkt_len(frame) > offload->frame_bytes && !is_tso(frame);
    struct rte_mbuf *done = too_long ? NULL : frame;
    if (done != NULL && done->nb_segs > 1 && !offload->multi_seg)
        done = flatten(offload, done);
    else if (done != NULL && offload->own_buffers && !buffers_own(offload, done))
        done = copy_own(offload, done);
    if (done == NULL) {
        offload->dropped++;
        rte_pktmbuf_free(frame);
        return NULL;
    }
    checksums_fill(offload, done);
    return done;
}

/* References to len bytes of the frame from offset on, appended to head. */
static bool payload_attach(struct offload *offload, struct rte_mbuf *head, struct rte_mbuf *frame,
                           uint32_t offset, uint32_t len)
{
    struct rte_mbuf *seg = frame;
    struct rte_mbuf *tail = head;
    while (offset >= seg->data_len) {
        offset -= seg->data_len;
        seg = seg->next;
    }
    for (; len > 0; seg = seg->next, offset = 0) {
        uint32_t piece = RTE_MIN(len, (uint32_t)seg->data_len - offset);
        if (piece == 0)
            continue;
        struct rte_mbuf *part = rte_pktmbuf_alloc(offload->indirect);
        if (part == NULL)
            return false;
        rte_pktmbuf_attach(part, seg);
        part->data_off = (uint16_t)(seg->data_off + offset);
        part->data_len = (uint16_t)piece;
        part->pkt_len = piece;
        tail->next = part;
        tail = part;
        head->nb_segs++;
        head->pkt_len += piece;
        len -= piece;
    }
    return true;
}

static struct rte_mbuf *cut_tcp6_one(struct offload *offload, struct rte_mbuf *frame,
                                     uint32_t offset, uint32_t len)
{
    uint32_t header = header_bytes(frame);
    struct rte_mbuf *head = rte_pktmbuf_alloc(offload->pool);
    if (head == NULL)
        return NULL;
    void *to = rte_pktmbuf_append(head, (uint16_t)header);
    if (to == NULL || !payload_attach(offload, head, frame, offset, len)) {
        rte_pktmbuf_free(head);
        return NULL;
    }
    memcpy(to, rte_pktmbuf_mtod(frame, void *), header);
    head->ol_flags = frame->ol_flags & ~(RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_EXTERNAL);
    head->tx_offload = frame->tx_offload;
    struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod_offset(head, struct rte_ipv6_hdr *, head->l2_len);
    struct rte_tcp_hdr *tcp =
        rte_pktmbuf_mtod_offset(head, struct rte_tcp_hdr *, head->l2_len + head->l3_len);
    ip->payload_len = rte_cpu_to_be_16((uint16_t)(head->l3_len - sizeof(*ip) + head->l4_len + len));
    tcp->sent_seq = rte_cpu_to_be_32(rte_be_to_cpu_32(tcp->sent_seq) + offset - header);
    if (offset + len < rte_pktmbuf_pkt_len(frame))
        tcp->tcp_flags &= (uint8_t)~TCP_FIN_PSH;
    return head;
}

/* rte_gso of DPDK 22.11 cuts TCP over IPv4 only. */
static int cut_tcp6(struct offload *offload, struct rte_mbuf *frame, struct rte_mbuf **out)
{
    uint32_t total = rte_pktmbuf_pkt_len(frame);
    int count = 0;
    for (uint32_t at = header_bytes(frame); at < total; at += frame->tso_segsz) {
        uint32_t len = RTE_MIN((uint32_t)frame->tso_segsz, total - at);
        if (count < OFFLOAD_FRAMES_MAX)
            out[count] = cut_tcp6_one(offload, frame, at, len);
        if (count == OFFLOAD_FRAMES_MAX || out[count] == NULL) {
            rte_pktmbuf_free_bulk(out, (unsigned)count);
            return -1;
        }
        count++;
    }
    return count;
}

static int cut_tcp4(struct offload *offload, struct rte_mbuf *frame, struct rte_mbuf **out)
{
    struct rte_gso_ctx context = {
        .direct_pool = offload->pool,
        .indirect_pool = offload->indirect,
        .gso_types = RTE_ETH_TX_OFFLOAD_TCP_TSO,
        .gso_size = (uint16_t)(header_bytes(frame) + frame->tso_segsz),
    };
    return rte_gso_segment(frame, &context, out, OFFLOAD_FRAMES_MAX);
}

/* Frames in out, each still to be finished; the original is gone. 0: dropped. */
static uint16_t cut(struct offload *offload, struct rte_mbuf *frame, struct rte_mbuf **out)
{
    uint64_t checksum = RTE_MBUF_F_TX_TCP_CKSUM;
    int count = 0;
    if (rte_pktmbuf_pkt_len(frame) > header_bytes(frame) + frame->tso_segsz)
        count = (frame->ol_flags & RTE_MBUF_F_TX_IPV4) ? cut_tcp4(offload, frame, out)
                                                       : cut_tcp6(offload, frame, out);
    if (count < 0) {
        offload->dropped++;
        rte_pktmbuf_free(frame);
        return 0;
    }
    if (count == 0) {
        out[0] = frame;
        frame->ol_flags = (frame->ol_flags & ~RTE_MBUF_F_TX_TCP_SEG) | checksum;
        return 1;
    }
    rte_pktmbuf_free(frame);
    for (int i = 0; i < count; i++)
        out[i]->ol_flags = (out[i]->ol_flags & ~RTE_MBUF_F_TX_TCP_SEG) | checksum;
    return (uint16_t)count;
}

uint16_t offload_frame(struct offload *offload, struct rte_mbuf *frame, struct rte_mbuf **out)
{
    if (!header_whole(frame)) {
        offload->dropped++;
        rte_pktmbuf_free(frame);
        return 0;
    }
    uint16_t count = 1;
    out[0] = frame;
    if (is_tso(frame) && !(offload->hardware & RTE_MBUF_F_TX_TCP_SEG))
        count = cut(offload, frame, out);
    uint16_t good = 0;
    for (uint16_t i = 0; i < count; i++) {
        struct rte_mbuf *done = finish(offload, out[i]);
        if (done != NULL)
            out[good++] = done;
    }
    return good;
}

void offload_sums_fill(struct rte_mbuf *frame)
{
    const struct offload nothing = {0};
    if (!header_whole(frame))
        return;
    if (is_tso(frame))
        frame->ol_flags = (frame->ol_flags & ~RTE_MBUF_F_TX_TCP_SEG) | RTE_MBUF_F_TX_TCP_CKSUM;
    checksums_fill(&nothing, frame);
}
