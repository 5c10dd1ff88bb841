/* Nodes: roles and how they came, who owns what, who suspects whom, who serves. */
#include "sim_judge.h"
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "stock_model.h"

#define PROBE_LONGEST_US(sim) (sim_timeout_us(sim) / 2)
#define PROBE_NODE_US (10 * MS)
#define TICK_LONGEST_US (100 * MS)
#define MINORITY_SLACK_US (400 * MS)

static void *grow(void *items, size_t count, size_t *size, size_t each)
{
    if (count < *size)
        return items;
    *size = *size ? *size * 2 : 16;
    items = realloc(items, *size * each);
    CHECK(items);
    return items;
}

unsigned judge_quorum(const struct sim_node *node)
{
    const struct sim *sim = node->sim;
    unsigned size = 0;
    for (unsigned i = 0; i < sim->count; i++)
        size += sim_node_peer_slots(node, &sim->nodes[i]) > 0;
    return size / 2 + 1;
}

/* ---- claims ---- */

static bool claims_shard(const struct sim *sim, const uint8_t *slots, unsigned shard)
{
    for (unsigned slot = sim_shard_first(sim, shard); slot < sim_shard_client_end(sim, shard);
         slot++)
        if (bus_slot_get(slots, slot))
            return true;
    return false;
}

/* Invariant 1: for each slot and epoch that was voted for, one claimant in all of history. */
static void claim_add(struct sim_node *node, const struct judge_image *image)
{
    struct sim *sim = node->sim;
    struct sim_check *check = sim->check;
    struct judge_claim claim = {.epoch = image->config_epoch, .node = node->index};
    claim.elected = claim.epoch == judge_of(node)->elected_epoch;
    for (unsigned shard = 0; shard < sim->options.primaries; shard++)
        if (claims_shard(sim, image->slots, shard))
            claim.shards |= 1u << shard;
    for (size_t i = 0; i < check->claim_count; i++) {
        const struct judge_claim *other = &check->claims[i];
        if (other->epoch != claim.epoch || other->node == claim.node)
            continue;
        sim_probe(sim, PROBE_COLLISION);
        if (other->shards & claim.shards && other->elected && claim.elected)
            sim_fail(sim, "(1) nodes %u and %u were both elected in epoch %llu for the same slots",
                     other->node, claim.node, (unsigned long long)claim.epoch);
        check->contested |= other->shards & claim.shards;
    }
    check->claims = grow(check->claims, check->claim_count, &check->claim_size, sizeof(claim));
    check->claims[check->claim_count++] = claim;
}

uint32_t sim_check_contested(const struct sim *sim)
{
    return sim->check->contested;
}

/* Invariant 8: when a header takes back a slot, no lcore executes a write to it any more. */
static void given_up(struct sim_node *node, const struct judge_image *before,
                     const struct judge_image *after)
{
    struct sim *sim = node->sim;
    for (unsigned slot = 0; slot < SLOTS && !node->is_stock; slot++) {
        if (!bus_slot_get(before->slots, slot) || bus_slot_get(after->slots, slot))
            continue;
        for (unsigned lcore = 0; lcore < SIM_LCORES; lcore++)
            if (sim_shell_serves(node, lcore, slot))
                sim_fail(sim, "(8) node %u gives up slot %u, its lcore %u still serves it",
                         node->index, slot, lcore);
        sim_probe(sim, PROBE_WRITE_MOVED);
    }
}

void judge_shown(struct sim_node *node, const struct judge_image *image)
{
    struct judge_node *j = judge_of(node);
    if (j->has_shown && j->shown.primary)
        given_up(node, &j->shown, image);
    if (image->primary) {
        claim_add(node, image);
        if (image->config_epoch > j->used_epoch)
            j->used_epoch = image->config_epoch;
    }
    j->shown = *image;
    j->has_shown = true;
}

/* ---- suspicion ---- */

void sim_check_thawed(struct sim_node *node)
{
    struct sim *sim = node->sim;
    if (sim->options.unchecked)
        return;
    struct judge_node *j = judge_of(node);
    j->stalls[j->stall_count % JUDGE_STALLS].from_us = node->frozen_us;
    j->stalls[j->stall_count++ % JUDGE_STALLS].to_us = sim->now_us;
}

/* Of the time since then, what the node did not sleep. */
static uint64_t awake_since(const struct sim_node *node, uint64_t from_us)
{
    const struct judge_node *j = judge_of(node);
    uint64_t now_us = node->sim->now_us, awake_us = now_us - from_us;
    uint64_t first = j->stall_count > JUDGE_STALLS ? j->stall_count - JUDGE_STALLS : 0;
    for (uint64_t i = first; i < j->stall_count; i++) {
        uint64_t start_us = j->stalls[i % JUDGE_STALLS].from_us;
        uint64_t end_us = j->stalls[i % JUDGE_STALLS].to_us;
        /* A short one need not be noticed (rule 6), nor the part before the tick was due. */
        if (end_us - start_us <= sim_timeout_us(node->sim) / 4 + TICK_LONGEST_US)
            continue;
        start_us += TICK_LONGEST_US;
        if (start_us < from_us)
            start_us = from_us;
        if (end_us > start_us)
            awake_us -= end_us - start_us;
    }
    return awake_us;
}

bool judge_is_silent(const struct sim_node *node, unsigned subject)
{
    return awake_since(node, judge_of(node)->known_us[subject]) >= sim_timeout_us(node->sim) / 2;
}

/* Rule 23: no PFAIL within T of a valid frame or after an own stall. m: what it tells others. */
void judge_suspects(struct sim_node *node, const struct bus_message *m)
{
    struct sim *sim = node->sim;
    struct judge_node *j = judge_of(node);
    uint32_t suspected = 0;
    const uint8_t *at = m->gossip.data;
    for (unsigned i = 0; i < m->gossip_count; i++, at += BUS_GOSSIP_SIZE) {
        if (!(bus_load16(at + BUS_GOSSIP_FLAGS) & BUS_NODE_PFAIL))
            continue;
        const struct sim_node *subject = sim_node_by_id(sim, at + BUS_GOSSIP_NAME);
        if (!subject)
            continue;
        suspected |= 1u << subject->index;
        if (j->suspected >> subject->index & 1 || node->is_stock)
            continue;
        sim_probe(sim, PROBE_PFAIL);
        uint64_t heard_us = j->heard_us[subject->index];
        if (awake_since(node, heard_us) < sim_timeout_us(sim))
            sim_fail(
                sim, "(23) node %u suspects %u, which it heard %llu ms ago, %llu of them awake",
                node->index, subject->index, (unsigned long long)((sim->now_us - heard_us) / MS),
                (unsigned long long)(awake_since(node, heard_us) / MS));
    }
    j->suspected = suspected;
}

/* ---- roles ---- */

static uint32_t voters_of(const struct sim_node *node, uint64_t epoch)
{
    const struct judge_node *j = judge_of(node);
    uint32_t voters = 0;
    for (unsigned i = 0; i < JUDGE_ACKS; i++)
        /* A stock node counts votes of later epochs too. */
        if (j->acks[i].epoch == epoch || (node->is_stock && j->acks[i].epoch > epoch))
            voters |= j->acks[i].voters;
    return voters;
}

/* Invariant 10: one that has nothing never wins where another one has something. */
static void check_best(const struct sim_node *node, unsigned shard_primary)
{
    const struct sim *sim = node->sim;
    if (node->replica.synced || node->is_stock)
        return;
    for (unsigned i = 0; i < sim->count; i++) {
        const struct sim_node *other = &sim->nodes[i];
        if (other == node || !sim_node_awake(other) || sim_node_is_primary(other) ||
            judge_of(other)->following != shard_primary || !other->replica.synced ||
            sim_net_blocked(sim, i, node->index) || sim_net_blocked(sim, node->index, i))
            continue;
        sim_fail(node->sim, "(10) node %u, which never synchronised, wins against %u", node->index,
                 i);
    }
}

static bool owns_shard(const struct sim_node *node, unsigned shard)
{
    const char *owner = sim_node_owner(node, sim_shard_first(node->sim, shard));
    return owner && memcmp(owner, node->id, BUS_NAME_SIZE) == 0;
}

static void promoted(struct sim_node *node, const struct cluster_event *event)
{
    struct sim *sim = node->sim;
    struct judge_node *j = judge_of(node);
    uint64_t epoch = sim_node_config_epoch(node);
    uint32_t voters = voters_of(node, epoch);
    unsigned quorum = judge_quorum(node);
    uint32_t slots = sim_node_peer_slots(node, node);
    sim_note(sim, node, (struct sim_note){.kind = NOTE_ROLE, .a = 1, .b = epoch, .c = voters});
    for (unsigned shard = 0; shard < sim->options.primaries; shard++)
        if (owns_shard(node, shard))
            sim_data_promoted(node, shard);
    if (slots == 0)
        return; /* took nothing from anybody */
    if (event->kind == CLUSTER_EVENT_ADMIN) {
        /* Nobody was asked: the one that it was taken from goes on until it hears of it. */
        for (unsigned shard = 0; shard < sim->options.primaries; shard++)
            sim->check->contested |= (uint32_t)owns_shard(node, shard) << shard;
        sim_probe(sim, PROBE_TAKEOVER);
        return;
    }
    if ((unsigned)__builtin_popcount(voters) < quorum)
        sim_fail(sim, "(3) node %u is a primary in epoch %llu by %d votes of %u that are needed",
                 node->index, (unsigned long long)epoch, __builtin_popcount(voters), quorum);
    j->elected_epoch = epoch;
    check_best(node, j->following);
    if (j->following < sim->count && sim->check->nodes[j->following].paused)
        sim_probe(sim, PROBE_MANUAL);
    sim_probe(sim, node->is_stock ? PROBE_WON_STOCK : PROBE_WON_OURS);
    for (unsigned i = 0; i < sim->count; i++)
        if (voters >> i & 1 && sim->nodes[i].is_stock != node->is_stock)
            sim_probe(sim, node->is_stock ? PROBE_STOCK_BY_OURS : PROBE_OURS_BY_STOCK);
}

static void role_check(struct sim_node *node, const struct cluster_event *event)
{
    struct sim *sim = node->sim;
    struct judge_node *j = judge_of(node);
    bool primary = sim_node_is_primary(node);
    if (j->known_role && primary && !j->primary)
        promoted(node, event);
    if (j->known_role && !primary && j->primary) {
        sim_probe(sim, PROBE_DEMOTED);
        sim_note(sim, node, (struct sim_note){.kind = NOTE_ROLE, .a = 0});
    }
    j->primary = primary;
    j->known_role = true;
    const char *id = primary ? NULL : sim_node_primary_id(node);
    const struct sim_node *following = id ? sim_node_by_id(sim, id) : NULL;
    j->following = following ? following->index : SIM_FAULTY_MAX;
}

void sim_check_stepped(struct sim_node *node, const struct cluster_event *event)
{
    struct sim *sim = node->sim;
    struct judge_node *j = judge_of(node);
    const struct sim_node *by = event->kind == CLUSTER_EVENT_FRAME
                                    ? sim_node_by_id(sim, event->frame.message->header.sender)
                                    : NULL;
    if (by)
        j->known_us[by->index] = event->now_us;
    if (sim_node_is_primary(node) != j->primary || !j->known_role || !j->primary)
        role_check(node, event);
    uint64_t epoch = sim_node_current_epoch(node);
    if (epoch < j->epoch)
        sim_fail(sim, "(4) the epoch of node %u went back from %llu to %llu", node->index,
                 (unsigned long long)j->epoch, (unsigned long long)epoch);
    j->epoch = epoch;
    if (epoch < j->used_epoch)
        sim_fail(sim, "(4) node %u is in epoch %llu, but has used %llu", node->index,
                 (unsigned long long)epoch, (unsigned long long)j->used_epoch);
    if (j->primary && epoch < sim_node_config_epoch(node))
        sim_fail(sim, "(4) node %u owns epoch %llu and is in %llu", node->index,
                 (unsigned long long)sim_node_config_epoch(node), (unsigned long long)epoch);
}

/* ---- owners, as lcores are told ---- */

static uint64_t known_epoch(const struct sim_node *node, const struct sim_node *other)
{
    struct cluster_peer peer;
    if (node == other)
        return sim_node_config_epoch(node);
    return !node->is_stock && cluster_peer_get(node->c, other->id, &peer) ? peer.config_epoch : 0;
}

/* Invariant 6: a claim with a lower epoch never changes who owns a slot. */
void sim_check_view(struct sim_node *node, const struct cluster_view *view)
{
    struct sim *sim = node->sim;
    struct judge_node *j = judge_of(node);
    for (unsigned shard = 0; shard < sim->options.primaries; shard++) {
        unsigned entry = cluster_view_entry(view, sim_shard_first(sim, shard));
        const struct cluster_view_node *to = cluster_view_owner(view, entry);
        const struct sim_node *owner = to ? sim_node_by_id(sim, to->id) : NULL;
        int before = j->owners[shard];
        if (!owner) {
            j->owners[shard] = -1; /* nobody's: any claim will do */
            continue;
        }
        uint64_t epoch = known_epoch(node, owner);
        if (before >= 0 && before != (int)owner->index && epoch <= j->owner_epochs[shard])
            sim_fail(sim,
                     "(6) node %u gives the slots of shard %u from %d (epoch %llu) to %u (%llu)",
                     node->index, shard, before, (unsigned long long)j->owner_epochs[shard],
                     owner->index, (unsigned long long)epoch);
        if (before != (int)owner->index)
            sim_note(
                sim, node,
                (struct sim_note){.kind = NOTE_OWNER, .a = shard, .b = owner->index, .c = epoch});
        j->owners[shard] = (int16_t)owner->index;
        j->owner_epochs[shard] = epoch;
    }
}

/* ---- writes ---- */

/* Our own: silence, the lease on top, one probe and a tick. Stock nodes look twice as long away. */
uint64_t sim_check_minority_us(const struct sim_node *node)
{
    const struct sim *sim = node->sim;
    uint64_t timeout_us = sim_timeout_us(sim), probe_us = sim->count * PROBE_NODE_US;
    if (node->is_stock)
        return timeout_us * 3 + SECOND;
    if (probe_us > PROBE_LONGEST_US(sim))
        probe_us = PROBE_LONGEST_US(sim);
    return timeout_us + timeout_us / 2 + probe_us + MINORITY_SLACK_US + node->lcore_lag_us;
}

void sim_check_write(struct sim_node *node, unsigned slot)
{
    struct sim *sim = node->sim;
    const struct judge_node *j = judge_of(node);
    if (j->paused)
        sim_fail(sim, "(23) node %u executes a write while it shows PAUSED", node->index);
    if (node->is_stock)
        return;
    if (sim->now_us >= node->lease_until_us)
        sim_fail(sim, "(26) node %u executes a write after its lease", node->index);
    if (j->has_shown && !j->shown.primary && j->image_count - 1 == j->shown_image)
        sim_fail(sim, "(8) node %u, which shows itself as a replica, executes a write to slot %u",
                 node->index, slot);
    unsigned heard = 0;
    uint64_t longest_us = sim_check_minority_us(node);
    for (unsigned i = 0; i < sim->count; i++)
        if (sim_node_peer_slots(node, &sim->nodes[i]) > 0)
            heard += i == node->index || sim->now_us - j->heard_us[i] <= longest_us;
    if (heard < judge_quorum(node))
        sim_fail(sim, "(13) node %u executes a write though it hears %u of %u primaries",
                 node->index, heard, judge_quorum(node));
}

/* ---- everything ---- */

static void check_servers(struct sim *sim, unsigned shard)
{
    unsigned slot = sim_shard_first(sim, shard);
    const struct sim_node *first = NULL;
    for (unsigned i = 0; i < sim->count; i++) {
        const struct sim_node *node = &sim->nodes[i];
        /* One that has just been demoted may serve until its lcores have seen it. */
        if (!node->running || !sim_node_is_primary(node) || !sim_shell_serves(node, 0, slot))
            continue;
        if (first && !(sim->check->contested >> shard & 1) &&
            sim_node_config_epoch(first) == sim_node_config_epoch(node))
            sim_fail(sim, "(12) nodes %u and %u serve slot %u in the same epoch", first->index, i,
                     slot);
        first = node;
    }
}

/* Invariant 11: what is saved is what is loaded. */
static void check_file(struct sim_node *node)
{
    struct nodes_text text = {0};
    char err[NODES_CONF_ERROR_SIZE];
    if (!node->disk.text)
        return;
    nodes_conf_print(&text, node->disk.conf);
    bool same = text.len == node->disk.len && memcmp(text.data, node->disk.text, text.len) == 0;
    free(text.data);
    if (!same)
        sim_fail(node->sim, "(11) the file of node %u is not what it says", node->index);
    struct slice cut = slice_from(node->disk.text, node->disk.len - 1 - node->disk.len / 3);
    struct nodes_conf *conf = nodes_conf_parse(cut, err);
    if (conf)
        sim_fail(node->sim, "(11) half a file of node %u is read as a whole one", node->index);
}

void sim_check_full(struct sim *sim)
{
    for (unsigned i = 0; i < sim->count; i++) {
        struct sim_node *node = &sim->nodes[i];
        if (!node->running)
            continue;
        if (node->is_stock)
            stock_validate(node->stock);
        else
            cluster_validate(node->c);
    }
    check_file(&sim->nodes[rng_below(&sim->rng, sim->count)]);
    for (unsigned shard = 0; shard < sim->options.primaries; shard++)
        check_servers(sim, shard);
}
