#include "command.h"
#include <stdlib.h>
#include "admit.h"
#include "check.h"
#include "clock.h"
#include "families.h"
#include "metrics.h"
#include "redact.h"
#include "session.h"
#include "stats.h"
#include "watching.h"
#include "work.h"

/* ---- looking ahead ---- */

void command_prefetch_slot(struct worker *w, const struct slice *argv, uint32_t argc,
                           struct command_hint *hint)
{
    w->tsc = 0; /* a new burst: the first command starts its own clock */
    hint->has_key = false;
    hint->command = command_lookup(argv[0]);
    if (likely_false(!hint->command))
        return;
    const struct key_spec *spec = &hint->command->keys[0];
    if (spec->begin <= 0 || spec->keyword || spec->keynum_step || (uint32_t)spec->begin >= argc)
        return;
    hint->key = key_of(argv[spec->begin]);
    hint->has_key = true;
    ks_prefetch_slot(w->ks, &hint->key, (hint->command->flags & CMD_WRITE) != 0);
}

void command_prefetch_bucket(struct worker *w, const struct command_hint *hint)
{
    if (hint->has_key)
        ks_prefetch_bucket(w->ks, &hint->key);
}

void command_prefetch_entry(struct worker *w, const struct command_hint *hint)
{
    if (hint->has_key)
        ks_prefetch_entry(w->ks, &hint->key);
}

/* ---- keys of one call ---- */

struct call_keys {
    struct key room[COMMAND_KEYS_INLINE];
    struct key *allocated;
};

void command_keys_find(struct call *c, struct key room[COMMAND_KEYS_INLINE], struct key **allocated)
{
    uint32_t inline_at[COMMAND_KEYS_INLINE], *at = inline_at;
    int count = command_keys(c->command, c->argv, c->argc, at, COMMAND_KEYS_INLINE);
    c->keys = room;
    *allocated = NULL;
    if (count <= 0)
        return; /* the handler says what is wrong with a key count */
    if (count > COMMAND_KEYS_INLINE) {
        at = malloc((size_t)count * sizeof(*at));
        *allocated = malloc((size_t)count * sizeof(**allocated));
        CHECK(at && *allocated);
        c->keys = *allocated;
        count = command_keys(c->command, c->argv, c->argc, at, (uint32_t)count);
    }
    for (int i = 0; i < count; i++) {
        c->keys[i] = key_of(c->argv[at[i]]);
        call_pace(c, 1);
    }
    c->key_count = (uint32_t)count;
    if (at != inline_at)
        free(at);
}

static void keys_find(struct call *c, struct call_keys *keys, const struct command_hint *hint)
{
    c->keys = keys->room;
    keys->allocated = NULL;
    if (likely_true(c->command->flags & CMD_ONE_KEY)) {
        keys->room[0] =
            hint && hint->has_key ? hint->key : key_of(c->argv[c->command->keys[0].begin]);
        c->key_count = 1;
        return;
    }
    if (c->command->keys[0].begin != 0)
        command_keys_find(c, keys->room, &keys->allocated);
}

/* ---- running ---- */

static void run_locking_many(struct call *c)
{
    uint16_t slots[KS_LOCK_MANY_MAX];
    if (c->key_count > KS_LOCK_MANY_MAX) {
        c->verdict = CALL_LONG;
        return;
    }
    for (uint32_t i = 0; i < c->key_count; i++)
        slots[i] = c->keys[i].slot;
    bool claimed = ks_lock_many(c->ks, slots, c->key_count, false);
    if (likely_true(!claimed) || call_may_enter(c))
        c->command->handler(c);
    ks_unlock_many(c->ks);
}

void command_run(struct call *c)
{
    uint32_t lock = c->command->flags & (CMD_LOCK_KEYS | CMD_LOCK_ALL);
    if (!lock || c->in_exec || c->work) {
        c->command->handler(c);
    } else if (lock & CMD_LOCK_ALL) {
        c->verdict = CALL_BLOCKED; /* a claim of the whole keyspace is as quick as its locks */
    } else if (likely_true(c->key_count == 1)) {
        uint16_t slot = c->keys[0].slot;
        bool claimed = ks_lock(c->ks, slot);
        if (likely_true(!claimed) || call_may_enter(c))
            c->command->handler(c);
        ks_unlock(c->ks, slot);
    } else if (c->key_count == 0) {
        c->command->handler(c);
    } else {
        run_locking_many(c);
    }
}

static uint64_t cycles_to_us(uint64_t cycles)
{
    /* us per cycle << 40. Whoever finds it missing stores the same value: relaxed. */
    static _Atomic(uint64_t) known;
    uint64_t factor = atomic_load_explicit(&known, memory_order_relaxed);
    if (likely_false(!factor)) {
        factor = (uint64_t)((double)(UINT64_C(1) << 40) * 1e6 / (double)clock_tsc_hz());
        atomic_store_explicit(&known, factor, memory_order_relaxed);
    }
    return (uint64_t)((unsigned __int128)cycles * factor >> 40);
}

static void note_slow(struct call *c, uint64_t us)
{
    struct slice room[REDACT_ARGS_MAX];
    const struct slice *argv = redact_secrets(c->command, c->argv, c->argc, room);
    slowlog_note(c->worker, c->session, argv, c->argc, us);
}

/* Slow log and latency monitor; rarely more than one comparison each. */
static void note_duration(struct call *c, uint64_t cycles)
{
    struct worker *w = c->worker;
    const struct config *config = w->config;
    uint64_t us = cycles_to_us(cycles);
    if (config->latency_tracking)
        latency_sample(w, c->command, us);
    if (likely_false(config->slowlog_log_slower_than_us >= 0 &&
                     us >= (uint64_t)config->slowlog_log_slower_than_us &&
                     !(c->command->flags & CMD_SKIP_SLOWLOG)))
        note_slow(c, us);
    if (likely_false(config->latency_monitor_threshold_ms > 0 &&
                     us >= (uint64_t)config->latency_monitor_threshold_ms * 1000))
        latency_note(w, c->command->flags & CMD_FAST ? "fast-command" : "command", us / 1000);
}

/* The handler said that it is long, or somebody's claim is in the way: what it has replied does not
 * count. False: it is done. A changing handler looks at claims under its lock, whatever it met
 * before. */
static bool put_off(struct call *c, size_t replied_before)
{
    bool met = c->ks->met_claim;
    c->ks->met_claim = false;
    if (c->in_exec)
        return false;
    if (met && c->verdict == CALL_DONE && c->command->flags & CMD_LOCK_NONE)
        c->verdict = CALL_BLOCKED;
    if (c->verdict == CALL_DONE)
        return false;
    outbuf_truncate(c->reply->out, c->reply->out->len - replied_before);
    c->worker->tsc = 0;
    work_start(c);
    return true;
}

static void command_call(struct call *c)
{
    struct worker *w = c->worker;
    if (w->tsc == 0)
        w->tsc = clock_tsc();
    size_t replied_before = c->reply->out->len;
    c->reply->failed = false;
    command_run(c);
    if (likely_false(c->verdict != CALL_DONE || c->ks->met_claim) && put_off(c, replied_before))
        return;
    uint64_t now = clock_tsc();
    uint64_t cycles = now - w->tsc;
    w->tsc = now;
    command_account(c, cycles);
}

void command_account(struct call *c, uint64_t cycles)
{
    struct worker *w = c->worker;
    metric_inc(commands_processed);
    struct command_stats *stats = &w->command_stats[c->command->id];
    stat_add(&stats->calls, 1);
    stat_add(&stats->cycles, cycles);
    if (likely_false(c->reply->failed))
        stat_add(&stats->failed, 1);
    note_duration(c, cycles);
}

void command_call_queued(struct call *c)
{
    struct call_keys keys;
    keys_find(c, &keys, NULL);
    command_call(c);
    free(keys.allocated);
}

/* ASKING is for one command, or one transaction. */
static void asking_end(const struct call *c)
{
    struct session *s = c->session;
    bool was_asking = c->command && c->command->handler == cmd_asking;
    if (!was_asking && !(s->flags & (SESSION_MULTI | SESSION_PAUSED)))
        s->flags &= ~(uint32_t)SESSION_ASKING;
}

void command_execute(struct session *s, const struct slice *argv, uint32_t argc,
                     const struct command_hint *hint)
{
    struct worker *w = s->worker;
    struct call c = {
        .worker = w,
        .session = s,
        .ks = w->ks,
        .reply = &s->reply,
        .command = hint ? hint->command : command_lookup(argv[0]),
        .argv = argv,
        .argc = argc,
        .asking = (s->flags & SESSION_ASKING) != 0,
        .first_key = hint && hint->has_key ? &hint->key : NULL,
    };
    if (!hint)
        w->tsc = 0;
    if (likely_true(admit(&c) == ADMIT_RUN)) {
        struct call_keys keys;
        if (likely_false(argc > WORK_ARGS_MAX && c.command->keys[0].begin != 0)) {
            c.verdict = CALL_LONG; /* its keys are hashed in pieces, too */
            work_start(&c);
        } else {
            keys_find(&c, &keys, hint);
            command_call(&c);
            free(keys.allocated);
        }
    }
    if (likely_false(s->flags & SESSION_ASKING))
        asking_end(&c);
    if (likely_false(s->flags & (SESSION_REPLY_SKIP | SESSION_REPLY_SKIP_NEXT)) &&
        !(s->flags & (SESSION_PAUSED | SESSION_PARKED)))
        session_reply_mode_advance(s);
}
