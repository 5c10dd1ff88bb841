/* A list: a quicklist, whatever its size (Redis 7.0).
 *
 * Owner: whoever holds the key's lock. */
#pragma once
#include "object.h"
#include "quicklist.h"

struct list {
    struct quicklist elements;
};

/* NULL: no memory. */
struct list *list_new(void);
void list_free(struct list *l);
bool list_free_some(struct list *l, uint32_t budget);

size_t list_count(const struct list *l);
size_t list_node_count(const struct list *l);
size_t list_mem_bytes(const struct list *l);
/* A copy; NULL: no memory. */
struct list *list_copy(const struct list *l, const struct pace *pace);
