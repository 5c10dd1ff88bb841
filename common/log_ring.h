/* The bounded queue between threads that log and the control thread that writes. Private to log.c.
 *
 * Many producers, one consumer (after Vyukov's bounded queue). Each cell has a turn: position p may
 * be filled when turn == p and read when turn == p + 1; reading sets it to p + LOG_RING_LINES. A
 * producer claims a position by a relaxed compare-exchange of the write position; only the turn
 * publishes: the producer stores it with release after filling, the consumer loads it with acquire,
 * and the other way round for the cell's reuse. A producer that is descheduled between claim and
 * store holds up the consumer at its cell, never another producer: when the ring is full a push
 * fails at once. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "check.h"
#include "log.h"

#define LOG_RING_LINES 512

struct log_entry {
    int64_t time_ms; /* wall clock */
    enum log_level level;
    char text[LOG_TEXT_SIZE];
};

struct log_ring {
    _Alignas(CACHE_LINE) _Atomic(uint64_t) write_position; /* w: producers */
    _Alignas(CACHE_LINE) uint64_t read_position;           /* w: consumer */
    struct log_cell {
        _Atomic(uint64_t) turn;
        struct log_entry entry;
    } cells[LOG_RING_LINES];
};

void log_ring_init(struct log_ring *ring);

/* Any thread: a cell to fill, then log_ring_push_end(); NULL: full. */
struct log_cell *log_ring_push_begin(struct log_ring *ring);
void log_ring_push_end(struct log_cell *cell);

/* Consumer: the oldest line, NULL when there is none; log_ring_pop() frees it. */
const struct log_entry *log_ring_first(struct log_ring *ring);
void log_ring_pop(struct log_ring *ring);
