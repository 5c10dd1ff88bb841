#include "sim.h"
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "sim_check.h"
#include "sim_data.h"
#include "sim_fault.h"
#include "sim_probe.h"

#define FULL_CHECK_STEPS 1000
#define SWEEP_ITEMS 16384

const char *sim_probe_text(enum sim_probe probe)
{
    static const char *const texts[PROBE_COUNT] = {
#define SIM_PROBE_TEXT(name, text) [PROBE_##name] = text,
        SIM_PROBES(SIM_PROBE_TEXT)
#undef SIM_PROBE_TEXT
    };
    return texts[probe];
}

struct sim *sim_new(const struct sim_options *options)
{
    struct sim *sim = calloc(1, sizeof(*sim));
    CHECK(sim);
    sim->options = *options;
    rng_seed(&sim->rng, options->seed);
    sim->now_us = SIM_START_US;
    sim->count = options->nodes;
    sim->delay_us = 100;
    sim->jitter_us = 400;
    sim->nodes = calloc(sim->count, sizeof(*sim->nodes));
    sim->probes = calloc(PROBE_COUNT, sizeof(*sim->probes));
    CHECK(sim->nodes && sim->probes);
    sim->check = sim_check_new(sim);
    sim->data = sim_data_new(sim);
    for (unsigned i = 0; i < sim->count; i++)
        sim_node_init(sim, i);
    if (!options->blank)
        sim_cluster_form(sim);
    for (unsigned i = 0; i < sim->count; i++)
        sim_node_start(&sim->nodes[i]);
    sim_later(sim, NULL, SIM_CLIENT, MS, 0);
    return sim;
}

void sim_free(struct sim *sim)
{
    for (unsigned i = 0; i < sim->count; i++)
        sim_node_fini(&sim->nodes[i]);
    while (sim->heap.count > 0) { /* some hold memory */
        struct sim_item item = sim_heap_pop(&sim->heap);
        if (item.what == SIM_RING)
            sim_shell_item(&sim->nodes[item.node], &item);
    }
    sim_net_sweep(sim, true);
    sim_cluster_forget(sim->shared);
    sim_heap_free(&sim->heap);
    sim_check_free(sim->check);
    sim_data_free(sim->data);
    free(sim->nodes);
    free(sim->probes);
    free(sim);
}

uint64_t sim_random(struct sim *sim, uint64_t least, uint64_t most)
{
    return least + rng_below(&sim->rng, most - least + 1);
}

bool sim_chance(struct sim *sim, unsigned per_mille)
{
    return rng_below(&sim->rng, 1000) < per_mille;
}

uint64_t sim_timeout_us(const struct sim *sim)
{
    return sim->options.timeout_ms * MS;
}

struct sim_node *sim_node_by_id(struct sim *sim, const void *id)
{
    for (unsigned i = 0; i < sim->count; i++)
        if (memcmp(sim->nodes[i].id, id, BUS_NAME_SIZE) == 0)
            return &sim->nodes[i];
    return NULL;
}

void sim_later(struct sim *sim, struct sim_node *node, enum sim_what what, uint64_t delay_us,
               uint64_t value)
{
    sim_heap_push(&sim->heap, (struct sim_item){.at_us = sim->now_us + delay_us,
                                                .value = value,
                                                .life = node ? node->life : 0,
                                                .node = node ? (uint16_t)node->index : 0,
                                                .what = (uint8_t)what});
}

static bool is_net(unsigned what)
{
    return what == SIM_DELIVER || what == SIM_CONNECTED || what == SIM_ACCEPT ||
           what == SIM_REFUSED;
}

static void item_run(struct sim *sim, const struct sim_item *item)
{
    if (item->what == SIM_HEAL)
        sim_fault_heal(sim, item);
    else if (item->what == SIM_CLIENT)
        sim_data_client(sim);
    else
        sim_node_item(sim, item);
    if (sim->options.unchecked)
        return;
    if (++sim->steps % FULL_CHECK_STEPS == 0)
        sim_check_full(sim);
    if (sim->steps % SWEEP_ITEMS == 0)
        sim_net_sweep(sim, false);
}

bool sim_until(struct sim *sim, uint64_t us, bool (*done)(struct sim *sim))
{
    uint64_t end_us = sim->now_us + us, look_us = sim->now_us;
    while (sim->heap.count > 0 && sim->heap.items[0].at_us <= end_us) {
        struct sim_item item = sim_heap_pop(&sim->heap);
        sim->now_us = item.at_us;
        item_run(sim, &item);
        if (done && sim->now_us >= look_us) {
            if (done(sim))
                return true;
            look_us = sim->now_us + 10 * MS;
        }
    }
    sim->now_us = end_us;
    return done && done(sim);
}

void sim_run(struct sim *sim, uint64_t us)
{
    sim_until(sim, us, NULL);
}

/* ---- the life of a node's items ---- */

static void late_push(struct sim_node *node, const struct sim_item *item)
{
    if (node->late_count == node->late_size) {
        node->late_size = node->late_size ? node->late_size * 2 : 64;
        node->late = realloc(node->late, node->late_size * sizeof(*node->late));
        CHECK(node->late);
    }
    node->late[node->late_count++] = *item;
}

/* A stopped control plane: the lcores go on, and so do the disk and the network. */
static bool waits(const struct sim_node *node, unsigned what)
{
    if (node->freeze == SIM_AWAKE || what == SIM_THAW || what == SIM_RESTART)
        return false;
    if (node->freeze == SIM_PAUSED)
        return true;
    return !is_net(what) && what != SIM_SEEN && what != SIM_PARKED && what != SIM_APPLY;
}

static void node_dispatch(struct sim *sim, const struct sim_item *item)
{
    struct sim_node *node = &sim->nodes[item->node];
    if (is_net(item->what)) {
        sim_net_item(sim, item);
        return;
    }
    switch (item->what) {
    case SIM_RESTART:
        if (!node->running)
            sim_node_start(node);
        break;
    case SIM_REPLICATION:
    case SIM_APPLY:
    case SIM_SYNCED:
        sim_data_item(node, item);
        break;
    default:
        sim_shell_item(node, item);
        break;
    }
}

/* Those that sleep find their timer before or after what came meanwhile, a stopped control plane
 * what its lcores have queued, then its timer. */
static void thaw(struct sim *sim, struct sim_node *node)
{
    struct sim_item *late = node->late;
    uint32_t count = node->late_count, life = node->life;
    bool tick_first = node->freeze == SIM_PAUSED && sim_chance(sim, 500);
    sim_note(sim, node, (struct sim_note){.kind = NOTE_THAW, .a = node->freeze, .b = count});
    sim_check_thawed(node);
    node->freeze = SIM_AWAKE;
    node->late = NULL;
    node->late_count = node->late_size = 0;
    for (unsigned round = 0; round < 2; round++)
        for (uint32_t i = 0; i < count; i++) {
            if ((late[i].what == SIM_TICK) != (round == (tick_first ? 0 : 1)))
                continue;
            if (node->life == life || is_net(late[i].what) || late[i].what == SIM_RING)
                node_dispatch(sim, &late[i]);
        }
    free(late);
}

void sim_node_item(struct sim *sim, const struct sim_item *item)
{
    struct sim_node *node = &sim->nodes[item->node];
    bool alive = item->life == node->life && node->running;
    if (item->what == SIM_RESTART || (is_net(item->what) && !alive)) {
        node_dispatch(sim, item);
        return;
    }
    if (!alive) {
        if (item->what == SIM_RING)
            sim_shell_item(node, item);
        return;
    }
    if (item->what == SIM_THAW)
        thaw(sim, node);
    else if (waits(node, item->what))
        late_push(node, item);
    else
        node_dispatch(sim, item);
}
