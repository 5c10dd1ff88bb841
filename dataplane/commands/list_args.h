/* What list.c and list_index.c have in common. */
#pragma once
#include "aggregate.h"
#include "list.h"

static inline bool list_find(struct call *c, const struct key *key, struct aggregate *a)
{
    return aggregate_find(c, key, OBJ_LIST, a);
}

static inline struct quicklist *elements_of(const struct aggregate *a)
{
    return &((struct list *)a->object)->elements;
}

static inline int64_t length_of(const struct aggregate *a)
{
    return a->object ? (int64_t)elements_of(a)->count : 0;
}

static inline int list_fill(const struct call *c)
{
    return call_type_limits(c).list_listpack_size;
}

/* count elements from position first on, backwards if not forward, as an array. They must be there.
 */
static inline void list_reply_range(struct call *c, const struct quicklist *q, int64_t first,
                                    uint64_t count, bool forward)
{
    char text[NUMBER_TEXT_SIZE];
    struct quicklist_pos at = quicklist_seek(q, first);
    reply_array(c->reply, count);
    for (; count > 0; count--) {
        reply_bulk(c->reply, quicklist_get(at, text));
        at = forward ? quicklist_next(at) : quicklist_prev(at);
    }
}
