/* SPOP and SRANDMEMBER. */
#include "aggregate.h"
#include "families.h"
#include "random_elements.h"
#include "set.h"

/* SPOP of a large part of a set keeps the rest in a new one instead of removing members one by one:
 * when fewer than 1 in so many stay. */
#define POP_REST_SHARE 5

static bool set_find(struct call *c, struct aggregate *a)
{
    return aggregate_find(c, &c->keys[0], OBJ_SET, a);
}

static struct slice random_member(struct call *c, const struct set *s, char text[NUMBER_TEXT_SIZE])
{
    return set_random(s, &c->worker->rng, text);
}

/* The members of s, in its order. */
static void reply_members(struct call *c, const struct set *s)
{
    struct set_iter it;
    struct slice member;
    set_iter_init(&it, s);
    while (set_iter_next(&it, &member)) {
        reply_bulk(c->reply, member);
        call_pace(c, work_cost(member.len));
    }
}

/* ---- SPOP ---- */

static void pop_one(struct call *c)
{
    struct aggregate a;
    char text[NUMBER_TEXT_SIZE];
    if (!set_find(c, &a))
        return;
    if (!a.object) {
        reply_null(c->reply);
        return;
    }
    struct slice member = random_member(c, a.object, text);
    reply_bulk(c->reply, member);
    set_remove(a.object, member);
    aggregate_close(c, &a, true);
}

/* count distinct members of s as a set of their own; NULL: no memory. */
static struct set *draw_members(struct call *c, const struct set *s, uint64_t count)
{
    char text[NUMBER_TEXT_SIZE];
    struct type_limits limits = call_type_limits(c);
    struct set *drawn = set_new();
    while (drawn && set_count(drawn) < count) {
        if (set_add(drawn, random_member(c, s, text), &limits) == SET_NO_MEMORY) {
            call_object_free(c, OBJ_SET, drawn);
            return NULL;
        }
        call_pace(c, 1);
    }
    return drawn;
}

static void pop_few(struct call *c, struct set *s, uint64_t count)
{
    char text[NUMBER_TEXT_SIZE];
    for (; count > 0; count--) {
        struct slice member = random_member(c, s, text);
        reply_bulk(c->reply, member);
        set_remove(s, member);
        call_pace(c, work_cost(member.len));
    }
}

/* Replies with the members of s that are not in rest; s becomes rest, which is freed. */
static void pop_all_but(struct call *c, struct set *s, struct set *rest)
{
    struct set_iter it;
    struct slice member;
    set_iter_init(&it, s);
    while (set_iter_next(&it, &member)) {
        if (!set_contains(rest, member))
            reply_bulk(c->reply, member);
        call_pace(c, work_cost(member.len));
    }
    struct set popped = *s;
    *s = *rest;
    *rest = popped;
    call_object_free(c, OBJ_SET, rest);
}

static void pop_many(struct call *c, struct aggregate *a, uint64_t count)
{
    uint64_t left = set_count(a->object) - count;
    if (left == 0) {
        reply_set(c->reply, count);
        reply_members(c, a->object);
        ks_delete(c->ks, a->key);
        return;
    }
    if (left > count / POP_REST_SHARE) {
        reply_set(c->reply, count);
        pop_few(c, a->object, count);
    } else {
        struct set *rest = draw_members(c, a->object, left);
        if (!rest) {
            reply_error(c->reply, REPLY_OOM);
            return;
        }
        reply_set(c->reply, count);
        pop_all_but(c, a->object, rest);
    }
    aggregate_close(c, a, true);
}

void cmd_spop(struct call *c)
{
    struct aggregate a;
    uint64_t count;
    if (c->argc == 2) {
        pop_one(c);
        return;
    }
    if (c->argc > 3) {
        reply_error(c->reply, REPLY_SYNTAX);
        return;
    }
    if (!arg_count(c, c->argv[2], &count) || !set_find(c, &a))
        return;
    if (!a.object || count == 0) {
        reply_set(c->reply, 0);
        return;
    }
    if (count > set_count(a.object))
        count = set_count(a.object);
    if (!call_is_long(c, count))
        pop_many(c, &a, count);
}

/* ---- SRANDMEMBER ---- */

static void reply_repeated(struct call *c, const struct set *s, uint64_t count)
{
    char text[NUMBER_TEXT_SIZE];
    reply_array(c->reply, count);
    for (; count > 0 && call_pace(c, 1); count--)
        reply_bulk(c->reply, random_member(c, s, text));
}

/* Distinct members in the order of the set, which is not large compared with their number. */
static void reply_walked(struct call *c, const struct set *s, uint64_t count)
{
    struct random_picker picker = {.left = set_count(s), .wanted = count};
    struct set_iter it;
    struct slice member;
    reply_array(c->reply, count);
    set_iter_init(&it, s);
    while (picker.wanted > 0 && set_iter_next(&it, &member)) {
        if (random_picker_take(&picker, &c->worker->rng))
            reply_bulk(c->reply, member);
        if (!call_pace(c, work_cost(member.len)))
            break;
    }
}

static void reply_distinct(struct call *c, const struct set *s, uint64_t count)
{
    if (count > set_count(s))
        count = set_count(s);
    if (set_encoding(s) != ENC_HASHTABLE || count > set_count(s) / RANDOM_DRAW_SHARE) {
        reply_walked(c, s, count);
        return;
    }
    struct set *drawn = draw_members(c, s, count);
    if (!drawn) {
        reply_error(c->reply, REPLY_OOM);
        return;
    }
    reply_array(c->reply, count);
    reply_members(c, drawn);
    call_object_free(c, OBJ_SET, drawn);
}

void cmd_srandmember(struct call *c)
{
    struct aggregate a;
    int64_t count = 0;
    if (c->argc > 3) {
        reply_error(c->reply, REPLY_SYNTAX);
        return;
    }
    if (c->argc == 3 && !arg_range(c, c->argv[2], -INT64_MAX, INT64_MAX, NULL, &count))
        return;
    if (!set_find(c, &a))
        return;
    if (c->argc == 2) {
        char text[NUMBER_TEXT_SIZE];
        if (a.object)
            reply_bulk(c->reply, random_member(c, a.object, text));
        else
            reply_null(c->reply);
    } else if (!a.object || count == 0) {
        reply_array(c->reply, 0);
    } else if (count < -RANDOM_REPEATS_MAX) {
        reply_error(c->reply, "ERR value is out of range");
    } else if (call_is_long(c, random_steps(count, set_count(a.object)))) {
        return;
    } else if (count < 0) {
        reply_repeated(c, a.object, (uint64_t)-count);
    } else {
        reply_distinct(c, a.object, (uint64_t)count);
    }
}
