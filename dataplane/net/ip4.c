/* IPv4 in (RFC 791, 1122). Options are refused: nobody needs them, and they cost. */
#include <netinet/in.h>
#include <rte_mbuf.h>
#include <string.h>
#include "net_buf.h"
#include "net_checksum.h"
#include "net_input.h"
#include "net_wire.h"
#include "reassembly.h"

#define HEADER_END (WIRE_ETH_LEN + (uint32_t)sizeof(struct wire_ip4))
#define FRAGMENT_MORE 0x2000
#define FRAGMENT_OFFSET 0x1fff

static bool header_checksum_good(const struct rte_mbuf *m, const struct wire_ip4 *ip)
{
    uint64_t state = m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
    if (likely(state == RTE_MBUF_F_RX_IP_CKSUM_GOOD || state == RTE_MBUF_F_RX_IP_CKSUM_NONE))
        return true;
    return state != RTE_MBUF_F_RX_IP_CKSUM_BAD && net_sum_fold(net_sum(ip, sizeof *ip)) == 0xffff;
}

/* The cause to count for, NULL when the header may go on. total_len in host order. */
static inline uint64_t *header_fault(struct netif *n, const struct rte_mbuf *m,
                                     const struct wire_ip4 *ip, uint32_t total_len)
{
    if (unlikely(ip->version_ihl != 0x45))
        return ip->version_ihl > 0x45 && ip->version_ihl <= 0x4f ? &n->stats->rx_ip_options
                                                                 : &n->stats->rx_ip_header_bad;
    if (unlikely(total_len < sizeof *ip || total_len > m->pkt_len - WIRE_ETH_LEN))
        return &n->stats->rx_ip_header_bad;
    if (unlikely(!header_checksum_good(m, ip)))
        return &n->stats->rx_ip_checksum_bad;
    if (unlikely(ip->dst != n->config.ip4.w[3] || ip->dst == 0))
        return &n->stats->rx_not_ours;
    if (unlikely(ip->src == ip->dst))
        return &n->stats->rx_land;
    if (unlikely(ip4_source_bad(n, ip->src)))
        return &n->stats->rx_ip_source_bad;
    return NULL;
}

static void fragment_input(struct netif *n, struct rte_mbuf *m, const struct ip_packet *p)
{
    const struct wire_ip4 *ip = rte_pktmbuf_mtod_offset(m, const struct wire_ip4 *, WIRE_ETH_LEN);
    uint16_t word = wire16(ip->fragment);
    struct fragment f = {
        .src = p->l4.src,
        .dst = p->l4.dst,
        .id = ip->id,
        .proto = p->proto,
        .key_proto = p->proto,
        .offset = (word & FRAGMENT_OFFSET) * 8u,
        .more = word & FRAGMENT_MORE,
        .payload_at = p->l4_at,
        .payload_len = p->l4_len,
    };
    n->stats->rx_fragments++;
    m = reassembly_add(n, m, &f);
    if (m == NULL)
        return;
    struct wire_ip4 *whole = rte_pktmbuf_mtod_offset(m, struct wire_ip4 *, WIRE_ETH_LEN);
    whole->total_len = wire16((uint16_t)(m->pkt_len - WIRE_ETH_LEN));
    whole->fragment = 0;
    whole->checksum = 0;
    whole->checksum = (uint16_t)~net_sum_fold(net_sum(whole, sizeof *whole));
    ip_reassembled(n, m);
}

static void other_protocol(struct netif *n, struct rte_mbuf *m, struct ip_packet *p)
{
    if (p->proto == IPPROTO_ICMP) {
        icmp4_input(n, m, p);
        return;
    }
    n->stats->rx_unknown_protocol++;
    icmp4_protocol_unreachable(n, m, p);
    net_buf_drop(m);
}

void ip4_input(struct netif *n, struct rte_mbuf *m)
{
    if (unlikely(m->data_len < HEADER_END)) {
        if (m->pkt_len < HEADER_END) {
            n->stats->rx_ip_header_bad++;
            net_buf_drop(m);
            return;
        }
        m = net_buf_pull(n, m, HEADER_END);
        if (m == NULL)
            return;
    }
    const struct wire_eth *eth = rte_pktmbuf_mtod(m, const struct wire_eth *);
    const struct wire_ip4 *ip = (const void *)(eth + 1);
    uint32_t total_len = wire16(ip->total_len);
    uint64_t *fault = header_fault(n, m, ip, total_len);
    if (unlikely(fault != NULL)) {
        ++*fault;
        net_buf_drop(m);
        return;
    }
    if (m->pkt_len > WIRE_ETH_LEN + total_len) /* padding */
        net_buf_trim(m, WIRE_ETH_LEN + total_len);
    struct ip_packet p = {
        .l4 = {.src = ip_addr_from4(ip->src), .dst = ip_addr_from4(ip->dst), .dscp_ecn = ip->tos},
        .l4_at = HEADER_END,
        .l4_len = total_len - (uint32_t)sizeof *ip,
        .proto = ip->proto,
        .hop_limit = ip->ttl,
    };
    memcpy(p.l4.src_mac, eth->src, 6);
    if (unlikely(ip->fragment & wire16(FRAGMENT_MORE | FRAGMENT_OFFSET)))
        fragment_input(n, m, &p);
    else if (likely(ip->proto == IPPROTO_TCP))
        ip_deliver_tcp(n, m, &p);
    else
        other_protocol(n, m, &p);
}
