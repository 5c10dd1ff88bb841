#include <stdlib.h>
#include <string.h>
#include "cluster_state.h"

#define PERSIST_LAZY_US (100 * MS)
#define PERSIST_LAZY_NODE_US MS /* a large file is written less often */
#define PERSIST_RETRY_US SECOND

static void image_take(const struct cluster *c, struct cluster_image *image)
{
    const struct cluster_node *primary = c->self->primary;
    memset(image, 0, sizeof(*image));
    image->generation = c->generation;
    image->primary = node_is_primary(c->self);
    if (primary)
        memcpy(image->primary_id, primary->id, sizeof(image->primary_id));
    image->config_epoch = c->self->config_epoch;
    cluster_slots_of(c, c->self, image->slots);
}

void cluster_self_init(struct cluster *c, bool is_new)
{
    c->generation = 1;
    c->identity_durable = !is_new;
    c->view_want = CLUSTER_WANT_NOW;
    c->pong_want = CLUSTER_WANT_NOW;
    image_take(c, &c->durable);
    c->shown = c->durable;
    c->identity_generation = c->generation;
    if (is_new) {
        c->durable.generation = c->shown.generation = 0;
        cluster_persist_now(c);
    }
}

void cluster_self_changed(struct cluster *c)
{
    c->generation++;
    c->view_want = CLUSTER_WANT_NOW;
    c->health_want = true;
    cluster_persist_now(c);
}

uint64_t cluster_persist_now(struct cluster *c)
{
    c->persist_want = CLUSTER_WANT_NOW;
    return c->ticket_issued + 1;
}

void cluster_persist_soon(struct cluster *c)
{
    if (c->persist_want != CLUSTER_WANT_NOT)
        return;
    c->persist_want = CLUSTER_WANT_TICK;
    c->persist_at_us = c->now_us + PERSIST_LAZY_US + c->node_count * PERSIST_LAZY_NODE_US;
}

void cluster_self_persisted(struct cluster *c, const struct cluster_event_persisted *event)
{
    if (!c->persist_in_flight || event->ticket != c->ticket_issued)
        return;
    c->persist_in_flight = false;
    if (event->ok) {
        c->ticket_durable = event->ticket;
        if (c->durable.generation != c->in_flight.generation || !c->identity_durable)
            c->view_want = CLUSTER_WANT_NOW;
        if (!c->in_flight_void)
            c->durable = c->in_flight;
        if (c->won_until_us && node_is_primary(c->self) && c->durable.primary)
            c->won_until_us = 0;
        c->identity_durable = c->durable.generation >= c->identity_generation;
        cluster_held_release(c);
    } else {
        cluster_alarm(c, "The cluster configuration file could not be written: no vote, epoch or "
                         "slot of this node is shown until it can");
        c->persist_want = CLUSTER_WANT_NOW;
        c->persist_retry_us = c->now_us + PERSIST_RETRY_US;
        cluster_held_drop(c);
    }
    cluster_pending_durable(c, event->ok);
    election_on_persisted(c, event->ticket, event->ok);
}

void cluster_self_settled(struct cluster *c, uint64_t version)
{
    if (version <= c->view_settled || version > c->view_version)
        return;
    c->view_settled = version;
    cluster_slots_delete_lost(c);
    cluster_pending_settled(c);
    election_on_settled(c);
}

void cluster_self_follow(struct cluster *c, struct cluster_node *primary)
{
    struct cluster_node *self = c->self;
    CHECK(primary != self);
    if (node_is_primary(self)) {
        cluster_slots_take_all(c, self, NULL);
        cluster_slots_close_moves(c, NULL);
        self->flags &= (uint16_t) ~(BUS_NODE_MASTER | BUS_NODE_MIGRATE_TO);
        self->flags |= BUS_NODE_SLAVE;
    }
    cluster_node_link_primary(self, primary);
    c->replication.synced = c->replication.link_up = false;
    c->replication.offset = self->offset = 0;
    if (primary->shard_id[0])
        cluster_node_set_shard_id(c, self, primary->shard_id);
    election_on_role(c);
    cluster_self_changed(c);
}

void cluster_self_promote(struct cluster *c, uint64_t epoch)
{
    struct cluster_node *self = c->self, *old = self->primary;
    cluster_node_set_primary(c, self);
    if (epoch)
        self->config_epoch = epoch;
    if (old)
        cluster_slots_take_all(c, old, self);
    cluster_emit(c, CLUSTER_ACTION_REPLICATE_STOP);
    c->following_id[0] = 0;
    election_on_role(c);
    cluster_self_changed(c);
}

void cluster_self_win(struct cluster *c, uint64_t epoch)
{
    const struct cluster_node *old = c->self->primary;
    memset(c->won_from, 0, sizeof(c->won_from));
    if (old)
        memcpy(c->won_from, old->id, sizeof(c->won_from));
    c->won_until_us = c->now_us + cluster_rejoin_us(c) / 2;
    cluster_self_promote(c, epoch);
}

void cluster_self_tick(struct cluster *c)
{
    if (c->won_until_us == 0)
        return;
    if (!node_is_primary(c->self)) {
        c->won_until_us = 0;
        return;
    }
    if (c->now_us < c->won_until_us)
        return;
    struct cluster_node *old = cluster_node_find(c, c->won_from), *self = c->self;
    c->won_until_us = 0;
    if (!old || !node_is_primary(old))
        return; /* nobody to go back to */
    cluster_alarm(c, "The disk was too slow for the election that was won: it is given up");
    cluster_slots_take_all(c, self, old);
    self->config_epoch = 0;
    c->in_flight_void = c->persist_in_flight;
    cluster_self_follow(c, old);
}

/* The order to follow goes out once every lcore has stopped serving as a primary. */
static void follow_flush(struct cluster *c)
{
    if (c->shown.primary || node_is_primary(c->self) || !c->shown.primary_id[0])
        return;
    const struct cluster_node *n = cluster_node_find(c, c->shown.primary_id);
    if (!n || !n->ip[0] || n != c->self->primary)
        return;
    if (strcmp(n->id, c->following_id) == 0 && strcmp(n->ip, c->following_ip) == 0 &&
        n->port == c->following_port)
        return;
    memcpy(c->following_id, n->id, sizeof(c->following_id));
    memcpy(c->following_ip, n->ip, sizeof(c->following_ip));
    c->following_port = n->port;
    struct cluster_action *action = cluster_emit(c, CLUSTER_ACTION_REPLICATE);
    memcpy(action->replicate.id, n->id, sizeof(n->id));
    memcpy(action->replicate.ip, n->ip, sizeof(n->ip));
    action->replicate.port = n->port;
    action->replicate.by_command = c->follow_by_command;
    c->follow_by_command = false;
}

static void persist_flush(struct cluster *c)
{
    bool due = c->persist_want == CLUSTER_WANT_NOW ||
               (c->persist_want == CLUSTER_WANT_TICK && c->now_us >= c->persist_at_us);
    if (!due || c->persist_in_flight || c->now_us < c->persist_retry_us)
        return;
    image_take(c, &c->in_flight);
    struct cluster_action *action = cluster_emit(c, CLUSTER_ACTION_PERSIST);
    size_t len = 0;
    action->persist.text = cluster_save_text(c, &len);
    action->persist.len = len;
    action->persist.ticket = ++c->ticket_issued;
    c->persist_in_flight = true;
    c->in_flight_void = false;
    c->persist_want = CLUSTER_WANT_NOT;
}

static void view_flush(struct cluster *c)
{
    if (c->view_want != CLUSTER_WANT_NOW)
        return;
    c->view_want = CLUSTER_WANT_NOT;
    c->view_version++;
    cluster_emit(c, CLUSTER_ACTION_VIEW)->view = cluster_map_build(c);
    if (c->lost_count > 0 && c->lost_version == 0)
        c->lost_version = c->view_version;
}

/* A change of ours that is durable is shown once the view that has it is settled. */
static void shown_flush(struct cluster *c)
{
    while (c->settling_version || c->durable.generation != c->shown.generation) {
        if (!c->settling_version) {
            c->settling = c->durable;
            c->settling_version = c->view_version;
        }
        if (c->view_settled < c->settling_version)
            return;
        c->shown = c->settling;
        c->settling_version = 0;
        c->pong_want = CLUSTER_WANT_NOW;
        c->broadcast_want = true;
        election_on_shown(c);
    }
}

/* Before all other actions of this step: an answer to PING is never older than what a frame of the
 * same step shows. */
static void pong_flush(struct cluster *c, size_t first)
{
    if (c->pong_want != CLUSTER_WANT_NOW)
        return;
    c->pong_want = CLUSTER_WANT_NOT;
    struct cluster_pong *pong = cluster_build_pong(c);
    pong->version = ++c->pong_version;
    cluster_emit(c, CLUSTER_ACTION_PONG);
    struct cluster_action *items = c->out->items;
    memmove(items + first + 1, items + first, (c->out->count - 1 - first) * sizeof(*items));
    memset(&items[first], 0, sizeof(items[first]));
    items[first].kind = CLUSTER_ACTION_PONG;
    items[first].pong = pong;
}

void cluster_self_flush(struct cluster *c, size_t first)
{
    persist_flush(c);
    if (!c->identity_durable)
        return;
    view_flush(c);
    cluster_pending_settled(c);
    shown_flush(c);
    follow_flush(c);
    if (c->broadcast_want) {
        c->broadcast_want = false;
        cluster_broadcast_pong(c);
    }
    pong_flush(c, first);
}
