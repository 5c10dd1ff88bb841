#include "icmp_reply.h"
#include <string.h>
#include <rte_mbuf.h>
#include "net_buf.h"
#include "net_checksum.h"
#include "net_output.h"
#include "net_wire.h"

struct rte_mbuf *icmp_reply_begin(struct netif *n, struct rte_mbuf *m, const struct ip_packet *p)
{
    bool chains = n->queue->info->caps & PORT_TX_MULTI_SEG;
    if (m->nb_segs > 1 && !chains && m->pkt_len - WIRE_ETH_LEN <= n->config.mtu) {
        struct rte_mbuf *copy = rte_pktmbuf_copy(m, n->queue->pool, 0, UINT32_MAX);
        net_buf_drop(m);
        if (copy == NULL || copy->nb_segs > 1) {
            n->stats->mbuf_failures++;
            rte_pktmbuf_free(copy);
            return NULL;
        }
        return copy;
    }
    return net_buf_own(n, m, p->l4_at + WIRE_ICMP_LEN);
}

void icmp_reply_send(struct netif *n, struct rte_mbuf *m, uint32_t icmp_at, uint8_t type)
{
    uint8_t dst[6];
    uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
    const struct wire_eth *eth = (const void *)frame;
    memcpy(dst, eth->src, 6);
    eth_header_put(n, frame, dst, wire16(eth->type));
    struct wire_icmp *icmp = (void *)(frame + icmp_at);
    /* RFC 1624: HC' = ~(~HC + ~m + m'). */
    uint64_t sum = (uint16_t)~icmp->checksum;
    sum += (uint16_t) ~(uint16_t)icmp->type;
    sum += type;
    icmp->type = type;
    icmp->checksum = (uint16_t)~net_sum_fold(sum);
    m->ol_flags = 0;
    m->tx_offload = 0;
    if (m->pkt_len - WIRE_ETH_LEN > n->config.mtu)
        net_send_in_fragments(n, m, icmp_at);
    else
        net_send(n, m);
}

void icmp_error_deliver(struct netif *n, const struct rte_mbuf *m, uint32_t ports_at,
                        const struct ip_addr addr[2], struct icmp_error *e)
{
    const struct wire_tcp *tcp = rte_pktmbuf_mtod_offset(m, const struct wire_tcp *, ports_at);
    e->local_port = wire16(tcp->src);
    e->remote_port = wire16(tcp->dst);
    e->seq = wire32(tcp->seq);
    n->l4->tcp_icmp_error(n->l4_arg, &addr[1], &addr[0], e);
}
