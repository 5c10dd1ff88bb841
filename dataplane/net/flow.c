#include "flow.h"
#include <string.h>
#include "check.h"

/* 32 bits of the key from bit `at` on. */
static uint32_t key_window(const uint8_t key[40], unsigned at)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < 5; i++)
        bits = bits << 8 | (at / 8 + i < 40 ? key[at / 8 + i] : 0);
    return (uint32_t)(bits >> (8 - at % 8));
}

void flow_init(struct flow_steering *f, const uint8_t key[40], uint16_t lcore_count)
{
    CHECK(lcore_count > 0);
    memcpy(f->key, key, sizeof f->key);
    f->lcore_count = lcore_count;
    for (unsigned i = 0; i < FLOW_TABLE_SIZE; i++)
        f->lcore[i] = (uint16_t)(i % lcore_count);
    for (unsigned position = 0; position < 36; position++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            uint32_t hash = 0;
            for (unsigned bit = 0; bit < 8; bit++) {
                if (byte & (0x80u >> bit))
                    hash ^= key_window(key, position * 8 + bit);
            }
            f->lookup[position][byte] = hash;
        }
    }
}

static inline uint32_t hash_bytes(const uint32_t (*lookup)[256], const uint8_t *bytes, unsigned len)
{
    uint32_t hash = 0;
    for (unsigned i = 0; i < len; i++)
        hash ^= lookup[i][bytes[i]];
    return hash;
}

static inline uint32_t hash_port(const uint32_t (*lookup)[256], uint16_t port)
{
    return lookup[0][port >> 8] ^ lookup[1][port & 0xff];
}

static uint32_t hash_without_local_port(const struct flow_steering *f, const struct flow_tuple *t,
                                        unsigned *local_port_at)
{
    bool is4 = ip_addr_is4(&t->remote);
    unsigned skip = is4 ? 12 : 0, len = 16 - skip;
    *local_port_at = 2 * len + 2;
    return hash_bytes(f->lookup, t->remote.b + skip, len) ^
           hash_bytes(f->lookup + len, t->local.b + skip, len) ^
           hash_port(f->lookup + 2 * len, t->remote_port);
}

uint32_t flow_hash(const struct flow_steering *f, const struct flow_tuple *t)
{
    unsigned at;
    uint32_t hash = hash_without_local_port(f, t, &at);
    return hash ^ hash_port(f->lookup + at, t->local_port);
}

uint32_t flow_hash_addresses(const struct flow_steering *f, const struct ip_addr *remote,
                             const struct ip_addr *local)
{
    unsigned skip = ip_addr_is4(remote) ? 12 : 0, len = 16 - skip;
    return hash_bytes(f->lookup, remote->b + skip, len) ^
           hash_bytes(f->lookup + len, local->b + skip, len);
}

uint16_t flow_pick_port(const struct flow_steering *f, struct flow_tuple *t, uint16_t lcore,
                        uint16_t *cursor, bool (*in_use)(void *arg, uint16_t port), void *arg)
{
    unsigned at;
    uint32_t base = hash_without_local_port(f, t, &at);
    unsigned range = 65536 - FLOW_PORT_FIRST;
    for (unsigned tries = 0; tries < range; tries++) {
        uint16_t port = (uint16_t)(FLOW_PORT_FIRST + *cursor % range);
        *cursor = (uint16_t)(port + 1);
        if (flow_owner_of_hash(f, base ^ hash_port(f->lookup + at, port)) == lcore &&
            !in_use(arg, port)) {
            t->local_port = port;
            return port;
        }
    }
    return 0;
}
