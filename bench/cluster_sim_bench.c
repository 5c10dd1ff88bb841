/* The cluster's control plane at a size that no lab has: N nodes in virtual time, half of them
 * primaries, node timeout 15 s, nothing wrong. Prints one line:
 *
 *   nodes mode converged_p50_ms converged_ms bytes_per_node_s messages_per_node_s
 *   cpu_us_per_message gossip_entries_per_message core_percent
 *
 * converged: a primary takes a new epoch; until half of, and all others know it. CPU per message is
 * that of cluster_step() for it, the core's share that of all steps (ticks, replication status,
 * files too), in one process, whose caches hold the states of all nodes: a node that is alone on
 * its machine is faster. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "check.h"
#include "sim.h"

#define TIMEOUT_MS 15000
#define WARM_US (10 * SECOND)
#define CLOCK_LOOKS 100000
#define LOOK_US (5 * MS)
#define CONVERGE_LONGEST_US (300 * SECOND)

struct totals {
    uint64_t bytes, messages, steps, steps_ns, frames_ns;
};

static struct totals totals_get(const struct sim *sim)
{
    struct totals t = {0};
    for (unsigned i = 0; i < sim->count; i++) {
        t.bytes += sim->nodes[i].bytes_out;
        t.messages += sim->nodes[i].frames_in;
        t.steps += sim->nodes[i].steps;
        t.steps_ns += sim->nodes[i].steps_ns;
        t.frames_ns += sim->nodes[i].frames_ns;
    }
    return t;
}

/* What looking at the clock twice costs, as the steps' times have it. */
static double clock_ns(void)
{
    struct timespec first, last;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &first);
    for (unsigned i = 0; i < CLOCK_LOOKS; i++)
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &last);
    return ((double)(last.tv_sec - first.tv_sec) * 1e9 + (double)(last.tv_nsec - first.tv_nsec)) /
           CLOCK_LOOKS;
}

static unsigned knowing(const struct sim *sim, const char *id, uint64_t epoch)
{
    unsigned count = 0;
    struct cluster_peer peer;
    for (unsigned i = 0; i < sim->count; i++)
        count += cluster_peer_get(sim->nodes[i].c, id, &peer) && peer.config_epoch >= epoch;
    return count;
}

/* Times until half of, and all nodes know the new epoch of the first. */
static void converge(struct sim *sim, uint64_t *half_us, uint64_t *all_us)
{
    struct sim_node *first = &sim->nodes[0];
    uint64_t start_us = sim->now_us;
    sim_node_command(first, "bumpepoch");
    uint64_t epoch = cluster_config_epoch(first->c);
    *half_us = *all_us = 0;
    while (*all_us == 0 && sim->now_us - start_us < CONVERGE_LONGEST_US) {
        sim_run(sim, LOOK_US);
        unsigned count = knowing(sim, first->id, epoch);
        if (*half_us == 0 && count >= sim->count / 2)
            *half_us = sim->now_us - start_us;
        if (count == sim->count)
            *all_us = sim->now_us - start_us;
    }
}

int main(int argc, char **argv)
{
    static const char *const modes[] = {"both", "rumour", "ring"};
    if (argc != 4) {
        fprintf(stderr, "cluster-sim-bench NODES both|rumour|ring SECONDS\n");
        return 2;
    }
    struct sim_options options = {.seed = 1, .timeout_ms = TIMEOUT_MS, .unchecked = true};
    options.nodes = (unsigned)strtoul(argv[1], NULL, 10);
    options.primaries = options.nodes / 2;
    for (unsigned i = 0; i < count_of(modes); i++)
        if (strcmp(argv[2], modes[i]) == 0)
            options.spread = (enum cluster_spread)i;
    uint64_t seconds = strtoull(argv[3], NULL, 10);
    if (options.nodes < 4 || options.nodes > CLUSTER_NODES_MAX / 2 || seconds == 0)
        return 2;
    struct sim *sim = sim_new(&options);
    sim_run(sim, WARM_US);
    struct totals before = totals_get(sim);
    sim_run(sim, seconds * SECOND);
    struct totals after = totals_get(sim);
    uint64_t half_us, all_us;
    converge(sim, &half_us, &all_us);
    double node_seconds = (double)options.nodes * (double)seconds;
    double messages = (double)(after.messages - before.messages);
    double look_ns = clock_ns();
    double steps_ns =
        (double)(after.steps_ns - before.steps_ns) - look_ns * (double)(after.steps - before.steps);
    double frames_ns = (double)(after.frames_ns - before.frames_ns) - look_ns * messages;
    double bytes = (double)(after.bytes - before.bytes);
    double entries = messages > 0 ? (bytes / messages - BUS_HEADER_SIZE) / BUS_GOSSIP_SIZE : 0;
    printf("%u %s %.0f %.0f %.0f %.1f %.2f %.1f %.3f\n", options.nodes, argv[2],
           (double)half_us / 1000, (double)all_us / 1000, bytes / node_seconds,
           messages / node_seconds, messages > 0 ? frames_ns / messages / 1000 : 0, entries,
           steps_ns / node_seconds / 1e7);
    sim_free(sim);
    return 0;
}
