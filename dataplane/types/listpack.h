/* Listpack: a list of strings and integers in one block of memory, byte for byte the format of
 * Redis 7 (RDB and DUMP carry it as it is).
 *
 *   total bytes (4, LE) | element count (2, LE; 65535: unknown) | entries … | 0xFF
 *   entry = encoding, data, back-length (length of the two before it, 7 bits per byte, most
 * significant first, read backwards)
 *
 * A string that is a canonical 64-bit integer is stored as integer (7, 13, 16, 24, 32 or 64 bits),
 * other strings with 6, 12 or 32 bits of length. Owner: whoever holds the object's lock. A block is
 * exactly its total size (malloc); a change may move it, so every pointer into it is void
 * afterwards, and a value that is written must not lie in the block itself. Limit:
 * LISTPACK_BYTES_MAX; the caller checks listpack_fits() before it adds. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mem.h"
#include "numbers.h"
#include "slice.h"

#define LISTPACK_HEADER_BYTES 6
#define LISTPACK_BYTES_MAX ((size_t)1 << 30)

/* NULL: no memory. Free with free(). */
uint8_t *listpack_new(void);
uint8_t *listpack_copy(const uint8_t *lp);
size_t listpack_bytes(const uint8_t *lp);
/* Walks when the header does not know (65535 elements and more). */
size_t listpack_count(const uint8_t *lp);
/* Bytes that an element takes, at most (exact for strings). */
size_t listpack_entry_bytes(struct slice value);
static inline bool listpack_fits(const uint8_t *lp, size_t added_bytes)
{
    return added_bytes <= LISTPACK_BYTES_MAX &&
           listpack_bytes(lp) + added_bytes <= LISTPACK_BYTES_MAX;
}
static inline size_t listpack_mem_bytes(const uint8_t *lp)
{
    return mem_class_bytes(listpack_bytes(lp));
}

/* ---- walking: NULL at either end ---- */
const uint8_t *listpack_first(const uint8_t *lp);
const uint8_t *listpack_last(const uint8_t *lp);
const uint8_t *listpack_next(const uint8_t *p);
const uint8_t *listpack_prev(const uint8_t *lp, const uint8_t *p);
/* Element index, negative from the end; walks from the nearer side when the count is known. */
const uint8_t *listpack_seek(const uint8_t *lp, int64_t index);

/* ---- reading ---- */
/* The element as text: inside the block, or written to buf when it is an integer. */
struct slice listpack_get(const uint8_t *p, char buf[NUMBER_TEXT_SIZE]);
/* True: it is stored as an integer. */
bool listpack_get_i64(const uint8_t *p, int64_t *out);
/* What to search for, looked at once: its bytes, and its integer if it is one. */
struct listpack_needle {
    struct slice text;
    int64_t number;
    bool is_number;
};
struct listpack_needle listpack_needle(struct slice value);
bool listpack_equal(const uint8_t *p, const struct listpack_needle *needle);
/* The first element from p on that equals; skip elements are passed over after each comparison (1
 * for the fields of field-value pairs). p may be NULL. */
const uint8_t *listpack_find(const uint8_t *p, const struct listpack_needle *needle, unsigned skip);

/* ---- changing: false: no memory, nothing was changed ---- */
/* Before the element at `at` (NULL: at the end). */
bool listpack_insert(uint8_t **lp, const uint8_t *at, struct slice value);
bool listpack_append(uint8_t **lp, struct slice value);
bool listpack_replace(uint8_t **lp, const uint8_t *p, struct slice value);
/* Removes n elements from p on (fewer when it ends before); what follows, or NULL at the end. Does
 * not fail: when the block cannot be made smaller it keeps its room. */
const uint8_t *listpack_delete(uint8_t **lp, const uint8_t *p, size_t n);
/* Appends the elements of from, starting at the element `first` of it (NULL: none). */
bool listpack_append_from(uint8_t **lp, const uint8_t *from, const uint8_t *first);

/* Whether len untrusted bytes are a listpack: lengths, every encoding, back-length and the count
 * agree. After true every function above is safe on it. *count (may be NULL): its elements. */
bool listpack_validate(struct slice blob, size_t *count);
/* Of untrusted bytes: the size of the element at p if it lies wholly within room > 0 bytes and its
 * lengths agree, else 0. */
size_t listpack_entry_check(const uint8_t *p, size_t room);

/* What stands around a string of len < LISTPACK_BYTES_MAX - 32 bytes that is the only element of a
 * listpack and not an integer, for who writes it without putting it together. */
struct listpack_frame {
    uint8_t head[LISTPACK_HEADER_BYTES + 5], tail[6];
    unsigned head_len, tail_len;
};
void listpack_frame_one(struct listpack_frame *f, size_t len);
