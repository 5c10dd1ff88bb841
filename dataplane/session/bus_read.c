#include <stdlib.h>
#include "bus_end.h"
#include "check.h"
#include "log.h"
#include "metrics.h"

/* Frames above this are handed over as they lie in the framer, smaller ones are copied. */
#define COPY_MAX 16384
#define LOG_EVERY_US 1000000

/* ---- what may arrive, and when ---- */

static struct bus_limits limits_of(const struct bus_end *e)
{
    if (!e->known)
        return (struct bus_limits){BUS_STRANGER_FRAME_MAX, BUS_STRANGER_FRAME_MAX, false};
    return (struct bus_limits){BUS_FRAME_MAX, e->all->config.publish_max, false};
}

static size_t partial_bytes(const struct bus_end *e)
{
    return e->framer.given ? 0 : e->framer.len;
}

/* After each change of the framer, or of who is large. */
static void framer_count(struct bus_end *e)
{
    size_t now = e->all->large == e ? 0 : e->framer.size;
    e->all->bytes += now - e->framer_bytes;
    e->framer_bytes = now;
}

/* A part of a frame that is there already may always be completed, but for a second large one. */
static bool memory_allows(struct bus_end *e)
{
    struct bus_links *l = e->all;
    size_t partial = partial_bytes(e);
    if (partial == 0)
        return l->bytes < BUS_MEMORY_MAX;
    if (partial <= BUS_FRAME_MAX || l->large == e)
        return true;
    if (l->large || l->large_lent)
        return false;
    l->large = e;
    framer_count(e);
    return true;
}

static bool may_read(struct bus_end *e)
{
    if (!e->stream || e->connecting || e->waiting_count == BUS_WAITING_MAX)
        return false;
    /* While control sends, PONGs are put together and add nothing. */
    if (e->stream->out.len >= BUS_LINK_OUT_MAX && !e->sends)
        return false;
    if (memory_allows(e))
        return true;
    if (!e->starved) {
        e->starved = true;
        TAILQ_INSERT_TAIL(&e->all->starved, e, in_starved);
    }
    return false;
}

/* ---- frames ---- */

static struct bus_frame *frame_new(struct bus_end *e, struct slice bytes)
{
    struct bus_links *l = e->all;
    bool take = bytes.len > COPY_MAX && e->framer.given;
    struct bus_frame *frame = malloc(sizeof(*frame) + (take ? 0 : bytes.len));
    if (!frame)
        return NULL;
    *frame = (struct bus_frame){.link = e->link,
                                .arrived_us = l->config.worker->now_us,
                                .large = l->large == e,
                                .bytes = frame->memory};
    frame->message.frame = bytes;
    if (take)
        frame->bytes = bus_framer_give(&e->framer);
    else
        memcpy(frame->bytes, bytes.data, bytes.len);
    if (frame->large) {
        l->large = NULL;
        l->large_lent = true;
    } else {
        l->bytes += bytes.len;
    }
    framer_count(e);
    return frame;
}

void bus_frame_free(struct bus_links *l, struct bus_frame *frame)
{
    if (frame->large)
        l->large_lent = false;
    else
        l->bytes -= frame->message.frame.len;
    if (frame->bytes != frame->memory)
        free(frame->bytes);
    free(frame);
    bus_ends_feed(l);
}

static void frame_lend(struct bus_end *e, struct bus_frame *frame)
{
    struct bus_links *l = e->all;
    e->lent_count++;
    e->lent_bytes += frame->message.frame.len;
    frame->prev = NULL;
    frame->next = l->lent;
    if (frame->next)
        frame->next->prev = frame;
    l->lent = frame;
    bus_frame_post(frame);
}

static void waiting_lend(struct bus_end *e)
{
    while (e->waiting_count > 0 && e->lent_bytes < BUS_LINK_LENT_MAX) {
        frame_lend(e, e->waiting[0]);
        e->waiting[0] = e->waiting[1];
        e->waiting_count--;
    }
}

/* A PING tells what the one before it told, and later. */
static bool supersedes(const struct bus_end *e, const struct bus_frame *frame)
{
    if (e->waiting_count == 0 || frame->message.header.type != BUS_PING)
        return false;
    return e->waiting[e->waiting_count - 1]->message.header.type == BUS_PING;
}

static void frame_accept(struct bus_end *e, struct bus_frame *frame)
{
    const struct bus_message *m = &frame->message;
    metric_inc(bus_frames_received);
    bus_end_heard(e);
    if (m->header.type == BUS_PING || m->header.type == BUS_MEET)
        frame->answered = bus_end_answer(e, m);
    if (supersedes(e, frame)) {
        metric_inc(bus_pings_superseded);
        bus_frame_free(e->all, e->waiting[e->waiting_count - 1]);
        e->waiting[e->waiting_count - 1] = frame;
        return;
    }
    CHECK(e->waiting_count < BUS_WAITING_MAX);
    e->waiting[e->waiting_count++] = frame;
    waiting_lend(e);
}

void bus_frame_back(struct bus_frame *frame, void *links)
{
    struct bus_links *l = links;
    struct bus_end *e = frame->link->lcore_state;
    CHECK(e);
    if (frame->prev)
        frame->prev->next = frame->next;
    else
        l->lent = frame->next;
    if (frame->next)
        frame->next->prev = frame->prev;
    e->lent_count--;
    e->lent_bytes -= frame->message.frame.len;
    if (frame->known && !e->known)
        bus_end_known(e);
    bus_frame_free(l, frame);
    waiting_lend(e);
    bus_end_ready(e);
    bus_end_release(e);
}

/* ---- what is not to be believed ---- */

/* A line now and then: a peer decides how often it is at fault. */
static void complain(struct bus_end *e, const char *what, enum bus_reason why)
{
    struct bus_links *l = e->all;
    char peer[STREAM_NAME_SIZE];
    uint64_t now_us = l->config.worker->now_us;
    if (l->logged_us > 0 && now_us - l->logged_us < LOG_EVERY_US) {
        l->unlogged++;
        return;
    }
    e->stream->ops->name_peer(e->stream, peer);
    log_warning("Cluster bus: %s %s: %s (and %u other faults of peers before it)", what, peer,
                bus_reason_text(why), l->unlogged);
    l->logged_us = now_us;
    l->unlogged = 0;
}

static void close_for(struct bus_end *e, enum bus_reason why)
{
    complain(e, "closed the link with", why);
    metric_inc(bus_links_refused);
    bus_end_reset(e, STREAM_END_ABORTED);
}

static void drop_for(struct bus_end *e, enum bus_reason why)
{
    complain(e, "dropped a message from", why);
    metric_inc(bus_frames_dropped);
    if (why == BUS_REASON_EPOCH)
        metric_inc(bus_epochs_refused);
}

/* One whole frame. The link may have ended afterwards. */
static void take_frame(struct bus_end *e, struct slice bytes)
{
    struct bus_limits limits = limits_of(e);
    enum bus_reason why;
    struct bus_frame *frame = frame_new(e, bytes);
    if (!frame) {
        close_for(e, BUS_REASON_MEMORY);
        return;
    }
    enum bus_verdict v =
        bus_decode(slice_from(frame->bytes, bytes.len), &limits, &frame->message, &why);
    if (v == BUS_OK) {
        frame_accept(e, frame);
        return;
    }
    frame->message.frame = slice_from(frame->bytes, bytes.len);
    bus_frame_free(e->all, frame);
    if (v == BUS_CLOSE)
        close_for(e, why);
    else if (v == BUS_DROP)
        drop_for(e, why);
    else
        metric_inc(bus_frames_ignored);
}

/* ---- the stream ---- */

/* A valid frame or a part of one, at most what is contiguous. False: nothing was there. */
static bool step(struct bus_end *e)
{
    struct slice piece = e->stream->ops->peek(e->stream), frame;
    struct slice rest = piece;
    struct bus_limits limits = limits_of(e);
    enum bus_reason why;
    if (piece.len == 0)
        return false;
    enum bus_verdict v = bus_framer_take(&e->framer, &rest, &limits, &frame, &why);
    framer_count(e);
    if (v == BUS_CLOSE) {
        close_for(e, why);
        return false;
    }
    if (v == BUS_OK)
        take_frame(e, frame);
    if (!e->stream)
        return false;
    e->stream->ops->consume(e->stream, piece.len - rest.len);
    return true;
}

bool bus_end_turn(struct bus_end *e, uint32_t *steps)
{
    for (uint32_t i = 0; i<BUS_TURN_STEPS && * steps> 0; i++, --*steps) {
        if (!may_read(e))
            return false;
        if (step(e))
            continue;
        if (e->stream && e->eof)
            bus_end_close(e);
        return false;
    }
    return true;
}

void bus_end_read_end(struct bus_end *e, bool deliver)
{
    for (uint32_t i = 0; i < e->waiting_count; i++) {
        if (deliver)
            frame_lend(e, e->waiting[i]);
        else
            bus_frame_free(e->all, e->waiting[i]);
    }
    e->waiting_count = 0;
    bus_framer_free(&e->framer);
    if (e->all->large == e)
        e->all->large = NULL;
    framer_count(e);
    bus_ends_feed(e->all);
}
