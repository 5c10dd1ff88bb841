#include "reply.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "error_counts.h"
#include "metrics.h"
#include "numbers.h"

#define HEADER_MAX (NUMBER_TEXT_SIZE + 3) /* kind, digits, CRLF */
#define ERROR_TEXT_MAX 1024
#define ERROR_TEXT_LONG_MAX (1 << 20)

/* A bulk that is copied in one piece: above, only its header must be contiguous. */
#define BULK_ONE_PIECE_MAX 4096
/* Shorter values are copied: a reference costs an allocation and a segment of its own. */
#define BULK_REF_MIN 16384

const char REPLY_WRONG_TYPE[] = "WRONGTYPE Operation against a key holding the wrong kind of value";
const char REPLY_NOT_INTEGER[] = "ERR value is not an integer or out of range";
const char REPLY_NOT_FLOAT[] = "ERR value is not a valid float";
const char REPLY_SYNTAX[] = "ERR syntax error";
const char REPLY_NO_KEY[] = "ERR no such key";
const char REPLY_OUT_OF_RANGE[] = "ERR index out of range";
const char REPLY_OOM[] = "OOM command not allowed when used memory > 'maxmemory'.";
const char REPLY_NOAUTH[] = "NOAUTH Authentication required.";

static void append_text(struct reply *r, const char *text, size_t len)
{
    if (r->muted)
        return;
    outbuf_append(r->out, text, len);
}

/* kind, value, CRLF: at most HEADER_MAX bytes. */
static size_t header_format(uint8_t *to, char kind, uint64_t value)
{
    to[0] = (uint8_t)kind;
    size_t at = 1;
    if (likely_true(value < 10))
        to[at++] = (uint8_t)('0' + value);
    else
        at += format_u64((char *)to + 1, value);
    to[at++] = '\r';
    to[at++] = '\n';
    return at;
}

static void append_header(struct reply *r, char kind, uint64_t value)
{
    if (r->muted)
        return;
    uint8_t *to = outbuf_reserve_exact(r->out, HEADER_MAX);
    outbuf_commit(r->out, header_format(to, kind, value));
}

void reply_status(struct reply *r, const char *text)
{
    if (r->muted)
        return;
    size_t len = strlen(text);
    CHECK(len + 3 <= OUTBUF_EXACT_MAX);
    uint8_t *to = outbuf_reserve_exact(r->out, len + 3);
    to[0] = '+';
    memcpy(to + 1, text, len);
    memcpy(to + 1 + len, "\r\n", 2);
    outbuf_commit(r->out, len + 3);
}

void reply_ok(struct reply *r)
{
    append_text(r, "+OK\r\n", 5);
}

static void counter_inc(_Atomic(uint64_t) *counter)
{
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + 1, memory_order_relaxed);
}

static void error_count(struct error_counts *errors, const char *text)
{
    size_t len = strcspn(text, " \r\n");
    counter_inc(&errors->total);
    if (len == 0 || len >= ERROR_CODE_SIZE) {
        counter_inc(&errors->other);
        return;
    }
    uint32_t used = atomic_load_explicit(&errors->used, memory_order_relaxed);
    for (uint32_t i = 0; i < used; i++) {
        if (memcmp(errors->rows[i].code, text, len) == 0 && errors->rows[i].code[len] == '\0') {
            counter_inc(&errors->rows[i].count);
            return;
        }
    }
    if (used == ERROR_COUNTS_MAX) {
        counter_inc(&errors->other);
        return;
    }
    memcpy(errors->rows[used].code, text, len);
    errors->rows[used].code[len] = '\0';
    atomic_store_explicit(&errors->rows[used].count, 1, memory_order_relaxed);
    atomic_store_explicit(&errors->used, used + 1, memory_order_release);
}

void reply_error(struct reply *r, const char *text)
{
    r->failed = true;
    metric_inc(errors_replied);
    if (r->errors)
        error_count(r->errors, text);
    if (r->muted)
        return;
    size_t len = strlen(text);
    while (len > 0 && (text[len - 1] == '\r' || text[len - 1] == '\n'))
        len--;
    outbuf_append(r->out, "-", 1);
    for (size_t from = 0; from < len;) {
        size_t plain = strcspn(text + from, "\r\n");
        if (plain > len - from)
            plain = len - from;
        outbuf_append(r->out, text + from, plain);
        from += plain;
        if (from < len) {
            outbuf_append(r->out, " ", 1);
            from++;
        }
    }
    outbuf_append(r->out, "\r\n", 2);
}

void reply_errorf(struct reply *r, const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    /* Some texts quote an argument, however long; over the bound they are cut. */
    char *longer = NULL;
    if (likely_false(len >= (int)sizeof(text)) && len < ERROR_TEXT_LONG_MAX)
        longer = malloc((size_t)len + 1);
    if (longer) {
        va_start(args, format);
        vsnprintf(longer, (size_t)len + 1, format, args);
        va_end(args);
    }
    reply_error(r, longer ? longer : text);
    free(longer);
}

void reply_i64(struct reply *r, int64_t value)
{
    if (likely_true(value >= 0)) {
        append_header(r, ':', (uint64_t)value);
        return;
    }
    if (r->muted)
        return;
    uint8_t *to = outbuf_reserve_exact(r->out, HEADER_MAX);
    to[0] = ':';
    size_t len = 1 + format_i64((char *)to + 1, value);
    to[len++] = '\r';
    to[len++] = '\n';
    outbuf_commit(r->out, len);
}

void reply_bulk(struct reply *r, struct slice value)
{
    if (r->muted)
        return;
    if (likely_true(value.len <= BULK_ONE_PIECE_MAX)) {
        uint8_t *to = outbuf_reserve_exact(r->out, HEADER_MAX + value.len + 2);
        size_t at = header_format(to, '$', value.len);
        if (value.len > 0)
            memcpy(to + at, value.data, value.len);
        memcpy(to + at + value.len, "\r\n", 2);
        outbuf_commit(r->out, at + value.len + 2);
        return;
    }
    append_header(r, '$', value.len);
    outbuf_append(r->out, value.data, value.len);
    outbuf_append(r->out, "\r\n", 2);
}

void reply_bulk_str(struct reply *r, const char *value)
{
    reply_bulk(r, slice_str(value));
}

void reply_bulk_i64(struct reply *r, int64_t value)
{
    char text[NUMBER_TEXT_SIZE];
    reply_bulk(r, slice_from(text, format_i64(text, value)));
}

void reply_bulk_ref(struct reply *r, struct slice value, void (*release)(void *), void *arg)
{
    if (r->muted || value.len < BULK_REF_MIN) {
        reply_bulk(r, value);
        if (release)
            release(arg);
        return;
    }
    append_header(r, '$', value.len);
    outbuf_append_ref(r->out, value.data, value.len, release, arg);
    outbuf_append(r->out, "\r\n", 2);
}

void reply_bulk_begin(struct reply *r, size_t len)
{
    append_header(r, '$', len);
}

void reply_raw(struct reply *r, struct slice bytes)
{
    append_text(r, (const char *)bytes.data, bytes.len);
}

void reply_bulk_end(struct reply *r)
{
    append_text(r, "\r\n", 2);
}

void reply_verbatim(struct reply *r, struct slice text)
{
    if (r->protocol < 3) {
        reply_bulk(r, text);
        return;
    }
    append_header(r, '=', text.len + 4);
    append_text(r, "txt:", 4);
    reply_raw(r, text);
    append_text(r, "\r\n", 2);
}

void reply_null(struct reply *r)
{
    if (r->protocol < 3)
        append_text(r, "$-1\r\n", 5);
    else
        append_text(r, "_\r\n", 3);
}

void reply_null_array(struct reply *r)
{
    if (r->protocol < 3)
        append_text(r, "*-1\r\n", 5);
    else
        append_text(r, "_\r\n", 3);
}

void reply_double(struct reply *r, double value)
{
    char text[128];
    size_t len;
    if (isinf(value)) {
        len = value > 0 ? 3 : 4;
        memcpy(text, value > 0 ? "inf" : "-inf", len);
    } else {
        len = (size_t)snprintf(text, sizeof(text), "%.17g", value);
    }
    if (r->protocol < 3) {
        reply_bulk(r, slice_from(text, len));
        return;
    }
    append_text(r, ",", 1);
    append_text(r, text, len);
    append_text(r, "\r\n", 2);
}

void reply_bool(struct reply *r, bool value)
{
    if (r->protocol < 3)
        append_text(r, value ? ":1\r\n" : ":0\r\n", 4);
    else
        append_text(r, value ? "#t\r\n" : "#f\r\n", 4);
}

void reply_array(struct reply *r, uint64_t count)
{
    append_header(r, '*', count);
}

static void reply_aggregate(struct reply *r, char kind, uint64_t count)
{
    if (r->protocol >= 3)
        append_header(r, kind, count);
    else
        append_header(r, '*', kind == '%' ? count * 2 : count);
}

void reply_map(struct reply *r, uint64_t pairs)
{
    reply_aggregate(r, '%', pairs);
}

void reply_set(struct reply *r, uint64_t count)
{
    reply_aggregate(r, '~', count);
}

void reply_push(struct reply *r, uint64_t count)
{
    reply_aggregate(r, '>', count);
}

#define DEFER_MOVE_BYTES 16384 /* from here on blocks are moved instead of copied */

void reply_defer_begin(struct reply *r, struct reply_deferred *d)
{
    outbuf_init(&d->inner);
    d->outer = r->out;
    r->out = &d->inner;
}

void reply_defer_end(struct reply *r, struct reply_deferred *d, char kind, uint64_t count)
{
    CHECK(r->out == &d->inner);
    r->out = d->outer;
    reply_aggregate(r, kind, count);
    if (d->inner.len >= DEFER_MOVE_BYTES && !r->muted) {
        outbuf_splice(r->out, &d->inner);
        return;
    }
    struct outbuf_cursor cursor;
    outbuf_cursor_reset(&d->inner, &cursor);
    struct slice piece;
    while ((piece = outbuf_peek(&d->inner, &cursor)).len > 0) {
        append_text(r, (const char *)piece.data, piece.len);
        outbuf_drop(&d->inner, piece.len);
        outbuf_cursor_reset(&d->inner, &cursor);
    }
    outbuf_clear(&d->inner);
}
