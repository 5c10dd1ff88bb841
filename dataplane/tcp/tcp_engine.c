/* The engine's storage, its lists, and the round of callbacks. */
#include "tcp_engine.h"
#include <stdlib.h>
#include <rte_mempool.h>

/* Zeroed, and not resident before it is touched. */
static void *pool_alloc(size_t count, size_t size)
{
    void *p = calloc(count, size);
    CHECK(p);
    return p;
}

static void table_init(struct tcp *t)
{
    uint32_t buckets = 64;
    while (buckets < t->config.conns_max)
        buckets *= 2;
    t->buckets = pool_alloc(buckets, sizeof(t->buckets[0]));
    t->bucket_mask = buckets - 1;
}

static void port_limits_init(struct tcp *t)
{
    const struct port_queue *q = t->nif->queue;
    uint32_t caps = q->info->caps;
    t->frame_room = (uint16_t)(rte_pktmbuf_data_room_size(q->pool) - RTE_PKTMBUF_HEADROOM);
    if (caps & PORT_TX_MULTI_SEG)
        t->frame_room = UINT16_MAX;
    if ((caps & (PORT_TX_TSO | PORT_TX_GSO)) && (caps & PORT_TX_MULTI_SEG))
        t->tso_bytes_max = TCP_TSO_BYTES_MAX;
    t->rx_mbufs_max = q->pool->size / TCP_RX_POOL_SHARE;
}

struct tcp *tcp_new(struct netif *nif, const struct tcp_config *config)
{
    CHECK(config->conns_max > 0);
    CHECK(config->conns_max < TCP_NUMBER_WAIT);
    CHECK(config->steering);
    struct tcp *t = pool_alloc(1, sizeof(*t));
    t->nif = nif;
    t->config = *config;
    t->cc = config->cc == TCP_CC_NEWRENO ? &tcp_cc_newreno : &tcp_cc_cubic_ops;
    rng_seed(&t->rng, config->seed);
    tcp_clock(t);
    tcp_wheel_init(&t->wheel, t->now_ms);
    t->conns = pool_alloc(config->conns_max, sizeof(t->conns[0]));
    t->waits = pool_alloc(config->conns_max / 2 + 1, sizeof(t->waits[0]));
    table_init(t);
    port_limits_init(t);
    t->port_cursor = (uint16_t)rng_next(&t->rng);
    return t;
}

void tcp_free(struct tcp *t)
{
    tcp_clock(t);
    t->config.conns_max = 0; /* a callback may want to connect again */
    for (uint32_t number = 1; number <= t->conns_used; number++)
        if (conn_at(t, number)->state != TCP_CLOSED)
            tcp_conn_abort(t, conn_at(t, number), STREAM_END_ABORTED);
    tcp_deliver(t);
    tcp_flush(t);
    netif_flush(t->nif);
    CHECK(t->rx_bytes == 0);
    CHECK(t->rx_mbufs == 0);
    free(t->buckets);
    free(t->waits);
    free(t->conns);
    free(t);
}

static const struct l4_ops l4_ops_tcp = {
    .tcp_input = tcp_input_segment,
    .tcp_icmp_error = tcp_icmp_input,
};

const struct l4_ops *tcp_l4_ops(void)
{
    return &l4_ops_tcp;
}

void tcp_conn_event(struct tcp *t, struct tcp_conn *c, enum tcp_event event)
{
    c->events |= (uint8_t)event;
    if (c->flags & TCPF_IN_DELIVER)
        return;
    c->flags |= TCPF_IN_DELIVER;
    c->deliver_next = 0;
    if (t->deliver.tail)
        conn_at(t, t->deliver.tail)->deliver_next = c->id;
    else
        t->deliver.head = c->id;
    t->deliver.tail = c->id;
}

void tcp_conn_flush_later(struct tcp *t, struct tcp_conn *c)
{
    if (c->flags & TCPF_IN_FLUSH)
        return;
    c->flags |= TCPF_IN_FLUSH;
    c->flush_next = 0;
    if (t->flush.tail)
        conn_at(t, t->flush.tail)->flush_next = c->id;
    else
        t->flush.head = c->id;
    t->flush.tail = c->id;
}

/* Bytes first, the end last; a user that leaves inside a callback gets no further ones. */
static void deliver_one(struct tcp_conn *c)
{
    uint8_t events = c->events;
    c->events = 0;
    struct stream *s = &c->stream;
    if ((c->flags & TCPF_ORPHAN) || !s->user_ops)
        return;
    if ((events & TCP_EV_CONNECTED) && s->user_ops->connected)
        s->user_ops->connected(s);
    if ((events & TCP_EV_DRAINED) && s->user_ops->drained && !(c->flags & TCPF_ORPHAN))
        s->user_ops->drained(s);
    if ((events & TCP_EV_READABLE) && s->user_ops->readable && !(c->flags & TCPF_ORPHAN) &&
        c->rx_bytes)
        s->user_ops->readable(s);
    if ((events & TCP_EV_EOF) && s->user_ops->eof && !(c->flags & TCPF_ORPHAN))
        s->user_ops->eof(s);
    if ((events & TCP_EV_ENDED) && !(c->flags & TCPF_ORPHAN)) {
        c->flags |= TCPF_ORPHAN;
        if (s->user_ops->ended)
            s->user_ops->ended(s, c->end_why);
    }
}

void tcp_deliver(struct tcp *t)
{
    tcp_clock(t);
    while (t->deliver.head) {
        struct tcp_conn *c = conn_at(t, t->deliver.head);
        t->deliver.head = c->deliver_next;
        if (t->deliver.head == 0)
            t->deliver.tail = 0;
        c->flags &= ~(uint32_t)TCPF_IN_DELIVER;
        deliver_one(c);
    }
}

void tcp_flush(struct tcp *t)
{
    tcp_clock(t);
    uint32_t last = t->flush.tail;
    while (t->flush.head) {
        struct tcp_conn *c = conn_at(t, t->flush.head);
        bool was_last = c->id == last;
        t->flush.head = c->flush_next;
        if (t->flush.head == 0)
            t->flush.tail = 0;
        c->flags &= ~(uint32_t)TCPF_IN_FLUSH;
        if (c->state != TCP_CLOSED && !tcp_output_conn(t, c))
            tcp_conn_flush_later(t, c);
        if (was_last)
            break;
    }
    tcp_conn_reap(t);
}

bool tcp_flush_pending(const struct tcp *t)
{
    return t->flush.head != 0;
}

const struct tcp_stats *tcp_stats(const struct tcp *t)
{
    return &t->stats;
}

void tcp_keepalive_set(struct tcp *t, uint32_t keepalive_s)
{
    t->config.keepalive_s = keepalive_s;
    t->keepalive_sweep = t->conns_used;
}
