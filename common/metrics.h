/* Counters: one block per lcore (written by it alone, relaxed), summed by whoever reads. The rows
 * are metrics.def; INFO and telemetry are generated from them. */
#pragma once
#include <stdatomic.h>
#include <stdint.h>
#include "check.h"

#define LCORES_MAX 64

struct metrics {
#define METRIC(name, help) _Atomic(uint64_t) name;
#include "metrics.def"
#undef METRIC
} __attribute__((aligned(128)));

extern struct metrics metrics_lcore[LCORES_MAX];
/* The calling thread's block: the control thread and helpers have one of their own. */
extern _Thread_local struct metrics *metrics_mine;

/* Owner only: a load and a store, no locked instruction. */
#define metric_add(name, n)                                                                      \
    atomic_store_explicit(&metrics_mine->name,                                                   \
                          atomic_load_explicit(&metrics_mine->name, memory_order_relaxed) + (n), \
                          memory_order_relaxed)
#define metric_inc(name) metric_add(name, 1)

enum metric_id {
#define METRIC(name, help) METRIC_##name,
#include "metrics.def"
#undef METRIC
    METRIC_COUNT
};
/* Any thread: the sum over all blocks. */
uint64_t metric_sum(enum metric_id id);
const char *metric_name(enum metric_id id);
const char *metric_help(enum metric_id id);
/* CONFIG RESETSTAT: later sums count from here. */
void metrics_reset(void);
/* Gives the calling thread block index (lcores 0 …; LCORES_MAX - 1: control). */
void metrics_attach(int index);
