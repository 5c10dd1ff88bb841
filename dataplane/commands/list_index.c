/* Commands on positions in lists, and on elements by value. */
#include "families.h"
#include "list_args.h"

/* ---- by position ---- */

struct quicklist_pos list_seek(struct call *c, const struct quicklist *q, int64_t index)
{
    int64_t count = (int64_t)q->count;
    if (!c->paced || index < -count || index >= count)
        return quicklist_seek(q, index);
    if (index < 0)
        index += count;
    struct quicklist_node *n;
    int64_t in_node; /* negative: from its end */
    if (index < count / 2) {
        for (n = q->head, in_node = index; in_node >= n->count; n = n->next) {
            in_node -= n->count;
            call_pace(c, 1);
        }
    } else {
        for (n = q->tail, in_node = index - count; - in_node > n->count; n = n->prev) {
            in_node += n->count;
            call_pace(c, 1);
        }
    }
    return (struct quicklist_pos){n, n->plain ? NULL : listpack_seek(n->data, in_node)};
}

/* Elements per step: a few nodes, as a rule. */
#define CUT_ELEMENTS (4 * WORK_PIECE)

void list_cut(struct call *c, struct quicklist *q, bool at_head, uint64_t count)
{
    while (count > 0) {
        uint64_t step = c->paced && count > CUT_ELEMENTS ? CUT_ELEMENTS : count;
        quicklist_delete_range(q, quicklist_seek(q, at_head ? 0 : -(int64_t)step), step);
        count -= step;
        call_pace(c, WORK_PIECE);
    }
}

void cmd_llen(struct call *c)
{
    struct aggregate a;
    if (list_find(c, &c->keys[0], &a))
        reply_i64(c->reply, length_of(&a));
}

void cmd_lindex(struct call *c)
{
    struct aggregate a;
    int64_t index;
    char text[NUMBER_TEXT_SIZE];
    if (!list_find(c, &c->keys[0], &a))
        return;
    if (!a.object) {
        reply_null(c->reply);
        return;
    }
    if (!arg_i64(c, c->argv[2], &index) || call_is_long(c, list_distance(elements_of(&a), index)))
        return;
    struct quicklist_pos at = list_seek(c, elements_of(&a), index);
    if (at.node)
        reply_bulk(c->reply, quicklist_get(at, text));
    else
        reply_null(c->reply);
}

void cmd_lset(struct call *c)
{
    struct aggregate a;
    int64_t index;
    if (!list_find(c, &c->keys[0], &a))
        return;
    if (!a.object) {
        reply_error(c->reply, REPLY_NO_KEY);
        return;
    }
    if (!arg_i64(c, c->argv[2], &index) || call_is_long(c, list_distance(elements_of(&a), index)))
        return;
    struct quicklist_pos at = list_seek(c, elements_of(&a), index);
    if (!at.node) {
        reply_error(c->reply, REPLY_OUT_OF_RANGE);
        return;
    }
    bool replaced = quicklist_replace(elements_of(&a), at, c->argv[3], list_fill(c));
    aggregate_close(c, &a, replaced);
    if (replaced)
        reply_ok(c->reply);
    else
        reply_error(c->reply, REPLY_OOM);
}

/* Positions as LRANGE and LTRIM take them, within [0, length): how many elements they span. */
static uint64_t range_clamp(int64_t *start, int64_t stop, int64_t length)
{
    if (*start < 0)
        *start = *start + length < 0 ? 0 : *start + length;
    if (stop < 0)
        stop += length;
    if (stop >= length)
        stop = length - 1;
    return *start > stop ? 0 : (uint64_t)(stop - *start + 1);
}

/* False: an error was replied. */
static bool parse_range(struct call *c, int64_t *start, int64_t *stop)
{
    return arg_i64(c, c->argv[2], start) && arg_i64(c, c->argv[3], stop);
}

void cmd_lrange(struct call *c)
{
    struct aggregate a;
    int64_t start, stop;
    if (!parse_range(c, &start, &stop) || !list_find(c, &c->keys[0], &a))
        return;
    uint64_t count = range_clamp(&start, stop, length_of(&a));
    if (count == 0)
        reply_array(c->reply, 0);
    else if (!call_is_long(c, count + list_distance(elements_of(&a), start)))
        list_reply_range(c, elements_of(&a), start, count, true);
}

/* Nodes that so many elements stand in, about. */
static uint64_t list_nodes(const struct quicklist *q, uint64_t elements)
{
    return (uint64_t)((unsigned __int128)elements * q->node_count / q->count);
}

void cmd_ltrim(struct call *c)
{
    struct aggregate a;
    int64_t start, stop;
    if (!parse_range(c, &start, &stop) || !list_find(c, &c->keys[0], &a))
        return;
    if (a.object) {
        struct quicklist *q = elements_of(&a);
        uint64_t kept = range_clamp(&start, stop, length_of(&a));
        uint64_t before = kept ? (uint64_t)start : q->count;
        uint64_t after = q->count - before - kept;
        if (call_is_long(c, list_nodes(q, before) + list_nodes(q, after)))
            return;
        list_cut(c, q, true, before);
        list_cut(c, q, false, after);
        /* Counts as a change for WATCH even when nothing was cut off, as in Redis. */
        aggregate_close(c, &a, true);
    }
    reply_ok(c->reply);
}

/* ---- by value ---- */

void cmd_lrem(struct call *c)
{
    struct aggregate a;
    int64_t count;
    if (!arg_i64(c, c->argv[2], &count) || !list_find(c, &c->keys[0], &a))
        return;
    uint64_t removed = 0;
    if (call_is_long(c, (uint64_t)length_of(&a)))
        return;
    if (a.object) {
        bool forward = count >= 0;
        uint64_t wanted = forward ? (uint64_t)count : 0 - (uint64_t)count;
        struct listpack_needle needle = listpack_needle(c->argv[3]);
        struct quicklist *q = elements_of(&a);
        struct quicklist_pos at = quicklist_seek(q, forward ? 0 : -1);
        while (at.node && (wanted == 0 || removed < wanted)) {
            if (quicklist_equal(at, &needle)) {
                at = quicklist_delete(q, at, forward);
                removed++;
            } else {
                at = forward ? quicklist_next(at) : quicklist_prev(at);
            }
            call_pace(c, 1);
        }
        aggregate_close(c, &a, removed > 0);
    }
    reply_i64(c->reply, (int64_t)removed);
}

void cmd_linsert(struct call *c)
{
    struct aggregate a;
    bool after = slice_equal_word(c->argv[2], "after");
    if (!after && !slice_equal_word(c->argv[2], "before")) {
        reply_error(c->reply, REPLY_SYNTAX);
        return;
    }
    if (!list_find(c, &c->keys[0], &a))
        return;
    if (!a.object) {
        reply_i64(c->reply, 0);
        return;
    }
    if (call_is_long(c, (uint64_t)length_of(&a)))
        return;
    struct listpack_needle needle = listpack_needle(c->argv[3]);
    struct quicklist_pos at = quicklist_seek(elements_of(&a), 0);
    while (at.node && !quicklist_equal(at, &needle)) {
        at = quicklist_next(at);
        call_pace(c, 1);
    }
    if (!at.node) {
        reply_i64(c->reply, -1);
        return;
    }
    bool inserted = quicklist_insert(elements_of(&a), at, c->argv[4], after, list_fill(c));
    aggregate_close(c, &a, inserted);
    if (inserted)
        reply_i64(c->reply, length_of(&a));
    else
        reply_error(c->reply, REPLY_OOM);
}

struct pos_args {
    int64_t rank;       /* which match is the first: 1 …; negative from the tail */
    int64_t count;      /* matches wanted, 0: all; -1: one, not as an array */
    int64_t length_max; /* elements to look at, 0: all */
};

/* False: an error was replied. */
static bool parse_pos(struct call *c, struct pos_args *p)
{
    *p = (struct pos_args){.rank = 1, .count = -1};
    for (uint32_t i = 3; i < c->argc; i += 2) {
        bool has_value = i + 1 < c->argc;
        if (has_value && slice_equal_word(c->argv[i], "rank")) {
            if (!arg_i64(c, c->argv[i + 1], &p->rank))
                return false;
            if (p->rank == 0) {
                reply_error(c->reply,
                            "ERR RANK can't be zero: use 1 to start from the first match, "
                            "2 from the second ... or use negative to start from the end "
                            "of the list");
                return false;
            }
        } else if (has_value && slice_equal_word(c->argv[i], "count")) {
            if (!arg_range(c, c->argv[i + 1], 0, INT64_MAX, "ERR COUNT can't be negative",
                           &p->count))
                return false;
        } else if (has_value && slice_equal_word(c->argv[i], "maxlen")) {
            if (!arg_range(c, c->argv[i + 1], 0, INT64_MAX, "ERR MAXLEN can't be negative",
                           &p->length_max))
                return false;
        } else {
            reply_error(c->reply, REPLY_SYNTAX);
            return false;
        }
    }
    return true;
}

/* Replies with the positions of matches; how many. */
static uint64_t reply_positions(struct call *c, const struct quicklist *q, const struct pos_args *p)
{
    bool forward = p->rank > 0;
    /* The one rank without a positive counterpart: Redis 7.0 takes all matches for wanted then. */
    bool overflows = p->rank == INT64_MIN;
    uint64_t skip = overflows ? 0 : (uint64_t)(forward ? p->rank : -p->rank) - 1;
    uint64_t wanted = p->count < 0 ? 1 : UINT64_MAX;
    if (p->count > 0 && !overflows)
        wanted = (uint64_t)p->count;
    uint64_t looked_max = p->length_max ? (uint64_t)p->length_max : UINT64_MAX;
    uint64_t replied = 0;
    struct listpack_needle needle = listpack_needle(c->argv[2]);
    struct quicklist_pos at = quicklist_seek(q, forward ? 0 : -1);
    for (uint64_t i = 0; at.node && i < looked_max && replied < wanted; i++) {
        if (quicklist_equal(at, &needle)) {
            if (skip > 0) {
                skip--;
            } else {
                reply_i64(c->reply, (int64_t)(forward ? i : q->count - 1 - i));
                replied++;
            }
        }
        at = forward ? quicklist_next(at) : quicklist_prev(at);
        if (!call_pace(c, 1))
            break;
    }
    return replied;
}

void cmd_lpos(struct call *c)
{
    struct aggregate a;
    struct pos_args p;
    if (!parse_pos(c, &p) || !list_find(c, &c->keys[0], &a))
        return;
    uint64_t looked = (uint64_t)length_of(&a);
    if (p.length_max > 0 && (uint64_t)p.length_max < looked)
        looked = (uint64_t)p.length_max;
    if (call_is_long(c, looked))
        return;
    if (p.count < 0) {
        if (!a.object || reply_positions(c, elements_of(&a), &p) == 0)
            reply_null(c->reply);
        return;
    }
    struct reply_deferred positions;
    reply_defer_begin(c->reply, &positions);
    uint64_t count = a.object ? reply_positions(c, elements_of(&a), &p) : 0;
    reply_defer_end(c->reply, &positions, '*', count);
}
