/* From IP to TCP: the four checksum states of a receiving port, and what has been reassembled. */
#include <rte_mbuf.h>
#include "flow.h"
#include "net_buf.h"
#include "net_checksum.h"
#include "net_input.h"
#include "net_wire.h"

/* GOOD: the port verified it. NONE: the field is not right, but the data are (a virtio peer on the
 * same machine left the field to be filled in). BAD: the port found it wrong. Else we look. */
static inline bool checksum_good(const struct rte_mbuf *m, const struct ip_packet *p)
{
    uint64_t state = m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
    if (likely(state == RTE_MBUF_F_RX_L4_CKSUM_GOOD || state == RTE_MBUF_F_RX_L4_CKSUM_NONE))
        return true;
    if (state == RTE_MBUF_F_RX_L4_CKSUM_BAD)
        return false;
    uint64_t sum = net_sum_pseudo(&p->l4.src, &p->l4.dst, 6, p->l4_len);
    return net_sum_fold(sum + net_sum_chain(m, p->l4_at, p->l4_len)) == 0xffff;
}

static uint32_t hash_of(const struct netif *n, const struct rte_mbuf *m, const struct ip_packet *p)
{
    const struct wire_ports *ports =
        rte_pktmbuf_mtod_offset(m, const struct wire_ports *, p->l4_at);
    struct flow_tuple t = {.remote = p->l4.src,
                           .local = p->l4.dst,
                           .remote_port = wire16(ports->src),
                           .local_port = wire16(ports->dst)};
    return flow_hash(n->config.steering, &t);
}

void ip_deliver_tcp(struct netif *n, struct rte_mbuf *m, struct ip_packet *p)
{
    if (unlikely(p->l4_len < sizeof(struct wire_tcp))) {
        n->stats->rx_l4_short++;
        net_buf_drop(m);
        return;
    }
    if (unlikely(!checksum_good(m, p))) {
        n->stats->rx_l4_checksum_bad++;
        net_buf_drop(m);
        return;
    }
    if (unlikely(m->nb_segs > 1)) {
        m = net_buf_pull(n, m, p->l4_at + NET_L4_CONTIGUOUS);
        if (m == NULL)
            return;
    }
    p->l4.flow_hash = likely(m->ol_flags & RTE_MBUF_F_RX_RSS_HASH) ? m->hash.rss : hash_of(n, m, p);
    p->l4.checksum_good = true;
    net_buf_skip(m, p->l4_at);
    n->l4->tcp_input(n->l4_arg, m, &p->l4);
}

void ip_reassembled(struct netif *n, struct rte_mbuf *m)
{
    /* What the port said was about one fragment. */
    m->ol_flags &= ~(uint64_t)(RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_IP_CKSUM_MASK);
    uint16_t owner = flow_owner_of_frame(n->config.steering, m, false);
    if (owner == n->config.lcore) {
        eth_input(n, m);
    } else if (n->foreign != NULL) {
        n->foreign(n->foreign_arg, owner, m);
    } else {
        n->stats->rx_foreign_drops++;
        net_buf_drop(m);
    }
}
