#include "rdb_lzf.h"
#include <lzf.h>
#include <string.h>
#include "check.h"

#define LITERAL_MAX 32
#define GAIN_MIN 4

size_t rdb_lzf_pack_whole(struct slice text, uint8_t out[RDB_LZF_PIECE_MAX])
{
    CHECK(text.len <= RDB_LZF_PIECE);
    if (text.len <= GAIN_MIN)
        return 0;
    return lzf_compress(text.data, (unsigned)text.len, out, (unsigned)(text.len - GAIN_MIN));
}

size_t rdb_lzf_pack(struct slice piece, uint8_t out[RDB_LZF_PIECE_MAX])
{
    CHECK(piece.len > 0);
    size_t used = rdb_lzf_pack_whole(piece, out);
    if (used > 0)
        return used;
    for (size_t at = 0; at < piece.len;) {
        size_t run = piece.len - at < LITERAL_MAX ? piece.len - at : LITERAL_MAX;
        out[used++] = (uint8_t)(run - 1);
        memcpy(out + used, piece.data + at, run);
        used += run;
        at += run;
    }
    return used;
}

/* The length of the token that begins with this byte, without the bytes of a literal run. */
static unsigned token_size(uint8_t first)
{
    if (first < LITERAL_MAX)
        return 1;
    return first >> 5 == 7 ? 3 : 2;
}

static void token_read(struct rdb_unlzf *u, const uint8_t *token)
{
    if (token[0] < LITERAL_MAX) {
        u->literal_left = token[0] + 1u;
        return;
    }
    bool is_long = token[0] >> 5 == 7;
    u->copy_left = is_long ? 9u + token[1] : (token[0] >> 5) + 2u;
    u->distance = ((token[0] & 31u) << 8 | token[is_long ? 2 : 1]) + 1;
}

/* False: the piece ends within the token. */
static bool token_next(struct rdb_unlzf *u, struct slice *in)
{
    unsigned size = token_size(u->token_len ? u->token[0] : in->data[0]);
    const uint8_t *token = in->data;
    size_t taken = size;
    if (u->token_len > 0 || in->len < size) {
        taken = size - u->token_len < in->len ? size - u->token_len : in->len;
        memcpy(u->token + u->token_len, in->data, taken);
        u->token_len = (uint8_t)(u->token_len + taken);
        token = u->token;
    }
    in->data += taken;
    in->len -= taken;
    if (token == u->token && u->token_len < size)
        return false;
    u->token_len = 0;
    token_read(u, token);
    return true;
}

/* A reference may overlap what it produces: then it repeats it. */
static void copy_back(uint8_t *to, size_t distance, size_t len)
{
    const uint8_t *from = to - distance;
    if (distance >= len) {
        memcpy(to, from, len);
        return;
    }
    if (distance == 1) {
        memset(to, *from, len);
        return;
    }
    for (size_t i = 0; i < len; i++)
        to[i] = from[i];
}

bool rdb_unlzf(struct rdb_unlzf *u, struct slice *in, uint8_t *out, size_t size, size_t *filled)
{
    size_t at = *filled;
    bool valid = true;
    while (at < size) {
        size_t room = size - at;
        if (u->copy_left > 0) {
            size_t len = u->copy_left < room ? u->copy_left : room;
            valid = u->distance <= at;
            if (!valid)
                break;
            copy_back(out + at, u->distance, len);
            u->copy_left -= (uint32_t)len;
            at += len;
            continue;
        }
        if (in->len == 0)
            break;
        if (u->literal_left > 0) {
            size_t len = u->literal_left < room ? u->literal_left : room;
            len = len < in->len ? len : in->len;
            memcpy(out + at, in->data, len);
            in->data += len;
            in->len -= len;
            u->literal_left -= (uint32_t)len;
            at += len;
        } else if (!token_next(u, in)) {
            break;
        }
    }
    *filled = at;
    return valid;
}
