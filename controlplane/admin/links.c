#include "links.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "inbuf.h"
#include "log.h"

struct link_listener {
    struct links *links;
    struct link_listener *next;
    link_accept_fn accept; /* NULL: closed, lives until its last offer is released */
    void *arg;
    uint16_t port;
    unsigned offers;
};

struct control_link {
    struct stream stream; /* first */
    struct links *links;
    struct link *link;
    struct control_link *next, *prev; /* all */
    struct link_listener *listener;   /* an offer that nobody has taken yet */
    unsigned lcore;
    struct inbuf in;
    bool out_is_here;
    bool closed;     /* the user is gone, or has none yet */
    bool end_posted; /* nothing is posted any more */
    uint64_t deadline_us;
};

struct links {
    struct mailbox *control;
    void (*lcore_run)(struct link *link, struct link_mail *mail, void *worker);
    struct mailbox *const *lcores;
    unsigned lcore_count, count;
    struct control_link *all;
    struct link_listener *listeners;
    uint64_t now_us; /* of the last tick */
};

static const struct stream_ops control_link_ops;

static struct control_link *link_of(struct stream *s)
{
    return (struct control_link *)s;
}

/* ---- life ---- */

static void on_mail(struct link *link, struct link_mail *mail, void *control);

static struct control_link *control_link_new(struct links *l, const struct link_target *to)
{
    if (to->lcore >= l->lcore_count || l->count >= LINKS_MAX)
        return NULL;
    struct control_link *k = calloc(1, sizeof(*k));
    struct link *link = link_new();
    if (!k || !link) {
        free(k);
        free(link);
        return NULL;
    }
    *k = (struct control_link){.stream = {.ops = &control_link_ops, .kind = STREAM_LINK},
                               .links = l,
                               .link = link,
                               .next = l->all,
                               .lcore = to->lcore,
                               .out_is_here = true};
    outbuf_init(&k->stream.out);
    if (l->all)
        l->all->prev = k;
    l->all = k;
    l->count++;
    memcpy(link->address, to->address, sizeof(link->address));
    link->port = to->port;
    link->control = l->control;
    link->lcore = l->lcores[to->lcore];
    link->lcore_run = l->lcore_run;
    link->control_run = on_mail;
    link->control_state = k;
    return k;
}

static void control_link_free(struct control_link *k)
{
    if (k->prev)
        k->prev->next = k->next;
    else
        k->links->all = k->next;
    if (k->next)
        k->next->prev = k->prev;
    k->links->count--;
    outbuf_clear(&k->stream.out);
    free(k->link);
    free(k);
}

static void end_post(struct control_link *k, bool aborted)
{
    if (k->end_posted)
        return;
    k->end_posted = true;
    k->deadline_us = 0;
    k->link->aborted = aborted;
    link_mail_post_lcore(&k->link->end);
}

/* The user's last call. */
static void user_end(struct control_link *k, enum stream_end why)
{
    if (k->closed)
        return;
    k->closed = true;
    k->stream.user_ops->ended(&k->stream, why);
}

/* ---- bytes ---- */

static void out_send(struct control_link *k)
{
    struct outbuf *out = &k->stream.out;
    struct link_buffer *buffer = &k->link->out;
    if (!k->out_is_here || out->len == 0 || k->end_posted)
        return;
    buffer->len = outbuf_take(out, buffer->data, sizeof(buffer->data));
    k->out_is_here = false;
    link_mail_post_lcore(&buffer->mail);
}

static void in_return(struct control_link *k)
{
    inbuf_return(&k->in);
    if (!k->end_posted)
        link_mail_post_lcore(&k->link->in.mail);
}

/* A closed stream ends once everything queued is handed over. */
static void closed_step(struct control_link *k)
{
    out_send(k);
    if (k->stream.out.len == 0)
        end_post(k, false);
}

/* ---- what the user calls ---- */

static void on_kick(struct stream *s)
{
    out_send(link_of(s));
}

static struct slice on_peek(struct stream *s)
{
    struct control_link *k = link_of(s);
    return k->in.left;
}

static void on_consume(struct stream *s, size_t len)
{
    struct control_link *k = link_of(s);
    if (inbuf_consume(&k->in, len))
        in_return(k);
}

static void on_close(struct stream *s)
{
    struct control_link *k = link_of(s);
    CHECK(!k->closed);
    k->closed = true;
    if (inbuf_is_here(&k->in))
        in_return(k);
    k->deadline_us = k->links->now_us + LINK_LINGER_US;
    closed_step(k);
}

static void on_abort(struct stream *s)
{
    struct control_link *k = link_of(s);
    CHECK(!k->closed);
    k->closed = true;
    end_post(k, true);
}

static void on_name_peer(const struct stream *s, char *buf)
{
    const struct link *link = ((const struct control_link *)s)->link;
    memcpy(buf, link->peer, STREAM_NAME_SIZE);
}

static void on_name_local(const struct stream *s, char *buf)
{
    const struct link *link = ((const struct control_link *)s)->link;
    memcpy(buf, link->local, STREAM_NAME_SIZE);
}

static const struct stream_ops control_link_ops = {
    .kick = on_kick,
    .peek = on_peek,
    .consume = on_consume,
    .close = on_close,
    .abort = on_abort,
    .name_peer = on_name_peer,
    .name_local = on_name_local,
};

bool link_send(struct stream *s, const void *data, size_t len)
{
    if (len > LINK_QUEUE_MAX || s->out.len > LINK_QUEUE_MAX - len)
        return false;
    outbuf_append(&s->out, data, len);
    on_kick(s);
    return true;
}

void link_deadline(struct stream *s, uint64_t timeout_us)
{
    struct control_link *k = link_of(s);
    k->deadline_us = timeout_us > 0 ? k->links->now_us + timeout_us : 0;
}

struct stream *link_open(struct links *l, const struct link_target *to,
                         const struct stream_user_ops *user_ops, void *user)
{
    struct control_link *k = control_link_new(l, to);
    if (!k)
        return NULL;
    k->stream.user_ops = user_ops;
    k->stream.user = user;
    link_deadline(&k->stream, to->timeout_us);
    link_mail_post_lcore(&k->link->open);
    return &k->stream;
}

bool link_address_parse(const char *text, uint8_t address[LINK_ADDRESS_SIZE])
{
    static const uint8_t ip4[12] = {[10] = 0xff, [11] = 0xff};
    memcpy(address, ip4, sizeof(ip4));
    return inet_pton(AF_INET, text, address + sizeof(ip4)) == 1 ||
           inet_pton(AF_INET6, text, address) == 1;
}

/* ---- listeners ---- */

static bool offer_post(struct link_listener *listener, unsigned lcore)
{
    struct link_target nobody = {.lcore = lcore, .port = listener->port};
    struct control_link *k = control_link_new(listener->links, &nobody);
    if (!k)
        return false;
    k->listener = listener;
    k->closed = true;
    k->link->listen = true;
    listener->offers++;
    link_mail_post_lcore(&k->link->open);
    return true;
}

static void listener_free(struct link_listener *listener)
{
    struct link_listener **at = &listener->links->listeners;
    while (*at != listener)
        at = &(*at)->next;
    *at = listener->next;
    free(listener);
}

/* An offer was taken or has ended. */
static struct link_listener *offer_done(struct control_link *k)
{
    struct link_listener *listener = k->listener;
    k->listener = NULL;
    if (--listener->offers == 0 && !listener->accept) {
        listener_free(listener);
        return NULL;
    }
    return listener;
}

struct link_listener *links_listen(struct links *l, uint16_t port, link_accept_fn accept, void *arg)
{
    struct link_listener *listener = l->lcore_count > 0 ? calloc(1, sizeof(*listener)) : NULL;
    if (!listener)
        return NULL;
    *listener = (struct link_listener){
        .links = l, .next = l->listeners, .accept = accept, .arg = arg, .port = port};
    l->listeners = listener;
    for (unsigned i = 0; i < l->lcore_count * LINK_OFFERS; i++) {
        if (!offer_post(listener, i % l->lcore_count)) {
            links_unlisten(listener);
            return NULL;
        }
    }
    return listener;
}

void links_unlisten(struct link_listener *listener)
{
    listener->accept = NULL;
    for (struct control_link *k = listener->links->all; k; k = k->next) {
        if (k->listener == listener)
            end_post(k, true);
    }
    if (listener->offers == 0)
        listener_free(listener);
}

static void offer_taken(struct control_link *k)
{
    struct link_listener *listener = k->listener;
    if (k->end_posted)
        return; /* the listener was closed meanwhile */
    k->closed = false;
    (void)offer_done(k);
    /* Without room for another the lcore refuses, until the next is taken. */
    if (!offer_post(listener, k->lcore))
        log_warning("Port %u accepts fewer connections: too many links", listener->port);
    if (!listener->accept(listener->arg, &k->stream) && !k->closed)
        on_abort(&k->stream);
}

/* ---- mail ---- */

static void mail_in(struct control_link *k)
{
    if (k->end_posted)
        return;
    if (k->link->in.len == 0) {
        if (!k->closed)
            k->stream.user_ops->eof(&k->stream);
        return;
    }
    if (k->closed) {
        in_return(k);
        return;
    }
    inbuf_receive(&k->in, k->link->in.data, k->link->in.len);
    k->stream.user_ops->readable(&k->stream);
}

static void mail_out(struct control_link *k)
{
    if (k->end_posted)
        return;
    k->out_is_here = true;
    if (k->closed) {
        k->deadline_us = k->links->now_us + LINK_LINGER_US;
        closed_step(k);
        return;
    }
    size_t before = k->stream.out.len;
    out_send(k);
    if (k->stream.out.len < before)
        k->stream.user_ops->drained(&k->stream);
}

static void mail_connected(struct control_link *k)
{
    if (k->listener) {
        offer_taken(k);
    } else if (!k->closed && !k->end_posted) {
        k->deadline_us = 0;
        k->stream.user_ops->connected(&k->stream);
    }
}

static void mail_gone(struct control_link *k)
{
    if (k->listener && !k->end_posted && k->link->why == STREAM_END_REFUSED)
        log_warning("Lcore %u can't listen on port %u", k->lcore, k->listener->port);
    user_end(k, k->link->why);
    end_post(k, true);
}

static void mail_released(struct control_link *k)
{
    if (k->listener)
        (void)offer_done(k);
    user_end(k, k->link->why); /* its deadline has passed */
    control_link_free(k);
}

static void on_mail(struct link *link, struct link_mail *mail, void *control)
{
    struct control_link *k = link->control_state;
    if (mail == &link->connected)
        mail_connected(k);
    else if (mail == &link->in.mail)
        mail_in(k);
    else if (mail == &link->out.mail)
        mail_out(k);
    else if (mail == &link->gone)
        mail_gone(k);
    else
        mail_released(k);
}

/* ---- all ---- */

struct links *links_new(struct mailbox *control,
                        void (*lcore_run)(struct link *link, struct link_mail *mail, void *worker))
{
    struct links *l = calloc(1, sizeof(*l));
    CHECK(l);
    l->control = control;
    l->lcore_run = lcore_run;
    return l;
}

void links_start(struct links *l, struct mailbox *const *lcores, unsigned lcore_count)
{
    l->lcores = lcores;
    l->lcore_count = lcore_count;
}

void links_tick(struct links *l, uint64_t now_us)
{
    l->now_us = now_us;
    /* The lcore says why: it knows whether anybody is there. The user is told then. */
    for (struct control_link *k = l->all; k; k = k->next) {
        if (k->deadline_us > 0 && now_us >= k->deadline_us)
            end_post(k, true);
    }
}

unsigned links_lcore_count(const struct links *l)
{
    return l->lcore_count;
}

unsigned links_count(const struct links *l)
{
    return l->count;
}

void links_free(struct links *l)
{
    l->lcore_count = 0; /* a callback may want to open another */
    while (l->all) {
        user_end(l->all, STREAM_END_ABORTED);
        control_link_free(l->all);
    }
    while (l->listeners)
        listener_free(l->listeners);
    free(l);
}
