#include <string.h>
#include "cluster_state.h"

static void node_validate(const struct cluster *c, const struct cluster_node *n)
{
    CHECK(c->handles[n->handle] == n);
    CHECK(node_has(n, BUS_NODE_MYSELF) == (n == c->self));
    CHECK(!node_has(n, BUS_NODE_PFAIL) || !node_has(n, BUS_NODE_FAIL));
    CHECK(!(node_is_primary(n) && node_has(n, BUS_NODE_SLAVE)));
    if (node_has(n, BUS_NODE_HANDSHAKE)) {
        CHECK(n->slot_count == 0 && !n->primary && n->replica_count == 0);
        return;
    }
    CHECK(node_is_primary(n) || node_has(n, BUS_NODE_SLAVE));
    CHECK(!node_is_primary(n) || !n->primary);
    CHECK(n->primary != n);
    CHECK(node_is_primary(n) || n->slot_count == 0);
    CHECK(!n->link || n->link->node == n);
    CHECK(!n->inbound || n->inbound->node == n);
    for (uint32_t i = 0; i < n->report_count; i++)
        CHECK(cluster_node_find(c, n->reports[i].by->id) == n->reports[i].by);
}

static void slots_validate(const struct cluster *c)
{
    uint32_t counts[CLUSTER_NODES_MAX + 2] = {0}, assigned = 0, moving = 0;
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (c->slots[slot]) {
            CHECK(c->slots[slot] < c->handle_size && c->handles[c->slots[slot]]);
            counts[c->slots[slot]]++;
            assigned++;
        }
        if (c->moving_count == 0)
            continue;
        if (cluster_slot_migrating(c, slot)) {
            CHECK(cluster_slot_node(c, slot) == c->self);
            moving++;
        }
        if (cluster_slot_importing(c, slot)) {
            CHECK(cluster_slot_node(c, slot) != c->self);
            moving++;
        }
    }
    CHECK(assigned == c->assigned_count);
    CHECK(moving == c->moving_count);
    for (uint32_t i = 0; i < c->node_count; i++)
        CHECK(counts[c->nodes[i]->handle] == c->nodes[i]->slot_count);
}

static void own_validate(const struct cluster *c)
{
    /* Shown is never ahead of durable, nor durable of what is decided. */
    CHECK(c->shown.generation <= c->durable.generation);
    CHECK(c->durable.generation <= c->generation);
    CHECK(c->view_settled <= c->view_version);
    CHECK(!node_is_primary(c->self) || c->current_epoch >= c->self->config_epoch);
    CHECK(c->ticket_durable <= c->ticket_issued);
}

void cluster_validate(const struct cluster *c)
{
    uint32_t handshakes = 0, pfails = 0, replicas = 0, with_primary = 0;
    CHECK(c->node_count <= CLUSTER_NODES_MAX);
    for (uint32_t i = 0; i < c->node_count; i++) {
        const struct cluster_node *n = c->nodes[i];
        CHECK(i == 0 || memcmp(c->nodes[i - 1]->id, n->id, BUS_NAME_SIZE) < 0);
        node_validate(c, n);
        handshakes += node_has(n, BUS_NODE_HANDSHAKE);
        pfails += node_has(n, BUS_NODE_PFAIL);
        replicas += n->replica_count;
        with_primary += n->primary != NULL;
    }
    CHECK(handshakes == c->handshake_count);
    CHECK(pfails == c->pfail_count);
    CHECK(replicas == with_primary);
    slots_validate(c);
    own_validate(c);
    election_validate(c);
}
