/* What the allocator (jemalloc; none in sanitizer builds) knows of itself, and what the kernel
 * knows of the process. Any thread; each call costs some microseconds, purge and report
 * milliseconds: control thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct allocator_stats {
    size_t allocated;        /* bytes that the program asked for, rounded to size classes */
    size_t active;           /* of pages with any allocation */
    size_t resident;         /* of physical pages held */
    size_t process_resident; /* of the whole process, as the kernel counts */
    size_t system_total;     /* of the machine */
};

/* At most a second old: asking costs some hundred microseconds, so one caller per second pays for
 * it. The values are relaxed, each of its own moment. */
#define ALLOCATOR_STATS_AGE_US 1000000
void allocator_stats_read(struct allocator_stats *out, uint64_t now_us);
/* "jemalloc-5.3.0" or "libc". */
const char *allocator_name(void);
/* Gives unused pages back to the kernel. */
void allocator_purge(void);
/* The allocator's own report, malloc; NULL: none. */
char *allocator_report(size_t *len);
