/* nodes.conf: the state as the file has it, and back. */
#include <stdlib.h>
#include <string.h>
#include "cluster_print.h"
#include "nodes_conf.h"
#include "cluster_state.h"

char *cluster_save_text(struct cluster *c, size_t *len)
{
    struct nodes_text text = {0};
    cluster_print_file(c, &text);
    *len = text.len;
    return text.data;
}

static struct cluster_node *load_node(struct cluster *c, const struct nodes_conf_node *saved)
{
    unsigned flags = saved->flags & (BUS_NODE_MASTER | BUS_NODE_SLAVE | BUS_NODE_FAIL |
                                     BUS_NODE_NOADDR | BUS_NODE_MYSELF | BUS_NODE_NOFAILOVER);
    if (!(flags & (BUS_NODE_MASTER | BUS_NODE_SLAVE)))
        flags |= saved->primary[0] ? BUS_NODE_SLAVE : BUS_NODE_MASTER;
    if (flags & BUS_NODE_MYSELF)
        flags &= ~(unsigned)BUS_NODE_FAIL;
    struct cluster_node *n = cluster_node_add(c, saved->id, flags);
    if (!n)
        return NULL;
    memcpy(n->ip, saved->ip, sizeof(n->ip));
    n->port = saved->port;
    n->cport = saved->cport;
    memcpy(n->shard_id, saved->shard_id, sizeof(n->shard_id));
    cluster_node_set_hostname(c, n, slice_str(saved->hostname));
    if (flags & BUS_NODE_FAIL)
        n->fail_us = c->now_us;
    /* A replica's line shows its primary's epoch, which is not its own. */
    n->config_epoch = flags & BUS_NODE_SLAVE ? 0 : saved->config_epoch;
    for (unsigned slot = 0; saved->slots && slot < SLOTS; slot++)
        if (bus_slot_get(saved->slots, slot))
            cluster_slot_set(c, slot, n);
    return n;
}

static void load_moves(struct cluster *c, const struct nodes_conf_node *saved)
{
    for (uint32_t i = 0; i < saved->move_count; i++) {
        const struct nodes_conf_move *move = &saved->moves[i];
        struct cluster_node *n = cluster_node_find(c, move->id);
        if (!n || n == c->self)
            continue;
        if (move->importing)
            cluster_slot_set_importing(c, move->slot, n);
        else
            cluster_slot_set_migrating(c, move->slot, n);
    }
}

bool cluster_load(struct cluster *c, const struct nodes_conf *saved)
{
    if (saved->myself >= saved->node_count)
        return false;
    for (uint32_t i = 0; i < saved->node_count; i++) {
        struct cluster_node *n = load_node(c, &saved->nodes[i]);
        if (!n)
            return false;
        if (i == saved->myself)
            c->self = n;
    }
    c->self->flags |= BUS_NODE_MYSELF;
    for (uint32_t i = 0; i < saved->node_count; i++) {
        const struct nodes_conf_node *line = &saved->nodes[i];
        if (!line->primary[0])
            continue;
        struct cluster_node *n = cluster_node_find(c, line->id);
        struct cluster_node *primary = cluster_node_find(c, line->primary);
        if (primary && primary != n)
            cluster_node_link_primary(n, primary);
    }
    load_moves(c, &saved->nodes[saved->myself]);
    c->current_epoch = saved->current_epoch;
    c->last_vote_epoch = saved->last_vote_epoch;
    uint64_t max = cluster_epoch_max(c);
    if (c->current_epoch < max)
        c->current_epoch = max;
    return true;
}
