#include "sim_random.h"
#include <stdio.h>
#include "check.h"
#include "sim_data.h"
#include "sim_fault.h"
#include "sim_mutant.h"
#include "sim_probe.h"

#define POLL_US (20 * MS)
/* After everything works again: the bound for agreement, and then some time to see that it stays.
 */
#define AGREE_TIMEOUTS 4
#define AGREE_US (5 * SECOND)
#define STAY_US (1 * SECOND)
/* A stock node undoes FAIL only on a PONG to itself, and gossip spares its PINGs. */
#define STOCK_US (60 * SECOND)
#define SEED_MIX UINT64_C(0x5851f42d4c957f2d)

static void options_choose(struct sim_options *options, const struct sim_run *run)
{
    static const uint32_t timeouts_ms[] = {300, 500, 1000, 2000};
    struct rng rng;
    rng_seed(&rng, run->seed * SEED_MIX);
    *options = (struct sim_options){.seed = run->seed, .mutant = run->mutant, .trace = run->trace};
    options->primaries = rng_below(&rng, 4) ? 3 : 2 + (unsigned)rng_below(&rng, 3);
    options->nodes = options->primaries + 1 + (unsigned)rng_below(&rng, options->primaries + 1);
    options->timeout_ms = timeouts_ms[rng_below(&rng, count_of(timeouts_ms))];
    if (rng_below(&rng, 2))
        options->stock_mask = (uint32_t)rng_next(&rng) & (uint32_t)rng_next(&rng);
    options->blank = rng_below(&rng, 10) == 0;
}

static bool all_well(struct sim *sim)
{
    return sim_cluster_fault(sim) == NULL;
}

static void faults_run(struct sim *sim, uint64_t until_us)
{
    uint64_t next_us = sim->now_us;
    /* Some seeds are calm, some are not. */
    uint64_t pause_us = sim_timeout_us(sim) / 4 * sim_random(sim, 1, 12);
    while (sim->now_us < until_us) {
        if (sim->now_us >= next_us) {
            sim_fault_random(sim);
            next_us = sim->now_us + rng_below(&sim->rng, 2 * pause_us);
        }
        sim_fault_poll(sim);
        sim_run(sim, POLL_US);
    }
}

void sim_random_run(struct sim_run *run)
{
    struct sim_options options;
    char replay[128];
    options_choose(&options, run);
    struct sim *sim = sim_new(&options);
    snprintf(replay, sizeof(replay), "sim --seed %llu --seconds %llu --mutant %s --trace",
             (unsigned long long)run->seed, (unsigned long long)run->seconds,
             sim_mutant_rows[run->mutant].word);
    sim_trace_watch(sim, replay);
    uint64_t end_us = SIM_START_US + run->seconds * SECOND;
    uint64_t agree_us = sim_timeout_us(sim) * AGREE_TIMEOUTS + AGREE_US;
    if (options.blank && !sim_cluster_create(sim))
        sim_fail(sim, "no cluster came about: %s", sim_cluster_fault(sim));
    sim->clients = true;
    sim_later(sim, NULL, SIM_CLIENT, 0, 0);
    sim_run(sim, 500 * MS);
    faults_run(sim, end_us - agree_us - STAY_US);
    sim_fault_end(sim);
    sim_run(sim, agree_us);
    const char *fault = sim_cluster_fault(sim);
    if (fault && options.stock_mask && sim_until(sim, STOCK_US, all_well))
        fault = NULL;
    if (fault)
        sim_fail(sim, "not well %llu ms after everything was: %s",
                 (unsigned long long)(agree_us / MS), fault);
    sim_run(sim, STAY_US);
    fault = sim_cluster_fault(sim);
    if (fault)
        sim_fail(sim, "was well, and is not any more: %s", fault);
    sim_data_final(sim);
    run->hash = sim_hash(sim);
    run->steps = sim->steps;
    run->writes = sim_data_writes(sim);
    for (unsigned i = 0; run->probes && i < PROBE_COUNT; i++)
        __atomic_fetch_add(&run->probes[i], sim->probes[i], __ATOMIC_RELAXED);
    sim_trace_watch(NULL, "");
    sim_free(sim);
}
