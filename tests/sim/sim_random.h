/* Runs: a seed decides the cluster, the timeouts and all faults. */
#pragma once
#include "sim.h"

struct sim_run {
    uint64_t seed, seconds;
    unsigned mutant;
    bool trace;
    uint32_t *probes; /* PROBE_COUNT, added to */
    uint64_t hash, steps, writes;
};

/* Ends the process when something is wrong. */
void sim_random_run(struct sim_run *run);
