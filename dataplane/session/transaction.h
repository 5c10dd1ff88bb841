/* What MULTI and WATCH hang off a session: queued commands with copies of their arguments, watched
 * keys.
 *
 * Owner: the session's lcore. dirty alone is written by whoever changes a watched key, under its
 * slot's lock; EXEC reads it while holding that lock. Bound: queued bytes count against
 * client-query-buffer-limit. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "chain_table.h"
#include "keyspace.h"
#include "session.h"
#include "slice.h"

struct session;
struct command;

struct queued_command {
    const struct command *command;
    struct kept_args args;
    struct slice *argv; /* of args */
    uint32_t argc;
};

struct watched_key {
    struct chain_node node; /* in transaction->watched_table */
    struct ks_watch watch;
    struct key key;           /* name points into watch */
    struct watched_key *next; /* of the session */
};

struct transaction {
    struct queued_command *queue;
    uint32_t count, size;
    uint32_t command_flags; /* of all queued commands, or'ed */
    uint64_t arg_count;     /* of all queued commands */
    size_t queue_bytes;
    struct watched_key *watched;
    struct chain_table watched_table; /* the same, by hash */
    _Atomic(bool) dirty;              /* a watched key changed */
};

/* MULTI: from now on commands are queued. */
void transaction_begin(struct session *s);
/* Queues a copy. False: the client's limit is exceeded, the session was closed. */
bool transaction_queue(struct session *s, const struct command *cmd, uint32_t command_flags,
                       const struct slice *argv, uint32_t argc);
/* WATCH of one key; outside of any lock. */
void transaction_watch(struct session *s, const struct key *key);
/* UNWATCH; also while its slots are held. */
void transaction_unwatch(struct session *s);
/* Forgets queue and watched keys: DISCARD, after EXEC, the session's end. */
void transaction_discard(struct session *s);
size_t transaction_mem_bytes(const struct session *s);
