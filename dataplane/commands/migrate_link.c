#include "migrate_link.h"
#include <stdlib.h>
#include <string.h>
#include "check.h"

/* ---- idle ones ---- */

static void idle_count(struct worker *w, int delta)
{
    atomic_fetch_add_explicit(&w->node->migrate_links_idle, (uint32_t)delta, memory_order_relaxed);
}

static void idle_remove(struct migrate_link **at)
{
    struct migrate_link *link = *at;
    *at = link->next;
    idle_count(link->worker, -1);
}

static struct migrate_link *idle_take(struct worker *w, const uint8_t address[16], uint16_t port)
{
    for (struct migrate_link **at = &w->migrate_links; *at; at = &(*at)->next) {
        struct migrate_link *link = *at;
        if (link->port == port && memcmp(link->address, address, 16) == 0) {
            idle_remove(at);
            return link;
        }
    }
    return NULL;
}

/* One that nobody uses has ended, or its peer talks unasked. */
static void idle_drop(struct migrate_link *link)
{
    struct migrate_link **at = &link->worker->migrate_links;
    while (*at != link)
        at = &(*at)->next;
    idle_remove(at);
    migrate_link_close(link);
}

/* ---- what TCP tells ---- */

static void event(struct migrate_link *link)
{
    if (link->event)
        link->event(link->user);
    else
        idle_drop(link);
}

static void on_connected(struct stream *s)
{
    struct migrate_link *link = s->user;
    link->connected = true;
    event(link);
}

static void on_bytes(struct stream *s)
{
    event(s->user);
}

static void on_drained(struct stream *s)
{
    struct migrate_link *link = s->user;
    if (link->event)
        event(link);
}

static void on_eof(struct stream *s)
{
    struct migrate_link *link = s->user;
    link->stream = NULL;
    link->why = STREAM_END_CLOSED;
    s->ops->abort(s);
    event(link);
}

static void on_ended(struct stream *s, enum stream_end why)
{
    struct migrate_link *link = s->user;
    link->stream = NULL;
    link->why = why;
    event(link);
}

static const struct stream_user_ops migrate_user_ops = {
    .connected = on_connected,
    .readable = on_bytes,
    .drained = on_drained,
    .eof = on_eof,
    .ended = on_ended,
};

/* ---- life ---- */

struct migrate_link *migrate_link_open(struct worker *w, const uint8_t address[16], uint16_t port,
                                       void (*on_event)(void *user), void *user)
{
    struct migrate_link *link = idle_take(w, address, port);
    if (!link && w->connect && (link = calloc(1, sizeof(*link)))) {
        link->worker = w;
        link->port = port;
        link->database = -1;
        memcpy(link->address, address, 16);
        link->stream = w->connect(w, address, port, &migrate_user_ops, link);
        if (!link->stream) {
            free(link);
            return NULL;
        }
    }
    if (link) {
        link->event = on_event;
        link->user = user;
        link->next = NULL;
    }
    return link;
}

void migrate_link_close(struct migrate_link *link)
{
    if (link->stream)
        link->stream->ops->abort(link->stream);
    free(link);
}

void migrate_link_keep(struct migrate_link *link)
{
    struct worker *w = link->worker;
    if (!link->stream || link->line_len > 0 || link->stream->ops->peek(link->stream).len > 0) {
        migrate_link_close(link);
        return;
    }
    link->event = NULL;
    link->idle_since_us = w->now_us;
    link->next = w->migrate_links;
    w->migrate_links = link;
    idle_count(w, 1);
    unsigned count = 0;
    for (struct migrate_link **at = &w->migrate_links; *at; at = &(*at)->next) {
        if (++count > MIGRATE_LINKS_IDLE_MAX) {
            idle_drop(*at);
            return;
        }
    }
}

enum migrate_line migrate_link_read(struct migrate_link *link)
{
    for (;;) {
        struct slice piece = slice_from(NULL, 0);
        if (link->stream)
            piece = link->stream->ops->peek(link->stream);
        if (piece.len == 0)
            return MIGRATE_LINE_NONE;
        const uint8_t *end = memchr(piece.data, '\n', piece.len);
        size_t len = end ? (size_t)(end - piece.data) : piece.len;
        if (len > MIGRATE_LINE_MAX - link->line_len)
            return MIGRATE_LINE_INVALID;
        memcpy(link->line + link->line_len, piece.data, len);
        link->line_len += len;
        link->stream->ops->consume(link->stream, len + (end != NULL));
        if (!end)
            continue;
        if (link->line_len > 0 && link->line[link->line_len - 1] == '\r')
            link->line_len--;
        link->line[link->line_len] = '\0';
        link->line_len = 0;
        return MIGRATE_LINE_READ;
    }
}

void migrate_links_cron(struct worker *w)
{
    struct migrate_link **at = &w->migrate_links;
    while (*at) {
        struct migrate_link *link = *at;
        if (w->now_us - link->idle_since_us < MIGRATE_LINK_IDLE_US) {
            at = &link->next;
            continue;
        }
        idle_remove(at);
        migrate_link_close(link);
    }
}

void migrate_links_free(struct worker *w)
{
    while (w->migrate_links)
        idle_drop(w->migrate_links);
}
