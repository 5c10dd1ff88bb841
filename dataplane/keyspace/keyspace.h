/* The keyspace: 16,384 slots shared by all lcores; readers take no lock, writers take the slot's
 * spinlock (design-dataplane, rules 9 to 19).
 *
 * struct keyspace is shared; struct ks is one lcore's handle to it (retired memory, sizes, random
 * numbers, what it holds locked). Every function belongs to the lcore of its handle. now_ms is set
 * by the lcore once per loop and frozen while a transaction runs.
 *
 * Locking. A command that writes, or reads an aggregate, runs between ks_lock…() and ks_unlock…().
 * Inside, functions marked [locked] see and change the slots that are held. Functions marked [read]
 * run without a lock (or inside one: they notice). Locks are taken in ascending slot order only. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "entry.h"
#include "keyhash.h"
#include "slice.h"

struct keyspace;

struct key {
    struct slice name;
    uint64_t hash;
    uint16_t slot;
};

struct key key_of(struct slice name);

/* What the keyspace must know of an aggregate type; index enum obj_type; strings need none. */
struct object_ops {
    /* Frees at most budget elements; true when the object is gone. */
    bool (*free_some)(void *object, enum obj_encoding enc, uint32_t budget);
    /* Bytes held, sampled where large (samples 0: all). */
    size_t (*mem_bytes)(const void *object, enum obj_encoding enc, uint32_t samples);
    /* Elements: large ones are freed in pieces. */
    size_t (*count)(const void *object, enum obj_encoding enc);
};

struct keyspace *keyspace_new(const struct object_ops *const ops[OBJ_TYPES]);
/* No reader or writer may be left. Frees everything. */
void keyspace_free(struct keyspace *k);

struct ks {
    struct keyspace *shared;
    int64_t now_ms; /* set each loop; see ks_freeze_time() */
    bool master;    /* expired keys are deleted here; false: only hidden */
    bool crowded;   /* ks_crowded() is worth a call; set by ks_reclaim() */
    /* ks_get() or ks_get_many() said "absent" since a claim is in the way (claim.h): undo and ask
     * for it again. Cleared by the caller. */
    bool met_claim;
    /* A key was changed, expired or evicted; under its slot's lock. For keyspace events and the
     * replication log. May be NULL. */
    void (*on_delete)(void *arg, const struct key *key, int why);
    void *hook_arg;
    struct ks_private *p;
};
enum ks_delete_why { KS_DELETE_EXPIRED, KS_DELETE_EVICTED };

/* The handle of lcore index (0 ≤ index < LCORES_MAX). The calling thread must be QSBR-registered.
 */
struct ks *ks_new(struct keyspace *k, unsigned index, uint64_t seed);
/* Hands over what is retired; waits for grace periods. */
void ks_free(struct ks *ks);

/* ---- prefetch: hints only, any garbage is harmless ---- */
/* First the slot (lock: its writer's line too), then the bucket, then the entry, each a burst of
 * keys behind the other. */
void ks_prefetch_slot(const struct ks *ks, const struct key *key, bool lock);
void ks_prefetch_bucket(const struct ks *ks, const struct key *key);
void ks_prefetch_entry(const struct ks *ks, const struct key *key);

/* ---- reading ---- */
enum ks_read_flags { KS_READ_NO_TOUCH = 1 /* no LRU/LFU update */, KS_READ_NO_STATS = 2 };

/* [read] The live entry of key or NULL; linearisable. Expired keys are absent (and deleted when the
 * lock is free). Strings only may be looked into without a lock; of aggregates only type, encoding,
 * expiry. The entry lives until the next quiescent state. */
const struct entry *ks_get(struct ks *ks, const struct key *key, unsigned flags);

/* [read] The same for n keys at one instant: out[i] belongs to keys[i]. */
void ks_get_many(struct ks *ks, const struct key *keys, unsigned n, const struct entry **out,
                 unsigned flags);

/* ---- locking ---- */
/* One slot, for a change to one key. Nests inside ks_lock_many() of the same slot (then it does
 * nothing), so that the same handlers run alone and inside EXEC. */
/* True: claims have to do with the slot, ask ks_claim_allows() before a look at a key (claim.h). */
bool ks_lock(struct ks *ks, uint16_t slot);
void ks_unlock(struct ks *ks, uint16_t slot);
/* Several slots, for changes that others see all or none of: makes tx_seq odd. slots need not be
 * sorted or distinct; n ≤ KS_LOCK_MANY_MAX or all = true for the whole keyspace. Does not nest. */
#define KS_LOCK_MANY_MAX 256
bool ks_lock_many(struct ks *ks, const uint16_t *slots, unsigned n, bool all);
void ks_unlock_many(struct ks *ks);
bool ks_holds(const struct ks *ks, uint16_t slot);

/* ---- changing [locked] ---- */
/* The live entry or NULL; expired ones are deleted first. May be used to change an aggregate in
 * place, then call ks_changed(). */
struct entry *ks_find(struct ks *ks, const struct key *key, unsigned flags);

/* New entries, not yet in the index: at most one allocation for small ones. NULL: over the limit of
 * retired memory or out of memory (the caller replies -OOM). expiry_ms or EXPIRY_NONE. */
struct entry *ks_entry_string(struct ks *ks, const struct key *key, struct slice value,
                              int64_t expiry_ms);
/* As above but keeps encoding raw (results of APPEND, SETRANGE …). */
struct entry *ks_entry_string_raw(struct ks *ks, const struct key *key, struct slice value,
                                  int64_t expiry_ms);
/* As above with a given encoding that value suits: copies keep their source's, and the result of
 * INCRBYFLOAT is never ENC_INT. */
struct entry *ks_entry_string_as(struct ks *ks, const struct key *key, struct slice value,
                                 int64_t expiry_ms, enum obj_encoding enc);
struct entry *ks_entry_big(struct ks *ks, const struct key *key, struct bigstr *big,
                           int64_t expiry_ms);
struct entry *ks_entry_object(struct ks *ks, const struct key *key, enum obj_type type,
                              enum obj_encoding enc, void *object, int64_t expiry_ms);
/* Drops one that was never stored, with its large string; an object stays the caller's. */
void ks_entry_discard(struct ks *ks, struct entry *e);

/* Stores e under its key; the old entry, if any, is retired with its value. An LRU or LFU state is
 * inherited. */
void ks_put(struct ks *ks, const struct key *key, struct entry *e);
/* Stores e, which took over the object or bigstr of the old entry (RENAME, EXPIRE, new encoding):
 * only the old entry itself is retired. */
void ks_put_same_value(struct ks *ks, const struct key *key, struct entry *e);
/* Unlinks and retires; false: no such live key. */
bool ks_delete(struct ks *ks, const struct key *key);
/* Unlinks but keeps the value: the caller takes the object or bigstr over. */
bool ks_detach(struct ks *ks, const struct key *key);
/* Sets (EXPIRY_NONE: removes) the expiry; the value is not copied when it is large or an aggregate.
 * False: out of memory, nothing changed. */
bool ks_set_expiry(struct ks *ks, const struct key *key, int64_t expiry_ms);
/* An aggregate was changed in place: enc is its encoding now; delta its change in bytes. Wakes
 * watchers. */
void ks_changed(struct ks *ks, const struct key *key, enum obj_encoding enc, int64_t mem_delta);

/* Hands memory that lock-free readers may still look at to the retire queue. */
void ks_retire(struct ks *ks, void *memory, void (*destroy)(void *memory));

/* ---- whole keyspace ---- */
uint64_t ks_count(const struct keyspace *k); /* DBSIZE */
uint64_t ks_expiring_count(const struct keyspace *k);
uint32_t ks_slot_count(const struct keyspace *k, uint16_t slot);
/* FLUSHALL: every lcore sees an empty keyspace at one instant; the memory is freed in pieces.
 * Inside ks_lock_many(all) or outside any lock. */
void ks_flush_all(struct ks *ks);
/* A random live key copied into *name (malloc, the caller frees); false: empty. */
bool ks_random(struct ks *ks, struct slice *name, uint8_t **owned);
/* SCAN: calls each() for every live entry of at most budget buckets from cursor on; the next
 * cursor, 0 at the end. An element that is there from the start of a full scan to its end is
 * returned at least once. */
uint64_t ks_scan(struct ks *ks, uint64_t cursor, uint32_t budget_buckets,
                 void (*each)(void *arg, const struct entry *e), void *arg);
/* The same within one slot (GETKEYSINSLOT, DIGEST); cursor 0 starts and ends. */
uint64_t ks_scan_slot(struct ks *ks, uint16_t slot, uint64_t cursor, uint32_t budget_buckets,
                      void (*each)(void *arg, const struct entry *e), void *arg);

/* ---- watching: a per-slot table under the slot's lock ---- */
struct ks_watch {
    struct ks_watch *next; /* in the slot's table */
    uint16_t slot;
    bool expired_at_watch; /* was logically expired then: its later deletion does not count */
    uint64_t hash;
    uint8_t *name; /* copy of the key */
    size_t name_len;
    _Atomic(bool) *dirty; /* set when the key changes: the watching session's flag */
};
void ks_watch(struct ks *ks, const struct key *key, struct ks_watch *w, _Atomic(bool) *dirty);
void ks_unwatch(struct ks *ks, struct ks_watch *w);

/* ---- memory ---- */
/* Bytes of keys, values and indexes, without retired ones; retired bytes. Any thread. */
uint64_t ks_used_bytes(const struct keyspace *k);
uint64_t ks_retired_bytes(const struct keyspace *k);
/* Adds to the used bytes what lives outside entries (aggregates account themselves by ks_changed).
 */
void ks_account(struct ks *ks, int64_t delta);
/* Before a command that writes, when maxmemory is set or ks->crowded: true: memory that waits for
 * readers is near its bound (rule 15); try again in the next round of the loop. Not for ever: when
 * none of it is freed for RETIRED_STALL_MS, commands go on and meet the bound itself (-OOM). */
#define RETIRED_STALL_MS 5000
bool ks_crowded(struct ks *ks);
/* Before a command that may grow the data by some bytes: evicts by policy in a bounded number of
 * steps. Outside any lock. */
enum ks_room {
    KS_ROOM_FREE,
    KS_ROOM_LATER, /* eviction is behind: try again in the next round of the loop */
    KS_ROOM_NONE,  /* over maxmemory: the command gets -OOM */
};
enum ks_room ks_make_room(struct ks *ks, size_t bytes);
/* Of one key, for MEMORY USAGE. [locked] */
size_t ks_mem_usage(struct ks *ks, const struct entry *e, uint32_t samples);

/* ---- once per loop ---- */
/* Hands full (or, when idle, partial) batches to liburcu and frees those whose grace period has
 * passed, at most budget elements. */
enum ks_reclaimed {
    KS_RECLAIM_DONE,  /* nothing is retired */
    KS_RECLAIM_WAITS, /* for readers, or for a batch to fill or age: no reason to stay awake */
    KS_RECLAIM_MORE,  /* the budget was used up */
};
enum ks_reclaimed ks_reclaim(struct ks *ks, bool idle, uint32_t budget);
/* Active expiry: at most budget buckets; keys deleted. Lcores share the slots among them. */
uint32_t ks_expire_cycle(struct ks *ks, uint32_t budget_buckets);
/* Time stands still for this handle until unfrozen (EXEC). */
void ks_freeze_time(struct ks *ks, bool frozen);

/* Invariants of one slot, for tests and fuzzers. [locked] */
void ks_validate_slot(struct ks *ks, uint16_t slot);
