#include "sim_fault.h"
#include <string.h>
#include "check.h"
#include "sim_data.h"
#include "sim_probe.h"

enum heal {
    HEAL_NETWORK,
    HEAL_LOSS,
    HEAL_DISK,
    HEAL_LCORES,
    HEAL_REPLICA,
    HEAL_CLOCK,
};

#define DISK_USUAL_US MS
#define LCORE_USUAL_US 50
#define REPLICA_USUAL_US MS
#define JITTER_USUAL_US 400
#define MOVE_LIMIT_US (2 * SECOND)

static void heal_later(struct sim *sim, struct sim_node *node, enum heal heal, uint64_t us)
{
    sim_heap_push(&sim->heap, (struct sim_item){.at_us = sim->now_us + us,
                                                .value = heal,
                                                .node = node ? (uint16_t)node->index : 0,
                                                .what = SIM_HEAL});
}

/* From a blink to many timeouts, each magnitude as likely. */
static uint64_t duration(struct sim *sim)
{
    uint64_t us = 10 * MS << rng_below(&sim->rng, 10);
    uint64_t most = sim_timeout_us(sim) * 5;
    us += rng_below(&sim->rng, us);
    return us < most ? us : most;
}

static struct sim_node *any(struct sim *sim)
{
    return &sim->nodes[rng_below(&sim->rng, sim->count)];
}

/* ---- the network ---- */

void sim_fault_isolate(struct sim *sim, unsigned node, bool in, bool out)
{
    for (unsigned i = 0; i < sim->count; i++) {
        if (i == node)
            continue;
        if (in)
            sim->blocked[i] |= 1u << node;
        if (out)
            sim->blocked[node] |= 1u << i;
    }
    sim_probe(sim, in && out ? PROBE_PARTITION : PROBE_ONE_WAY);
}

void sim_fault_partition(struct sim *sim, uint32_t side)
{
    for (unsigned i = 0; i < sim->count; i++)
        for (unsigned j = 0; j < sim->count; j++)
            if ((side >> i & 1) != (side >> j & 1))
                sim->blocked[i] |= 1u << j;
    sim_probe(sim, PROBE_PARTITION);
}

void sim_fault_join(struct sim *sim)
{
    memset(sim->blocked, 0, sizeof(sim->blocked));
}

static void fault_partition(struct sim *sim)
{
    sim_fault_partition(sim, (uint32_t)rng_next(&sim->rng));
    heal_later(sim, NULL, HEAL_NETWORK, duration(sim));
}

static void fault_isolate(struct sim *sim)
{
    unsigned way = (unsigned)rng_below(&sim->rng, 4);
    sim_fault_isolate(sim, any(sim)->index, way != 0, way != 1);
    heal_later(sim, NULL, HEAL_NETWORK, duration(sim));
}

static void fault_pair(struct sim *sim)
{
    struct sim_node *a = any(sim), *b = any(sim);
    if (a != b)
        sim->blocked[a->index] |= 1u << b->index;
    heal_later(sim, NULL, HEAL_NETWORK, duration(sim));
}

static void fault_break(struct sim *sim)
{
    for (uint64_t left = sim_random(sim, 1, 4); left > 0; left--)
        sim_net_break(sim);
}

static void fault_loss(struct sim *sim)
{
    if (sim_chance(sim, 500))
        sim->loss_per_mille = (unsigned)sim_random(sim, 1, 50);
    else
        sim->jitter_us = sim_random(sim, MS, 50 * MS);
    heal_later(sim, NULL, HEAL_LOSS, duration(sim));
}

/* ---- nodes ---- */

static void fault_pause(struct sim *sim)
{
    sim_node_freeze(any(sim), SIM_PAUSED, duration(sim));
}

static void fault_stall(struct sim *sim)
{
    sim_node_freeze(any(sim), SIM_STALLED, duration(sim));
}

static void crash(struct sim *sim, struct sim_node *node)
{
    if (!node->running)
        return;
    sim_node_crash(node, sim_chance(sim, 500));
    if (sim_chance(sim, 30))
        sim_node_move(node);
    sim_later(sim, node, SIM_RESTART, duration(sim), 0);
}

static void fault_crash(struct sim *sim)
{
    crash(sim, any(sim));
}

static void fault_crash_all(struct sim *sim)
{
    if (sim_chance(sim, 800))
        return;
    for (unsigned i = 0; i < sim->count; i++)
        crash(sim, &sim->nodes[i]);
}

static void fault_disk(struct sim *sim)
{
    struct sim_node *node = any(sim);
    if (sim_chance(sim, 300))
        node->disk.fails = true;
    else
        node->disk.delay_us = duration(sim);
    heal_later(sim, node, HEAL_DISK, duration(sim) * 2);
}

static void fault_lcores(struct sim *sim)
{
    struct sim_node *node = any(sim);
    node->lcore_lag_us = sim_random(sim, MS, 300 * MS);
    heal_later(sim, node, HEAL_LCORES, duration(sim) * 2);
}

static void fault_replica(struct sim *sim)
{
    struct sim_node *node = any(sim);
    node->replica.lag_us = sim_random(sim, 10 * MS, 2 * SECOND);
    heal_later(sim, node, HEAL_REPLICA, duration(sim) * 2);
}

static void fault_clock(struct sim *sim)
{
    struct sim_node *node = any(sim);
    if (node->is_stock)
        return;
    node->wall_skew_ms = (int64_t)sim_random(sim, 0, 7200000) - 3600000;
    sim_probe(sim, PROBE_CLOCK_JUMP);
    heal_later(sim, node, HEAL_CLOCK, duration(sim) * 2);
}

/* ---- operators ---- */

static void fault_failover(struct sim *sim)
{
    struct sim_node *node = any(sim);
    if (!sim_node_awake(node) || sim_node_is_primary(node))
        return;
    unsigned kind = (unsigned)rng_below(&sim->rng, 10);
    if (kind == 0) {
        sim_node_command(node, "failover takeover");
    } else {
        sim_node_command(node, kind < 3 ? "failover force" : "failover");
    }
}

static void fault_bump(struct sim *sim)
{
    struct sim_node *node = any(sim);
    if (sim_node_awake(node) && sim_node_is_primary(node) && sim_chance(sim, 300))
        sim_node_command(node, "bumpepoch");
}

static void fault_move(struct sim *sim)
{
    struct sim_move *move = &sim->move;
    if (move->active)
        return;
    unsigned shard = (unsigned)rng_below(&sim->rng, sim->options.primaries);
    unsigned slot =
        sim_shard_client_end(sim, shard) + (unsigned)rng_below(&sim->rng, SIM_MOVED_SLOTS);
    struct sim_node *to = any(sim), *from = NULL;
    if (!sim_node_awake(to) || !sim_node_is_primary(to) || sim_node_peer_slots(to, to) == 0)
        return;
    const char *owner = sim_node_owner(to, slot);
    from = owner ? sim_node_by_id(sim, owner) : NULL;
    if (!from || from == to || !sim_node_awake(from))
        return;
    *move = (struct sim_move){.active = true,
                              .slot = slot,
                              .from = from,
                              .to = to,
                              .until_us = sim->now_us + MOVE_LIMIT_US};
    bus_slot_set(sim->moved, slot, true);
}

/* As redis-cli does it, each step when the one before was confirmed. */
void sim_fault_poll(struct sim *sim)
{
    struct sim_move *move = &sim->move;
    struct sim_node *on = move->stage % 2 == 0 ? move->to : move->from;
    if (!move->active)
        return;
    if (move->id != 0) {
        const char *reply = sim_node_reply(move->asked, move->id);
        if (sim->now_us > move->until_us || !move->asked->running ||
            move->life != move->asked->life || (reply && reply[0] == '-')) {
            move->active = false;
            return;
        }
        if (!reply)
            return;
        move->stage++;
        on = move->stage % 2 == 0 ? move->to : move->from;
    }
    if (move->stage == 4 || !sim_node_awake(on) || sim_chance(sim, 20)) {
        move->active = false;
        return;
    }
    if (move->stage == 2 && move->to->running && move->from->running) {
        move->to->keys[move->slot] += move->from->keys[move->slot];
        move->from->keys[move->slot] = 0;
    }
    move->asked = on;
    move->life = on->life;
    if (move->stage < 2)
        move->id = sim_node_command(on, "setslot %u %s %s", move->slot,
                                    move->stage == 0 ? "importing" : "migrating",
                                    move->stage == 0 ? move->from->id : move->to->id);
    else
        move->id = sim_node_command(on, "setslot %u node %s", move->slot, move->to->id);
}

/* ---- choice ---- */

static const struct fault {
    unsigned weight;
    void (*begin)(struct sim *sim);
} faults[] = {
    {12, fault_partition}, {12, fault_isolate}, {6, fault_pair},   {8, fault_break},
    {6, fault_loss},       {10, fault_pause},   {10, fault_stall}, {16, fault_crash},
    {2, fault_crash_all},  {6, fault_disk},     {5, fault_lcores}, {4, fault_replica},
    {2, fault_clock},      {8, fault_failover}, {2, fault_bump},   {6, fault_move},
};

void sim_fault_random(struct sim *sim)
{
    unsigned sum = 0;
    for (size_t i = 0; i < count_of(faults); i++)
        sum += faults[i].weight;
    unsigned at = (unsigned)rng_below(&sim->rng, sum);
    for (size_t i = 0; i < count_of(faults); i++) {
        if (at < faults[i].weight) {
            sim_note(sim, NULL, (struct sim_note){.kind = NOTE_FAULT, .a = i});
            faults[i].begin(sim);
            return;
        }
        at -= faults[i].weight;
    }
}

void sim_fault_heal(struct sim *sim, const struct sim_item *item)
{
    struct sim_node *node = &sim->nodes[item->node];
    sim_note(sim, NULL, (struct sim_note){.kind = NOTE_HEAL, .a = item->value, .b = item->node});
    switch ((enum heal)item->value) {
    case HEAL_NETWORK:
        sim_fault_join(sim);
        break;
    case HEAL_LOSS:
        sim->loss_per_mille = 0;
        sim->jitter_us = JITTER_USUAL_US;
        break;
    case HEAL_DISK:
        node->disk.fails = false;
        node->disk.delay_us = DISK_USUAL_US;
        break;
    case HEAL_LCORES:
        node->lcore_lag_us = LCORE_USUAL_US;
        break;
    case HEAL_REPLICA:
        node->replica.lag_us = REPLICA_USUAL_US;
        break;
    case HEAL_CLOCK:
        node->wall_skew_ms = 0;
        break;
    }
}

static void moves_mend(struct sim *sim)
{
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (!bus_slot_get(sim->moved, slot))
            continue;
        struct sim_node *owner = NULL, *primary = NULL;
        for (unsigned i = 0; i < sim->count; i++) {
            struct sim_node *node = &sim->nodes[i];
            if (!sim_node_is_primary(node))
                continue;
            sim_node_command(node, "setslot %u stable", slot);
            const char *id = sim_node_owner(node, slot);
            if (id && memcmp(id, node->id, BUS_NAME_SIZE) == 0)
                owner = node;
            if (sim_node_peer_slots(node, node) > 0)
                primary = node;
        }
        if (owner || !primary)
            continue;
        const char *id = sim_node_owner(primary, slot);
        if (!id) {
            sim_node_command(primary, "addslotsrange %u %u", slot, slot);
            continue;
        }
        sim_node_command(primary, "setslot %u importing %s", slot, id);
        sim_node_command(primary, "setslot %u node %s", slot, primary->id);
    }
}

void sim_fault_end(struct sim *sim)
{
    sim_note(sim, NULL, (struct sim_note){.kind = NOTE_HEAL, .a = UINT64_MAX});
    sim_fault_join(sim);
    sim->loss_per_mille = 0;
    sim->jitter_us = JITTER_USUAL_US;
    sim->move.active = false;
    for (unsigned i = 0; i < sim->count; i++) {
        struct sim_node *node = &sim->nodes[i];
        node->disk.fails = false;
        node->disk.delay_us = DISK_USUAL_US;
        node->lcore_lag_us = LCORE_USUAL_US;
        node->replica.lag_us = REPLICA_USUAL_US;
        node->wall_skew_ms = 0;
        if (node->freeze != SIM_AWAKE) {
            struct sim_item thaw = {
                .what = SIM_THAW, .node = (uint16_t)i, .life = node->life, .at_us = sim->now_us};
            sim_node_item(sim, &thaw);
        }
        if (!node->running)
            sim_node_start(node);
    }
    moves_mend(sim);
}
