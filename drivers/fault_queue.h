/* Frames that wait for their time: a bounded heap ordered by release time, then by arrival. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct rte_mbuf;

struct fault_frame {
    uint64_t release_us;
    uint64_t order;
    struct rte_mbuf *frame;
};

struct fault_queue {
    uint32_t count;
    uint32_t max;
    uint64_t next_order;
    struct fault_frame *heap;
};

void fault_queue_init(struct fault_queue *queue, uint32_t max);
/* False: full. */
bool fault_queue_push(struct fault_queue *queue, struct rte_mbuf *frame, uint64_t release_us);
/* The first to leave; the queue must not be empty. */
const struct fault_frame *fault_queue_first(const struct fault_queue *queue);
struct rte_mbuf *fault_queue_pop(struct fault_queue *queue);
/* Frees the frames too. */
void fault_queue_fini(struct fault_queue *queue);
