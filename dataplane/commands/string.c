/* Strings as a whole: the GET and SET families. What edits a string in part stands in
 * string_edit.c. */
#include <stdlib.h>
#include "families.h"
#include "keyhash.h"
#include "set_options.h"
#include "string_value.h"
#include "work.h"

/* ---- reading ---- */

void cmd_get(struct call *c)
{
    const struct entry *e = ks_get(c->ks, &c->keys[0], 0);
    if (!e)
        reply_null(c->reply);
    else if (likely_true(entry_type(e) == OBJ_STRING))
        string_reply(c->reply, e);
    else
        reply_error(c->reply, REPLY_WRONG_TYPE);
}

void cmd_strlen(struct call *c)
{
    const struct entry *e = ks_get(c->ks, &c->keys[0], 0);
    if (string_check_type(c, e))
        reply_i64(c->reply, e ? (int64_t)entry_string_len(e) : 0);
}

/* Entries of a many-key command: on the stack for the usual size. NULL: out of memory. */
#define MANY_INLINE 64

static void *many_room(struct call *c, void *inline_room, size_t each)
{
    if (c->key_count <= MANY_INLINE)
        return inline_room;
    void *room = calloc(c->key_count, each);
    if (!room)
        reply_error(c->reply, REPLY_OOM);
    return room;
}

static void reply_if_string(struct call *c, const struct entry *e)
{
    if (e && entry_type(e) == OBJ_STRING)
        string_reply(c->reply, e);
    else
        reply_null(c->reply);
}

void cmd_mget(struct call *c)
{
    if (c->work) { /* its claim makes one instant of it */
        reply_array(c->reply, c->key_count);
        for (uint32_t i = 0; i < c->key_count && call_pace(c, 1); i++)
            reply_if_string(c, ks_get(c->ks, &c->keys[i], 0));
        return;
    }
    const struct entry *inline_room[MANY_INLINE];
    const struct entry **found = many_room(c, inline_room, sizeof(inline_room[0]));
    if (!found)
        return;
    ks_get_many(c->ks, c->keys, c->key_count, found, 0);
    reply_array(c->reply, c->key_count);
    for (uint32_t i = 0; i < c->key_count; i++)
        reply_if_string(c, found[i]);
    if (found != inline_room)
        free(found);
}

/* ---- storing ---- */

enum set_result { SET_DONE, SET_REFUSED /* by NX or XX */, SET_FAILED /* replied already */ };

struct set_request {
    struct slice value;
    int64_t expiry_ms;
    unsigned flags;          /* enum set_flags */
    const struct entry *old; /* out: what was there */
};

/* KEEPTTL: the new entry gets the expiry that the old one has under the lock. */
static bool set_keep_expiry(struct call *c, struct set_request *q, const struct entry *old,
                            struct entry **e)
{
    int64_t expiry_ms = old ? entry_expiry_ms(old) : EXPIRY_NONE;
    if (expiry_ms == q->expiry_ms)
        return true;
    ks_entry_discard(c->ks, *e);
    q->expiry_ms = expiry_ms;
    *e = ks_entry_string(c->ks, &c->keys[0], q->value, expiry_ms);
    return *e != NULL;
}

static enum set_result set_store_locked(struct call *c, struct set_request *q, struct entry **e)
{
    const struct key *key = &c->keys[0];
    if (q->flags & (SET_NX | SET_XX | SET_GET | SET_KEEPTTL)) {
        q->old = ks_find(c->ks, key, q->flags & SET_GET ? 0 : KS_READ_NO_STATS);
        if ((q->flags & SET_GET) && !string_check_type(c, q->old))
            return SET_FAILED;
        if ((q->flags & SET_NX) && q->old)
            return SET_REFUSED;
        if ((q->flags & SET_XX) && !q->old)
            return SET_REFUSED;
        if ((q->flags & SET_KEEPTTL) && !set_keep_expiry(c, q, q->old, e)) {
            reply_error(c->reply, REPLY_OOM);
            return SET_FAILED;
        }
    }
    ks_put(c->ks, key, *e);
    *e = NULL;
    return SET_DONE;
}

/* The entry is made before the lock is taken, and dropped when it is not wanted. */
static enum set_result set_store(struct call *c, struct set_request *q)
{
    const struct key *key = &c->keys[0];
    if (q->flags & SET_KEEPTTL) {
        const struct entry *old = ks_get(c->ks, key, KS_READ_NO_STATS | KS_READ_NO_TOUCH);
        q->expiry_ms = old ? entry_expiry_ms(old) : EXPIRY_NONE;
    }
    struct entry *e = ks_entry_string(c->ks, key, q->value, q->expiry_ms);
    if (likely_false(!e)) {
        reply_error(c->reply, REPLY_OOM);
        return SET_FAILED;
    }
    enum set_result result = SET_FAILED;
    if (likely_true(call_lock(c, key))) {
        result = set_store_locked(c, q, &e);
        ks_unlock(c->ks, key->slot);
    }
    if (e)
        ks_entry_discard(c->ks, e);
    return result;
}

static void reply_old(struct call *c, const struct entry *old)
{
    if (old)
        string_reply(c->reply, old);
    else
        reply_null(c->reply);
}

/* SET key value without options needs none of the checks. */
static void set_plain(struct call *c)
{
    const struct key *key = &c->keys[0];
    struct entry *e = ks_entry_string(c->ks, key, c->argv[2], EXPIRY_NONE);
    if (likely_false(!e)) {
        reply_error(c->reply, REPLY_OOM);
        return;
    }
    if (likely_false(!call_lock(c, key))) {
        ks_entry_discard(c->ks, e);
        return;
    }
    ks_put(c->ks, key, e);
    ks_unlock(c->ks, key->slot);
    reply_ok(c->reply);
}

void cmd_set(struct call *c)
{
    if (likely_true(c->argc == 3)) {
        set_plain(c);
        return;
    }
    struct set_options options;
    if (!set_options_parse(c->argv, c->argc, 3, false, &options)) {
        reply_error(c->reply, REPLY_SYNTAX);
        return;
    }
    struct set_request q = {c->argv[2], EXPIRY_NONE, options.flags, NULL};
    if ((options.flags & SET_TIMES) &&
        !set_time_resolve(c, options.time, options.flags, &q.expiry_ms))
        return;
    enum set_result result = set_store(c, &q);
    if (result == SET_FAILED)
        return;
    if (options.flags & SET_GET)
        reply_old(c, q.old);
    else if (result == SET_REFUSED)
        reply_null(c->reply);
    else
        reply_ok(c->reply);
}

void cmd_setnx(struct call *c)
{
    struct set_request q = {c->argv[2], EXPIRY_NONE, SET_NX, NULL};
    enum set_result result = set_store(c, &q);
    if (result != SET_FAILED)
        reply_i64(c->reply, result == SET_DONE);
}

static void set_with_time(struct call *c, unsigned unit)
{
    struct set_request q = {c->argv[3], EXPIRY_NONE, 0, NULL};
    if (set_time_resolve(c, c->argv[2], unit, &q.expiry_ms) && set_store(c, &q) == SET_DONE)
        reply_ok(c->reply);
}

void cmd_setex(struct call *c)
{
    set_with_time(c, SET_EX);
}

void cmd_psetex(struct call *c)
{
    set_with_time(c, SET_PX);
}

void cmd_getset(struct call *c)
{
    struct set_request q = {c->argv[2], EXPIRY_NONE, SET_GET, NULL};
    if (set_store(c, &q) == SET_DONE)
        reply_old(c, q.old);
}

void cmd_getdel(struct call *c)
{
    const struct key *key = &c->keys[0];
    const struct entry *old = ks_find(c->ks, key, 0);
    if (!string_check_type(c, old))
        return;
    reply_old(c, old);
    if (old)
        ks_delete(c->ks, key);
}

void cmd_getex(struct call *c)
{
    const struct key *key = &c->keys[0];
    struct set_options options;
    if (!set_options_parse(c->argv, c->argc, 2, true, &options)) {
        reply_error(c->reply, REPLY_SYNTAX);
        return;
    }
    const struct entry *e = ks_find(c->ks, key, 0);
    if (!e) {
        reply_null(c->reply);
        return;
    }
    int64_t expiry_ms = EXPIRY_NONE;
    if (!string_check_type(c, e) || ((options.flags & SET_TIMES) &&
                                     !set_time_resolve(c, options.time, options.flags, &expiry_ms)))
        return;
    if (!(options.flags & (SET_TIMES | SET_PERSIST))) {
        string_reply(c->reply, e);
        return;
    }
    if (expiry_ms != EXPIRY_NONE && expiry_ms <= c->ks->now_ms)
        ks_delete(c->ks, key);
    else if (!ks_set_expiry(c->ks, key, expiry_ms)) {
        reply_error(c->reply, REPLY_OOM);
        return;
    }
    /* What was replaced stays readable until the lcore is quiescent. */
    string_reply(c->reply, e);
}

/* ---- several at once ---- */

static void discard_all(struct call *c, struct entry **e, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        ks_entry_discard(c->ks, e[i]);
        call_pace(c, 1);
    }
}

/* Entries for all pairs, before any lock; false: replied -OOM. */
static bool mset_prepare(struct call *c, struct entry **e)
{
    for (uint32_t i = 0; i < c->key_count; i++) {
        e[i] = ks_entry_string(c->ks, &c->keys[i], c->argv[2 + 2 * i], EXPIRY_NONE);
        if (!e[i]) {
            discard_all(c, e, i);
            reply_error(c->reply, REPLY_OOM);
            return false;
        }
        call_pace(c, work_cost(c->argv[2 + 2 * i].len));
    }
    return true;
}

static bool mset_any_exists(struct call *c)
{
    for (uint32_t i = 0; i < c->key_count; i++) {
        if (ks_find(c->ks, &c->keys[i], KS_READ_NO_STATS))
            return true;
        call_pace(c, 1);
    }
    return false;
}

/* True when stored. */
static bool mset_store_held(struct call *c, struct entry **e, bool only_new)
{
    if (only_new && mset_any_exists(c))
        return false;
    for (uint32_t i = 0; i < c->key_count; i++) {
        ks_put(c->ks, &c->keys[i], e[i]);
        call_pace(c, 2);
    }
    return true;
}

enum mset_result { MSET_STORED, MSET_NOT_STORED, MSET_FAILED /* replied, or put off */ };

static enum mset_result mset_store(struct call *c, struct entry **e, bool only_new)
{
    uint16_t slots[KS_LOCK_MANY_MAX];
    bool held = c->in_exec || c->work, stored = false;
    for (uint32_t i = 0; !held && i < c->key_count; i++)
        slots[i] = c->keys[i].slot;
    bool claimed = !held && ks_lock_many(c->ks, slots, c->key_count, false);
    bool may = likely_true(!claimed) || call_may_enter(c);
    if (may)
        stored = mset_store_held(c, e, only_new);
    if (!held)
        ks_unlock_many(c->ks);
    if (!may)
        return MSET_FAILED;
    return stored ? MSET_STORED : MSET_NOT_STORED;
}

static enum mset_result mset_run(struct call *c, bool only_new)
{
    struct entry *inline_room[MANY_INLINE];
    if (c->argc % 2 == 0) {
        command_reply_arity(c);
        return MSET_FAILED;
    }
    if (c->key_count > KS_LOCK_MANY_MAX && !c->in_exec && !c->work) {
        c->verdict = CALL_LONG;
        return MSET_FAILED;
    }
    struct entry **e = many_room(c, inline_room, sizeof(inline_room[0]));
    if (!e)
        return MSET_FAILED;
    enum mset_result result = MSET_FAILED;
    if (mset_prepare(c, e)) {
        result = mset_store(c, e, only_new);
        if (result != MSET_STORED)
            discard_all(c, e, c->key_count);
    }
    if (e != inline_room)
        free(e);
    return result;
}

void cmd_mset(struct call *c)
{
    if (mset_run(c, false) == MSET_STORED)
        reply_ok(c->reply);
}

void cmd_msetnx(struct call *c)
{
    enum mset_result result = mset_run(c, true);
    if (result != MSET_FAILED)
        reply_i64(c->reply, result == MSET_STORED);
}
