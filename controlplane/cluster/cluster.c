#include "cluster.h"
#include <stdlib.h>
#include <string.h>
#include "cluster_state.h"

struct cluster *cluster_new(const struct cluster_config *config, const struct cluster_env *env,
                            const struct nodes_conf *saved, uint64_t seed)
{
    struct cluster *c = calloc(1, sizeof(*c));
    CHECK(c);
    c->config = *config;
    c->env = *env;
    rng_seed(&c->rng, seed);
    char id[BUS_NAME_SIZE + 1];
    if (!saved) {
        cluster_id_random(c, id);
        c->self = cluster_node_add(c, id, BUS_NODE_MYSELF | BUS_NODE_MASTER);
    } else if (!cluster_load(c, saved)) {
        cluster_free(c);
        return NULL;
    }
    if (!c->self->shard_id[0]) {
        cluster_id_random(c, id);
        memcpy(c->self->shard_id, id, sizeof(id));
    }
    cluster_announce(c);
    cluster_self_init(c, !saved);
    election_init(c);
    return c;
}

void cluster_free(struct cluster *c)
{
    if (!c)
        return;
    election_fini(c);
    cluster_held_drop(c);
    for (uint32_t i = 0; i < c->pending_count; i++)
        free(c->pending[i].text);
    free(c->pending);
    free(c->held);
    free(c->forgotten);
    free(c->migrating);
    free(c->importing);
    cluster_links_free(c);
    cluster_nodes_free(c);
    free(c);
}

/* What the file could not say: times are those of this process. */
static void first_step(struct cluster *c)
{
    c->started = true;
    for (uint32_t i = 0; i < c->node_count; i++)
        if (node_has(c->nodes[i], BUS_NODE_FAIL))
            c->nodes[i]->fail_us = c->now_us;
}

static void publish_out(struct cluster *c, const struct cluster_publish *publish)
{
    struct cluster_frame *frame = cluster_build_publish(c, publish);
    if (!publish->sharded) {
        cluster_broadcast(c, frame);
    } else {
        /* Only our shard has subscribers. */
        const struct cluster_node *primary = c->self->primary ? c->self->primary : c->self;
        for (uint32_t i = 0; i < c->node_count; i++) {
            const struct cluster_node *n = c->nodes[i];
            if ((n == primary || n->primary == primary) && n->link)
                cluster_send(c, n->link->id, frame);
        }
    }
    cluster_frame_put(frame);
}

static void replication_take(struct cluster *c, const struct cluster_replication *replication)
{
    c->replication = *replication;
    /* Until the shell was told to follow our primary, it speaks of the one before: the offset of
     * another history says nothing. */
    const struct cluster_node *primary = c->self->primary;
    if (!node_is_primary(c->self) && (!primary || strcmp(primary->id, c->following_id) != 0))
        c->replication.synced = false;
    if (!c->replication.synced && !node_is_primary(c->self))
        c->replication.offset = 0;
    c->self->offset = c->replication.offset;
    election_on_replication(c);
}

static void event_take(struct cluster *c, const struct cluster_event *event)
{
    switch (event->kind) {
    case CLUSTER_EVENT_TICK:
        cluster_tick(c);
        break;
    case CLUSTER_EVENT_LINK_UP:
        cluster_link_up(c, &event->link);
        break;
    case CLUSTER_EVENT_LINK_DOWN:
    case CLUSTER_EVENT_LINK_FAILED:
        cluster_link_down(c, event->link.id);
        break;
    case CLUSTER_EVENT_FRAME:
        cluster_frame_take(c, &event->frame);
        break;
    case CLUSTER_EVENT_PERSISTED:
        cluster_self_persisted(c, &event->persisted);
        break;
    case CLUSTER_EVENT_SETTLED:
        cluster_self_settled(c, event->settled.version);
        break;
    case CLUSTER_EVENT_REPLICATION:
        replication_take(c, &event->replication);
        break;
    case CLUSTER_EVENT_PAUSED:
        election_on_paused(c, event->paused_offset);
        break;
    case CLUSTER_EVENT_ADMIN:
        cluster_admin_take(c, &event->admin);
        break;
    case CLUSTER_EVENT_PUBLISH:
        publish_out(c, &event->publish);
        break;
    case CLUSTER_EVENT_CONFIG:
        c->config = *event->config;
        cluster_announce(c);
        break;
    case CLUSTER_EVENT_LOADED:
        cluster_slots_loaded(c);
        break;
    }
}

void cluster_step(struct cluster *c, const struct cluster_event *event,
                  struct cluster_actions *actions)
{
    size_t first = actions->count;
    c->out = actions;
    c->event_us = event->now_us;
    if (event->now_us > c->now_us) {
        c->now_us = event->now_us;
        c->wall_ms = event->wall_ms;
    }
    if (!c->started)
        first_step(c);
    cluster_stall_notice(c);
    event_take(c, event);
    if (c->health_want)
        cluster_health_update(c);
    cluster_self_flush(c, first);
    c->out = NULL;
}

uint64_t cluster_next_us(const struct cluster *c)
{
    uint64_t election_us = election_next_us(c);
    return election_us < c->tick_next_us ? election_us : c->tick_next_us;
}

/* ---- looking at it ---- */

const char *cluster_self_id(const struct cluster *c)
{
    return c->self->id;
}

const char *cluster_self_shard_id(const struct cluster *c)
{
    return c->self->shard_id;
}

bool cluster_is_primary(const struct cluster *c)
{
    return node_is_primary(c->self);
}

bool cluster_state_ok(const struct cluster *c)
{
    return c->ok;
}

uint64_t cluster_current_epoch(const struct cluster *c)
{
    return c->current_epoch;
}

uint64_t cluster_config_epoch(const struct cluster *c)
{
    return c->self->primary ? c->self->primary->config_epoch : c->self->config_epoch;
}

uint32_t cluster_node_count(const struct cluster *c)
{
    return c->node_count;
}

const char *cluster_slot_owner(const struct cluster *c, unsigned slot)
{
    const struct cluster_node *n = cluster_slot_node(c, slot);
    return n ? n->id : NULL;
}

const char *cluster_primary_id(const struct cluster *c)
{
    return c->self->primary ? c->self->primary->id : NULL;
}

bool cluster_peer_get(const struct cluster *c, const char *id, struct cluster_peer *peer)
{
    const struct cluster_node *n = cluster_node_find(c, id);
    if (!n)
        return false;
    memset(peer, 0, sizeof(*peer));
    peer->flags = n->flags;
    peer->config_epoch = n->config_epoch;
    peer->slot_count = n->slot_count;
    peer->report_count = cluster_report_count(c, n);
    peer->linked = n->link && n->link->up;
    memcpy(peer->ip, n->ip, sizeof(peer->ip));
    peer->port = n->port;
    peer->cport = n->cport;
    return true;
}

const struct cluster_counts *cluster_counts_get(const struct cluster *c)
{
    return &c->counts;
}
