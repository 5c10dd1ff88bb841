#include "job.h"
#include <stdlib.h>
#include "check.h"
#include "clock.h"
#include "fiber.h"
#include "work.h"

#define FIBERS_SPARE 4

struct jobs {
    struct job *head; /* run in turn: a job that is not finished goes to the tail */
    struct job *tail;
    struct fiber *spare[FIBERS_SPARE];
    unsigned spare_count, out_count;
};

struct jobs *jobs_new(void)
{
    return calloc(1, sizeof(struct jobs));
}

void jobs_free(struct jobs *jobs)
{
    if (!jobs)
        return;
    while (jobs->head) {
        struct job *j = jobs->head;
        jobs->head = j->next;
        j->free(j);
    }
    while (jobs->spare_count > 0)
        fiber_free(jobs->spare[--jobs->spare_count]);
    free(jobs);
}

struct fiber *job_fiber_take(struct worker *w, bool *none_out)
{
    struct jobs *jobs = w->jobs;
    struct fiber *f = NULL;
    *none_out = jobs->out_count == 0;
    if (jobs->spare_count > 0)
        f = jobs->spare[--jobs->spare_count];
    else if (jobs->out_count < JOB_FIBERS_MAX)
        f = fiber_new();
    jobs->out_count += f != NULL;
    return f;
}

void job_fiber_give(struct worker *w, struct fiber *f)
{
    struct jobs *jobs = w->jobs;
    jobs->out_count--;
    if (jobs->spare_count < FIBERS_SPARE)
        jobs->spare[jobs->spare_count++] = f;
    else
        fiber_free(f);
}

static void jobs_append(struct jobs *jobs, struct job *j)
{
    j->next = NULL;
    if (jobs->head)
        jobs->tail->next = j;
    else
        jobs->head = j;
    jobs->tail = j;
}

/* The client is gone: the job is freed at its next turn. */
static void job_abandon(struct session *s)
{
    struct job *j = s->parked;
    j->session = NULL;
    j->due_us = 0;
}

void job_start(struct call *c, struct job *j)
{
    j->worker = c->worker;
    j->session = c->session;
    j->reply = c->reply;
    j->ks = c->ks;
    if (c->in_exec || c->work) {
        while (!j->step(j))
            call_pace(c, WORK_PIECE);
        j->free(j);
        return;
    }
    if (j->due_us == 0 && j->step(j)) { /* most are done at once */
        j->free(j);
        return;
    }
    jobs_append(c->worker->jobs, j);
    session_park(c->session, j, job_abandon);
}

void job_add(struct job *j)
{
    CHECK(j->session->flags & SESSION_PARKED);
    j->session->flags |= SESSION_BUSY;
    jobs_append(j->worker->jobs, j);
}

/* True: finished and freed. */
static bool job_turn(struct job *j)
{
    struct session *s = j->session;
    if (s) {
        j->reply = &s->reply;
        if (!j->step(j))
            return false;
    }
    j->free(j);
    if (s) {
        s->flags &= ~(uint32_t)SESSION_BUSY;
        session_unpark(s);
        session_flush(s);
    }
    return true;
}

static bool any_must_end(const struct jobs *jobs)
{
    for (const struct job *j = jobs->head; j; j = j->next) {
        if (j->must_end)
            return true;
    }
    return false;
}

void jobs_finish(struct worker *w)
{
    struct jobs *jobs = w->jobs;
    while (jobs && any_must_end(jobs)) {
        struct job *j = jobs->head;
        jobs->head = j->next;
        if (!j->must_end || !job_turn(j))
            jobs_append(jobs, j);
    }
}

bool jobs_run(struct worker *w, uint32_t budget_us)
{
    struct jobs *jobs = w->jobs;
    if (likely_true(!jobs->head))
        return false;
    /* Part of the lcore's loop: the one place here that reads the clock. */
    uint64_t end_us = clock_now_us() + budget_us;
    struct job *last = jobs->tail;
    bool more = false;
    do {
        struct job *j = jobs->head;
        bool round_done = j == last;
        jobs->head = j->next;
        bool due = j->due_us <= w->now_us;
        if (!due || !job_turn(j)) {
            jobs_append(jobs, j);
            more |= due;
        }
        if (round_done) {
            if (!more)
                return false;
            last = jobs->tail;
            more = false;
        }
    } while (jobs->head && clock_now_us() < end_us);
    return jobs_next_us(w) <= w->now_us;
}

uint64_t jobs_next_us(const struct worker *w)
{
    uint64_t next_us = UINT64_MAX;
    for (const struct job *j = w->jobs->head; j; j = j->next)
        next_us = j->due_us < next_us ? j->due_us : next_us;
    return next_us;
}
