#include "tx_stage.h"
#include <rte_mbuf.h>

static uint16_t waiting_send(struct tx_stage *stage)
{
    struct rte_mbuf **frames = stage->waiting + stage->first;
    capture_tx(&stage->capture, frames, stage->count);
    uint16_t sent = stage->send(stage->arg, frames, stage->count);
    if (capture_on(&stage->capture))
        capture_tx_taken(&stage->capture, sent);
    return sent;
}

bool tx_stage_retry(struct tx_stage *stage)
{
    if (stage->count == 0)
        return true;
    uint16_t sent = waiting_send(stage);
    stage->first = (uint16_t)(stage->first + sent);
    stage->count = (uint16_t)(stage->count - sent);
    return stage->count == 0;
}

uint16_t tx_stage_take(struct tx_stage *stage, struct rte_mbuf **pkts, uint16_t n)
{
    uint16_t taken = 0;
    if (!tx_stage_retry(stage))
        return 0;
    while (taken < n && stage->count == 0) {
        uint16_t count = 0;
        while (taken < n && count < TX_STAGE_BURST) {
            struct rte_mbuf **out = stage->waiting + count;
            count = (uint16_t)(count + offload_frame(&stage->offload, pkts[taken++], out));
        }
        stage->first = 0;
        stage->count = count;
        tx_stage_retry(stage);
    }
    return taken;
}

void tx_stage_drop(struct tx_stage *stage)
{
    rte_pktmbuf_free_bulk(stage->waiting + stage->first, stage->count);
    stage->count = 0;
}
