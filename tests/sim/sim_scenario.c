#include "sim_scenario.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"
#include "sim.h"
#include "sim_data.h"
#include "sim_fault.h"

#define SEEDS 8
#define TIMEOUT_MS 1000
#define START_US (3 * SECOND)
#define SHARD 0 /* whose primary suffers; node 0 */

struct scenario {
    const char *name, *about;
    unsigned nodes, primaries;
    uint32_t stock_mask;
    void (*run)(struct sim *sim);
};

/* ---- words for scenarios ---- */

/* Some lcore or stock node serves the shard; -1: nobody. */
static int server(const struct sim *sim, unsigned shard, int but)
{
    for (unsigned i = 0; i < sim->count; i++)
        if ((int)i != but && sim_shell_serves(&sim->nodes[i], 0, sim_shard_first(sim, shard)))
            return (int)i;
    return -1;
}

static void serves_again(struct sim *sim, unsigned shard, int but, uint64_t within_us)
{
    uint64_t end_us = sim->now_us + within_us;
    while (sim->now_us < end_us && server(sim, shard, but) < 0)
        sim_run(sim, MS);
    if (server(sim, shard, but) < 0)
        sim_fail(sim, "nobody serves shard %u after %llu ms", shard,
                 (unsigned long long)(within_us / MS));
}

static void all_well(struct sim *sim)
{
    sim_fault_end(sim);
    sim_run(sim, 4 * sim_timeout_us(sim) + 5 * SECOND);
    const char *fault = sim_cluster_fault(sim);
    if (fault)
        sim_fail(sim, "not well: %s", fault);
    sim_data_final(sim);
}

static void crash(struct sim *sim, unsigned i)
{
    sim_node_crash(&sim->nodes[i], true);
}

/* ---- scenarios ---- */

/* redis#1799: the minority's primary takes, unasked, the very epoch in which its replica is
 * elected. */
static void run_tie(struct sim *sim)
{
    sim_fault_isolate(sim, SHARD, true, true);
    sim_run(sim, 100 * MS);
    sim_node_command(&sim->nodes[SHARD], "bumpepoch");
    serves_again(sim, SHARD, SHARD, 5 * SECOND);
    all_well(sim);
}

/* valkey#974: the same, and the old primary restarts before it hears of it. */
static void run_old_primary(struct sim *sim)
{
    crash(sim, SHARD);
    serves_again(sim, SHARD, SHARD, 5 * SECOND);
    sim_run(sim, 2 * SECOND);
    sim_node_start(&sim->nodes[SHARD]);
    sim_run(sim, 5 * SECOND);
    if (sim_node_is_primary(&sim->nodes[SHARD]))
        sim_fail(sim, "the old primary has come back as one");
    all_well(sim);
}

/* redis#1547, #3776: an import's epoch, which nobody was asked for, while a failover is voted on.
 */
static void run_import(struct sim *sim)
{
    unsigned slot = sim_shard_client_end(sim, 1);
    crash(sim, SHARD);
    sim_run(sim, sim_timeout_us(sim) + sim_random(sim, 0, 200 * MS));
    sim_node_command(&sim->nodes[2], "setslot %u importing %s", slot, sim->nodes[1].id);
    sim_node_command(&sim->nodes[1], "setslot %u migrating %s", slot, sim->nodes[2].id);
    sim_node_command(&sim->nodes[2], "setslot %u node %s", slot, sim->nodes[2].id);
    serves_again(sim, SHARD, SHARD, 6 * SECOND);
    sim_node_command(&sim->nodes[1], "setslot %u node %s", slot, sim->nodes[2].id);
    all_well(sim);
}

/* valkey#2169: a primary takes a new epoch, tells one node, and dies. */
static void run_bump_and_die(struct sim *sim)
{
    sim_node_command(&sim->nodes[SHARD], "bumpepoch");
    sim_run(sim, sim_random(sim, 0, 5 * MS));
    crash(sim, SHARD);
    serves_again(sim, SHARD, SHARD, 6 * SECOND);
    all_well(sim);
}

/* valkey#753, #1015, #1777: roles change back and forth while segments are lost, so that frames of
 * the two links overtake each other. */
static void run_overtaken(struct sim *sim)
{
    sim->loss_per_mille = 40;
    for (unsigned round = 0; round < 8; round++) {
        for (unsigned i = 0; i < sim->count; i++)
            if (!sim_node_is_primary(&sim->nodes[i]) && sim_chance(sim, 500))
                sim_node_command(&sim->nodes[i], "failover");
        sim_run(sim, 2 * SECOND);
    }
    all_well(sim);
}

/* valkey#885, #4317: the winner dies before its sibling has synchronised with it. */
static void run_previous_offset(struct sim *sim)
{
    crash(sim, SHARD);
    serves_again(sim, SHARD, SHARD, 5 * SECOND);
    crash(sim, (unsigned)server(sim, SHARD, SHARD));
    sim_run(sim, 6 * SECOND);
    all_well(sim);
}

/* redis#3770, #5857, valkey#1018: two primaries of five at once. */
static void run_two_at_once(struct sim *sim)
{
    crash(sim, 0);
    crash(sim, 1);
    serves_again(sim, 0, 0, 6 * SECOND);
    serves_again(sim, 1, 1, 6 * SECOND);
    all_well(sim);
}

/* valkey#2181, smaller: the greatest minority of the primaries. */
static void run_minority_of_nine(struct sim *sim)
{
    for (unsigned i = 0; i < 4; i++)
        crash(sim, i);
    for (unsigned i = 0; i < 4; i++)
        serves_again(sim, i, (int)i, 15 * SECOND);
    all_well(sim);
}

/* redis#10798: a replica restarts, then wins: the epoch in its file is not its own. */
static void run_replica_epoch(struct sim *sim)
{
    unsigned replica = sim->options.primaries;
    crash(sim, replica);
    sim_run(sim, 200 * MS);
    sim_node_start(&sim->nodes[replica]);
    sim_run(sim, 4 * SECOND);
    crash(sim, SHARD);
    serves_again(sim, SHARD, SHARD, 5 * SECOND);
    all_well(sim);
}

/* redis#6416: the wall clocks go back by an hour, and a primary dies. */
static void run_clock_back(struct sim *sim)
{
    for (unsigned i = 0; i < sim->count; i++)
        sim->nodes[i].wall_skew_ms = -3600000;
    sim_run(sim, 500 * MS);
    crash(sim, SHARD);
    serves_again(sim, SHARD, SHARD, 5 * SECOND);
    all_well(sim);
}

/* redis#8753, valkey#1711: who has won once, and was demoted, wins again. */
static void run_again(struct sim *sim)
{
    for (unsigned round = 0; round < 3; round++) {
        int old = server(sim, SHARD, -1);
        crash(sim, (unsigned)old);
        serves_again(sim, SHARD, old, 6 * SECOND);
        sim_node_start(&sim->nodes[old]);
        sim_run(sim, 5 * SECOND);
    }
    all_well(sim);
}

/* redis#3779, #13353: everything ends at once, again and again, while files are written. */
static void run_files(struct sim *sim)
{
    for (unsigned round = 0; round < 6; round++) {
        for (unsigned i = 0; i < sim->count; i++) {
            sim->nodes[i].disk.delay_us = 50 * MS;
            if (sim_node_is_primary(&sim->nodes[i]))
                sim_node_command(&sim->nodes[i], "bumpepoch");
        }
        sim_run(sim, sim_random(sim, 0, 100 * MS));
        for (unsigned i = 0; i < sim->count; i++)
            crash(sim, i);
        sim_run(sim, 100 * MS);
        for (unsigned i = 0; i < sim->count; i++)
            sim_node_start(&sim->nodes[i]);
        sim_run(sim, 3 * SECOND);
    }
    all_well(sim);
}

/* Nobody hears the primary, which hears everybody. */
static void run_one_way(struct sim *sim)
{
    sim_fault_isolate(sim, SHARD, false, true);
    serves_again(sim, SHARD, SHARD, 6 * SECOND);
    sim_run(sim, 3 * SECOND);
    if (sim_shell_serves(&sim->nodes[SHARD], 0, sim_shard_first(sim, SHARD)))
        sim_fail(sim, "the primary that nobody hears serves on");
    all_well(sim);
}

/* Faults rows 24, 26, 27: cut off, or stopped, a primary serves no longer than it may. */
static void run_alone(struct sim *sim)
{
    sim_fault_isolate(sim, SHARD, true, true);
    sim_run(sim, sim_timeout_us(sim) + 500 * MS);
    if (sim_shell_serves(&sim->nodes[SHARD], 0, sim_shard_first(sim, SHARD)))
        sim_fail(sim, "a primary serves on without a majority");
    sim_fault_join(sim);
    sim_run(sim, 5 * SECOND);
    int now = server(sim, SHARD, -1);
    sim_node_freeze(&sim->nodes[now], SIM_STALLED, 10 * SECOND);
    sim_run(sim, sim_timeout_us(sim) / 2 + 50 * MS);
    if (sim_shell_serves(&sim->nodes[now], 0, sim_shard_first(sim, SHARD)))
        sim_fail(sim, "lcores serve on after the lease");
    serves_again(sim, SHARD, now, 6 * SECOND);
    sim_run(sim, 10 * SECOND);
    all_well(sim);
}

/* The target of rule 9 for a cluster of our own: kill to first write. */
static void run_target(struct sim *sim)
{
    sim_run(sim, sim_random(sim, 0, SECOND));
    crash(sim, SHARD);
    serves_again(sim, SHARD, SHARD, sim_timeout_us(sim) + 300 * MS);
    all_well(sim);
}

/* And where the votes of stock primaries are needed, and their word. */
static void run_target_mixed(struct sim *sim)
{
    sim_run(sim, sim_random(sim, 0, SECOND));
    crash(sim, SHARD);
    serves_again(sim, SHARD, SHARD, sim_timeout_us(sim) * 3 / 2 + 500 * MS);
    all_well(sim);
}

static const struct scenario scenarios[] = {
    {"tie", "an unasked epoch ties with an elected one", 6, 3, 0, run_tie},
    {"old-primary", "an old primary comes back", 6, 3, 0, run_old_primary},
    {"import", "an import's epoch meets a failover's", 6, 3, 0, run_import},
    {"bump-and-die", "a primary takes a new epoch and dies", 6, 3, 0, run_bump_and_die},
    {"overtaken", "frames overtake each other while roles change", 7, 3, 0, run_overtaken},
    {"overtaken-mixed", "the same, among stock nodes", 7, 3, 0x2a, run_overtaken},
    {"previous-offset", "a winner dies before its sibling has its data", 9, 3, 0,
     run_previous_offset},
    {"two-at-once", "two primaries of five die", 10, 5, 0, run_two_at_once},
    {"minority-of-nine", "four primaries of nine die", 18, 9, 0, run_minority_of_nine},
    {"replica-epoch", "a replica restarts, then wins", 6, 3, 0, run_replica_epoch},
    {"clock-back", "wall clocks go back", 6, 3, 0, run_clock_back},
    {"again", "who won once wins again", 6, 3, 0, run_again},
    {"files", "everything ends while files are written", 6, 3, 0, run_files},
    {"one-way", "a primary that nobody hears", 6, 3, 0, run_one_way},
    {"alone", "cut off, and stopped", 6, 3, 0, run_alone},
    {"target", "kill to first write", 6, 3, 0, run_target},
    {"target-mixed", "kill to first write by stock voters", 6, 3, 0x06, run_target_mixed},
};

static void scenario_run(const struct scenario *s, uint64_t seed, bool trace)
{
    char replay[128];
    struct sim_options options = {.seed = seed,
                                  .nodes = s->nodes,
                                  .primaries = s->primaries,
                                  .stock_mask = s->stock_mask,
                                  .timeout_ms = TIMEOUT_MS,
                                  .trace = trace};
    struct sim *sim = sim_new(&options);
    snprintf(replay, sizeof(replay), "sim --scenario %s --seed %llu --trace", s->name,
             (unsigned long long)seed);
    sim_trace_watch(sim, replay);
    sim->clients = true;
    sim_later(sim, NULL, SIM_CLIENT, 0, 0);
    sim_run(sim, START_US);
    s->run(sim);
    sim_trace_watch(NULL, "");
    sim_free(sim);
}

/* In a process of its own: one that fails ends it. */
static bool scenario_holds(const struct scenario *s, uint64_t seed, bool trace)
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        for (uint64_t i = seed ? seed : 1; i <= (seed ? seed : SEEDS); i++)
            scenario_run(s, i, trace);
        fflush(stdout);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    bool ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    printf("%-17s %s: %s\n", s->name, ok ? "held" : "FAILED", s->about);
    return ok;
}

int sim_scenarios_run(const char *name, uint64_t seed, bool trace)
{
    bool all = true, any = false;
    for (size_t i = 0; i < count_of(scenarios); i++) {
        if (strcmp(name, "all") != 0 && strcmp(name, scenarios[i].name) != 0)
            continue;
        any = true;
        all &= scenario_holds(&scenarios[i], seed, trace);
    }
    if (!any)
        printf("no such scenario: %s\n", name);
    return any && all ? 0 : 1;
}
