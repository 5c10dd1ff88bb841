/* Failover as stock nodes do it: automatic, votes, manual. */
#include <string.h>
#include "stock_state.h"

#define DELAY_MS 500
#define RANK_MS 1000
#define MF_TIMEOUT_MS 5000
#define MF_PAUSE_FACTOR 2
#define AUTH_TIMEOUT_LEAST_MS 2000

static uint64_t timeout_ms(const struct stock *s)
{
    return s->config.node_timeout_ms;
}

/* Siblings with a greater offset. */
static int rank(const struct stock *s)
{
    int rank = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct stock_peer *n = s->nodes[i];
        if (n != s->self && n->primary && n->primary == s->self->primary &&
            !stock_has(n, BUS_NODE_NOFAILOVER) && n->offset > s->replication.offset)
            rank++;
    }
    return rank;
}

static void take_over(struct stock *s)
{
    struct stock_peer *old = s->self->primary;
    stock_set_primary_role(s->self);
    stock_emit(s, CLUSTER_ACTION_REPLICATE_STOP);
    s->following[0] = 0;
    for (unsigned slot = 0; slot < BUS_SLOTS; slot++)
        if (s->slots[slot] == old)
            stock_set_slot(s, slot, s->self);
    s->save = s->update = true;
    stock_broadcast_pong(s, false);
    stock_mf_reset(s);
}

/* True: data is too old to be elected with. */
static bool too_old(const struct stock *s)
{
    uint64_t contact_ms = s->replication.contact_us / 1000;
    uint64_t age_ms = s->now_ms > contact_ms ? s->now_ms - contact_ms : 0;
    uint64_t factor = s->config.replica_validity_factor;
    if (age_ms > timeout_ms(s))
        age_ms -= timeout_ms(s);
    return factor && age_ms > s->config.repl_ping_period_s * 1000ull + timeout_ms(s) * factor;
}

static void schedule(struct stock *s)
{
    s->auth_ms = s->now_ms + DELAY_MS + rng_below(&s->rng, DELAY_MS);
    s->auth_count = 0;
    s->auth_sent = false;
    s->auth_rank = rank(s);
    s->auth_ms += (uint64_t)s->auth_rank * RANK_MS;
    if (s->mf_end_ms) {
        s->auth_ms = s->now_ms;
        s->auth_rank = 0;
    }
    stock_broadcast_pong(s, true);
}

static void request(struct stock *s)
{
    s->auth_epoch = ++s->current_epoch;
    struct cluster_frame *frame =
        stock_build(s, BUS_AUTH_REQUEST, s->mf_end_ms ? BUS_MFLAG_FORCEACK : 0);
    stock_broadcast(s, frame);
    s->auth_sent = true;
    s->save = s->update = true;
}

void stock_election_run(struct stock *s)
{
    struct stock_peer *self = s->self, *primary = self->primary;
    bool manual = s->mf_end_ms && s->mf_can_start;
    uint64_t auth_timeout_ms = timeout_ms(s) * 2;
    if (auth_timeout_ms < AUTH_TIMEOUT_LEAST_MS)
        auth_timeout_ms = AUTH_TIMEOUT_LEAST_MS;
    if (stock_has(self, BUS_NODE_MASTER) || !primary || primary->slot_count == 0 ||
        (!stock_has(primary, BUS_NODE_FAIL) && !manual) || (too_old(s) && !manual))
        return;
    if (s->now_ms >= s->auth_ms && s->now_ms - s->auth_ms > auth_timeout_ms * 2) {
        schedule(s);
        return;
    }
    if (!s->auth_sent && s->mf_end_ms == 0) {
        int now = rank(s);
        if (now > s->auth_rank) {
            s->auth_ms += (uint64_t)(now - s->auth_rank) * RANK_MS;
            s->auth_rank = now;
        }
    }
    if (s->now_ms < s->auth_ms || s->now_ms - s->auth_ms > auth_timeout_ms)
        return;
    if (!s->auth_sent) {
        request(s);
        return;
    }
    if (s->auth_count >= stock_size(s) / 2 + 1) {
        if (self->config_epoch < s->auth_epoch)
            self->config_epoch = s->auth_epoch;
        take_over(s);
    }
}

void stock_vote(struct stock *s, struct stock_peer *sender, const struct bus_message *m)
{
    const struct bus_header *h = &m->header;
    struct stock_peer *primary = sender->primary;
    bool forced = h->mflags & BUS_MFLAG_FORCEACK;
    if (!stock_votes(s->self) || h->current_epoch < s->current_epoch ||
        s->last_vote_epoch == s->current_epoch)
        return;
    if (stock_has(sender, BUS_NODE_MASTER) || !primary ||
        (!stock_has(primary, BUS_NODE_FAIL) && !forced))
        return;
    if (primary->voted_ms && s->now_ms - primary->voted_ms < timeout_ms(s) * 2)
        return;
    for (unsigned slot = 0; slot < BUS_SLOTS; slot++)
        if (bus_slot_get(h->slots, slot) && s->slots[slot] &&
            s->slots[slot]->config_epoch > h->config_epoch)
            return;
    primary->voted_ms = s->now_ms;
    s->last_vote_epoch = s->current_epoch;
    s->save = true;
    struct cluster_frame *frame = stock_build(s, BUS_AUTH_ACK, 0);
    stock_send(s, sender->link_up ? sender->link : 0, frame);
    if (--frame->refs == 0)
        CHECK(!sender->link_up);
}

void stock_ack(struct stock *s, const struct stock_peer *sender, const struct bus_message *m)
{
    if (stock_votes(sender) && m->header.current_epoch >= s->auth_epoch)
        s->auth_count++;
}

/* ---- manual ---- */

void stock_mf_reset(struct stock *s)
{
    if (s->mf_paused)
        stock_emit(s, CLUSTER_ACTION_UNPAUSE);
    s->mf_end_ms = 0;
    s->mf_can_start = s->mf_paused = s->mf_offset_known = false;
    s->mf_replica = NULL;
    s->mf_offset = 0;
}

void stock_mfstart(struct stock *s, struct stock_peer *sender, cluster_link_id link)
{
    if (!stock_has(s->self, BUS_NODE_MASTER) || sender->primary != s->self)
        return;
    stock_mf_reset(s);
    s->mf_end_ms = s->now_ms + MF_TIMEOUT_MS;
    s->mf_replica = sender;
    s->mf_paused = true;
    stock_emit(s, CLUSTER_ACTION_PAUSE);
    stock_send_ping(s, link, NULL, BUS_PING);
}

void stock_mf_header(struct stock *s, const struct stock_peer *sender, const struct bus_header *h)
{
    if (s->mf_end_ms && !stock_has(s->self, BUS_NODE_MASTER) && s->self->primary == sender &&
        h->mflags & BUS_MFLAG_PAUSED && !s->mf_offset_known) {
        s->mf_offset = h->offset;
        s->mf_offset_known = true;
    }
}

void stock_mf_tick(struct stock *s)
{
    if (!s->mf_end_ms)
        return;
    if (s->now_ms > s->mf_end_ms) {
        stock_mf_reset(s);
        return;
    }
    if (s->mf_replica && s->mf_replica->link_up)
        stock_send_ping(s, s->mf_replica->link, s->mf_replica, BUS_PING);
    if (!s->mf_can_start && s->mf_offset_known && s->replication.offset >= s->mf_offset)
        s->mf_can_start = true;
}

const char *stock_failover(struct stock *s, const struct cluster_admin *admin)
{
    struct stock_peer *self = s->self, *primary = self->primary;
    bool force = admin->argc > 1 && slice_equal_word(admin->argv[1], "force");
    bool takeover = admin->argc > 1 && slice_equal_word(admin->argv[1], "takeover");
    if (stock_has(self, BUS_NODE_MASTER) || !primary)
        return "You should send CLUSTER FAILOVER to a replica";
    if (!force && !takeover && (stock_has(primary, BUS_NODE_FAIL) || !primary->link_up))
        return "Master is down or failed, please use CLUSTER FAILOVER FORCE";
    stock_mf_reset(s);
    s->mf_end_ms = s->now_ms + MF_TIMEOUT_MS;
    if (takeover) {
        self->config_epoch = ++s->current_epoch;
        take_over(s);
    } else if (force) {
        s->mf_can_start = true;
    } else {
        struct cluster_frame *frame = stock_build(s, BUS_MFSTART, 0);
        stock_send(s, primary->link, frame);
        frame->refs--;
    }
    return NULL;
}
