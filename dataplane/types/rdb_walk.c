#include "rdb_walk.h"
#include "check.h"
#include "intset.h"
#include "listpack.h"

#define END 0xFF

#define ZIPLIST_HEADER_BYTES 10
#define ZIPLIST_TAIL_AT 4
#define ZIPLIST_COUNT_AT 8
#define COUNT_UNKNOWN 0xFFFF
#define PREVIOUS_LONG 0xFE

/* Encoding byte of a ziplist entry. */
enum {
    ZIP_STR_MASK = 0xC0,
    ZIP_STR6 = 0x00,
    ZIP_STR14 = 0x40,
    ZIP_STR32 = 0x80,
    ZIP_INT16 = 0xC0,
    ZIP_INT32 = 0xD0,
    ZIP_INT64 = 0xE0,
    ZIP_INT24 = 0xF0,
    ZIP_INT4_FIRST = 0xF1, /* 0 to 12 in the byte itself */
    ZIP_INT4_LAST = 0xFD,
    ZIP_INT8 = 0xFE,
};

#define ZIPMAP_LONG 254

static uint64_t load_le(const uint8_t *p, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = bytes; i-- > 0;)
        value = value << 8 | p[i];
    return value;
}

static int64_t load_signed(const uint8_t *p, unsigned bytes)
{
    uint64_t sign = (uint64_t)1 << (8 * bytes - 1);
    return (int64_t)((load_le(p, bytes) ^ sign) - sign);
}

/* Where the closing byte stands. */
static size_t end_of(const struct rdb_walk *w)
{
    return w->blob.len - 1;
}

static void passed(struct rdb_walk *w, size_t size)
{
    w->last_at = w->at;
    w->last_size = size;
    w->at += size;
    w->count++;
}

/* ---- listpack ---- */

static bool listpack_start(struct rdb_walk *w)
{
    w->at = LISTPACK_HEADER_BYTES;
    return w->blob.len > LISTPACK_HEADER_BYTES && listpack_bytes(w->blob.data) == w->blob.len;
}

static enum rdb_walk_result listpack_step(struct rdb_walk *w, struct slice *element,
                                          char text[NUMBER_TEXT_SIZE])
{
    const uint8_t *p = w->blob.data + w->at;
    if (w->at == end_of(w)) {
        uint64_t stored = load_le(w->blob.data + 4, 2);
        return stored == COUNT_UNKNOWN || stored == w->count ? RDB_WALK_END : RDB_WALK_INVALID;
    }
    size_t size = listpack_entry_check(p, end_of(w) - w->at);
    if (size == 0)
        return RDB_WALK_INVALID;
    *element = listpack_get(p, text);
    passed(w, size);
    return RDB_WALK_ELEMENT;
}

/* ---- ziplist ---- */

static bool ziplist_start(struct rdb_walk *w)
{
    w->at = ZIPLIST_HEADER_BYTES;
    return w->blob.len > ZIPLIST_HEADER_BYTES && load_le(w->blob.data, 4) == w->blob.len;
}

static enum rdb_walk_result ziplist_end(const struct rdb_walk *w)
{
    uint64_t stored = load_le(w->blob.data + ZIPLIST_COUNT_AT, 2);
    bool count_right = stored == COUNT_UNKNOWN || stored == w->count;
    bool tail_right = w->count == 0 || load_le(w->blob.data + ZIPLIST_TAIL_AT, 4) == w->last_at;
    return count_right && tail_right ? RDB_WALK_END : RDB_WALK_INVALID;
}

/* Bytes of the size that an entry says of the one before it, if that is true; else 0. */
static size_t ziplist_previous(const struct rdb_walk *w)
{
    const uint8_t *p = w->blob.data + w->at;
    if (p[0] < PREVIOUS_LONG)
        return p[0] == w->last_size ? 1 : 0;
    if (p[0] != PREVIOUS_LONG || end_of(w) - w->at < 5)
        return 0;
    return load_le(p + 1, 4) == w->last_size ? 5 : 0;
}

/* The length of an integer's data; -1: not an integer. */
static int ziplist_integer_size(uint8_t encoding)
{
    switch (encoding) {
    case ZIP_INT8:
        return 1;
    case ZIP_INT16:
        return 2;
    case ZIP_INT24:
        return 3;
    case ZIP_INT32:
        return 4;
    case ZIP_INT64:
        return 8;
    default:
        return encoding >= ZIP_INT4_FIRST && encoding <= ZIP_INT4_LAST ? 0 : -1;
    }
}

/* The size of a string's encoding, and its length; 0: not a string, or cut. */
static size_t ziplist_string_head(const uint8_t *p, size_t room, size_t *len)
{
    switch (p[0] & ZIP_STR_MASK) {
    case ZIP_STR6:
        *len = p[0] & 0x3F;
        return 1;
    case ZIP_STR14:
        if (room < 2)
            return 0;
        *len = (size_t)(p[0] & 0x3F) << 8 | p[1];
        return 2;
    default:
        if (p[0] != ZIP_STR32 || room < 5)
            return 0;
        *len = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
        return 5;
    }
}

static enum rdb_walk_result ziplist_step(struct rdb_walk *w, struct slice *element,
                                         char text[NUMBER_TEXT_SIZE])
{
    if (w->at == end_of(w))
        return ziplist_end(w);
    size_t previous = ziplist_previous(w);
    if (previous == 0 || previous >= end_of(w) - w->at)
        return RDB_WALK_INVALID;
    const uint8_t *p = w->blob.data + w->at + previous;
    size_t room = end_of(w) - w->at - previous, head = 1, len;
    int integer = ziplist_integer_size(p[0]);
    if (integer >= 0)
        len = (size_t)integer;
    else
        head = ziplist_string_head(p, room, &len);
    if (head == 0 || len > room - head)
        return RDB_WALK_INVALID;
    if (integer < 0)
        *element = slice_from(p + head, len);
    else
        *element =
            slice_from(text, format_i64(text, integer > 0 ? load_signed(p + 1, (unsigned)integer)
                                                          : p[0] - ZIP_INT4_FIRST));
    passed(w, previous + head + len);
    return RDB_WALK_ELEMENT;
}

/* ---- zipmap ---- */

static bool zipmap_start(struct rdb_walk *w)
{
    w->at = 1;
    return w->blob.len >= 2;
}

static enum rdb_walk_result zipmap_step(struct rdb_walk *w, struct slice *element,
                                        char text[NUMBER_TEXT_SIZE])
{
    bool is_value = w->count % 2 != 0;
    if (w->at == end_of(w)) {
        uint8_t stored = w->blob.data[0];
        bool right = !is_value && (stored >= ZIPMAP_LONG || stored == w->count / 2);
        return right ? RDB_WALK_END : RDB_WALK_INVALID;
    }
    const uint8_t *p = w->blob.data + w->at;
    size_t room = end_of(w) - w->at, head = p[0] == ZIPMAP_LONG ? 5 : 1;
    head += is_value;
    if (p[0] > ZIPMAP_LONG || head > room)
        return RDB_WALK_INVALID;
    size_t len = p[0] == ZIPMAP_LONG ? load_le(p + 1, 4) : p[0];
    size_t unused = is_value ? p[head - 1] : 0;
    if (len + unused > room - head)
        return RDB_WALK_INVALID;
    *element = slice_from(p + head, len);
    passed(w, head + len + unused);
    return RDB_WALK_ELEMENT;
}

/* ---- intset ---- */

static bool intset_start(struct rdb_walk *w)
{
    w->at = 0;
    if (w->blob.len < INTSET_HEADER_BYTES)
        return false;
    uint64_t width = load_le(w->blob.data, 4), count = load_le(w->blob.data + 4, 4);
    if (width != 2 && width != 4 && width != 8)
        return false;
    return w->blob.len - INTSET_HEADER_BYTES == count * width;
}

static enum rdb_walk_result intset_step(struct rdb_walk *w, struct slice *element,
                                        char text[NUMBER_TEXT_SIZE])
{
    if (w->at == intset_count(w->blob.data))
        return RDB_WALK_END;
    int64_t member = intset_at(w->blob.data, (uint32_t)w->at);
    if (w->count > 0 && member <= w->last_member)
        return RDB_WALK_INVALID;
    w->last_member = member;
    *element = slice_from(text, format_i64(text, member));
    passed(w, 1);
    return RDB_WALK_ELEMENT;
}

static const struct {
    bool (*start)(struct rdb_walk *w);
    enum rdb_walk_result (*step)(struct rdb_walk *w, struct slice *element,
                                 char text[NUMBER_TEXT_SIZE]);
} kinds[] = {
    [RDB_WALK_LISTPACK] = {listpack_start, listpack_step},
    [RDB_WALK_ZIPLIST] = {ziplist_start, ziplist_step},
    [RDB_WALK_ZIPMAP] = {zipmap_start, zipmap_step},
    [RDB_WALK_INTSET] = {intset_start, intset_step},
};

bool rdb_walk_init(struct rdb_walk *w, enum rdb_walk_kind kind, struct slice blob)
{
    *w = (struct rdb_walk){.blob = blob, .kind = kind};
    if (!kinds[kind].start(w))
        return false;
    return kind == RDB_WALK_INTSET || blob.data[end_of(w)] == END;
}

enum rdb_walk_result rdb_walk_next(struct rdb_walk *w, struct slice *element,
                                   char text[NUMBER_TEXT_SIZE])
{
    return kinds[w->kind].step(w, element, text);
}
