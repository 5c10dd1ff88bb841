#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <rte_mbuf.h>
#include "clock.h"
#include "command.h"
#include "keyspace.h"
#include "lcore.h"
#include "metrics.h"
#include "node_fixture.h"
#include "object.h"
#include "outbuf.h"
#include "port_memory.h"
#include "qsbr.h"
#include "session.h"
#include "test_eal.h"

#define NODE_LCORES_MAX 2
#define PATIENCE_US 20000000 /* until a wait counts as failed: generous, machines are shared */
#define BUFFERS 8192

/* The client side: one stack on the wire's other end. */
struct far_side {
    struct port_queue *queue;
    struct flow_steering steering;
    struct netif *net;
    struct tcp *tcp;
};

struct node_fixture {
    struct node node;
    struct mailbox control;
    struct port_memory *port;
    struct flow_steering steering;
    struct keyspace *keyspace;
    struct lcore *lcores[NODE_LCORES_MAX];
    unsigned lcore_count;
    struct port_queue quiet; /* of the second lcore: nothing arrives at it */
    struct far_side far;
    uint64_t buffers_before;
};

struct peer {
    struct node_fixture *fixture;
    struct stream *stream; /* NULL once it has ended */
    bool connected, eof;
    uint8_t *bytes;
    size_t len, size;
};

/* ---- the node ---- */

static struct netif_config net_config(unsigned last_byte, const struct flow_steering *steering)
{
    struct netif_config c = {.mtu = 1500, .prefix4 = 24, .seed = last_byte, .steering = steering};
    c.ip4 = ip_addr_from4(__builtin_bswap32(0x0a4d0000u + last_byte));
    memcpy(c.mac, (uint8_t[]){2, 0, 0, 0, 9, (uint8_t)last_byte}, 6);
    return c;
}

static struct tcp_config tcp_config(const struct flow_steering *steering, unsigned lcore)
{
    return (struct tcp_config){.conns_max = 512,
                               .backlog = 64,
                               .rx_memory_bytes = 64u << 20,
                               .lcore = (uint16_t)lcore,
                               .steering = steering,
                               .seed = 3,
                               .secret = {7}};
}

static uint16_t quiet_rx(struct port_queue *q, struct rte_mbuf **frames, uint16_t n)
{
    return 0;
}

static void far_side_build(struct far_side *far, struct port_queue *queue)
{
    far->queue = queue;
    flow_init(&far->steering, (uint8_t[40]){5}, 1);
    struct netif_config net = net_config(254, &far->steering);
    far->net = netif_new(queue, &net, tcp_l4_ops(), NULL);
    assert_non_null(far->net);
    far->net->now_us = clock_now_us();
    struct tcp_config tcp = tcp_config(&far->steering, 0);
    far->tcp = tcp_new(far->net, &tcp);
    assert_non_null(far->tcp);
    far->net->l4_arg = far->tcp;
}

static void node_build_lcores(struct node_fixture *f)
{
    for (unsigned i = 0; i < f->lcore_count; i++) {
        struct lcore_config c = {.id = i,
                                 .node = &f->node,
                                 .keyspace = f->keyspace,
                                 .queue = i == 0 ? port_memory_queue(f->port, 0, 0) : &f->quiet,
                                 .steering = &f->steering,
                                 .net = net_config(1, &f->steering),
                                 .tcp = tcp_config(&f->steering, i),
                                 .tcp_port = 6379,
                                 .seed = i};
        f->lcores[i] = lcore_new(&c);
        assert_non_null(f->lcores[i]);
    }
    lcore_link(f->lcores, f->lcore_count);
}

static int node_setup(void **state, unsigned lcore_count)
{
    static bool once;
    struct eal *eal = test_eal(2, BUFFERS);
    if (!once) {
        clock_init();
        metrics_attach(0);
        qsbr_register();
        commands_init();
        struct config *config = config_new();
        char err[CONFIG_ERROR_SIZE];
        struct slice yes = slice_str("yes");
        assert_true(config_set(config, slice_str("enable-debug-command"), &yes, 1, true, err));
        config_publish(config);
        once = true;
    }
    struct node_fixture *f = calloc(1, sizeof(*f));
    f->lcore_count = f->node.lcore_count = lcore_count;
    f->node.next_client_id = 1;
    f->buffers_before = eal_buffers_used(eal);
    assert_true(mailbox_init(&f->control));
    f->node.control = &f->control;
    struct rte_mempool *near[1] = {eal->lcore[0].pool}, *far[1] = {eal->lcore[1].pool};
    f->port = port_memory_new(&(struct port_memory_options){
        .queue_count = 1, .mtu = 1500, .ring_frames = 1024, .pool = {near, far}});
    assert_non_null(f->port);
    f->quiet = *port_memory_queue(f->port, 0, 0);
    f->quiet.rx = quiet_rx;
    f->quiet.id = 1;
    flow_init(&f->steering, (uint8_t[40]){1, 2, 3, 4, 5, 6, 7, 8, 9}, (uint16_t)lcore_count);
    f->keyspace = keyspace_new(object_ops);
    assert_non_null(f->keyspace);
    node_build_lcores(f);
    far_side_build(&f->far, port_memory_queue(f->port, 1, 0));
    *state = f;
    return 0;
}

int node_setup_one(void **state)
{
    return node_setup(state, 1);
}

int node_setup_two(void **state)
{
    return node_setup(state, 2);
}

static void node_round(struct node_fixture *f)
{
    struct far_side *far = &f->far;
    struct rte_mbuf *frames[32];
    far->net->now_us = clock_now_us();
    uint16_t n = far->queue->rx(far->queue, frames, 32);
    if (n > 0)
        netif_input(far->net, frames, n);
    tcp_timers(far->tcp, 64);
    netif_tick(far->net);
    tcp_deliver(far->tcp);
    tcp_flush(far->tcp);
    netif_flush(far->net);
    for (unsigned i = 0; i < f->lcore_count; i++)
        (void)lcore_round(f->lcores[i]);
}

static uint64_t node_connections(const struct node_fixture *f)
{
    uint64_t open = 0;
    for (unsigned i = 0; i < f->lcore_count; i++)
        open += tcp_stats(f->lcores[i]->tcp)->conns_open + session_count(&f->lcores[i]->worker);
    return open;
}

int node_teardown(void **state)
{
    struct node_fixture *f = *state;
    uint64_t until_us = clock_now_us() + PATIENCE_US;
    while (node_connections(f) > 0 && clock_now_us() < until_us)
        node_round(f);
    assert_int_equal(node_connections(f), 0);
    tcp_free(f->far.tcp);
    netif_free(f->far.net);
    for (unsigned i = 0; i < f->lcore_count; i++)
        lcore_free(f->lcores[i]);
    keyspace_free(f->keyspace);
    port_memory_free(f->port);
    mailbox_fini(&f->control);
    assert_int_equal(eal_buffers_used(test_eal(2, BUFFERS)), f->buffers_before);
    free(f);
    return 0;
}

/* ---- clients ---- */

static void peer_connected(struct stream *s)
{
    struct peer *p = s->user;
    p->connected = true;
}

static void peer_readable(struct stream *s)
{
    struct peer *p = s->user;
    struct slice piece;
    while ((piece = s->ops->peek(s)).len > 0) {
        if (p->len + piece.len + 1 > p->size) {
            p->size = (p->len + piece.len) * 2 + 1;
            p->bytes = realloc(p->bytes, p->size);
            assert_non_null(p->bytes);
        }
        memcpy(p->bytes + p->len, piece.data, piece.len);
        p->len += piece.len;
        s->ops->consume(s, piece.len);
    }
}

static void peer_drained(struct stream *s)
{
}

static void peer_eof(struct stream *s)
{
    struct peer *p = s->user;
    p->eof = true;
}

static void peer_ended(struct stream *s, enum stream_end why)
{
    struct peer *p = s->user;
    p->stream = NULL;
    p->eof = true;
}

static const struct stream_user_ops peer_ops = {peer_connected, peer_readable, peer_drained,
                                                peer_eof, peer_ended};

struct peer *peer_open(struct node_fixture *f)
{
    struct peer *p = calloc(1, sizeof(*p));
    p->fixture = f;
    struct ip_addr node = net_config(1, NULL).ip4;
    uint64_t until_us = clock_now_us() + PATIENCE_US;
    while (!p->connected && clock_now_us() < until_us) {
        if (p->stream == NULL)
            p->stream = tcp_connect(f->far.tcp, &node, 6379, 0, &peer_ops, p);
        node_round(f);
    }
    assert_true(p->connected);
    return p;
}

static void peer_free(struct peer *p)
{
    free(p->bytes);
    free(p);
}

void peer_close(struct peer *p)
{
    if (p->stream != NULL)
        p->stream->ops->close(p->stream);
    peer_free(p);
}

void peer_abort(struct peer *p)
{
    if (p->stream != NULL)
        p->stream->ops->abort(p->stream);
    peer_free(p);
}

void peer_send(struct peer *p, const void *data, size_t len)
{
    assert_non_null(p->stream);
    outbuf_append(&p->stream->out, data, len);
    p->stream->ops->kick(p->stream);
}

void peer_rounds(struct peer *p, int rounds)
{
    while (rounds-- > 0)
        node_round(p->fixture);
}

void peer_expect(struct peer *p, const char *want)
{
    size_t len = strlen(want);
    uint64_t until_us = clock_now_us() + PATIENCE_US;
    while (p->len < len && !p->eof && clock_now_us() < until_us)
        node_round(p->fixture);
    peer_rounds(p, 3); /* nothing more may follow */
    if (p->len != len || memcmp(p->bytes, want, len) != 0)
        fail_msg("wanted %zu bytes '%.200s', got %zu bytes '%.*s'", len, want, p->len,
                 p->len < 200 ? (int)p->len : 200, p->bytes ? (char *)p->bytes : "");
    p->len = 0;
}

size_t peer_received(const struct peer *p)
{
    return p->len;
}

void peer_expect_end(struct peer *p)
{
    uint64_t until_us = clock_now_us() + PATIENCE_US;
    while (!p->eof && clock_now_us() < until_us)
        node_round(p->fixture);
    assert_true(p->eof);
}
