/* DUMP and RESTORE. What RESTORE builds is its own until it is stored, so it turns out on the way
 * whether it is long: then nothing has been done yet. */
#include "aggregate.h"
#include "bigstr.h"
#include "dump_payload.h"
#include "families.h"
#include "work.h"

/* The cost of one step of dump_payload.h, and of bytes to be encoded, in elements (work.h). */
#define STEP_COST (DUMP_STEP_BUDGET / 16)
#define BYTES_PER_ELEMENT 16

/* ---- DUMP ---- */

static void dump_reply(struct reply *r, struct dump_payload *p)
{
    reply_bulk_begin(r, p->out.len);
    if (!r->muted)
        outbuf_splice(r->out, &p->out);
    reply_bulk_end(r);
}

static bool dump_encode(struct call *c, struct dump_payload *p)
{
    while (!dump_payload_step(p))
        if (!call_pace(c, STEP_COST))
            return false;
    return true;
}

static uint64_t value_bytes(const struct entry *e)
{
    if (entry_type(e) == OBJ_STRING)
        return entry_string_len(e);
    return object_mem_bytes(entry_type(e), entry_object(e));
}

static void dump_value(struct call *c, const struct entry *e)
{
    struct dump_payload payload;
    struct rdb_value value = rdb_value_of(e);
    if (call_is_long(c, value_bytes(e) / BYTES_PER_ELEMENT))
        return;
    dump_payload_begin(&payload, &value, c->worker->config->rdb_compression);
    if (dump_encode(c, &payload))
        dump_reply(c->reply, &payload);
    dump_payload_fini(&payload);
}

static void dump_aggregate(struct call *c)
{
    const struct key *key = &c->keys[0];
    if (!call_lock_read(c, key))
        return;
    const struct entry *e = ks_find(c->ks, key, KS_READ_NO_STATS | KS_READ_NO_TOUCH);
    /* A claim is enough, and no lock may be held between two pieces. */
    if (c->work)
        ks_unlock(c->ks, key->slot);
    if (e)
        dump_value(c, e);
    else
        reply_null(c->reply);
    if (!c->work)
        ks_unlock(c->ks, key->slot);
}

void cmd_dump(struct call *c)
{
    const struct entry *e = ks_get(c->ks, &c->keys[0], 0);
    if (!e)
        reply_null(c->reply);
    else if (entry_type(e) == OBJ_STRING)
        dump_value(c, e);
    else
        dump_aggregate(c);
}

/* ---- RESTORE ---- */

struct restore {
    struct slice payload;
    bool replace, absolute;
    int64_t expiry_ms, idle_s, frequency; /* the last two: -1: not given */
};

static const char BUSY[] = "BUSYKEY Target key name already exists.";

/* IDLETIME or FREQ. False: an error was replied. */
static bool parse_number(struct call *c, uint32_t at, int64_t max, const char *error, int64_t *out)
{
    if (!arg_i64(c, c->argv[at], out))
        return false;
    if (*out >= 0 && *out <= max)
        return true;
    reply_error(c->reply, error);
    return false;
}

/* The option at *at, which moves over its argument. False: an error was replied. */
static bool parse_option(struct call *c, struct restore *r, uint32_t *at)
{
    struct slice word = c->argv[*at];
    bool more = *at + 1 < c->argc;
    if (slice_equal_word(word, "replace"))
        return r->replace = true;
    if (slice_equal_word(word, "absttl"))
        return r->absolute = true;
    if (slice_equal_word(word, "idletime") && more && r->frequency == -1)
        return parse_number(c, ++*at, INT64_MAX, "ERR Invalid IDLETIME value, must be >= 0",
                            &r->idle_s);
    if (slice_equal_word(word, "freq") && more && r->idle_s == -1)
        return parse_number(c, ++*at, UINT8_MAX, "ERR Invalid FREQ value, must be >= 0 and <= 255",
                            &r->frequency);
    reply_error(c->reply, REPLY_SYNTAX);
    return false;
}

/* 0: none. False: an error was replied. */
static bool parse_ttl(struct call *c, struct restore *r)
{
    int64_t ttl;
    if (!arg_i64(c, c->argv[2], &ttl))
        return false;
    if (ttl < 0) {
        reply_error(c->reply, "ERR Invalid TTL value, must be >= 0");
        return false;
    }
    if (ttl == 0)
        return true;
    if (__builtin_add_overflow(ttl, r->absolute ? 0 : c->ks->now_ms, &r->expiry_ms)) {
        reply_errorf(c->reply, "ERR invalid expire time in '%s' command", c->command->full_name);
        return false;
    }
    return true;
}

/* False: an error was replied. */
static bool restore_parse(struct call *c, struct restore *r)
{
    *r = (struct restore){
        .payload = c->argv[3], .expiry_ms = EXPIRY_NONE, .idle_s = -1, .frequency = -1};
    for (uint32_t at = 4; at < c->argc; at++)
        if (!parse_option(c, r, &at))
            return false;
    /* Looked at again when it is stored. */
    if (!r->replace && ks_get(c->ks, &c->keys[0], KS_READ_NO_STATS | KS_READ_NO_TOUCH)) {
        reply_error(c->reply, BUSY);
        return false;
    }
    return parse_ttl(c, r);
}

/* After one more step; *cost is the sum. False: the call is long. */
static bool restore_goes_on(struct call *c, uint64_t *cost)
{
    *cost += STEP_COST;
    if (call_is_long(c, *cost))
        return false;
    call_pace(c, STEP_COST);
    return true;
}

/* False: an error was replied, or the call is put off. */
static bool restore_verify(struct call *c, const struct restore *r, uint64_t *cost)
{
    struct dump_check check = {0};
    for (;;) {
        switch (dump_check_step(&check, r->payload)) {
        case DUMP_VALID:
            return true;
        case DUMP_WRONG_FOOTER:
            reply_error(c->reply, "ERR DUMP payload version or checksum are wrong");
            return false;
        default:
            if (!restore_goes_on(c, cost))
                return false;
        }
    }
}

static void reply_invalid(struct call *c, enum rdb_result result, const struct rdb_decoder *d)
{
    if (result == RDB_NO_MEMORY)
        reply_error(c->reply, REPLY_OOM);
    else if (result == RDB_UNSUPPORTED)
        reply_errorf(c->reply, "ERR Bad data format: this node cannot hold %s",
                     rdb_decoder_what(d));
    else
        reply_error(c->reply, "ERR Bad data format");
}

/* False: an error was replied, or the call is put off. */
static bool restore_decode(struct call *c, struct rdb_decoder *d, struct rdb_reader *in,
                           uint64_t *cost)
{
    enum rdb_result result;
    uint64_t max = c->worker->config->maxmemory_bytes;
    do {
        in->budget = DUMP_STEP_BUDGET;
        result = rdb_decoder_step(d, in);
        if (max > 0 && in->expanded > max) /* it could never be stored */
            result = RDB_NO_MEMORY;
        if (result == RDB_PAUSE && !restore_goes_on(c, cost))
            return false;
    } while (result == RDB_PAUSE);
    if (result == RDB_DONE && in->in.len > 0)
        result = RDB_INVALID;
    if (result != RDB_DONE)
        reply_invalid(c, result, d);
    return result == RDB_DONE;
}

/* The value is not stored after all. */
static void value_drop(struct call *c, const struct rdb_value *v)
{
    if (v->object)
        call_object_free(c, v->type, v->object);
    if (!v->big)
        return;
    for (uint32_t budget = WORK_PIECE; !bigstr_put_some(v->big, &budget); budget = WORK_PIECE)
        call_pace(c, WORK_PIECE);
}

/* The entry, not stored yet; it has taken the value over. NULL: no memory. */
static struct entry *restore_entry(struct call *c, const struct restore *r,
                                   const struct rdb_value *v)
{
    const struct key *key = &c->keys[0];
    if (v->object)
        return ks_entry_object(c->ks, key, v->type, object_encoding(v->type, v->object), v->object,
                               r->expiry_ms);
    if (v->big)
        return ks_entry_big(c->ks, key, v->big, r->expiry_ms);
    return ks_entry_string(c->ks, key, v->text, r->expiry_ms);
}

/* As Redis: the policy says which of the two counts. */
static void restore_past(struct call *c, const struct restore *r, struct entry *e)
{
    int policy = c->worker->config->maxmemory_policy;
    bool lfu = policy == POLICY_ALLKEYS_LFU || policy == POLICY_VOLATILE_LFU;
    if (lfu && r->frequency >= 0)
        entry_frequency_set(e, c->ks->now_ms, (uint8_t)r->frequency);
    if (!lfu && r->idle_s >= 0)
        entry_idle_set(e, c->ks->now_ms, (uint64_t)r->idle_s);
}

enum stored { STORED, STORED_BUSY, STORED_BLOCKED };

/* e NULL: its time has passed already, what is there goes. */
static enum stored restore_put(struct call *c, const struct restore *r, struct entry *e)
{
    const struct key *key = &c->keys[0];
    if (!call_lock(c, key))
        return STORED_BLOCKED;
    bool busy = !r->replace && ks_find(c->ks, key, KS_READ_NO_STATS | KS_READ_NO_TOUCH);
    if (!busy && e) {
        ks_put(c->ks, key, e);
        restore_past(c, r, e);
    } else if (!busy) {
        ks_delete(c->ks, key);
    }
    ks_unlock(c->ks, key->slot);
    return busy ? STORED_BUSY : STORED;
}

/* The value is complete. */
static void restore_store(struct call *c, const struct restore *r, struct rdb_value *v)
{
    bool expired = c->ks->master && r->expiry_ms != EXPIRY_NONE && r->expiry_ms <= c->ks->now_ms;
    struct entry *e = expired ? NULL : restore_entry(c, r, v);
    if (!e && !expired) {
        value_drop(c, v);
        reply_error(c->reply, REPLY_OOM);
        return;
    }
    enum stored stored = restore_put(c, r, e);
    if (e && stored != STORED) {
        ks_entry_discard(c->ks, e); /* with its string, but without its object */
        v->big = NULL;
    }
    if (!e || stored != STORED)
        value_drop(c, v);
    if (stored == STORED)
        reply_ok(c->reply);
    else if (stored == STORED_BUSY)
        reply_error(c->reply, BUSY);
}

void cmd_restore(struct call *c)
{
    struct restore r;
    struct rdb_reader in;
    struct rdb_decoder decoder;
    struct rdb_value value;
    struct type_limits limits = call_type_limits(c);
    uint64_t cost = 0;
    uint8_t type;
    if (!restore_parse(c, &r) || !restore_verify(c, &r, &cost))
        return;
    rdb_reader_init(&in, slice_from(r.payload.data, r.payload.len - DUMP_FOOTER_BYTES));
    in.string_max = c->worker->config->proto_max_bulk_len;
    if (rdb_read_byte(&in, &type) != RDB_DONE) {
        reply_error(c->reply, "ERR Bad data format");
        return;
    }
    rdb_decoder_init(&decoder, type, &limits);
    bool decoded = restore_decode(c, &decoder, &in, &cost);
    rdb_decoder_take(&decoder, &value);
    if (decoded)
        restore_store(c, &r, &value);
    else
        value_drop(c, &value);
    rdb_decoder_fini(&decoder);
}
