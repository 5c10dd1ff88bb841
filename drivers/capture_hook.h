/* Where a packet capture looks at a port queue: what the driver gave, before the fault injector and
 * the stack see it, and what the driver is given, after the offloads that are done in software.
 * While no capture runs, a burst costs one load of a line that its lcore owns.
 *
 * Removal does not rely on RCU, since some bursts run offline. The lcore stores inside, then loads
 * queue again; the capture's thread stores NULL to queue, then loads inside; all four seq_cst. So
 * the lcore sees that the queue has gone, or the thread that the lcore is still inside. An lcore
 * is inside for the copying of one burst. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "check.h"

struct capture_queue;
struct rte_mbuf;

struct capture_hook {
    struct capture_queue *queue; /* atomic; NULL: off. w: the capture's thread, r: lcore */
    bool inside;                 /* atomic; w: lcore, r: the capture's thread */
};

/* The queue's lcore, only while a capture runs; capture_rx() and capture_tx() call them. */
void capture_rx_frames(struct capture_hook *hook, struct rte_mbuf **frames, uint16_t n);
void capture_tx_frames(struct capture_hook *hook, struct rte_mbuf **frames, uint16_t n);

static inline bool capture_on(const struct capture_hook *hook)
{
    return likely_false(__atomic_load_n(&hook->queue, __ATOMIC_RELAXED) != NULL);
}

static inline void capture_rx(struct capture_hook *hook, struct rte_mbuf **frames, uint16_t n)
{
    if (capture_on(hook))
        capture_rx_frames(hook, frames, n);
}

/* Before the driver is given n frames: copies those that it was not given before. */
static inline void capture_tx(struct capture_hook *hook, struct rte_mbuf **frames, uint16_t n)
{
    if (capture_on(hook))
        capture_tx_frames(hook, frames, n);
}

/* The driver took the first n of them; the others are offered again. */
void capture_tx_taken(struct capture_hook *hook, uint16_t n);

/* The capture's thread. attach: everything written before is visible to the lcore. After detach no
 * lcore is in the queue any more, once capture_left() was true. */
void capture_attach(struct capture_hook *hook, struct capture_queue *queue);
void capture_detach(struct capture_hook *hook);
bool capture_left(const struct capture_hook *hook);
