/* Hash table of byte strings with optional values, for hashes and sets that outgrew their compact
 * form (and for what later needs a table of members).
 *
 * Linear hashing: the table grows and shrinks by one bucket per insertion or deletion, so no
 * operation does more than a bounded amount of work and there is never a second array. Buckets live
 * in segments that double in size and never move. A chain link is 8 bytes: 48 bits of pointer and
 * 16 bits of hash that save most comparisons. An element is one allocation: link, lengths, key,
 * value.
 *
 * Load: between 1/2 and 1 element per bucket. Owner: whoever holds the object's lock; no atomics.
 * Pointers and slices into an element are void after a change of that element. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "rng.h"
#include "slice.h"

struct dict;

struct dict_item {
    struct slice key, value;
};

enum dict_result { DICT_ADDED, DICT_UPDATED, DICT_NO_MEMORY };

/* with_values: elements carry a value, else keys only. NULL: no memory. */
struct dict *dict_new(bool with_values);
void dict_free(struct dict *d);
/* Frees about budget elements; true when the dict itself is gone. Nothing else may be done with a
 * dict after the first call. */
bool dict_free_some(struct dict *d, uint32_t budget);

size_t dict_count(const struct dict *d);
/* Memory of everything, tracked. */
size_t dict_mem_bytes(const struct dict *d);

/* False: absent. item may be NULL. */
bool dict_find(const struct dict *d, struct slice key, struct dict_item *item);
/* Adds or gives a new value; on DICT_NO_MEMORY nothing has changed. value is ignored without
 * values. key and value must not lie in the dict. Each at most DICT_SLICE_MAX bytes. */
enum dict_result dict_put(struct dict *d, struct slice key, struct slice value);
#define DICT_SLICE_MAX UINT32_MAX
/* False: absent. */
bool dict_delete(struct dict *d, struct slice key);

/* A random element, each with the same probability. count > 0. */
struct dict_item dict_random(const struct dict *d, struct rng *rng);

/* Calls each() for the elements of one bucket; returns the next cursor, 0 at the end. An element
 * that is there from the first call (cursor 0) to the last is met at least once, whatever is added,
 * deleted or resized in between. each() must not change the dict. */
uint64_t dict_scan(const struct dict *d, uint64_t cursor,
                   void (*each)(void *arg, const struct dict_item *item), void *arg);

/* All elements; the dict must not change meanwhile. */
struct dict_iter {
    const struct dict *dict;
    uint64_t bucket;
    const void *element;
};
void dict_iter_init(struct dict_iter *it, const struct dict *d);
/* False at the end. */
bool dict_iter_next(struct dict_iter *it, struct dict_item *item);

/* Invariants, for tests and fuzzers. */
void dict_validate(const struct dict *d);
