/* What each command cost, per lcore, and error replies by code: INFO commandstats and errorstats.
 *
 * Owner of a row: its lcore (a load and a store, relaxed); any thread sums. Resetting only notes
 * where sums count from, so it never disturbs an lcore. */
#pragma once
#include <stdatomic.h>
#include <stdint.h>
#include "command.h"
#include "error_counts.h"

struct command_stats {
    _Atomic(uint64_t) calls;    /* executed */
    _Atomic(uint64_t) cycles;   /* TSC cycles of those */
    _Atomic(uint64_t) rejected; /* refused before they executed */
    _Atomic(uint64_t) failed;   /* executed and replied with an error */
};

/* One row per command id. After commands_init(). */
struct command_stats *command_stats_new(void);
void command_stats_free(struct command_stats *stats);

struct command_totals {
    uint64_t calls, usec, rejected, failed;
};
struct command_totals command_stats_sum(const struct node *node, const struct command *cmd);
/* CONFIG RESETSTAT: sums of commands and errors count from here. Control thread or one lcore at a
 * time. */
void command_stats_reset(const struct node *node);

struct error_total {
    char code[ERROR_CODE_SIZE];
    uint64_t count;
};
/* Codes that were replied, in alphabetical order; how many (at most max). */
#define ERROR_TOTALS_MAX (4 * ERROR_COUNTS_MAX)
unsigned error_totals(const struct node *node, struct error_total *out, unsigned max);

/* Owner only. */
static inline void stat_add(_Atomic(uint64_t) *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}
