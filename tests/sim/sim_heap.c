#include "sim_heap.h"
#include <stdbool.h>
#include <stdlib.h>
#include "check.h"

#define CHILDREN 4

static inline bool before(const struct sim_item *a, const struct sim_item *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->sequence < b->sequence;
}

void sim_heap_free(struct sim_heap *heap)
{
    free(heap->items);
    *heap = (struct sim_heap){0};
}

void sim_heap_push(struct sim_heap *heap, struct sim_item item)
{
    if (heap->count == heap->size) {
        heap->size = heap->size ? heap->size * 2 : 256;
        heap->items = realloc(heap->items, heap->size * sizeof(*heap->items));
        CHECK(heap->items);
    }
    item.sequence = ++heap->sequence;
    size_t at = heap->count++;
    while (at > 0 && before(&item, &heap->items[(at - 1) / CHILDREN])) {
        heap->items[at] = heap->items[(at - 1) / CHILDREN];
        at = (at - 1) / CHILDREN;
    }
    heap->items[at] = item;
}

static size_t first_child(const struct sim_heap *heap, size_t at)
{
    size_t child = CHILDREN * at + 1, best = child;
    size_t end = child + CHILDREN < heap->count ? child + CHILDREN : heap->count;
    for (size_t i = child + 1; i < end; i++)
        if (before(&heap->items[i], &heap->items[best]))
            best = i;
    return best;
}

struct sim_item sim_heap_pop(struct sim_heap *heap)
{
    CHECK(heap->count > 0);
    struct sim_item first = heap->items[0], last = heap->items[--heap->count];
    size_t at = 0;
    while (CHILDREN * at + 1 < heap->count) {
        size_t child = first_child(heap, at);
        if (!before(&heap->items[child], &last))
            break;
        heap->items[at] = heap->items[child];
        at = child;
    }
    if (heap->count > 0)
        heap->items[at] = last;
    return first;
}
