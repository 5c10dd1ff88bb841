#include "rdb_value.h"
#include <stdlib.h>
#include "check.h"
#include "hash.h"
#include "intset.h"
#include "list.h"
#include "rdb_format.h"
#include "set.h"

/* What an element costs beside its bytes, in terms of the reader's budget. */
#define ELEMENT_COST 128
/* A listpack up to this size becomes a hash or the node of a list as it is, after one look; a
 * larger one is taken apart in steps. (What Redis writes with its default limits is smaller.) */
#define ADOPT_BYTES_MAX 65536

/* What the types of objects need. pairs: two strings make an element. */
struct rdb_object {
    void *(*new)(void);
    enum rdb_result (*add)(struct rdb_decoder *d, struct slice a, struct slice b);
    /* The table that it will need in the end, when count elements are announced. False: no
     * memory. */
    bool (*expect)(struct rdb_decoder *d, uint64_t count);
    bool pairs;
};

/* How a type is read. */
struct rdb_row {
    const char *what;
    enum rdb_result (*read)(struct rdb_decoder *d, struct rdb_reader *r);
    enum obj_type type;
    enum rdb_walk_kind walk; /* of its compact container */
};

/* ---- objects ---- */

static void *new_list(void)
{
    return list_new();
}

static void *new_set(void)
{
    return set_new();
}

static void *new_hash(void)
{
    return hash_new();
}

static enum rdb_result add_to_list(struct rdb_decoder *d, struct slice a, struct slice b)
{
    struct list *l = d->object;
    bool done = quicklist_push(&l->elements, a, false, d->limits.list_listpack_size);
    return done ? RDB_DONE : RDB_NO_MEMORY;
}

static enum rdb_result add_to_set(struct rdb_decoder *d, struct slice a, struct slice b)
{
    switch (set_add(d->object, a, &d->limits)) {
    case SET_ADDED:
        return RDB_DONE;
    case SET_PRESENT:
        return RDB_INVALID;
    default:
        return RDB_NO_MEMORY;
    }
}

static enum rdb_result add_to_hash(struct rdb_decoder *d, struct slice a, struct slice b)
{
    switch (hash_set(d->object, a, b, &d->limits)) {
    case HASH_ADDED:
        return RDB_DONE;
    case HASH_UPDATED:
        return RDB_INVALID;
    default:
        return RDB_NO_MEMORY;
    }
}

static bool expect_nothing(struct rdb_decoder *d, uint64_t count)
{
    return true;
}

static bool expect_members(struct rdb_decoder *d, uint64_t count)
{
    return count <= (uint64_t)d->limits.set_intset_entries || set_convert(d->object);
}

static bool expect_pairs(struct rdb_decoder *d, uint64_t count)
{
    return count <= (uint64_t)d->limits.hash_listpack_entries || hash_convert(d->object);
}

static const struct rdb_object objects[OBJ_TYPES] = {
    [OBJ_LIST] = {new_list, add_to_list, expect_nothing, false},
    [OBJ_SET] = {new_set, add_to_set, expect_members, false},
    [OBJ_HASH] = {new_hash, add_to_hash, expect_pairs, true},
};

/* A field is searched for in the whole listpack while a hash is one. */
static int64_t element_cost(const struct rdb_decoder *d)
{
    if (d->row->type != OBJ_HASH || hash_encoding(d->object) != ENC_LISTPACK)
        return ELEMENT_COST;
    return ELEMENT_COST + 4 * (int64_t)hash_count(d->object);
}

static enum rdb_result element_add(struct rdb_decoder *d, struct rdb_reader *r, struct slice a,
                                   struct slice b)
{
    r->budget -= element_cost(d);
    return objects[d->row->type].add(d, a, b);
}

/* The empty object that is filled; once. */
static enum rdb_result object_start(struct rdb_decoder *d)
{
    if (!d->object)
        d->object = objects[d->row->type].new();
    return d->object ? RDB_DONE : RDB_NO_MEMORY;
}

/* ---- strings ---- */

static enum rdb_result read_long(struct rdb_decoder *d, struct rdb_reader *r)
{
    for (;;) {
        struct slice part;
        enum rdb_result result = rdb_read_string_part(r, &d->first, &part);
        if (result != RDB_DONE || part.len == 0)
            return result;
        struct bigstr *grown =
            d->big ? bigstr_write(d->big, bigstr_len(d->big), part) : bigstr_new(part);
        if (!grown)
            return RDB_NO_MEMORY;
        if (d->big)
            bigstr_put(d->big);
        d->big = grown;
    }
}

static enum rdb_result read_string(struct rdb_decoder *d, struct rdb_reader *r)
{
    if (!d->counted) {
        enum rdb_result result = rdb_read_string_begin(r, &d->first);
        if (result != RDB_DONE)
            return result;
        d->counted = true;
        d->is_long = d->first.len > ENTRY_EMBED_MAX;
    }
    return d->is_long ? read_long(d, r) : rdb_read_string(r, &d->first, &d->text);
}

/* ---- a count, then elements ---- */

/* A value without elements does not exist. */
static enum rdb_result read_count(struct rdb_decoder *d, struct rdb_reader *r)
{
    if (d->counted)
        return RDB_DONE;
    enum rdb_result result = rdb_read_length(r, &d->left);
    if (result == RDB_DONE && d->left == 0)
        result = RDB_INVALID;
    if (result == RDB_DONE)
        result = object_start(d);
    d->counted = result == RDB_DONE;
    return result;
}

/* One string, or two of which the first may have to wait for the second. */
static enum rdb_result read_element(struct rdb_decoder *d, struct rdb_reader *r, struct slice *a,
                                    struct slice *b)
{
    if (!objects[d->row->type].pairs)
        return rdb_read_string(r, &d->first, a);
    enum rdb_result result = RDB_DONE;
    if (!d->has_field)
        result = rdb_read_string(r, &d->first, &d->field);
    if (result != RDB_DONE)
        return result;
    result = rdb_read_string(r, &d->second, b);
    d->has_field = result == RDB_MORE || result == RDB_PAUSE;
    if (d->has_field && !rdb_string_keep(&d->first, &d->field))
        return RDB_NO_MEMORY;
    *a = d->field;
    return result;
}

static enum rdb_result read_counted(struct rdb_decoder *d, struct rdb_reader *r)
{
    bool begins = !d->counted;
    enum rdb_result result = read_count(d, r);
    if (begins && result == RDB_DONE && !objects[d->row->type].expect(d, d->left))
        result = RDB_NO_MEMORY;
    while (result == RDB_DONE && d->left > 0) {
        struct slice a, b = {NULL, 0};
        if (r->budget <= 0)
            return RDB_PAUSE;
        result = read_element(d, r, &a, &b);
        if (result == RDB_DONE)
            result = element_add(d, r, a, b);
        d->left -= result == RDB_DONE;
    }
    return result;
}

/* ---- compact containers ---- */

static void blob_free(struct rdb_decoder *d)
{
    free(d->blob);
    d->blob = NULL;
}

static enum rdb_result walk_result(enum rdb_walk_result result)
{
    return result == RDB_WALK_INVALID ? RDB_INVALID : RDB_DONE;
}

/* The next element of the walk, or both strings of a pair. */
static enum rdb_result walk_element(struct rdb_decoder *d, struct rdb_reader *r, bool *end)
{
    char text_a[NUMBER_TEXT_SIZE], text_b[NUMBER_TEXT_SIZE];
    struct slice a, b = {NULL, 0};
    enum rdb_walk_result found = rdb_walk_next(&d->walk, &a, text_a);
    *end = found == RDB_WALK_END;
    if (found != RDB_WALK_ELEMENT)
        return walk_result(found);
    if (objects[d->row->type].pairs && rdb_walk_next(&d->walk, &b, text_b) != RDB_WALK_ELEMENT)
        return RDB_INVALID;
    if (!d->adopt)
        return element_add(d, r, a, b);
    r->budget -= ELEMENT_COST / 8; /* only looked at */
    return RDB_DONE;
}

/* All of blob into the object. */
static enum rdb_result walk_blob(struct rdb_decoder *d, struct rdb_reader *r)
{
    for (bool end = false; !end;) {
        if (r->budget <= 0)
            return RDB_PAUSE;
        enum rdb_result result = walk_element(d, r, &end);
        if (result != RDB_DONE)
            return result;
    }
    return RDB_DONE;
}

/* blob is valid and becomes the object as it is. */
static enum rdb_result blob_adopt(struct rdb_decoder *d)
{
    if (d->row->type == OBJ_SET)
        d->object = set_from_intset(d->blob);
    else
        d->object = hash_from_listpack(d->blob);
    if (!d->object)
        return RDB_NO_MEMORY;
    d->blob = NULL;
    return RDB_DONE;
}

/* An intset or a listpack of pairs that is small enough is kept as it is. Its count is the one that
 * it gives itself. */
static bool blob_may_stay(const struct rdb_decoder *d, size_t len)
{
    if (d->row->walk == RDB_WALK_INTSET)
        return intset_count(d->blob) <= (uint64_t)d->limits.set_intset_entries;
    if (d->row->type != OBJ_HASH || d->row->walk != RDB_WALK_LISTPACK || len > ADOPT_BYTES_MAX)
        return false;
    unsigned count = d->blob[4] | (unsigned)d->blob[5] << 8;
    return count < UINT16_MAX && count / 2 <= (uint64_t)d->limits.hash_listpack_entries;
}

/* Formats that others wrote by limits of their own: which encoding it becomes is seen on the way.
 */
static bool is_foreign(const struct rdb_row *row)
{
    return row->walk == RDB_WALK_ZIPLIST || row->walk == RDB_WALK_ZIPMAP ||
           (row->type == OBJ_SET && row->walk == RDB_WALK_LISTPACK);
}

/* After the head of blob has turned out right. A hash that stays is looked at whole, at once, since
 * no field may be there twice; *done: nothing is left to do. */
static enum rdb_result blob_start(struct rdb_decoder *d, size_t len, bool *done)
{
    d->adopt = blob_may_stay(d, len);
    *done = d->adopt && d->row->type == OBJ_HASH;
    if (*done)
        return hash_listpack_validate(slice_from(d->blob, len)) ? blob_adopt(d) : RDB_INVALID;
    if (d->adopt)
        return RDB_DONE;
    enum rdb_result result = object_start(d);
    if (result == RDB_DONE && !is_foreign(d->row) && !objects[d->row->type].expect(d, UINT64_MAX))
        return RDB_NO_MEMORY;
    return result;
}

static enum rdb_result read_compact(struct rdb_decoder *d, struct rdb_reader *r)
{
    enum rdb_result result = RDB_DONE;
    bool done = false;
    if (!d->counted) {
        size_t len;
        result = rdb_read_block(r, &d->first, &d->blob, &len);
        if (result == RDB_DONE && !rdb_walk_init(&d->walk, d->row->walk, slice_from(d->blob, len)))
            result = RDB_INVALID;
        if (result == RDB_DONE)
            result = blob_start(d, len, &done);
        d->counted = result == RDB_DONE;
    }
    if (done || result != RDB_DONE)
        return result;
    result = walk_blob(d, r);
    if (result != RDB_DONE)
        return result;
    if (d->walk.count == 0)
        return RDB_INVALID;
    if (d->adopt)
        return blob_adopt(d);
    blob_free(d);
    return RDB_DONE;
}

/* ---- quicklists ---- */

static enum rdb_result read_plain_node(struct rdb_decoder *d, struct rdb_reader *r)
{
    struct slice value;
    enum rdb_result result = rdb_read_string(r, &d->first, &value);
    if (result != RDB_DONE)
        return result;
    return value.len > 0 ? element_add(d, r, value, slice_from(NULL, 0)) : RDB_INVALID;
}

/* A listpack that was read: as a node of its own, unless it is empty. */
static enum rdb_result node_adopt(struct rdb_decoder *d, struct rdb_reader *r, size_t len)
{
    size_t count;
    struct list *l = d->object;
    if (!listpack_validate(slice_from(d->blob, len), &count))
        return RDB_INVALID;
    r->budget -= (int64_t)(len + ELEMENT_COST);
    if (count == 0) {
        blob_free(d);
        return RDB_DONE;
    }
    if (!quicklist_append_listpack(&l->elements, d->blob))
        return RDB_NO_MEMORY;
    d->blob = NULL;
    return RDB_DONE;
}

/* Empty nodes, which old versions wrote, are passed over. */
static enum rdb_result read_packed_node(struct rdb_decoder *d, struct rdb_reader *r)
{
    enum rdb_result result = RDB_DONE;
    if (!d->blob) {
        size_t len;
        result = rdb_read_block(r, &d->first, &d->blob, &len);
        if (result != RDB_DONE)
            return result;
        if (d->row->walk == RDB_WALK_LISTPACK && len <= ADOPT_BYTES_MAX)
            return node_adopt(d, r, len);
        if (!rdb_walk_init(&d->walk, d->row->walk, slice_from(d->blob, len)))
            return RDB_INVALID;
    }
    result = walk_blob(d, r);
    if (result == RDB_DONE)
        blob_free(d);
    return result;
}

static enum rdb_result read_node(struct rdb_decoder *d, struct rdb_reader *r)
{
    if (d->row->walk == RDB_WALK_LISTPACK && !d->has_container) {
        enum rdb_result result = rdb_read_length(r, &d->container);
        if (result != RDB_DONE)
            return result;
        if (d->container != RDB_CONTAINER_PLAIN && d->container != RDB_CONTAINER_PACKED)
            return RDB_INVALID;
        d->has_container = true;
    }
    bool plain = d->has_container && d->container == RDB_CONTAINER_PLAIN;
    return plain ? read_plain_node(d, r) : read_packed_node(d, r);
}

static enum rdb_result read_quicklist(struct rdb_decoder *d, struct rdb_reader *r)
{
    enum rdb_result result = read_count(d, r);
    while (result == RDB_DONE && d->left > 0) {
        if (r->budget <= 0)
            return RDB_PAUSE;
        result = read_node(d, r);
        if (result == RDB_DONE) {
            d->has_container = false;
            d->left--;
        }
    }
    if (result == RDB_DONE && list_count(d->object) == 0)
        return RDB_INVALID;
    return result;
}

/* ---- the table ---- */

static enum rdb_result read_unsupported(struct rdb_decoder *d, struct rdb_reader *r)
{
    return RDB_UNSUPPORTED;
}

static const struct rdb_row rows[RDB_TYPES] = {
    [RDB_STRING] = {"a string", read_string, OBJ_STRING, 0},
    [RDB_LIST] = {"a list", read_counted, OBJ_LIST, 0},
    [RDB_SET] = {"a set", read_counted, OBJ_SET, 0},
    [RDB_ZSET] = {"a sorted set", read_unsupported, OBJ_ZSET, 0},
    [RDB_HASH] = {"a hash", read_counted, OBJ_HASH, 0},
    [RDB_ZSET_2] = {"a sorted set", read_unsupported, OBJ_ZSET, 0},
    [RDB_MODULE] = {"a module's value", read_unsupported, OBJ_MODULE, 0},
    [RDB_MODULE_2] = {"a module's value", read_unsupported, OBJ_MODULE, 0},
    [RDB_HASH_ZIPMAP] = {"a hash as a zipmap", read_compact, OBJ_HASH, RDB_WALK_ZIPMAP},
    [RDB_LIST_ZIPLIST] = {"a list as a ziplist", read_compact, OBJ_LIST, RDB_WALK_ZIPLIST},
    [RDB_SET_INTSET] = {"a set as an intset", read_compact, OBJ_SET, RDB_WALK_INTSET},
    [RDB_ZSET_ZIPLIST] = {"a sorted set", read_unsupported, OBJ_ZSET, 0},
    [RDB_HASH_ZIPLIST] = {"a hash as a ziplist", read_compact, OBJ_HASH, RDB_WALK_ZIPLIST},
    [RDB_LIST_QUICKLIST] = {"a list of ziplists", read_quicklist, OBJ_LIST, RDB_WALK_ZIPLIST},
    [RDB_STREAM_LISTPACKS] = {"a stream", read_unsupported, OBJ_STREAM, 0},
    [RDB_HASH_LISTPACK] = {"a hash as a listpack", read_compact, OBJ_HASH, RDB_WALK_LISTPACK},
    [RDB_ZSET_LISTPACK] = {"a sorted set", read_unsupported, OBJ_ZSET, 0},
    [RDB_LIST_QUICKLIST_2] = {"a list of listpacks", read_quicklist, OBJ_LIST, RDB_WALK_LISTPACK},
    [RDB_STREAM_LISTPACKS_2] = {"a stream", read_unsupported, OBJ_STREAM, 0},
    [RDB_SET_LISTPACK] = {"a set as a listpack", read_compact, OBJ_SET, RDB_WALK_LISTPACK},
    [RDB_STREAM_LISTPACKS_3] = {"a stream", read_unsupported, OBJ_STREAM, 0},
};

static enum rdb_result read_unknown(struct rdb_decoder *d, struct rdb_reader *r)
{
    return RDB_INVALID;
}

static const struct rdb_row unknown = {"an unknown type", read_unknown, OBJ_STRING, 0};

void rdb_decoder_init(struct rdb_decoder *d, uint8_t type, const struct type_limits *limits)
{
    *d = (struct rdb_decoder){.limits = *limits};
    d->row = type < RDB_TYPES && rows[type].read ? &rows[type] : &unknown;
}

enum rdb_result rdb_decoder_step(struct rdb_decoder *d, struct rdb_reader *r)
{
    return d->row->read(d, r);
}

void rdb_decoder_take(struct rdb_decoder *d, struct rdb_value *v)
{
    *v = (struct rdb_value){
        .type = d->row->type, .text = d->text, .big = d->big, .object = d->object};
    d->big = NULL;
    d->object = NULL;
}

void rdb_decoder_fini(struct rdb_decoder *d)
{
    rdb_string_fini(&d->first);
    rdb_string_fini(&d->second);
    blob_free(d);
    if (d->big)
        bigstr_put(d->big);
    if (d->object)
        object_free(d->row->type, d->object);
    d->big = NULL;
    d->object = NULL;
}

const char *rdb_decoder_what(const struct rdb_decoder *d)
{
    return d->row->what;
}
