#include <rte_mbuf.h>
#include <rte_ring.h>
#include "steer.h"
#include "metrics.h"
#include "port.h"

static void steer_post(struct lcore *to, struct rte_mbuf *frame)
{
    if (rte_ring_mp_enqueue(to->steered, frame) != 0) {
        metric_inc(rx_steer_drops);
        rte_pktmbuf_free(frame);
        return;
    }
    metric_inc(rx_steered);
    mailbox_wake(&to->worker.mailbox);
}

uint16_t steer_frames(struct lcore *l, struct rte_mbuf **frames, uint16_t count)
{
    const struct flow_steering *f = l->config.steering;
    if (f->lcore_count == 1)
        return count;
    bool port_hash = (l->config.queue->info->caps & PORT_RX_HASH) != 0;
    uint16_t kept = 0;
    for (uint16_t i = 0; i < count; i++) {
        uint16_t owner = flow_owner_of_frame(f, frames[i], port_hash);
        if (owner == l->config.id)
            frames[kept++] = frames[i];
        else
            steer_post(l->peers[owner], frames[i]);
    }
    return kept;
}

uint16_t steer_receive(struct lcore *l, struct rte_mbuf **frames, uint16_t max)
{
    if (rte_ring_empty(l->steered))
        return 0;
    return (uint16_t)rte_ring_sc_dequeue_burst(l->steered, (void **)frames, max, NULL);
}

void steer_foreign(void *lcore, uint16_t owner, struct rte_mbuf *frame)
{
    struct lcore *l = lcore;
    steer_post(l->peers[owner], frame);
}
