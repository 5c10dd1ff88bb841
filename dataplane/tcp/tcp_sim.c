#include "tcp_sim.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIM_PORT 6379
#define OUT_MAX (512u << 10) /* what an application keeps in its queue */
#define POOL_BUFFERS 8191u

/* --- applications --- */

static uint8_t pattern_at(int node, uint64_t offset)
{
    return (uint8_t)(offset * 131 + (offset >> 9) * 7 + (uint64_t)node * 77);
}

static struct sim_node *node_of(struct stream *s)
{
    return s->user;
}

static int index_of(const struct sim_node *n)
{
    return (int)(n - n->sim->node);
}

static void app_write(struct sim_node *n)
{
    struct sim_app *a = &n->app;
    if (!a->stream || a->closed)
        return;
    while (a->sent < a->send_total && a->stream->out.len < OUT_MAX) {
        size_t got, want = a->send_total - a->sent < 16000 ? a->send_total - a->sent : 16000;
        uint8_t *p = outbuf_reserve(&a->stream->out, want, &got);
        for (size_t i = 0; i < got; i++)
            p[i] = pattern_at(index_of(n), a->sent + i);
        outbuf_commit(&a->stream->out, got);
        a->sent += got;
    }
    a->stream->ops->kick(a->stream);
    /* The client closes when it has sent all and has got all; the server on the client's FIN. */
    bool all = a->sent == a->send_total && a->received == a->expect_total;
    if (all && (index_of(n) == 0 || a->eof)) {
        struct stream *s = a->stream;
        a->closed = true;
        a->stream = NULL;
        s->ops->close(s);
    }
}

static void app_read(struct sim_node *n)
{
    struct sim_app *a = &n->app;
    uint32_t budget = a->read_per_round ? a->read_per_round : UINT32_MAX;
    struct slice piece = {0};
    while (a->stream && budget && (piece = a->stream->ops->peek(a->stream)).len) {
        size_t len = piece.len < budget ? piece.len : budget;
        for (size_t i = 0; i < len; i++)
            CHECK(piece.data[i] == pattern_at(1 - index_of(n), a->received + i));
        a->received += len;
        CHECK(a->received <= a->expect_total);
        a->progress_us = n->sim->now_us;
        a->rto_max_us = 0;
        budget -= (uint32_t)len;
        a->stream->ops->consume(a->stream, len);
    }
    a->slow_pending = a->stream && a->stream->ops->peek(a->stream).len != 0;
}

/* The transfer to the other side begins when this side may send. */
static void app_started(struct sim_node *n)
{
    n->sim->node[1 - index_of(n)].app.progress_us = n->sim->now_us;
    app_write(n);
}

static void app_connected(struct stream *s)
{
    app_started(node_of(s));
}

static void app_readable(struct stream *s)
{
    struct sim_node *n = node_of(s);
    app_read(n);
    app_write(n);
}

static void app_drained(struct stream *s)
{
    app_write(node_of(s));
}

static void app_eof(struct stream *s)
{
    node_of(s)->app.eof = true;
    app_write(node_of(s));
}

static void app_ended(struct stream *s, enum stream_end why)
{
    struct sim_app *a = &node_of(s)->app;
    a->ended = a->failed = true;
    a->why = why;
    a->stream = NULL;
}

static const struct stream_user_ops app_ops = {
    .connected = app_connected,
    .readable = app_readable,
    .drained = app_drained,
    .eof = app_eof,
    .ended = app_ended,
};

static bool app_accept(void *arg, struct stream *s)
{
    struct sim_node *n = arg;
    s->user_ops = &app_ops;
    s->user = n;
    n->app.stream = s;
    app_started(n);
    return true;
}

/* --- the link --- */

static bool frame_before(const struct sim_frame *a, const struct sim_frame *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void heap_push(struct sim *s, struct sim_frame f)
{
    CHECK(s->heap_count < SIM_FRAMES_MAX);
    uint32_t i = s->heap_count++;
    while (i && frame_before(&f, &s->heap[(i - 1) / 2])) {
        s->heap[i] = s->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    s->heap[i] = f;
}

static struct sim_frame heap_pop(struct sim *s)
{
    struct sim_frame top = s->heap[0], last = s->heap[--s->heap_count];
    uint32_t i = 0;
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= s->heap_count)
            break;
        if (child + 1 < s->heap_count && frame_before(&s->heap[child + 1], &s->heap[child]))
            child++;
        if (!frame_before(&s->heap[child], &last))
            break;
        s->heap[i] = s->heap[child];
        i = child;
    }
    s->heap[i] = last;
    return top;
}

static bool chance(struct sim *s, double p)
{
    return p > 0 && (double)(rng_next(&s->rng) >> 11) * 0x1p-53 < p;
}

static void link_send(struct sim *s, struct sim_node *from, const uint8_t *bytes, uint32_t len)
{
    const struct sim_link_config *l = &s->link;
    uint64_t start_us = from->link_free_us > s->now_us ? from->link_free_us : s->now_us;
    if (l->rate_bps) {
        if (l->queue_max &&
            (start_us - s->now_us) * l->rate_bps / 8000000 > (uint64_t)l->queue_max * 1500) {
            s->lost++;
            return;
        }
        start_us += (uint64_t)len * 8000000 / l->rate_bps;
        from->link_free_us = start_us;
    }
    uint64_t at_us = start_us + l->delay_us + (l->jitter_us ? rng_below(&s->rng, l->jitter_us) : 0);
    if (chance(s, l->reorder))
        at_us += l->reorder_us;
    struct sim_node *to = &s->node[1 - index_of(from)];
    heap_push(s, (struct sim_frame){.at_us = at_us,
                                    .order = s->frames_order++,
                                    .m = test_frame_raw(&to->port, bytes, len),
                                    .to = (uint8_t)index_of(to)});
}

/* Overwrites options of a SYN with NOPs, as some middleboxes do. */
static void blank_options(const struct sim *s, uint8_t *frame, uint32_t len)
{
    uint8_t *tcp = frame + 34;
    if (len < 54 || frame[23] != 6 || !(tcp[13] & 2))
        return;
    uint32_t end = (uint32_t)(tcp[12] >> 4) * 4;
    for (uint32_t at = 20; at + 1 < end && tcp[at] != 0;) {
        uint32_t size = tcp[at] == 1 ? 1 : tcp[at + 1];
        if (tcp[at] < sizeof(s->blank) && s->blank[tcp[at]])
            memset(tcp + at, 1, size);
        at += size;
    }
    struct ip_addr src = ip_addr_from4(0), dst = src;
    memcpy(src.b + 12, frame + 26, 4);
    memcpy(dst.b + 12, frame + 30, 4);
    tcp[16] = tcp[17] = 0;
    uint16_t sum = test_l4_checksum(&src, &dst, 6, tcp, len - 34);
    tcp[16] = (uint8_t)(sum >> 8);
    tcp[17] = (uint8_t)sum;
}

/* No segment on the wire may be larger than the MTU. */
static void check_size(const struct sim_node *n, const struct rte_mbuf *m)
{
    bool cut = m->ol_flags & RTE_MBUF_F_TX_TCP_SEG;
    uint32_t payload = m->pkt_len - m->l2_len - m->l3_len - m->l4_len;
    uint32_t piece = cut ? m->tso_segsz : payload;
    CHECK(piece + m->l3_len + m->l4_len <= n->config.mtu || m->l4_len == 0);
}

static void link_collect(struct sim *s, struct sim_node *n)
{
    static uint8_t bytes[66000];
    struct rte_mbuf *m;
    while ((m = test_port_take(&n->port)) != NULL) {
        check_size(n, m);
        test_frame_complete(m);
        uint32_t len = test_frame_bytes(m, bytes, sizeof(bytes));
        rte_pktmbuf_free(m);
        blank_options(s, bytes, len);
        s->frames++;
        if (chance(s, s->link.loss)) {
            s->lost++;
            continue;
        }
        link_send(s, n, bytes, len);
        if (chance(s, s->link.dup))
            link_send(s, n, bytes, len);
    }
}

/* --- nodes --- */

static void node_init(struct sim *s, int i, const struct sim_config *c)
{
    struct sim_node *n = &s->node[i];
    n->sim = s;
    test_port_init(&n->port, POOL_BUFFERS, c->caps);
    n->config = (struct netif_config){.ip4 = test_ip(i ? "10.77.0.2" : "10.77.0.1"),
                                      .prefix4 = 24,
                                      .mtu = 1500,
                                      .seed = c->seed,
                                      .steering = &s->steering};
    n->config.mac[0] = 2;
    n->config.mac[5] = (uint8_t)(i + 1);
    n->nif = netif_new(&n->port.queue, &n->config, tcp_l4_ops(), NULL);
    CHECK(n->nif);
    n->nif->now_us = s->now_us;
    struct tcp_config config = {.conns_max = 64,
                                .backlog = 16,
                                .rx_memory_bytes =
                                    c->rx_memory_bytes ? c->rx_memory_bytes : 64u << 20,
                                .cc = c->cc,
                                .steering = &s->steering,
                                .secret = {(uint8_t)c->seed, (uint8_t)i},
                                .seed = c->seed * 2 + (uint64_t)i};
    n->tcp = tcp_new(n->nif, &config);
    n->nif->l4_arg = n->tcp;
    n->app = (struct sim_app){.send_total = c->bytes[i],
                              .expect_total = c->bytes[1 - i],
                              .read_per_round = c->read_per_round,
                              .progress_us = s->now_us};
}

static void node_fini(struct sim_node *n)
{
    CHECK(tcp_stats(n->tcp)->conns_open == 0);
    CHECK(n->tcp->rx_bytes == 0);
    CHECK(n->tcp->rx_mbufs == 0);
    tcp_free(n->tcp);
    netif_free(n->nif);
    test_port_fini(&n->port);
}

static uint64_t node_deadline(const struct sim_node *n)
{
    uint64_t at_us = tcp_deadline_us(n->tcp), net_us = netif_deadline_us(n->nif);
    if (tcp_flush_pending(n->tcp) || n->app.slow_pending)
        return n->sim->now_us;
    return at_us < net_us ? at_us : net_us;
}

static void node_round(struct sim_node *n, bool validate)
{
    netif_tick(n->nif);
    tcp_timers(n->tcp, 64);
    tcp_deliver(n->tcp);
    if (n->app.slow_pending) {
        app_read(n);
        app_write(n);
    }
    tcp_flush(n->tcp);
    netif_flush(n->nif);
    if (validate)
        tcp_validate(n->tcp);
}

/* How long the transfer to this node has stood still beyond twice its sender's timeout. */
static void stall_watch(struct sim *s, int to)
{
    struct sim_app *a = &s->node[to].app;
    const struct sim_app *sender = &s->node[1 - to].app;
    if (a->received == a->expect_total || !sender->stream || a->slow_pending)
        return;
    struct tcp_info info;
    tcp_stream_info(sender->stream, &info);
    if (info.rto_us > a->rto_max_us)
        a->rto_max_us = info.rto_us;
    const struct sim_link_config *l = &s->link;
    uint64_t queue_us = l->rate_bps ? l->queue_max * 1500ull * 8000000 / l->rate_bps : 0;
    uint64_t way_us = l->delay_us + l->jitter_us + l->reorder_us + queue_us;
    uint64_t still_us = s->now_us - a->progress_us, allowed_us = 2ull * a->rto_max_us + 2 * way_us;
    if (still_us > allowed_us && still_us - allowed_us > s->stall_max_us)
        s->stall_max_us = still_us - allowed_us;
}

static uint64_t next_event(const struct sim *s)
{
    uint64_t at_us = s->heap_count ? s->heap[0].at_us : UINT64_MAX;
    for (int i = 0; i < 2; i++) {
        uint64_t node_us = node_deadline(&s->node[i]);
        at_us = node_us < at_us ? node_us : at_us;
    }
    return at_us;
}

static void deliver_frames(struct sim *s)
{
    for (uint32_t n = 0; n < 32 && s->heap_count && s->heap[0].at_us <= s->now_us; n++) {
        struct sim_frame f = heap_pop(s);
        flow_owner_of_frame(&s->steering, f.m, false);
        netif_input(s->node[f.to].nif, &f.m, 1);
    }
}

static bool all_over(const struct sim *s)
{
    return tcp_stats(s->node[0].tcp)->conns_open == 0 && tcp_stats(s->node[1].tcp)->conns_open == 0;
}

static void sim_loop(struct sim *s, const struct sim_config *c, struct sim_result *r)
{
    uint64_t start_us = s->now_us, rounds = 0, data_done_us = 0;
    do {
        uint64_t at_us = next_event(s);
        CHECK(at_us != UINT64_MAX);
        if (at_us > s->now_us)
            s->now_us = at_us;
        s->node[0].nif->now_us = s->node[1].nif->now_us = s->now_us;
        deliver_frames(s);
        for (int i = 0; i < 2; i++) {
            node_round(&s->node[i], !c->validate_rarely || rounds % 64 == 0);
            link_collect(s, &s->node[i]);
            stall_watch(s, i);
        }
        rounds++;
        if (!data_done_us && s->node[0].app.received == c->bytes[1] &&
            s->node[1].app.received == c->bytes[0])
            data_done_us = s->now_us;
    } while (!all_over(s) && s->now_us - start_us < c->limit_us);
    r->done = data_done_us && all_over(s) && !s->node[0].app.failed && !s->node[1].app.failed;
    r->elapsed_us = (data_done_us ? data_done_us : s->now_us) - start_us;
    r->stall_us = s->stall_max_us;
}

static void result_fill(const struct sim *s, struct sim_result *r)
{
    for (int i = 0; i < 2; i++) {
        r->retransmits[i] = tcp_stats(s->node[i].tcp)->retransmitted_segments;
        r->timeouts[i] = tcp_stats(s->node[i].tcp)->rto_fired;
    }
    r->frames = s->frames;
    r->lost = s->lost;
}

void sim_run(const struct sim_config *c, struct sim_result *r)
{
    static struct sim sim;
    struct sim *s = &sim;
    test_eal_init();
    memset(s, 0, sizeof(*s));
    memset(r, 0, sizeof(*r));
    s->heap = malloc(SIM_FRAMES_MAX * sizeof(s->heap[0]));
    s->now_us = TEST_NOW_US;
    s->link = c->link;
    s->blank[4] = c->no_sack;
    s->blank[8] = c->no_ts;
    s->blank[3] = c->no_scale;
    rng_seed(&s->rng, c->seed);
    uint8_t key[40];
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)(i * 37 + 11);
    flow_init(&s->steering, key, 1);
    node_init(s, 0, c);
    node_init(s, 1, c);
    CHECK(tcp_listen(s->node[1].tcp, SIM_PORT, app_accept, &s->node[1]));
    s->node[0].app.stream =
        tcp_connect(s->node[0].tcp, &s->node[1].config.ip4, SIM_PORT, 0, &app_ops, &s->node[0]);
    CHECK(s->node[0].app.stream);
    sim_loop(s, c, r);
    result_fill(s, r);
    while (s->heap_count)
        rte_pktmbuf_free(heap_pop(s).m);
    if (r->done) {
        node_fini(&s->node[0]);
        node_fini(&s->node[1]);
    }
    free(s->heap);
}
