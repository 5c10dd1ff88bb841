/* One port queue's part of a packet capture: the lcore copies frames into buffers of the capture's
 * own, as blocks of a pcapng file, and hands them on through a ring; the capture's thread takes
 * them out.
 *
 * The ring has room for every buffer, so that one bound remains: when all buffers wait, a frame is
 * not captured and is counted. Neither side ever waits for the other: each end of ring and pool
 * belongs to one thread. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "capture_hook.h"
#include "check.h"

struct rte_mempool;
struct rte_ring;

struct capture_queue {
    uint32_t snaplen;
    uint16_t port_id;
    uint16_t id;
    uint64_t epoch_cycles; /* all that rte_pcapng is told of the time: see capture_queue.c */
    struct rte_mempool *pool;
    struct rte_ring *ring;
    /* w: lcore, r: any, relaxed */
    _Alignas(CACHE_LINE) uint64_t dropped;
    uint64_t truncated;
    uint16_t offered; /* w: lcore: frames copied already that the driver had no room for */
};

/* The fixed part of an Enhanced Packet Block (pcapng, section 4.3), as it stands at the start of a
 * copy's data. Until it is written the stamp holds TSC cycles. */
struct capture_block {
    uint32_t type;
    uint32_t length;
    uint32_t interface;
    uint32_t stamp_high;
    uint32_t stamp_low;
    uint32_t captured_bytes;
    uint32_t frame_bytes;
};
_Static_assert(sizeof(struct capture_block) == 28, "as it stands in the file");

static inline uint64_t capture_block_stamp(const struct capture_block *block)
{
    return (uint64_t)block->stamp_high << 32 | block->stamp_low;
}

static inline void capture_block_stamp_set(struct capture_block *block, uint64_t stamp)
{
    block->stamp_high = (uint32_t)(stamp >> 32);
    block->stamp_low = (uint32_t)stamp;
}

/* Buffers and ring for frames copies of snaplen bytes; port_id, id and snaplen are set already.
 * False: no memory. */
bool capture_queue_init(struct capture_queue *queue, uint32_t frames);
/* All queues of a capture, once, before the first is attached. */
void capture_queues_prime(struct capture_queue *queues, int queue_count);
/* The oldest copies, at most n: how many. The caller frees them. */
unsigned capture_queue_take(struct capture_queue *queue, struct rte_mbuf **copies, unsigned n);
/* After detaching; frees what still waits. */
void capture_queue_fini(struct capture_queue *queue);
