/* A string above ENTRY_EMBED_MAX bytes: reference-counted chunks behind an immutable table, changed
 * by copying only the chunks (and the path to them) that change, so that APPEND, SETRANGE and
 * SETBIT on 512 MB do not copy 512 MB. A version that a reader holds never changes.
 *
 * References are atomic: a send queue may hold one past the entry's life; the last put frees. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "slice.h"

struct bigstr;
/* With its count a chunk fills a size class of the heap. */
#define BIGSTR_CHUNK (16384 - 16)

/* All return NULL when memory is short; the old version is untouched and still owned by the caller.
 */
struct bigstr *bigstr_new(struct slice value);
struct bigstr *bigstr_get(struct bigstr *b); /* one more reference */
void bigstr_put(struct bigstr *b);
/* The same in pieces, where the last put would free much: called again until it returns true.
 * budget: parts freed at most; what is left of it. Nobody else may put the same reference
 * meanwhile. */
bool bigstr_put_some(struct bigstr *b, uint32_t *budget);
size_t bigstr_len(const struct bigstr *b);
size_t bigstr_mem_bytes(const struct bigstr *b);
/* How many of b's bytes are those of from, the version that it was written from; else 0. */
size_t bigstr_shared_bytes(const struct bigstr *b, const struct bigstr *from);
/* A new version with data written at offset, zero-filled in between (zeros that were never written
 * take no memory). */
struct bigstr *bigstr_write(const struct bigstr *b, size_t offset, struct slice data);
/* Contiguous bytes from offset on (at most to the end of their chunk); empty at the end. */
struct slice bigstr_peek(const struct bigstr *b, size_t offset);
void bigstr_copy(const struct bigstr *b, size_t offset, size_t len, uint8_t *dst);
