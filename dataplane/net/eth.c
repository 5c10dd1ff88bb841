/* Ethernet in: frames to our MAC, ARP broadcasts, IPv6 groups. */
#include <rte_mbuf.h>
#include <rte_prefetch.h>
#include <string.h>
#include "net_buf.h"
#include "net_input.h"
#include "net_wire.h"

#define PREFETCH_AHEAD 4

static inline bool mac_equal(const uint8_t *a, const uint8_t *b)
{
    uint32_t a4, b4;
    uint16_t a2, b2;
    memcpy(&a4, a, 4);
    memcpy(&b4, b, 4);
    memcpy(&a2, a + 4, 2);
    memcpy(&b2, b + 4, 2);
    return ((a4 ^ b4) | (uint32_t)(a2 ^ b2)) == 0;
}

/* Not to our MAC: only ARP and IPv6 have business with groups, so a TCP segment in a broadcast
 * never gets an answer (RFC 1122, 3.3.6). */
static bool group_wanted(const struct wire_eth *eth)
{
    static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    if (eth->type == wire16(WIRE_TYPE_ARP))
        return mac_equal(eth->dst, everybody);
    return eth->type == wire16(WIRE_TYPE_IP6) && eth->dst[0] == 0x33 && eth->dst[1] == 0x33;
}

static void drop_not_ours(struct netif *n, struct rte_mbuf *m)
{
    n->stats->rx_not_ours++;
    net_buf_drop(m);
}

static void other_ethertype(struct netif *n, struct rte_mbuf *m, uint16_t type)
{
    if (type == wire16(WIRE_TYPE_VLAN) || type == wire16(WIRE_TYPE_QINQ))
        n->stats->rx_vlan++;
    else
        n->stats->rx_unknown_ethertype++;
    net_buf_drop(m);
}

void eth_input(struct netif *n, struct rte_mbuf *m)
{
    if (unlikely(m->data_len < WIRE_ETH_LEN)) {
        if (m->pkt_len < WIRE_ETH_LEN) {
            n->stats->rx_runt++;
            net_buf_drop(m);
            return;
        }
        m = net_buf_pull(n, m, WIRE_ETH_LEN);
        if (m == NULL)
            return;
    }
    const struct wire_eth *eth = rte_pktmbuf_mtod(m, const struct wire_eth *);
    if (unlikely(m->ol_flags & (RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED))) {
        n->stats->rx_vlan++;
        net_buf_drop(m);
        return;
    }
    if (unlikely(!mac_equal(eth->dst, n->config.mac)) && !group_wanted(eth)) {
        drop_not_ours(n, m);
        return;
    }
    /* A group as source, or our own frame come back. */
    if (unlikely((eth->src[0] & 1) != 0 || mac_equal(eth->src, n->config.mac))) {
        drop_not_ours(n, m);
        return;
    }
    if (likely(eth->type == wire16(WIRE_TYPE_IP4)))
        ip4_input(n, m);
    else if (eth->type == wire16(WIRE_TYPE_IP6))
        ip6_input(n, m);
    else if (eth->type == wire16(WIRE_TYPE_ARP))
        arp_input(n, m);
    else
        other_ethertype(n, m, eth->type);
}

void netif_input(struct netif *n, struct rte_mbuf **pkts, uint16_t count)
{
    uint64_t bytes = 0;
    for (uint16_t i = 0; i < count && i < PREFETCH_AHEAD; i++)
        rte_prefetch0(rte_pktmbuf_mtod(pkts[i], void *));
    for (uint16_t i = 0; i < count; i++) {
        if (i + PREFETCH_AHEAD < count)
            rte_prefetch0(rte_pktmbuf_mtod(pkts[i + PREFETCH_AHEAD], void *));
        bytes += pkts[i]->pkt_len;
        eth_input(n, pkts[i]);
    }
    n->stats->rx_frames += count;
    n->stats->rx_bytes += bytes;
}
