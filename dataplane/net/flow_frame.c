/* The owner of a received frame. Reads headers that nothing has validated yet. */
#include <netinet/in.h>
#include <string.h>
#include <rte_mbuf.h>
#include "check.h"
#include "flow.h"
#include "ip6_headers.h"
#include "net_wire.h"

static uint16_t owner_of_tuple(const struct flow_steering *f, struct rte_mbuf *m, bool rx_hash,
                               const struct flow_tuple *t)
{
    if (!rx_hash || !(m->ol_flags & RTE_MBUF_F_RX_RSS_HASH)) {
        m->hash.rss = flow_hash(f, t);
        m->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
    }
    return flow_owner_of_hash(f, m->hash.rss);
}

static uint16_t owner_of_addresses(const struct flow_steering *f, const struct flow_tuple *t)
{
    return flow_owner_of_hash(f, flow_hash_addresses(f, &t->remote, &t->local));
}

/* The quoted packet is one that we sent: its source is local. */
static uint16_t owner_of_quote4(const struct flow_steering *f, struct rte_mbuf *m, uint32_t at)
{
    uint8_t copy[60 + 4];
    const struct wire_ip4 *ip = rte_pktmbuf_read(m, at, sizeof *ip, copy);
    if (ip == NULL || ip->proto != IPPROTO_TCP || (ip->fragment & wire16(0x1fff)) != 0)
        return 0;
    struct flow_tuple t = {.remote = ip_addr_from4(ip->dst), .local = ip_addr_from4(ip->src)};
    const struct wire_ports *ports =
        rte_pktmbuf_read(m, at + wire_ip4_header_len(ip), sizeof *ports, copy);
    if (ports == NULL)
        return 0;
    t.remote_port = wire16(ports->dst);
    t.local_port = wire16(ports->src);
    return flow_owner_of_hash(f, flow_hash(f, &t));
}

static uint16_t owner_of_quote6(const struct flow_steering *f, struct rte_mbuf *m, uint32_t at)
{
    uint8_t copy[sizeof(struct wire_ip6) + 4];
    const uint8_t *quote = rte_pktmbuf_read(m, at, sizeof copy, copy);
    if (quote == NULL)
        return 0;
    const struct wire_ip6 *ip = (const void *)quote;
    const struct wire_ports *ports = (const void *)(quote + sizeof *ip);
    if (ip->proto != IPPROTO_TCP)
        return 0;
    struct flow_tuple t = {.remote_port = wire16(ports->dst), .local_port = wire16(ports->src)};
    memcpy(t.remote.b, ip->dst, 16);
    memcpy(t.local.b, ip->src, 16);
    return flow_owner_of_hash(f, flow_hash(f, &t));
}

static uint16_t owner_of_ip4(const struct flow_steering *f, struct rte_mbuf *m, bool rx_hash)
{
    uint8_t copy[sizeof(struct wire_ip4)];
    const struct wire_ip4 *ip = rte_pktmbuf_read(m, WIRE_ETH_LEN, sizeof *ip, copy);
    if (ip == NULL)
        return 0;
    struct flow_tuple t = {.remote = ip_addr_from4(ip->src), .local = ip_addr_from4(ip->dst)};
    uint32_t l4_at = WIRE_ETH_LEN + wire_ip4_header_len(ip);
    if (unlikely(ip->fragment & wire16(0x3fff)))
        return owner_of_addresses(f, &t);
    if (likely(ip->proto == IPPROTO_TCP)) {
        uint8_t ports_copy[4];
        const struct wire_ports *ports = rte_pktmbuf_read(m, l4_at, sizeof *ports, ports_copy);
        if (ports == NULL)
            return 0;
        t.remote_port = wire16(ports->src);
        t.local_port = wire16(ports->dst);
        return owner_of_tuple(f, m, rx_hash, &t);
    }
    if (ip->proto == IPPROTO_ICMP) {
        uint8_t type_copy[1];
        const uint8_t *type = rte_pktmbuf_read(m, l4_at, 1, type_copy);
        if (type != NULL && wire_icmp4_is_error(*type))
            return owner_of_quote4(f, m, l4_at + WIRE_ICMP_LEN);
    }
    return 0;
}

static uint16_t owner_of_ip6(const struct flow_steering *f, struct rte_mbuf *m, bool rx_hash)
{
    uint8_t copy[sizeof(struct wire_ip6)];
    struct ip6_headers h;
    struct flow_tuple t;
    const struct wire_ip6 *ip = rte_pktmbuf_read(m, WIRE_ETH_LEN, sizeof *ip, copy);
    if (ip == NULL)
        return 0;
    memcpy(t.remote.b, ip->src, 16);
    memcpy(t.local.b, ip->dst, 16);
    switch (ip6_headers_walk(m, WIRE_ETH_LEN + (uint32_t)sizeof *ip, ip->proto, &h)) {
    case IP6_WALK_FRAGMENT:
        return owner_of_addresses(f, &t);
    case IP6_WALK_UPPER:
        break;
    default:
        return 0;
    }
    if (h.proto == IPPROTO_TCP) {
        uint8_t ports_copy[4];
        const struct wire_ports *ports = rte_pktmbuf_read(m, h.at, sizeof *ports, ports_copy);
        if (ports == NULL)
            return 0;
        t.remote_port = wire16(ports->src);
        t.local_port = wire16(ports->dst);
        return owner_of_tuple(f, m, rx_hash, &t);
    }
    if (h.proto == IPPROTO_ICMPV6) {
        uint8_t type_copy[1];
        const uint8_t *type = rte_pktmbuf_read(m, h.at, 1, type_copy);
        if (type != NULL && wire_icmp6_is_error(*type))
            return owner_of_quote6(f, m, h.at + WIRE_ICMP_LEN);
    }
    return 0;
}

uint16_t flow_owner_of_frame(const struct flow_steering *f, struct rte_mbuf *m, bool rx_hash)
{
    if (!rx_hash)
        m->ol_flags &= ~(uint64_t)RTE_MBUF_F_RX_RSS_HASH;
    uint8_t copy[WIRE_ETH_LEN];
    const struct wire_eth *eth = rte_pktmbuf_read(m, 0, sizeof *eth, copy);
    if (eth == NULL)
        return 0;
    if (likely(eth->type == wire16(WIRE_TYPE_IP4)))
        return owner_of_ip4(f, m, rx_hash);
    if (eth->type == wire16(WIRE_TYPE_IP6))
        return owner_of_ip6(f, m, rx_hash);
    return 0;
}
