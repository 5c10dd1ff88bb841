/* HSCAN and SSCAN (ZSCAN later): what they have in common. */
#pragma once
#include "aggregate.h"
#include "dict.h"

/* One call of an object's scan function: hash_scan, set_scan. */
typedef uint64_t (*scan_step)(const void *object, uint64_t cursor,
                              void (*each)(void *arg, const struct dict_item *item), void *arg);

/* The whole command: key, cursor, options, reply. with_values: elements are pairs. */
void scan_elements(struct call *c, enum obj_type type, scan_step step, bool with_values);
