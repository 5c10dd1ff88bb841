#include "rdb_write.h"
#include <string.h>
#include "check.h"
#include "numbers.h"
#include "rdb_format.h"

/* A long string that has not shrunk after so many bytes is written raw without trying the rest. */
#define TRIAL_BYTES ((size_t)256 << 10)

void rdb_write_byte(struct rdb_writer *w, uint8_t value)
{
    outbuf_append(w->out, &value, 1);
}

static void store_be(uint8_t *p, uint64_t value, unsigned bytes)
{
    for (unsigned i = bytes; i-- > 0; value >>= 8)
        p[i] = (uint8_t)value;
}

static void store_le(uint8_t *p, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++, value >>= 8)
        p[i] = (uint8_t)value;
}

void rdb_write_length(struct rdb_writer *w, uint64_t len)
{
    uint8_t text[9];
    size_t size;
    if (len < 1 << 6) {
        text[0] = (uint8_t)(RDB_LEN_6 | len);
        size = 1;
    } else if (len < 1 << 14) {
        store_be(text, RDB_LEN_14 << 8 | len, 2);
        size = 2;
    } else if (len <= UINT32_MAX) {
        text[0] = RDB_LEN_32;
        store_be(text + 1, len, 4);
        size = 5;
    } else {
        text[0] = RDB_LEN_64;
        store_be(text + 1, len, 8);
        size = 9;
    }
    outbuf_append(w->out, text, size);
}

void rdb_write_double(struct rdb_writer *w, double value)
{
    uint64_t bits;
    uint8_t bytes[8];
    memcpy(&bits, &value, 8);
    store_le(bytes, bits, 8);
    outbuf_append(w->out, bytes, 8);
}

/* False: it is no integer of at most 32 bits. */
static bool write_integer(struct rdb_writer *w, struct slice text)
{
    int64_t value;
    if (text.len > RDB_INTEGER_TEXT_MAX || !parse_i64(text, &value))
        return false;
    uint8_t bytes[5];
    unsigned size;
    if (value >= INT8_MIN && value <= INT8_MAX)
        size = 1;
    else if (value >= INT16_MIN && value <= INT16_MAX)
        size = 2;
    else if (value >= INT32_MIN && value <= INT32_MAX)
        size = 4;
    else
        return false;
    bytes[0] = RDB_LEN_ENCODED | (size == 1   ? RDB_ENC_INT8
                                  : size == 2 ? RDB_ENC_INT16
                                              : RDB_ENC_INT32);
    store_le(bytes + 1, (uint64_t)value, size);
    outbuf_append(w->out, bytes, size + 1);
    return true;
}

static void write_lzf_head(struct rdb_writer *w, size_t packed_len, size_t len)
{
    rdb_write_byte(w, RDB_LEN_ENCODED | RDB_ENC_LZF);
    rdb_write_length(w, packed_len);
    rdb_write_length(w, len);
}

void rdb_write_string(struct rdb_writer *w, struct slice text)
{
    uint8_t packed[RDB_LZF_PIECE_MAX];
    CHECK(text.len <= RDB_LZF_PIECE);
    if (write_integer(w, text))
        return;
    size_t packed_len =
        w->compress && text.len > RDB_COMPRESS_MIN ? rdb_lzf_pack_whole(text, packed) : 0;
    if (packed_len > 0) {
        write_lzf_head(w, packed_len, text.len);
        outbuf_append(w->out, packed, packed_len);
        return;
    }
    rdb_write_length(w, text.len);
    outbuf_append(w->out, text.data, text.len);
}

/* The next RDB_LZF_PIECE bytes, or what is left of the string: where they lie, or put together in
 * room. */
static struct slice long_piece(const struct rdb_long_string *l, uint8_t room[RDB_LZF_PIECE])
{
    size_t want = l->len - l->at < RDB_LZF_PIECE ? l->len - l->at : RDB_LZF_PIECE;
    struct slice first = l->peek(l->source, l->at);
    if (first.len >= want)
        return slice_from(first.data, want);
    for (size_t have = 0; have < want;) {
        struct slice part = l->peek(l->source, l->at + have);
        CHECK(part.len > 0);
        size_t len = part.len < want - have ? part.len : want - have;
        memcpy(room + have, part.data, len);
        have += len;
    }
    return slice_from(room, want);
}

static bool packing_pays(const struct rdb_long_string *l)
{
    if (l->packed.len + 4 > l->len)
        return false;
    return l->at < TRIAL_BYTES || l->packed.len < l->at;
}

static void long_pack(struct rdb_long_string *l, struct slice piece)
{
    uint8_t packed[RDB_LZF_PIECE_MAX];
    outbuf_append(&l->packed, packed, rdb_lzf_pack(piece, packed));
    l->at += piece.len;
}

bool rdb_write_long_step(struct rdb_writer *w, struct rdb_long_string *l)
{
    uint8_t room[RDB_LZF_PIECE];
    if (l->at == 0 && !w->compress)
        l->raw = true;
    if (l->raw) {
        if (l->at == 0)
            rdb_write_length(w, l->len);
        struct slice piece = long_piece(l, room);
        outbuf_append(w->out, piece.data, piece.len);
        l->at += piece.len;
        return l->at == l->len;
    }
    long_pack(l, long_piece(l, room));
    if (!packing_pays(l)) {
        outbuf_clear(&l->packed);
        l->raw = true;
        l->at = 0;
        return false;
    }
    if (l->at < l->len)
        return false;
    write_lzf_head(w, l->packed.len, l->len);
    outbuf_splice(w->out, &l->packed);
    return true;
}

void rdb_long_string_fini(struct rdb_long_string *l)
{
    outbuf_clear(&l->packed);
}
