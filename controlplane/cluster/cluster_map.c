/* The view that lcores look slots up in. It shows slots of ours only once our owning them is
 * durable, and loses them at once. */
#include <stdio.h>
#include <string.h>
#include "cluster_state.h"

#define REDIRECT_MAX (BUS_EXT_TEXT_MAX + 8)

static const char *endpoint(const struct cluster *c, const struct cluster_node *n)
{
    switch (c->config.endpoint) {
    case CLUSTER_ENDPOINT_HOSTNAME:
        return n->hostname ? n->hostname : "?";
    case CLUSTER_ENDPOINT_UNKNOWN:
        return "";
    default:
        return n->ip;
    }
}

struct map {
    struct cluster_view *view;
    uint16_t index[CLUSTER_NODES_MAX + 2]; /* by handle */
    char *text;
};

static void map_node(const struct cluster *c, struct map *map, const struct cluster_node *n,
                     uint16_t index)
{
    struct cluster_view_node *to = &map->view->nodes[index];
    map->index[n->handle] = index;
    memcpy(to->id, n->id, sizeof(to->id));
    to->port = n->port;
    to->flags = n->flags;
    int len = snprintf(map->text, REDIRECT_MAX, "%s:%u", endpoint(c, n), n->port);
    to->redirect = slice_from(map->text, (size_t)len);
    map->text += len;
    size_t ip_len = strlen(n->ip);
    memcpy(map->text, n->ip, ip_len);
    to->ip = slice_from(map->text, ip_len);
    map->text += ip_len;
}

static size_t map_text_size(const struct cluster *c)
{
    size_t size = REDIRECT_MAX;
    for (uint32_t i = 0; i < c->node_count; i++)
        size += strlen(endpoint(c, c->nodes[i])) + strlen(c->nodes[i]->ip) + 8;
    return size;
}

static void map_slots(const struct cluster *c, struct map *map)
{
    struct cluster_view *view = map->view;
    uint16_t self = c->self->handle;
    bool ours = node_is_primary(c->self) && c->durable.primary;
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        uint16_t handle = c->slots[slot];
        if (handle != self)
            view->slots[slot] = map->index[handle];
        else if (ours && bus_slot_get(c->durable.slots, slot))
            view->slots[slot] = CLUSTER_VIEW_SELF;
    }
}

static void map_moves(const struct cluster *c, struct map *map)
{
    struct cluster_view *view = map->view;
    uint32_t count = 0;
    for (unsigned slot = 0; c->moving_count > 0 && slot < SLOTS; slot++) {
        const struct cluster_node *to = cluster_slot_migrating(c, slot);
        const struct cluster_node *from = cluster_slot_importing(c, slot);
        bool self = view->slots[slot] == CLUSTER_VIEW_SELF;
        if (!(self ? to : from))
            continue;
        view->slots[slot] |= self ? CLUSTER_VIEW_MIGRATING : CLUSTER_VIEW_IMPORTING;
        CHECK(count < view->move_count);
        view->moves[count++] = (struct cluster_view_move){
            (uint16_t)slot, map->index[self ? to->handle : from->handle]};
    }
    view->move_count = count;
}

struct cluster_view *cluster_map_build(struct cluster *c)
{
    struct map map;
    memset(map.index, 0, sizeof(map.index));
    map.view = cluster_view_alloc(c->node_count + 1 - c->handshake_count, c->moving_count,
                                  map_text_size(c), &map.text);
    map_node(c, &map, c->self, CLUSTER_VIEW_SELF);
    uint16_t next = CLUSTER_VIEW_SELF + 1;
    for (uint32_t i = 0; i < c->node_count; i++)
        if (c->nodes[i] != c->self && !node_has(c->nodes[i], BUS_NODE_HANDSHAKE))
            map_node(c, &map, c->nodes[i], next++);
    CHECK(next == map.view->node_count);
    struct cluster_view *view = map.view;
    view->version = c->view_version;
    view->ok = c->ok;
    view->primary = node_is_primary(c->self) && c->durable.primary;
    if (view->primary)
        view->self_primary = CLUSTER_VIEW_SELF;
    else if (c->self->primary)
        view->self_primary = map.index[c->self->primary->handle];
    memcpy(view->shard_id, c->self->shard_id, sizeof(view->shard_id));
    map_slots(c, &map);
    map_moves(c, &map);
    return view;
}
