#include "port_fault.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include "check.h"
#include "fault_queue.h"
#include "offload.h"
#include "rng.h"

#define BURST 32
#define INDIRECT_BUFFERS 2047

/* A frame put aside so that later ones overtake it. */
struct overtaken {
    struct rte_mbuf *frame; /* NULL: none */
    uint32_t left;          /* frames that still pass before it */
    uint64_t until_us;      /* but no longer than this */
};

struct direction {
    struct rng rng;
    struct fault_queue queue;
    struct overtaken overtaken;
    struct port_fault_stats stats;
};

struct fault_port {
    struct port_queue base;
    struct port_queue *inner;
    struct port_info info;
    struct fault_spec spec;
    struct port_fault_clock clock;
    uint64_t start_us;
    struct direction direction[2];
    struct offload offload; /* everything in software */
};

static struct fault_port *fault_of(struct port_queue *base)
{
    return container_from(base, struct fault_port, base);
}

static bool hit(struct direction *d, uint32_t ppm)
{
    return ppm != 0 && rng_below(&d->rng, FAULT_PPM_ALL) < ppm;
}

/* When a frame that comes now leaves: after the delay, and not within a stall. */
static uint64_t release_time(const struct fault_port *f, uint64_t now_us)
{
    uint64_t at = now_us + f->spec.delay_us;
    if (f->spec.stall_us == 0)
        return at;
    uint64_t phase = (at - f->start_us) % f->spec.stall_period_us;
    bool stalled = phase >= f->spec.stall_period_us - f->spec.stall_us;
    return stalled ? at + f->spec.stall_period_us - phase : at;
}

/* A private copy with one bit flipped; its data may be shared with the stack or the keyspace. */
static struct rte_mbuf *corrupt(struct fault_port *f, struct direction *d, struct rte_mbuf *frame)
{
    const uint32_t l2 = sizeof(struct rte_ether_hdr);
    const struct rte_ether_hdr *ether = rte_pktmbuf_mtod(frame, const struct rte_ether_hdr *);
    uint32_t len = rte_pktmbuf_pkt_len(frame);
    if (rte_pktmbuf_data_len(frame) < l2 || len == l2 ||
        (ether->ether_type != rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4) &&
         ether->ether_type != rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6)))
        return frame;
    struct rte_mbuf *copy = rte_pktmbuf_copy(frame, f->base.pool, 0, UINT32_MAX);
    if (copy == NULL)
        return frame;
    uint32_t at = l2 + (uint32_t)rng_below(&d->rng, len - l2);
    struct rte_mbuf *seg = copy;
    for (; at >= rte_pktmbuf_data_len(seg); seg = seg->next)
        at -= rte_pktmbuf_data_len(seg);
    *rte_pktmbuf_mtod_offset(seg, uint8_t *, at) ^= (uint8_t)(1u << rng_below(&d->rng, 8));
    /* The driver's verdict was on the frame as it was. One without a sum of its own would pass. */
    bool unsummed = (copy->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_NONE;
    copy->ol_flags &=
        ~(RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_RSS_HASH);
    if (unsummed)
        copy->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_BAD;
    d->stats.corrupted++;
    rte_pktmbuf_free(frame);
    return copy;
}

static void enqueue(struct fault_port *f, struct direction *d, struct rte_mbuf *frame,
                    uint64_t now_us)
{
    if (fault_queue_push(&d->queue, frame, release_time(f, now_us)))
        return;
    d->stats.overflowed++;
    rte_pktmbuf_free(frame);
}

static void overtaken_end(struct fault_port *f, struct direction *d, uint64_t now_us)
{
    struct rte_mbuf *frame = d->overtaken.frame;
    d->overtaken.frame = NULL;
    enqueue(f, d, frame, now_us);
}

static void frame_pass(struct fault_port *f, struct direction *d, struct rte_mbuf *frame,
                       uint64_t now_us)
{
    if (hit(d, f->spec.corrupt_ppm))
        frame = corrupt(f, d, frame);
    if (hit(d, f->spec.reorder_ppm) && d->overtaken.frame == NULL) {
        d->stats.reordered++;
        d->overtaken =
            (struct overtaken){.frame = frame,
                               .left = 1 + (uint32_t)rng_below(&d->rng, PORT_FAULT_REORDER_MAX),
                               .until_us = now_us + PORT_FAULT_REORDER_US};
        return;
    }
    enqueue(f, d, frame, now_us);
    if (d->overtaken.frame != NULL && --d->overtaken.left == 0)
        overtaken_end(f, d, now_us);
}

/* Takes the frame. */
static void frame_come(struct fault_port *f, struct direction *d, struct rte_mbuf *frame,
                       uint64_t now_us)
{
    d->stats.frames++;
    if (hit(d, f->spec.loss_ppm)) {
        d->stats.lost++;
        rte_pktmbuf_free(frame);
        return;
    }
    if (hit(d, f->spec.dup_ppm)) {
        struct rte_mbuf *twin = rte_pktmbuf_copy(frame, f->base.pool, 0, UINT32_MAX);
        if (twin != NULL) {
            d->stats.duplicated++;
            frame_pass(f, d, twin, now_us);
        }
    }
    frame_pass(f, d, frame, now_us);
}

static bool due(struct fault_port *f, struct direction *d, uint64_t now_us)
{
    if (d->overtaken.frame != NULL && d->overtaken.until_us <= now_us)
        overtaken_end(f, d, now_us);
    return d->queue.count > 0 && fault_queue_first(&d->queue)->release_us <= now_us;
}

/* Sends what is due; false: the port has no room. */
static bool tx_pump(struct fault_port *f, uint64_t now_us)
{
    struct direction *d = &f->direction[PORT_FAULT_TX];
    while (due(f, d, now_us)) {
        struct rte_mbuf *frame = fault_queue_first(&d->queue)->frame;
        if (f->inner->tx(f->inner, &frame, 1) == 0)
            return false;
        fault_queue_pop(&d->queue);
        d->stats.passed++;
    }
    return true;
}

static uint16_t fault_tx(struct port_queue *base, struct rte_mbuf **pkts, uint16_t n)
{
    struct fault_port *f = fault_of(base);
    uint64_t now_us = f->clock.now_us(f->clock.arg);
    for (uint16_t i = 0; i < n; i++) {
        struct rte_mbuf *out[OFFLOAD_FRAMES_MAX];
        if (!tx_pump(f, now_us))
            return i;
        uint16_t count = offload_frame(&f->offload, pkts[i], out);
        for (uint16_t k = 0; k < count; k++)
            frame_come(f, &f->direction[PORT_FAULT_TX], out[k], now_us);
    }
    tx_pump(f, now_us);
    return n;
}

static uint16_t fault_rx(struct port_queue *base, struct rte_mbuf **pkts, uint16_t n)
{
    struct fault_port *f = fault_of(base);
    struct direction *d = &f->direction[PORT_FAULT_RX];
    uint64_t now_us = f->clock.now_us(f->clock.arg);
    struct rte_mbuf *got[BURST];
    tx_pump(f, now_us);
    uint16_t count = f->inner->rx(f->inner, got, n < BURST ? n : BURST);
    for (uint16_t i = 0; i < count; i++)
        frame_come(f, d, got[i], now_us);
    base->link_up = __atomic_load_n(&f->inner->link_up, __ATOMIC_RELAXED);
    uint16_t given = 0;
    while (given < n && due(f, d, now_us))
        pkts[given++] = fault_queue_pop(&d->queue);
    d->stats.passed += given;
    return given;
}

static void fault_tx_flush(struct port_queue *base)
{
    struct fault_port *f = fault_of(base);
    tx_pump(f, f->clock.now_us(f->clock.arg));
    f->inner->tx_flush(f->inner);
}

static uint64_t next_due_us(const struct direction *d)
{
    uint64_t next = d->queue.count > 0 ? fault_queue_first(&d->queue)->release_us : UINT64_MAX;
    if (d->overtaken.frame != NULL && d->overtaken.until_us < next)
        next = d->overtaken.until_us;
    return next;
}

/* Nothing wakes the lcore when a frame's time comes: while one waits, the answer is no, and
 * idle_max_us the time left. The port's own wake-up is armed all the same. */
static bool fault_wake_arm(struct port_queue *base)
{
    struct fault_port *f = fault_of(base);
    bool armed = f->inner->wake_arm(f->inner);
    uint64_t now_us = f->clock.now_us(f->clock.arg);
    base->wake_fd = f->inner->wake_fd;
    base->wake_fd_generation = f->inner->wake_fd_generation;
    base->idle_max_us = f->inner->idle_max_us;
    for (int i = 0; i < 2; i++) {
        uint64_t next = next_due_us(&f->direction[i]);
        uint64_t left = next > now_us ? next - now_us : 0;
        armed = armed && next == UINT64_MAX;
        if (left < base->idle_max_us)
            base->idle_max_us = (uint32_t)left;
    }
    return armed;
}

static void fault_wake_disarm(struct port_queue *base)
{
    struct fault_port *f = fault_of(base);
    f->inner->wake_disarm(f->inner);
}

static void info_init(struct fault_port *f)
{
    f->info = *f->inner->info;
    if (f->info.caps & PORT_TX_TSO)
        f->info.caps |= PORT_TX_GSO;
    f->info.caps &= ~(uint32_t)(PORT_TX_TSO | PORT_TX_CHECKSUM);
}

struct port_queue *port_fault_new(struct port_queue *inner, const struct fault_spec *spec,
                                  struct port_fault_clock clock)
{
    static int number;
    char name[32];
    struct fault_port *f = calloc(1, sizeof(*f));
    CHECK(f != NULL);
    f->inner = inner;
    f->spec = *spec;
    f->clock = clock;
    f->start_us = clock.now_us(clock.arg);
    for (int i = 0; i < 2; i++) {
        rng_seed(&f->direction[i].rng,
                 spec->seed * 1000003 + (uint64_t)inner->id * 2 + (uint64_t)i);
        fault_queue_init(&f->direction[i].queue, PORT_FAULT_QUEUE_MAX);
    }
    info_init(f);
    f->base = *inner;
    f->base.rx = fault_rx;
    f->base.tx = fault_tx;
    f->base.tx_flush = fault_tx_flush;
    f->base.wake_arm = fault_wake_arm;
    f->base.wake_disarm = fault_wake_disarm;
    f->base.info = &f->info;
    snprintf(name, sizeof(name), "fault-parts%d", number++);
    f->offload = (struct offload){
        .multi_seg = true,
        .frame_bytes = (uint32_t)f->info.mtu + 18,
        .pool = inner->pool,
        .indirect = rte_pktmbuf_pool_create(name, INDIRECT_BUFFERS, 0, 0, 0, SOCKET_ID_ANY)};
    CHECK(f->offload.indirect != NULL);
    return &f->base;
}

struct port_fault_stats port_fault_stats_get(const struct port_queue *fault,
                                             enum port_fault_direction direction)
{
    const struct fault_port *f = container_from(fault, struct fault_port, base);
    return f->direction[direction].stats;
}

void port_fault_free(struct port_queue *fault)
{
    struct fault_port *f = fault_of(fault);
    for (int i = 0; i < 2; i++) {
        rte_pktmbuf_free(f->direction[i].overtaken.frame);
        fault_queue_fini(&f->direction[i].queue);
    }
    rte_mempool_free(f->offload.indirect);
    free(f);
}
