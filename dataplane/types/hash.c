#include "hash.h"
#include <stdlib.h>
#include "check.h"
#include "listpack.h"

struct hash *hash_from_listpack(uint8_t *lp)
{
    struct hash *h = malloc(sizeof(*h));
    if (!h)
        return NULL;
    h->body = lp;
    h->encoding = ENC_LISTPACK;
    return h;
}

struct hash *hash_new(void)
{
    uint8_t *lp = listpack_new();
    struct hash *h = lp ? hash_from_listpack(lp) : NULL;
    if (!h)
        free(lp);
    return h;
}

bool hash_free_some(struct hash *h, uint32_t budget)
{
    if (h->encoding == ENC_LISTPACK)
        free(h->body);
    else if (!dict_free_some(h->body, budget))
        return false;
    free(h);
    return true;
}

void hash_free(struct hash *h)
{
    CHECK(hash_free_some(h, UINT32_MAX));
}

enum obj_encoding hash_encoding(const struct hash *h)
{
    return (enum obj_encoding)h->encoding;
}

size_t hash_count(const struct hash *h)
{
    return h->encoding == ENC_LISTPACK ? listpack_count(h->body) / 2 : dict_count(h->body);
}

size_t hash_mem_bytes(const struct hash *h)
{
    size_t body =
        h->encoding == ENC_LISTPACK ? listpack_mem_bytes(h->body) : dict_mem_bytes(h->body);
    return mem_class_bytes(sizeof(*h)) + body;
}

/* A dict with all pairs of h, or NULL. */
static struct dict *pairs_to_dict(const struct hash *h, const struct pace *pace)
{
    struct dict *d = dict_new(true);
    if (!d)
        return NULL;
    struct hash_iter it;
    struct hash_item item;
    hash_iter_init(&it, h);
    while (hash_iter_next(&it, &item)) {
        if (dict_put(d, item.field, item.value) == DICT_NO_MEMORY) {
            dict_free(d);
            return NULL;
        }
        pace_step(pace, 1);
    }
    return d;
}

bool hash_convert(struct hash *h)
{
    if (h->encoding != ENC_LISTPACK)
        return true;
    struct dict *d = pairs_to_dict(h, NULL);
    if (!d)
        return false;
    free(h->body);
    h->body = d;
    h->encoding = ENC_HASHTABLE;
    return true;
}

struct hash *hash_copy(const struct hash *h, const struct pace *pace)
{
    struct hash *copy = malloc(sizeof(*copy));
    if (!copy)
        return NULL;
    copy->encoding = h->encoding;
    copy->body =
        h->encoding == ENC_LISTPACK ? (void *)listpack_copy(h->body) : pairs_to_dict(h, pace);
    if (!copy->body) {
        free(copy);
        return NULL;
    }
    return copy;
}

/* The field's element, or NULL. */
static const uint8_t *pair_find(const uint8_t *lp, struct slice field)
{
    struct listpack_needle needle = listpack_needle(field);
    return listpack_find(listpack_first(lp), &needle, 1);
}

static enum hash_result pair_append(uint8_t **lp, struct slice field, struct slice value)
{
    if (!listpack_append(lp, field))
        return HASH_NO_MEMORY;
    if (!listpack_append(lp, value)) {
        listpack_delete(lp, listpack_last(*lp), 1);
        return HASH_NO_MEMORY;
    }
    return HASH_ADDED;
}

static enum hash_result pair_set(uint8_t **lp, struct slice field, struct slice value)
{
    const uint8_t *p = pair_find(*lp, field);
    if (!p)
        return pair_append(lp, field, value);
    return listpack_replace(lp, listpack_next(p), value) ? HASH_UPDATED : HASH_NO_MEMORY;
}

static bool pair_fits(const struct hash *h, struct slice field, struct slice value,
                      const struct type_limits *limits)
{
    uint64_t max = (uint64_t)limits->hash_listpack_value_bytes;
    if (field.len > max || value.len > max)
        return false;
    return listpack_fits(h->body, listpack_entry_bytes(field) + listpack_entry_bytes(value));
}

enum hash_result hash_set(struct hash *h, struct slice field, struct slice value,
                          const struct type_limits *limits)
{
    if (h->encoding == ENC_LISTPACK && !pair_fits(h, field, value, limits) && !hash_convert(h))
        return HASH_NO_MEMORY;
    if (h->encoding == ENC_LISTPACK) {
        uint8_t *lp = h->body;
        enum hash_result result = pair_set(&lp, field, value);
        h->body = lp;
        /* Without memory for a table it stays compact until the next field. */
        if (result == HASH_ADDED && hash_count(h) > (uint64_t)limits->hash_listpack_entries)
            (void)!hash_convert(h);
        return result;
    }
    switch (dict_put(h->body, field, value)) {
    case DICT_ADDED:
        return HASH_ADDED;
    case DICT_UPDATED:
        return HASH_UPDATED;
    default:
        return HASH_NO_MEMORY;
    }
}

bool hash_get(const struct hash *h, struct slice field, struct slice *value,
              char text[NUMBER_TEXT_SIZE])
{
    if (h->encoding != ENC_LISTPACK) {
        struct dict_item item;
        if (!dict_find(h->body, field, &item))
            return false;
        *value = item.value;
        return true;
    }
    const uint8_t *p = pair_find(h->body, field);
    if (!p)
        return false;
    *value = listpack_get(listpack_next(p), text);
    return true;
}

bool hash_delete(struct hash *h, struct slice field)
{
    if (h->encoding != ENC_LISTPACK)
        return dict_delete(h->body, field);
    uint8_t *lp = h->body;
    const uint8_t *p = pair_find(lp, field);
    if (!p)
        return false;
    listpack_delete(&lp, p, 2);
    h->body = lp;
    return true;
}

void hash_iter_init(struct hash_iter *it, const struct hash *h)
{
    it->hash = h;
    if (h->encoding == ENC_LISTPACK)
        it->p = listpack_first(h->body);
    else
        dict_iter_init(&it->dict, h->body);
}

/* Reads the pair at p; the element after it. */
static const uint8_t *pair_read(const uint8_t *p, struct hash_item *item)
{
    item->field = listpack_get(p, item->field_text);
    p = listpack_next(p);
    item->value = listpack_get(p, item->value_text);
    return listpack_next(p);
}

bool hash_iter_next(struct hash_iter *it, struct hash_item *item)
{
    if (it->hash->encoding != ENC_LISTPACK) {
        struct dict_item pair;
        if (!dict_iter_next(&it->dict, &pair))
            return false;
        item->field = pair.key;
        item->value = pair.value;
        return true;
    }
    if (!it->p)
        return false;
    it->p = pair_read(it->p, item);
    return true;
}

void hash_random(const struct hash *h, struct rng *rng, struct hash_item *item)
{
    if (h->encoding != ENC_LISTPACK) {
        struct dict_item pair = dict_random(h->body, rng);
        item->field = pair.key;
        item->value = pair.value;
        return;
    }
    uint64_t index = rng_below(rng, hash_count(h));
    pair_read(listpack_seek(h->body, (int64_t)index * 2), item);
}

uint64_t hash_scan(const struct hash *h, uint64_t cursor,
                   void (*each)(void *arg, const struct dict_item *item), void *arg)
{
    if (h->encoding != ENC_LISTPACK)
        return dict_scan(h->body, cursor, each, arg);
    struct hash_iter it;
    struct hash_item item;
    hash_iter_init(&it, h);
    while (hash_iter_next(&it, &item))
        each(arg, &(struct dict_item){item.field, item.value});
    return 0;
}

bool hash_listpack_validate(struct slice blob)
{
    size_t count;
    if (!listpack_validate(blob, &count) || count == 0 || count % 2 != 0)
        return false;
    struct dict *seen = dict_new(false);
    if (!seen)
        return false;
    bool distinct = true;
    char text[NUMBER_TEXT_SIZE];
    const uint8_t *p = listpack_first(blob.data);
    while (p && distinct) {
        distinct = dict_put(seen, listpack_get(p, text), slice_from(NULL, 0)) == DICT_ADDED;
        p = listpack_next(listpack_next(p));
    }
    dict_free(seen);
    return distinct;
}

void hash_validate(const struct hash *h)
{
    if (h->encoding != ENC_LISTPACK) {
        CHECK(h->encoding == ENC_HASHTABLE);
        dict_validate(h->body);
        return;
    }
    struct slice blob = slice_from(h->body, listpack_bytes(h->body));
    CHECK(hash_count(h) == 0 || hash_listpack_validate(blob));
}
