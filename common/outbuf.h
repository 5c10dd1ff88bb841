/* A queue of bytes on their way out: a session writes replies at the tail, the transport copies
 * from any offset (first transmission and retransmissions) and drops from the front what the peer
 * has acknowledged.
 *
 * Owner: one lcore; never shared. Memory: nothing while empty; the first block is small (512 B),
 * later ones 4 to 16 KB; large values may enter by reference. Offsets count from the front
 * (0 = the first byte not yet dropped). Bytes never move once written, so a reference obtained by
 * outbuf_peek() lives until the front passes it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "check.h"
#include "slice.h"

/* Private to outbuf.c and the fast paths below. Copied bytes follow the header of the block; a
 * reference has capacity == len, so that it never has room. */
struct outbuf_block {
    struct outbuf_block *next;
    struct outbuf_block *prev;
    uint8_t *data;
    uint32_t len;
    uint32_t capacity;
};

struct outbuf {
    struct outbuf_block *head;
    struct outbuf_block *tail;
    uint32_t head_skip; /* bytes of the head block that are dropped already */
    uint32_t block_count;
    size_t len;       /* bytes queued */
    size_t mem_bytes; /* memory held, references counted by their length: for output limits */
};

/* A place in the queue that the transport keeps to avoid walking: stays valid while the front
 * has not passed it; outbuf_drop() past it needs outbuf_cursor_reset(). A cursor between two blocks
 * stands at the end of the first, so it survives a truncate to its own place. */
struct outbuf_cursor {
    struct outbuf_block *block;
    uint32_t block_offset;
};

void outbuf_init(struct outbuf *out);
/* Frees every block and releases every reference. */
void outbuf_clear(struct outbuf *out);

#define OUTBUF_EXACT_MAX 16000

/* The slow half of the functions below: a new block at the tail. Private. */
uint8_t *outbuf_grow(struct outbuf *out, size_t want);
void outbuf_append_slow(struct outbuf *out, const uint8_t *data, size_t len);

static inline size_t outbuf_tail_room(const struct outbuf *out)
{
    return out->tail ? out->tail->capacity - out->tail->len : 0;
}

/* Room for at least one byte and at most want bytes at the tail, *got says how many; follow with
 * outbuf_commit(). reserve_exact gives want contiguous bytes (want <= OUTBUF_EXACT_MAX). */
uint8_t *outbuf_reserve(struct outbuf *out, size_t want, size_t *got);

static inline uint8_t *outbuf_reserve_exact(struct outbuf *out, size_t want)
{
    if (likely_true(out->tail && outbuf_tail_room(out) >= want))
        return out->tail->data + out->tail->len;
    return outbuf_grow(out, want);
}

static inline void outbuf_commit(struct outbuf *out, size_t used)
{
    CHECK_DEBUG(used <= outbuf_tail_room(out));
    if (used == 0)
        return;
    out->tail->len += (uint32_t)used;
    out->len += used;
}

static inline void outbuf_append(struct outbuf *out, const void *data, size_t len)
{
    if (likely_false(outbuf_tail_room(out) < len)) {
        outbuf_append_slow(out, (const uint8_t *)data, len);
        return;
    }
    if (len == 0)
        return;
    memcpy(out->tail->data + out->tail->len, data, len);
    outbuf_commit(out, len);
}

/* Queues len bytes at data by reference; release(arg) is called once, on the owner's thread, when
 * the last byte was dropped or the queue is cleared; it must not touch the queue. */
void outbuf_append_ref(struct outbuf *out, const uint8_t *data, size_t len,
                       void (*release)(void *arg), void *arg);

/* Moves all bytes of from, of which none was dropped yet, to the tail; from is empty afterwards.
 * Nothing is copied: for replies that were collected aside. */
void outbuf_splice(struct outbuf *out, struct outbuf *from);

/* Takes back the newest len bytes (a reply that is replaced by an error before it left). len <=
 * bytes queued; only bytes that were appended by copy. */
void outbuf_truncate(struct outbuf *out, size_t len);

/* Start of the queue. */
void outbuf_cursor_reset(const struct outbuf *out, struct outbuf_cursor *cursor);
/* Copies len bytes from the cursor and advances it. The bytes must be there. */
void outbuf_copy(const struct outbuf *out, struct outbuf_cursor *cursor, uint8_t *dst, size_t len);
/* Moves at most max bytes from the front to dst; how many. For a queue without a transport's
 * cursor.
 */
size_t outbuf_take(struct outbuf *out, uint8_t *dst, size_t max);
/* The contiguous bytes at the cursor (empty at the end), without advancing. */
struct slice outbuf_peek(const struct outbuf *out, const struct outbuf_cursor *cursor);
/* Sets a cursor to an offset from the front: walks, for retransmissions. offset <= len. */
void outbuf_seek(const struct outbuf *out, struct outbuf_cursor *cursor, size_t offset);
/* Drops len bytes from the front; references whose last byte is dropped are released at once. len
 * <= out->len. A block that ends exactly at the new front is kept until the next drop, since a
 * cursor may stand at its end; after the queue has become empty (drop, truncate) all blocks are
 * freed and every cursor is void and must be reset. */
void outbuf_drop(struct outbuf *out, size_t len);
