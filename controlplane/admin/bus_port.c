#include "bus_port.h"
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "config.h"
#include "log.h"
#include "metrics.h"

#define TABLE_SIZE 1024 /* chains of links by id */

enum conn_state {
    CONN_OPENING,
    CONN_UP,
    CONN_CUT,    /* by us, for a reason of its own: down() or failed() is still to be told */
    CONN_CLOSED, /* by the user, who hears no more */
};

struct bus_conn {
    struct bus_conn *next; /* of its chain */
    struct bus_port *port;
    struct stream *stream; /* NULL: it has ended, or never began */
    cluster_link_id id;
    enum conn_state state;
    bool was_up;
    bool reading; /* its frames are being handed out: it is freed afterwards */
    struct bus_framer framer;
};

struct bus_port {
    struct links *links;
    struct link_listener *listener;
    const struct bus_port_user *user;
    void *arg;
    uint64_t accepted; /* the next inbound id */
    unsigned lcore_next;
    unsigned cut_count; /* connections in state CUT */
    struct bus_conn *table[TABLE_SIZE];
};

/* ---- the table ---- */

static struct bus_conn **conn_place(struct bus_port *p, cluster_link_id id)
{
    struct bus_conn **at = &p->table[id % TABLE_SIZE];
    while (*at != NULL && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

static struct bus_conn *conn_new(struct bus_port *p, cluster_link_id id)
{
    struct bus_conn **at = conn_place(p, id);
    CHECK(*at == NULL);
    struct bus_conn *c = calloc(1, sizeof(*c));
    CHECK(c);
    c->port = p;
    c->id = id;
    bus_framer_init(&c->framer);
    *at = c;
    return c;
}

static void conn_free(struct bus_conn *c)
{
    struct bus_conn **at = conn_place(c->port, c->id);
    CHECK(*at == c && !c->reading);
    *at = c->next;
    if (c->state == CONN_CUT)
        c->port->cut_count--;
    if (c->stream != NULL && c->state == CONN_CLOSED)
        c->stream->ops->close(c->stream);
    else if (c->stream != NULL)
        c->stream->ops->abort(c->stream);
    bus_framer_free(&c->framer);
    free(c);
}

/* It is of no use any more; the user is told by the next tick. */
static void conn_cut(struct bus_conn *c)
{
    if (c->state == CONN_CUT || c->state == CONN_CLOSED)
        return;
    c->state = CONN_CUT;
    c->port->cut_count++;
}

/* ---- addresses ---- */

/* "10.0.0.1:4711" and "[fd00::1]:4711" without their port. */
static struct slice without_port(const char *name)
{
    const char *colon = strrchr(name, ':');
    size_t len = colon != NULL ? (size_t)(colon - name) : 0;
    if (len >= 2 && name[0] == '[')
        return slice_from(name + 1, len - 2);
    return slice_from(name, len);
}

static void tell_up(struct bus_conn *c)
{
    char local[STREAM_NAME_SIZE], peer[STREAM_NAME_SIZE];
    c->stream->ops->name_local(c->stream, local);
    c->stream->ops->name_peer(c->stream, peer);
    c->state = CONN_UP;
    c->was_up = true;
    c->port->user->up(c->port->arg, c->id, without_port(local), without_port(peer));
}

/* ---- receiving ---- */

static void refuse_frame(struct bus_conn *c, enum bus_verdict verdict, enum bus_reason why)
{
    if (verdict == BUS_IGNORE)
        return;
    metric_inc(bus_frames_refused);
    if (verdict != BUS_CLOSE)
        return;
    char peer[STREAM_NAME_SIZE];
    c->stream->ops->name_peer(c->stream, peer);
    log_notice("The cluster bus link with %s is closed: bad %s", peer, bus_reason_text(why));
    conn_cut(c);
}

static void take_frame(struct bus_conn *c, struct slice frame, const struct bus_limits *limits)
{
    struct bus_message message;
    enum bus_reason why;
    enum bus_verdict verdict = bus_decode(frame, limits, &message, &why);
    if (verdict == BUS_OK)
        c->port->user->frame(c->port->arg, c->id, &message);
    else
        refuse_frame(c, verdict, why);
}

static void take_piece(struct bus_conn *c, struct slice input)
{
    const struct bus_limits limits = {.frame_max = BUS_FRAME_MAX, .publish_max = BUS_PUBLISH_MAX};
    while (c->state == CONN_UP) {
        struct slice frame;
        enum bus_reason why;
        enum bus_verdict verdict = bus_framer_take(&c->framer, &input, &limits, &frame, &why);
        if (verdict == BUS_MORE)
            return;
        if (verdict == BUS_OK)
            take_frame(c, frame, &limits);
        else
            refuse_frame(c, verdict, why);
    }
}

static void on_readable(struct stream *s)
{
    struct bus_conn *c = s->user;
    struct slice piece;
    c->reading = true;
    while (c->state == CONN_UP && (piece = s->ops->peek(s)).len > 0) {
        take_piece(c, piece);
        if (c->state == CONN_UP)
            s->ops->consume(s, piece.len);
    }
    c->reading = false;
    if (c->state == CONN_CLOSED)
        conn_free(c);
}

/* ---- the streams' other calls ---- */

static void on_connected(struct stream *s)
{
    link_deadline(s, 0);
    tell_up(s->user);
}

static void on_drained(struct stream *s)
{
}

static void on_eof(struct stream *s)
{
    conn_cut(s->user);
}

static void on_ended(struct stream *s, enum stream_end why)
{
    struct bus_conn *c = s->user;
    c->stream = NULL;
    conn_cut(c);
}

static const struct stream_user_ops conn_user_ops = {on_connected, on_readable, on_drained, on_eof,
                                                     on_ended};

static bool accept_peer(void *arg, struct stream *s)
{
    struct bus_port *p = arg;
    struct bus_conn *c = conn_new(p, CLUSTER_LINK_INBOUND | ++p->accepted);
    c->stream = s;
    s->user = c;
    s->user_ops = &conn_user_ops;
    tell_up(c);
    return true;
}

/* ---- the port ---- */

struct bus_port *bus_port_new(struct links *links, const struct bus_port_user *user, void *arg)
{
    struct bus_port *p = calloc(1, sizeof(*p));
    CHECK(p);
    p->links = links;
    p->user = user;
    p->arg = arg;
    return p;
}

void bus_port_free(struct bus_port *p)
{
    if (p->listener != NULL)
        links_unlisten(p->listener);
    for (unsigned i = 0; i < TABLE_SIZE; i++) {
        while (p->table[i] != NULL)
            conn_free(p->table[i]);
    }
    free(p);
}

void bus_port_listen(struct bus_port *p, uint16_t port)
{
    p->listener = links_listen(p->links, port, accept_peer, p);
    if (p->listener == NULL)
        log_warning("The cluster bus cannot listen on port %u: out of memory or links", port);
}

/* Tells of one connection that was cut. False: there is none. */
static bool tell_cut(struct bus_port *p)
{
    for (unsigned i = 0; i < TABLE_SIZE; i++) {
        for (struct bus_conn *c = p->table[i]; c != NULL; c = c->next) {
            if (c->state != CONN_CUT || c->reading)
                continue;
            cluster_link_id id = c->id;
            bool was_up = c->was_up;
            conn_free(c);
            if (was_up)
                p->user->down(p->arg, id);
            else
                p->user->failed(p->arg, id);
            return true;
        }
    }
    return false;
}

void bus_port_tick(struct bus_port *p)
{
    while (p->cut_count > 0 && tell_cut(p))
        ;
}

void bus_port_open(struct bus_port *p, cluster_link_id id, const char *ip, uint16_t port,
                   uint64_t timeout_us)
{
    struct bus_conn *c = conn_new(p, id);
    struct link_target to = {.port = port, .timeout_us = timeout_us};
    unsigned lcores = links_lcore_count(p->links);
    if (lcores > 0 && link_address_parse(ip, to.address)) {
        to.lcore = p->lcore_next++ % lcores;
        c->stream = link_open(p->links, &to, &conn_user_ops, c);
    }
    if (c->stream == NULL)
        conn_cut(c);
}

void bus_port_close(struct bus_port *p, cluster_link_id id)
{
    struct bus_conn *c = *conn_place(p, id);
    if (c == NULL)
        return;
    if (c->state == CONN_CUT)
        p->cut_count--;
    c->state = CONN_CLOSED;
    if (!c->reading)
        conn_free(c);
}

void bus_port_send(struct bus_port *p, cluster_link_id id, struct slice frame)
{
    struct bus_conn *c = *conn_place(p, id);
    if (c == NULL || c->state != CONN_UP || c->stream == NULL)
        return;
    uint64_t limit = config_get()->cluster_link_sendbuf_limit_bytes;
    if (c->stream->out.len + frame.len > (limit > 0 ? limit : BUS_PORT_QUEUE_MAX)) {
        metric_inc(bus_links_overrun);
        log_warning("A cluster bus link is cut: more than its limit waits to be sent");
        conn_cut(c);
        return;
    }
    outbuf_append(&c->stream->out, frame.data, frame.len);
    c->stream->ops->kick(c->stream);
}

uint64_t bus_port_queued(const struct bus_port *p, cluster_link_id id)
{
    const struct bus_conn *c = *conn_place((struct bus_port *)(uintptr_t)p, id);
    return c != NULL && c->stream != NULL ? c->stream->out.len : 0;
}
