#include <stdlib.h>
#include <string.h>
#include "cluster_state.h"

static void move_set(struct cluster *c, uint16_t **table, unsigned slot, struct cluster_node *n)
{
    uint16_t handle = n ? n->handle : 0;
    if (!*table) {
        if (handle == 0)
            return;
        *table = calloc(SLOTS, sizeof(**table));
        CHECK(*table);
    }
    uint16_t *at = &(*table)[slot];
    if (*at == handle)
        return;
    c->moving_count += handle != 0;
    c->moving_count -= *at != 0;
    *at = handle;
    c->view_want = CLUSTER_WANT_NOW;
    cluster_persist_soon(c);
}

struct cluster_node *cluster_slot_migrating(const struct cluster *c, unsigned slot)
{
    return c->migrating ? c->handles[c->migrating[slot]] : NULL;
}

struct cluster_node *cluster_slot_importing(const struct cluster *c, unsigned slot)
{
    return c->importing ? c->handles[c->importing[slot]] : NULL;
}

void cluster_slot_set_migrating(struct cluster *c, unsigned slot, struct cluster_node *to)
{
    move_set(c, &c->migrating, slot, to);
}

void cluster_slot_set_importing(struct cluster *c, unsigned slot, struct cluster_node *from)
{
    move_set(c, &c->importing, slot, from);
}

void cluster_slots_close_moves(struct cluster *c, const struct cluster_node *with)
{
    for (unsigned slot = 0; c->moving_count > 0 && slot < SLOTS; slot++) {
        const struct cluster_node *to = cluster_slot_migrating(c, slot);
        const struct cluster_node *from = cluster_slot_importing(c, slot);
        if (to && (!with || to == with))
            cluster_slot_set_migrating(c, slot, NULL);
        if (from && (!with || from == with))
            cluster_slot_set_importing(c, slot, NULL);
    }
}

static void slot_leaves(struct cluster *c, unsigned slot, struct cluster_node *n)
{
    c->assigned_count--;
    n->slot_count--;
    n->claim_hash = 0;
    if (n != c->self)
        return;
    cluster_slot_set_migrating(c, slot, NULL);
    cluster_self_changed(c);
}

static void slot_comes(struct cluster *c, unsigned slot, struct cluster_node *n)
{
    c->assigned_count++;
    n->slot_count++;
    n->claim_hash = 0;
    if (n != c->self)
        return;
    cluster_slot_set_importing(c, slot, NULL);
    if (bus_slot_get(c->lost, slot)) {
        bus_slot_set(c->lost, slot, false);
        c->lost_count--;
    }
    cluster_self_changed(c);
}

void cluster_slot_set(struct cluster *c, unsigned slot, struct cluster_node *n)
{
    struct cluster_node *old = cluster_slot_node(c, slot);
    bus_slot_set(c->unclaimed, slot, false);
    if (old == n)
        return;
    if (old)
        slot_leaves(c, slot, old);
    c->slots[slot] = n ? n->handle : 0;
    c->slots_generation++;
    if (n)
        slot_comes(c, slot, n);
    c->view_want = CLUSTER_WANT_NOW;
    c->health_want = true;
    cluster_persist_soon(c);
}

void cluster_slots_take_all(struct cluster *c, struct cluster_node *from, struct cluster_node *to)
{
    for (unsigned slot = 0; from->slot_count > 0 && slot < SLOTS; slot++)
        if (c->slots[slot] == from->handle)
            cluster_slot_set(c, slot, to);
}

void cluster_slots_of(const struct cluster *c, const struct cluster_node *n, uint8_t *bits)
{
    memset(bits, 0, BUS_SLOTS_SIZE);
    if (n->slot_count == 0)
        return;
    for (unsigned slot = 0; slot < SLOTS; slot++)
        if (c->slots[slot] == n->handle)
            bus_slot_set(bits, slot, true);
}

void cluster_slots_delete_lost(struct cluster *c)
{
    if (c->lost_count == 0 || c->lost_version == 0 || c->view_settled < c->lost_version)
        return;
    for (unsigned slot = 0; slot < SLOTS; slot++)
        if (bus_slot_get(c->lost, slot) && node_is_primary(c->self))
            cluster_emit(c, CLUSTER_ACTION_DELETE_SLOT)->slot = slot;
    memset(c->lost, 0, sizeof(c->lost));
    c->lost_count = 0;
    c->lost_version = 0;
}

void cluster_slots_loaded(struct cluster *c)
{
    if (!node_is_primary(c->self))
        return;
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        struct cluster_node *owner = cluster_slot_node(c, slot);
        if (owner == c->self || cluster_slot_importing(c, slot) ||
            c->env.slot_key_count(c->env.ctx, slot) == 0)
            continue;
        if (!owner) {
            cluster_log(c, LOG_LEVEL_WARNING,
                        "I have keys for unassigned slot %u. Taking responsibility for it.", slot);
            cluster_slot_set(c, slot, c->self);
        } else {
            cluster_log(c, LOG_LEVEL_WARNING,
                        "I have keys for slot %u, but the slot is assigned to another node. "
                        "Setting it to importing state.",
                        slot);
            cluster_slot_set_importing(c, slot, owner);
        }
    }
}
