#include "session.h"
#include <stdlib.h>
#include "check.h"
#include "gather.h"
#include "session_private.h"
#include "subscribe.h"
#include "transaction.h"

#define BY_ID_SIZE_FIRST 16

_Static_assert(sizeof(struct session) <= 256, "an idle session is small");

void (*session_wake)(struct session *s);

struct session_list *session_list_new(void)
{
    struct session_list *l = calloc(1, sizeof(*l));
    CHECK(l);
    l->by_id_size = BY_ID_SIZE_FIRST;
    l->by_id = calloc(l->by_id_size, sizeof(*l->by_id));
    CHECK(l->by_id);
    return l;
}

static void by_id_grow(struct session_list *l)
{
    uint32_t size = l->by_id_size * 2;
    struct session **table = calloc(size, sizeof(*table));
    CHECK(table);
    for (uint32_t i = 0; i < l->by_id_size; i++) {
        while (l->by_id[i]) {
            struct session *s = l->by_id[i];
            l->by_id[i] = s->id_next;
            s->id_next = table[s->id & (size - 1)];
            table[s->id & (size - 1)] = s;
        }
    }
    free(l->by_id);
    l->by_id = table;
    l->by_id_size = size;
}

static void list_add(struct session_list *l, struct session *s)
{
    s->next = NULL;
    s->prev = l->last;
    if (l->last)
        l->last->next = s;
    else
        l->first = s;
    l->last = s;
    if (++l->count > l->by_id_size)
        by_id_grow(l);
    s->id_next = l->by_id[s->id & (l->by_id_size - 1)];
    l->by_id[s->id & (l->by_id_size - 1)] = s;
}

static void list_remove(struct session_list *l, struct session *s)
{
    if (l->cron_next == s)
        l->cron_next = s->next;
    for (struct session_walk *walk = l->walks; walk; walk = walk->link) {
        if (walk->next == s)
            walk->next = s->next;
    }
    if (s->prev)
        s->prev->next = s->next;
    else
        l->first = s->next;
    if (s->next)
        s->next->prev = s->prev;
    else
        l->last = s->prev;
    struct session **place = &l->by_id[s->id & (l->by_id_size - 1)];
    while (*place != s)
        place = &(*place)->id_next;
    *place = s->id_next;
    l->count--;
}

/* ---- what the stream tells ---- */

/* A session that waits is woken when its wait ends. */
static void wake_unless_waiting(struct session *s)
{
    if (!(s->flags & (SESSION_CLOSING | SESSION_PARKED | SESSION_PAUSED)))
        session_wake(s);
}

static void on_readable(struct stream *stream)
{
    wake_unless_waiting(stream->user);
}

static void on_drained(struct stream *stream)
{
    struct session *s = stream->user;
    if (s->output_soft_since_s)
        session_check_output(s);
}

static void on_eof(struct stream *stream)
{
    struct session *s = stream->user;
    s->flags |= SESSION_EOF;
    wake_unless_waiting(s);
}

static void on_ended(struct stream *stream, enum stream_end why)
{
    struct session *s = stream->user;
    s->stream = NULL;
    s->reply.muted = true;
    session_close(s, false);
}

static const struct stream_user_ops session_stream_ops = {
    .readable = on_readable,
    .drained = on_drained,
    .eof = on_eof,
    .ended = on_ended,
};

/* ---- life ---- */

static bool client_admit(struct worker *w)
{
    uint32_t before = atomic_fetch_add_explicit(&w->node->client_count, 1, memory_order_relaxed);
    if (before < (uint64_t)w->config->maxclients)
        return true;
    atomic_fetch_sub_explicit(&w->node->client_count, 1, memory_order_relaxed);
    return false;
}

static void client_refuse(struct stream *stream)
{
    static const char text[] = "-ERR max number of clients reached\r\n";
    metric_inc(connections_rejected);
    stream->user = NULL;
    outbuf_append(&stream->out, text, sizeof(text) - 1);
    stream->ops->kick(stream);
    stream->ops->close(stream);
}

struct session *session_new(struct worker *w, struct stream *stream)
{
    if (!client_admit(w)) {
        client_refuse(stream);
        return NULL;
    }
    struct session *s = calloc(1, sizeof(*s));
    CHECK(s);
    metric_inc(connections_received);
    s->stream = stream;
    s->worker = w;
    s->reply = (struct reply){.out = &stream->out, .protocol = 2, .errors = w->errors};
    resp_parser_init(&s->parser);
    if (w->config->requirepass[0] == '\0')
        s->flags |= SESSION_AUTHENTICATED;
    if (stream->kind == STREAM_UNIX)
        s->flags |= SESSION_UNIX;
    s->id = 1 + atomic_fetch_add_explicit(&w->node->next_client_id, 1, memory_order_relaxed);
    s->created_ms = w->now_ms;
    s->last_active_us = w->now_us;
    stream->user = s;
    stream->user_ops = &session_stream_ops;
    list_add(w->sessions, s);
    return s;
}

void session_close(struct session *s, bool after_reply)
{
    if (after_reply)
        s->flags |= SESSION_CLOSE_AFTER_REPLY;
    else
        s->flags &= ~(uint32_t)SESSION_CLOSE_AFTER_REPLY;
    if (s->flags & SESSION_CLOSING)
        return;
    s->flags |= SESSION_CLOSING;
    s->closing_next = s->worker->sessions->closing;
    s->worker->sessions->closing = s;
}

/* ---- waiting ---- */

void session_park(struct session *s, void *what, void (*cancel)(struct session *s))
{
    CHECK(!(s->flags & SESSION_PARKED));
    s->flags |= SESSION_PARKED;
    s->parked = what;
    s->parked_cancel = cancel;
}

static void wake_if_pending(struct session *s)
{
    if (s->flags & SESSION_EOF || session_input_pending(s))
        wake_unless_waiting(s);
}

void session_reply_mode_apply(struct session *s)
{
    s->reply.muted = !s->stream || s->flags & (SESSION_REPLY_OFF | SESSION_REPLY_SKIP);
}

void session_reply_mode_advance(struct session *s)
{
    s->flags &= ~(uint32_t)SESSION_REPLY_SKIP;
    if (s->flags & SESSION_REPLY_SKIP_NEXT) {
        s->flags &= ~(uint32_t)SESSION_REPLY_SKIP_NEXT;
        s->flags |= SESSION_REPLY_SKIP;
    }
    session_reply_mode_apply(s);
}

void session_unpark(struct session *s)
{
    CHECK(s->flags & SESSION_PARKED);
    s->flags &= ~(uint32_t)SESSION_PARKED;
    s->parked = NULL;
    s->parked_cancel = NULL;
    if (likely_false(s->flags & (SESSION_REPLY_SKIP | SESSION_REPLY_SKIP_NEXT)))
        session_reply_mode_advance(s);
    wake_if_pending(s);
}

void session_pause(struct session *s)
{
    CHECK(!(s->flags & SESSION_PAUSED));
    s->flags |= SESSION_PAUSED;
    s->worker->sessions->paused++;
}

void session_hold(struct session *s)
{
    struct session_list *l = s->worker->sessions;
    session_pause(s);
    s->held_next = NULL;
    *(l->held ? l->held_end : &l->held) = s;
    l->held_end = &s->held_next;
}

static bool pause_is_over(const struct worker *w)
{
    return atomic_load_explicit(&w->node->pause_until_ms, memory_order_acquire) <= w->now_ms;
}

static void session_resume(struct session *s)
{
    s->flags &= ~(uint32_t)SESSION_PAUSED;
    s->worker->sessions->paused--;
    wake_if_pending(s);
}

/* ---- its end ---- */

void session_reset(struct session *s)
{
    transaction_discard(s);
    subscriptions_drop(s);
    free(s->name);
    s->name = NULL;
    s->reply.protocol = 2;
    s->flags &= ~(uint32_t)(SESSION_REPLY_OFF | SESSION_REPLY_SKIP_NEXT | SESSION_NO_EVICT |
                            SESSION_ASKING | SESSION_READONLY |
                            SESSION_NO_TOUCH);
}

/* In order: what is queued is sent, then FIN, which is repeated until it arrives. Bytes that nobody
 * will read are taken first, for a TCP that closes over unread bytes resets (RFC 1122, 4.2.2.13).
 */
static void stream_end_in_order(struct stream *stream)
{
    struct slice piece;
    while ((piece = stream->ops->peek(stream)).len > 0)
        stream->ops->consume(stream, piece.len);
    stream->ops->close(stream);
}

static void session_end(struct session *s)
{
    struct session_list *l = s->worker->sessions;
    if (s->flags & SESSION_PARKED && s->parked_cancel)
        s->parked_cancel(s);
    if (s->flags & SESSION_PAUSED)
        l->paused--;
    transaction_discard(s);
    subscriptions_drop(s);
    list_remove(l, s);
    atomic_fetch_sub_explicit(&s->worker->node->client_count, 1, memory_order_relaxed);
    if (s->stream) {
        s->stream->user = NULL;
        if (s->flags & SESSION_CLOSE_AFTER_REPLY)
            stream_end_in_order(s->stream);
        else
            s->stream->ops->abort(s->stream);
    }
    resp_parser_free(&s->parser);
    if (!(s->flags & SESSION_QUERY_KEPT))
        free(s->query);
    free(s->name);
    free(s);
}

/* Before closing ones are freed: they may be among them. */
static void held_go_on(struct session_list *l)
{
    struct session *next;
    for (struct session *s = l->held; s; s = next) {
        next = s->held_next;
        s->held_next = NULL;
        if (s->flags & SESSION_PAUSED)
            session_resume(s);
    }
    l->held = NULL;
}

void session_reap(struct worker *w)
{
    struct session **place = &w->sessions->closing;
    w->sessions->rounds++;
    if (likely_false(w->sessions->held != NULL))
        held_go_on(w->sessions);
    while (likely_false(*place != NULL)) {
        struct session *s = *place;
        if (s->flags & (SESSION_READABLE | SESSION_BUSY)) {
            place = &s->closing_next;
            continue;
        }
        *place = s->closing_next;
        session_end(s);
    }
}

void session_list_free(struct session_list *l)
{
    if (!l)
        return;
    while (l->first) {
        l->first->stream = NULL;
        session_end(l->first);
    }
    free(l->by_id);
    free(l);
}

/* ---- from time to time ---- */

static void cron_one(struct session *s)
{
    struct worker *w = s->worker;
    if (s->flags & SESSION_CLOSING)
        return;
    if (s->flags & SESSION_PAUSED && pause_is_over(w))
        session_resume(s);
    if (s->output_soft_since_s)
        session_check_output(s);
    int64_t timeout_s = w->config->timeout_s;
    if (timeout_s > 0 && !(s->flags & (SESSION_PUBSUB | SESSION_PARKED | SESSION_PAUSED)) &&
        w->now_us - s->last_active_us > (uint64_t)timeout_s * 1000000)
        session_close(s, true);
}

/* So that each is looked at about once a second, and all at once when a pause is over. */
#define CRON_SESSIONS_MAX 1024
#define CRON_PAUSE_OVER_MAX 16384

static uint32_t cron_budget(const struct worker *w, uint32_t budget)
{
    const struct session_list *l = w->sessions;
    uint32_t share = l->count / (uint32_t)w->config->hz, most = CRON_SESSIONS_MAX;
    if (l->paused && pause_is_over(w))
        share = most = CRON_PAUSE_OVER_MAX;
    if (budget < share)
        budget = share < most ? share : most;
    return budget < l->count ? budget : l->count;
}

void session_cron(struct worker *w, uint32_t budget)
{
    struct session_list *l = w->sessions;
    for (budget = cron_budget(w, budget); budget > 0; budget--) {
        struct session *s = l->cron_next ? l->cron_next : l->first;
        l->cron_next = s->next;
        cron_one(s);
    }
}

void session_flush(struct session *s)
{
    if (!s->stream || s->stream->out.len == 0)
        return;
    s->stream->ops->kick(s->stream);
    session_check_output(s);
}

/* ---- finding ---- */

struct session *session_by_id(struct worker *w, uint64_t id)
{
    struct session_list *l = w->sessions;
    struct session *s = l->by_id[id & (l->by_id_size - 1)];
    while (s && s->id != id)
        s = s->id_next;
    return s && !(s->flags & SESSION_CLOSING) ? s : NULL;
}

void session_each(struct worker *w, void (*each)(void *arg, struct session *s), void *arg)
{
    for (struct session *s = w->sessions->first; s; s = s->next) {
        if (!(s->flags & SESSION_CLOSING))
            each(arg, s);
    }
}

uint32_t session_count(const struct worker *w)
{
    return w->sessions->count;
}
