/* Intset: a sorted array of integers, byte for byte the format of Redis (RDB and DUMP carry it as
 * it is).
 *
 *   bytes per integer (4, LE: 2, 4 or 8) | count (4, LE) | integers (LE, ascending, distinct)
 *
 * The width is that of the widest member ever added: it grows, and never shrinks. Owner: whoever
 * holds the object's lock. A block is exactly its size (malloc); a change may move it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mem.h"
#include "slice.h"

#define INTSET_HEADER_BYTES 8

/* NULL: no memory. Free with free(). */
uint8_t *intset_new(void);
uint8_t *intset_copy(const uint8_t *is);
uint32_t intset_count(const uint8_t *is);
size_t intset_bytes(const uint8_t *is);
static inline size_t intset_mem_bytes(const uint8_t *is)
{
    return mem_class_bytes(intset_bytes(is));
}
/* The member at index < count, ascending. */
int64_t intset_at(const uint8_t *is, uint32_t index);
bool intset_contains(const uint8_t *is, int64_t value);

enum intset_result { INTSET_CHANGED, INTSET_UNCHANGED, INTSET_NO_MEMORY };
/* Unchanged: it is a member already. No memory: nothing was changed. count < 2^30 before. */
enum intset_result intset_add(uint8_t **is, int64_t value);
/* False: it is no member. */
bool intset_remove(uint8_t **is, int64_t value);

/* Whether len untrusted bytes are an intset: width, count, order, no duplicates. */
bool intset_validate(struct slice blob);
