/* What the keyspace needs of aggregates (struct object_ops), and the limits that decide their
 * encodings.
 *
 * An object is small and fixed in place; what grows hangs off it. It knows its encoding, and its
 * size in memory without a walk, so a handler measures before and after a change for ks_changed().
 * Objects are read and changed under their slot's lock only, by any lcore: no atomics. */
#pragma once
#include "keyspace.h"
#include "pace.h"

/* Of the configuration: hash-max-listpack-entries, … */
struct type_limits {
    int64_t hash_listpack_entries, hash_listpack_value_bytes;
    int64_t set_intset_entries;
    int list_listpack_size;
};

/* For keyspace_new(): one row per enum obj_type; NULL for strings and for types that do not exist
 * yet. */
extern const struct object_ops *const object_ops[OBJ_TYPES];

/* The same without going through the table, and the encoding. */
size_t object_count(enum obj_type type, const void *object);
size_t object_mem_bytes(enum obj_type type, const void *object);
enum obj_encoding object_encoding(enum obj_type type, const void *object);

/* A copy of an aggregate (COPY); NULL: no memory. It must not change meanwhile. */
void *object_copy(enum obj_type type, const void *object, const struct pace *pace);
/* Frees about budget elements of one that nobody else knows; true: it is gone. */
bool object_free_some(enum obj_type type, void *object, uint32_t budget);
/* Frees one at once, which is for small ones and tests. */
void object_free(enum obj_type type, void *object);
