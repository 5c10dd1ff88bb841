#include "list.h"
#include <stdlib.h>
#include "check.h"
#include "mem.h"

struct list *list_new(void)
{
    struct list *l = malloc(sizeof(*l));
    if (l)
        quicklist_init(&l->elements);
    return l;
}

bool list_free_some(struct list *l, uint32_t budget)
{
    if (!quicklist_clear_some(&l->elements, budget))
        return false;
    free(l);
    return true;
}

void list_free(struct list *l)
{
    CHECK(list_free_some(l, UINT32_MAX));
}

size_t list_count(const struct list *l)
{
    return l->elements.count;
}

size_t list_node_count(const struct list *l)
{
    return l->elements.node_count;
}

size_t list_mem_bytes(const struct list *l)
{
    return mem_class_bytes(sizeof(*l)) + l->elements.mem_bytes;
}

struct list *list_copy(const struct list *l, const struct pace *pace)
{
    struct list *copy = list_new();
    if (copy && !quicklist_copy(&l->elements, &copy->elements, pace)) {
        list_free(copy);
        return NULL;
    }
    return copy;
}
