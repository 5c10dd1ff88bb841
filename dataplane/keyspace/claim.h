/* Claims: how long work keeps others off its keys without holding a lock (design-dataplane, rule
 * 13). A claim names keys, slots or the whole keyspace, each shared or exclusive; it is granted as
 * a whole, in the order of requests (one that waits holds back later ones that conflict with it, so
 * none starves). Its owner then proceeds in pieces, locking a slot for each operation on the index
 * only; everybody else's short commands look at the slot's count of claims, on the line that they
 * have locked anyway, and join the queue when a granted claim is in the way.
 *
 * Owner: the lcore that asked; granted() runs on the lcore whose release let the claim in. Nobody
 * waits here: a request is granted at once or queued. Claims are as many as there are parked
 * sessions.
 *
 * Ordering. A claim is counted in its slots before it is granted, and its owner locks a slot before
 * it looks at a key of it. Whoever locks that slot later sees the count; whoever had locked it
 * before is done by then. So a short command that sees no claim comes before the owner's first
 * look. A claim of several keys that changes some makes tx_seq odd in their slots from
 * ks_claim_open() to ks_claim_close(): lock-free readers of those slots lock, and meet the claim.
 *
 * While a claim is granted its keys are neither expired nor evicted, so entries and objects found
 * under it live across quiescent states. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "keyspace.h"

struct claim;

/* Room for so many keys and slots. NULL: out of memory. */
struct claim *claim_new(unsigned parts_max);
/* One that is neither queued nor granted. */
void claim_free(struct claim *claim);
/* Before the request; the same part may be added twice (exclusive wins). */
void claim_add_key(struct claim *claim, const struct key *key, bool exclusive);
void claim_add_slot(struct claim *claim, uint16_t slot, bool exclusive);
void claim_add_all(struct claim *claim, bool exclusive);

/* One that changes its keys only in the end: until then (let false) others may read them, in one go
 * under their slot's lock; requests of claims wait all the same. */
void ks_claim_let_read(struct ks *ks, struct claim *claim, bool let);

/* True: granted. False: queued; granted(arg) is called once, on any lcore, when it is. */
bool ks_claim(struct ks *ks, struct claim *claim, void (*granted)(void *arg), void *arg);
/* True: it was still queued and is not any more. False: granted() was called or is about to be. */
bool ks_claim_cancel(struct ks *ks, struct claim *claim);
/* Gives a granted claim back; after ks_claim_close(). */
void ks_claim_release(struct ks *ks, struct claim *claim);

/* ---- working under a granted claim ---- */
/* From enter to leave the handle works under the claim (NULL: under none), with time standing still
 * at now_ms: operations marked [locked] lock for themselves, and ks_lock() may be taken as usual.
 * Leave before anything else runs on the lcore, that is around every piece. */
void ks_claim_enter(struct ks *ks, struct claim *claim, int64_t now_ms);
void ks_claim_leave(struct ks *ks);
/* What an exclusive claim of the whole keyspace is going to change, since that cannot be seen from
 * it. False: out of memory. */
bool claim_note_slot(struct claim *claim, uint16_t slot);
/* Before the first and after the last change, in pieces of about budget slots; true: done. Needed
 * for claims that change several keys, does nothing for others. */
bool ks_claim_open(struct ks *ks, struct claim *claim, uint32_t budget);
bool ks_claim_close(struct ks *ks, struct claim *claim, uint32_t budget);

/* ---- meeting others' claims ---- */
/* [locked] No granted claim but the one entered stands against reading (exclusive false) or
 * changing the key. */
bool ks_claim_allows(struct ks *ks, const struct key *key, bool exclusive);
/* Invariants of all queues, for tests. */
void ks_claims_validate(struct keyspace *k);
