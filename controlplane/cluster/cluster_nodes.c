#include <stdlib.h>
#include <string.h>
#include "cluster_state.h"

/* Orders as memcmp() does; nearly always enough to tell two ids apart, without touching the nodes.
 */
static uint64_t id_key(const void *id)
{
    return bus_load64(id);
}

/* Where the id is, or where it would be inserted. */
static uint32_t table_place(const struct cluster *c, const void *id, bool *found)
{
    uint32_t low = 0, high = c->node_count;
    uint64_t key = id_key(id);
    *found = false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (c->node_keys[middle] < key) {
            low = middle + 1;
        } else if (c->node_keys[middle] > key) {
            high = middle;
        } else {
            int order = memcmp(c->nodes[middle]->id, id, BUS_NAME_SIZE);
            if (order == 0) {
                *found = true;
                return middle;
            }
            if (order < 0)
                low = middle + 1;
            else
                high = middle;
        }
    }
    return low;
}

static void table_insert(struct cluster *c, struct cluster_node *n)
{
    bool found;
    uint32_t at = table_place(c, n->id, &found), after = c->node_count - at;
    CHECK(!found);
    if (c->node_count == c->node_size) {
        c->node_size = c->node_size ? c->node_size * 2 : 16;
        c->nodes = realloc(c->nodes, c->node_size * sizeof(*c->nodes));
        c->node_keys = realloc(c->node_keys, c->node_size * sizeof(*c->node_keys));
        CHECK(c->nodes);
        CHECK(c->node_keys);
    }
    memmove(c->nodes + at + 1, c->nodes + at, after * sizeof(*c->nodes));
    memmove(c->node_keys + at + 1, c->node_keys + at, after * sizeof(*c->node_keys));
    c->nodes[at] = n;
    c->node_keys[at] = id_key(n->id);
    c->node_count++;
}

static void table_take_out(struct cluster *c, const struct cluster_node *n)
{
    bool found;
    uint32_t at = table_place(c, n->id, &found);
    CHECK(found && c->nodes[at] == n);
    uint32_t after = --c->node_count - at;
    memmove(c->nodes + at, c->nodes + at + 1, after * sizeof(*c->nodes));
    memmove(c->node_keys + at, c->node_keys + at + 1, after * sizeof(*c->node_keys));
}

/* The smallest free one, so that handles stay dense and do not depend on history's length. */
static uint16_t handle_take(struct cluster *c, struct cluster_node *n)
{
    uint32_t handle = 1;
    while (handle < c->handle_size && c->handles[handle])
        handle++;
    if (handle >= c->handle_size) {
        uint32_t size = c->handle_size ? c->handle_size * 2 : 16;
        c->handles = realloc(c->handles, size * sizeof(*c->handles));
        CHECK(c->handles);
        memset(c->handles + c->handle_size, 0, (size - c->handle_size) * sizeof(*c->handles));
        c->handle_size = size;
    }
    c->handles[handle] = n;
    return (uint16_t)handle;
}

struct cluster_node *cluster_node_find(const struct cluster *c, const void *id)
{
    bool found;
    uint32_t at = table_place(c, id, &found);
    return found ? c->nodes[at] : NULL;
}

struct cluster_node *cluster_node_add(struct cluster *c, const void *id, unsigned flags)
{
    if (c->node_count >= CLUSTER_NODES_MAX)
        return NULL;
    struct cluster_node *n = calloc(1, sizeof(*n));
    CHECK(n);
    memcpy(n->id, id, BUS_NAME_SIZE);
    n->flags = (uint16_t)flags;
    n->created_us = c->now_us;
    n->handle = handle_take(c, n);
    table_insert(c, n);
    if (flags & BUS_NODE_HANDSHAKE)
        c->handshake_count++;
    else if (c->view_want == CLUSTER_WANT_NOT)
        c->view_want = CLUSTER_WANT_TICK;
    return n;
}

static void node_free(struct cluster_node *n)
{
    free(n->reports);
    free(n->hostname);
    free(n);
}

void cluster_node_remove(struct cluster *c, struct cluster_node *n)
{
    CHECK(n != c->self);
    if (!node_has(n, BUS_NODE_HANDSHAKE))
        election_on_gone(c, n);
    cluster_link_close_all(c, n);
    cluster_slots_take_all(c, n, NULL);
    cluster_slots_close_moves(c, n);
    cluster_node_link_primary(n, NULL);
    for (uint32_t i = 0; i < c->node_count; i++) {
        struct cluster_node *other = c->nodes[i];
        cluster_report_remove(other, n);
        if (other->primary == n)
            other->primary = NULL;
    }
    if (node_has(n, BUS_NODE_HANDSHAKE))
        c->handshake_count--;
    cluster_pfail_set(c, n, false);
    table_take_out(c, n);
    c->handles[n->handle] = NULL;
    node_free(n);
    c->view_want = CLUSTER_WANT_NOW;
    c->health_want = true;
}

void cluster_node_rename(struct cluster *c, struct cluster_node *n, const void *id)
{
    table_take_out(c, n);
    memcpy(n->id, id, BUS_NAME_SIZE);
    table_insert(c, n);
}

void cluster_node_set_hostname(struct cluster *c, struct cluster_node *n, struct slice hostname)
{
    struct slice old = slice_from(n->hostname, n->hostname ? strlen(n->hostname) : 0);
    if (slice_equal(old, hostname))
        return;
    free(n->hostname);
    n->hostname = NULL;
    if (hostname.len > 0) {
        n->hostname = calloc(1, hostname.len + 1);
        CHECK(n->hostname);
        memcpy(n->hostname, hostname.data, hostname.len);
    }
    cluster_persist_soon(c);
    c->view_want = CLUSTER_WANT_NOW;
    if (n == c->self)
        c->pong_want = CLUSTER_WANT_NOW;
}

void cluster_node_set_shard_id(struct cluster *c, struct cluster_node *n, const void *id)
{
    if (memcmp(n->shard_id, id, BUS_NAME_SIZE) == 0)
        return;
    memcpy(n->shard_id, id, BUS_NAME_SIZE);
    cluster_persist_soon(c);
    if (n == c->self) {
        c->view_want = CLUSTER_WANT_NOW;
        c->pong_want = CLUSTER_WANT_NOW;
    }
}

void cluster_node_link_primary(struct cluster_node *n, struct cluster_node *primary)
{
    if (n->primary == primary)
        return;
    if (n->primary) {
        CHECK(n->primary->replica_count > 0);
        if (--n->primary->replica_count == 0)
            n->primary->flags &= (uint16_t)~BUS_NODE_MIGRATE_TO;
    }
    n->primary = primary;
    if (primary) {
        primary->replica_count++;
        primary->flags |= BUS_NODE_MIGRATE_TO;
    }
}

void cluster_node_set_replica(struct cluster *c, struct cluster_node *n,
                              struct cluster_node *primary)
{
    CHECK(n != c->self);
    bool was_primary = node_is_primary(n);
    if (was_primary) {
        cluster_slots_take_all(c, n, NULL);
        n->flags &= (uint16_t) ~(BUS_NODE_MASTER | BUS_NODE_MIGRATE_TO);
        n->flags |= BUS_NODE_SLAVE;
        c->health_want = true;
    }
    if (!was_primary && (!primary || n->primary == primary))
        return;
    if (primary && primary != n)
        cluster_node_link_primary(n, primary);
    cluster_persist_soon(c);
    c->view_want = CLUSTER_WANT_NOW;
}

void cluster_node_set_primary(struct cluster *c, struct cluster_node *n)
{
    if (node_is_primary(n))
        return;
    bool had_primary = n->primary != NULL;
    cluster_node_link_primary(n, NULL);
    n->flags &= (uint16_t)~BUS_NODE_SLAVE;
    n->flags |= BUS_NODE_MASTER;
    /* Replicas may migrate to one that was a replica: its shard knows how to have them. */
    if (had_primary && n != c->self)
        n->flags |= BUS_NODE_MIGRATE_TO;
    cluster_persist_soon(c);
    c->view_want = CLUSTER_WANT_NOW;
    c->health_want = true;
}

void cluster_nodes_free(struct cluster *c)
{
    for (uint32_t i = 0; i < c->node_count; i++)
        node_free(c->nodes[i]);
    free(c->nodes);
    free(c->node_keys);
    free(c->handles);
}

void cluster_id_random(struct cluster *c, char *id)
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < BUS_NAME_SIZE; i++)
        id[i] = digits[rng_below(&c->rng, 16)];
    id[BUS_NAME_SIZE] = 0;
}

struct cluster_node *cluster_replica_next(const struct cluster *c,
                                          const struct cluster_node *primary, uint32_t *i)
{
    while (*i < c->node_count) {
        struct cluster_node *n = c->nodes[(*i)++];
        if (n->primary == primary)
            return n;
    }
    return NULL;
}
