/* The arithmetic and conditions of the EXPIRE family. Pure. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum expire_condition {
    EXPIRE_NX = 1 << 0, /* only when it has no expiry */
    EXPIRE_XX = 1 << 1, /* only when it has one */
    EXPIRE_GT = 1 << 2, /* only to a later time; none counts as infinity */
    EXPIRE_LT = 1 << 3, /* only to an earlier time */
};

/* Absolute ms of a time in seconds or ms, from base_ms on (0: absolute already). False: out of
 * range. */
bool expire_time_resolve(int64_t time, bool seconds, int64_t base_ms, int64_t *when_ms);

/* Whether the conditions allow to replace current_ms (EXPIRY_NONE: none) by when_ms. */
bool expire_allowed(unsigned conditions, int64_t current_ms, int64_t when_ms);

/* What TTL says, rounded to the nearest second; never negative. */
int64_t expire_left(int64_t expiry_ms, int64_t now_ms, bool seconds);
