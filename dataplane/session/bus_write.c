#include "bus_end.h"
#include "check.h"
#include "metrics.h"

/* ---- answering PING ---- */

static void append_pong(struct bus_end *e, struct slice pong)
{
    const struct bus_links_config *config = &e->all->config;
    struct outbuf *out = &e->stream->out;
    uint8_t offset[8];
    bus_store64(offset, config->offset(config->ctx));
    outbuf_append(out, pong.data, BUS_AT_OFFSET);
    outbuf_append(out, offset, sizeof(offset));
    outbuf_append(out, pong.data + BUS_AT_SENDER, pong.len - BUS_AT_SENDER);
    metric_inc(bus_pongs_sent);
}

/* NULL: nothing may be answered now. */
static const struct cluster_pong *pong_now(const struct bus_links *l)
{
    struct cluster_shared *shared = l->config.shared;
    const struct cluster_pong *pong = cluster_pong_get(shared);
    if (pong && cluster_lease_holds(shared, l->config.worker->now_us))
        return pong;
    metric_inc(bus_pongs_withheld);
    return NULL;
}

bool bus_end_answer(struct bus_end *e, const struct bus_message *m)
{
    const struct cluster_pong *pong = pong_now(e->all);
    if (!pong)
        return false;
    if (e->sends) {
        e->pong_due = cluster_peer_extends(m) ? PONG_FULL : PONG_PLAIN;
        return true;
    }
    append_pong(e, cluster_pong_for(pong, m));
    e->stream->ops->kick(e->stream);
    return true;
}

static void answer_due(struct bus_end *e)
{
    enum bus_pong_due due = e->pong_due;
    const struct cluster_pong *pong = due != PONG_NONE ? pong_now(e->all) : NULL;
    e->pong_due = PONG_NONE;
    if (pong && due == PONG_FULL)
        append_pong(e, slice_from(pong->full, pong->full_len));
    else if (pong)
        append_pong(e, slice_from(pong->plain, pong->plain_len));
}

/* ---- what control sends ---- */

static void send_finish(struct bus_end *e, bool dropped)
{
    struct bus_send *send = e->sends;
    e->sends = send->next;
    e->send_pos = 0;
    send->dropped = dropped;
    bus_send_give_back(send);
}

void bus_end_flush(struct bus_end *e)
{
    struct outbuf *out = &e->stream->out;
    if (!e->sends)
        return;
    while (e->sends && out->len < BUS_LINK_OUT_MAX) {
        const struct bus_send *send = e->sends;
        size_t room = BUS_LINK_OUT_MAX - out->len, left = send->len - e->send_pos;
        size_t take = left < room ? left : room;
        outbuf_append(out, send->data + e->send_pos, take);
        e->send_pos += (uint32_t)take;
        if (take < left)
            break;
        send_finish(e, false);
        answer_due(e);
    }
    e->stream->ops->kick(e->stream);
}

void bus_send_take(struct bus_send *send, void *links)
{
    struct bus_end *e = send->link->lcore_state;
    CHECK(e);
    CHECK(!e->end_seen);
    send->next = NULL;
    if (e->sends)
        e->sends_last->next = send;
    else
        e->sends = send;
    e->sends_last = send;
    if (!e->stream || e->connecting)
        bus_end_write_end(e);
    else
        bus_end_flush(e);
}

void bus_end_write_end(struct bus_end *e)
{
    while (e->sends)
        send_finish(e, true);
    e->pong_due = PONG_NONE;
}
