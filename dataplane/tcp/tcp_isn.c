#include "tcp_isn.h"
#include <string.h>

static inline uint64_t rotl(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] = rotl(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] = rotl(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    sip_round(v);
    v[0] ^= word;
}

uint64_t tcp_siphash(const uint8_t key[16], const void *data, uint32_t len)
{
    uint64_t k[2];
    memcpy(k, key, sizeof(k));
    uint64_t v[4] = {k[0] ^ 0x736f6d6570736575u, k[1] ^ 0x646f72616e646f6du,
                     k[0] ^ 0x6c7967656e657261u, k[1] ^ 0x7465646279746573u};
    const uint8_t *p = data;
    uint64_t word;
    for (uint32_t left = len; left >= 8; left -= 8, p += 8) {
        memcpy(&word, p, 8);
        sip_word(v, word);
    }
    word = 0;
    memcpy(&word, p, len & 7);
    sip_word(v, word | (uint64_t)len << 56);
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t tcp_tuple_hash(const uint8_t key[16], enum tcp_hash_use use,
                        const struct flow_tuple *tuple, uint64_t extra)
{
    struct {
        struct ip_addr remote, local;
        uint16_t remote_port, local_port;
        uint32_t use;
        uint64_t extra;
    } input = {tuple->remote, tuple->local, tuple->remote_port, tuple->local_port, use, extra};
    _Static_assert(sizeof(input) == 48, "no padding: all of it is hashed");
    return tcp_siphash(key, &input, sizeof(input));
}

uint32_t tcp_isn(const uint8_t key[16], const struct flow_tuple *tuple, uint64_t now_us)
{
    return (uint32_t)(now_us / 4) + (uint32_t)tcp_tuple_hash(key, TCP_HASH_ISN, tuple, 0);
}
