#include "unix_stream.h"
#include <stdio.h>
#include <stdlib.h>
#include "check.h"
#include "inbuf.h"
#include "session.h"

struct unix_stream {
    struct stream stream; /* first */
    struct worker *worker;
    struct unix_link *link;
    struct unix_stream *next, *prev; /* all of the worker */
    struct inbuf in;
    bool out_is_here;
    bool closed;       /* the user is gone; what is queued still goes out */
    bool closing_sent; /* control knows */
};

static struct unix_stream *stream_of(struct stream *s)
{
    return (struct unix_stream *)s;
}

/* ---- life ---- */

static void stream_free(struct unix_stream *u)
{
    if (u->prev)
        u->prev->next = u->next;
    else
        u->worker->unix_streams = u->next;
    if (u->next)
        u->next->prev = u->prev;
    outbuf_clear(&u->stream.out);
    free(u);
}

/* Our end; what arrives for the link later finds no stream. */
static void stream_end(struct unix_stream *u, bool aborted)
{
    struct unix_link *link = u->link;
    link->lcore_state = NULL;
    link->lcore_aborted = aborted;
    stream_free(u);
    unix_mail_post_control(&link->end_lcore);
}

/* ---- bytes ---- */

/* Fills the buffer, if it is here, and sends it off. */
static void out_send(struct unix_stream *u)
{
    struct outbuf *out = &u->stream.out;
    struct unix_buffer *buffer = &u->link->out;
    if (!u->out_is_here || out->len == 0)
        return;
    buffer->len = outbuf_take(out, buffer->data, sizeof(buffer->data));
    u->out_is_here = false;
    unix_mail_post_control(&buffer->mail);
}

static void in_return(struct unix_stream *u)
{
    inbuf_return(&u->in);
    unix_mail_post_control(&u->link->in.mail);
}

/* A closed stream ends once everything queued is handed over. */
static void closed_step(struct unix_stream *u)
{
    out_send(u);
    if (u->stream.out.len == 0) {
        stream_end(u, false);
    } else if (!u->closing_sent) {
        u->closing_sent = true;
        unix_mail_post_control(&u->link->closing);
    }
}

/* ---- what the user calls ---- */

static void on_kick(struct stream *s)
{
    out_send(stream_of(s));
}

static struct slice on_peek(struct stream *s)
{
    struct unix_stream *u = stream_of(s);
    return u->in.left;
}

static void on_consume(struct stream *s, size_t len)
{
    struct unix_stream *u = stream_of(s);
    if (inbuf_consume(&u->in, len))
        in_return(u);
}

static void on_close(struct stream *s)
{
    struct unix_stream *u = stream_of(s);
    u->closed = true;
    u->stream.user = NULL;
    closed_step(u);
}

static void on_abort(struct stream *s)
{
    stream_end(stream_of(s), true);
}

/* As Redis names clients of its unix socket. */
static void on_name(const struct stream *s, char *buf)
{
    const struct unix_stream *u = (const struct unix_stream *)s;
    snprintf(buf, STREAM_NAME_SIZE, "%s:0", u->link->path);
}

static const struct stream_ops unix_stream_ops = {
    .kick = on_kick,
    .peek = on_peek,
    .consume = on_consume,
    .close = on_close,
    .abort = on_abort,
    .name_peer = on_name,
    .name_local = on_name,
};

/* ---- mail from control ---- */

static void mail_open(struct unix_link *link, struct worker *w)
{
    struct unix_stream *u = calloc(1, sizeof(*u));
    if (!u) {
        link->lcore_aborted = true;
        unix_mail_post_control(&link->end_lcore);
        return;
    }
    *u = (struct unix_stream){.stream = {.ops = &unix_stream_ops, .kind = STREAM_UNIX},
                              .worker = w,
                              .link = link,
                              .next = w->unix_streams,
                              .out_is_here = true};
    outbuf_init(&u->stream.out);
    if (w->unix_streams)
        w->unix_streams->prev = u;
    w->unix_streams = u;
    link->lcore_state = u;
    /* Refused at maxclients: it has closed the stream. */
    (void)session_new(w, &u->stream);
}

static void mail_in(struct unix_stream *u)
{
    if (u->closed) {
        /* Not wanted any more; handed back, since control counts on it until it knows. */
        in_return(u);
    } else if (u->link->in.len == 0) {
        in_return(u);
        u->stream.user_ops->eof(&u->stream);
    } else {
        inbuf_receive(&u->in, u->link->in.data, u->link->in.len);
        u->stream.user_ops->readable(&u->stream);
    }
}

static void mail_out(struct unix_stream *u)
{
    u->out_is_here = true;
    if (u->closed) {
        closed_step(u);
        return;
    }
    size_t before = u->stream.out.len;
    out_send(u);
    if (u->stream.out.len < before)
        u->stream.user_ops->drained(&u->stream);
}

/* The socket is gone. */
static void mail_end(struct unix_link *link, struct unix_stream *u)
{
    if (u && !u->closed) {
        u->closed = true;
        u->stream.user_ops->ended(&u->stream, STREAM_END_RESET);
    }
    if (u)
        stream_end(u, true);
    unix_link_finish(link);
}

void unix_stream_mail(struct unix_link *link, struct unix_mail *mail, void *worker)
{
    struct unix_stream *u = link->lcore_state;
    if (mail == &link->open)
        mail_open(link, worker);
    else if (mail == &link->end_control)
        mail_end(link, u);
    else if (u && mail == &link->in.mail)
        mail_in(u);
    else if (u)
        mail_out(u);
}

void unix_streams_free(struct worker *w)
{
    while (w->unix_streams)
        stream_free(w->unix_streams);
}
