#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "load_client.h"
#include "stream.h"

#define PIPELINE_MAX 1024
#define KEY_BYTES 11 /* "key:" and seven digits */

struct load_client {
    struct load *load;
    struct stream *stream;
    struct reply_count replies;
    uint64_t expected; /* replies.replies when the pipeline is answered */
    uint64_t sent_us;
};

bool load_plan_valid(const struct load_plan *p)
{
    return p->pipeline >= 1 && p->pipeline <= PIPELINE_MAX && p->keys >= 1 && p->keys <= 9999999 &&
           p->value_bytes <= 8000;
}

bool load_init(struct load *l, const struct load_plan *plan, unsigned clients)
{
    l->plan = *plan;
    if (plan->fill)
        l->plan.command = LOAD_SET;
    rng_seed(&l->rng, 42);
    l->client_max = clients;
    l->clients = calloc(clients, sizeof(*l->clients));
    l->value = malloc(plan->value_bytes + 1);
    if (l->clients == NULL || l->value == NULL)
        return false;
    memset(l->value, 'v', plan->value_bytes);
    return true;
}

static void put_key(uint8_t *at, uint64_t number)
{
    memcpy(at, "key:", 4);
    for (int i = KEY_BYTES - 1; i >= 4; i--) {
        at[i] = (uint8_t)('0' + number % 10);
        number /= 10;
    }
}

static uint64_t next_key(struct load *l)
{
    return l->plan.fill ? l->filled++ : rng_below(&l->rng, l->plan.keys);
}

static void queue_command(struct load *l, struct outbuf *out)
{
    static const char ping[] = "*1\r\n$4\r\nPING\r\n", get[] = "*2\r\n$3\r\nGET\r\n$11\r\n",
                      set[] = "*3\r\n$3\r\nSET\r\n$11\r\n";
    if (l->plan.command == LOAD_PING) {
        outbuf_append(out, ping, sizeof(ping) - 1);
        return;
    }
    const char *head = l->plan.command == LOAD_GET ? get : set;
    size_t head_len = sizeof(get) - 1;
    uint8_t *at = outbuf_reserve_exact(out, head_len + KEY_BYTES + 2);
    memcpy(at, head, head_len);
    put_key(at + head_len, next_key(l));
    memcpy(at + head_len + KEY_BYTES, "\r\n", 2);
    outbuf_commit(out, head_len + KEY_BYTES + 2);
    if (l->plan.command == LOAD_SET) {
        char length[24];
        int n = snprintf(length, sizeof(length), "$%u\r\n", l->plan.value_bytes);
        outbuf_append(out, length, (size_t)n);
        outbuf_append(out, l->value, l->plan.value_bytes);
        outbuf_append(out, "\r\n", 2);
    }
}

static void send_pipeline(struct load_client *c)
{
    struct load *l = c->load;
    unsigned n = l->plan.pipeline;
    if (l->plan.fill && l->plan.keys - l->filled < n)
        n = (unsigned)(l->plan.keys - l->filled);
    if (n == 0) {
        l->resting++;
        return;
    }
    for (unsigned i = 0; i < n; i++)
        queue_command(l, &c->stream->out);
    c->expected += n;
    c->sent_us = l->now_us;
    c->stream->ops->kick(c->stream);
}

static void client_connected(struct stream *s)
{
    struct load_client *c = s->user;
    c->load->connected++;
}

static void client_readable(struct stream *s)
{
    struct load_client *c = s->user;
    struct load *l = c->load;
    struct slice piece;
    uint64_t before = c->replies.replies, errors = c->replies.errors;
    while ((piece = s->ops->peek(s)).len > 0) {
        if (!reply_count_feed(&c->replies, piece.data, piece.len)) {
            fprintf(stderr, "loadgen: a reply is not RESP\n");
            l->broken++;
            s->ops->abort(s);
            return;
        }
        s->ops->consume(s, piece.len);
    }
    l->replies += c->replies.replies - before;
    l->counted.errors += c->replies.errors - errors;
    if (c->replies.replies < c->expected)
        return;
    histogram_add(&l->latency_us, l->now_us - c->sent_us);
    if (l->running)
        send_pipeline(c);
}

static void client_drained(struct stream *s)
{
}

static void client_eof(struct stream *s)
{
    struct load_client *c = s->user;
    c->load->broken++;
    s->ops->abort(s);
}

static void client_ended(struct stream *s, enum stream_end why)
{
    struct load_client *c = s->user;
    c->load->broken++;
    fprintf(stderr, "loadgen: a connection ended (%d)\n", (int)why);
}

static const struct stream_user_ops client_ops = {client_connected, client_readable, client_drained,
                                                  client_eof, client_ended};

bool load_client_open(struct load *l, struct tcp *tcp, const struct ip_addr *server, uint16_t port)
{
    CHECK(l->client_count < l->client_max);
    struct load_client *c = &l->clients[l->client_count];
    c->load = l;
    c->stream = tcp_connect(tcp, server, port, 0, &client_ops, c);
    if (c->stream == NULL)
        return false;
    l->client_count++;
    return true;
}

void load_start(struct load *l)
{
    l->running = true;
    l->start_us = l->now_us;
    for (unsigned i = 0; i < l->client_count; i++)
        send_pipeline(&l->clients[i]);
}

bool load_finished(const struct load *l)
{
    return l->plan.fill && l->resting == l->client_count;
}

void load_stop(struct load *l)
{
    l->running = false;
    l->stop_us = l->now_us;
    for (unsigned i = 0; i < l->client_count; i++) {
        struct stream *s = l->clients[i].stream;
        if (l->broken == 0)
            s->ops->abort(s);
    }
}

void load_print(const struct load *l)
{
    double seconds = (double)(l->stop_us - l->start_us) / 1e6;
    printf("loadgen requests %.0f req/s\n", seconds > 0 ? (double)l->replies / seconds : 0);
    printf("loadgen p50 %lu us\n", histogram_percentile(&l->latency_us, 50));
    printf("loadgen p99 %lu us\n", histogram_percentile(&l->latency_us, 99));
    printf("loadgen p99.9 %lu us\n", histogram_percentile(&l->latency_us, 99.9));
    printf("loadgen errors %lu replies\n", l->counted.errors);
}
