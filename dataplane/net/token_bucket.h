/* A rate limit: `burst` tokens at most, refilled evenly. Pure; time comes in. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct token_bucket {
    uint32_t rate_per_s, burst;
    uint64_t filled_us; /* up to here refills are counted */
    uint32_t tokens;
};

static inline struct token_bucket token_bucket_make(uint32_t rate_per_s, uint32_t burst)
{
    return (struct token_bucket){.rate_per_s = rate_per_s, .burst = burst, .tokens = burst};
}

/* False: nothing left now. */
static inline bool token_bucket_take(struct token_bucket *b, uint64_t now_us)
{
    uint64_t step_us = 1000000 / b->rate_per_s;
    uint64_t due = (now_us - b->filled_us) / step_us;
    if (due >= b->burst - b->tokens) {
        b->tokens = b->burst;
        b->filled_us = now_us;
    } else {
        b->tokens += (uint32_t)due;
        b->filled_us += due * step_us;
    }
    if (b->tokens == 0)
        return false;
    b->tokens--;
    return true;
}
