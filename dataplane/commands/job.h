/* Work that would keep an lcore too long in one go (KEYS over millions, DEBUG POPULATE, DIGEST, a
 * long LCS), and waits (DEBUG SLEEP): the loop runs it in bounded pieces while the client is
 * parked.
 *
 * Owner: the lcore that the client lives on. A job belongs to one parked session, so there are
 * never more jobs than clients. Pieces hold no keyspace pointer and no lock between them. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "command.h"
#include "session.h"

struct job {
    /* Does one piece of at most some 20 µs; true: finished, the reply was written to job_reply().
     * Not called again after that, nor once the client is gone. */
    bool (*step)(struct job *j);
    /* Frees the job and what it holds; always the last call. */
    void (*free)(struct job *j);
    struct worker *worker;
    struct session *session; /* NULL: the client is gone */
    struct reply *reply;     /* the session's, or the transaction's */
    struct ks *ks;
    uint64_t due_us; /* not before this (worker->now_us); 0: at once */
    struct job *next;
};

struct jobs *jobs_new(void);
/* Frees jobs that never finished. */
void jobs_free(struct jobs *jobs);

/* Takes j over. Inside a transaction it runs to its end at once (a wait is skipped), otherwise the
 * session is parked. step, free and due_us are set by the caller, the rest here. */
void job_start(struct call *c, struct job *j);

/* Once per loop: runs pieces in turn for about budget_us, at least one when one is due; finished
 * sessions are flushed and go on. True: more is due at once. */
bool jobs_run(struct worker *w, uint32_t budget_us);
/* When the next job is due, in terms of worker->now_us: 0 at once, UINT64_MAX none. */
uint64_t jobs_next_us(const struct worker *w);
