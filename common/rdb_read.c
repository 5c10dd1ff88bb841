#include "rdb_read.h"
#include <math.h>
#include <stdlib.h>
#include "check.h"
#include "rdb_format.h"

#define COLLECT_MIN 65536
#define DOUBLE_TEXT_MAX 252
enum { DOUBLE_NAN = 253, DOUBLE_INF = 254, DOUBLE_MINUS_INF = 255 };
/* struct rdb_string: where the value comes from. */
enum { KIND_NONE, KIND_RAW, KIND_INTEGER, KIND_LZF };

void rdb_reader_init(struct rdb_reader *r, struct slice whole)
{
    *r = (struct rdb_reader){.in = whole, .last = true, .string_max = RDB_STRING_MAX};
}

static enum rdb_result too_short(const struct rdb_reader *r)
{
    return r->last ? RDB_INVALID : RDB_MORE;
}

static void slice_advance(struct slice *in, size_t len)
{
    in->data += len;
    in->len -= len;
}

static uint64_t load_be(const uint8_t *p, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | p[i];
    return value;
}

static uint64_t load_le(const uint8_t *p, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = bytes; i-- > 0;)
        value = value << 8 | p[i];
    return value;
}

/* ---- numbers ---- */

enum rdb_result rdb_read_byte(struct rdb_reader *r, uint8_t *value)
{
    if (r->in.len == 0)
        return too_short(r);
    *value = r->in.data[0];
    slice_advance(&r->in, 1);
    return RDB_DONE;
}

/* Bytes of the length that begins with first; 0: there is none such. */
static unsigned length_size(uint8_t first)
{
    if ((first & RDB_LEN_KIND) == RDB_LEN_6)
        return 1;
    if ((first & RDB_LEN_KIND) == RDB_LEN_14)
        return 2;
    return first == RDB_LEN_32 ? 5 : first == RDB_LEN_64 ? 9 : 0;
}

/* From *in, which moves on; r says what a short one means. */
static enum rdb_result length_take(const struct rdb_reader *r, struct slice *in, uint64_t *value)
{
    if (in->len == 0)
        return too_short(r);
    unsigned size = length_size(in->data[0]);
    if (size == 0)
        return RDB_INVALID;
    if (in->len < size)
        return too_short(r);
    if (size <= 2)
        *value = load_be(in->data, size) & (size == 1 ? 0x3F : 0x3FFF);
    else
        *value = load_be(in->data + 1, size - 1);
    slice_advance(in, size);
    return RDB_DONE;
}

enum rdb_result rdb_read_length(struct rdb_reader *r, uint64_t *value)
{
    struct slice in = r->in;
    enum rdb_result result = length_take(r, &in, value);
    if (result == RDB_DONE)
        r->in = in;
    return result;
}

enum rdb_result rdb_read_double(struct rdb_reader *r, double *value)
{
    if (r->in.len < 8)
        return too_short(r);
    uint64_t bits = load_le(r->in.data, 8);
    memcpy(value, &bits, 8);
    slice_advance(&r->in, 8);
    return RDB_DONE;
}

enum rdb_result rdb_read_double_text(struct rdb_reader *r, double *value)
{
    if (r->in.len == 0)
        return too_short(r);
    uint8_t len = r->in.data[0];
    if (len > DOUBLE_TEXT_MAX) {
        *value = len == DOUBLE_NAN ? NAN : len == DOUBLE_INF ? INFINITY : -INFINITY;
        slice_advance(&r->in, 1);
        return RDB_DONE;
    }
    if (r->in.len < (size_t)len + 1)
        return too_short(r);
    if (!parse_double(slice_from(r->in.data + 1, len), value))
        return RDB_INVALID;
    slice_advance(&r->in, (size_t)len + 1);
    return RDB_DONE;
}

/* ---- strings ---- */

void rdb_string_fini(struct rdb_string *s)
{
    free(s->bytes);
    *s = (struct rdb_string){0};
}

static enum rdb_result begin_raw(struct rdb_reader *r, struct rdb_string *s, struct slice in,
                                 uint64_t len)
{
    if (len > RDB_STRING_MAX || len > r->string_max || (r->last && len > in.len))
        return RDB_INVALID;
    s->kind = KIND_RAW;
    s->len = s->left = (size_t)len;
    r->in = in;
    return RDB_DONE;
}

static enum rdb_result begin_lzf(struct rdb_reader *r, struct rdb_string *s, struct slice in)
{
    uint64_t packed = 0, len = 0;
    enum rdb_result result = length_take(r, &in, &packed);
    if (result == RDB_DONE)
        result = length_take(r, &in, &len);
    if (result != RDB_DONE)
        return result;
    if (packed == 0 || packed > RDB_STRING_MAX || len == 0 || len > RDB_STRING_MAX ||
        len > r->string_max || len > packed * RDB_LZF_RATIO_MAX || (r->last && packed > in.len))
        return RDB_INVALID;
    s->kind = KIND_LZF;
    s->len = (size_t)len;
    s->left = (size_t)packed;
    s->unlzf = (struct rdb_unlzf){0};
    r->in = in;
    return RDB_DONE;
}

static int64_t integer_of(const uint8_t *p, unsigned size)
{
    uint64_t bits = load_le(p, size);
    uint64_t sign = (uint64_t)1 << (8 * size - 1);
    return (int64_t)(bits ^ sign) - (int64_t)sign;
}

static enum rdb_result begin_integer(struct rdb_reader *r, struct rdb_string *s, struct slice in,
                                     unsigned size)
{
    if (in.len < size)
        return too_short(r);
    s->kind = KIND_INTEGER;
    s->len = format_i64(s->text, integer_of(in.data, size));
    s->left = 0;
    slice_advance(&in, size);
    r->in = in;
    return RDB_DONE;
}

enum rdb_result rdb_read_string_begin(struct rdb_reader *r, struct rdb_string *s)
{
    CHECK_DEBUG(s->kind == KIND_NONE);
    struct slice in = r->in;
    if (in.len == 0)
        return too_short(r);
    s->filled = s->part_len = 0;
    uint8_t first = in.data[0];
    if ((first & RDB_LEN_KIND) != RDB_LEN_ENCODED) {
        uint64_t len;
        enum rdb_result result = length_take(r, &in, &len);
        return result == RDB_DONE ? begin_raw(r, s, in, len) : result;
    }
    slice_advance(&in, 1);
    switch (first & ~RDB_LEN_KIND) {
    case RDB_ENC_INT8:
        return begin_integer(r, s, in, 1);
    case RDB_ENC_INT16:
        return begin_integer(r, s, in, 2);
    case RDB_ENC_INT32:
        return begin_integer(r, s, in, 4);
    case RDB_ENC_LZF:
        return begin_lzf(r, s, in);
    default:
        return RDB_INVALID;
    }
}

static bool room_make(struct rdb_string *s, size_t size)
{
    if (size <= s->size)
        return true;
    uint8_t *bytes = realloc(s->bytes, size);
    if (!bytes)
        return false;
    s->bytes = bytes;
    s->size = size;
    return true;
}

/* Room for at least one more byte of the whole value. Where its encoded bytes are all there it has
 * its room at once, which they vouch for; else it grows with what arrives. */
static bool room_collect(const struct rdb_reader *r, struct rdb_string *s)
{
    if (s->filled < s->size)
        return true;
    size_t size = s->len;
    if (!r->last) {
        size_t next = s->size < COLLECT_MIN / 2 ? COLLECT_MIN : 2 * s->size;
        size = next < size ? next : size;
    }
    return room_make(s, size);
}

static void spend(struct rdb_reader *r, size_t len)
{
    r->budget -= (int64_t)len;
}

/* Expands into bytes up to the index end. */
static bool expand(struct rdb_reader *r, struct rdb_string *s, size_t end)
{
    struct slice in = slice_from(r->in.data, r->in.len < s->left ? r->in.len : s->left);
    size_t before = s->filled, offered = in.len;
    if (!rdb_unlzf(&s->unlzf, &in, s->bytes, end, &s->filled))
        return false;
    slice_advance(&r->in, offered - in.len);
    s->left -= offered - in.len;
    r->expanded += s->filled - before;
    spend(r, s->filled - before + 1);
    return true;
}

/* One step of collecting into bytes: some bytes more. */
static enum rdb_result collect_step(struct rdb_reader *r, struct rdb_string *s)
{
    if (s->kind == KIND_RAW && r->in.len == 0)
        return too_short(r);
    if (!room_collect(r, s))
        return RDB_NO_MEMORY;
    size_t end = s->size < s->len ? s->size : s->len;
    if ((int64_t)(end - s->filled) > r->budget)
        end = s->filled + (size_t)r->budget;
    if (s->kind == KIND_LZF) {
        size_t before = s->filled;
        if (!expand(r, s, end))
            return RDB_INVALID;
        if (s->filled > before)
            return RDB_DONE;
        return s->left > 0 ? too_short(r) : RDB_INVALID;
    }
    size_t len = end - s->filled < r->in.len ? end - s->filled : r->in.len;
    memcpy(s->bytes + s->filled, r->in.data, len);
    slice_advance(&r->in, len);
    s->filled += len;
    s->left -= len;
    spend(r, len);
    return RDB_DONE;
}

static enum rdb_result collect(struct rdb_reader *r, struct rdb_string *s)
{
    while (s->filled < s->len) {
        if (r->budget <= 0)
            return RDB_PAUSE;
        enum rdb_result result = collect_step(r, s);
        if (result != RDB_DONE)
            return result;
    }
    if (s->kind == KIND_LZF && (s->left > 0 || !rdb_unlzf_at_end(&s->unlzf)))
        return RDB_INVALID;
    return RDB_DONE;
}

enum rdb_result rdb_read_string(struct rdb_reader *r, struct rdb_string *s, struct slice *value)
{
    if (s->kind == KIND_NONE) {
        enum rdb_result result = rdb_read_string_begin(r, s);
        if (result != RDB_DONE)
            return result;
    }
    if (s->kind == KIND_INTEGER) {
        *value = slice_from(s->text, s->len);
    } else if (s->kind == KIND_RAW && s->filled == 0 && s->left <= r->in.len) {
        *value = slice_from(r->in.data, s->len);
        slice_advance(&r->in, s->len);
        spend(r, s->len);
    } else {
        enum rdb_result result = collect(r, s);
        if (result != RDB_DONE)
            return result;
        *value = slice_from(s->bytes, s->len);
    }
    s->kind = KIND_NONE;
    return RDB_DONE;
}

/* ---- long strings, part by part ---- */

static enum rdb_result part_raw(struct rdb_reader *r, struct rdb_string *s, struct slice *part)
{
    if (s->left > 0 && r->in.len == 0)
        return too_short(r);
    size_t len = s->left < r->in.len ? s->left : r->in.len;
    len = len < RDB_LZF_PIECE ? len : RDB_LZF_PIECE;
    *part = slice_from(r->in.data, len);
    slice_advance(&r->in, len);
    s->left -= len;
    s->part_len += len;
    spend(r, len);
    return RDB_DONE;
}

/* bytes holds the window that references reach, then the part. */
static enum rdb_result part_lzf(struct rdb_reader *r, struct rdb_string *s, struct slice *part)
{
    if (!room_make(s, RDB_LZF_WINDOW + RDB_LZF_PIECE))
        return RDB_NO_MEMORY;
    if (s->filled > RDB_LZF_WINDOW) {
        memmove(s->bytes, s->bytes + s->filled - RDB_LZF_WINDOW, RDB_LZF_WINDOW);
        s->filled = RDB_LZF_WINDOW;
    }
    size_t start = s->filled, rest = s->len - s->part_len;
    if (!expand(r, s, start + (rest < RDB_LZF_PIECE ? rest : RDB_LZF_PIECE)))
        return RDB_INVALID;
    *part = slice_from(s->bytes + start, s->filled - start);
    s->part_len += part->len;
    if (part->len > 0)
        return RDB_DONE;
    return s->left > 0 ? too_short(r) : RDB_INVALID;
}

enum rdb_result rdb_read_string_part(struct rdb_reader *r, struct rdb_string *s, struct slice *part)
{
    CHECK(s->kind == KIND_RAW || s->kind == KIND_LZF);
    if (s->part_len == s->len) {
        if (s->kind == KIND_LZF && (s->left > 0 || !rdb_unlzf_at_end(&s->unlzf)))
            return RDB_INVALID;
        s->kind = KIND_NONE;
        *part = slice_from(s->bytes, 0);
        return RDB_DONE;
    }
    if (r->budget <= 0)
        return RDB_PAUSE;
    return s->kind == KIND_RAW ? part_raw(r, s, part) : part_lzf(r, s, part);
}

/* ---- keeping ---- */

bool rdb_string_keep(struct rdb_string *s, struct slice *value)
{
    if (value->data == s->bytes || value->data == (const uint8_t *)s->text || value->len == 0)
        return true;
    if (!room_make(s, value->len))
        return false;
    memcpy(s->bytes, value->data, value->len);
    value->data = s->bytes;
    return true;
}

/* The text of an integer; for an empty string there is no block. */
static enum rdb_result integer_block(struct rdb_string *s, uint8_t **block, size_t *len)
{
    if (s->len == 0)
        return RDB_INVALID;
    *block = malloc(s->len);
    if (!*block)
        return RDB_NO_MEMORY;
    memcpy(*block, s->text, s->len);
    *len = s->len;
    s->kind = KIND_NONE;
    return RDB_DONE;
}

enum rdb_result rdb_read_block(struct rdb_reader *r, struct rdb_string *s, uint8_t **block,
                               size_t *len)
{
    enum rdb_result result = s->kind == KIND_NONE ? rdb_read_string_begin(r, s) : RDB_DONE;
    if (result != RDB_DONE)
        return result;
    if (s->len == 0 || s->kind == KIND_INTEGER)
        return integer_block(s, block, len);
    result = collect(r, s);
    if (result != RDB_DONE)
        return result;
    *block = realloc(s->bytes, s->len);
    if (!*block)
        return RDB_NO_MEMORY;
    *len = s->len;
    s->bytes = NULL;
    s->size = 0;
    s->kind = KIND_NONE;
    return RDB_DONE;
}
