/* From the stack's frames to a port's: offloads in software, then the send function, and what it
 * had no room for is kept and goes first next time. One per port queue, its lcore's alone. */
#pragma once
#include "capture_hook.h"
#include "offload.h"

#define TX_STAGE_BURST 64
#define TX_STAGE_MAX (TX_STAGE_BURST + OFFLOAD_FRAMES_MAX)

struct tx_stage {
    struct offload offload;
    /* Sends frames in order, owns those that it counts. */
    uint16_t (*send)(void *arg, struct rte_mbuf **frames, uint16_t n);
    void *arg;
    struct capture_hook capture; /* the queue's, for both directions */
    /* Ready frames not yet sent; the stack's frames that they came from count as taken. */
    uint16_t first;
    uint16_t count;
    struct rte_mbuf *waiting[TX_STAGE_MAX];
};

/* How many of pkts were taken: 0 while earlier frames still wait. */
uint16_t tx_stage_take(struct tx_stage *stage, struct rte_mbuf **pkts, uint16_t n);
/* Sends what waits; true: nothing waits any more. */
bool tx_stage_retry(struct tx_stage *stage);
/* Frees what waits. */
void tx_stage_drop(struct tx_stage *stage);
