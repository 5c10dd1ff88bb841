/* What a stock node says. */
#include <stdlib.h>
#include <string.h>
#include "stock_state.h"

#define GOSSIP_LEAST 3

static struct cluster_frame *begin(struct stock *s, struct bus_writer *w, size_t size,
                                   unsigned type, unsigned mflags)
{
    struct cluster_frame *frame = malloc(sizeof(*frame) + size);
    CHECK(frame);
    frame->refs = 1;
    const struct stock_peer *self = s->self, *primary = self->primary ? self->primary : self;
    struct bus_header h = {
        .type = (uint16_t)type,
        .port = self->port,
        .cport = self->cport,
        .flags = self->flags,
        .mflags = (uint8_t)(mflags | (s->mf_paused ? BUS_MFLAG_PAUSED : 0)),
        .state = s->ok ? 0 : 1,
        .current_epoch = s->current_epoch,
        .config_epoch = primary->config_epoch,
        .offset = s->replication.offset,
        .sender = (const uint8_t *)self->id,
        .replica_of = self->primary ? (const uint8_t *)self->primary->id : NULL,
        .slots = primary->slots,
    };
    bus_write_begin(w, frame->bytes, size, &h);
    return frame;
}

static struct cluster_frame *end(struct cluster_frame *frame, struct bus_writer *w)
{
    frame->len = (uint32_t)bus_write_end(w);
    return frame;
}

struct cluster_frame *stock_build(struct stock *s, unsigned type, unsigned mflags)
{
    struct bus_writer w;
    struct cluster_frame *frame = begin(s, &w, BUS_SIZE_PLAIN, type, mflags);
    return end(frame, &w);
}

void stock_send(struct stock *s, cluster_link_id link, struct cluster_frame *frame)
{
    if (link == 0)
        return;
    struct cluster_action *action = stock_emit(s, CLUSTER_ACTION_SEND);
    action->send.link = link;
    action->send.frame = frame;
    frame->refs++;
}

static void put(struct cluster_frame *frame)
{
    if (--frame->refs == 0)
        free(frame);
}

static uint32_t seconds(const struct stock *s, uint64_t at_ms)
{
    return at_ms == 0 ? 0 : (uint32_t)((s->wall_ms - (s->now_ms - at_ms)) / 1000);
}

static void gossip_add(const struct stock *s, struct bus_writer *w, const struct stock_peer *n)
{
    struct bus_gossip entry = {.name = (const uint8_t *)n->id,
                               .ip = slice_str(n->ip),
                               .ping_sent_s = seconds(s, n->ping_sent_ms),
                               .pong_received_s = seconds(s, n->pong_ms),
                               .port = n->port,
                               .cport = n->cport,
                               .flags = n->flags};
    bus_write_gossip(w, &entry);
}

static struct cluster_frame *build_ping(struct stock *s, unsigned type)
{
    struct bus_writer w;
    bool taken[STOCK_NODES_MAX] = {false};
    uint32_t fresh = s->count > 2 ? s->count - 2 : 0, wanted = s->count / 10, written = 0;
    if (wanted < GOSSIP_LEAST)
        wanted = GOSSIP_LEAST;
    if (wanted > fresh)
        wanted = fresh;
    struct cluster_frame *frame = begin(s, &w, BUS_SIZE_PING(wanted + s->count), type, 0);
    for (uint32_t tries = wanted * 3; written < wanted && tries > 0; tries--) {
        uint32_t i = (uint32_t)rng_below(&s->rng, s->count);
        const struct stock_peer *n = s->nodes[i];
        if (n == s->self || stock_has(n, BUS_NODE_PFAIL) || taken[i] ||
            stock_has(n, BUS_NODE_HANDSHAKE | BUS_NODE_NOADDR) ||
            (n->link == 0 && n->slot_count == 0))
            continue;
        taken[i] = true;
        gossip_add(s, &w, n);
        written++;
    }
    for (uint32_t i = 0; i < s->count; i++)
        if (stock_has(s->nodes[i], BUS_NODE_PFAIL) &&
            !stock_has(s->nodes[i], BUS_NODE_HANDSHAKE | BUS_NODE_NOADDR))
            gossip_add(s, &w, s->nodes[i]);
    return end(frame, &w);
}

void stock_send_ping(struct stock *s, cluster_link_id link, struct stock_peer *n, unsigned type)
{
    if (n && link == n->link && type == BUS_PING)
        n->ping_sent_ms = s->now_ms;
    struct cluster_frame *frame = build_ping(s, type);
    stock_send(s, link, frame);
    put(frame);
}

void stock_broadcast(struct stock *s, struct cluster_frame *frame)
{
    for (uint32_t i = 0; i < s->count; i++) {
        const struct stock_peer *n = s->nodes[i];
        if (n != s->self && n->link_up && !stock_has(n, BUS_NODE_HANDSHAKE))
            stock_send(s, n->link, frame);
    }
    put(frame);
}

void stock_broadcast_pong(struct stock *s, bool siblings_only)
{
    for (uint32_t i = 0; i < s->count; i++) {
        struct stock_peer *n = s->nodes[i];
        if (n == s->self || !n->link_up || stock_has(n, BUS_NODE_HANDSHAKE))
            continue;
        if (siblings_only && (!n->primary || n->primary != s->self->primary))
            continue;
        stock_send_ping(s, n->link, n, BUS_PONG);
    }
}

void stock_send_fail(struct stock *s, const struct stock_peer *failed)
{
    struct bus_writer w;
    struct cluster_frame *frame = begin(s, &w, BUS_SIZE_FAIL, BUS_FAIL, 0);
    bus_write_fail(&w, (const uint8_t *)failed->id);
    stock_broadcast(s, end(frame, &w));
}

void stock_send_update(struct stock *s, const struct stock_peer *to, const struct stock_peer *about)
{
    struct bus_writer w;
    uint8_t slots[BUS_SLOTS_SIZE];
    if (!to->link_up)
        return;
    struct cluster_frame *frame = begin(s, &w, BUS_SIZE_UPDATE, BUS_UPDATE, 0);
    for (unsigned i = 0; i < BUS_SLOTS_SIZE; i++)
        slots[i] = (uint8_t)(about->slots[i] & ~s->unclaimed[i]);
    bus_write_update(&w, about->config_epoch, (const uint8_t *)about->id, slots);
    end(frame, &w);
    stock_send(s, to->link, frame);
    put(frame);
}
