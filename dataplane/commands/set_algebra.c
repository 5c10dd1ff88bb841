/* Intersections, unions and differences of sets. */
#include <stdlib.h>
#include "aggregate.h"
#include "check.h"
#include "families.h"
#include "set.h"

/* The sets of a command, NULL where a key is absent. Sources are few as a rule. */
#define SOURCES_INLINE 16
struct sources {
    const struct set *inline_room[SOURCES_INLINE];
    const struct set **set;
    uint32_t count;
    bool absent; /* one is */
};

/* Looks up keys[first …]. False: an error was replied; else sources_free(). */
static bool sources_find(struct call *c, uint32_t first, struct sources *s)
{
    s->count = c->key_count - first;
    s->absent = false;
    s->set = s->inline_room;
    if (s->count > SOURCES_INLINE && !(s->set = malloc(s->count * sizeof(*s->set)))) {
        reply_error(c->reply, REPLY_OOM);
        return false;
    }
    for (uint32_t i = 0; i < s->count; i++) {
        struct aggregate a;
        if (!aggregate_find(c, &c->keys[first + i], OBJ_SET, &a)) {
            if (s->set != s->inline_room)
                free(s->set);
            return false;
        }
        s->set[i] = a.object;
        s->absent |= !a.object;
    }
    return true;
}

/* About how many members are looked at: those of all sets, or those of the smallest in each. */
static uint64_t sources_steps(const struct sources *s, bool intersection)
{
    uint64_t all = 0, smallest = UINT64_MAX;
    for (uint32_t i = 0; i < s->count; i++) {
        uint64_t count = s->set[i] ? set_count(s->set[i]) : 0;
        all += count;
        smallest = count < smallest ? count : smallest;
    }
    return intersection ? smallest * s->count : all;
}

static void sources_free(struct sources *s)
{
    if (s->set != s->inline_room)
        free(s->set);
}

static void reply_members(struct call *c, const struct set *s)
{
    struct set_iter it;
    struct slice member;
    reply_set(c->reply, set_count(s));
    set_iter_init(&it, s);
    while (set_iter_next(&it, &member)) {
        reply_bulk(c->reply, member);
        if (!call_pace(c, work_cost(member.len)))
            break;
    }
}

/* A result for the client or for keys[0]; takes result over (NULL: no memory). */
static void reply_result(struct call *c, struct set *result)
{
    if (!result) {
        reply_error(c->reply, REPLY_OOM);
        return;
    }
    reply_members(c, result);
    call_object_free(c, OBJ_SET, result);
}

static void store_result(struct call *c, struct set *result)
{
    if (!result) {
        reply_error(c->reply, REPLY_OOM);
        return;
    }
    int64_t count = (int64_t)set_count(result);
    if (aggregate_store(c, &c->keys[0], OBJ_SET, result))
        reply_i64(c->reply, count);
}

/* ---- intersection ---- */

/* The smallest goes first, since its members are looked up in all others. None is absent. */
static void sources_order_smallest(struct sources *s)
{
    uint32_t smallest = 0;
    for (uint32_t i = 1; i < s->count; i++) {
        if (set_count(s->set[i]) < set_count(s->set[smallest]))
            smallest = i;
    }
    const struct set *first = s->set[0];
    s->set[0] = s->set[smallest];
    s->set[smallest] = first;
}

static bool in_all_others(const struct sources *s, struct slice member)
{
    for (uint32_t i = 1; i < s->count; i++) {
        if (s->set[i] != s->set[0] && !set_contains(s->set[i], member))
            return false;
    }
    return true;
}

/* Walks the members that all have. */
struct intersection {
    struct call *call;
    const struct sources *sources;
    struct set_iter it;
};

static void intersection_init(struct intersection *x, struct call *c, struct sources *s)
{
    CHECK(!s->absent);
    sources_order_smallest(s);
    x->call = c;
    x->sources = s;
    set_iter_init(&x->it, s->set[0]);
}

static bool intersection_next(struct intersection *x, struct slice *member)
{
    while (set_iter_next(&x->it, member)) {
        call_pace(x->call, x->sources->count);
        if (in_all_others(x->sources, *member))
            return true;
    }
    return false;
}

static void reply_intersection(struct call *c, struct sources *s)
{
    struct intersection x;
    struct slice member;
    struct reply_deferred members;
    uint64_t count = 0;
    if (s->absent) {
        reply_set(c->reply, 0);
        return;
    }
    if (s->count == 1) {
        reply_members(c, s->set[0]);
        return;
    }
    intersection_init(&x, c, s);
    reply_defer_begin(c->reply, &members);
    while (intersection_next(&x, &member)) {
        reply_bulk(c->reply, member);
        count++;
    }
    reply_defer_end(c->reply, &members, '~', count);
}

void cmd_sinter(struct call *c)
{
    struct sources s;
    if (!sources_find(c, 0, &s))
        return;
    if (!call_is_long(c, sources_steps(&s, true)))
        reply_intersection(c, &s);
    sources_free(&s);
}

void cmd_smembers(struct call *c)
{
    cmd_sinter(c);
}

/* NULL: no memory. */
static struct set *intersection_of(struct call *c, struct sources *s)
{
    struct set *result = set_new();
    struct type_limits limits = call_type_limits(c);
    struct intersection x;
    struct slice member;
    if (!result || s->absent)
        return result;
    intersection_init(&x, c, s);
    while (intersection_next(&x, &member)) {
        if (set_add(result, member, &limits) == SET_NO_MEMORY) {
            call_object_free(c, OBJ_SET, result);
            return NULL;
        }
    }
    return result;
}

void cmd_sinterstore(struct call *c)
{
    struct sources s;
    if (!sources_find(c, 1, &s))
        return;
    if (!call_is_long(c, sources_steps(&s, true)))
        store_result(c, intersection_of(c, &s));
    sources_free(&s);
}

/* argv: sintercard numkeys key … [LIMIT n]; limit 0: none. False: an error was replied. */
static bool parse_intercard(struct call *c, uint64_t *limit)
{
    int64_t key_count, value = 0;
    if (!arg_range(c, c->argv[1], 1, INT64_MAX, "ERR numkeys should be greater than 0", &key_count))
        return false;
    if (key_count > (int64_t)c->argc - 2 || key_count != c->key_count) {
        reply_error(c->reply, "ERR Number of keys can't be greater than number of args");
        return false;
    }
    for (uint32_t i = (uint32_t)key_count + 2; i < c->argc; i += 2) {
        if (i + 1 == c->argc || !slice_equal_word(c->argv[i], "limit")) {
            reply_error(c->reply, REPLY_SYNTAX);
            return false;
        }
        if (!arg_range(c, c->argv[i + 1], 0, INT64_MAX, "ERR LIMIT can't be negative", &value))
            return false;
    }
    *limit = (uint64_t)value;
    return true;
}

void cmd_sintercard(struct call *c)
{
    struct sources s;
    uint64_t limit, count = 0;
    if (!parse_intercard(c, &limit) || !sources_find(c, 0, &s))
        return;
    if (call_is_long(c, sources_steps(&s, true))) {
        sources_free(&s);
        return;
    }
    if (!s.absent) {
        struct intersection x;
        struct slice member;
        intersection_init(&x, c, &s);
        while ((limit == 0 || count < limit) && intersection_next(&x, &member))
            count++;
    }
    sources_free(&s);
    reply_i64(c->reply, (int64_t)count);
}

/* ---- union ---- */

/* False: no memory. */
static bool add_members(struct call *c, struct set *to, const struct set *from)
{
    struct type_limits limits = call_type_limits(c);
    struct set_iter it;
    struct slice member;
    set_iter_init(&it, from);
    while (set_iter_next(&it, &member)) {
        if (set_add(to, member, &limits) == SET_NO_MEMORY)
            return false;
        call_pace(c, work_cost(member.len));
    }
    return true;
}

/* NULL: no memory. */
static struct set *union_of(struct call *c, const struct sources *s)
{
    struct set *result = set_new();
    for (uint32_t i = 0; result && i < s->count; i++) {
        if (s->set[i] && !add_members(c, result, s->set[i])) {
            call_object_free(c, OBJ_SET, result);
            return NULL;
        }
    }
    return result;
}

void cmd_sunion(struct call *c)
{
    struct sources s;
    if (!sources_find(c, 0, &s))
        return;
    if (!call_is_long(c, sources_steps(&s, false)))
        reply_result(c, union_of(c, &s));
    sources_free(&s);
}

void cmd_sunionstore(struct call *c)
{
    struct sources s;
    if (!sources_find(c, 1, &s))
        return;
    if (!call_is_long(c, sources_steps(&s, false)))
        store_result(c, union_of(c, &s));
    sources_free(&s);
}

/* ---- difference ---- */

static bool in_any_other(const struct sources *s, struct slice member)
{
    for (uint32_t i = 1; i < s->count; i++) {
        if (s->set[i] && set_contains(s->set[i], member))
            return true;
    }
    return false;
}

/* Adds the members of the first set that no other has. False: no memory. */
static bool add_unmatched(struct call *c, struct set *result, const struct sources *s)
{
    struct type_limits limits = call_type_limits(c);
    struct set_iter it;
    struct slice member;
    set_iter_init(&it, s->set[0]);
    while (set_iter_next(&it, &member)) {
        if (!in_any_other(s, member) && set_add(result, member, &limits) == SET_NO_MEMORY)
            return false;
        call_pace(c, s->count);
    }
    return true;
}

/* Adds the first set, then removes the members of the others. False: no memory. */
static bool add_then_remove(struct call *c, struct set *result, const struct sources *s)
{
    if (!add_members(c, result, s->set[0]))
        return false;
    for (uint32_t i = 1; i < s->count && set_count(result) > 0; i++) {
        struct set_iter it;
        struct slice member;
        if (!s->set[i])
            continue;
        set_iter_init(&it, s->set[i]);
        while (set_iter_next(&it, &member)) {
            set_remove(result, member);
            call_pace(c, 1);
        }
    }
    return true;
}

/* Which of the two ways is less work, by Redis' rule: the encoding of the result depends on it. */
static bool looking_up_is_cheaper(const struct sources *s)
{
    uint64_t lookups = 0, members = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        if (!s->set[i])
            continue;
        lookups += set_count(s->set[0]);
        members += set_count(s->set[i]);
    }
    return lookups / 2 <= members;
}

static bool first_is_repeated(const struct sources *s)
{
    for (uint32_t i = 1; i < s->count; i++) {
        if (s->set[i] == s->set[0])
            return true;
    }
    return false;
}

/* NULL: no memory. */
static struct set *difference_of(struct call *c, const struct sources *s)
{
    struct set *result = set_new();
    if (!result || !s->set[0] || first_is_repeated(s))
        return result;
    bool done =
        looking_up_is_cheaper(s) ? add_unmatched(c, result, s) : add_then_remove(c, result, s);
    if (!done) {
        call_object_free(c, OBJ_SET, result);
        return NULL;
    }
    return result;
}

void cmd_sdiff(struct call *c)
{
    struct sources s;
    if (!sources_find(c, 0, &s))
        return;
    if (!call_is_long(c, sources_steps(&s, false)))
        reply_result(c, difference_of(c, &s));
    sources_free(&s);
}

void cmd_sdiffstore(struct call *c)
{
    struct sources s;
    if (!sources_find(c, 1, &s))
        return;
    if (!call_is_long(c, sources_steps(&s, false)))
        store_result(c, difference_of(c, &s));
    sources_free(&s);
}
