#include "aggregate.h"
#include <inttypes.h>
#include "check.h"
#include "hash.h"
#include "list.h"
#include "set.h"

static void *object_new(enum obj_type type)
{
    switch (type) {
    case OBJ_HASH:
        return hash_new();
    case OBJ_LIST:
        return list_new();
    default:
        CHECK(type == OBJ_SET);
        return set_new();
    }
}

bool aggregate_find(struct call *c, const struct key *key, enum obj_type type, struct aggregate *a)
{
    *a = (struct aggregate){.key = key, .type = type};
    struct entry *e = ks_find(c->ks, key, 0);
    if (!e)
        return true;
    if (entry_type(e) != type) {
        reply_error(c->reply, REPLY_WRONG_TYPE);
        return false;
    }
    a->object = entry_object(e);
    a->mem_bytes_before = object_mem_bytes(type, a->object);
    return true;
}

bool aggregate_open(struct call *c, const struct key *key, enum obj_type type, struct aggregate *a)
{
    if (!aggregate_find(c, key, type, a))
        return false;
    if (a->object)
        return true;
    a->fresh = true;
    a->object = object_new(type);
    if (!a->object)
        reply_error(c->reply, REPLY_OOM);
    return a->object;
}

bool aggregate_store(struct call *c, const struct key *key, enum obj_type type, void *object)
{
    if (object_count(type, object) == 0) {
        object_free(type, object);
        ks_delete(c->ks, key);
        return true;
    }
    struct entry *e =
        ks_entry_object(c->ks, key, type, object_encoding(type, object), object, EXPIRY_NONE);
    if (!e) {
        call_object_free(c, type, object);
        reply_error(c->reply, REPLY_OOM);
        return false;
    }
    ks_put(c->ks, key, e);
    return true;
}

bool aggregate_close(struct call *c, struct aggregate *a, bool changed)
{
    CHECK(a->object);
    if (a->fresh && object_count(a->type, a->object) == 0) {
        object_free(a->type, a->object);
        return true;
    }
    if (a->fresh)
        return aggregate_store(c, a->key, a->type, a->object);
    if (!changed)
        return true;
    if (object_count(a->type, a->object) == 0) {
        ks_delete(c->ks, a->key);
        return true;
    }
    int64_t delta = (int64_t)object_mem_bytes(a->type, a->object) - (int64_t)a->mem_bytes_before;
    ks_changed(c->ks, a->key, object_encoding(a->type, a->object), delta);
    return true;
}

void call_object_free(struct call *c, enum obj_type type, void *object)
{
    while (!object_free_some(type, object, WORK_PIECE))
        call_pace(c, WORK_PIECE);
}

static void pacer_step(void *arg, uint32_t cost)
{
    call_pace(arg, cost);
}

struct pace call_pacer(struct call *c)
{
    return (struct pace){pacer_step, c};
}

struct type_limits call_type_limits(const struct call *c)
{
    const struct config *config = c->worker->config;
    return (struct type_limits){
        .hash_listpack_entries = config->hash_max_listpack_entries,
        .hash_listpack_value_bytes = config->hash_max_listpack_value,
        .set_intset_entries = config->set_max_intset_entries,
        .list_listpack_size = (int)config->list_max_listpack_size,
    };
}

bool arg_i64(struct call *c, struct slice text, int64_t *out)
{
    if (parse_i64(text, out))
        return true;
    reply_error(c->reply, REPLY_NOT_INTEGER);
    return false;
}

bool arg_range(struct call *c, struct slice text, int64_t min, int64_t max, const char *error,
               int64_t *out)
{
    bool number = parse_i64(text, out);
    if (number && *out >= min && *out <= max)
        return true;
    if (error)
        reply_error(c->reply, error);
    else if (!number)
        reply_error(c->reply, REPLY_NOT_INTEGER);
    else
        reply_errorf(c->reply,
                     "ERR value is out of range, value must between %" PRId64 " and %" PRId64, min,
                     max);
    return false;
}

bool arg_count(struct call *c, struct slice text, uint64_t *out)
{
    int64_t value;
    if (!arg_range(c, text, 0, INT64_MAX, "ERR value is out of range, must be positive", &value))
        return false;
    *out = (uint64_t)value;
    return true;
}
