/* What list.c and list_index.c have in common. */
#pragma once
#include "aggregate.h"
#include "list.h"
#include "listpack.h"
#include "work.h"

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

/* Nodes to walk from the nearer end to an element: an estimate, for call_is_long(). */
static inline uint64_t list_distance(const struct quicklist *q, int64_t index)
{
    uint64_t count = q->count;
    uint64_t from_head = index < 0 ? count - (uint64_t)-index : (uint64_t)index;
    if (from_head >= count)
        return 0; /* it is not there */
    uint64_t elements = from_head < count / 2 ? from_head : count - from_head;
    return (uint64_t)((unsigned __int128)elements * q->node_count / count);
}

/* As quicklist_seek(), in pieces; the list does not change meanwhile. */
struct quicklist_pos list_seek(struct call *c, const struct quicklist *q, int64_t index);

/* Removes count elements from one end, in pieces. */
void list_cut(struct call *c, struct quicklist *q, bool at_head, uint64_t count);

/* count elements from position first on, backwards if not forward, as an array. They must be there.
 */
static inline void list_reply_range(struct call *c, const struct quicklist *q, int64_t first,
                                    uint64_t count, bool forward)
{
    char text[NUMBER_TEXT_SIZE];
    struct quicklist_pos at = list_seek(c, q, first);
    reply_array(c->reply, count);
    for (; count > 0; count--) {
        struct slice value = quicklist_get(at, text);
        reply_bulk(c->reply, value);
        if (!call_pace(c, work_cost(value.len)))
            return;
        at = forward ? quicklist_next(at) : quicklist_prev(at);
    }
}
