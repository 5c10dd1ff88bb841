/* LZF in pieces. An LZF stream is a row of literal runs and references at most 8 KB back, without
 * header or end, so streams can be put one behind the other: long strings are compressed piece by
 * piece (liblzf), and expanded as their bytes arrive (here, since liblzf wants all of both sides at
 * once). Pure.
 *
 * Source: the format of liblzf 3.6. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "slice.h"

#define RDB_LZF_PIECE 16384
/* Room for a piece that cannot be compressed: a control byte for each 32. */
#define RDB_LZF_PIECE_MAX (RDB_LZF_PIECE + RDB_LZF_PIECE / 32)
/* How far back references reach. */
#define RDB_LZF_WINDOW 8192
/* No stream expands by more: 3 bytes stand for at most 264. */
#define RDB_LZF_RATIO_MAX 88

/* Compresses a piece of 1 … RDB_LZF_PIECE bytes; bytes written. Without gain: as literal runs. */
size_t rdb_lzf_pack(struct slice piece, uint8_t out[RDB_LZF_PIECE_MAX]);
/* The same for a whole string that is worth it only if it shrinks by at least 4 bytes, as Redis
 * wants it; 0: it does not. */
size_t rdb_lzf_pack_whole(struct slice text, uint8_t out[RDB_LZF_PIECE_MAX]);

/* Expanding, between two pieces. All zero at the start of a stream. */
struct rdb_unlzf {
    uint32_t literal_left, copy_left, distance;
    uint8_t token[3];
    uint8_t token_len; /* bytes of an unfinished token that came with the last piece */
};

/* Expands from *in on until it is used up or out is full (*filled = size); moves both forward.
 * out[0 … *filled) is what came before: all of it, or at least the last RDB_LZF_WINDOW bytes.
 * False: the stream is invalid. */
bool rdb_unlzf(struct rdb_unlzf *u, struct slice *in, uint8_t *out, size_t size, size_t *filled);
/* Whether the stream may end here. */
static inline bool rdb_unlzf_at_end(const struct rdb_unlzf *u)
{
    return u->literal_left == 0 && u->copy_left == 0 && u->token_len == 0;
}
