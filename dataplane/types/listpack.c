#include "listpack.h"
#include <stdlib.h>
#include "check.h"

#define END 0xFF
#define COUNT_UNKNOWN 0xFFFF
#define HEADER_MAX 5 /* encoding byte and length before a string */
#define BACKLEN_MAX 5

enum {
    INT7_MASK = 0x80,
    INT7 = 0x00, /* 0xxxxxxx */
    STR6_MASK = 0xC0,
    STR6 = 0x80, /* 10xxxxxx */
    INT13_MASK = 0xE0,
    INT13 = 0xC0, /* 110xxxxx */
    STR12_MASK = 0xF0,
    STR12 = 0xE0, /* 1110xxxx */
    STR32 = 0xF0,
    INT16 = 0xF1,
    INT24 = 0xF2,
    INT32 = 0xF3,
    INT64 = 0xF4,
};

static uint32_t load_le(const uint8_t *p, unsigned bytes)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint32_t)p[i] << (8 * i);
    return value;
}

static void store_le(uint8_t *p, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        p[i] = (uint8_t)(value >> (8 * i));
}

/* The limits are one below the powers of two: Redis' encoder has it so, and a block must be walked
 * with the lengths that it was written with. */
static unsigned backlen_size(uint64_t len)
{
    if (len <= 127)
        return 1;
    if (len < 16383)
        return 2;
    if (len < 2097151)
        return 3;
    return len < 268435455 ? 4 : 5;
}

static unsigned backlen_write(uint8_t *p, uint64_t len)
{
    unsigned size = backlen_size(len);
    for (unsigned i = size; i-- > 0; len >>= 7)
        p[i] = (uint8_t)((len & 127) | (i > 0 ? 128 : 0));
    return size;
}

/* Reads backwards from its last byte; bytes used in *size, 0: not a back-length. */
static uint64_t backlen_read(const uint8_t *last, size_t room, unsigned *size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < BACKLEN_MAX && i < room; i++) {
        uint8_t byte = *(last - i);
        value |= (uint64_t)(byte & 127) << (7 * i);
        if (!(byte & 128)) {
            *size = i + 1;
            return value;
        }
    }
    *size = 0;
    return 0;
}

/* Bytes of the encoding before a string's data, and whether p starts a string. */
static bool string_header(const uint8_t *p, unsigned *header, size_t *len)
{
    if ((p[0] & STR6_MASK) == STR6) {
        *header = 1;
        *len = p[0] & 0x3F;
        return true;
    }
    if ((p[0] & STR12_MASK) == STR12) {
        *header = 2;
        *len = (size_t)(p[0] & 0x0F) << 8 | p[1];
        return true;
    }
    if (p[0] == STR32) {
        *header = 5;
        *len = load_le(p + 1, 4);
        return true;
    }
    return false;
}

/* Length of an integer's encoding; 0: not an integer. */
static unsigned integer_size(uint8_t first)
{
    if ((first & INT7_MASK) == INT7)
        return 1;
    if ((first & INT13_MASK) == INT13)
        return 2;
    switch (first) {
    case INT16:
        return 3;
    case INT24:
        return 4;
    case INT32:
        return 5;
    case INT64:
        return 9;
    default:
        return 0;
    }
}

/* Encoding and data, without the back-length. */
static size_t body_size(const uint8_t *p)
{
    unsigned header;
    size_t len;
    if (string_header(p, &header, &len))
        return header + len;
    unsigned size = integer_size(p[0]);
    CHECK(size > 0);
    return size;
}

static size_t entry_size(const uint8_t *p)
{
    size_t body = body_size(p);
    return body + backlen_size(body);
}

static unsigned integer_write(uint8_t *p, int64_t value)
{
    if (value >= 0 && value <= 127) {
        p[0] = (uint8_t)value;
        return 1;
    }
    if (value >= -4096 && value <= 4095) {
        unsigned bits = (unsigned)value & 0x1FFF;
        p[0] = (uint8_t)(INT13 | bits >> 8);
        p[1] = (uint8_t)bits;
        return 2;
    }
    unsigned bytes = 8;
    p[0] = INT64;
    if (value >= INT16_MIN && value <= INT16_MAX) {
        p[0] = INT16;
        bytes = 2;
    } else if (value >= -(1 << 23) && value < 1 << 23) {
        p[0] = INT24;
        bytes = 3;
    } else if (value >= INT32_MIN && value <= INT32_MAX) {
        p[0] = INT32;
        bytes = 4;
    }
    store_le(p + 1, (uint64_t)value, bytes);
    return 1 + bytes;
}

static int64_t sign_extend(uint32_t bits, unsigned width)
{
    uint32_t sign = (uint32_t)1 << (width - 1);
    return (int64_t)(bits ^ sign) - (int64_t)sign;
}

static int64_t integer_read(const uint8_t *p)
{
    if ((p[0] & INT7_MASK) == INT7)
        return p[0];
    if ((p[0] & INT13_MASK) == INT13)
        return sign_extend((uint32_t)(p[0] & 0x1F) << 8 | p[1], 13);
    switch (p[0]) {
    case INT16:
        return sign_extend(load_le(p + 1, 2), 16);
    case INT24:
        return sign_extend(load_le(p + 1, 3), 24);
    case INT32:
        return sign_extend(load_le(p + 1, 4), 32);
    default:
        CHECK(p[0] == INT64);
        return (int64_t)(load_le(p + 1, 4) | (uint64_t)load_le(p + 5, 4) << 32);
    }
}

static unsigned string_header_write(uint8_t *p, size_t len)
{
    if (len < 64) {
        p[0] = (uint8_t)(STR6 | len);
        return 1;
    }
    if (len < 4096) {
        p[0] = (uint8_t)(STR12 | len >> 8);
        p[1] = (uint8_t)len;
        return 2;
    }
    p[0] = STR32;
    store_le(p + 1, len, 4);
    return 5;
}

/* An element ready to be written: an integer wholly in head, a string's header there and its data
 * apart. */
struct encoded {
    uint8_t head[16];
    unsigned head_len;
    struct slice data;
    size_t body, size;
};

static struct encoded encode(struct slice value)
{
    struct encoded e = {.data = slice_from(NULL, 0)};
    int64_t number;
    if (parse_i64(value, &number)) {
        e.head_len = integer_write(e.head, number);
    } else {
        CHECK(value.len < LISTPACK_BYTES_MAX);
        e.head_len = string_header_write(e.head, value.len);
        e.data = value;
    }
    e.body = e.head_len + e.data.len;
    e.size = e.body + backlen_size(e.body);
    return e;
}

static void encoded_write(const struct encoded *e, uint8_t *p)
{
    memcpy(p, e->head, e->head_len);
    if (e->data.len > 0)
        memcpy(p + e->head_len, e->data.data, e->data.len);
    backlen_write(p + e->body, e->body);
}

static void bytes_set(uint8_t *lp, size_t bytes)
{
    CHECK(bytes <= UINT32_MAX);
    store_le(lp, bytes, 4);
}

static void count_add(uint8_t *lp, int64_t delta)
{
    uint32_t stored = load_le(lp + 4, 2);
    if (stored == COUNT_UNKNOWN)
        return;
    int64_t count = (int64_t)stored + delta;
    CHECK(count >= 0);
    store_le(lp + 4, count < COUNT_UNKNOWN ? (uint64_t)count : COUNT_UNKNOWN, 2);
}

uint8_t *listpack_new(void)
{
    uint8_t *lp = malloc(LISTPACK_HEADER_BYTES + 1);
    if (!lp)
        return NULL;
    bytes_set(lp, LISTPACK_HEADER_BYTES + 1);
    store_le(lp + 4, 0, 2);
    lp[LISTPACK_HEADER_BYTES] = END;
    return lp;
}

size_t listpack_bytes(const uint8_t *lp)
{
    return load_le(lp, 4);
}

void listpack_frame_one(struct listpack_frame *f, size_t len)
{
    CHECK(len < LISTPACK_BYTES_MAX);
    f->head_len = LISTPACK_HEADER_BYTES + string_header_write(f->head + LISTPACK_HEADER_BYTES, len);
    size_t body = f->head_len - LISTPACK_HEADER_BYTES + len;
    f->tail_len = backlen_write(f->tail, body);
    f->tail[f->tail_len++] = END;
    bytes_set(f->head, f->head_len + len + f->tail_len);
    store_le(f->head + 4, 1, 2);
}

uint8_t *listpack_copy(const uint8_t *lp)
{
    size_t bytes = listpack_bytes(lp);
    uint8_t *copy = malloc(bytes);
    if (copy)
        memcpy(copy, lp, bytes);
    return copy;
}

size_t listpack_count(const uint8_t *lp)
{
    uint32_t stored = load_le(lp + 4, 2);
    if (stored != COUNT_UNKNOWN)
        return stored;
    size_t count = 0;
    for (const uint8_t *p = listpack_first(lp); p; p = listpack_next(p))
        count++;
    return count;
}

size_t listpack_entry_bytes(struct slice value)
{
    size_t body = value.len + (value.len < 64 ? 1 : value.len < 4096 ? 2 : HEADER_MAX);
    return body + backlen_size(body);
}

const uint8_t *listpack_first(const uint8_t *lp)
{
    const uint8_t *p = lp + LISTPACK_HEADER_BYTES;
    return *p == END ? NULL : p;
}

const uint8_t *listpack_next(const uint8_t *p)
{
    p += entry_size(p);
    return *p == END ? NULL : p;
}

static const uint8_t *before(const uint8_t *lp, const uint8_t *p)
{
    if (p == lp + LISTPACK_HEADER_BYTES)
        return NULL;
    unsigned size;
    uint64_t body = backlen_read(p - 1, (size_t)(p - lp), &size);
    CHECK(size > 0);
    return p - size - body;
}

const uint8_t *listpack_last(const uint8_t *lp)
{
    return before(lp, lp + listpack_bytes(lp) - 1);
}

const uint8_t *listpack_prev(const uint8_t *lp, const uint8_t *p)
{
    return before(lp, p);
}

const uint8_t *listpack_seek(const uint8_t *lp, int64_t index)
{
    uint32_t stored = load_le(lp + 4, 2);
    bool backwards = index < 0;
    if (stored != COUNT_UNKNOWN) {
        if (backwards)
            index += stored;
        if (index < 0 || index >= stored)
            return NULL;
        backwards = index > stored / 2;
        if (backwards)
            index -= stored;
    }
    const uint8_t *p = backwards ? listpack_last(lp) : listpack_first(lp);
    if (backwards) {
        for (; p && index < -1; index++)
            p = listpack_prev(lp, p);
    } else {
        for (; p && index > 0; index--)
            p = listpack_next(p);
    }
    return p;
}

bool listpack_get_i64(const uint8_t *p, int64_t *out)
{
    if (integer_size(p[0]) == 0)
        return false;
    *out = integer_read(p);
    return true;
}

struct slice listpack_get(const uint8_t *p, char buf[NUMBER_TEXT_SIZE])
{
    unsigned header;
    size_t len;
    if (string_header(p, &header, &len))
        return slice_from(p + header, len);
    return slice_from(buf, format_i64(buf, integer_read(p)));
}

struct listpack_needle listpack_needle(struct slice value)
{
    struct listpack_needle needle = {.text = value};
    needle.is_number = parse_i64(value, &needle.number);
    return needle;
}

bool listpack_equal(const uint8_t *p, const struct listpack_needle *needle)
{
    unsigned header;
    size_t len;
    if (string_header(p, &header, &len))
        return slice_equal(slice_from(p + header, len), needle->text);
    return needle->is_number && integer_read(p) == needle->number;
}

const uint8_t *listpack_find(const uint8_t *p, const struct listpack_needle *needle, unsigned skip)
{
    while (p) {
        if (listpack_equal(p, needle))
            return p;
        for (unsigned i = 0; p && i < skip + 1; i++)
            p = listpack_next(p);
    }
    return NULL;
}

/* Replaces old bytes at offset by new_len bytes that the caller writes; NULL: no memory. Only a
 * growing block can fail: one that shrinks keeps its room when realloc() refuses. */
static uint8_t *splice(uint8_t **lp, size_t offset, size_t old_len, size_t new_len)
{
    size_t bytes = listpack_bytes(*lp);
    size_t tail = bytes - offset - old_len;
    CHECK(offset + old_len < bytes);
    uint8_t *block = *lp;
    if (new_len > old_len) {
        block = realloc(block, bytes + new_len - old_len);
        if (!block)
            return NULL;
    }
    memmove(block + offset + new_len, block + offset + old_len, tail);
    if (new_len < old_len) {
        uint8_t *smaller = realloc(block, bytes + new_len - old_len);
        block = smaller ? smaller : block;
    }
    bytes_set(block, bytes + new_len - old_len);
    *lp = block;
    return block + offset;
}

bool listpack_insert(uint8_t **lp, const uint8_t *at, struct slice value)
{
    struct encoded e = encode(value);
    size_t offset = at ? (size_t)(at - *lp) : listpack_bytes(*lp) - 1;
    uint8_t *place = splice(lp, offset, 0, e.size);
    if (!place)
        return false;
    encoded_write(&e, place);
    count_add(*lp, 1);
    return true;
}

bool listpack_append(uint8_t **lp, struct slice value)
{
    return listpack_insert(lp, NULL, value);
}

bool listpack_replace(uint8_t **lp, const uint8_t *p, struct slice value)
{
    struct encoded e = encode(value);
    uint8_t *place = splice(lp, (size_t)(p - *lp), entry_size(p), e.size);
    if (!place)
        return false;
    encoded_write(&e, place);
    return true;
}

const uint8_t *listpack_delete(uint8_t **lp, const uint8_t *p, size_t n)
{
    const uint8_t *end = p;
    size_t removed = 0;
    while (removed < n && *end != END) {
        end += entry_size(end);
        removed++;
    }
    uint8_t *place = splice(lp, (size_t)(p - *lp), (size_t)(end - p), 0);
    CHECK(place);
    count_add(*lp, -(int64_t)removed);
    return *place == END ? NULL : place;
}

bool listpack_append_from(uint8_t **lp, const uint8_t *from, const uint8_t *first)
{
    if (!first)
        return true;
    size_t count = 0;
    for (const uint8_t *p = first; p; p = listpack_next(p))
        count++;
    size_t len = (size_t)(from + listpack_bytes(from) - 1 - first);
    uint8_t *place = splice(lp, listpack_bytes(*lp) - 1, 0, len);
    if (!place)
        return false;
    memcpy(place, first, len);
    count_add(*lp, (int64_t)count);
    return true;
}

size_t listpack_entry_check(const uint8_t *p, size_t room)
{
    unsigned header = (p[0] & STR12_MASK) == STR12 ? 2 : p[0] == STR32 ? 5 : 1;
    size_t body = integer_size(p[0]);
    if (header > room)
        return 0;
    if (body == 0) {
        size_t len;
        if (!string_header(p, &header, &len))
            return 0;
        body = header + len;
    }
    unsigned back = backlen_size(body);
    if (body > room || back > room - body)
        return 0;
    uint8_t expected[BACKLEN_MAX];
    backlen_write(expected, body);
    return memcmp(expected, p + body, back) == 0 ? body + back : 0;
}

bool listpack_validate(struct slice blob, size_t *count)
{
    if (blob.len < LISTPACK_HEADER_BYTES + 1 || listpack_bytes(blob.data) != blob.len)
        return false;
    size_t end = blob.len - 1;
    if (blob.data[end] != END)
        return false;
    size_t at = LISTPACK_HEADER_BYTES, found = 0;
    while (at < end) {
        size_t size = listpack_entry_check(blob.data + at, end - at);
        if (size == 0)
            return false;
        at += size;
        found++;
    }
    uint32_t stored = load_le(blob.data + 4, 2);
    if (stored != COUNT_UNKNOWN && stored != found)
        return false;
    if (count)
        *count = found;
    return true;
}
