#include "clock.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>
#include "check.h"
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define CALIBRATE_NS 20000000
#define CALIBRATE_TRIES 8

/* now_us = base_us + (tsc - base_tsc) * us_per_cycle / 2^32. Written by clock_init() alone, before
 * other threads start. */
static struct {
    bool from_tsc;
    uint64_t hz;
    uint64_t base_tsc;
    uint64_t base_us;
    uint64_t us_per_cycle; /* 32.32 fixed point */
} calibration;

static _Alignas(CACHE_LINE) _Atomic(int64_t) wall_ms;

static uint64_t system_ns(clockid_t id)
{
    struct timespec now;
    CHECK(clock_gettime(id, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#if !defined(__x86_64__)
uint64_t clock_tsc(void)
{
    return system_ns(CLOCK_MONOTONIC);
}
#endif

static bool tsc_is_invariant(void)
{
#if defined(__x86_64__)
    unsigned a, b, c, d;
    return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & (1u << 8));
#else
    return false;
#endif
}

struct instant {
    uint64_t tsc;
    uint64_t ns;
};

/* Both clocks at once: of several tries the one with the least time between its two TSC reads, so
 * that a preemption in the middle does not count. */
static struct instant instant_read(void)
{
    struct instant best = {0, 0};
    uint64_t best_gap = UINT64_MAX;
    for (int i = 0; i < CALIBRATE_TRIES; i++) {
        uint64_t before = clock_tsc();
        uint64_t ns = system_ns(CLOCK_MONOTONIC);
        uint64_t gap = clock_tsc() - before;
        if (gap < best_gap) {
            best_gap = gap;
            best = (struct instant){before + gap / 2, ns};
        }
    }
    return best;
}

void clock_init(void)
{
    struct instant start = instant_read();
    struct timespec pause = {0, CALIBRATE_NS};
    while (nanosleep(&pause, &pause) != 0)
        ;
    struct instant end = instant_read();
    uint64_t cycles = end.tsc - start.tsc;
    uint64_t ns = end.ns - start.ns;
    CHECK(cycles > 0);
    CHECK(ns > 0);
    calibration.hz = (uint64_t)((unsigned __int128)cycles * 1000000000u / ns);
    calibration.us_per_cycle =
        (uint64_t)(((unsigned __int128)ns << 32) / ((unsigned __int128)cycles * 1000u));
    calibration.base_tsc = end.tsc;
    calibration.base_us = end.ns / 1000;
    calibration.from_tsc = tsc_is_invariant();
    clock_wall_refresh_ms();
}

uint64_t clock_now_us(void)
{
    if (!calibration.from_tsc)
        return system_ns(CLOCK_MONOTONIC) / 1000;
    uint64_t tsc = clock_tsc();
    /* Another core's counter may be a few cycles behind the one that calibrated. */
    if (tsc < calibration.base_tsc)
        return calibration.base_us;
    unsigned __int128 us =
        (unsigned __int128)(tsc - calibration.base_tsc) * calibration.us_per_cycle;
    return calibration.base_us + (uint64_t)(us >> 32);
}

uint64_t clock_tsc_hz(void)
{
    return calibration.hz;
}

int64_t clock_wall_refresh_ms(void)
{
    int64_t now_ms = (int64_t)(system_ns(CLOCK_REALTIME) / 1000000u);
    int64_t seen_ms = atomic_load_explicit(&wall_ms, memory_order_acquire);
    /* Written only when a millisecond has passed, so the line stays shared between lcores. */
    while (seen_ms < now_ms) {
        if (atomic_compare_exchange_weak_explicit(&wall_ms, &seen_ms, now_ms, memory_order_acq_rel,
                                                  memory_order_acquire))
            return now_ms;
    }
    return seen_ms;
}

int64_t clock_wall_ms(void)
{
    return atomic_load_explicit(&wall_ms, memory_order_acquire);
}

int64_t clock_wall_us(void)
{
    return (int64_t)(system_ns(CLOCK_REALTIME) / 1000u);
}
