/* Segments: arrays of 2^bits buckets in one allocation, and what rebuilds them (inside keyspace/
 * only).
 *
 * A bucket at depth d holds the entries whose hash begins with its d bits. Building goes aside,
 * into memory that no reader knows, from a segment that keeps its contents for the readers that are
 * still in it; the caller publishes the result and retires the source. Runs under the slot's lock.
 *
 * Chained buckets for the new segments come from a stock; when it runs dry nothing is changed and
 * the caller tries again later. */
#pragma once
#include "bucket.h"

#define SEGMENT_BITS_MAX 5 /* 32 buckets, 2 KB */

struct stock;

static inline size_t segment_bytes(unsigned bits)
{
    return sizeof(struct bucket) << bits;
}

/* Entries in the segment, chains included. */
uint32_t segment_count(const struct bucket *segment, unsigned bits);
/* Chained buckets. */
uint32_t segment_chained(const struct bucket *segment, unsigned bits);

/* Every bucket of from (2^bits, at depth) becomes two. Target j is targets[0][j] for j < 2^bits,
 * else targets[1][j - 2^bits]; both zeroed; targets[1] follows targets[0] when bits is 0. False:
 * out of chain buckets; the targets hold garbage without chains. */
bool segment_divide(const struct bucket *from, unsigned bits, unsigned depth,
                    struct bucket *targets[2], struct stock *stock);

/* The reverse: source buckets j (from[0][j], then from[1][j - 2^bits]), at depth, become to[j / 2].
 * path: the depth - bits - 1 hash bits that lead to the whole. */
bool segment_unite(struct bucket *const from[2], unsigned bits, unsigned depth, uint64_t path,
                   struct bucket *to, struct stock *stock);

/* Appends to the chain that begins at head; head is not published. False: no chain bucket left. */
bool segment_append(struct bucket *head, uint64_t word, struct stock *stock);

/* Gives the chained buckets back to the stock; the segment was never published. */
void segment_unchain(struct bucket *segment, unsigned bits, struct stock *stock);
