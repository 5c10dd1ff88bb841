/* Latencies in a log-linear histogram: 64 sub-buckets per power of two, so that a percentile is
 * exact to 1.6 %. Pure; one owner. */
#pragma once
#include <stdint.h>

#define HISTOGRAM_SUB 64
#define HISTOGRAM_POWERS 40

struct histogram {
    uint64_t count, max;
    uint64_t bucket[HISTOGRAM_POWERS][HISTOGRAM_SUB];
};

void histogram_add(struct histogram *h, uint64_t value);
/* The value below which percent of 100 lie; 0 when empty. */
uint64_t histogram_percentile(const struct histogram *h, double percent);
