/* The latency monitor and the commands' histograms: one struct latency for all lcores;
 * latency_note() and latency_sample() in watching.h add to it.
 *
 * Monitor: for each named event the worst delay of each of the last 160 seconds that had one of at
 * least latency-monitor-threshold; any lcore, under a lock that covers a few stores. Event names
 * are string constants, LATENCY_EVENTS_MAX of them.
 *
 * Histograms: one block per lcore and command, made at the first sample and written by that lcore
 * alone (relaxed); published with release, read with acquire by whoever sums. Resolution: 128 steps
 * per power of two of nanoseconds, up to one second, as Redis has them. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct latency;
struct command;
#define LATENCY_EVENTS_MAX 16
#define LATENCY_SAMPLES 160

/* After commands_init(). */
struct latency *latency_new(unsigned lcore_count);
void latency_free(struct latency *l);
/* Forgets all histograms (CONFIG RESETSTAT). Any thread. */
void latency_histograms_reset(struct latency *l);

/* A command's histogram over all lcores. */
struct latency_summary {
    uint64_t count;
    uint32_t first;   /* buckets below, and … */
    uint32_t size;    /* … from this one on are empty */
    uint64_t *bucket; /* from first on; allocated: latency_summary_free() */
};
/* False: no sample, or out of memory. */
bool latency_summarise(struct latency *l, const struct command *cmd, struct latency_summary *out);
void latency_summary_free(struct latency_summary *s);
uint32_t latency_bucket_of_ns(uint64_t ns);
/* The greatest value in ns that falls into bucket i. */
uint64_t latency_bucket_top_ns(uint32_t i);
/* The value below which percent of the samples lie, as HDR histograms define it. */
uint64_t latency_percentile_ns(const struct latency_summary *s, double percent);
