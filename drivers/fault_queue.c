#include "fault_queue.h"
#include <stdlib.h>
#include <rte_mbuf.h>
#include "check.h"

void fault_queue_init(struct fault_queue *queue, uint32_t max)
{
    *queue = (struct fault_queue){.max = max};
    queue->heap = calloc(max, sizeof(*queue->heap));
    CHECK(queue->heap != NULL);
}

static bool before(const struct fault_frame *a, const struct fault_frame *b)
{
    return a->release_us < b->release_us || (a->release_us == b->release_us && a->order < b->order);
}

bool fault_queue_push(struct fault_queue *queue, struct rte_mbuf *frame, uint64_t release_us)
{
    if (queue->count == queue->max)
        return false;
    struct fault_frame item = {release_us, queue->next_order++, frame};
    uint32_t at = queue->count++;
    for (; at > 0 && before(&item, &queue->heap[(at - 1) / 2]); at = (at - 1) / 2)
        queue->heap[at] = queue->heap[(at - 1) / 2];
    queue->heap[at] = item;
    return true;
}

const struct fault_frame *fault_queue_first(const struct fault_queue *queue)
{
    CHECK(queue->count > 0);
    return &queue->heap[0];
}

struct rte_mbuf *fault_queue_pop(struct fault_queue *queue)
{
    CHECK(queue->count > 0);
    struct rte_mbuf *frame = queue->heap[0].frame;
    struct fault_frame last = queue->heap[--queue->count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= queue->count)
            break;
        if (child + 1 < queue->count && before(&queue->heap[child + 1], &queue->heap[child]))
            child++;
        if (!before(&queue->heap[child], &last))
            break;
        queue->heap[at] = queue->heap[child];
        at = child;
    }
    queue->heap[at] = last;
    return frame;
}

void fault_queue_fini(struct fault_queue *queue)
{
    while (queue->count > 0)
        rte_pktmbuf_free(fault_queue_pop(queue));
    free(queue->heap);
}
