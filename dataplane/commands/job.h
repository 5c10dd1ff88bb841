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
    bool must_end;   /* once begun: the node's end waits for it */
    struct job *next;
};

struct jobs *jobs_new(void);
/* Frees jobs that never finished. */
void jobs_free(struct jobs *jobs);

/* Takes j over. Inside a transaction it runs to its end at once (a wait is skipped), otherwise the
 * session is parked. step, free and due_us are set by the caller, the rest here. */
void job_start(struct call *c, struct job *j);
/* The same for a session that is parked already, and kept (SESSION_BUSY) until the job has
 * finished; session and worker are set, too. */
void job_add(struct job *j);
/* Before the sessions are freed: runs jobs that must end to their end. */
void jobs_finish(struct worker *w);

/* Stacks for jobs, kept from one to the next; at most JOB_FIBERS_MAX are out at a time. NULL: none
 * is left; *none_out: and no job has any, so that waiting would not help. */
#define JOB_FIBERS_MAX 64
struct fiber *job_fiber_take(struct worker *w, bool *none_out);
void job_fiber_give(struct worker *w, struct fiber *f);

/* Once per loop: runs pieces in turn for about budget_us, at least one when one is due; finished
 * sessions are flushed and go on. True: more is due at once. */
bool jobs_run(struct worker *w, uint32_t budget_us);
/* When the next job is due, in terms of worker->now_us: 0 at once, UINT64_MAX none. */
uint64_t jobs_next_us(const struct worker *w);
