/* One slot's shared state: a read-mostly part and a writer's line (inside keyspace/ only).
 *
 * Memory ordering.
 *   root: release store by the lock's holder after the index behind it is complete; acquire load.
 *   tx_seq: odd while a change of several keys runs. Stored relaxed before the first change, whose
 *     words are release stores: a reader that saw such a word and then reads tx_seq sees it odd.
 *     Made even with release after the last change: a reader that acquires the even value sees all.
 *   version: the same for every change, odd from a section's first change to its end.
 *   epoch: the flush that the index belongs to. After FLUSHALL has moved the keyspace's epoch an
 * index of an older one is empty to readers; the next lock holder clears root, then stores epoch
 * with release, so a reader that acquires the new epoch cannot see the old root. */
#pragma once
#include <stdatomic.h>
#include "check.h"
#include "keyhash.h"
#include "keyspace.h"

struct slot_read {
    _Atomic(uint32_t) tx_seq; /* w: lock holder, r: all */
    _Atomic(uint32_t) epoch;  /* w: lock holder, r: all */
    _Atomic(uint64_t) root;   /* w: lock holder, r: all; see directory.h */
};
_Static_assert(sizeof(struct slot_read) == 16, "four slots share a read-mostly line");

struct slot_write {
    _Alignas(CACHE_LINE) _Atomic(uint32_t) lock; /* slot_lock.c */
    _Atomic(uint32_t) version;                   /* w: lock holder, r: all */
    _Atomic(uint32_t) count;                     /* entries; w: lock holder, r: all */
    _Atomic(uint32_t) expiring; /* of them with an expiry; w: lock holder, r: all */
    uint32_t buckets;           /* not chained ones; lock holder */
    _Atomic(uint32_t)
        expire_at; /* top of the hash prefix where active expiry goes on; w: any, a hint */
    _Atomic(struct ks_watch *) watches; /* w: lock holder, r: flush */
    _Atomic(uint32_t) claims;           /* w: under claims.lock, r: lock holder, a hint */
    uint32_t several;                   /* claims between open and close; lock holder */
};
_Static_assert(sizeof(struct slot_write) == CACHE_LINE, "a writer touches one line of the slot");

/* The lock. Acquire on taking, release on giving up. Bounded spinning, then yields, then a futex:
 * the holder may have been descheduled. */
bool slot_try_lock(_Atomic(uint32_t) *lock);
void slot_lock(_Atomic(uint32_t) *lock);
void slot_unlock(_Atomic(uint32_t) *lock);
