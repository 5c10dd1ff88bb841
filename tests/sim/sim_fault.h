/* What goes wrong, and when: faults of every kind, chosen by the seed. Most end by themselves;
 * sim_fault_end() ends all of them. */
#pragma once
#include "sim.h"

/* One fault begins. */
void sim_fault_random(struct sim *sim);
/* Goes on with slots that are on their way from one primary to another. */
void sim_fault_poll(struct sim *sim);
void sim_fault_heal(struct sim *sim, const struct sim_item *item);
/* Everything works again, all nodes run, moves that were left half done are mended as an operator
 * would. */
void sim_fault_end(struct sim *sim);

/* For scenarios. */
void sim_fault_isolate(struct sim *sim, unsigned node, bool in, bool out);
/* Bit i: node i is on that side. */
void sim_fault_partition(struct sim *sim, uint32_t side);
void sim_fault_join(struct sim *sim);
