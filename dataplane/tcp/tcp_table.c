/* Chained hash table with its buckets sized at start: a lookup touches one bucket word and the keys
 * of its chain, one long on average. */
#include "tcp_engine.h"

static struct tcp_key *key_at(const struct tcp *t, uint32_t number)
{
    return number & TCP_NUMBER_WAIT ? &wait_at(t, number)->key : &conn_at(t, number)->key;
}

static inline bool key_equal(const struct tcp_key *k, const struct flow_tuple *tuple)
{
    return k->remote_port == tuple->remote_port && k->local_port == tuple->local_port &&
           ip_addr_equal(&k->remote, &tuple->remote) && ip_addr_equal(&k->local, &tuple->local);
}

/* The low bits of the flow hash choose the lcore, so that on one lcore they hardly vary. */
static inline uint32_t *bucket_of(const struct tcp *t, uint32_t hash)
{
    return &t->buckets[(hash * 0x9e3779b1u >> 7) & t->bucket_mask];
}

struct tcp_key *tcp_table_find(const struct tcp *t, const struct flow_tuple *tuple, uint32_t hash,
                               uint32_t *number)
{
    for (uint32_t n = *bucket_of(t, hash); n != 0;) {
        struct tcp_key *k = key_at(t, n);
        if (k->hash == hash && key_equal(k, tuple)) {
            *number = n;
            return k;
        }
        n = k->next;
    }
    return NULL;
}

void tcp_table_insert(struct tcp *t, struct tcp_key *key, uint32_t number)
{
    uint32_t *bucket = bucket_of(t, key->hash);
    key->next = *bucket;
    *bucket = number;
}

void tcp_table_remove(struct tcp *t, struct tcp_key *key)
{
    uint32_t *link = bucket_of(t, key->hash);
    while (key_at(t, *link) != key) {
        CHECK(*link != 0);
        link = &key_at(t, *link)->next;
    }
    *link = key->next;
    key->next = 0;
}

uint32_t tcp_flow_hash(const struct tcp *t, const struct flow_tuple *tuple)
{
    return flow_hash(t->config.steering, tuple);
}
