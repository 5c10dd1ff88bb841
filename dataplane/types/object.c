#include "object.h"
#include "check.h"
#include "hash.h"
#include "list.h"
#include "set.h"

static bool hash_op_free_some(void *object, enum obj_encoding enc, uint32_t budget)
{
    return hash_free_some(object, budget);
}

static size_t hash_op_mem_bytes(const void *object, enum obj_encoding enc, uint32_t samples)
{
    return hash_mem_bytes(object);
}

static size_t hash_op_count(const void *object, enum obj_encoding enc)
{
    return hash_count(object);
}

static bool list_op_free_some(void *object, enum obj_encoding enc, uint32_t budget)
{
    return list_free_some(object, budget);
}

static size_t list_op_mem_bytes(const void *object, enum obj_encoding enc, uint32_t samples)
{
    return list_mem_bytes(object);
}

/* Lists are freed node by node, so that is what counts as large. */
static size_t list_op_count(const void *object, enum obj_encoding enc)
{
    return list_node_count(object);
}

static bool set_op_free_some(void *object, enum obj_encoding enc, uint32_t budget)
{
    return set_free_some(object, budget);
}

static size_t set_op_mem_bytes(const void *object, enum obj_encoding enc, uint32_t samples)
{
    return set_mem_bytes(object);
}

static size_t set_op_count(const void *object, enum obj_encoding enc)
{
    return set_count(object);
}

static const struct object_ops hash_ops = {hash_op_free_some, hash_op_mem_bytes, hash_op_count};
static const struct object_ops list_ops = {list_op_free_some, list_op_mem_bytes, list_op_count};
static const struct object_ops set_ops = {set_op_free_some, set_op_mem_bytes, set_op_count};

const struct object_ops *const object_ops[OBJ_TYPES] = {
    [OBJ_HASH] = &hash_ops,
    [OBJ_LIST] = &list_ops,
    [OBJ_SET] = &set_ops,
};

size_t object_count(enum obj_type type, const void *object)
{
    switch (type) {
    case OBJ_HASH:
        return hash_count(object);
    case OBJ_LIST:
        return list_count(object);
    default:
        CHECK(type == OBJ_SET);
        return set_count(object);
    }
}

size_t object_mem_bytes(enum obj_type type, const void *object)
{
    switch (type) {
    case OBJ_HASH:
        return hash_mem_bytes(object);
    case OBJ_LIST:
        return list_mem_bytes(object);
    default:
        CHECK(type == OBJ_SET);
        return set_mem_bytes(object);
    }
}

enum obj_encoding object_encoding(enum obj_type type, const void *object)
{
    switch (type) {
    case OBJ_HASH:
        return hash_encoding(object);
    case OBJ_LIST:
        return ENC_QUICKLIST;
    default:
        CHECK(type == OBJ_SET);
        return set_encoding(object);
    }
}

void *object_copy(enum obj_type type, const void *object, const struct pace *pace)
{
    switch (type) {
    case OBJ_HASH:
        return hash_copy(object, pace);
    case OBJ_LIST:
        return list_copy(object, pace);
    default:
        CHECK(type == OBJ_SET);
        return set_copy(object, pace);
    }
}

bool object_free_some(enum obj_type type, void *object, uint32_t budget)
{
    CHECK(object_ops[type]);
    return object_ops[type]->free_some(object, ENC_RAW, budget);
}

void object_free(enum obj_type type, void *object)
{
    CHECK(object_free_some(type, object, UINT32_MAX));
}
