/* A growing hash table of intrusive nodes, for one owner: subscriptions and the like. Doubles when
 * it is full; never shrinks below its use until it is empty, then it holds no memory. */
#pragma once
#include <stdint.h>

struct chain_node {
    struct chain_node *next;
    uint64_t hash;
};

struct chain_table {
    struct chain_node **buckets;
    uint32_t size; /* a power of two, 0: no memory yet */
    uint32_t count;
};

/* node->hash is set by the caller and spread over all bits. */
void chain_table_add(struct chain_table *t, struct chain_node *node);
/* node must be in the table. */
void chain_table_remove(struct chain_table *t, struct chain_node *node);

/* Walks what may have this hash: for (n = chain_first(t, h); n; n = chain_next(n)). */
static inline struct chain_node *chain_same_hash(struct chain_node *n, uint64_t hash)
{
    while (n && n->hash != hash)
        n = n->next;
    return n;
}

static inline struct chain_node *chain_first(const struct chain_table *t, uint64_t hash)
{
    return t->size ? chain_same_hash(t->buckets[hash & (t->size - 1)], hash) : 0;
}

static inline struct chain_node *chain_next(const struct chain_node *n)
{
    return chain_same_hash(n->next, n->hash);
}
