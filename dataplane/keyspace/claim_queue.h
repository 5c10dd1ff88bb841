/* The queues behind claim.h (inside keyspace/ only): one FIFO for every key, slot and the keyspace
 * as a whole that a claim names, found by hash, all under one lock.
 *
 * A key's claim also stands in the queues of its slot and of the keyspace, with an intention that
 * conflicts with claims of the whole only. A part is open when nothing before it in its queue
 * conflicts; a claim is granted when all its parts are. Since all parts of a claim enter their
 * queues at one instant, their order is the same everywhere and claims never wait in a circle. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct claim;
struct slot_set;

enum claim_scope { CLAIM_ALL, CLAIM_SLOT, CLAIM_KEY };
/* Intention to read or change a part of it; read or change all of it. */
enum claim_mode { CLAIM_READ_PART, CLAIM_CHANGE_PART, CLAIM_READ, CLAIM_CHANGE, CLAIM_MODES };

struct claim_part {
    struct claim_part *chain; /* of first parts: the next queue in the bucket */
    struct claim_part *next;  /* in the queue */
    struct claim_part *prev;  /* of the first part: the last */
    struct claim *claim;
    uint64_t hash; /* of the key */
    uint16_t slot;
    uint8_t scope, mode; /* enum claim_scope, enum claim_mode */
    bool open;
    uint32_t counts[CLAIM_MODES]; /* of first parts: parts in the queue by mode */
};

enum claim_state { CLAIM_IDLE, CLAIM_QUEUED, CLAIM_GRANTED };

struct claim {
    uint8_t state; /* w: under the lock of the queues */
    bool merged;   /* no part stands twice in parts */
    bool several;  /* changes several keys: tx_seq matters */
    bool opened;   /* ks_claim_open() began */
    bool lets_in;  /* ks_claim_let_read() */
    unsigned count, room;
    unsigned closed_parts; /* not open; under the lock */
    unsigned next;         /* where open and close go on */
    void (*granted)(void *arg);
    void *arg;
    struct claim *granted_next;
    struct slot_set *noted; /* claim_note_slot() */
    struct claim_part parts[];
};

#define CLAIM_BUCKETS 1024
struct claim_queues {
    _Atomic(uint32_t) lock; /* slot_lock.c; taken after slots' locks */
    struct claim_part *buckets[CLAIM_BUCKETS];
};

/* All under the lock. */
/* Puts the part at its queue's end; sets open. */
void claim_queue_add(struct claim_queues *q, struct claim_part *part);
/* Takes it out; claims that have no closed part any more are put before *granted. */
void claim_queue_remove(struct claim_queues *q, struct claim_part *part, struct claim **granted);
/* A granted claim but `but` has a part in the queue that conflicts with mode. */
bool claim_queue_blocks(struct claim_queues *q, const struct claim_part *like,
                        const struct claim *but);
/* Invariants; how many parts there are. */
unsigned claim_queues_validate(const struct claim_queues *q);
