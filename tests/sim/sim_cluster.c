#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "sim.h"
#include "sim_data.h"
#include "sim_probe.h"

#define STEP_US (20 * SECOND) /* for each step of a creation */
#define REST_US (2 * SECOND)

/* ---- as if it had always been ---- */

static void id_make(struct sim *sim, char *id)
{
    for (unsigned i = 0; i < BUS_NAME_SIZE; i++)
        id[i] = "0123456789abcdef"[rng_below(&sim->rng, 16)];
    id[BUS_NAME_SIZE] = 0;
}

static void line_fill(struct sim *sim, struct nodes_conf_node *line, unsigned i)
{
    unsigned primaries = sim->options.primaries;
    const struct sim_node *node = &sim->nodes[i];
    id_make(sim, line->id);
    memcpy(line->ip, node->ip, sizeof(line->ip));
    line->port = node->config.port;
    line->cport = node->config.cport;
    line->connected = true;
    if (i >= primaries) {
        line->flags = BUS_NODE_SLAVE;
        memcpy(line->primary, line[-(int)(i - i % primaries)].id, sizeof(line->primary));
        line->config_epoch = i % primaries + 1;
        return;
    }
    line->flags = BUS_NODE_MASTER;
    line->config_epoch = i + 1;
    uint8_t *slots = calloc(1, BUS_SLOTS_SIZE);
    CHECK(slots);
    for (unsigned slot = sim_shard_first(sim, i); slot < sim_shard_first(sim, i + 1); slot++)
        bus_slot_set(slots, slot, true);
    line->slots = slots;
}

static void file_write(struct sim *sim, struct nodes_conf *conf, unsigned i)
{
    struct nodes_text text = {0};
    conf->myself = i;
    conf->nodes[i].flags |= BUS_NODE_MYSELF;
    nodes_conf_print(&text, conf);
    conf->nodes[i].flags &= (uint16_t)~BUS_NODE_MYSELF;
    sim_disk_put(&sim->nodes[i], text.data, text.len);
}

void sim_cluster_form(struct sim *sim)
{
    struct nodes_conf *conf = calloc(1, sizeof(*conf));
    CHECK(conf);
    conf->node_count = sim->count;
    conf->nodes = calloc(sim->count, sizeof(*conf->nodes));
    CHECK(conf->nodes);
    conf->current_epoch = sim->options.primaries;
    for (unsigned i = 0; i < sim->count; i++)
        line_fill(sim, &conf->nodes[i], i);
    if (sim->options.unchecked) {
        sim->shared = conf; /* thousands of files would be slow */
        return;
    }
    for (unsigned i = 0; i < sim->count; i++)
        file_write(sim, conf, i);
    sim_cluster_forget(conf);
}

void sim_cluster_forget(struct nodes_conf *conf)
{
    for (unsigned i = 0; conf && i < conf->node_count; i++)
        free((void *)conf->nodes[i].slots);
    if (conf)
        free(conf->nodes);
    free(conf);
}

/* ---- as an operator makes one ---- */

static bool all_known(struct sim *sim)
{
    for (unsigned i = 0; i < sim->count; i++)
        for (unsigned j = 0; j < sim->count; j++) {
            unsigned flags = sim_node_flags(&sim->nodes[i], &sim->nodes[j]);
            if (flags == 0 || flags & BUS_NODE_HANDSHAKE)
                return false;
        }
    return true;
}

static bool all_well(struct sim *sim)
{
    return sim_cluster_fault(sim) == NULL;
}

bool sim_cluster_create(struct sim *sim)
{
    unsigned primaries = sim->options.primaries;
    sim_run(sim, 100 * MS);
    for (unsigned i = 0; i < sim->count; i++) {
        sim_node_command(&sim->nodes[i], "set-config-epoch %u", i + 1);
        if (i < primaries)
            sim_node_command(&sim->nodes[i], "addslotsrange %u %u", sim_shard_first(sim, i),
                             sim_shard_first(sim, i + 1) - 1);
    }
    sim_run(sim, 100 * MS);
    for (unsigned i = 1; i < sim->count; i++)
        sim_node_command(&sim->nodes[i], "meet %s %u", sim->nodes[0].ip, sim->nodes[0].config.port);
    if (!sim_until(sim, STEP_US, all_known))
        return false;
    sim_run(sim, REST_US);
    for (unsigned i = primaries; i < sim->count; i++)
        sim_node_command(&sim->nodes[i], "replicate %s", sim->nodes[i % primaries].id);
    sim_run(sim, REST_US);
    sim_probe(sim, PROBE_CREATED);
    return sim_until(sim, STEP_US, all_well);
}

/* ---- whether all is well ---- */

static const char *said(const char *format, unsigned a, unsigned b)
{
    static char text[128];
    snprintf(text, sizeof(text), format, a, b);
    return text;
}

static const char *node_fault(struct sim *sim, const struct sim_node *node)
{
    if (!sim_node_awake(node))
        return "a node does not run";
    if (sim_node_known(node) != sim->count)
        return said("node %u knows %u nodes", node->index, sim_node_known(node));
    for (unsigned i = 0; i < sim->count; i++) {
        unsigned flags = sim_node_flags(node, &sim->nodes[i]);
        if (flags & (BUS_NODE_PFAIL | BUS_NODE_FAIL))
            return said("node %u suspects node %u", node->index, i);
        if (flags == 0 || flags & (BUS_NODE_HANDSHAKE | BUS_NODE_NOADDR))
            return said("node %u does not know node %u", node->index, i);
        if (!(flags & BUS_NODE_MASTER) != !sim_node_is_primary(&sim->nodes[i]))
            return said("node %u does not know the role of node %u", node->index, i);
    }
    if (!sim_node_ok(node))
        return said("cluster_state of node %u is not ok (of %u)", node->index, sim->count);
    return NULL;
}

/* A stock node may stay behind a replica: nothing in 7.0 looks for that. */
static const char *replica_fault(struct sim *sim, const struct sim_node *node)
{
    if (sim_node_is_primary(node))
        return NULL;
    const char *id = sim_node_primary_id(node);
    const struct sim_node *primary = id ? sim_node_by_id(sim, id) : NULL;
    if (!primary)
        return "a replica follows nobody";
    if (!sim_node_is_primary(primary) && !node->is_stock)
        return "a replica follows a replica";
    return NULL;
}

static const char *epoch_fault(struct sim *sim)
{
    for (unsigned i = 0; i < sim->count; i++)
        for (unsigned j = 0; j < i; j++)
            if (sim_node_is_primary(&sim->nodes[i]) && sim_node_is_primary(&sim->nodes[j]) &&
                sim_node_config_epoch(&sim->nodes[i]) == sim_node_config_epoch(&sim->nodes[j]))
                return "two primaries have one epoch";
    return NULL;
}

static const char *owner_fault(struct sim *sim)
{
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        const char *owner = sim_node_owner(&sim->nodes[0], slot);
        if (!owner)
            return "a slot has no owner";
        for (unsigned i = 1; i < sim->count; i++) {
            const char *other = sim_node_owner(&sim->nodes[i], slot);
            if (!other || memcmp(owner, other, BUS_NAME_SIZE) != 0)
                return said("node %u knows another owner of slot %u", i, slot);
        }
    }
    return NULL;
}

const char *sim_cluster_fault(struct sim *sim)
{
    const char *fault = NULL;
    for (unsigned i = 0; !fault && i < sim->count; i++)
        fault = node_fault(sim, &sim->nodes[i]);
    for (unsigned i = 0; !fault && i < sim->count; i++)
        fault = replica_fault(sim, &sim->nodes[i]);
    if (!fault)
        fault = epoch_fault(sim);
    return fault ? fault : owner_fault(sim);
}
