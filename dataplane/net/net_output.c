#include "net_output.h"
#include <rte_mbuf.h>
#include "check.h"
#include "neigh.h"
#include "net_buf.h"
#include "net_checksum.h"
#include "net_wire.h"

/* How often in a row a port that takes nothing is asked again. */
#define FLUSH_TRIES 4
#define TCP_CHECKSUM_AT 16
#define TCP_FLAGS_AT 13
#define TCP_SYN_OR_RST 6

static void drop_from(struct netif *n, uint16_t first)
{
    for (uint16_t i = first; i < n->tx_count; i++) {
        n->stats->tx_port_drops++;
        n->stats->tx_bytes -= n->tx[i]->pkt_len;
        rte_pktmbuf_free(n->tx[i]);
    }
    n->tx_count = first;
}

/* How many frames the port took. */
static uint16_t burst(struct netif *n)
{
    uint16_t sent = 0;
    for (unsigned tries = 0; sent < n->tx_count && tries < FLUSH_TRIES; tries++) {
        uint16_t rest = (uint16_t)(n->tx_count - sent);
        uint16_t taken =
            n->queue->tx(n->queue, n->tx + sent, rest < NET_TX_BURST ? rest : NET_TX_BURST);
        sent = (uint16_t)(sent + taken);
        if (taken > 0)
            tries = 0;
    }
    return sent;
}

void netif_flush(struct netif *n)
{
    uint16_t sent = burst(n);
    n->stats->tx_frames += sent;
    if (likely(sent == n->tx_count)) {
        n->tx_count = 0;
        return;
    }
    if (sent > 0) {
        n->tx_progress_us = n->now_us;
        n->tx_count = (uint16_t)(n->tx_count - sent);
        memmove(n->tx, n->tx + sent, n->tx_count * sizeof n->tx[0]);
    } else if (n->now_us - n->tx_progress_us >= NET_TX_STALL_US) {
        drop_from(n, 0);
    }
}

void net_send(struct netif *n, struct rte_mbuf *m)
{
    if (n->tx_count == 0)
        n->tx_progress_us = n->now_us;
    n->stats->tx_bytes += m->pkt_len;
    n->tx[n->tx_count++] = m;
    if (unlikely(n->tx_count % NET_TX_BURST == 0)) {
        netif_flush(n);
        if (unlikely(n->tx_count == NET_TX_QUEUE_MAX))
            drop_from(n, NET_TX_QUEUE_MAX - 1);
    }
}

static inline void mac_copy(uint8_t *to, const uint8_t *from)
{
    memcpy(to, from, 6);
}

uint8_t *eth_header_put(const struct netif *n, uint8_t *frame, const uint8_t dst[6], uint16_t type)
{
    struct wire_eth *eth = (struct wire_eth *)frame;
    mac_copy(eth->dst, dst);
    mac_copy(eth->src, n->config.mac);
    eth->type = wire16(type);
    return frame + WIRE_ETH_LEN;
}

uint8_t *ip4_header_put(const struct netif *n, uint8_t *ip, uint32_t dst, uint32_t l4_len)
{
    struct wire_ip4 *header = (struct wire_ip4 *)ip;
    *header = (struct wire_ip4){
        .version_ihl = 0x45,
        .total_len = wire16((uint16_t)(sizeof *header + l4_len)),
        .fragment = wire16(0x4000),
        .ttl = 64,
        .proto = 1,
        .src = n->config.ip4.w[3],
        .dst = dst,
    };
    header->checksum = (uint16_t)~net_sum_fold(net_sum(header, sizeof *header));
    return ip + sizeof *header;
}

uint8_t *ip6_header_put(uint8_t *ip, const struct ip6_send *s)
{
    struct wire_ip6 *header = (struct wire_ip6 *)ip;
    *header = (struct wire_ip6){
        .version_class_flow = wire32(6u << 28),
        .payload_len = wire16((uint16_t)s->l4_len),
        .proto = s->proto,
        .hop_limit = s->hop_limit,
    };
    memcpy(header->src, s->src->b, 16);
    memcpy(header->dst, s->dst->b, 16);
    return ip + sizeof *header;
}

void icmp6_checksum_put(uint8_t *icmp, uint32_t len, const struct ip_addr *src,
                        const struct ip_addr *dst)
{
    struct wire_icmp *header = (struct wire_icmp *)icmp;
    header->checksum = 0;
    header->checksum =
        (uint16_t)~net_sum_fold(net_sum_pseudo(src, dst, 58, len) + net_sum(icmp, len));
}

bool netif_reachable(struct netif *n, const struct ip_addr *dst)
{
    struct ip_addr hop;
    if (!route_next_hop(n, dst, &hop))
        return false;
    struct neighbour *e = neigh_use(n, &hop);
    return e != NULL && neigh_has_mac(e);
}

enum path_answer { PATH_SEND, PATH_WAIT, PATH_DROP };

/* Until the neighbour table knows better, frames go where the peer's came from. A SYN-ACK or RST
 * goes to strangers and asks nobody; what follows belongs to a connection and asks. */
static enum path_answer path_of_peer(struct netif *n, struct net_path *path,
                                     const struct ip_addr *hop, bool may_ask)
{
    struct neighbour *e = may_ask ? neigh_use(n, hop) : neigh_find(n->neighbours, hop);
    if (e != NULL && neigh_has_mac(e)) {
        mac_copy(path->next_hop_mac, e->mac);
        path->mac_from_peer = false;
    }
    path->resolved = may_ask;
    path->generation = n->neighbours->generation;
    return PATH_SEND;
}

static __attribute__((noinline)) enum path_answer
path_refresh(struct netif *n, struct net_path *path, const struct ip_addr *dst, uint8_t tcp_flags,
             struct neighbour **wait_for)
{
    struct ip_addr hop;
    if (!route_next_hop(n, dst, &hop)) {
        if (path->mac_from_peer && !netif_is_local(n, dst))
            return PATH_SEND;
        n->stats->tx_no_route++;
        return PATH_DROP;
    }
    if (path->mac_from_peer)
        return path_of_peer(n, path, &hop, (tcp_flags & TCP_SYN_OR_RST) == 0);
    struct neighbour *e = neigh_use(n, &hop);
    if (e == NULL)
        return PATH_DROP;
    path->resolved = neigh_has_mac(e);
    path->generation = n->neighbours->generation;
    *wait_for = e;
    if (path->resolved)
        mac_copy(path->next_hop_mac, e->mac);
    return path->resolved ? PATH_SEND : PATH_WAIT;
}

/* TSO wants the pseudo header's sum without the length (each cut has its own). */
static inline uint64_t offload_flags(const struct rte_mbuf *m, uint64_t family)
{
    uint64_t flags = family | RTE_MBUF_F_TX_TCP_CKSUM;
    return m->tso_segsz != 0 ? flags | RTE_MBUF_F_TX_TCP_SEG : flags;
}

static inline void put_ip4(struct rte_mbuf *m, uint8_t *ip, const struct ip_addr *src,
                           const struct ip_addr *dst, uint32_t l4_len)
{
    struct wire_ip4 *header = (struct wire_ip4 *)ip;
    *header = (struct wire_ip4){
        .version_ihl = 0x45,
        .total_len = wire16((uint16_t)(sizeof *header + l4_len)),
        /* Never fragmented, so the identification means nothing (RFC 6864, 4.1). */
        .fragment = wire16(0x4000),
        .ttl = 64,
        .proto = 6,
        .src = src->w[3],
        .dst = dst->w[3],
    };
    m->l3_len = sizeof *header;
    m->ol_flags |= offload_flags(m, RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM);
}

static inline void put_ip6(struct rte_mbuf *m, uint8_t *ip, const struct ip_addr *src,
                           const struct ip_addr *dst, uint32_t l4_len)
{
    struct ip6_send s = {.src = src, .dst = dst, .proto = 6, .hop_limit = 64, .l4_len = l4_len};
    ip6_header_put(ip, &s);
    m->l3_len = sizeof(struct wire_ip6);
    m->ol_flags |= offload_flags(m, RTE_MBUF_F_TX_IPV6);
}

void netif_output_tcp(struct netif *n, struct net_path *path, const struct ip_addr *src,
                      const struct ip_addr *dst, struct rte_mbuf *m)
{
    uint32_t l4_len = m->pkt_len;
    uint8_t *tcp = rte_pktmbuf_mtod(m, uint8_t *);
    enum path_answer answer = PATH_SEND;
    struct neighbour *wait_for = NULL;
    if (unlikely(!path->resolved || path->generation != n->neighbours->generation)) {
        answer = path_refresh(n, path, dst, tcp[TCP_FLAGS_AT], &wait_for);
        if (answer == PATH_DROP) {
            net_buf_drop(m);
            return;
        }
    }
    bool is4 = ip_addr_is4(dst);
    uint32_t ip_len = is4 ? sizeof(struct wire_ip4) : sizeof(struct wire_ip6);
    uint8_t *frame = (uint8_t *)rte_pktmbuf_prepend(m, (uint16_t)(WIRE_ETH_LEN + ip_len));
    CHECK(frame != NULL);
    uint8_t *ip = eth_header_put(n, frame, path->next_hop_mac, is4 ? WIRE_TYPE_IP4 : WIRE_TYPE_IP6);
    m->l2_len = WIRE_ETH_LEN;
    if (is4)
        put_ip4(m, ip, src, dst, l4_len);
    else
        put_ip6(m, ip, src, dst, l4_len);
    uint16_t checksum = net_sum_fold(net_sum_pseudo(src, dst, 6, m->tso_segsz != 0 ? 0 : l4_len));
    memcpy(tcp + TCP_CHECKSUM_AT, &checksum, 2);
    if (unlikely(answer == PATH_WAIT))
        neigh_queue(n, wait_for, m);
    else
        net_send(n, m);
}
