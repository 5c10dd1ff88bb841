/* What EXEC in pieces needs beside its handler (transactions.c): its keys are those of its queued
 * commands, and the watched ones. Owner: the lcore of the call. */
#pragma once
#include "claim.h"
#include "command.h"

/* A claim of all that the transaction looks at or changes; *whole: of the whole keyspace. NULL: out
 * of memory. */
struct claim *exec_claim(struct call *c, bool *whole);
/* claim_note_slot() for every key. False: out of memory. */
bool exec_note_slots(struct call *c, struct claim *claim);
