#include "tcp_options.h"
#include <string.h>

enum {
    KIND_END = 0,
    KIND_NOP = 1,
    KIND_MSS = 2,
    KIND_SCALE = 3,
    KIND_SACK_OK = 4,
    KIND_SACK = 5,
    KIND_TS = 8
};

#define SCALE_MAX 14

static uint32_t get_be32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return __builtin_bswap32(v);
}

static void put_be32(uint8_t *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, sizeof(v));
}

static void parse_sack(const uint8_t *p, size_t len, struct tcp_options *o)
{
    if (o->sack_count != 0 || len < 8 || len % 8 != 0 || len / 8 > TCP_SACK_BLOCKS_MAX)
        return;
    for (size_t i = 0; i < len; i += 8)
        o->sack[o->sack_count++] = (struct tcp_block){get_be32(p + i), get_be32(p + i + 4)};
}

/* Options that only a SYN may carry. */
static void parse_syn_one(uint8_t kind, const uint8_t *p, size_t len, struct tcp_options *o)
{
    if (kind == KIND_MSS && len == 2 && !o->has_mss) {
        o->has_mss = true;
        o->mss = (uint16_t)(p[0] << 8 | p[1]);
    } else if (kind == KIND_SCALE && len == 1 && !o->has_scale) {
        o->has_scale = true;
        o->scale = p[0] > SCALE_MAX ? SCALE_MAX : p[0];
    } else if (kind == KIND_SACK_OK && len == 0) {
        o->sack_permitted = true;
    }
}

/* p, len: the option's content without kind and length. */
static void parse_one(uint8_t kind, const uint8_t *p, size_t len, struct tcp_options *o)
{
    if (kind == KIND_TS && len == 8 && !o->has_ts) {
        o->has_ts = true;
        o->ts_val = get_be32(p);
        o->ts_ecr = get_be32(p + 4);
    } else if (kind == KIND_SACK) {
        parse_sack(p, len, o);
    }
}

void tcp_options_parse(const uint8_t *p, size_t len, bool syn, struct tcp_options *o)
{
    memset(o, 0, sizeof(*o));
    size_t at = 0;
    while (at < len && p[at] != KIND_END) {
        if (p[at] == KIND_NOP) {
            at++;
            continue;
        }
        if (at + 2 > len || p[at + 1] < 2 || p[at + 1] > len - at)
            return;
        if (syn)
            parse_syn_one(p[at], p + at + 2, (size_t)p[at + 1] - 2, o);
        parse_one(p[at], p + at + 2, (size_t)p[at + 1] - 2, o);
        at += p[at + 1];
    }
}

size_t tcp_options_put_mss(uint8_t *p, uint16_t mss)
{
    put_be32(p, (uint32_t)KIND_MSS << 24 | 4u << 16 | mss);
    return 4;
}

size_t tcp_options_put_scale(uint8_t *p, uint8_t shift)
{
    put_be32(p, (uint32_t)KIND_NOP << 24 | (uint32_t)KIND_SCALE << 16 | 3u << 8 | shift);
    return 4;
}

size_t tcp_options_put_ts(uint8_t *p, uint32_t val, uint32_t ecr)
{
    put_be32(p, TCP_OPTION_TS_WORD);
    put_be32(p + 4, val);
    put_be32(p + 8, ecr);
    return TCP_OPTION_TS_LEN;
}

size_t tcp_options_put_sack_permitted(uint8_t *p)
{
    put_be32(p, (uint32_t)KIND_NOP << 24 | (uint32_t)KIND_NOP << 16 | (uint32_t)KIND_SACK_OK << 8 |
                    2u);
    return 4;
}

size_t tcp_options_put_sack(uint8_t *p, const struct tcp_block *blocks, size_t count)
{
    put_be32(p, (uint32_t)KIND_NOP << 24 | (uint32_t)KIND_NOP << 16 | (uint32_t)KIND_SACK << 8 |
                    (uint32_t)(2 + 8 * count));
    for (size_t i = 0; i < count; i++) {
        put_be32(p + 4 + 8 * i, blocks[i].left);
        put_be32(p + 8 + 8 * i, blocks[i].right);
    }
    return 4 + 8 * count;
}
