#include "work.h"
#include <stdlib.h>
#include "check.h"
#include "claim.h"
#include "clock.h"
#include "exec.h"
#include "fiber.h"
#include "job.h"
#include "metrics.h"
#include "redirect.h"
#include "session.h"
#include "transaction.h"

/* Slots made ready for a change of many per piece. */
#define SLOTS_PER_PIECE 64

struct work {
    struct job job;
    struct mail mail; /* "granted", posted by whoever let the claim in */
    struct call call;
    struct kept_args args;
    struct key room[COMMAND_KEYS_INLINE], *keys;
    struct claim *claim; /* NULL: the command needs none */
    bool whole;          /* the claim is one of the whole keyspace */
    bool keys_found;
    bool cancelled; /* the client has gone, the mail is still under way */
    struct fiber *fiber;
    struct reply reply; /* aside */
    struct outbuf out;
    int64_t now_ms;               /* of the whole command */
    uint64_t cycles, part_cycles; /* of all, and of the command at hand in EXEC */
    uint32_t units;               /* of the piece */
};

static void work_free(struct work *w)
{
    CHECK(!w->fiber);
    claim_free(w->claim);
    outbuf_clear(&w->out);
    free(w->keys);
    kept_args_free(&w->args);
    free(w);
}

static void work_job_free(struct job *j)
{
    work_free(container_from(j, struct work, job));
}

/* ---- the claim ---- */

static void keys_find(struct work *w)
{
    w->keys_found = true;
    if (w->call.command->keys[0].begin != 0)
        command_keys_find(&w->call, w->room, &w->keys);
}

static struct claim *claim_whole(struct work *w, bool exclusive)
{
    struct claim *claim = claim_new(1);
    if (claim)
        claim_add_all(claim, exclusive);
    w->whole = true;
    return claim;
}

static struct claim *claim_keys(struct work *w)
{
    struct call *c = &w->call;
    bool written[KS_LOCK_MANY_MAX];
    struct claim *claim = claim_new(c->key_count);
    command_keys_written(c->command, c->argv, c->argc, written, c->key_count);
    for (uint32_t i = 0; claim && i < c->key_count; i++)
        claim_add_key(claim, &c->keys[i], written[i]);
    return claim;
}

static struct claim *claim_one(const struct key *key)
{
    struct claim *claim = claim_new(1);
    if (claim)
        claim_add_key(claim, key, false);
    return claim;
}

/* False: out of memory. */
static bool claim_make(struct work *w, enum call_verdict verdict)
{
    struct call *c = &w->call;
    uint32_t flags = c->command->flags;
    bool write = (flags & CMD_WRITE) != 0;
    if (flags & CMD_EXEC) {
        w->claim = exec_claim(c, &w->whole);
    } else if (flags & CMD_LOCK_ALL || verdict == CALL_WHOLE ||
               (c->argc > WORK_WHOLE_ARGS && !(flags & CMD_ONE_KEY))) {
        w->claim = claim_whole(w, write);
    } else if (c->command->keys[0].begin != 0) {
        keys_find(w);
        if (c->key_count == 0)
            return true; /* malformed: the handler says so */
        w->claim = c->key_count > KS_LOCK_MANY_MAX ? claim_whole(w, write) : claim_keys(w);
    } else if (c->wait_for) {
        w->claim = claim_one(c->wait_for);
    } else {
        return true;
    }
    return w->claim != NULL;
}

/* What is going to change, for readers. False: out of memory. */
static bool slots_note(struct work *w)
{
    struct call *c = &w->call;
    if (!w->whole || !(c->command->flags & (CMD_WRITE | CMD_EXEC)))
        return true;
    if (c->command->flags & CMD_EXEC)
        return exec_note_slots(c, w->claim);
    bool noted = true;
    for (uint32_t i = 0; noted && i < c->key_count; i++) {
        noted = claim_note_slot(w->claim, c->keys[i].slot);
        call_pace(c, 1);
    }
    return noted;
}

/* ---- running ---- */

/* EXEC ends its transaction, whatever it answers. */
static void work_refuse(struct call *c, const char *text)
{
    if (c->command->flags & CMD_EXEC)
        transaction_discard(c->session);
    reply_error(c->reply, text);
}

/* On the fiber. */
static void work_main(void *arg)
{
    struct work *w = arg;
    struct call *c = &w->call;
    if (!w->keys_found)
        keys_find(w);
    if (!slots_note(w)) {
        work_refuse(c, REPLY_OOM);
        return;
    }
    /* The keys may have moved to another node meanwhile. */
    char text[REDIRECT_TEXT_SIZE];
    if (!redirect_check(c, text)) {
        work_refuse(c, text);
        return;
    }
    while (!ks_claim_open(c->ks, w->claim, SLOTS_PER_PIECE))
        call_pace(c, WORK_PIECE);
    command_run(c);
    CHECK(c->verdict == CALL_DONE);
    while (!ks_claim_close(c->ks, w->claim, SLOTS_PER_PIECE))
        call_pace(c, WORK_PIECE);
}

bool work_pace(struct work *w, uint32_t cost)
{
    const struct call *c = &w->call;
    bool changes = c->command->flags & (CMD_WRITE | CMD_EXEC);
    w->units += cost;
    if (w->units >= WORK_PIECE) {
        w->units = 0;
        fiber_yield(w->fiber);
    }
    return changes || !(c->session->flags & SESSION_CLOSING);
}

/* One piece; true: the command has ended. */
static bool work_piece(struct work *w)
{
    struct call *c = &w->call;
    struct worker *worker = c->worker;
    uint64_t start = clock_tsc();
    worker->tsc = start - w->part_cycles;
    metric_inc(long_command_pieces);
    ks_claim_enter(c->ks, w->claim, w->now_ms);
    bool ended = fiber_resume(w->fiber);
    ks_claim_leave(c->ks);
    c->ks->met_claim = false;
    uint64_t end = clock_tsc();
    w->part_cycles = end - worker->tsc;
    w->cycles += end - start;
    worker->tsc = 0;
    return ended;
}

/* The reply goes out as a whole. */
static void work_end(struct work *w)
{
    struct call *c = &w->call;
    if (w->claim)
        ks_claim_release(c->ks, w->claim);
    command_account(c, w->cycles);
    struct session *s = c->session;
    if (s->stream && !s->reply.muted)
        outbuf_splice(s->reply.out, &w->out);
}

static bool work_step(struct job *j)
{
    struct work *w = container_from(j, struct work, job);
    struct worker *worker = w->call.worker;
    if (!w->fiber) {
        bool alone;
        w->fiber = job_fiber_take(worker, &alone);
        if (!w->fiber && !alone)
            return false;
        if (!w->fiber) {
            reply_error(w->call.reply, REPLY_OOM);
            work_end(w);
            return true;
        }
        w->now_ms = w->call.ks->now_ms;
        fiber_start(w->fiber, work_main, w);
    }
    if (!work_piece(w))
        return false;
    job_fiber_give(worker, w->fiber);
    w->fiber = NULL;
    work_end(w);
    return true;
}

/* ---- waiting ---- */

static void work_begin(struct work *w)
{
    job_add(&w->job);
}

static void mail_run(struct mail *mail, void *receiver)
{
    struct work *w = container_from(mail, struct work, mail);
    if (!w->cancelled) {
        work_begin(w);
        return;
    }
    ks_claim_release(w->call.ks, w->claim);
    work_free(w);
}

/* On any lcore. */
static void work_granted(void *arg)
{
    struct work *w = arg;
    mail_post(&w->call.worker->mailbox, &w->mail);
}

/* The client goes before its command has begun. */
static void work_cancel(struct session *s)
{
    struct work *w = s->parked;
    CHECK(!(s->flags & SESSION_BUSY));
    if (ks_claim_cancel(w->call.ks, w->claim))
        work_free(w);
    else
        w->cancelled = true;
}

/* ---- starting ---- */

static struct work *work_new(struct call *c)
{
    struct work *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    outbuf_init(&w->out);
    if (!session_args_keep(c->session, c->argv, c->argc, &w->args)) {
        free(w);
        return NULL;
    }
    w->call = *c;
    w->call.argv = w->args.argv;
    w->call.keys = NULL;
    w->call.first_key = NULL; /* the burst's */
    w->call.key_count = 0;
    w->call.verdict = CALL_DONE;
    w->call.work = w;
    w->call.paced = true;
    w->call.reply = &w->reply;
    w->reply = *c->reply;
    w->reply.out = &w->out;
    w->reply.failed = false;
    w->mail.run = mail_run;
    w->job = (struct job){
        .step = work_step,
        .free = work_job_free,
        .worker = c->worker,
        .session = c->session,
        .ks = c->ks,
        .must_end = true,
    };
    /* Until it has a fiber nothing can be put off: keys are found in one go. */
    w->call.paced = false;
    if (!claim_make(w, c->verdict)) {
        session_args_return(c->session, &w->args);
        work_free(w);
        return NULL;
    }
    w->call.paced = true;
    return w;
}

void work_start(struct call *c)
{
    struct work *w = work_new(c);
    if (!w) {
        reply_error(c->reply, REPLY_OOM);
        return;
    }
    metric_inc(long_commands);
    session_park(c->session, w, work_cancel);
    if (!w->claim || ks_claim(c->ks, w->claim, work_granted, w))
        work_begin(w);
}

/* ---- meeting claims ---- */

bool call_may_enter(struct call *c)
{
    bool written[KS_LOCK_MANY_MAX];
    CHECK(c->key_count <= KS_LOCK_MANY_MAX);
    command_keys_written(c->command, c->argv, c->argc, written, c->key_count);
    for (uint32_t i = 0; i < c->key_count; i++) {
        if (!ks_claim_allows(c->ks, &c->keys[i], written[i])) {
            c->verdict = CALL_BLOCKED;
            return false;
        }
    }
    return true;
}

bool call_lock_claimed(struct call *c, const struct key *key)
{
    bool met = c->ks->met_claim;
    if (c->in_exec || c->work || (!met && ks_claim_allows(c->ks, key, true)))
        return true;
    c->verdict = CALL_BLOCKED;
    ks_unlock(c->ks, key->slot);
    return false;
}

bool call_lock_read(struct call *c, const struct key *key)
{
    if (!ks_lock(c->ks, key->slot) || c->in_exec || c->work || ks_claim_allows(c->ks, key, false))
        return true;
    c->verdict = CALL_BLOCKED;
    c->wait_for = key;
    ks_unlock(c->ks, key->slot);
    return false;
}
