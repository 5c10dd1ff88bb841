#include "port_memory.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <rte_thash.h>
#include "check.h"
#include "port_open.h"
#include "tx_stage.h"

#define IDLE_MAX_US 1000000
#define INDIRECT_BUFFERS 2047

struct memory_queue {
    struct port_queue base;
    struct tx_stage stage;
    struct port_memory *port;
    int side;
    struct rte_ring *arriving; /* w: any queue of the other side, r: this one */
    /* The sender enqueues, then exchanges false for armed; the receiver exchanges true, then polls
     * once more. Both acquire and release: whichever exchange comes second sees the other, so
     * either the sender wakes or the receiver finds the frame. */
    bool armed;
    uint64_t no_buffer; /* w: this queue, r: any, relaxed */
};

struct port_memory {
    struct port_memory_options options;
    struct port_info info[2];
    bool up; /* atomic, relaxed */
    struct memory_queue *queue[2];
};

static struct memory_queue *queue_of(struct port_queue *base)
{
    return container_from(base, struct memory_queue, base);
}

/* The tuple of an unfragmented TCP frame, words in host order as rte_softrss wants them; its length
 * in words, 0: not such a frame, which RSS leaves unhashed on queue 0. */
static uint32_t tuple_read(const struct rte_mbuf *frame, union rte_thash_tuple *tuple)
{
    struct rte_ether_hdr ether_copy;
    struct rte_ipv4_hdr ip4_copy;
    struct rte_ipv6_hdr ip6_copy;
    uint16_t port_copy[2];
    const uint32_t l2 = sizeof(ether_copy);
    const struct rte_ether_hdr *ether = rte_pktmbuf_read(frame, 0, l2, &ether_copy);
    if (ether == NULL)
        return 0;
    if (ether->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4)) {
        const struct rte_ipv4_hdr *ip = rte_pktmbuf_read(frame, l2, sizeof(*ip), &ip4_copy);
        if (ip == NULL || ip->next_proto_id != IPPROTO_TCP ||
            (ip->fragment_offset &
             rte_cpu_to_be_16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)))
            return 0;
        const uint16_t *ports = rte_pktmbuf_read(frame, l2 + rte_ipv4_hdr_len(ip), 4, port_copy);
        if (ports == NULL)
            return 0;
        tuple->v4.src_addr = rte_be_to_cpu_32(ip->src_addr);
        tuple->v4.dst_addr = rte_be_to_cpu_32(ip->dst_addr);
        tuple->v4.sport = rte_be_to_cpu_16(ports[0]);
        tuple->v4.dport = rte_be_to_cpu_16(ports[1]);
        return RTE_THASH_V4_L4_LEN;
    }
    const struct rte_ipv6_hdr *ip = rte_pktmbuf_read(frame, l2, sizeof(*ip), &ip6_copy);
    const uint16_t *ports = rte_pktmbuf_read(frame, l2 + (uint32_t)sizeof(*ip), 4, port_copy);
    if (ether->ether_type != rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6) || ip == NULL || ports == NULL ||
        ip->proto != IPPROTO_TCP)
        return 0;
    rte_thash_load_v6_addrs(ip, tuple);
    tuple->v6.sport = rte_be_to_cpu_16(ports[0]);
    tuple->v6.dport = rte_be_to_cpu_16(ports[1]);
    return RTE_THASH_V6_L4_LEN;
}

static int frame_steer(const struct memory_queue *from, struct rte_mbuf *frame)
{
    const struct port_memory_options *options = &from->port->options;
    union rte_thash_tuple tuple;
    frame->packet_type = 0;
    if (options->rss_key == NULL)
        return from->base.id;
    uint32_t words = tuple_read(frame, &tuple);
    if (words == 0)
        return 0;
    frame->hash.rss = rte_softrss((uint32_t *)&tuple, words, options->rss_key);
    frame->packet_type = RTE_PTYPE_L4_TCP; /* that the hash is set; not seen outside */
    return (int)(frame->hash.rss % RSS_TABLE_SIZE) % options->queue_count;
}

static void receiver_wake(struct memory_queue *to)
{
    const uint64_t one = 1;
    if (__atomic_exchange_n(&to->armed, false, __ATOMIC_ACQ_REL))
        CHECK(write(to->base.wake_fd, &one, sizeof(one)) == sizeof(one));
}

static uint16_t wire_send(void *arg, struct rte_mbuf **frames, uint16_t n)
{
    struct memory_queue *q = arg;
    struct memory_queue *others = q->port->queue[!q->side];
    if (!__atomic_load_n(&q->port->up, __ATOMIC_RELAXED)) {
        rte_pktmbuf_free_bulk(frames, n);
        return n;
    }
    for (uint16_t i = 0; i < n; i++) {
        struct memory_queue *to = &others[frame_steer(q, frames[i])];
        if (rte_ring_enqueue(to->arriving, frames[i]) != 0)
            return i;
        receiver_wake(to);
    }
    return n;
}

static uint16_t memory_tx(struct port_queue *base, struct rte_mbuf **pkts, uint16_t n)
{
    return tx_stage_take(&queue_of(base)->stage, pkts, n);
}

static void memory_tx_flush(struct port_queue *base)
{
    tx_stage_retry(&queue_of(base)->stage);
}

static struct rte_mbuf *frame_receive(struct memory_queue *q, struct rte_mbuf *sent)
{
    struct rte_mbuf *got = rte_pktmbuf_copy(sent, q->base.pool, 0, UINT32_MAX);
    if (got == NULL) {
        __atomic_store_n(&q->no_buffer, q->no_buffer + 1, __ATOMIC_RELAXED);
    } else {
        got->ol_flags = sent->packet_type != 0 ? RTE_MBUF_F_RX_RSS_HASH : 0;
        got->hash.rss = sent->hash.rss;
        got->packet_type = 0;
        got->tx_offload = 0;
    }
    rte_pktmbuf_free(sent);
    return got;
}

static uint16_t memory_rx(struct port_queue *base, struct rte_mbuf **pkts, uint16_t n)
{
    struct memory_queue *q = queue_of(base);
    uint16_t good = 0;
    tx_stage_retry(&q->stage);
    base->link_up = __atomic_load_n(&q->port->up, __ATOMIC_RELAXED);
    unsigned count = rte_ring_dequeue_burst(q->arriving, (void **)pkts, n, NULL);
    for (unsigned i = 0; i < count; i++) {
        struct rte_mbuf *got = frame_receive(q, pkts[i]);
        if (got != NULL)
            pkts[good++] = got;
    }
    capture_rx(&q->stage.capture, pkts, good);
    return good;
}

static bool memory_wake_arm(struct port_queue *base)
{
    struct memory_queue *q = queue_of(base);
    (void)__atomic_exchange_n(&q->armed, true, __ATOMIC_ACQ_REL);
    return true;
}

static void memory_wake_disarm(struct port_queue *base)
{
    struct memory_queue *q = queue_of(base);
    uint64_t count;
    __atomic_store_n(&q->armed, false, __ATOMIC_RELAXED);
    /* EAGAIN when nobody woke it. */
    if (read(base->wake_fd, &count, sizeof(count)) < 0)
        return;
}

static struct rte_ring *ring_new(uint32_t frames)
{
    /* One slot of a ring stays empty, so that frames of them take the next power of two. */
    ssize_t size = rte_ring_get_memsize(rte_align32pow2(frames + 1));
    CHECK(size > 0);
    size_t rounded = ((size_t)size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    struct rte_ring *ring = aligned_alloc(CACHE_LINE, rounded);
    CHECK(ring != NULL);
    CHECK(rte_ring_init(ring, "wire", frames, RING_F_SC_DEQ | RING_F_EXACT_SZ) == 0);
    return ring;
}

static void queue_init(struct port_memory *port, int side, int index)
{
    static int number;
    char name[32];
    struct memory_queue *q = &port->queue[side][index];
    uint32_t caps = port->info[side].caps;
    q->port = port;
    q->side = side;
    q->arriving = ring_new(port->options.ring_frames);
    snprintf(name, sizeof(name), "wire-parts%d", number++);
    q->stage.send = wire_send;
    q->stage.arg = q;
    q->stage.offload = (struct offload){
        .multi_seg = (caps & PORT_TX_MULTI_SEG) != 0,
        .frame_bytes = (uint32_t)port->options.mtu + 18,
        .pool = port->options.pool[side][index],
        .indirect = rte_pktmbuf_pool_create(name, INDIRECT_BUFFERS, 0, 0, 0, SOCKET_ID_ANY)};
    CHECK(q->stage.offload.indirect != NULL);
    q->base = (struct port_queue){.rx = memory_rx,
                                  .tx = memory_tx,
                                  .tx_flush = memory_tx_flush,
                                  .wake_arm = memory_wake_arm,
                                  .wake_disarm = memory_wake_disarm,
                                  .wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
                                  .idle_max_us = IDLE_MAX_US,
                                  .info = &port->info[side],
                                  .pool = port->options.pool[side][index],
                                  .id = (uint16_t)index,
                                  .link_up = true};
    CHECK(q->base.wake_fd >= 0);
}

static void info_init(struct port_memory *port, int side)
{
    struct port_info *info = &port->info[side];
    const struct port_memory_options *options = &port->options;
    snprintf(info->name, sizeof(info->name), "memory:%d", side);
    snprintf(info->driver, sizeof(info->driver), "memory");
    info->caps = (PORT_TX_GSO | PORT_TX_MULTI_SEG | PORT_TX_EXTBUF | PORT_RX_SCATTER) &
                 ~options->caps_without;
    if (options->rss_key != NULL)
        info->caps |= PORT_RX_HASH | PORT_RX_STEERED;
    info->queue_count = (uint16_t)options->queue_count;
    info->mtu = options->mtu;
    info->mac[0] = 0x02;
    info->mac[5] = (uint8_t)(side + 1);
    info->numa_node = -1;
}

struct port_memory *port_memory_new(const struct port_memory_options *options)
{
    CHECK(options->queue_count > 0 && options->queue_count <= PORT_MEMORY_QUEUES_MAX);
    struct port_memory *port = calloc(1, sizeof(*port));
    CHECK(port != NULL);
    port->options = *options;
    port->up = true;
    for (int side = 0; side < 2; side++) {
        info_init(port, side);
        port->queue[side] = calloc((size_t)options->queue_count, sizeof(struct memory_queue));
        CHECK(port->queue[side] != NULL);
        for (int i = 0; i < options->queue_count; i++)
            queue_init(port, side, i);
    }
    return port;
}

struct port_queue *port_memory_queue(struct port_memory *port, int side, int index)
{
    CHECK(side == 0 || side == 1);
    CHECK(index >= 0 && index < port->options.queue_count);
    return &port->queue[side][index].base;
}

struct capture_hook *port_memory_capture(struct port_memory *port, int side, int index)
{
    return &queue_of(port_memory_queue(port, side, index))->stage.capture;
}

void port_memory_link_set(struct port_memory *port, bool up)
{
    __atomic_store_n(&port->up, up, __ATOMIC_RELAXED);
}

uint64_t port_memory_no_buffer(const struct port_memory *port, int side)
{
    uint64_t total = 0;
    for (int i = 0; i < port->options.queue_count; i++)
        total += __atomic_load_n(&port->queue[side][i].no_buffer, __ATOMIC_RELAXED);
    return total;
}

static void queue_free(struct memory_queue *q)
{
    void *frame;
    tx_stage_drop(&q->stage);
    while (rte_ring_dequeue(q->arriving, &frame) == 0)
        rte_pktmbuf_free(frame);
    close(q->base.wake_fd);
    free(q->arriving);
}

void port_memory_free(struct port_memory *port)
{
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < port->options.queue_count; i++)
            queue_free(&port->queue[side][i]);
    /* Only now: frames on the wire may have referred to any of these. */
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < port->options.queue_count; i++)
            rte_mempool_free(port->queue[side][i].stage.offload.indirect);
        free(port->queue[side]);
    }
    free(port);
}
