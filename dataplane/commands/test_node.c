#include "test_node.h"
#include <stdio.h>
#include <stdlib.h>
#include "channels.h"
#include "check.h"
#include "clock.h"
#include "command.h"
#include "job.h"
#include "object.h"
#include "qsbr.h"

#define ROUNDS_MAX 100000

struct test_lcore {
    struct worker worker;
    struct session *ready_head, *ready_tail;
};

struct test_node {
    struct node node;
    struct keyspace *keyspace;
    struct test_client *clients;
    char *replies;
    unsigned clients_ever;
    uint32_t job_budget_us;
    struct test_lcore lcores[];
};

static void wake(struct session *s)
{
    struct test_lcore *l = container_from(s->worker, struct test_lcore, worker);
    if (s->flags & SESSION_READABLE)
        return;
    s->flags |= SESSION_READABLE;
    s->ready_next = NULL;
    if (l->ready_head)
        l->ready_tail->ready_next = s;
    else
        l->ready_head = s;
    l->ready_tail = s;
}

static void lcore_start(struct test_node *n, unsigned id)
{
    struct worker *w = &n->lcores[id].worker;
    w->id = id;
    w->node = &n->node;
    CHECK(mailbox_init(&w->mailbox));
    w->config = config_get();
    rng_seed(&w->rng, 1 + id);
    w->ks = ks_new(n->keyspace, id, 1 + id);
    w->ks->master = true;
    n->node.workers[id] = w;
    CHECK(worker_tables_new(w));
}

struct test_node *test_node_new(unsigned lcore_count)
{
    size_t size = sizeof(struct test_node) + lcore_count * sizeof(struct test_lcore);
    struct test_node *n =
        aligned_alloc(CACHE_LINE, (size + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1));
    CHECK(n);
    memset(n, 0, size);
    clock_init();
    commands_init();
    qsbr_register();
    session_wake = wake;
    config_publish(config_new());
    n->keyspace = keyspace_new(object_ops);
    n->node.lcore_count = lcore_count;
    n->job_budget_us = 1000;
    for (unsigned i = 0; i < lcore_count; i++)
        lcore_start(n, i);
    test_node_advance(n, 1700000000000);
    return n;
}

struct worker *test_worker(struct test_node *n, unsigned lcore)
{
    return &n->lcores[lcore].worker;
}

struct node *test_node_shared(struct test_node *n)
{
    return &n->node;
}

void test_node_config(struct test_node *n, const char *name, const char *value)
{
    char err[CONFIG_ERROR_SIZE];
    struct slice word = slice_str(value);
    struct config *config = config_copy(config_get());
    CHECK(config_set(config, slice_str(name), &word, 1, true, err));
    config_publish(config);
    for (unsigned i = 0; i < n->node.lcore_count; i++)
        test_worker(n, i)->config = config_get();
}

void test_node_job_budget(struct test_node *n, uint32_t budget_us)
{
    n->job_budget_us = budget_us;
}

void test_node_advance(struct test_node *n, int64_t ms)
{
    for (unsigned i = 0; i < n->node.lcore_count; i++) {
        struct worker *w = test_worker(n, i);
        w->now_ms += ms;
        w->now_us += (uint64_t)ms * 1000;
        w->ks->now_ms = w->now_ms;
    }
}

/* One burst of one session, as the lcore's batch does it, a command at a time. */
static void serve(struct session *s)
{
    struct slice in = session_input_begin(s), room[64];
    size_t used = 0;
    while (used < in.len && !(s->flags & (SESSION_CLOSING | SESSION_PARKED | SESSION_PAUSED))) {
        struct resp_limits limits = session_parse_limits(s);
        struct resp_command cmd;
        struct command_hint hint;
        enum resp_result r = resp_parse(&s->parser, slice_from(in.data + used, in.len - used),
                                        &limits, room, count_of(room), &cmd);
        if (r == RESP_INVALID)
            session_protocol_error(s, cmd.error);
        if (r == RESP_INVALID || r == RESP_MORE)
            break;
        if (r == RESP_COMMAND) {
            command_prefetch_slot(s->worker, cmd.argv, cmd.argc, &hint);
            command_prefetch_bucket(s->worker, &hint);
            command_prefetch_entry(s->worker, &hint);
            command_execute(s, cmd.argv, cmd.argc, &hint);
            if (s->flags & SESSION_PAUSED)
                break;
        }
        used += cmd.consumed;
    }
    bool goes_on = session_input_done(s, used);
    session_flush(s);
    if (goes_on && !(s->flags & (SESSION_CLOSING | SESSION_PARKED | SESSION_PAUSED)) &&
        session_input_pending(s))
        wake(s);
}

static bool lcore_loop(struct test_node *n, struct test_lcore *l)
{
    struct worker *w = &l->worker;
    bool busy = mailbox_run(&w->mailbox, w, 64) > 0;
    struct session *last = l->ready_tail;
    for (bool more = l->ready_head != NULL; more;) {
        struct session *s = l->ready_head;
        more = s != last;
        l->ready_head = s->ready_next;
        s->flags &= ~(uint32_t)SESSION_READABLE;
        busy = true;
        if (!(s->flags & (SESSION_CLOSING | SESSION_PARKED | SESSION_PAUSED)))
            serve(s);
    }
    busy |= jobs_run(w, n->job_budget_us);
    busy |= mailbox_run(&w->mailbox, w, 64) > 0; /* whose claims were let in */
    session_cron(w, 64);
    session_reap(w);
    session_validate(w);
    ks_reclaim(w->ks, true, 1000);
    return busy || l->ready_head;
}

bool test_lcore_run(struct test_node *n, unsigned lcore)
{
    bool busy = lcore_loop(n, &n->lcores[lcore]);
    qsbr_quiescent();
    return busy;
}

void test_node_run(struct test_node *n)
{
    unsigned rounds = 0;
    for (bool busy = true; busy;) {
        CHECK(rounds++ < ROUNDS_MAX);
        busy = false;
        for (unsigned i = 0; i < n->node.lcore_count; i++)
            busy |= lcore_loop(n, &n->lcores[i]);
        qsbr_quiescent();
    }
}

struct test_client *test_connect(struct test_node *n, unsigned lcore)
{
    char peer[64];
    struct test_client *c = calloc(1, sizeof(*c));
    CHECK(c);
    snprintf(peer, sizeof(peer), "10.0.0.1:%u", 1001 + n->clients_ever++);
    c->node = n;
    c->lcore = lcore;
    c->stream = test_stream_new(peer);
    c->next = n->clients;
    n->clients = c;
    session_new(test_worker(n, lcore), &c->stream->stream);
    return c;
}

bool test_is_closed(const struct test_client *c)
{
    return c->stream->closed || c->stream->aborted;
}

bool test_is_waiting(const struct test_client *c)
{
    const struct session *s = c->stream->stream.user;
    return s && s->flags & SESSION_PARKED;
}

void test_send(struct test_client *c, const void *data, size_t len)
{
    test_stream_push(c->stream, data, len);
    test_node_run(c->node);
}

void test_send_pieces(struct test_client *c, const void *data, size_t len, size_t step)
{
    for (size_t at = 0; at < len; at += step)
        test_send(c, (const uint8_t *)data + at, step < len - at ? step : len - at);
}

const char *test_replies(struct test_client *c, size_t *len)
{
    free(c->node->replies);
    c->node->replies = test_stream_take(c->stream, len);
    return c->node->replies;
}

void test_node_disconnect(struct test_node *n)
{
    for (struct test_client *c = n->clients; c; c = c->next)
        test_stream_reset(c->stream);
    test_node_run(n);
    CHECK(atomic_load(&n->node.client_count) == 0);
    CHECK(channels_count(n->node.channels, CHANNEL_NAME) == 0);
    CHECK(channels_count(n->node.channels, CHANNEL_PATTERN) == 0);
    for (unsigned i = 0; i < n->node.lcore_count; i++)
        CHECK(atomic_load(&test_worker(n, i)->publish_in_flight_bytes) == 0);
    while (n->clients) {
        struct test_client *c = n->clients;
        n->clients = c->next;
        test_stream_free(c->stream);
        free(c);
    }
}

void test_node_free(struct test_node *n)
{
    test_node_disconnect(n);
    for (unsigned i = 0; i < n->node.lcore_count; i++) {
        struct worker *w = test_worker(n, i);
        worker_tables_free(w);
        ks_free(w->ks);
        mailbox_fini(&w->mailbox);
    }
    keyspace_free(n->keyspace);
    qsbr_unregister();
    config_unpublish();
    free(n->replies);
    free(n);
}
