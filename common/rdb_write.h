/* Writes what RDB values are made of into a queue of bytes, encoded as Redis 7.0 encodes it.
 *
 * Owner: the thread of the queue. Nothing can fail; strings longer than RDB_LZF_PIECE are written
 * in steps, so that no call does more than compress one piece (some 50 µs). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "outbuf.h"
#include "rdb_lzf.h"
#include "slice.h"

struct rdb_writer {
    struct outbuf *out;
    bool compress; /* rdbcompression */
};

void rdb_write_byte(struct rdb_writer *w, uint8_t value);
void rdb_write_length(struct rdb_writer *w, uint64_t len);
void rdb_write_double(struct rdb_writer *w, double value);
/* At most RDB_LZF_PIECE bytes: as an integer, compressed or raw. */
void rdb_write_string(struct rdb_writer *w, struct slice text);

/* A longer string, whose bytes are fetched as they are needed; they must not change meanwhile. It
 * is compressed into packed first, since its compressed length stands in front, and written raw
 * when that does not pay. Its pieces are compressed each for itself: any reader of RDB takes that,
 * though Redis would have written other bytes. */
struct rdb_long_string {
    /* Contiguous bytes from offset < len on, at least one. */
    struct slice (*peek)(const void *source, size_t offset);
    const void *source;
    size_t len;
    size_t at; /* the rest is for rdb_write.c; zero at first */
    bool raw;
    struct outbuf packed;
};

/* One piece; true: the string is written. */
bool rdb_write_long_step(struct rdb_writer *w, struct rdb_long_string *l);
/* Ends one that was not written to its end. */
void rdb_long_string_fini(struct rdb_long_string *l);
