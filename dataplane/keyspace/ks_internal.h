/* What the files of keyspace/ share: the keyspace itself and an lcore's private part. */
#pragma once
#include "claim_queue.h"
#include "directory.h"
#include "keyspace.h"
#include "ks_memory.h"
#include "metrics.h"
#include "retire.h"
#include "rng.h"
#include "slot.h"
#include "stock.h"

#define BITMAP_WORDS (SLOTS / 64)

/* One lcore's share of the sums; written by it alone, relaxed; parts may be negative. */
struct ks_share {
    _Alignas(CACHE_LINE) _Atomic(int64_t) used_bytes;
    _Atomic(int64_t) account_bytes; /* outside of the data: FLUSHALL leaves it */
    _Atomic(int64_t) retired_bytes;
    _Atomic(int64_t) count;
    _Atomic(int64_t) expiring;
};

struct keyspace {
    struct slot_read *reads;   /* SLOTS; zeroed memory that is not touched before it is used */
    struct slot_write *writes; /* SLOTS */
    const struct object_ops *ops[OBJ_TYPES];
    _Alignas(CACHE_LINE) _Atomic(uint32_t) epoch; /* of FLUSHALL; w: any lcore (rare), r: all */
    /* Claims of the whole keyspace, queued or granted; w: under claims.lock, r: all, a hint. */
    _Atomic(uint32_t) claims_all;
    _Atomic(uint32_t) lcores;                     /* one above the highest index in use */
    uint64_t retired_cap_bytes;                   /* set at start */
    /* What FLUSHALL made invisible and nobody has taken apart yet; still in the sums. */
    _Alignas(CACHE_LINE) _Atomic(int64_t) stale_bytes;
    _Atomic(int64_t) stale_count;
    _Atomic(int64_t) stale_expiring;
    _Atomic(uint32_t) flush_lock; /* of stale_parts and of setting the sums above */
    int64_t stale_parts;          /* walks and detached indexes that are left */
    _Atomic(uint32_t) watch_count;
    _Alignas(CACHE_LINE) _Atomic(uint32_t)
        expire_next; /* bitmap word that active expiry takes next */
    /* Slots that have entries, and that have entries with an expiry (of an index that FLUSHALL
     * passed over, too); w: the slot's lock holder, relaxed: hints to others. */
    _Alignas(CACHE_LINE) _Atomic(uint64_t) occupied[BITMAP_WORDS];
    _Atomic(uint64_t) volatiles[BITMAP_WORDS];
    struct ks_share shares[LCORES_MAX];
    struct claim_queues claims;
};

#define ACCOUNT_SAMPLES 64 /* elements looked at to account a new object */
#define NO_SLOT (-1)
#define EVICT_POOL 16

struct evict_candidate {
    uint64_t score; /* the higher the better to evict */
    uint64_t hash;
    uint64_t word; /* compared only, never followed */
    uint16_t slot;
};

/* Slots as a set, walked in ascending order. */
struct slot_set {
    uint64_t summary[BITMAP_WORDS / 64];
    uint64_t bits[BITMAP_WORDS];
};

struct ks_private {
    struct keyspace *k;
    struct ks_share *share;
    unsigned index;
    struct rng rng;

    int held;  /* by ks_lock(), or NO_SLOT */
    bool many; /* inside ks_lock_many() */
    bool many_all;
    bool many_changed; /* tx_seq is odd */
    struct slot_set held_many;

    bool many_claimed;
    struct claim *claim; /* ks_claim_enter() */
    int64_t loop_ms;     /* ks->now_ms outside of it */

    uint32_t flush_seen; /* epoch that ks_lock_many() brought its slots to */
    bool frozen;
    int64_t frozen_ms;

    struct stock stock;
    struct retire retire;

    uint32_t *versions; /* of ks_get_many() */
    uint32_t versions_size;

    bool flushing; /* the walk over the slots after FLUSHALL */
    uint32_t flush_slot;
    uint32_t flush_epoch;

    uint64_t expire_slots; /* left of the bitmap word taken */
    uint32_t expire_word;
    uint32_t expire_seen, expire_stale; /* in the slot at hand */
    int64_t expire_tick_ms;
    uint32_t expire_credit;

    struct evict_candidate pool[EVICT_POOL];
    uint32_t pool_count;
    int pool_policy;
    uint16_t search_slot;   /* searched for eligible keys … */
    uint64_t search_prefix; /* … from this hash on; */
    uint64_t search_left;   /* 0: none is */
    uint64_t evict_credit;  /* evicted while over maxmemory, less what was let in since */

    int64_t stall_since_ms; /* retired bytes are near their bound and no fewer since; 0: they are
                               not */
    uint64_t stall_bytes;
};

static inline int64_t ks_now(const struct ks *ks)
{
    return ks->p->frozen ? ks->p->frozen_ms : ks->now_ms;
}

static inline void share_add(_Atomic(int64_t) *part, int64_t delta)
{
    atomic_store_explicit(part, atomic_load_explicit(part, memory_order_relaxed) + delta,
                          memory_order_relaxed);
}

static inline void ks_used_add(struct ks *ks, int64_t bytes)
{
    share_add(&ks->p->share->used_bytes, bytes);
}

static inline uint64_t slot_root(const struct keyspace *k, uint16_t slot)
{
    return atomic_load_explicit(&k->reads[slot].root, memory_order_acquire);
}

static inline void slot_root_set(struct keyspace *k, uint16_t slot, uint64_t root)
{
    atomic_store_explicit(&k->reads[slot].root, root, memory_order_release);
}

/* The index as a reader sees it: 0 when FLUSHALL has passed over it. epoch: loaded before, acquire.
 */
static inline uint64_t slot_root_at(const struct keyspace *k, uint16_t slot, uint32_t epoch)
{
    const struct slot_read *read = &k->reads[slot];
    if (atomic_load_explicit(&read->epoch, memory_order_acquire) != epoch)
        return 0;
    return atomic_load_explicit(&read->root, memory_order_acquire);
}

static inline bool section_claimed(const struct keyspace *k, uint16_t slot)
{
    return atomic_load_explicit(&k->writes[slot].claims, memory_order_relaxed) |
           atomic_load_explicit(&k->claims_all, memory_order_relaxed);
}

static inline uint32_t ks_epoch(const struct keyspace *k)
{
    return atomic_load_explicit(&k->epoch, memory_order_acquire);
}

static inline bool bitmap_has(_Atomic(uint64_t) *map, uint16_t slot)
{
    return atomic_load_explicit(&map[slot / 64], memory_order_relaxed) >> (slot % 64) & 1;
}

static inline void bitmap_set(_Atomic(uint64_t) *map, uint16_t slot)
{
    if (!bitmap_has(map, slot))
        atomic_fetch_or_explicit(&map[slot / 64], UINT64_C(1) << (slot % 64), memory_order_relaxed);
}

static inline void bitmap_clear(_Atomic(uint64_t) *map, uint16_t slot)
{
    atomic_fetch_and_explicit(&map[slot / 64], ~(UINT64_C(1) << (slot % 64)), memory_order_relaxed);
}

/* ---- slot.c: sections ---- */
/* Takes the lock if nobody holds it; detaches an index that FLUSHALL has passed over. */
bool section_try(struct ks *ks, uint16_t slot);
/* Before the first and every further change in the section: version and tx_seq odd. */
void section_change(struct ks *ks, uint16_t slot);
/* ks_lock_many() for the slots of keys. */
void section_begin_keys(struct ks *ks, const struct key *keys, unsigned n);
void slot_count_add(struct ks *ks, uint16_t slot, int delta);
void slot_expiring_add(struct ks *ks, uint16_t slot, int delta);
bool slot_set_has(const struct slot_set *set, uint16_t slot);
void slot_set_add(struct slot_set *set, uint16_t slot);
/* Around an operation marked [locked] on a slot: locks when the caller works under a claim. Begin's
 * result is for end. */
bool section_begin(struct ks *ks, uint16_t slot);
void section_end(struct ks *ks, uint16_t slot, bool begun);
/* [locked] A claim that changes several keys opens or closes the slot: tx_seq and version stay odd
 * in between, whoever else changes something in the slot. */
void section_several(struct ks *ks, uint16_t slot, bool open);

/* ---- claim.c ---- */
/* [locked] No claim keeps the key from being read. False: ks->met_claim is set. */
bool section_may_read(struct ks *ks, const struct key *key);

/* ---- sample.c ---- */
/* A random slot of the bitmap; false: none. */
bool slot_pick(struct ks *ks, _Atomic(uint64_t) *map, uint16_t *slot);
/* A random bucket chain of the slot; NULL: empty. */
const struct bucket *bucket_pick(struct ks *ks, uint16_t slot);

/* ---- write.c ---- */
/* Why an entry goes. */
enum drop_reason { DROP_COMMAND, DROP_DETACH, DROP_EXPIRED, DROP_EVICTED };
/* [locked] Unlinks the entry at place; tells the hook and the watchers; retires. False: it has
 * expired or is to be evicted, but somebody works under a claim of it. */
bool entry_drop(struct ks *ks, const struct key *key, struct place *place, enum drop_reason reason);
struct key key_of_entry(const struct entry *e, uint16_t slot);

/* ---- crowded.c ---- */
/* Retired bytes are over their bound (rule 15), or over the half from which on writers wait. */
enum retired_share { RETIRED_ALL = 1, RETIRED_HALF = 2 };
bool retired_over(const struct ks *ks, enum retired_share share);

/* ---- entry_make.c ---- */
/* A copy of e with another expiry, that takes over its value; NULL: no memory. */
struct entry *entry_with_expiry(struct ks *ks, const struct entry *e, int64_t expiry_ms);

/* ---- read.c ---- */
bool policy_is_lfu(void);
/* LRU or LFU of an access, by the policy in force. */
void entry_touch(struct ks *ks, struct entry *e);
uint32_t entry_clock_new(int64_t now_ms);

/* ---- watch.c ---- */
void watch_touch(struct ks *ks, const struct key *key, bool expired);
/* FLUSHALL is about to detach the index: watchers of live keys. */
void watch_touch_all(struct ks *ks, uint16_t slot, uint64_t root);

/* ---- flush.c ---- */
/* [locked] Detaches the slot's index when it is older than epoch. */
void flush_sync(struct ks *ks, uint16_t slot, uint32_t epoch);
/* At most budget slots; true: more is left. */
bool flush_walk(struct ks *ks, uint32_t budget);
/* One of the parts that FLUSHALL counts is gone. */
void flush_part_done(struct keyspace *k);

/* [locked] The slot's index, after a FLUSHALL that the section itself did. */
static inline uint64_t section_root(struct ks *ks, uint16_t slot)
{
    struct keyspace *k = ks->shared;
    uint32_t epoch = atomic_load_explicit(&k->reads[slot].epoch, memory_order_relaxed);
    if (likely_false(epoch != ks->p->flush_seen))
        flush_sync(ks, slot, ks->p->flush_seen);
    return slot_root(k, slot);
}
