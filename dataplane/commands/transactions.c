#include "transaction.h"
#include <stdlib.h>
#include "check.h"
#include "families.h"
#include "session.h"

void cmd_multi(struct call *c)
{
    if (c->session->flags & SESSION_MULTI) {
        reply_error(c->reply, "ERR MULTI calls can not be nested");
        return;
    }
    transaction_begin(c->session);
    reply_ok(c->reply);
}

void cmd_discard(struct call *c)
{
    if (!(c->session->flags & SESSION_MULTI)) {
        reply_error(c->reply, "ERR DISCARD without MULTI");
        return;
    }
    transaction_discard(c->session);
    reply_ok(c->reply);
}

static bool transaction_is_dirty(const struct session *s)
{
    return s->transaction && atomic_load_explicit(&s->transaction->dirty, memory_order_acquire);
}

void cmd_watch(struct call *c)
{
    if (c->session->flags & SESSION_MULTI) {
        reply_error(c->reply, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    /* EXEC fails already: no use in watching more. */
    for (uint32_t i = 0; i < c->key_count && !transaction_is_dirty(c->session); i++)
        transaction_watch(c->session, &c->keys[i]);
    reply_ok(c->reply);
}

void cmd_unwatch(struct call *c)
{
    transaction_unwatch(c->session);
    reply_ok(c->reply);
}

/* ---- EXEC ---- */

/* The slots that EXEC must hold. */
struct slot_list {
    uint16_t slots[KS_LOCK_MANY_MAX];
    unsigned count;
    bool all;
};

static void slot_list_add(struct slot_list *l, uint16_t slot)
{
    if (l->count > 0 && l->slots[l->count - 1] == slot)
        return;
    if (l->count == KS_LOCK_MANY_MAX) {
        l->all = true;
        return;
    }
    l->slots[l->count++] = slot;
}

static void slot_list_add_command(struct slot_list *l, const struct queued_command *q)
{
    uint32_t at[KS_LOCK_MANY_MAX];
    if (q->command->flags & CMD_LOCK_ALL)
        l->all = true;
    int count = command_keys(q->command, q->argv, q->argc, at, KS_LOCK_MANY_MAX);
    if (count > KS_LOCK_MANY_MAX)
        l->all = true;
    for (int i = 0; i < count && !l->all; i++)
        slot_list_add(l, key_slot(q->argv[at[i]]));
}

static void exec_lock(struct call *c, const struct transaction *t)
{
    struct slot_list l = {.count = 0};
    for (uint32_t i = 0; i < t->count && !l.all; i++)
        slot_list_add_command(&l, &t->queue[i]);
    for (struct watched_key *k = t->watched; k && !l.all; k = k->next)
        slot_list_add(&l, k->key.slot);
    ks_lock_many(c->ks, l.slots, l.all ? 0 : l.count, l.all);
}

/* With the slots held nothing can change any more. A watched key whose time has come is deleted
 * here, which counts as a change unless it was expired when WATCH saw it. */
static bool exec_is_clean(struct call *c, struct transaction *t)
{
    for (struct watched_key *k = t->watched; k; k = k->next)
        ks_find(c->ks, &k->key, KS_READ_NO_TOUCH | KS_READ_NO_STATS);
    return !atomic_load_explicit(&t->dirty, memory_order_acquire);
}

static void exec_queue(struct call *c, const struct transaction *t)
{
    struct worker *w = c->worker;
    uint64_t start_tsc = w->tsc;
    reply_array(c->reply, t->count);
    for (uint32_t i = 0; i < t->count; i++) {
        const struct queued_command *q = &t->queue[i];
        struct call queued = {
            .worker = w,
            .session = c->session,
            .ks = c->ks,
            .reply = c->reply,
            .command = q->command,
            .argv = q->argv,
            .argc = q->argc,
            .in_exec = true,
        };
        command_call_queued(&queued);
    }
    /* EXEC's own duration is that of the whole; its commands' errors are theirs. */
    w->tsc = start_tsc;
    c->reply->failed = false;
}

static void exec_run(struct call *c, struct transaction *t)
{
    ks_freeze_time(c->ks, true);
    exec_lock(c, t);
    if (exec_is_clean(c, t)) {
        transaction_unwatch(c->session);
        exec_queue(c, t);
    } else {
        reply_null_array(c->reply);
    }
    ks_unlock_many(c->ks);
    ks_freeze_time(c->ks, false);
}

void cmd_exec(struct call *c)
{
    struct session *s = c->session;
    if (!(s->flags & SESSION_MULTI)) {
        reply_error(c->reply, "ERR EXEC without MULTI");
        return;
    }
    if (s->flags & SESSION_MULTI_FAILED)
        reply_error(c->reply, "EXECABORT Transaction discarded because of previous errors.");
    else
        exec_run(c, s->transaction);
    transaction_discard(s);
}
