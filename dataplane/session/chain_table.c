#include "chain_table.h"
#include <stdlib.h>
#include "check.h"

#define SIZE_FIRST 16

static void table_resize(struct chain_table *t, uint32_t size)
{
    struct chain_node **buckets = calloc(size, sizeof(*buckets));
    CHECK(buckets);
    for (uint32_t i = 0; i < t->size; i++) {
        while (t->buckets[i]) {
            struct chain_node *node = t->buckets[i];
            t->buckets[i] = node->next;
            node->next = buckets[node->hash & (size - 1)];
            buckets[node->hash & (size - 1)] = node;
        }
    }
    free(t->buckets);
    t->buckets = buckets;
    t->size = size;
}

void chain_table_add(struct chain_table *t, struct chain_node *node)
{
    if (t->count == t->size)
        table_resize(t, t->size ? t->size * 2 : SIZE_FIRST);
    struct chain_node **bucket = &t->buckets[node->hash & (t->size - 1)];
    node->next = *bucket;
    *bucket = node;
    t->count++;
}

void chain_table_remove(struct chain_table *t, struct chain_node *node)
{
    CHECK(t->count > 0);
    struct chain_node **place = &t->buckets[node->hash & (t->size - 1)];
    while (*place != node) {
        CHECK(*place);
        place = &(*place)->next;
    }
    *place = node->next;
    if (--t->count > 0)
        return;
    free(t->buckets);
    *t = (struct chain_table){0};
}
