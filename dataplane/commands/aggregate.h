/* How handlers get at the aggregate under a key and put it back: shared by the families of
 * aggregates.
 *
 * The key's slot is locked by dispatch or EXEC for the whole of the handler. */
#pragma once
#include "command.h"
#include "object.h"
#include "work.h"

struct aggregate {
    const struct key *key;
    void *object; /* NULL: the key is absent */
    enum obj_type type;
    bool fresh; /* made by aggregate_open(), not stored yet */
    size_t mem_bytes_before;
};

/* Looks key up. False: it holds another type, which was replied. */
bool aggregate_find(struct call *c, const struct key *key, enum obj_type type, struct aggregate *a);
/* The same, with an empty object when the key is absent: it is stored by aggregate_close(). False
 * also when memory is short. */
bool aggregate_open(struct call *c, const struct key *key, enum obj_type type, struct aggregate *a);
/* Once after aggregate_open(), or aggregate_find() of a key that was found: stores a fresh object,
 * deletes the key when the object has become empty, else accounts the change. changed false:
 * nothing happened to it. False: a fresh object could not be stored, which was replied. */
bool aggregate_close(struct call *c, struct aggregate *a, bool changed);
/* Stores object under key, whatever was there, without expiry; an empty one deletes the key. Takes
 * it over. False: it could not be stored, which was replied. */
bool aggregate_store(struct call *c, const struct key *key, enum obj_type type, void *object);

/* Frees an object that nobody else knows, in pieces where the call runs in pieces. */
void call_object_free(struct call *c, enum obj_type type, void *object);
/* call_pace() for what types/ does at length. */
struct pace call_pacer(struct call *c);

/* The limits of the configuration in force. */
struct type_limits call_type_limits(const struct call *c);

/* Numbers among the arguments; false: an error was replied: Redis' usual one, or error for whatever
 * is wrong where it is not NULL. */
bool arg_i64(struct call *c, struct slice text, int64_t *out);
bool arg_range(struct call *c, struct slice text, int64_t min, int64_t max, const char *error,
               int64_t *out);
/* A count of elements to take: 0 … INT64_MAX. */
bool arg_count(struct call *c, struct slice text, uint64_t *out);
