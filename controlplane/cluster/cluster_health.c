/* cluster_state: whether this node serves clients. */
#include "cluster_state.h"

/* A primary that has just started waits, so that the others can tell it what it has lost. */
#define START_DELAY_US (2 * SECOND)
/* As does one that comes back from a minority: a node timeout, within these. */
#define REJOIN_SHORTEST_US (500 * MS)
#define REJOIN_LONGEST_US (5 * SECOND)

static bool health_compute(struct cluster *c)
{
    uint32_t size = 0, reachable = 0;
    bool ok = true;
    if (c->config.require_full_coverage && c->assigned_count < SLOTS)
        ok = false;
    for (uint32_t i = 0; i < c->node_count; i++) {
        const struct cluster_node *n = c->nodes[i];
        if (n->slot_count == 0)
            continue;
        if (c->config.require_full_coverage && node_has(n, BUS_NODE_FAIL))
            ok = false;
        if (!node_is_primary(n))
            continue;
        size++;
        if (!node_has(n, BUS_NODE_FAIL | BUS_NODE_PFAIL) &&
            (!c->stalled || n->heard || n == c->self))
            reachable++;
    }
    if (reachable < size / 2 + 1) {
        ok = false;
        c->minority_us = c->now_us;
    } else {
        c->stalled = false;
    }
    return ok;
}

uint64_t cluster_rejoin_us(const struct cluster *c)
{
    uint64_t us = cluster_timeout_us(c);
    if (us < REJOIN_SHORTEST_US)
        return REJOIN_SHORTEST_US;
    return us > REJOIN_LONGEST_US ? REJOIN_LONGEST_US : us;
}

void cluster_health_update(struct cluster *c)
{
    if (!c->health_want && c->ok)
        return;
    c->health_want = false;
    if (c->first_us == 0)
        c->first_us = c->now_us ? c->now_us : 1;
    bool primary = node_is_primary(c->self);
    if (primary && !c->ok && c->now_us - c->first_us < START_DELAY_US)
        return;
    bool ok = health_compute(c);
    if (ok == c->ok)
        return;
    if (ok && primary && c->minority_us && c->now_us - c->minority_us < cluster_rejoin_us(c))
        return;
    c->ok = ok;
    c->view_want = CLUSTER_WANT_NOW;
    c->pong_want = CLUSTER_WANT_NOW;
    cluster_log(c, LOG_LEVEL_WARNING, "Cluster state changed: %s", ok ? "ok" : "fail");
}
