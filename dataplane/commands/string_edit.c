/* Commands that look at or change a string in part, and counters. */
#include <math.h>
#include "bigstr.h"
#include "families.h"
#include "numbers.h"
#include "string_value.h"

/* ---- ranges ---- */

/* First and count of the bytes from start to end, both inclusive, negative: from the end. False:
 * none. */
static bool range_resolve(int64_t start, int64_t end, size_t len_bytes, size_t *first,
                          size_t *count)
{
    int64_t len = (int64_t)len_bytes;
    if (start < 0 && end < 0 && start > end)
        return false;
    if (start < 0)
        start += len;
    if (end < 0)
        end += len;
    if (start < 0)
        start = 0;
    if (end < 0)
        end = 0;
    if (end >= len)
        end = len - 1;
    if (start > end || len == 0)
        return false;
    *first = (size_t)start;
    *count = (size_t)(end - start) + 1;
    return true;
}

void cmd_getrange(struct call *c)
{
    int64_t start, end;
    size_t first, count;
    if (!string_parse_i64(c, c->argv[2], &start) || !string_parse_i64(c, c->argv[3], &end))
        return;
    const struct entry *e = ks_get(c->ks, &c->keys[0], 0);
    if (!string_check_type(c, e))
        return;
    if (e && range_resolve(start, end, entry_string_len(e), &first, &count))
        string_reply_range(c->reply, e, first, count);
    else
        reply_bulk(c->reply, slice_from("", 0));
}

/* ---- writing into a string ---- */

struct edit {
    struct slice data;
    size_t offset;
    bool append;
    size_t len; /* out: the length afterwards */
};

/* A string with data at offset, zeros in any gap; old NULL: empty. */
static struct entry *edit_small(struct call *c, const struct entry *old, struct slice data,
                                size_t offset)
{
    uint8_t room[ENTRY_EMBED_MAX];
    size_t old_len = old ? entry_string_len(old) : 0;
    size_t len = offset + data.len > old_len ? offset + data.len : old_len;
    if (old)
        string_copy(old, room);
    if (offset > old_len)
        memset(room + old_len, 0, offset - old_len);
    memcpy(room + offset, data.data, data.len);
    return ks_entry_string_raw(c->ks, &c->keys[0], slice_from(room, len),
                               old ? entry_expiry_ms(old) : EXPIRY_NONE);
}

static struct entry *edit_big(struct call *c, const struct entry *old, struct slice data,
                              size_t offset)
{
    struct bigstr *small = NULL;
    const struct bigstr *from = old ? entry_big(old) : NULL;
    if (!from)
        from = small = bigstr_new(old ? entry_string(old) : slice_from("", 0));
    struct bigstr *b = from ? bigstr_write(from, offset, data) : NULL;
    if (small)
        bigstr_put(small);
    if (!b)
        return NULL;
    struct entry *e = ks_entry_big(c->ks, &c->keys[0], b, old ? entry_expiry_ms(old) : EXPIRY_NONE);
    if (!e)
        bigstr_put(b);
    return e;
}

static bool edit_fits(struct call *c, size_t offset, size_t len)
{
    uint64_t total;
    if (!__builtin_add_overflow((uint64_t)offset, (uint64_t)len, &total) &&
        total <= c->worker->config->proto_max_bulk_len)
        return true;
    reply_error(c->reply, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    return false;
}

static struct entry *edit_write(struct call *c, const struct entry *old, struct edit *edit)
{
    size_t old_len = old ? entry_string_len(old) : 0;
    size_t end = edit->offset + edit->data.len;
    edit->len = end > old_len ? end : old_len;
    struct entry *e = edit->len <= ENTRY_EMBED_MAX ? edit_small(c, old, edit->data, edit->offset)
                                                   : edit_big(c, old, edit->data, edit->offset);
    if (!e)
        reply_error(c->reply, REPLY_OOM);
    return e;
}

static struct entry *append_build(struct call *c, const struct entry *old, void *arg)
{
    struct edit *edit = arg;
    if (!string_check_type(c, old))
        return NULL;
    if (!old) {
        edit->len = edit->data.len;
        struct entry *e = ks_entry_string(c->ks, &c->keys[0], edit->data, EXPIRY_NONE);
        if (!e)
            reply_error(c->reply, REPLY_OOM);
        return e;
    }
    edit->offset = entry_string_len(old);
    return edit_fits(c, edit->offset, edit->data.len) ? edit_write(c, old, edit) : NULL;
}

void cmd_append(struct call *c)
{
    struct edit edit = {.data = c->argv[2]};
    if (string_update(c, &c->keys[0], append_build, &edit))
        reply_i64(c->reply, (int64_t)edit.len);
}

static struct entry *setrange_build(struct call *c, const struct entry *old, void *arg)
{
    struct edit *edit = arg;
    if (!string_check_type(c, old))
        return NULL;
    if (edit->data.len == 0) { /* nothing to write: no key is made, none changes */
        reply_i64(c->reply, old ? (int64_t)entry_string_len(old) : 0);
        return NULL;
    }
    return edit_fits(c, edit->offset, edit->data.len) ? edit_write(c, old, edit) : NULL;
}

void cmd_setrange(struct call *c)
{
    int64_t offset;
    if (!string_parse_i64(c, c->argv[2], &offset))
        return;
    if (offset < 0) {
        reply_error(c->reply, "ERR offset is out of range");
        return;
    }
    struct edit edit = {.data = c->argv[3], .offset = (size_t)offset};
    if (string_update(c, &c->keys[0], setrange_build, &edit))
        reply_i64(c->reply, (int64_t)edit.len);
}

/* ---- counters ---- */

struct counter {
    int64_t by;
    int64_t value; /* out */
};

static struct entry *counter_build(struct call *c, const struct entry *old, void *arg)
{
    struct counter *counter = arg;
    int64_t value = 0;
    if (!string_check_type(c, old))
        return NULL;
    if (old && entry_big(old)) {
        reply_error(c->reply, REPLY_NOT_INTEGER);
        return NULL;
    }
    if (old && !string_parse_i64(c, entry_string(old), &value))
        return NULL;
    if (__builtin_add_overflow(value, counter->by, &counter->value)) {
        reply_error(c->reply, "ERR increment or decrement would overflow");
        return NULL;
    }
    char text[NUMBER_TEXT_SIZE];
    struct slice digits = slice_from(text, format_i64(text, counter->value));
    struct entry *e =
        ks_entry_string(c->ks, &c->keys[0], digits, old ? entry_expiry_ms(old) : EXPIRY_NONE);
    if (!e)
        reply_error(c->reply, REPLY_OOM);
    return e;
}

static void counter_add(struct call *c, int64_t by)
{
    struct counter counter = {.by = by};
    if (string_update(c, &c->keys[0], counter_build, &counter))
        reply_i64(c->reply, counter.value);
}

void cmd_incr(struct call *c)
{
    counter_add(c, 1);
}

void cmd_decr(struct call *c)
{
    counter_add(c, -1);
}

void cmd_incrby(struct call *c)
{
    int64_t by;
    if (string_parse_i64(c, c->argv[2], &by))
        counter_add(c, by);
}

void cmd_decrby(struct call *c)
{
    int64_t by;
    if (!string_parse_i64(c, c->argv[2], &by))
        return;
    if (by == INT64_MIN)
        reply_error(c->reply, "ERR decrement would overflow");
    else
        counter_add(c, -by);
}

#define EMBSTR_MAX 44

struct float_counter {
    struct slice by;
    char text[LONG_DOUBLE_TEXT_SIZE]; /* out */
    size_t len;
};

static struct entry *float_build(struct call *c, const struct entry *old, void *arg)
{
    struct float_counter *counter = arg;
    long double value = 0, by;
    if (!string_check_type(c, old))
        return NULL;
    bool valid = !old || (!entry_big(old) && parse_long_double(entry_string(old), &value));
    if (!valid || !parse_long_double(counter->by, &by)) {
        reply_error(c->reply, REPLY_NOT_FLOAT);
        return NULL;
    }
    value += by;
    if (isnan(value) || isinf(value)) {
        reply_error(c->reply, "ERR increment would produce NaN or Infinity");
        return NULL;
    }
    counter->len = format_long_double_human(counter->text, value);
    /* Redis keeps the text of a float, even when it looks like an integer. */
    enum obj_encoding enc = counter->len <= EMBSTR_MAX ? ENC_EMBSTR : ENC_RAW;
    struct entry *e =
        ks_entry_string_as(c->ks, &c->keys[0], slice_from(counter->text, counter->len),
                           old ? entry_expiry_ms(old) : EXPIRY_NONE, enc);
    if (!e)
        reply_error(c->reply, REPLY_OOM);
    return e;
}

void cmd_incrbyfloat(struct call *c)
{
    struct float_counter counter = {.by = c->argv[2]};
    if (string_update(c, &c->keys[0], float_build, &counter))
        reply_bulk(c->reply, slice_from(counter.text, counter.len));
}
