#include "sim_data.h"
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "sim_check.h"
#include "sim_mutant.h"
#include "sim_probe.h"

#define TICK_US (100 * MS)
#define CLIENT_SHORTEST_US (10 * MS)
#define CLIENT_LONGEST_US (60 * MS)
#define SYNC_SHORTEST_US (20 * MS)
#define SYNC_LONGEST_US (400 * MS)
#define STRAY_PER_MILLE 200 /* writes to a node that need not be the owner */
#define CLAIMED_LEAD 1000000

struct promotion {
    uint64_t at_us;
    unsigned shard, node;
    const struct sim_write *head;
};

struct sim_data {
    struct sim_write **writes;
    size_t count, size;
    struct promotion *promotions;
    size_t promotion_count, promotion_size;
};

struct sim_data *sim_data_new(struct sim *sim)
{
    struct sim_data *data = calloc(1, sizeof(*data));
    CHECK(data);
    return data;
}

void sim_data_free(struct sim_data *data)
{
    for (size_t i = 0; i < data->count; i++)
        free(data->writes[i]);
    free(data->writes);
    free(data->promotions);
    free(data);
}

uint64_t sim_data_writes(const struct sim *sim)
{
    return sim->data->count;
}

/* ---- slots ---- */

unsigned sim_shard_first(const struct sim *sim, unsigned shard)
{
    return SLOTS * shard / sim->options.primaries;
}

unsigned sim_shard_client_end(const struct sim *sim, unsigned shard)
{
    return sim_shard_first(sim, shard + 1) - SIM_MOVED_SLOTS;
}

int sim_slot_shard(const struct sim *sim, unsigned slot)
{
    for (unsigned shard = 0; shard < sim->options.primaries; shard++)
        if (slot >= sim_shard_first(sim, shard) && slot < sim_shard_client_end(sim, shard))
            return (int)shard;
    return -1;
}

/* ---- chains ---- */

static uint32_t depth(const struct sim_write *write)
{
    return write ? write->depth : 0;
}

/* All of a is in b. */
static bool is_prefix(const struct sim_write *a, const struct sim_write *b)
{
    while (depth(b) > depth(a))
        b = b->parent;
    return a == b;
}

static void head_set(struct sim_node *node, struct sim_write *head)
{
    node->replica.head = head;
    node->replica.offset = SIM_OFFSET_FIRST + (uint64_t)depth(head) * SIM_WRITE_BYTES;
}

/* ---- replication ---- */

static struct sim_node *primary_of(const struct sim_node *node)
{
    return node->replica.following[0] ? sim_node_by_id(node->sim, node->replica.following) : NULL;
}

static void status_tell(struct sim_node *node)
{
    const struct sim_replica *r = &node->replica;
    const struct sim_node *primary = primary_of(node);
    if (primary && !primary->running && !r->synced)
        sim_probe(node->sim, PROBE_UNSYNCED);
    struct cluster_event event = {.kind = CLUSTER_EVENT_REPLICATION,
                                  .replication = {.offset = r->offset,
                                                  .link_up = r->up,
                                                  .synced = r->synced,
                                                  .contact_us = r->contact_us}};
    if (sim_mutant(node->sim, MUTANT_SYNC_CLAIMED) && r->following[0] && !r->synced) {
        event.replication.synced = true;
        event.replication.offset += CLAIMED_LEAD;
    }
    sim_shell_step(node, &event);
}

static bool reaches(const struct sim_node *node, const struct sim_node *other)
{
    const struct sim *sim = node->sim;
    return other && other->running && other->freeze != SIM_PAUSED &&
           !sim_net_blocked(sim, node->index, other->index) &&
           !sim_net_blocked(sim, other->index, node->index);
}

static void link_lost(struct sim_node *node)
{
    if (node->replica.up)
        node->replica.contact_us = node->sim->now_us;
    node->replica.up = node->replica.syncing = false;
}

void sim_data_follow(struct sim_node *node, const char *id)
{
    struct sim_replica *r = &node->replica;
    if (strcmp(r->following, id) == 0)
        return;
    link_lost(node);
    memset(r->following, 0, sizeof(r->following));
    memcpy(r->following, id, strlen(id));
    r->contact_us = node->sim->now_us;
    /* Offsets of another history say nothing about this one's. */
    if (id[0] && strcmp(r->last, id) != 0)
        r->synced = false;
    if (!id[0])
        memcpy(r->last, node->id, sizeof(r->last));
}

static void attach(struct sim_node *node, struct sim_node *primary)
{
    struct sim *sim = node->sim;
    struct sim_replica *r = &node->replica;
    r->primary_life = primary->life;
    r->contact_us = sim->now_us;
    if (r->has_data && is_prefix(r->head, primary->replica.head)) {
        r->up = r->synced = true;
        memcpy(r->last, r->following, sizeof(r->last));
        sim_probe(sim, PROBE_PARTIAL_SYNC);
        return;
    }
    r->syncing = true;
    r->synced = r->has_data = false;
    r->sync_head = primary->replica.head;
    sim_probe(sim, PROBE_FULL_SYNC);
    sim_later(sim, node, SIM_SYNCED, sim_random(sim, SYNC_SHORTEST_US, SYNC_LONGEST_US), 0);
}

static void synced(struct sim_node *node)
{
    struct sim_replica *r = &node->replica;
    struct sim_node *primary = primary_of(node);
    if (!r->syncing)
        return;
    r->syncing = false;
    if (!reaches(node, primary) || primary->life != r->primary_life)
        return;
    head_set(node, r->sync_head);
    r->up = r->synced = r->has_data = true;
    r->contact_us = node->sim->now_us;
    memcpy(r->last, r->following, sizeof(r->last));
    sim_note(node->sim, node,
             (struct sim_note){.kind = NOTE_SYNC, .a = primary->index, .b = r->offset});
    status_tell(node);
}

static void replication_tick(struct sim_node *node)
{
    struct sim *sim = node->sim;
    struct sim_replica *r = &node->replica;
    struct sim_node *primary = primary_of(node);
    if (r->following[0] && reaches(node, primary)) {
        if ((r->up || r->syncing) && primary->life != r->primary_life)
            link_lost(node);
        if (r->up) {
            r->contact_us = sim->now_us;
            if (is_prefix(r->head, primary->replica.head) && r->lag_us < TICK_US)
                head_set(node, primary->replica.head);
            else if (!is_prefix(r->head, primary->replica.head))
                link_lost(node);
        } else if (!r->syncing && primary->replica.has_data && !primary->replica.syncing) {
            attach(node, primary);
        }
    }
    sim_later(sim, node, SIM_REPLICATION, TICK_US + rng_below(&sim->rng, 5 * MS), 0);
    status_tell(node);
}

static void apply(struct sim_node *node, struct sim_write *write)
{
    struct sim_replica *r = &node->replica;
    if (!r->up || !reaches(node, primary_of(node)) || !is_prefix(r->head, write))
        return;
    head_set(node, write);
    r->contact_us = node->sim->now_us;
    status_tell(node);
}

void sim_data_item(struct sim_node *node, const struct sim_item *item)
{
    if (item->what == SIM_REPLICATION && item->value == 1)
        status_tell(node);
    else if (item->what == SIM_REPLICATION)
        replication_tick(node);
    else if (item->what == SIM_APPLY)
        apply(node, item->ptr);
    else
        synced(node);
}

void sim_data_started(struct sim_node *node)
{
    struct sim *sim = node->sim;
    if (sim->options.unchecked) {
        node->replica.has_data = node->replica.synced = true;
        node->replica.offset = SIM_OFFSET_FIRST;
    }
    if (node->life == 0) {
        node->replica.has_data = true;
        head_set(node, NULL);
        const char *primary = sim_node_primary_id(node);
        node->replica.synced = !sim->options.blank;
        memcpy(node->replica.last, primary ? primary : node->id, sizeof(node->replica.last));
    }
    node->replica.contact_us = sim->now_us;
    sim_later(sim, node, SIM_REPLICATION, rng_below(&sim->rng, TICK_US), 0);
    status_tell(node);
}

void sim_data_stopped(struct sim_node *node, bool silent)
{
    struct sim *sim = node->sim;
    for (unsigned i = 0; i < sim->count && !silent; i++)
        if (strcmp(sim->nodes[i].replica.following, node->id) == 0)
            link_lost(&sim->nodes[i]);
    node->replica.up = node->replica.syncing = false;
    memset(node->replica.following, 0, sizeof(node->replica.following));
}

void sim_data_delete(struct sim_node *node, unsigned slot)
{
    if (node->keys)
        node->keys[slot] = 0;
}

void sim_data_flush(struct sim_node *node)
{
    for (unsigned slot = 0; node->keys && slot < SLOTS; slot++)
        node->keys[slot] = 0;
    head_set(node, NULL);
}

/* ---- clients ---- */

/* Others, whom it hears, know another owner: they have a moment to tell it. */
static bool is_unopposed(struct sim_node *node, unsigned slot)
{
    struct sim *sim = node->sim;
    bool opposed = false;
    for (unsigned i = 0; i < sim->count && !opposed; i++) {
        const struct sim_node *other = &sim->nodes[i];
        if (other == node || !sim_node_awake(other) || !reaches(node, other))
            continue;
        const char *owner = sim_node_owner(other, slot);
        opposed = owner && memcmp(owner, node->id, BUS_NAME_SIZE) != 0;
    }
    if (!opposed)
        node->opposed_us = 0;
    else if (node->opposed_us == 0)
        node->opposed_us = sim->now_us;
    return !opposed || sim->now_us - node->opposed_us <= sim_check_minority_us(node);
}

static void write_append(struct sim_node *node, unsigned slot)
{
    struct sim *sim = node->sim;
    struct sim_data *data = sim->data;
    struct sim_write *write = calloc(1, sizeof(*write));
    CHECK(write);
    *write = (struct sim_write){.parent = node->replica.head,
                                .depth = depth(node->replica.head) + 1,
                                .slot = (uint16_t)slot,
                                .node = (uint16_t)node->index,
                                .at_us = sim->now_us,
                                .unopposed = is_unopposed(node, slot)};
    if (data->count == data->size) {
        data->size = data->size ? data->size * 2 : 256;
        data->writes = realloc(data->writes, data->size * sizeof(struct sim_write *));
        CHECK(data->writes);
    }
    data->writes[data->count++] = write;
    head_set(node, write);
    node->keys[slot]++;
    if (node->is_stock)
        status_tell(node); /* one thread: it knows at once */
    for (unsigned i = 0; i < sim->count; i++) {
        struct sim_node *other = &sim->nodes[i];
        if (other->running && other->replica.up && strcmp(other->replica.following, node->id) == 0)
            sim_heap_push(&sim->heap, (struct sim_item){.at_us = sim->now_us + sim_net_delay(sim) +
                                                                 other->replica.lag_us,
                                                        .ptr = write,
                                                        .life = other->life,
                                                        .node = (uint16_t)i,
                                                        .what = SIM_APPLY});
    }
}

static struct sim_node *target(struct sim *sim, unsigned slot)
{
    struct sim_node *node = &sim->nodes[rng_below(&sim->rng, sim->count)];
    if (!sim_node_awake(node) || sim_chance(sim, STRAY_PER_MILLE))
        return node;
    const char *owner = sim_node_owner(node, slot);
    return owner ? sim_node_by_id(sim, owner) : node;
}

void sim_data_client(struct sim *sim)
{
    if (!sim->clients)
        return;
    unsigned shard = (unsigned)rng_below(&sim->rng, sim->options.primaries);
    unsigned slot = (unsigned)sim_random(sim, sim_shard_first(sim, shard),
                                         sim_shard_client_end(sim, shard) - 1);
    struct sim_node *node = target(sim, slot);
    unsigned lcore = (unsigned)rng_below(&sim->rng, SIM_LCORES);
    if (node && sim_shell_serves(node, lcore, slot)) {
        sim_note(sim, node, (struct sim_note){.kind = NOTE_WRITE, .a = slot});
        sim_check_write(node, slot);
        write_append(node, slot);
    } else if (node && sim_node_awake(node) && sim_node_is_primary(node) && !sim_node_ok(node)) {
        sim_probe(sim, PROBE_MINORITY);
    }
    sim_later(sim, NULL, SIM_CLIENT, sim_random(sim, CLIENT_SHORTEST_US, CLIENT_LONGEST_US), 0);
}

/* ---- what was lost ---- */

void sim_data_promoted(struct sim_node *node, unsigned shard)
{
    struct sim_data *data = node->sim->data;
    if (data->promotion_count == data->promotion_size) {
        data->promotion_size = data->promotion_size ? data->promotion_size * 2 : 16;
        data->promotions =
            realloc(data->promotions, data->promotion_size * sizeof(*data->promotions));
        CHECK(data->promotions);
    }
    data->promotions[data->promotion_count++] =
        (struct promotion){node->sim->now_us, shard, node->index, node->replica.head};
}

/* A failover to a node that did not have it: after the write, or not long before (the old primary
 * needs a moment to learn of it), or the winner was gone again before anybody had heard of it. */
static bool loss_allowed(const struct sim *sim, const struct sim_write *write)
{
    const struct sim_data *data = sim->data;
    if (sim_check_contested(sim) >> sim_slot_shard(sim, write->slot) & 1)
        return true;
    uint64_t moment_us = sim_check_minority_us(&sim->nodes[write->node]);
    for (size_t i = 0; i < data->promotion_count; i++) {
        const struct promotion *p = &data->promotions[i];
        if (p->shard == (unsigned)sim_slot_shard(sim, write->slot) &&
            (write->unopposed || write->at_us <= p->at_us + moment_us) &&
            !is_prefix(write, p->head))
            return true;
    }
    return false;
}

static void mark_held(struct sim_node *node)
{
    for (struct sim_write *w = node->replica.head; w; w = w->parent)
        w->held_by |= 1u << node->index;
}

void sim_data_final(struct sim *sim)
{
    const struct sim_data *data = sim->data;
    CHECK(sim->count <= SIM_FAULTY_MAX);
    for (unsigned i = 0; i < sim->count; i++)
        if (sim->nodes[i].running && sim_node_is_primary(&sim->nodes[i]))
            mark_held(&sim->nodes[i]);
    for (size_t i = 0; i < data->count; i++) {
        const struct sim_write *write = data->writes[i];
        const char *id = sim_node_owner(&sim->nodes[0], write->slot);
        const struct sim_node *owner = id ? sim_node_by_id(sim, id) : NULL;
        if (owner && write->held_by >> owner->index & 1)
            continue;
        if (!loss_allowed(sim, write))
            sim_fail(sim, "the write to slot %u that node %u acknowledged at %.3f ms is lost",
                     write->slot, write->node, (double)(write->at_us - SIM_START_US) / 1000);
        sim_probe(sim, PROBE_WRITE_LOST);
    }
}
