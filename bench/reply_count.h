/* Counts complete RESP2 replies in a stream of bytes, split anywhere, without keeping the bytes:
 * all that a load generator needs to know. Nested arrays count as one reply. Pure. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reply_count {
    uint64_t replies, errors;
    uint64_t open;  /* elements of arrays that are still to come */
    uint64_t skip;  /* bytes of a bulk, with its line end, still to come */
    int64_t number; /* length or count being read */
    char kind;      /* first byte of the line being read; 0: between elements */
    bool negative;
};

/* False: the bytes are not RESP2. */
bool reply_count_feed(struct reply_count *c, const uint8_t *data, size_t len);
