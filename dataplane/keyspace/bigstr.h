/* A string above ENTRY_EMBED_MAX bytes: reference-counted chunks behind an immutable table, changed by
 * copying only the chunks (and the path to them) that change, so that APPEND, SETRANGE and SETBIT on
 * 512 MB do not copy 512 MB. A version that a reader holds never changes.
 *
 * References are atomic: a send queue may hold one past the entry's life; the last put frees. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "slice.h"

struct bigstr;
#define BIGSTR_CHUNK 16384

/* All return NULL when memory is short; the old version is untouched and still owned by the caller. */
struct bigstr *bigstr_new(struct slice value);
struct bigstr *bigstr_get(struct bigstr *b); /* one more reference */
void bigstr_put(struct bigstr *b);
size_t bigstr_len(const struct bigstr *b);
size_t bigstr_mem_bytes(const struct bigstr *b);
/* A new version with data written at offset, zero-filled in between. */
struct bigstr *bigstr_write(const struct bigstr *b, size_t offset, struct slice data);
/* Contiguous bytes from offset on (at most to the end of their chunk); empty at the end. */
struct slice bigstr_peek(const struct bigstr *b, size_t offset);
void bigstr_copy(const struct bigstr *b, size_t offset, size_t len, uint8_t *dst);
