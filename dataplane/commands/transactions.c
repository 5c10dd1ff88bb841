#include "transaction.h"
#include <stdlib.h>
#include "check.h"
#include "exec.h"
#include "families.h"
#include "object.h"
#include "session.h"
#include "work.h"

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

/* A command whose keys are not declared may look at any, or change them. */
static bool keys_unknown(const struct queued_command *q)
{
    return q->command->flags & CMD_LOCK_ALL || q->command->handler == cmd_debug;
}

static bool may_change(const struct transaction *t)
{
    for (uint32_t i = 0; i < t->count; i++) {
        if (t->queue[i].command->flags & CMD_WRITE || keys_unknown(&t->queue[i]))
            return true;
    }
    return false;
}

/* The slots that EXEC must hold. False: too many, or unknown ones. */
struct slot_list {
    uint16_t slots[KS_LOCK_MANY_MAX];
    unsigned count;
};

static bool slot_list_add(struct slot_list *l, uint16_t slot)
{
    if (l->count > 0 && l->slots[l->count - 1] == slot)
        return true;
    if (l->count == KS_LOCK_MANY_MAX)
        return false;
    l->slots[l->count++] = slot;
    return true;
}

static bool slot_list_add_command(struct slot_list *l, const struct queued_command *q)
{
    uint32_t at[KS_LOCK_MANY_MAX];
    int count = command_keys(q->command, q->argv, q->argc, at, KS_LOCK_MANY_MAX);
    bool fits = count <= KS_LOCK_MANY_MAX && !keys_unknown(q);
    for (int i = 0; i < count && fits; i++)
        fits = slot_list_add(l, key_slot(q->argv[at[i]]));
    return fits;
}

static bool slot_list_fill(struct slot_list *l, const struct transaction *t)
{
    bool fits = true;
    l->count = 0;
    for (uint32_t i = 0; i < t->count && fits; i++)
        fits = slot_list_add_command(l, &t->queue[i]);
    for (struct watched_key *k = t->watched; k && fits; k = k->next)
        fits = slot_list_add(l, k->key.slot);
    return fits;
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
        struct queued_command *q = &t->queue[i];
        struct call queued = {
            .worker = w,
            .session = c->session,
            .ks = c->ks,
            .reply = c->reply,
            .command = q->command,
            .argv = q->argv,
            .argc = q->argc,
            .in_exec = true,
            .paced = c->paced,
            .work = c->work,
        };
        command_call_queued(&queued);
        if (c->paced) { /* so that the end has less to do */
            kept_args_free(&q->args);
            call_pace(c, 2);
        }
    }
    /* EXEC's own duration is that of the whole; its commands' errors are theirs. */
    w->tsc = start_tsc;
    c->reply->failed = false;
}

static void exec_held(struct call *c, struct transaction *t)
{
    if (exec_is_clean(c, t)) {
        transaction_unwatch(c->session);
        exec_queue(c, t);
    } else {
        reply_null_array(c->reply);
    }
}

/* ---- EXEC in pieces ---- */

#define EXEC_COMMANDS_MAX 256

/* Calls each() for the keys of all queued commands and the watched ones until it returns false.
 * False: it did, or some keys are unknown, or a command has more than KS_LOCK_MANY_MAX. */
static bool exec_each_key(const struct transaction *t,
                          bool (*each)(void *arg, const struct queued_command *q,
                                       const struct key *key, bool written),
                          void *arg)
{
    for (uint32_t i = 0; i < t->count; i++) {
        const struct queued_command *q = &t->queue[i];
        uint32_t at[KS_LOCK_MANY_MAX];
        bool written[KS_LOCK_MANY_MAX];
        int count = command_keys(q->command, q->argv, q->argc, at, KS_LOCK_MANY_MAX);
        if (count > KS_LOCK_MANY_MAX || keys_unknown(q))
            return false;
        if (count > 0)
            command_keys_written(q->command, q->argv, q->argc, written, (uint32_t)count);
        for (int k = 0; k < count; k++) {
            struct key key = key_of(q->argv[at[k]]);
            if (!each(arg, q, &key, written[k]))
                return false;
        }
    }
    for (const struct watched_key *k = t->watched; k; k = k->next)
        if (!each(arg, NULL, &k->key, false))
            return false;
    return true;
}

static bool key_allowed(void *arg, const struct queued_command *q, const struct key *key,
                        bool written)
{
    struct call *c = arg;
    return ks_claim_allows(c->ks, key, written);
}

struct exec_size {
    struct call *c;
    uint64_t elements;
};

/* O(1) commands do not care how large a value is. Of those that Redis counts among them, popping
 * and removing takes as long as is asked for. */
static bool size_matters(const struct queued_command *q)
{
    uint32_t flags = q->command->flags;
    if (q->command->acl & ACL_STRING)
        return false;
    return !(flags & CMD_FAST) || (flags & (CMD_WRITE | CMD_DENYOOM)) == CMD_WRITE;
}

static bool key_measure(void *arg, const struct queued_command *q, const struct key *key,
                        bool written)
{
    struct exec_size *size = arg;
    if (!q || !size_matters(q))
        return true;
    const struct entry *e = ks_find(size->c->ks, key, KS_READ_NO_TOUCH | KS_READ_NO_STATS);
    if (e && entry_type(e) != OBJ_STRING)
        size->elements += object_count(entry_type(e), entry_object(e));
    return size->elements <= WORK_ELEMENTS_MAX;
}

/* [locked] */
static bool exec_is_long(struct call *c, const struct transaction *t)
{
    struct exec_size size = {.c = c};
    bool may = false;
    for (uint32_t i = 0; i < t->count && !may; i++)
        may = size_matters(&t->queue[i]);
    return may && !exec_each_key(t, key_measure, &size);
}

/* In one go, under the locks of its slots, or not at all: then verdict says why. */
static void exec_at_once(struct call *c, struct transaction *t)
{
    struct slot_list l;
    if (t->count > EXEC_COMMANDS_MAX || t->arg_count > WORK_ARGS_MAX || !slot_list_fill(&l, t)) {
        c->verdict = CALL_LONG;
        return;
    }
    ks_freeze_time(c->ks, true);
    bool claimed = ks_lock_many(c->ks, l.slots, l.count, false);
    if (claimed && !exec_each_key(t, key_allowed, c))
        c->verdict = CALL_BLOCKED;
    else if (exec_is_long(c, t))
        c->verdict = CALL_LONG;
    else
        exec_held(c, t);
    ks_unlock_many(c->ks);
    ks_freeze_time(c->ks, false);
}

struct exec_keys {
    struct claim *claim; /* NULL: only counted */
    unsigned count;
};

static bool key_add(void *arg, const struct queued_command *q, const struct key *key, bool written)
{
    struct exec_keys *keys = arg;
    if (keys->count++ == KS_LOCK_MANY_MAX)
        return false;
    if (keys->claim)
        claim_add_key(keys->claim, key, written);
    return true;
}

struct claim *exec_claim(struct call *c, bool *whole)
{
    const struct transaction *t = c->session->transaction;
    struct exec_keys keys = {0};
    *whole = t->count > EXEC_COMMANDS_MAX || !exec_each_key(t, key_add, &keys);
    keys.claim = claim_new(*whole ? 1 : keys.count);
    if (!keys.claim)
        return NULL;
    keys.count = 0;
    if (*whole)
        claim_add_all(keys.claim, may_change(t));
    else
        exec_each_key(t, key_add, &keys);
    return keys.claim;
}

bool exec_note_slots(struct call *c, struct claim *claim)
{
    const struct transaction *t = c->session->transaction;
    bool noted = true;
    for (uint32_t i = 0; i < t->count && noted; i++) {
        const struct queued_command *q = &t->queue[i];
        struct call queued = {.command = q->command,
                              .argv = q->argv,
                              .argc = q->argc,
                              .paced = c->paced,
                              .work = c->work};
        struct key room[COMMAND_KEYS_INLINE], *allocated = NULL;
        if (q->command->keys[0].begin != 0)
            command_keys_find(&queued, room, &allocated);
        for (uint32_t k = 0; k < queued.key_count && noted; k++)
            noted = claim_note_slot(claim, queued.keys[k].slot);
        free(allocated);
        call_pace(c, 1);
    }
    return noted;
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
    else if (c->work)
        exec_held(c, s->transaction);
    else
        exec_at_once(c, s->transaction);
    if (c->verdict == CALL_DONE)
        transaction_discard(s);
}
