/* Quicklist: a doubly linked list of listpacks of bounded size, the representation of every list
 * (Redis 7.0).
 *
 * A node's limit is list-max-listpack-size: positive counts elements (and 8 KB), -1 … -5 stand for
 * 4 to 64 KB. An element larger than a node's limit lives alone in a plain node, as bare bytes. No
 * node is ever empty. Owner: whoever holds the object's lock.
 *
 * Values that are written must not lie in the list itself. Changes that cannot get memory return
 * false and leave the list as it was. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "listpack.h"
#include "numbers.h"
#include "pace.h"
#include "slice.h"

struct quicklist_node {
    struct quicklist_node *prev, *next;
    uint8_t *data; /* a listpack, or the bytes of one large element */
    size_t bytes;
    uint32_t count;
    bool plain;
};

struct quicklist {
    struct quicklist_node *head, *tail;
    size_t count;     /* elements */
    size_t mem_bytes; /* nodes and their data */
    uint32_t node_count;
};

/* A place in a list: an element. Void after a change, but for the one that the changing function
 * returns. */
struct quicklist_pos {
    struct quicklist_node *node; /* NULL: none */
    const uint8_t *p;            /* in the listpack; plain nodes: the bytes */
};

void quicklist_init(struct quicklist *q);
void quicklist_clear(struct quicklist *q);
/* Frees at most budget elements (whole nodes: a node's worth more), from the head; true when empty.
 */
bool quicklist_clear_some(struct quicklist *q, uint32_t budget);

/* Appends copies of all nodes of from to q, which is empty. False: no memory, q holds a part. */
bool quicklist_copy(const struct quicklist *from, struct quicklist *q, const struct pace *pace);

/* Element index (negative: from the end); node NULL when out of range. */
struct quicklist_pos quicklist_seek(const struct quicklist *q, int64_t index);
struct quicklist_pos quicklist_next(struct quicklist_pos at);
struct quicklist_pos quicklist_prev(struct quicklist_pos at);
/* The element's bytes: in the list, or in buf. */
struct slice quicklist_get(struct quicklist_pos at, char buf[NUMBER_TEXT_SIZE]);
bool quicklist_equal(struct quicklist_pos at, const struct listpack_needle *needle);

/* fill: list-max-listpack-size. */
bool quicklist_push(struct quicklist *q, struct slice value, bool at_head, int fill);
/* A node at the tail of its own, whatever its size: lp is valid, not empty, and taken over. */
bool quicklist_append_listpack(struct quicklist *q, uint8_t *lp);
bool quicklist_insert(struct quicklist *q, struct quicklist_pos at, struct slice value, bool after,
                      int fill);
bool quicklist_replace(struct quicklist *q, struct quicklist_pos at, struct slice value, int fill);
/* Removes one element; the one after it (forward) or before it. Does not fail. */
struct quicklist_pos quicklist_delete(struct quicklist *q, struct quicklist_pos at, bool forward);
/* Removes n elements from at on (fewer when the list ends). Does not fail. */
void quicklist_delete_range(struct quicklist *q, struct quicklist_pos at, size_t n);

/* Invariants, for tests and fuzzers. */
void quicklist_validate(const struct quicklist *q);
