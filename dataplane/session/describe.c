#include "session.h"
#include <stdio.h>
#include <stdlib.h>
#include "check.h"
#include "subscribe.h"
#include "transaction.h"

size_t session_mem_bytes(const struct session *s)
{
    size_t bytes = sizeof(*s) + s->query_size + resp_parser_mem_bytes(&s->parser) +
                   transaction_mem_bytes(s) + subscriptions_mem_bytes(s);
    if (s->stream)
        bytes += s->stream->out.mem_bytes;
    return bytes;
}

/* One letter each, as Redis; "N" when there is none. */
static void describe_flags(const struct session *s, char *to)
{
    char *at = to;
    bool dirty =
        s->transaction && atomic_load_explicit(&s->transaction->dirty, memory_order_relaxed);
    if (s->flags & SESSION_PUBSUB)
        *at++ = 'P';
    if (s->flags & SESSION_MULTI)
        *at++ = 'x';
    if (s->flags & SESSION_PAUSED)
        *at++ = 'b'; /* parked ones have their answer on its way: nobody would call that blocked */
    if (dirty)
        *at++ = 'd';
    if (s->flags & SESSION_CLOSE_AFTER_REPLY)
        *at++ = 'c';
    if (s->flags & SESSION_UNIX)
        *at++ = 'U';
    if (s->flags & SESSION_NO_EVICT)
        *at++ = 'e';
    if (at == to)
        *at++ = 'N';
    *at = '\0';
}

struct describe_sizes {
    size_t query, query_free, arguments, transaction;
    size_t out, out_mem, blocks, total;
};

static struct describe_sizes describe_sizes_of(const struct session *s)
{
    const struct outbuf *out = s->stream ? &s->stream->out : NULL;
    return (struct describe_sizes){
        .query = s->query_len - s->query_pos,
        .query_free = s->query_size - s->query_len,
        .arguments = resp_parser_mem_bytes(&s->parser),
        .transaction = transaction_mem_bytes(s),
        .out = out ? out->len : 0,
        .out_mem = out ? out->mem_bytes : 0,
        .blocks = out ? out->block_count : 0,
        .total = session_mem_bytes(s),
    };
}

#define DESCRIBE_ROOM 1024

char *session_describe(const struct session *s)
{
    char peer[STREAM_NAME_SIZE] = "?:0", local[STREAM_NAME_SIZE] = "?:0", flags[16];
    if (s->stream) {
        s->stream->ops->name_peer(s->stream, peer);
        s->stream->ops->name_local(s->stream, local);
    }
    describe_flags(s, flags);
    struct describe_sizes n = describe_sizes_of(s);
    const char *name = s->name ? s->name : "";
    size_t room = DESCRIBE_ROOM + strlen(name);
    char *text = malloc(room);
    CHECK(text);
    int64_t age_ms = s->worker->now_ms - s->created_ms;
    snprintf(
        text, room,
        "id=%llu addr=%s laddr=%s fd=-1 name=%s age=%lld idle=%llu flags=%s db=0 sub=%u psub=%u "
        "ssub=%u multi=%d qbuf=%zu qbuf-free=%zu argv-mem=%zu multi-mem=%zu rbs=0 rbp=0 obl=%zu "
        "oll=%zu omem=%zu tot-mem=%zu events=%s cmd=%s user=default redir=-1 resp=%u",
        (unsigned long long)s->id, peer, local, name, (long long)(age_ms > 0 ? age_ms / 1000 : 0),
        (unsigned long long)((s->worker->now_us - s->last_active_us) / 1000000), flags,
        subscriptions_count(s, CHANNEL_NAME), subscriptions_count(s, CHANNEL_PATTERN),
        subscriptions_count(s, CHANNEL_SHARD),
        s->flags & SESSION_MULTI ? (int)s->transaction->count : -1, n.query, n.query_free,
        n.arguments, n.transaction, n.out, n.blocks, n.out_mem, n.total, n.out > 0 ? "rw" : "r",
        s->last_command ? s->last_command : "NULL", s->reply.protocol);
    return text;
}
