/* Commands on single sets. Those on several stand in set_algebra.c, random ones in set_random.c. */
#include "set.h"
#include "aggregate.h"
#include "families.h"
#include "scan_elements.h"
#include "work.h"

static bool set_find(struct call *c, struct aggregate *a)
{
    return aggregate_find(c, &c->keys[0], OBJ_SET, a);
}

void cmd_sadd(struct call *c)
{
    struct aggregate a;
    struct type_limits limits = call_type_limits(c);
    enum set_result result = SET_PRESENT;
    int64_t added = 0;
    if (!aggregate_open(c, &c->keys[0], OBJ_SET, &a))
        return;
    for (uint32_t i = 2; i < c->argc && result != SET_NO_MEMORY; i++) {
        result = set_add(a.object, c->argv[i], &limits);
        added += result == SET_ADDED;
        call_pace(c, work_cost(c->argv[i].len));
    }
    if (!aggregate_close(c, &a, added > 0))
        return;
    if (result == SET_NO_MEMORY)
        reply_error(c->reply, REPLY_OOM);
    else
        reply_i64(c->reply, added);
}

void cmd_srem(struct call *c)
{
    struct aggregate a;
    int64_t removed = 0;
    if (!set_find(c, &a))
        return;
    if (a.object) {
        for (uint32_t i = 2; i < c->argc; i++) {
            removed += set_remove(a.object, c->argv[i]);
            call_pace(c, 1);
        }
        aggregate_close(c, &a, removed > 0);
    }
    reply_i64(c->reply, removed);
}

void cmd_sismember(struct call *c)
{
    struct aggregate a;
    if (set_find(c, &a))
        reply_i64(c->reply, a.object && set_contains(a.object, c->argv[2]));
}

void cmd_smismember(struct call *c)
{
    struct aggregate a;
    if (!set_find(c, &a))
        return;
    reply_array(c->reply, c->argc - 2);
    for (uint32_t i = 2; i < c->argc && call_pace(c, 1); i++)
        reply_i64(c->reply, a.object && set_contains(a.object, c->argv[i]));
}

void cmd_scard(struct call *c)
{
    struct aggregate a;
    if (set_find(c, &a))
        reply_i64(c->reply, a.object ? (int64_t)set_count(a.object) : 0);
}

static void move_member(struct call *c, struct aggregate *from, struct slice member)
{
    struct aggregate to;
    struct type_limits limits = call_type_limits(c);
    if (!aggregate_open(c, &c->keys[1], OBJ_SET, &to))
        return;
    /* Added first, so that nothing is lost without memory. */
    enum set_result result = set_add(to.object, member, &limits);
    if (!aggregate_close(c, &to, result == SET_ADDED))
        return;
    if (result == SET_NO_MEMORY) {
        reply_error(c->reply, REPLY_OOM);
        return;
    }
    set_remove(from->object, member);
    aggregate_close(c, from, true);
    reply_i64(c->reply, 1);
}

void cmd_smove(struct call *c)
{
    struct aggregate from, to;
    if (!set_find(c, &from))
        return;
    if (!from.object) {
        reply_i64(c->reply, 0);
        return;
    }
    if (!aggregate_find(c, &c->keys[1], OBJ_SET, &to))
        return;
    bool member = set_contains(from.object, c->argv[3]);
    if (!member || to.object == from.object)
        reply_i64(c->reply, member);
    else
        move_member(c, &from, c->argv[3]);
}

static uint64_t set_scan_step(const void *object, uint64_t cursor,
                              void (*each)(void *arg, const struct dict_item *item), void *arg)
{
    return set_scan(object, cursor, each, arg);
}

void cmd_sscan(struct call *c)
{
    scan_elements(c, OBJ_SET, set_scan_step, false);
}
