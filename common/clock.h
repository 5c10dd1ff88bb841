/* Time. Only drivers, main, the lcore loop and the control loop read it; everything else gets it as
 * an argument.
 *
 * now_us: monotonic microseconds since boot (timers, latencies). now_ms: the node-wide wall clock
 * in milliseconds since 1970 that decides expiry; it never goes back and is the same for all
 * lcores. */
#pragma once
#include <stdint.h>

/* CLOCK_MONOTONIC, from the calibrated TSC where that is invariant, else by clock_gettime. */
uint64_t clock_now_us(void);
/* Raw TSC cycles, for counters of stages; clock_tsc_hz() converts. */
#if defined(__x86_64__)
static inline uint64_t clock_tsc(void)
{
    return __builtin_ia32_rdtsc();
}
#else
uint64_t clock_tsc(void); /* nanoseconds of CLOCK_MONOTONIC */
#endif
uint64_t clock_tsc_hz(void);
/* Calibrates; call once before any other. */
void clock_init(void);

/* The node-wide wall clock: refresh reads the system's clock and moves the shared value forward
 * (atomic maximum, release); read is one acquire load. */
int64_t clock_wall_refresh_ms(void);
int64_t clock_wall_ms(void);
/* Microseconds of wall time for TIME; not monotonic. */
int64_t clock_wall_us(void);
