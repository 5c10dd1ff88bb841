#include "string_value.h"
#include <stdlib.h>
#include "bigstr.h"
#include "numbers.h"
#include "work.h"

static void chunk_release(void *arg)
{
    bigstr_put(arg);
}

static void big_reply_range(struct reply *r, struct bigstr *b, size_t offset, size_t len)
{
    reply_bulk_begin(r, len);
    if (r->muted)
        return;
    while (len > 0) {
        struct slice piece = bigstr_peek(b, offset);
        size_t take = piece.len < len ? piece.len : len;
        outbuf_append_ref(r->out, piece.data, take, chunk_release, bigstr_get(b));
        offset += take;
        len -= take;
    }
    reply_bulk_end(r);
}

void string_reply(struct reply *r, const struct entry *e)
{
    struct bigstr *b = entry_big(e);
    if (likely_true(!b))
        reply_bulk(r, entry_string(e));
    else
        big_reply_range(r, b, 0, bigstr_len(b));
}

void string_reply_range(struct reply *r, const struct entry *e, size_t offset, size_t len)
{
    struct bigstr *b = entry_big(e);
    CHECK_DEBUG(offset + len <= entry_string_len(e));
    if (b)
        big_reply_range(r, b, offset, len);
    else
        reply_bulk(r, slice_from(entry_string(e).data + offset, len));
}

void string_copy(const struct entry *e, uint8_t *dst)
{
    struct bigstr *b = entry_big(e);
    if (b) {
        bigstr_copy(b, 0, bigstr_len(b), dst);
        return;
    }
    struct slice value = entry_string(e);
    if (value.len > 0)
        memcpy(dst, value.data, value.len);
}

bool string_flat(const struct entry *e, struct slice *value, uint8_t **owned)
{
    *owned = NULL;
    if (!entry_big(e)) {
        *value = entry_string(e);
        return true;
    }
    size_t len = entry_string_len(e);
    *owned = malloc(len);
    if (!*owned)
        return false;
    string_copy(e, *owned);
    *value = slice_from(*owned, len);
    return true;
}

bool string_check_type(struct call *c, const struct entry *e)
{
    if (likely_true(!e || entry_type(e) == OBJ_STRING))
        return true;
    reply_error(c->reply, REPLY_WRONG_TYPE);
    return false;
}

bool string_parse_i64(struct call *c, struct slice text, int64_t *out)
{
    if (parse_i64(text, out))
        return true;
    reply_error(c->reply, REPLY_NOT_INTEGER);
    return false;
}

#define UPDATE_TRIES 3

/* The key still has the entry that the new one was made from. An expiry may change in place. */
static bool unchanged(const struct entry *now, const struct entry *old, int64_t old_expiry_ms)
{
    return now == old && (!now || entry_expiry_ms(now) == old_expiry_ms);
}

bool string_update(struct call *c, const struct key *key, string_build build, void *arg)
{
    struct ks *ks = c->ks;
    for (int tries = 0; tries < UPDATE_TRIES && !ks_holds(ks, key->slot); tries++) {
        const struct entry *old = ks_get(ks, key, KS_READ_NO_STATS | KS_READ_NO_TOUCH);
        int64_t expiry_ms = old ? entry_expiry_ms(old) : EXPIRY_NONE;
        struct entry *e = build(c, old, arg);
        if (!e)
            return false;
        if (likely_false(!call_lock(c, key))) {
            ks_entry_discard(ks, e);
            return false;
        }
        bool same = unchanged(ks_find(ks, key, KS_READ_NO_STATS), old, expiry_ms);
        if (same)
            ks_put(ks, key, e);
        ks_unlock(ks, key->slot);
        if (same)
            return true;
        ks_entry_discard(ks, e);
    }
    if (!call_lock(c, key))
        return false;
    struct entry *e = build(c, ks_find(ks, key, KS_READ_NO_STATS), arg);
    if (e)
        ks_put(ks, key, e);
    ks_unlock(ks, key->slot);
    return e != NULL;
}
