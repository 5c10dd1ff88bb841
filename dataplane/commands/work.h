/* Commands that take long, or meet another's claim: the client is parked, the command runs under a
 * claim on its keys (claim.h), in pieces (job.h) on a stack of its own (fiber.h) when it is long.
 *
 * A handler says call_is_long() before it has any effect, when it knows how many elements it is
 * about to look at; it is then called again, under the claim, and says call_pace() in its loops,
 * which is where a piece ends. Its reply is built aside and sent when it is complete, so nobody
 * sees a part of it, and all that was said and changed counts as one instant.
 *
 * Owner: the lcore that the client lives on. Bound: one per parked session; JOB_FIBERS_MAX stacks
 * per lcore, beyond which commands take turns. A client that ends while its command waits takes it
 * along; a command that has begun goes on to its end (as Redis finishes what it began), a reading
 * one at its next step. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "check.h"
#include "command.h"

/* Smaller ones make small commands long, for tests. */
#ifndef WORK_ELEMENTS_MAX
/* Elements up to which a command runs in one go, and arguments. */
#define WORK_ELEMENTS_MAX 1024
#define WORK_ARGS_MAX 1024
/* Arguments from which on a command with several keys claims all of them at once, unhashed. */
#define WORK_WHOLE_ARGS 1024
/* Elements per piece: 20 to 50 µs, at 30 ns for one in the cache to 150 ns for one in memory. */
#define WORK_PIECE 256
#endif
/* Bytes that cost as much as one element. */
#define WORK_BYTES_PER_ELEMENT 1024

struct work;

/* True: the handler returns at once and is called again. False: go ahead. */
static inline bool call_is_long(struct call *c, uint64_t elements)
{
    if (likely_true(elements <= WORK_ELEMENTS_MAX || c->in_exec || c->paced))
        return false;
    c->verdict = CALL_LONG;
    return true;
}

/* The slow half of call_pace(). */
bool work_pace(struct work *w, uint32_t cost);

/* After a step worth cost elements, where nothing is half done and no lock held; others may run
 * meanwhile. False: a reading command may stop, its client has gone. */
static inline bool call_pace(struct call *c, uint32_t cost)
{
    return likely_true(!c->paced) || work_pace(c->work, cost);
}

/* The cost of an element of so many bytes. */
static inline uint32_t work_cost(size_t bytes)
{
    return 1 + (uint32_t)(bytes / WORK_BYTES_PER_ELEMENT);
}

/* The slow half of call_lock(). */
bool call_lock_claimed(struct call *c, const struct key *key);

/* Locks the key's slot for a handler that locks for itself (CMD_LOCK_SELF). False: a claim is in
 * the way: undo and return, the handler is called again. */
static inline bool call_lock(struct call *c, const struct key *key)
{
    bool claimed = ks_lock(c->ks, key->slot);
    return likely_true(!claimed && !c->ks->met_claim) || call_lock_claimed(c, key);
}

/* For dispatch: takes over the call that has said CALL_LONG or CALL_BLOCKED, or has too many
 * arguments. */
void work_start(struct call *c);
/* [locked] None of the call's keys is claimed; else the verdict is CALL_BLOCKED. */
bool call_may_enter(struct call *c);
/* As call_lock(), for a look at a key that the command table does not know of. */
bool call_lock_read(struct call *c, const struct key *key);
