/* IPv6 in (RFC 8200). */
#include <netinet/in.h>
#include <rte_mbuf.h>
#include <string.h>
#include "ip6_headers.h"
#include "net_buf.h"
#include "net_input.h"
#include "net_output.h"
#include "net_wire.h"
#include "reassembly.h"

#define HEADER_END (WIRE_ETH_LEN + (uint32_t)sizeof(struct wire_ip6))

/* Groups, the loopback address, and IPv4 in disguise, which would pass for an IPv4 peer. */
static bool source_bad(const struct ip_addr *a)
{
    static const struct ip_addr loopback = {.b = {[15] = 1}};
    return a->b[0] == 0xff || ip_addr_equal(a, &loopback) || ip_addr_is4(a);
}

static bool is_our_group(const struct netif *n, const struct ip_addr *a)
{
    static const struct ip_addr all_nodes = {.b = {0xff, 2, [15] = 1}};
    struct ip_addr of_link = ip6_solicited_node(&n->link_local);
    struct ip_addr of_ip6 = ip6_solicited_node(&n->config.ip6);
    return ip_addr_equal(a, &all_nodes) || ip_addr_equal(a, &of_link) ||
           (ip_addr_equal(a, &of_ip6) && !ip_addr_is_zero(&n->config.ip6));
}

/* Fills in addresses; the cause to count for, NULL when the header may go on. */
static uint64_t *header_fault(struct netif *n, const struct rte_mbuf *m, const struct wire_ip6 *ip,
                              struct ip_packet *p)
{
    memcpy(p->l4.src.b, ip->src, 16);
    memcpy(p->l4.dst.b, ip->dst, 16);
    if ((ip->version_class_flow & wire32(0xfu << 28)) != wire32(6u << 28) ||
        wire16(ip->payload_len) > m->pkt_len - HEADER_END)
        return &n->stats->rx_ip_header_bad;
    if (ip_addr_is4(&p->l4.dst))
        return &n->stats->rx_not_ours;
    if (!netif_is_local(n, &p->l4.dst)) {
        p->group = true;
        if (!is_our_group(n, &p->l4.dst))
            return &n->stats->rx_not_ours;
    }
    if (netif_is_local(n, &p->l4.src))
        return &n->stats->rx_land;
    return source_bad(&p->l4.src) ? &n->stats->rx_ip_source_bad : NULL;
}

/* Moves Ethernet and IPv6 header over the extension headers, so that the payload follows them. */
static struct rte_mbuf *strip_extensions(struct netif *n, struct rte_mbuf *m, uint32_t payload_at,
                                         uint8_t proto)
{
    m = net_buf_own(n, m, payload_at);
    if (m == NULL)
        return NULL;
    uint32_t extra = payload_at - HEADER_END;
    uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
    memmove(frame + extra, frame, HEADER_END);
    net_buf_skip(m, extra);
    struct wire_ip6 *ip = rte_pktmbuf_mtod_offset(m, struct wire_ip6 *, WIRE_ETH_LEN);
    ip->proto = proto;
    return m;
}

static void fragment_input(struct netif *n, struct rte_mbuf *m, const struct ip_packet *p,
                           const struct ip6_headers *h)
{
    struct fragment f = {
        .src = p->l4.src,
        .dst = p->l4.dst,
        .id = h->fragment_id,
        .proto = h->proto,
        .offset = h->fragment_offset,
        .more = h->fragment_more,
        .payload_at = HEADER_END,
        .payload_len = p->l4_len,
    };
    n->stats->rx_fragments++;
    m = strip_extensions(n, m, p->l4_at, h->proto);
    if (m != NULL)
        m = reassembly_add(n, m, &f);
    if (m == NULL)
        return;
    struct wire_ip6 *ip = rte_pktmbuf_mtod_offset(m, struct wire_ip6 *, WIRE_ETH_LEN);
    ip->payload_len = wire16((uint16_t)(m->pkt_len - HEADER_END));
    ip_reassembled(n, m);
}

static void upper_input(struct netif *n, struct rte_mbuf *m, struct ip_packet *p)
{
    if (p->proto == IPPROTO_ICMPV6) {
        icmp6_input(n, m, p);
    } else if (p->group || ip_addr_is_zero(&p->l4.src)) {
        n->stats->rx_not_ours++;
        net_buf_drop(m);
    } else if (likely(p->proto == IPPROTO_TCP)) {
        ip_deliver_tcp(n, m, p);
    } else {
        n->stats->rx_unknown_protocol++;
        icmp6_protocol_unreachable(n, m, p);
        net_buf_drop(m);
    }
}

static void packet_input(struct netif *n, struct rte_mbuf *m, struct ip_packet *p)
{
    struct ip6_headers h = {.proto = p->proto, .at = HEADER_END};
    enum ip6_walk walked = IP6_WALK_UPPER;
    if (unlikely(p->proto != IPPROTO_TCP && p->proto != IPPROTO_ICMPV6))
        walked = ip6_headers_walk(m, HEADER_END, p->proto, &h);
    p->proto = h.proto;
    p->l4_at = h.at;
    p->l4_len = m->pkt_len - h.at;
    switch (walked) {
    case IP6_WALK_UPPER:
        upper_input(n, m, p);
        return;
    case IP6_WALK_FRAGMENT:
        /* A datagram that begins with yet another extension header has no honest sender. */
        if (!ip6_is_extension(h.proto)) {
            fragment_input(n, m, p, &h);
            return;
        }
        n->stats->rx_ip_header_bad++;
        break;
    case IP6_WALK_OPTIONS:
        n->stats->rx_ip_options++;
        break;
    case IP6_WALK_BAD:
        n->stats->rx_ip_header_bad++;
        break;
    }
    net_buf_drop(m);
}

void ip6_input(struct netif *n, struct rte_mbuf *m)
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
    const struct wire_ip6 *ip = (const void *)(eth + 1);
    struct ip_packet p = {
        .l4 = {.dscp_ecn = (uint8_t)(wire32(ip->version_class_flow) >> 20)},
        .proto = ip->proto,
        .hop_limit = ip->hop_limit,
    };
    uint64_t *fault = header_fault(n, m, ip, &p);
    /* A group's frame and a group's packet belong together. */
    if (unlikely(fault == NULL && p.group != (eth->dst[0] & 1)))
        fault = &n->stats->rx_not_ours;
    if (unlikely(fault != NULL)) {
        ++*fault;
        net_buf_drop(m);
        return;
    }
    memcpy(p.l4.src_mac, eth->src, 6);
    uint32_t end = HEADER_END + wire16(ip->payload_len);
    if (m->pkt_len > end)
        net_buf_trim(m, end);
    packet_input(n, m, &p);
}
