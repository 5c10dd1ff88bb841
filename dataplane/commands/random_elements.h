/* Picking elements at random: what HRANDFIELD, SRANDMEMBER and SPOP have in common. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "rng.h"

/* A negative count asks for that many elements with repetitions; more than this is refused, since
 * the reply would be gigabytes of the same few elements. */
#define RANDOM_REPEATS_MAX ((int64_t)1 << 24)

/* Up to this share of a table (1 in …), distinct elements are found by drawing; beyond it, or in a
 * compact encoding, by walking. */
#define RANDOM_DRAW_SHARE 3

/* Elements looked at to find so many (negative: with repetitions) of size. */
static inline uint64_t random_steps(int64_t count, uint64_t size)
{
    if (count < 0)
        return (uint64_t)-count;
    return (uint64_t)count > size / RANDOM_DRAW_SHARE ? size : (uint64_t)count;
}

/* Selection sampling (Knuth, volume 2, algorithm S): offered every element in turn, takes `wanted`
 * of them, every subset equally likely. */
struct random_picker {
    uint64_t left;   /* elements not offered yet */
    uint64_t wanted; /* elements still to take */
};

static inline bool random_picker_take(struct random_picker *p, struct rng *rng)
{
    bool take = rng_below(rng, p->left) < p->wanted;
    p->left--;
    p->wanted -= take;
    return take;
}
