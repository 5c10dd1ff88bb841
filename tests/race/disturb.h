/* Takes the CPU away from a thread at random moments: a timer's signal hits it, and its handler
 * sleeps or yields, so that lock holders and lock-free readers stop in the middle of what they do.
 * Each thread has its own. */
#pragma once
#include <signal.h>
#include <stdint.h>
#include <time.h>
#include "keyspace.h"
#include "rng.h"

struct disturb_counts {
    uint64_t hits, slept;
    uint64_t holding; /* hits while the thread held a slot's lock */
};

struct disturb {
    timer_t timer;
    struct rng rng; /* the handler's alone while the timer runs */
    struct ks *ks;
    const uint16_t *slots; /* that the threads fight for */
    unsigned slot_count;
    struct disturb_counts counts;
};

/* Once, before the threads. */
void disturb_init(void);
/* The calling thread; ks, slots and rng are set. */
void disturb_begin(struct disturb *d);
void disturb_end(struct disturb *d);
/* A hit within so many microseconds, at a moment that delay_rng picks; replaces one to come. */
void disturb_soon(struct disturb *d, struct rng *delay_rng, uint32_t within_us);
/* The calling thread sleeps, waiting for nobody. */
void disturb_sleep_us(uint64_t us);
/* Keeps the calling thread on one of the CPUs that the process may use: index, counted round. */
void disturb_pin(unsigned index);
