#include "link_stream.h"
#include <stdlib.h>
#include <string.h>
#include "check.h"

struct link_stream {
    struct link *link;
    struct lcore *lcore;
    struct stream *stream;           /* NULL: an offer */
    struct link_stream *next, *prev; /* all of the lcore */
    bool connecting;
    bool in_is_here;  /* ours to fill */
    bool out_is_here; /* held back: TCP has enough */
    bool eof;         /* the peer sends no more */
    bool eof_posted;
};

/* ---- offers ---- */

static struct link_stream *offer_find(const struct lcore *l, uint16_t port)
{
    for (struct link_stream *ls = l->link_streams; ls; ls = ls->next) {
        if (!ls->stream && ls->link->port == port)
            return ls;
    }
    return NULL;
}

static void offers_follow(struct lcore *l, uint16_t port)
{
    if (!offer_find(l, port))
        tcp_unlisten(l->tcp, port);
}

/* ---- life ---- */

static void stream_free(struct link_stream *ls)
{
    struct lcore *l = ls->lcore;
    if (ls->prev)
        ls->prev->next = ls->next;
    else
        l->link_streams = ls->next;
    if (ls->next)
        ls->next->prev = ls->prev;
    if (!ls->stream)
        offers_follow(l, ls->link->port);
    ls->link->lcore_state = NULL;
    free(ls);
}

static void link_gone(struct link *link, enum stream_end why)
{
    link->why = why;
    link_mail_post_control(&link->gone);
}

/* ---- bytes ---- */

static void in_post(struct link_stream *ls)
{
    struct link_buffer *in = &ls->link->in;
    const struct stream_ops *ops = ls->stream->ops;
    struct slice piece;
    size_t len = 0;
    if (!ls->in_is_here || ls->eof_posted)
        return;
    while (len < sizeof(in->data) && (piece = ops->peek(ls->stream)).len > 0) {
        size_t room = sizeof(in->data) - len;
        size_t take = piece.len < room ? piece.len : room;
        memcpy(in->data + len, piece.data, take);
        ops->consume(ls->stream, take);
        len += take;
    }
    if (len == 0 && !ls->eof)
        return;
    in->len = len;
    ls->eof_posted = len == 0;
    ls->in_is_here = false;
    link_mail_post_control(&in->mail);
}

static void out_return(struct link_stream *ls)
{
    if (!ls->out_is_here || ls->stream->out.len >= LINK_OUT_MAX)
        return;
    ls->out_is_here = false;
    link_mail_post_control(&ls->link->out.mail);
}

/* ---- what TCP tells ---- */

static void connected_post(struct link_stream *ls)
{
    ls->connecting = false;
    ls->stream->ops->name_peer(ls->stream, ls->link->peer);
    ls->stream->ops->name_local(ls->stream, ls->link->local);
    link_mail_post_control(&ls->link->connected);
}

static void on_connected(struct stream *s)
{
    connected_post(s->user);
}

static void on_readable(struct stream *s)
{
    in_post(s->user);
}

static void on_drained(struct stream *s)
{
    out_return(s->user);
}

static void on_eof(struct stream *s)
{
    struct link_stream *ls = s->user;
    ls->eof = true;
    in_post(ls);
}

static void on_ended(struct stream *s, enum stream_end why)
{
    struct link_stream *ls = s->user;
    struct link *link = ls->link;
    stream_free(ls);
    link_gone(link, why);
}

static const struct stream_user_ops link_user_ops = {
    .connected = on_connected,
    .readable = on_readable,
    .drained = on_drained,
    .eof = on_eof,
    .ended = on_ended,
};

static bool on_accept(void *arg, struct stream *s)
{
    struct lcore *l = arg;
    struct flow_tuple tuple;
    tcp_stream_tuple(s, &tuple);
    struct link_stream *ls = offer_find(l, tuple.local_port);
    if (!ls)
        return false;
    ls->stream = s;
    s->user = ls;
    s->user_ops = &link_user_ops;
    memcpy(ls->link->address, tuple.remote.b, sizeof(ls->link->address));
    connected_post(ls);
    offers_follow(l, tuple.local_port);
    return true;
}

/* ---- what control tells ---- */

static bool stream_start(struct link_stream *ls)
{
    struct lcore *l = ls->lcore;
    struct link *link = ls->link;
    if (link->listen)
        return offer_find(l, link->port) || tcp_listen(l->tcp, link->port, on_accept, l);
    struct ip_addr address;
    memcpy(address.b, link->address, sizeof(address.b));
    ls->connecting = true;
    ls->stream = tcp_connect(l->tcp, &address, link->port, 0, &link_user_ops, ls);
    return ls->stream != NULL;
}

static void mail_open(struct link *link, struct lcore *l)
{
    struct link_stream *ls = calloc(1, sizeof(*ls));
    if (!ls) {
        link_gone(link, STREAM_END_ABORTED);
        return;
    }
    *ls = (struct link_stream){.link = link, .lcore = l, .in_is_here = true};
    if (!stream_start(ls)) {
        free(ls);
        link_gone(link, link->listen ? STREAM_END_REFUSED : STREAM_END_UNREACHABLE);
        return;
    }
    link->lcore_state = ls;
    ls->next = l->link_streams;
    if (ls->next)
        ls->next->prev = ls;
    l->link_streams = ls;
}

static void mail_out(struct link_stream *ls)
{
    struct link_buffer *out = &ls->link->out;
    outbuf_append(&ls->stream->out, out->data, out->len);
    ls->stream->ops->kick(ls->stream);
    ls->out_is_here = true;
    out_return(ls);
}

static void mail_in(struct link_stream *ls)
{
    ls->in_is_here = true;
    in_post(ls);
}

/* A connection that control has not waited for: is anybody there at all? */
static enum stream_end late_why(const struct link_stream *ls)
{
    struct ip_addr address;
    memcpy(address.b, ls->link->address, sizeof(address.b));
    if (ls->connecting && !netif_reachable(ls->lcore->net, &address))
        return STREAM_END_UNREACHABLE;
    return STREAM_END_TIMEOUT;
}

static void stream_end(struct link_stream *ls, bool aborted)
{
    struct stream *s = ls->stream;
    ls->link->why = late_why(ls);
    stream_free(ls);
    if (s && aborted)
        s->ops->abort(s);
    else if (s)
        s->ops->close(s);
}

void link_stream_mail(struct link *link, struct link_mail *mail, void *worker)
{
    struct link_stream *ls = link->lcore_state;
    if (mail == &link->open) {
        mail_open(link, container_from((struct worker *)worker, struct lcore, worker));
    } else if (mail == &link->end) {
        if (ls)
            stream_end(ls, link->aborted);
        link_mail_post_control(&link->released);
    } else if (ls && mail == &link->in.mail) {
        mail_in(ls);
    } else if (ls) {
        mail_out(ls);
    }
}

void link_streams_end(struct lcore *l)
{
    while (l->link_streams) {
        struct link *link = l->link_streams->link;
        stream_end(l->link_streams, true);
        link_gone(link, STREAM_END_ABORTED);
    }
}

void link_streams_free(struct lcore *l)
{
    while (l->link_streams)
        stream_end(l->link_streams, true);
}
