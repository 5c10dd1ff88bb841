#define ALLOW_EXPERIMENTAL_API /* rte_pcapng, in all of 22.11 */
#include "capture_queue.h"
#include <stdio.h>
#include <stdlib.h>
#include <rte_cycles.h>
#include <rte_mbuf.h>
#include <rte_pcapng.h>
#include <rte_ring.h>

#define BURST 32
/* Behind the frame: padding, three options and the block's length again. */
#define TRAILER_BYTES 64
#define PRIME_FRAME_BYTES 60

/* ---- the lcore's side ---- */

/* NULL: the capture has ended meanwhile. */
static struct capture_queue *hook_enter(struct capture_hook *hook)
{
    __atomic_store_n(&hook->inside, true, __ATOMIC_SEQ_CST);
    struct capture_queue *queue = __atomic_load_n(&hook->queue, __ATOMIC_SEQ_CST);
    if (queue == NULL)
        __atomic_store_n(&hook->inside, false, __ATOMIC_RELEASE);
    return queue;
}

static void hook_leave(struct capture_hook *hook)
{
    __atomic_store_n(&hook->inside, false, __ATOMIC_RELEASE);
}

static void count(uint64_t *counter, uint64_t more)
{
    __atomic_store_n(counter, *counter + more, __ATOMIC_RELAXED);
}

static void burst_copy(struct capture_queue *queue, struct rte_mbuf **frames, unsigned n,
                       enum rte_pcapng_direction direction)
{
    struct rte_mbuf *copies[BURST];
    uint64_t now = rte_rdtsc();
    unsigned good = 0, cut = 0;
    for (unsigned i = 0; i < n; i++) {
        struct rte_mbuf *copy = rte_pcapng_copy(queue->port_id, queue->id, frames[i], queue->pool,
                                                queue->snaplen, queue->epoch_cycles, direction);
        if (copy == NULL)
            continue;
        struct capture_block *block = rte_pktmbuf_mtod(copy, struct capture_block *);
        capture_block_stamp_set(block, now);
        cut += block->captured_bytes < block->frame_bytes;
        copies[good++] = copy;
    }
    unsigned queued = rte_ring_sp_enqueue_burst(queue->ring, (void **)copies, good, NULL);
    CHECK(queued == good);
    count(&queue->truncated, cut);
    count(&queue->dropped, n - good);
}

static void frames_copy(struct capture_queue *queue, struct rte_mbuf **frames, unsigned n,
                        enum rte_pcapng_direction direction)
{
    for (unsigned done = 0; done < n; done += BURST)
        burst_copy(queue, frames + done, RTE_MIN(n - done, (unsigned)BURST), direction);
}

void capture_rx_frames(struct capture_hook *hook, struct rte_mbuf **frames, uint16_t n)
{
    struct capture_queue *queue = n > 0 ? hook_enter(hook) : NULL;
    if (queue == NULL)
        return;
    frames_copy(queue, frames, n, RTE_PCAPNG_DIRECTION_IN);
    hook_leave(hook);
}

void capture_tx_frames(struct capture_hook *hook, struct rte_mbuf **frames, uint16_t n)
{
    struct capture_queue *queue = hook_enter(hook);
    if (queue == NULL)
        return;
    uint16_t known = queue->offered < n ? queue->offered : n;
    frames_copy(queue, frames + known, (unsigned)(n - known), RTE_PCAPNG_DIRECTION_OUT);
    queue->offered = n;
    hook_leave(hook);
}

void capture_tx_taken(struct capture_hook *hook, uint16_t n)
{
    struct capture_queue *queue = hook_enter(hook);
    if (queue == NULL)
        return;
    /* Less than n: another capture began between the two calls. */
    queue->offered = queue->offered > n ? (uint16_t)(queue->offered - n) : 0;
    hook_leave(hook);
}

/* ---- the capture's thread ---- */

void capture_attach(struct capture_hook *hook, struct capture_queue *queue)
{
    __atomic_store_n(&hook->queue, queue, __ATOMIC_SEQ_CST);
}

void capture_detach(struct capture_hook *hook)
{
    __atomic_store_n(&hook->queue, NULL, __ATOMIC_SEQ_CST);
}

bool capture_left(const struct capture_hook *hook)
{
    return !__atomic_load_n(&hook->inside, __ATOMIC_SEQ_CST);
}

/* rte_pcapng (22.11) turns cycles into time with a base of its own that every call may move on: two
 * lcores together spoil it, and the first call of all, whose cycles are older than the base that it
 * sets, does so alone. So it is called once here with cycles half a second ahead, which moves the
 * base to less than a second before them, and ever after with the same cycles, for which nothing
 * has to move. The real stamps are our own. */
void capture_queues_prime(struct capture_queue *queues, int queue_count)
{
    struct rte_mempool *pool = queues[0].pool;
    uint64_t epoch = rte_rdtsc() + rte_get_tsc_hz() / 2;
    struct rte_mbuf *frame = rte_pktmbuf_alloc(pool);
    CHECK(frame != NULL && rte_pktmbuf_append(frame, PRIME_FRAME_BYTES) != NULL);
    struct rte_mbuf *copy = rte_pcapng_copy(queues[0].port_id, 0, frame, pool, PRIME_FRAME_BYTES,
                                            epoch, RTE_PCAPNG_DIRECTION_UNKNOWN);
    CHECK(copy != NULL);
    rte_pktmbuf_free(frame);
    rte_pktmbuf_free(copy);
    for (int i = 0; i < queue_count; i++)
        queues[i].epoch_cycles = epoch;
}

static struct rte_ring *ring_new(uint32_t frames)
{
    ssize_t size = rte_ring_get_memsize(rte_align32pow2(frames + 1));
    CHECK(size > 0);
    size_t rounded = ((size_t)size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    struct rte_ring *ring = aligned_alloc(CACHE_LINE, rounded);
    const unsigned flags = RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ;
    CHECK(ring != NULL && rte_ring_init(ring, "capture", frames, flags) == 0);
    return ring;
}

bool capture_queue_init(struct capture_queue *queue, uint32_t frames)
{
    static unsigned number;
    char name[RTE_MEMPOOL_NAMESIZE];
    uint32_t room =
        RTE_PKTMBUF_HEADROOM + RTE_ALIGN(queue->snaplen, sizeof(uint32_t)) + TRAILER_BYTES;
    snprintf(name, sizeof(name), "capture%u", __atomic_fetch_add(&number, 1, __ATOMIC_RELAXED));
    /* Only the lcore takes buffers out. */
    queue->pool = rte_pktmbuf_pool_create_by_ops(name, frames, 0, 0, (uint16_t)room, SOCKET_ID_ANY,
                                                 "ring_mp_sc");
    if (queue->pool == NULL)
        return false;
    queue->ring = ring_new(frames);
    return true;
}

unsigned capture_queue_take(struct capture_queue *queue, struct rte_mbuf **copies, unsigned n)
{
    return rte_ring_sc_dequeue_burst(queue->ring, (void **)copies, n, NULL);
}

void capture_queue_fini(struct capture_queue *queue)
{
    struct rte_mbuf *copies[BURST];
    unsigned taken;
    while (queue->ring != NULL && (taken = capture_queue_take(queue, copies, BURST)) > 0)
        rte_pktmbuf_free_bulk(copies, taken);
    rte_mempool_free(queue->pool);
    free(queue->ring);
}
