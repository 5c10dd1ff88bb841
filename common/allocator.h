/* What the allocator (jemalloc; none in sanitizer builds) knows of itself, and what the kernel
 * knows of the process. Asking costs some hundred microseconds, purge and report milliseconds:
 * control thread; any thread reads what it sampled last. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct allocator_stats {
    size_t used;             /* allocated, brought up to now by what the data has grown since */
    size_t peak;             /* the most that used was, as far as samples saw it */
    size_t startup;          /* of the first sample, without data */
    size_t allocated;        /* bytes that the program asked for, rounded to size classes */
    size_t active;           /* of pages with any allocation */
    size_t resident;         /* of physical pages held */
    size_t process_resident; /* of the whole process, as the kernel counts */
    size_t system_total;     /* of the machine */
};

/* One thread, as often as it likes: asks once per ALLOCATOR_STATS_AGE_US. data: bytes of the
 * keyspace, retired ones included, which are accounted exactly at any time. */
#define ALLOCATOR_STATS_AGE_US 1000000
void allocator_stats_sample(uint64_t now_us, size_t data);
/* Any thread; the values are relaxed, each of its own moment; all but data is zero before the first
 * sample. */
void allocator_stats_read(struct allocator_stats *out, size_t data);
/* "jemalloc-5.3.0" or "libc". */
const char *allocator_name(void);
/* Gives unused pages back to the kernel. */
void allocator_purge(void);
/* The allocator's own report, malloc; NULL: none. */
char *allocator_report(size_t *len);
