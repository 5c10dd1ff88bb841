/* A command name folded to ASCII lower case in three words, so that lookup compares words instead
 * of characters. Exact: two names are equal if and only if their keys are. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "slice.h"

#define NAME_KEY_MAX 24

struct name_key {
    uint64_t word[3];
    uint64_t len;
};

/* Eight bytes at a time: adds 0x20 to those between 'A' and 'Z'. */
static inline uint64_t name_key_fold(uint64_t x)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t low = x & (0x7f * ones);
    uint64_t above_z = low + (0x7f - 'Z') * ones;
    uint64_t from_a = low + (0x80 - 'A') * ones;
    uint64_t upper = ~x & (from_a ^ above_z) & (0x80 * ones);
    return x | (upper >> 2);
}

/* len < 8 bytes, never reading past them. */
static inline uint64_t name_key_load_short(const uint8_t *p, size_t len)
{
    if (len >= 4) {
        uint32_t first, last;
        memcpy(&first, p, 4);
        memcpy(&last, p + len - 4, 4);
        return first | (uint64_t)last << (8 * (len - 4));
    }
    uint64_t x = 0;
    if (len > 0)
        x = p[0] | (uint64_t)p[len / 2] << (8 * (len / 2)) |
            (uint64_t)p[len - 1] << (8 * (len - 1));
    return x;
}

/* False: longer than any command's name. */
static inline bool name_key_of(struct slice name, struct name_key *key)
{
    if (name.len > NAME_KEY_MAX)
        return false;
    *key = (struct name_key){.len = name.len};
    size_t at = 0;
    unsigned word = 0;
    for (; name.len - at >= 8; at += 8) {
        uint64_t x;
        memcpy(&x, name.data + at, 8);
        key->word[word++] = name_key_fold(x);
    }
    if (at < name.len)
        key->word[word] = name_key_fold(name_key_load_short(name.data + at, name.len - at));
    return true;
}

static inline bool name_key_equal(const struct name_key *a, const struct name_key *b)
{
    return ((a->word[0] ^ b->word[0]) | (a->word[1] ^ b->word[1]) | (a->word[2] ^ b->word[2]) |
            (a->len ^ b->len)) == 0;
}

static inline unsigned name_key_hash(const struct name_key *key)
{
    uint64_t x = (key->word[0] ^ key->word[1] * 31 ^ key->word[2] * 131) * 0x9e3779b97f4a7c15u;
    return (unsigned)(x >> 40);
}
