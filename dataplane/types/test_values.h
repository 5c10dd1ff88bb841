/* Values for model tests: the kinds that encodings tell apart, from a seed. Tests only. */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include "numbers.h"
#include "rng.h"
#include "slice.h"

#define TEST_VALUE_MAX 70000

struct test_value {
    uint8_t bytes[TEST_VALUE_MAX];
    size_t len;
};

static inline struct slice test_slice(const struct test_value *v)
{
    return slice_from(v->bytes, v->len);
}

/* An integer of any width, canonical or not quite, or len_max random bytes at most. */
static inline void test_value_random(struct test_value *v, struct rng *rng, size_t len_max)
{
    uint64_t kind = rng_below(rng, 8);
    if (kind < 4) {
        int64_t number = (int64_t)(rng_next(rng) >> rng_below(rng, 64));
        number = kind % 2 ? number : -number;
        v->len = format_i64((char *)v->bytes, number);
        return;
    }
    if (kind == 4) {
        /* Looks like a number, but is not canonical. */
        v->len = (size_t)snprintf((char *)v->bytes, 32, "0%u", (unsigned)rng_below(rng, 100));
        return;
    }
    v->len = rng_below(rng, len_max + 1);
    for (size_t i = 0; i < v->len; i++)
        v->bytes[i] = (uint8_t)rng_next(rng);
}
