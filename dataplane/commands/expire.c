/* EXPIRE, TTL and their relatives. */
#include "expire_time.h"
#include "families.h"
#include "set_options.h"
#include "string_value.h"

/* Trailing NX, XX, GT, LT; false: an error was replied. */
static bool parse_conditions(struct call *c, unsigned *conditions)
{
    static const struct {
        const char *word;
        unsigned flag;
    } words[] = {{"nx", EXPIRE_NX}, {"xx", EXPIRE_XX}, {"gt", EXPIRE_GT}, {"lt", EXPIRE_LT}};
    *conditions = 0;
    for (uint32_t i = 3; i < c->argc; i++) {
        unsigned w = 0;
        while (w < count_of(words) && !slice_equal_word(c->argv[i], words[w].word))
            w++;
        if (w == count_of(words)) {
            reply_errorf(c->reply, "ERR Unsupported option %.*s", (int)c->argv[i].len,
                         (const char *)c->argv[i].data);
            return false;
        }
        *conditions |= words[w].flag;
    }
    if ((*conditions & EXPIRE_NX) && (*conditions & (EXPIRE_XX | EXPIRE_GT | EXPIRE_LT))) {
        reply_error(c->reply,
                    "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if ((*conditions & EXPIRE_GT) && (*conditions & EXPIRE_LT)) {
        reply_error(c->reply, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    return true;
}

static void expire_key(struct call *c, bool seconds, bool absolute)
{
    const struct key *key = &c->keys[0];
    unsigned conditions;
    int64_t when_ms;
    if (!parse_conditions(c, &conditions) || !string_parse_i64(c, c->argv[2], &when_ms))
        return;
    if (!expire_time_resolve(when_ms, seconds, absolute ? 0 : c->ks->now_ms, &when_ms)) {
        reply_bad_expire(c);
        return;
    }
    const struct entry *e = ks_find(c->ks, key, KS_READ_NO_STATS);
    if (!e || !expire_allowed(conditions, entry_expiry_ms(e), when_ms)) {
        reply_i64(c->reply, 0);
        return;
    }
    if (when_ms <= c->ks->now_ms && c->ks->master) {
        ks_delete(c->ks, key);
    } else if (!ks_set_expiry(c->ks, key, when_ms)) {
        reply_error(c->reply, REPLY_OOM);
        return;
    }
    reply_i64(c->reply, 1);
}

void cmd_expire(struct call *c)
{
    expire_key(c, true, false);
}

void cmd_pexpire(struct call *c)
{
    expire_key(c, false, false);
}

void cmd_expireat(struct call *c)
{
    expire_key(c, true, true);
}

void cmd_pexpireat(struct call *c)
{
    expire_key(c, false, true);
}

void cmd_persist(struct call *c)
{
    const struct key *key = &c->keys[0];
    const struct entry *e = ks_find(c->ks, key, KS_READ_NO_STATS);
    if (!e || entry_expiry_ms(e) == EXPIRY_NONE) {
        reply_i64(c->reply, 0);
        return;
    }
    if (ks_set_expiry(c->ks, key, EXPIRY_NONE))
        reply_i64(c->reply, 1);
    else
        reply_error(c->reply, REPLY_OOM);
}

/* -2: no key; -1: no expiry. False: replied. */
static bool expiry_of_key(struct call *c, int64_t *expiry_ms)
{
    const struct entry *e = ks_get(c->ks, &c->keys[0], KS_READ_NO_TOUCH);
    if (!e) {
        reply_i64(c->reply, -2);
        return false;
    }
    *expiry_ms = entry_expiry_ms(e);
    if (*expiry_ms == EXPIRY_NONE)
        reply_i64(c->reply, -1);
    return *expiry_ms != EXPIRY_NONE;
}

static void time_left(struct call *c, bool seconds)
{
    int64_t expiry_ms;
    if (expiry_of_key(c, &expiry_ms))
        reply_i64(c->reply, expire_left(expiry_ms, c->ks->now_ms, seconds));
}

void cmd_ttl(struct call *c)
{
    time_left(c, true);
}

void cmd_pttl(struct call *c)
{
    time_left(c, false);
}

void cmd_expiretime(struct call *c)
{
    int64_t expiry_ms;
    if (expiry_of_key(c, &expiry_ms))
        reply_i64(c->reply, expire_left(expiry_ms, 0, true));
}

void cmd_pexpiretime(struct call *c)
{
    int64_t expiry_ms;
    if (expiry_of_key(c, &expiry_ms))
        reply_i64(c->reply, expiry_ms);
}
