/* Replica migration: a primary with slots that had replicas and has none that works gets one from
 * the primary that has the most. Redis 7.0's rules; but replicas that are FAIL are not waited for
 * when the one with the smallest id moves. */
#include <string.h>
#include "cluster_state.h"

#define MIGRATION_LOOK_US (500 * MS)
#define MIGRATION_DELAY_US (5 * SECOND)

void replicas_count(struct cluster *c)
{
    for (uint32_t i = 0; i < c->node_count; i++)
        c->nodes[i]->election.working_replicas = 0;
    for (uint32_t i = 0; i < c->node_count; i++) {
        const struct cluster_node *n = c->nodes[i];
        if (n->primary && !node_has(n, BUS_NODE_FAIL))
            n->primary->election.working_replicas++;
    }
}

static bool orphaned(const struct cluster_node *n)
{
    return node_votes(n) && !node_has(n, BUS_NODE_FAIL) && node_has(n, BUS_NODE_MIGRATE_TO) &&
           n->election.working_replicas == 0;
}

/* The greatest number of working replicas that a working primary has. */
static uint32_t replicas_most(const struct cluster *c)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < c->node_count; i++) {
        const struct cluster_node *n = c->nodes[i];
        if (node_is_primary(n) && !node_has(n, BUS_NODE_FAIL) &&
            n->election.working_replicas > most)
            most = n->election.working_replicas;
    }
    return most;
}

/* Marks since when each primary is an orphan; the first of them. */
static struct cluster_node *orphan_find(struct cluster *c)
{
    struct cluster_node *first = NULL;
    for (uint32_t i = 0; i < c->node_count; i++) {
        struct cluster_node *n = c->nodes[i];
        if (!orphaned(n)) {
            n->election.orphaned_us = 0;
            continue;
        }
        if (n->election.orphaned_us == 0)
            n->election.orphaned_us = c->now_us;
        if (!first)
            first = n;
    }
    return first;
}

/* Nodes are in the order of ids: the first replica that fits is the one that moves. */
static bool is_chosen(const struct cluster *c, uint32_t most)
{
    for (uint32_t i = 0; i < c->node_count; i++) {
        const struct cluster_node *n = c->nodes[i];
        if (!n->primary || node_has(n, BUS_NODE_FAIL) || node_has(n->primary, BUS_NODE_FAIL) ||
            n->primary->election.working_replicas != most)
            continue;
        return n == c->self;
    }
    return false;
}

void migration_tick(struct cluster *c)
{
    if (c->now_us < c->election.migration_due_us)
        return;
    c->election.migration_due_us = c->now_us + MIGRATION_LOOK_US;
    const struct cluster_node *primary = c->self->primary;
    if (!primary || !c->ok || !c->config.allow_replica_migration ||
        c->election.manual != MANUAL_NONE)
        return;
    replicas_count(c);
    struct cluster_node *target = orphan_find(c);
    uint32_t ours = primary->election.working_replicas, most = replicas_most(c);
    if (!target || ours != most || most < 2 || ours <= c->config.migration_barrier)
        return;
    if (c->now_us - target->election.orphaned_us <= MIGRATION_DELAY_US || !is_chosen(c, most))
        return;
    cluster_log(c, LOG_LEVEL_WARNING, "Migrating to orphaned master %s", target->id);
    cluster_self_follow(c, target);
}
