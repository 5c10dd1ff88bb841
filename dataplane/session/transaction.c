#include "transaction.h"
#include <stdlib.h>
#include "check.h"
#include "log.h"
#include "metrics.h"
#include "session.h"

#define QUEUE_SIZE_FIRST 4

static struct transaction *transaction_of(struct session *s)
{
    if (!s->transaction) {
        s->transaction = calloc(1, sizeof(*s->transaction));
        CHECK(s->transaction);
    }
    return s->transaction;
}

void transaction_begin(struct session *s)
{
    transaction_of(s);
    s->flags |= SESSION_MULTI;
}

static bool queue_within_limit(struct session *s)
{
    if (likely_true(s->transaction->queue_bytes <=
                    s->worker->config->client_query_buffer_limit_bytes))
        return true;
    metric_inc(clients_query_limit);
    log_warning(
        "Closing client id=%llu whose transaction is over the query buffer limit: %zu bytes",
        (unsigned long long)s->id, s->transaction->queue_bytes);
    session_close(s, false);
    return false;
}

bool transaction_queue(struct session *s, const struct command *cmd, uint32_t command_flags,
                       const struct slice *argv, uint32_t argc)
{
    struct transaction *t = s->transaction;
    if (t->count == t->size) {
        t->size = t->size ? t->size * 2 : QUEUE_SIZE_FIRST;
        t->queue = realloc(t->queue, t->size * sizeof(*t->queue));
        CHECK(t->queue);
    }
    struct queued_command *q = &t->queue[t->count++];
    *q = (struct queued_command){.command = cmd, .argc = argc};
    CHECK(kept_args_copy(argv, argc, &q->args));
    q->argv = q->args.argv;
    t->queue_bytes += q->args.size + sizeof(*t->queue);
    t->command_flags |= command_flags;
    t->arg_count += argc;
    return queue_within_limit(s);
}

void transaction_watch(struct session *s, const struct key *key)
{
    struct transaction *t = transaction_of(s);
    for (struct chain_node *n = chain_first(&t->watched_table, key->hash); n; n = chain_next(n)) {
        if (slice_equal(container_from(n, struct watched_key, node)->key.name, key->name))
            return;
    }
    struct watched_key *k = calloc(1, sizeof(*k));
    CHECK(k);
    k->watch.name = malloc(key->name.len + 1);
    CHECK(k->watch.name);
    memcpy(k->watch.name, key->name.data, key->name.len);
    k->watch.name_len = key->name.len;
    k->key = *key;
    k->key.name = slice_from(k->watch.name, k->watch.name_len);
    ks_watch(s->worker->ks, key, &k->watch, &t->dirty);
    k->node.hash = key->hash;
    chain_table_add(&t->watched_table, &k->node);
    k->next = t->watched;
    t->watched = k;
}

void transaction_unwatch(struct session *s)
{
    struct transaction *t = s->transaction;
    if (!t)
        return;
    while (t->watched) {
        struct watched_key *k = t->watched;
        t->watched = k->next;
        chain_table_remove(&t->watched_table, &k->node);
        ks_unwatch(s->worker->ks, &k->watch);
        free(k->watch.name);
        free(k);
    }
    atomic_store_explicit(&t->dirty, false, memory_order_relaxed);
}

void transaction_discard(struct session *s)
{
    struct transaction *t = s->transaction;
    s->flags &= ~(uint32_t)(SESSION_MULTI | SESSION_MULTI_FAILED);
    if (!t)
        return;
    transaction_unwatch(s);
    for (uint32_t i = 0; i < t->count; i++)
        kept_args_free(&t->queue[i].args);
    free(t->queue);
    free(t);
    s->transaction = NULL;
}

size_t transaction_mem_bytes(const struct session *s)
{
    const struct transaction *t = s->transaction;
    return t ? sizeof(*t) + t->queue_bytes + t->watched_table.count * sizeof(struct watched_key)
             : 0;
}
