/* What happened to others once: the known defects of the protocol's implementations, each played
 * with a few seeds. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* name: one of them, or "all". seed 0: the usual ones. The exit code. */
int sim_scenarios_run(const char *name, uint64_t seed, bool trace);
