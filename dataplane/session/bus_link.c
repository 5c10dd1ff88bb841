#include "bus_link.h"
#include <stdlib.h>
#include "bus_end.h"
#include "check.h"
#include "metrics.h"

/* ---- lists ---- */

void bus_end_ready(struct bus_end *e)
{
    if (e->ready || !e->stream)
        return;
    e->ready = true;
    TAILQ_INSERT_TAIL(&e->all->ready, e, in_ready);
}

static void unstarve(struct bus_end *e)
{
    if (!e->starved)
        return;
    e->starved = false;
    TAILQ_REMOVE(&e->all->starved, e, in_starved);
}

void bus_ends_feed(struct bus_links *l)
{
    if (l->bytes >= BUS_MEMORY_MAX && (l->large || l->large_lent))
        return;
    for (struct bus_end *e; (e = TAILQ_FIRST(&l->starved)) != NULL;) {
        unstarve(e);
        bus_end_ready(e);
    }
}

/* In the order of their deadlines. */
static void stranger_add(struct bus_end *e)
{
    e->stranger = true;
    e->silent_until_us = e->all->config.worker->now_us + BUS_STRANGER_US;
    TAILQ_INSERT_TAIL(&e->all->strangers, e, in_strangers);
    e->all->stranger_count++;
}

static void stranger_remove(struct bus_end *e)
{
    if (!e->stranger)
        return;
    e->stranger = false;
    TAILQ_REMOVE(&e->all->strangers, e, in_strangers);
    e->all->stranger_count--;
}

void bus_end_heard(struct bus_end *e)
{
    if (!e->stranger)
        return;
    stranger_remove(e);
    stranger_add(e);
}

void bus_end_known(struct bus_end *e)
{
    e->known = true;
    stranger_remove(e);
}

/* ---- life ---- */

static struct bus_end *end_new(struct bus_links *l, struct bus_link *link)
{
    struct bus_end *e = calloc(1, sizeof(*e));
    if (!e)
        return NULL;
    e->link = link;
    e->all = l;
    bus_framer_init(&e->framer);
    TAILQ_INSERT_TAIL(&l->all, e, in_all);
    l->inbound_count += link->inbound;
    link->lcore_state = e;
    return e;
}

static void end_free(struct bus_end *e)
{
    TAILQ_REMOVE(&e->all->all, e, in_all);
    e->all->inbound_count -= e->link->inbound;
    free(e);
}

void bus_end_release(struct bus_end *e)
{
    struct bus_link *link = e->link;
    if (!e->end_seen || e->stream || e->lent_count > 0)
        return;
    end_free(e);
    link->lcore_state = NULL;
    bus_link_post_control(&link->released);
}

/* Lets go of the stream and everything that needs it. */
static void end_detach(struct bus_end *e, bool deliver)
{
    e->stream = NULL;
    if (e->ready)
        TAILQ_REMOVE(&e->all->ready, e, in_ready);
    e->ready = false;
    unstarve(e);
    stranger_remove(e);
    bus_end_write_end(e);
    bus_end_read_end(e, deliver);
}

static void end_gone(struct bus_end *e, enum stream_end why)
{
    end_detach(e, true);
    e->link->why = why;
    bus_link_post_control(&e->link->gone);
}

void bus_end_reset(struct bus_end *e, enum stream_end why)
{
    struct stream *s = e->stream;
    end_gone(e, why);
    s->ops->abort(s);
}

void bus_end_close(struct bus_end *e)
{
    struct stream *s = e->stream;
    end_gone(e, STREAM_END_CLOSED);
    s->ops->close(s);
}

/* ---- what the stream tells ---- */

/* "10.0.0.1:4711" and "[::1]:80" without the port. */
static void copy_ip(char ip[BUS_IP_SIZE], const char *name)
{
    const char *from = name[0] == '[' ? name + 1 : name;
    const char *to = strrchr(name, name[0] == '[' ? ']' : ':');
    size_t len = to && to > from ? (size_t)(to - from) : 0;
    len = len < BUS_IP_SIZE ? len : 0;
    memcpy(ip, from, len);
    ip[len] = '\0';
}

static void connected_post(struct bus_end *e)
{
    char name[STREAM_NAME_SIZE];
    e->connecting = false;
    e->stream->ops->name_peer(e->stream, name);
    copy_ip(e->link->peer_ip, name);
    e->stream->ops->name_local(e->stream, name);
    copy_ip(e->link->local_ip, name);
    bus_link_post_control(&e->link->connected);
}

static void on_connected(struct stream *s)
{
    connected_post(s->user);
}

static void on_readable(struct stream *s)
{
    bus_end_ready(s->user);
}

static void on_drained(struct stream *s)
{
    struct bus_end *e = s->user;
    bus_end_flush(e);
    bus_end_ready(e);
}

static void on_eof(struct stream *s)
{
    struct bus_end *e = s->user;
    e->eof = true;
    bus_end_ready(e);
}

static void on_ended(struct stream *s, enum stream_end why)
{
    end_gone(s->user, why);
}

static const struct stream_user_ops bus_user_ops = {
    .connected = on_connected,
    .readable = on_readable,
    .drained = on_drained,
    .eof = on_eof,
    .ended = on_ended,
};

bool bus_links_accept(void *links, struct stream *s)
{
    struct bus_links *l = links;
    struct bus_link *link = NULL;
    struct bus_end *e = NULL;
    if (!l->ended && l->inbound_count < BUS_INBOUND_MAX)
        link = bus_link_new(l->config.path, true);
    if (link)
        e = end_new(l, link);
    if (!e) {
        free(link);
        metric_inc(bus_links_refused);
        return false;
    }
    if (l->stranger_count == BUS_STRANGERS_MAX) {
        metric_inc(bus_strangers_cut);
        bus_end_reset(TAILQ_FIRST(&l->strangers), STREAM_END_ABORTED);
    }
    stranger_add(e);
    e->stream = s;
    s->user = e;
    s->user_ops = &bus_user_ops;
    connected_post(e);
    return true;
}

/* ---- what control tells ---- */

static void mail_open(struct bus_links *l, struct bus_link *link)
{
    const struct bus_links_config *config = &l->config;
    struct bus_end *e = end_new(l, link);
    link->why = STREAM_END_ABORTED;
    if (e && !l->ended) {
        e->connecting = true;
        link->why = STREAM_END_UNREACHABLE;
        e->stream = config->connect(config->ctx, link->address, link->port, &bus_user_ops, e);
    }
    if (!e || !e->stream)
        bus_link_post_control(&link->gone);
}

static void mail_end(struct bus_link *link)
{
    struct bus_end *e = link->lcore_state;
    if (!e) {
        bus_link_post_control(&link->released); /* there was no memory for it */
        return;
    }
    struct stream *s = e->stream;
    e->end_seen = true;
    if (s)
        end_detach(e, false);
    if (s && link->aborted)
        s->ops->abort(s);
    else if (s)
        s->ops->close(s);
    bus_end_release(e);
}

static void on_link_mail(struct bus_link *link, struct bus_link_mail *mail, void *links)
{
    if (mail == &link->open)
        mail_open(links, link);
    else
        mail_end(link);
}

/* ---- all ---- */

struct bus_links *bus_links_new(const struct bus_links_config *config)
{
    struct bus_links *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->config = *config;
    TAILQ_INIT(&l->all);
    TAILQ_INIT(&l->ready);
    TAILQ_INIT(&l->starved);
    TAILQ_INIT(&l->strangers);
    return l;
}

void bus_links_path(struct bus_links *l, struct bus_path *path)
{
    path->lcore_end = l;
    path->lcore_on_link = on_link_mail;
    path->lcore_on_frame_back = bus_frame_back;
    path->lcore_on_send = bus_send_take;
}

static void strangers_cut(struct bus_links *l)
{
    for (struct bus_end *e; (e = TAILQ_FIRST(&l->strangers)) != NULL;) {
        if (l->config.worker->now_us < e->silent_until_us)
            return;
        metric_inc(bus_strangers_cut);
        bus_end_reset(e, STREAM_END_TIMEOUT);
    }
}

bool bus_links_run(struct bus_links *l)
{
    uint32_t steps = BUS_ROUND_STEPS;
    strangers_cut(l);
    for (struct bus_end *e; steps > 0 && (e = TAILQ_FIRST(&l->ready)) != NULL;) {
        TAILQ_REMOVE(&l->ready, e, in_ready);
        e->ready = false;
        if (bus_end_turn(e, &steps))
            bus_end_ready(e);
    }
    return !TAILQ_EMPTY(&l->ready);
}

uint64_t bus_links_deadline_us(const struct bus_links *l)
{
    const struct bus_end *e = TAILQ_FIRST(&l->strangers);
    return e ? e->silent_until_us : UINT64_MAX;
}

void bus_links_end(struct bus_links *l)
{
    struct bus_end *e;
    l->ended = true;
    TAILQ_FOREACH(e, &l->all, in_all)
    {
        if (e->stream)
            bus_end_reset(e, STREAM_END_ABORTED);
    }
}

void bus_links_free(struct bus_links *l)
{
    for (struct bus_end *e; (e = TAILQ_FIRST(&l->all)) != NULL;) {
        struct stream *s = e->stream;
        e->sends = NULL;
        if (s) {
            end_detach(e, false);
            s->ops->abort(s);
        }
        end_free(e);
    }
    for (struct bus_frame *frame; (frame = l->lent) != NULL;) {
        l->lent = frame->next;
        bus_frame_free(l, frame);
    }
    CHECK(l->bytes == 0);
    free(l);
}

/* ---- invariants ---- */

static size_t end_validate(const struct bus_end *e)
{
    size_t bytes = e->framer_bytes;
    CHECK(e->stream || (!e->ready && !e->starved && !e->stranger && !e->sends));
    CHECK(e->stream || e->framer.size == 0);
    CHECK(!(e->stranger && e->known));
    CHECK(e->send_pos == 0 || (e->sends && e->send_pos < e->sends->len));
    CHECK(e->lent_count > 0 || e->lent_bytes == 0);
    CHECK(e->waiting_count == 0 || e->lent_bytes >= BUS_LINK_LENT_MAX);
    for (uint32_t i = 0; i < e->waiting_count; i++)
        bytes += e->waiting[i]->large ? 0 : e->waiting[i]->message.frame.len;
    return bytes;
}

void bus_links_validate(const struct bus_links *l)
{
    const struct bus_end *e;
    size_t bytes = 0;
    uint32_t strangers = 0, inbound = 0;
    TAILQ_FOREACH(e, &l->all, in_all)
    {
        bytes += end_validate(e);
        strangers += e->stranger;
        inbound += e->link->inbound;
    }
    for (const struct bus_frame *frame = l->lent; frame; frame = frame->next)
        bytes += frame->large ? 0 : frame->message.frame.len;
    CHECK(bytes == l->bytes);
    CHECK(strangers == l->stranger_count && strangers <= BUS_STRANGERS_MAX);
    CHECK(inbound == l->inbound_count);
}
