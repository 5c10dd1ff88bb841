/* Index memory that an lcore keeps ready, so that nothing is allocated under a slot's lock (rule
 * 12) and storing an entry cannot fail: every entry made but not yet stored has a bucket set aside
 * for it.
 *
 * Owned by one lcore. All memory handed out is zeroed. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "segment.h"

struct spare {
    struct spare *next;
};

struct stock {
    struct spare *spare[SEGMENT_BITS_MAX + 1]; /* by segment bits; 0: single buckets */
    uint32_t count[SEGMENT_BITS_MAX + 1];
    uint32_t promised;      /* entries made and not yet stored */
    uint8_t directory_bits; /* of the directory kept or wanted; 0: none */
    _Atomic(uint64_t) *directory;
    bool may_allocate; /* a long section (many slots): growing matters more than the rule */
    bool low;          /* something was taken or missed since the last refill */
};

void stock_init(struct stock *stock);
void stock_fini(struct stock *stock);
/* Outside locks. False: less than one bucket for every promised entry and one more. */
bool stock_refill(struct stock *stock);
/* NULL: none left (the next refill brings one). */
struct bucket *stock_take(struct stock *stock, unsigned bits);
void stock_give(struct stock *stock, struct bucket *segment, unsigned bits);
/* A directory of 2^bits words, or NULL. */
_Atomic(uint64_t) *stock_take_directory(struct stock *stock, unsigned bits);
/* For one more entry; false: out of memory. */
bool stock_promise(struct stock *stock);
void stock_release(struct stock *stock);
