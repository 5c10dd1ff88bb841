#include "keyhash.h"
#define XXH_INLINE_ALL
#include <xxhash.h>

#define CRC16_POLYNOMIAL 0x1021

/* Eight tables, so that eight bytes are taken per step: entry [n][i] is [0][i] moved on by n zero
 * bytes. Made at load time; 4 KB. */
#define CRC16_STEP 8
static uint16_t crc16_table[CRC16_STEP][256];

__attribute__((constructor)) static void crc16_table_make(void)
{
    for (unsigned i = 0; i < 256; i++) {
        unsigned crc = i << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 0x8000 ? crc << 1 ^ CRC16_POLYNOMIAL : crc << 1;
        crc16_table[0][i] = (uint16_t)crc;
    }
    for (unsigned n = 1; n < CRC16_STEP; n++) {
        for (unsigned i = 0; i < 256; i++) {
            unsigned crc = crc16_table[n - 1][i];
            crc16_table[n][i] = (uint16_t)(crc << 8 ^ crc16_table[0][crc >> 8]);
        }
    }
}

uint16_t crc16(const uint8_t *data, size_t len)
{
    unsigned crc = 0;
    for (; len >= CRC16_STEP; len -= CRC16_STEP, data += CRC16_STEP) {
        unsigned next = crc16_table[7][crc >> 8 ^ data[0]] ^ crc16_table[6][(crc & 0xff) ^ data[1]];
        for (unsigned i = 2; i < CRC16_STEP; i++)
            next ^= crc16_table[7 - i][data[i]];
        crc = next;
    }
    for (; len >= 2; len -= 2, data += 2)
        crc = crc16_table[1][crc >> 8 ^ data[0]] ^ crc16_table[0][(crc & 0xff) ^ data[1]];
    if (len > 0)
        crc = (crc << 8 & 0xff00) ^ crc16_table[0][crc >> 8 ^ data[0]];
    return (uint16_t)crc;
}

uint16_t key_slot(struct slice key)
{
    if (key.len == 0)
        return 0;
    const uint8_t *end = key.data + key.len;
    const uint8_t *open = memchr(key.data, '{', key.len);
    if (open) {
        const uint8_t *tag = open + 1;
        const uint8_t *close = memchr(tag, '}', (size_t)(end - tag));
        if (close && close != tag)
            return crc16(tag, (size_t)(close - tag)) % SLOTS;
    }
    return crc16(key.data, key.len) % SLOTS;
}

static uint64_t hash_seed;

void key_hash_seed_set(uint64_t seed)
{
    hash_seed = seed;
}

uint64_t key_hash(struct slice key)
{
    return XXH3_64bits_withSeed(key.data, key.len, hash_seed);
}
