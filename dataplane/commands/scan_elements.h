/* HSCAN and SSCAN (ZSCAN later): what they have in common, also with SCAN. */
#pragma once
#include "aggregate.h"
#include "dict.h"

/* One call of an object's scan function: hash_scan, set_scan. */
typedef uint64_t (*scan_step)(const void *object, uint64_t cursor,
                              void (*each)(void *arg, const struct dict_item *item), void *arg);

/* A cursor as strtoul() reads it, which is what Redis takes: a sign and leading zeros are fine,
 * blanks are not. */
bool scan_cursor_parse(struct slice text, uint64_t *cursor);
/* The whole command: key, cursor, options, reply. with_values: elements are pairs. */
void scan_elements(struct call *c, enum obj_type type, scan_step step, bool with_values);
