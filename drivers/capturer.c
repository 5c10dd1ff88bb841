#include "capturer.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <rte_cycles.h>
#include <rte_mbuf.h>
#include "capture_file.h"
#include "capture_queue.h"
#include "clock.h"

#define ROUND_US 1000
#define LEAVING_US 50
#define FRAME_OVERHEAD_BYTES 22 /* Ethernet header and two VLAN tags */
#define TAKEN_MAX 32

/* A queue as the thread sees it: copies taken out of it, in order, not yet written. */
struct source {
    struct rte_mbuf *taken[TAKEN_MAX];
    unsigned next, count;
};

struct capturer {
    struct capturer_options options;
    pthread_t thread;
    bool joinable;
    bool stop; /* atomic; w: control, r: thread */
    /* Of the last capture. w: thread; r: control. state is stored with release after what it
     * announces: path with RUNNING, end and error with ENDED or FAILED. Counters are relaxed: the
     * queues that they are added up from go with the capture. */
    struct capture_status now;
    uint64_t start_us;
    /* The thread's. */
    struct capture_file file;
    struct capture_queue *queues;
    struct source *sources;
    enum capture_end end;
};

/* ---- the thread: taking out, in the order of the stamps ---- */

static uint64_t stamp_of(const struct rte_mbuf *copy)
{
    return capture_block_stamp(rte_pktmbuf_mtod(copy, const struct capture_block *));
}

static struct rte_mbuf *source_first(struct capturer *c, int index)
{
    struct source *s = &c->sources[index];
    if (s->next == s->count) {
        s->next = 0;
        s->count = capture_queue_take(&c->queues[index], s->taken, TAKEN_MAX);
    }
    return s->count > 0 ? s->taken[s->next] : NULL;
}

/* The oldest copy of all queues that is not younger than until; NULL: none. Whatever an lcore
 * stamped before until is in its ring already, unless it was descheduled in between. */
static struct rte_mbuf *oldest_take(struct capturer *c, uint64_t until)
{
    struct rte_mbuf *oldest = NULL;
    int from = 0;
    for (int i = 0; i < c->options.hook_count; i++) {
        struct rte_mbuf *first = source_first(c, i);
        if (first != NULL && stamp_of(first) <= until &&
            (oldest == NULL || stamp_of(first) < stamp_of(oldest))) {
            oldest = first;
            from = i;
        }
    }
    if (oldest != NULL)
        c->sources[from].next++;
    return oldest;
}

/* ---- the thread: writing ---- */

static void counter_set(uint64_t *counter, uint64_t value)
{
    __atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

static void counters_publish(struct capturer *c)
{
    uint64_t dropped = 0, truncated = 0;
    for (int i = 0; i < c->options.hook_count; i++) {
        dropped += __atomic_load_n(&c->queues[i].dropped, __ATOMIC_RELAXED);
        truncated += __atomic_load_n(&c->queues[i].truncated, __ATOMIC_RELAXED);
    }
    counter_set(&c->now.packets, c->file.packets);
    counter_set(&c->now.bytes, c->file.bytes);
    counter_set(&c->now.dropped, dropped);
    counter_set(&c->now.truncated, truncated);
    counter_set(&c->now.duration_us, clock_now_us() - c->start_us);
}

/* Fills a batch up to the bounds; the end is set when one is reached. */
static unsigned batch_take(struct capturer *c, struct rte_mbuf **batch, uint64_t until)
{
    uint64_t left = c->now.spec.packets_max - c->file.packets;
    uint64_t bytes = c->file.bytes + CAPTURE_FILE_END_BYTES;
    unsigned n = 0;
    while (n < CAPTURE_FILE_BATCH && n < left) {
        struct rte_mbuf *copy = oldest_take(c, until);
        if (copy == NULL)
            return n;
        bytes += rte_pktmbuf_pkt_len(copy);
        if (bytes > c->now.spec.bytes_max) {
            rte_pktmbuf_free(copy);
            c->end = CAPTURE_END_BYTES;
            return n;
        }
        batch[n++] = copy;
    }
    if (n == left)
        c->end = CAPTURE_END_PACKETS;
    return n;
}

static void write_until(struct capturer *c, uint64_t until)
{
    struct rte_mbuf *batch[CAPTURE_FILE_BATCH];
    unsigned n;
    do {
        n = batch_take(c, batch, until);
        if (!capture_file_write(&c->file, batch, n, c->now.error))
            c->end = CAPTURE_END_WRITE;
    } while (n > 0 && c->end == CAPTURE_END_NONE);
    counters_publish(c);
}

static void run(struct capturer *c)
{
    uint64_t end_us = c->start_us + c->now.spec.seconds_max * 1000000ull;
    while (c->end == CAPTURE_END_NONE) {
        uint64_t until = rte_rdtsc();
        capture_file_clock(&c->file);
        write_until(c, until);
        if (c->end != CAPTURE_END_NONE)
            return;
        if (__atomic_load_n(&c->stop, __ATOMIC_RELAXED))
            c->end = CAPTURE_END_STOPPED;
        else if (clock_now_us() >= end_us)
            c->end = CAPTURE_END_SECONDS;
        else
            usleep(ROUND_US);
    }
}

/* ---- the thread: from start to end ---- */

static void state_set(struct capturer *c, enum capture_state state)
{
    __atomic_store_n(&c->now.state, state, __ATOMIC_RELEASE);
}

static void queues_free(struct capturer *c)
{
    for (int i = 0; i < c->options.hook_count; i++) {
        struct source *s = &c->sources[i];
        rte_pktmbuf_free_bulk(s->taken + s->next, s->count - s->next);
        capture_queue_fini(&c->queues[i]);
    }
    free(c->sources);
    free(c->queues);
    c->sources = NULL;
    c->queues = NULL;
}

static bool queues_make(struct capturer *c)
{
    size_t count = (size_t)c->options.hook_count;
    const struct capture_spec *spec = &c->now.spec;
    c->queues = aligned_alloc(CACHE_LINE, count * sizeof(*c->queues));
    c->sources = calloc(count, sizeof(*c->sources));
    CHECK(c->queues != NULL && c->sources != NULL);
    memset(c->queues, 0, count * sizeof(*c->queues));
    for (size_t i = 0; i < count; i++) {
        struct capture_queue *queue = &c->queues[i];
        queue->snaplen = spec->snaplen;
        queue->port_id = c->options.port_id;
        queue->id = (uint16_t)i;
        if (!capture_queue_init(queue, spec->queue_frames)) {
            snprintf(c->now.error, sizeof(c->now.error),
                     "no memory for %u packets of %u bytes per lcore: lower QUEUE or SNAPLEN",
                     spec->queue_frames, spec->snaplen);
            return false;
        }
    }
    capture_queues_prime(c->queues, c->options.hook_count);
    return true;
}

static bool begin(struct capturer *c)
{
    if (queues_make(c) && capture_file_open(&c->file, c->now.spec.file, c->options.port_id,
                                            c->options.port_name, c->now.error)) {
        capture_file_path(&c->file, c->now.path);
        return true;
    }
    queues_free(c);
    return false;
}

static void hooks_leave(struct capturer *c)
{
    for (int i = 0; i < c->options.hook_count; i++)
        capture_detach(c->options.hook[i]);
    for (int i = 0; i < c->options.hook_count; i++)
        while (!capture_left(c->options.hook[i]))
            usleep(LEAVING_US);
}

static void finish(struct capturer *c)
{
    enum capture_end end = c->end;
    hooks_leave(c);
    if (end == CAPTURE_END_STOPPED || end == CAPTURE_END_SECONDS) {
        /* What was captured before the end; a bound may still be reached. */
        c->end = CAPTURE_END_NONE;
        write_until(c, UINT64_MAX);
        c->end = c->end == CAPTURE_END_NONE ? end : c->end;
    }
    counters_publish(c);
    capture_file_close(&c->file, c->now.dropped);
    counter_set(&c->now.bytes, c->file.bytes);
    queues_free(c);
    c->now.end = c->end;
}

static void *thread_main(void *arg)
{
    struct capturer *c = arg;
    if (!begin(c)) {
        state_set(c, CAPTURE_FAILED);
        return NULL;
    }
    for (int i = 0; i < c->options.hook_count; i++)
        capture_attach(c->options.hook[i], &c->queues[i]);
    c->start_us = clock_now_us();
    state_set(c, CAPTURE_RUNNING);
    run(c);
    state_set(c, CAPTURE_STOPPING);
    finish(c);
    state_set(c, CAPTURE_ENDED);
    return NULL;
}

/* ---- the control thread ---- */

static enum capture_state state_get(const struct capturer *c)
{
    return __atomic_load_n(&c->now.state, __ATOMIC_ACQUIRE);
}

static void join(struct capturer *c)
{
    if (c->joinable)
        pthread_join(c->thread, NULL);
    c->joinable = false;
}

struct capturer *capturer_new(const struct capturer_options *options)
{
    CHECK(options->hook_count > 0 && options->hook_count <= CAPTURER_HOOKS_MAX);
    struct capturer *c = calloc(1, sizeof(*c));
    CHECK(c != NULL);
    c->options = *options;
    return c;
}

bool capturer_start(struct capturer *c, const struct capture_spec *spec,
                    char err[CAPTURE_ERROR_SIZE])
{
    if (capture_active(state_get(c))) {
        snprintf(err, CAPTURE_ERROR_SIZE, "a capture runs already");
        return false;
    }
    join(c);
    memset(&c->now, 0, sizeof(c->now));
    c->now.spec = *spec;
    if (spec->snaplen == 0)
        c->now.spec.snaplen = c->options.mtu + FRAME_OVERHEAD_BYTES;
    c->now.state = CAPTURE_STARTING;
    c->end = CAPTURE_END_NONE;
    c->stop = false;
    c->joinable = pthread_create(&c->thread, NULL, thread_main, c) == 0;
    if (!c->joinable) {
        c->now.state = CAPTURE_NONE;
        snprintf(err, CAPTURE_ERROR_SIZE, "no thread can be had");
    }
    return c->joinable;
}

void capturer_stop(struct capturer *c)
{
    __atomic_store_n(&c->stop, true, __ATOMIC_RELAXED);
}

static uint64_t counter_get(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void capturer_status(const struct capturer *c, struct capture_status *status)
{
    memset(status, 0, sizeof(*status));
    status->state = state_get(c);
    status->spec = c->now.spec;
    status->packets = counter_get(&c->now.packets);
    status->bytes = counter_get(&c->now.bytes);
    status->dropped = counter_get(&c->now.dropped);
    status->truncated = counter_get(&c->now.truncated);
    status->duration_us = counter_get(&c->now.duration_us);
    if (status->state >= CAPTURE_RUNNING)
        memcpy(status->path, c->now.path, sizeof(status->path));
    if (status->state < CAPTURE_ENDED)
        return;
    status->end = c->now.end;
    memcpy(status->error, c->now.error, sizeof(status->error));
}

void capturer_free(struct capturer *c)
{
    if (c == NULL)
        return;
    capturer_stop(c);
    join(c);
    free(c);
}
