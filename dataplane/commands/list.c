/* Commands on the ends of lists; those on positions and values stand in list_index.c. */
#include <stdlib.h>
#include "families.h"
#include "list_args.h"

/* ---- push ---- */

/* Pushes argv[2 …] to a's list and replies with its length. */
static void push_all(struct call *c, struct aggregate *a, bool at_head)
{
    int fill = list_fill(c);
    bool pushed = true;
    for (uint32_t i = 2; i < c->argc && pushed; i++) {
        pushed = quicklist_push(elements_of(a), c->argv[i], at_head, fill);
        call_pace(c, work_cost(c->argv[i].len));
    }
    int64_t length = length_of(a);
    if (!aggregate_close(c, a, true))
        return;
    if (pushed)
        reply_i64(c->reply, length);
    else
        reply_error(c->reply, REPLY_OOM);
}

static void push(struct call *c, bool at_head)
{
    struct aggregate a;
    if (aggregate_open(c, &c->keys[0], OBJ_LIST, &a))
        push_all(c, &a, at_head);
}

static void push_existing(struct call *c, bool at_head)
{
    struct aggregate a;
    if (!list_find(c, &c->keys[0], &a))
        return;
    if (a.object)
        push_all(c, &a, at_head);
    else
        reply_i64(c->reply, 0);
}

void cmd_lpush(struct call *c)
{
    push(c, true);
}

void cmd_rpush(struct call *c)
{
    push(c, false);
}

void cmd_lpushx(struct call *c)
{
    push_existing(c, true);
}

void cmd_rpushx(struct call *c)
{
    push_existing(c, false);
}

/* ---- pop ---- */

static uint64_t pop_count(const struct aggregate *a, uint64_t count)
{
    return count < elements_of(a)->count ? count : elements_of(a)->count;
}

/* Replies with count elements from one end, as an array, and removes them; closes a. */
static void pop_many(struct call *c, struct aggregate *a, bool at_head, uint64_t count)
{
    list_reply_range(c, elements_of(a), at_head ? 0 : -1, count, at_head);
    list_cut(c, elements_of(a), at_head, count);
    aggregate_close(c, a, count > 0);
}

static void pop(struct call *c, bool at_head)
{
    struct aggregate a;
    uint64_t count = 1;
    bool counted = c->argc > 2;
    if (c->argc > 3) {
        command_reply_arity(c);
        return;
    }
    if (counted && !arg_count(c, c->argv[2], &count))
        return;
    if (!list_find(c, &c->keys[0], &a))
        return;
    if (!a.object) {
        if (counted)
            reply_null_array(c->reply);
        else
            reply_null(c->reply);
    } else if (counted) {
        count = pop_count(&a, count);
        if (!call_is_long(c, count))
            pop_many(c, &a, at_head, count);
    } else {
        char text[NUMBER_TEXT_SIZE];
        struct quicklist *q = elements_of(&a);
        struct quicklist_pos at = quicklist_seek(q, at_head ? 0 : -1);
        reply_bulk(c->reply, quicklist_get(at, text));
        quicklist_delete(q, at, true);
        aggregate_close(c, &a, true);
    }
}

void cmd_lpop(struct call *c)
{
    pop(c, true);
}

void cmd_rpop(struct call *c)
{
    pop(c, false);
}

static bool parse_end(struct call *c, struct slice word, bool *at_head)
{
    *at_head = slice_equal_word(word, "left");
    if (*at_head || slice_equal_word(word, "right"))
        return true;
    reply_error(c->reply, REPLY_SYNTAX);
    return false;
}

struct mpop_args {
    int64_t key_count;
    int64_t count;
    bool at_head;
};

/* argv: lmpop numkeys key … LEFT|RIGHT [COUNT n]. False: an error was replied. */
static bool parse_mpop(struct call *c, struct mpop_args *m)
{
    if (!arg_range(c, c->argv[1], 1, INT64_MAX, "ERR numkeys should be greater than 0",
                   &m->key_count))
        return false;
    if (m->key_count > (int64_t)c->argc - 3 || m->key_count != c->key_count) {
        reply_error(c->reply, REPLY_SYNTAX);
        return false;
    }
    uint32_t at = (uint32_t)m->key_count + 2;
    if (!parse_end(c, c->argv[at++], &m->at_head))
        return false;
    m->count = 1;
    if (at == c->argc)
        return true;
    if (at + 2 > c->argc || !slice_equal_word(c->argv[at], "count")) {
        reply_error(c->reply, REPLY_SYNTAX);
        return false;
    }
    if (!arg_range(c, c->argv[at + 1], 1, INT64_MAX, "ERR count should be greater than 0",
                   &m->count))
        return false;
    if (at + 2 == c->argc)
        return true;
    reply_error(c->reply, REPLY_SYNTAX);
    return false;
}

void cmd_lmpop(struct call *c)
{
    struct mpop_args m;
    if (!parse_mpop(c, &m))
        return;
    for (uint32_t i = 0; i < c->key_count; i++) {
        struct aggregate a;
        if (!list_find(c, &c->keys[i], &a))
            return;
        call_pace(c, 1);
        if (!a.object)
            continue;
        uint64_t count = pop_count(&a, (uint64_t)m.count);
        if (call_is_long(c, count))
            return;
        reply_array(c->reply, 2);
        reply_bulk(c->reply, c->keys[i].name);
        pop_many(c, &a, m.at_head, count);
        return;
    }
    reply_null_array(c->reply);
}

/* ---- move ---- */

/* A copy of the element that is to move: its list changes meanwhile. */
static uint8_t *element_copy(struct quicklist_pos at, struct slice *value)
{
    char text[NUMBER_TEXT_SIZE];
    struct slice old = quicklist_get(at, text);
    uint8_t *copy = malloc(old.len + 1);
    if (copy)
        memcpy(copy, old.data, old.len);
    *value = slice_from(copy, old.len);
    return copy;
}

static void remove_end(struct quicklist *q, bool at_head)
{
    quicklist_delete(q, quicklist_seek(q, at_head ? 0 : -1), true);
}

/* Between the ends of one list. */
static bool rotate(struct call *c, struct aggregate *a, struct slice value, bool from_head,
                   bool to_head)
{
    struct quicklist *q = elements_of(a);
    /* Pushed first, so that nothing is lost without memory. */
    if (!quicklist_push(q, value, to_head, list_fill(c)))
        return false;
    if (from_head == to_head)
        quicklist_delete(q, quicklist_seek(q, from_head ? 1 : -2), true);
    else
        remove_end(q, from_head);
    aggregate_close(c, a, true);
    reply_bulk(c->reply, value);
    return true;
}

static bool move_across(struct call *c, struct aggregate *from, struct slice value, bool from_head,
                        bool to_head)
{
    struct aggregate to;
    if (!aggregate_open(c, &c->keys[1], OBJ_LIST, &to))
        return true;
    bool pushed = quicklist_push(elements_of(&to), value, to_head, list_fill(c));
    if (!aggregate_close(c, &to, pushed))
        return true;
    if (!pushed)
        return false;
    remove_end(elements_of(from), from_head);
    aggregate_close(c, from, true);
    reply_bulk(c->reply, value);
    return true;
}

static void move(struct call *c, bool from_head, bool to_head)
{
    struct aggregate from;
    struct slice value;
    if (!list_find(c, &c->keys[0], &from))
        return;
    if (!from.object) {
        reply_null(c->reply);
        return;
    }
    uint8_t *copy = element_copy(quicklist_seek(elements_of(&from), from_head ? 0 : -1), &value);
    bool same = slice_equal(c->keys[0].name, c->keys[1].name);
    bool replied = copy && (same ? rotate(c, &from, value, from_head, to_head)
                                 : move_across(c, &from, value, from_head, to_head));
    if (!replied)
        reply_error(c->reply, REPLY_OOM);
    free(copy);
}

void cmd_lmove(struct call *c)
{
    bool from_head, to_head;
    if (parse_end(c, c->argv[3], &from_head) && parse_end(c, c->argv[4], &to_head))
        move(c, from_head, to_head);
}

void cmd_rpoplpush(struct call *c)
{
    move(c, false, true);
}
