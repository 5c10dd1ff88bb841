#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "keyhash.h"
#include "sim.h"
#include "sim_check.h"
#include "sim_data.h"
#include "sim_mutant.h"
#include "sim_probe.h"
#include "stock_model.h"

#define COMMAND_MAX 512
#define WORDS_MAX 32
#define MACHINE_PORT 6379

static void node_address(struct sim_node *node)
{
    unsigned number = node->index + 1;
    snprintf(node->ip, sizeof(node->ip), "10.%u.%u.%u", node->moves, number >> 8, number & 255);
    memcpy(node->config.ip, node->ip, sizeof(node->ip));
}

void sim_node_init(struct sim *sim, unsigned index)
{
    struct sim_node *node = &sim->nodes[index];
    node->sim = sim;
    node->index = index;
    node->is_stock = sim->options.all_stock || (index < 32 && sim->options.stock_mask >> index & 1);
    cluster_config_defaults(&node->config);
    node->config.node_timeout_ms = sim->options.timeout_ms;
    node->config.port = MACHINE_PORT;
    node->config.cport = MACHINE_PORT + BUS_PORT_OFFSET;
    node->config.spread = sim->options.spread;
    node_address(node);
    cluster_actions_init(&node->actions);
    node->disk.delay_us = sim_random(sim, 200, 2000);
    node->lcore_lag_us = 50;
    node->replica.lag_us = MS;
    if (!sim->options.unchecked) {
        node->keys = calloc(SLOTS, sizeof(*node->keys));
        CHECK(node->keys);
    }
}

void sim_node_fini(struct sim_node *node)
{
    if (node->running) {
        sim_net_crash(node, true);
        sim_shell_stop(node);
    }
    cluster_actions_free(&node->actions);
    sim_disk_free(&node->disk);
    free(node->keys);
    free(node->reply);
}

void sim_node_move(struct sim_node *node)
{
    CHECK(!node->running);
    node->moves++;
    node_address(node);
    sim_probe(node->sim, PROBE_MOVED);
}

void sim_node_start(struct sim_node *node)
{
    struct sim *sim = node->sim;
    const struct nodes_conf *saved = node->disk.conf;
    char before[BUS_NAME_SIZE + 1];
    CHECK(!node->running);
    memcpy(before, node->id, sizeof(before));
    node->running = true;
    node->started_us = sim->now_us;
    node->tick_at_us = UINT64_MAX;
    node->freeze = SIM_AWAKE;
    node->lease_until_us = 0;
    node->theirs_next = 0;
    sim_note(sim, node, (struct sim_note){.kind = NOTE_START, .a = node->life});
    if (sim_mutant(sim, MUTANT_ID_FORGOTTEN) && node->life > 0)
        saved = NULL;
    if (sim->shared) {
        for (unsigned i = 0; i < sim->count; i++)
            sim->shared->nodes[i].flags &= (uint16_t)~BUS_NODE_MYSELF;
        sim->shared->nodes[node->index].flags |= BUS_NODE_MYSELF;
        sim->shared->myself = node->index;
        saved = sim->shared;
    }
    sim_check_started(node);
    sim_net_started(node);
    sim_shell_start(node, saved);
    if (before[0] && memcmp(before, node->id, BUS_NAME_SIZE) != 0)
        sim_fail(sim, "node %u has a new id after its restart", node->index);
    sim_data_started(node);
}

void sim_node_crash(struct sim_node *node, bool silent)
{
    struct sim *sim = node->sim;
    if (!node->running)
        return;
    sim_note(sim, node, (struct sim_note){.kind = NOTE_CRASH, .a = silent});
    sim_probe(sim, silent ? PROBE_CRASH_SILENT : PROBE_CRASH_TOLD);
    sim_data_stopped(node, silent);
    sim_check_stopped(node);
    sim_net_crash(node, silent);
    sim_disk_crash(node);
    sim_shell_stop(node);
    node->running = false;
    node->life++;
}

void sim_node_freeze(struct sim_node *node, enum sim_freeze freeze, uint64_t us)
{
    struct sim *sim = node->sim;
    if (!node->running || node->freeze != SIM_AWAKE)
        return;
    /* A stock node has one thread. */
    node->freeze = node->is_stock ? SIM_PAUSED : freeze;
    node->frozen_us = sim->now_us;
    sim_probe(sim, node->freeze == SIM_PAUSED ? PROBE_PAUSE : PROBE_STALL);
    sim_note(sim, node, (struct sim_note){.kind = NOTE_FREEZE, .a = node->freeze, .b = us});
    sim_later(sim, node, SIM_THAW, us, 0);
}

bool sim_node_awake(const struct sim_node *node)
{
    return node->running && node->freeze == SIM_AWAKE;
}

static struct slice ip_of(const struct sim_node *node)
{
    return slice_str(node->ip);
}

void sim_node_link(struct sim_node *node, enum cluster_event_kind kind, cluster_link_id id,
                   const struct sim_node *peer)
{
    struct cluster_event event = {
        .kind = kind, .link = {.id = id, .local_ip = ip_of(node), .peer_ip = ip_of(peer)}};
    bool up = kind == CLUSTER_EVENT_LINK_UP;
    sim_note(node->sim, node,
             (struct sim_note){.kind = up ? NOTE_LINK_UP : NOTE_LINK_DOWN,
                               .a = id & ~CLUSTER_LINK_INBOUND,
                               .b = peer->index,
                               .c = id >> 63});
    sim_shell_step(node, &event);
}

void sim_node_frame(struct sim_node *node, cluster_link_id id, struct slice frame,
                    const struct bus_message *m)
{
    struct sim *sim = node->sim;
    const struct sim_node *peer = sim_net_peer(node, id);
    node->frames_in++;
    sim_note(sim, node,
             (struct sim_note){.kind = NOTE_FRAME,
                               .type = (uint8_t)m->header.type,
                               .a = peer->index | frame.len << 8 | m->header.offset << 32,
                               .b = m->header.current_epoch,
                               .c = m->header.config_epoch});
    sim_shell_frame(node, id, frame, m);
}

/* ---- commands ---- */

uint64_t sim_node_command(struct sim_node *node, const char *format, ...)
{
    char text[COMMAND_MAX];
    struct slice words[WORDS_MAX];
    uint32_t count = 0;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    sim_text(node->sim, node, "CLUSTER %s", text);
    for (char *word = strtok(text, " "); word && count < WORDS_MAX; word = strtok(NULL, " "))
        words[count++] = slice_str(word);
    uint64_t id = ++node->sim->admin_next;
    sim_note(node->sim, node,
             (struct sim_note){.kind = NOTE_ADMIN, .a = id, .b = words[0].data[0], .c = count});
    struct cluster_event event = {.kind = CLUSTER_EVENT_ADMIN,
                                  .admin = {.id = id, .argv = words, .argc = count}};
    sim_shell_step(node, &event);
    return id;
}

const char *sim_node_reply(const struct sim_node *node, uint64_t id)
{
    return node->reply_id == id ? node->reply : NULL;
}

/* ---- looking ---- */

bool sim_node_is_primary(const struct sim_node *node)
{
    return node->is_stock ? stock_is_primary(node->stock) : cluster_is_primary(node->c);
}

bool sim_node_ok(const struct sim_node *node)
{
    return node->is_stock ? stock_state_ok(node->stock) : cluster_state_ok(node->c);
}

const char *sim_node_owner(const struct sim_node *node, unsigned slot)
{
    return node->is_stock ? stock_slot_owner(node->stock, slot) : cluster_slot_owner(node->c, slot);
}

uint64_t sim_node_config_epoch(const struct sim_node *node)
{
    return node->is_stock ? stock_config_epoch(node->stock) : cluster_config_epoch(node->c);
}

uint64_t sim_node_current_epoch(const struct sim_node *node)
{
    return node->is_stock ? stock_current_epoch(node->stock) : cluster_current_epoch(node->c);
}

const char *sim_node_primary_id(const struct sim_node *node)
{
    return node->is_stock ? stock_primary_id(node->stock) : cluster_primary_id(node->c);
}

uint32_t sim_node_known(const struct sim_node *node)
{
    return node->is_stock ? stock_node_count(node->stock) : cluster_node_count(node->c);
}

static bool peer_get(const struct sim_node *node, const struct sim_node *other,
                     struct cluster_peer *peer)
{
    return node->is_stock ? stock_peer_get(node->stock, other->id, peer)
                          : cluster_peer_get(node->c, other->id, peer);
}

unsigned sim_node_flags(const struct sim_node *node, const struct sim_node *other)
{
    struct cluster_peer peer;
    return peer_get(node, other, &peer) ? peer.flags : 0;
}

uint32_t sim_node_peer_slots(const struct sim_node *node, const struct sim_node *other)
{
    struct cluster_peer peer;
    return peer_get(node, other, &peer) ? peer.slot_count : 0;
}
