/* Commands that work on keys of any type. Times stand in expire.c, iteration in scan.c, OBJECT in
 * object_cmd.c. */
#include <stdlib.h>
#include "aggregate.h"
#include "bigstr.h"
#include "check.h"
#include "families.h"
#include "numbers.h"
#include "object.h"
#include "string_value.h"
#include "work.h"

static void delete_keys(struct call *c)
{
    int64_t count = 0;
    for (uint32_t i = 0; i < c->key_count; i++) {
        count += ks_delete(c->ks, &c->keys[i]);
        call_pace(c, 2);
    }
    reply_i64(c->reply, count);
}

void cmd_del(struct call *c)
{
    delete_keys(c);
}

/* Freeing is in bounded pieces either way. */
void cmd_unlink(struct call *c)
{
    delete_keys(c);
}

#define COUNT_AT_ONCE 64

static void count_keys(struct call *c, unsigned flags)
{
    const struct entry *found[COUNT_AT_ONCE];
    const struct entry **room = found;
    int64_t count = 0;
    if (c->work) { /* its claim makes one instant of it */
        for (uint32_t i = 0; i < c->key_count && call_pace(c, 1); i++)
            count += ks_get(c->ks, &c->keys[i], flags) != NULL;
        reply_i64(c->reply, count);
        return;
    }
    if (c->key_count > COUNT_AT_ONCE && !(room = malloc(c->key_count * sizeof(*room)))) {
        reply_error(c->reply, REPLY_OOM);
        return;
    }
    ks_get_many(c->ks, c->keys, c->key_count, room, flags);
    for (uint32_t i = 0; i < c->key_count; i++)
        count += room[i] != NULL;
    reply_i64(c->reply, count);
    if (room != found)
        free(room);
}

void cmd_exists(struct call *c)
{
    count_keys(c, KS_READ_NO_TOUCH);
}

void cmd_touch(struct call *c)
{
    count_keys(c, 0);
}

void cmd_type(struct call *c)
{
    const struct entry *e = ks_get(c->ks, &c->keys[0], KS_READ_NO_TOUCH);
    reply_status(c->reply, e ? entry_type_name(entry_type(e)) : "none");
}

void cmd_dbsize(struct call *c)
{
    reply_i64(c->reply, (int64_t)ks_count(c->ks->shared));
}

void cmd_randomkey(struct call *c)
{
    struct slice name;
    uint8_t *owned;
    if (!ks_random(c->ks, &name, &owned)) {
        reply_null(c->reply);
        return;
    }
    reply_bulk(c->reply, name);
    free(owned);
}

static void flush_all(struct call *c)
{
    bool valid = c->argc == 1 || (c->argc == 2 && (slice_equal_word(c->argv[1], "sync") ||
                                                   slice_equal_word(c->argv[1], "async")));
    if (!valid) {
        reply_error(c->reply, REPLY_SYNTAX);
        return;
    }
    ks_flush_all(c->ks);
    reply_ok(c->reply);
}

void cmd_flushall(struct call *c)
{
    flush_all(c);
}

void cmd_flushdb(struct call *c)
{
    flush_all(c);
}

/* ---- RENAME, COPY ---- */

/* An entry under key with the value of e: small strings are copied, chunks shared. */
static struct entry *string_entry_like(struct call *c, const struct key *key, const struct entry *e)
{
    struct bigstr *b = entry_big(e);
    if (!b)
        return ks_entry_string_as(c->ks, key, entry_string(e), entry_expiry_ms(e),
                                  entry_encoding(e));
    struct entry *copy = ks_entry_big(c->ks, key, bigstr_get(b), entry_expiry_ms(e));
    if (!copy)
        bigstr_put(b);
    return copy;
}

static bool rename_move(struct call *c, const struct key *from, const struct entry *e,
                        const struct key *to)
{
    if (entry_type(e) == OBJ_STRING) {
        struct entry *moved = string_entry_like(c, to, e);
        if (!moved)
            return false;
        ks_delete(c->ks, from);
        ks_put(c->ks, to, moved);
        return true;
    }
    struct entry *moved = ks_entry_object(c->ks, to, entry_type(e), entry_encoding(e),
                                          entry_object(e), entry_expiry_ms(e));
    if (!moved)
        return false;
    ks_detach(c->ks, from);
    ks_put(c->ks, to, moved);
    return true;
}

/* True: moved, or both names are the same key; *taken: only_new and the new name exists. False
 * without taken: an error was replied. */
static bool rename_keys(struct call *c, bool only_new, bool *taken)
{
    const struct key *from = &c->keys[0], *to = &c->keys[1];
    const struct entry *e = ks_find(c->ks, from, KS_READ_NO_STATS);
    *taken = false;
    if (!e) {
        reply_error(c->reply, REPLY_NO_KEY);
        return false;
    }
    bool same = slice_equal(from->name, to->name);
    if (only_new && (same || ks_find(c->ks, to, KS_READ_NO_STATS))) {
        *taken = true;
        return false;
    }
    if (same || rename_move(c, from, e, to))
        return true;
    reply_error(c->reply, REPLY_OOM);
    return false;
}

void cmd_rename(struct call *c)
{
    bool taken;
    if (rename_keys(c, false, &taken))
        reply_ok(c->reply);
}

void cmd_renamenx(struct call *c)
{
    bool taken;
    if (rename_keys(c, true, &taken))
        reply_i64(c->reply, 1);
    else if (taken)
        reply_i64(c->reply, 0);
}

/* False: an error was replied. There is only DB 0. */
static bool copy_parse(struct call *c, bool *replace)
{
    *replace = false;
    for (uint32_t i = 3; i < c->argc; i++) {
        int64_t db;
        if (slice_equal_word(c->argv[i], "replace")) {
            *replace = true;
        } else if (slice_equal_word(c->argv[i], "db") && i + 1 < c->argc) {
            if (!string_parse_i64(c, c->argv[++i], &db))
                return false;
            if (db != 0) {
                reply_error(c->reply, "ERR DB index is out of range");
                return false;
            }
        } else {
            reply_error(c->reply, REPLY_SYNTAX);
            return false;
        }
    }
    if (!slice_equal(c->argv[1], c->argv[2]))
        return true;
    reply_error(c->reply, "ERR source and destination objects are the same");
    return false;
}

static struct entry *object_entry_like(struct call *c, const struct key *key, const struct entry *e)
{
    struct pace pace = call_pacer(c);
    void *object = object_copy(entry_type(e), entry_object(e), &pace);
    if (!object)
        return NULL;
    struct entry *copy =
        ks_entry_object(c->ks, key, entry_type(e), entry_encoding(e), object, entry_expiry_ms(e));
    if (!copy)
        call_object_free(c, entry_type(e), object);
    return copy;
}

void cmd_copy(struct call *c)
{
    bool replace;
    if (!copy_parse(c, &replace))
        return;
    const struct entry *e = ks_find(c->ks, &c->keys[0], 0);
    const struct key *to = &c->keys[1];
    if (!e || (!replace && ks_find(c->ks, to, KS_READ_NO_STATS))) {
        reply_i64(c->reply, 0);
        return;
    }
    if (entry_type(e) != OBJ_STRING &&
        call_is_long(c, object_count(entry_type(e), entry_object(e))))
        return;
    struct entry *copy =
        entry_type(e) == OBJ_STRING ? string_entry_like(c, to, e) : object_entry_like(c, to, e);
    if (!copy) {
        reply_error(c->reply, REPLY_OOM);
        return;
    }
    ks_put(c->ks, to, copy);
    reply_i64(c->reply, 1);
}
