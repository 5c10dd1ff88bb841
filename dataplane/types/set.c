#include "set.h"
#include <stdlib.h>
#include "check.h"
#include "intset.h"

/* An intset's own limit, whatever the configuration says. */
#define INTSET_ENTRIES_MAX (((uint64_t)1 << 30) - 1)

struct set *set_from_intset(uint8_t *is)
{
    struct set *s = malloc(sizeof(*s));
    if (!s)
        return NULL;
    s->body = is;
    s->encoding = ENC_INTSET;
    return s;
}

struct set *set_new(void)
{
    uint8_t *is = intset_new();
    struct set *s = is ? set_from_intset(is) : NULL;
    if (!s)
        free(is);
    return s;
}

bool set_free_some(struct set *s, uint32_t budget)
{
    if (s->encoding == ENC_INTSET)
        free(s->body);
    else if (!dict_free_some(s->body, budget))
        return false;
    free(s);
    return true;
}

void set_free(struct set *s)
{
    CHECK(set_free_some(s, UINT32_MAX));
}

enum obj_encoding set_encoding(const struct set *s)
{
    return (enum obj_encoding)s->encoding;
}

size_t set_count(const struct set *s)
{
    return s->encoding == ENC_INTSET ? intset_count(s->body) : dict_count(s->body);
}

size_t set_mem_bytes(const struct set *s)
{
    size_t body = s->encoding == ENC_INTSET ? intset_mem_bytes(s->body) : dict_mem_bytes(s->body);
    return mem_class_bytes(sizeof(*s)) + body;
}

/* A dict with all members of s, or NULL. */
static struct dict *members_to_dict(const struct set *s, const struct pace *pace)
{
    struct dict *d = dict_new(false);
    if (!d)
        return NULL;
    struct set_iter it;
    struct slice member;
    set_iter_init(&it, s);
    while (set_iter_next(&it, &member)) {
        if (dict_put(d, member, slice_from(NULL, 0)) == DICT_NO_MEMORY) {
            dict_free(d);
            return NULL;
        }
        pace_step(pace, 1);
    }
    return d;
}

bool set_convert(struct set *s)
{
    if (s->encoding != ENC_INTSET)
        return true;
    struct dict *d = members_to_dict(s, NULL);
    if (!d)
        return false;
    free(s->body);
    s->body = d;
    s->encoding = ENC_HASHTABLE;
    return true;
}

static enum set_result intset_member_add(struct set *s, int64_t value,
                                         const struct type_limits *limits)
{
    uint8_t *is = s->body;
    enum intset_result result = intset_add(&is, value);
    s->body = is;
    if (result != INTSET_CHANGED)
        return result == INTSET_UNCHANGED ? SET_PRESENT : SET_NO_MEMORY;
    /* Without memory for a table it stays compact until the next member. */
    if (set_count(s) > (uint64_t)limits->set_intset_entries)
        (void)!set_convert(s);
    return SET_ADDED;
}

enum set_result set_add(struct set *s, struct slice member, const struct type_limits *limits)
{
    int64_t value;
    if (s->encoding == ENC_INTSET) {
        if (parse_i64(member, &value) && set_count(s) < INTSET_ENTRIES_MAX)
            return intset_member_add(s, value, limits);
        if (!set_convert(s))
            return SET_NO_MEMORY;
    }
    switch (dict_put(s->body, member, slice_from(NULL, 0))) {
    case DICT_ADDED:
        return SET_ADDED;
    case DICT_UPDATED:
        return SET_PRESENT;
    default:
        return SET_NO_MEMORY;
    }
}

bool set_remove(struct set *s, struct slice member)
{
    if (s->encoding != ENC_INTSET)
        return dict_delete(s->body, member);
    int64_t value;
    if (!parse_i64(member, &value))
        return false;
    uint8_t *is = s->body;
    bool removed = intset_remove(&is, value);
    s->body = is;
    return removed;
}

bool set_contains(const struct set *s, struct slice member)
{
    int64_t value;
    if (s->encoding != ENC_INTSET)
        return dict_find(s->body, member, NULL);
    return parse_i64(member, &value) && intset_contains(s->body, value);
}

struct set *set_copy(const struct set *s, const struct pace *pace)
{
    struct set *copy = malloc(sizeof(*copy));
    if (!copy)
        return NULL;
    copy->encoding = s->encoding;
    copy->body =
        s->encoding == ENC_INTSET ? (void *)intset_copy(s->body) : members_to_dict(s, pace);
    if (!copy->body) {
        free(copy);
        return NULL;
    }
    return copy;
}

void set_iter_init(struct set_iter *it, const struct set *s)
{
    it->set = s;
    it->index = 0;
    if (s->encoding != ENC_INTSET)
        dict_iter_init(&it->dict, s->body);
}

bool set_iter_next(struct set_iter *it, struct slice *member)
{
    const struct set *s = it->set;
    if (s->encoding != ENC_INTSET) {
        struct dict_item item;
        if (!dict_iter_next(&it->dict, &item))
            return false;
        *member = item.key;
        return true;
    }
    if (it->index == intset_count(s->body))
        return false;
    *member = slice_from(it->text, format_i64(it->text, intset_at(s->body, it->index++)));
    return true;
}

struct slice set_random(const struct set *s, struct rng *rng, char text[NUMBER_TEXT_SIZE])
{
    if (s->encoding != ENC_INTSET)
        return dict_random(s->body, rng).key;
    uint32_t index = (uint32_t)rng_below(rng, intset_count(s->body));
    return slice_from(text, format_i64(text, intset_at(s->body, index)));
}

uint64_t set_scan(const struct set *s, uint64_t cursor,
                  void (*each)(void *arg, const struct dict_item *item), void *arg)
{
    if (s->encoding != ENC_INTSET)
        return dict_scan(s->body, cursor, each, arg);
    struct set_iter it;
    struct slice member;
    set_iter_init(&it, s);
    while (set_iter_next(&it, &member))
        each(arg, &(struct dict_item){member, slice_from(NULL, 0)});
    return 0;
}

void set_validate(const struct set *s)
{
    if (s->encoding == ENC_INTSET) {
        CHECK(intset_validate(slice_from(s->body, intset_bytes(s->body))));
        return;
    }
    CHECK(s->encoding == ENC_HASHTABLE);
    dict_validate(s->body);
}
