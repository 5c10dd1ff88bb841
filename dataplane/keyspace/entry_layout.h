/* How an entry lies in memory (inside keyspace/ only):
 *
 *   head 4 | key length 1-5 | value length 1-2 [1] | expiry 8 [2] | key | value [1] or pointer 8
 * [3] and object bytes 8 [4] [1] string inside the entry   [2] if the head says so   [3] large
 * string or aggregate [4] aggregates: what ks_changed() accounted; under the slot's lock only
 *
 * head: bits 0-2 type, 3-6 encoding (15: large string), 7 has an expiry, 8-31 LRU or LFU.
 * A 10-byte key with a 32-byte value is 48 bytes, exactly one size class.
 *
 * Memory ordering: all bytes are written before the release store that publishes the entry's word;
 * a reader's acquire load of the word makes them visible. Afterwards only head changes: LRU/LFU by
 * anyone, encoding by the holder of the slot's lock, both by relaxed compare-and-swap. */
#pragma once
#include <stdatomic.h>
#include "entry.h"

struct entry {
    _Atomic(uint32_t) head;
    uint8_t rest[];
};

#define HEAD_TYPE_MASK 7u
#define HEAD_ENC_SHIFT 3
#define HEAD_ENC_MASK 15u
#define HEAD_EXPIRY 128u
#define HEAD_FLAGS 255u
#define HEAD_CLOCK_SHIFT 8
#define HEAD_CLOCK_MASK 0xffffffu
#define ENC_STORED_BIG 15u

static inline uint32_t entry_head(const struct entry *e)
{
    return atomic_load_explicit(&e->head, memory_order_relaxed);
}

static inline unsigned head_type(uint32_t head)
{
    return head & HEAD_TYPE_MASK;
}

static inline unsigned head_enc(uint32_t head)
{
    return (head >> HEAD_ENC_SHIFT) & HEAD_ENC_MASK;
}

static inline bool head_is_inline(uint32_t head)
{
    return head_type(head) == OBJ_STRING && head_enc(head) != ENC_STORED_BIG;
}

/* The parts of one entry; pointers into it. */
struct entry_parts {
    uint32_t head;
    uint32_t key_len;
    uint32_t value_len;    /* of a string inside */
    const uint8_t *expiry; /* NULL: none */
    const uint8_t *key;
    const uint8_t *value; /* the bytes, or the pointer */
};

static inline const uint8_t *entry_varint(const uint8_t *at, uint32_t *value)
{
    uint32_t v = *at++;
    if (__builtin_expect(v >= 128, 0)) {
        v &= 127;
        for (unsigned shift = 7;; shift += 7) {
            uint32_t byte = *at++;
            v |= (byte & 127) << shift;
            if (byte < 128)
                break;
        }
    }
    *value = v;
    return at;
}

static inline struct entry_parts entry_split(const struct entry *e)
{
    struct entry_parts parts = {.head = entry_head(e)};
    const uint8_t *at = entry_varint(e->rest, &parts.key_len);
    if (head_is_inline(parts.head))
        at = entry_varint(at, &parts.value_len);
    if (parts.head & HEAD_EXPIRY) {
        parts.expiry = at;
        at += 8;
    }
    parts.key = at;
    parts.value = at + parts.key_len;
    return parts;
}

static inline bool entry_has_key(const struct entry *e, struct slice name)
{
    struct entry_parts parts = entry_split(e);
    return parts.key_len == name.len && memcmp(parts.key, name.data, name.len) == 0;
}

static inline bool entry_has_expiry(const struct entry *e)
{
    return entry_head(e) & HEAD_EXPIRY;
}

static inline bool entry_expired(const struct entry *e, int64_t now_ms)
{
    return entry_has_expiry(e) && entry_expiry_ms(e) < now_ms;
}

/* What a new entry holds: a value inside, or a pointer. */
struct entry_spec {
    struct slice key;
    enum obj_type type;
    unsigned enc_stored;
    int64_t expiry_ms;
    uint32_t clock; /* 24 bits */
    struct slice value;
    void *pointer;
};

/* One allocation; NULL: none to be had, or a key too long. */
struct entry *entry_new(const struct entry_spec *spec);
void entry_free(struct entry *e);
/* The size that entry_new() asked for. */
size_t entry_alloc_bytes(const struct entry *e);

/* Bytes that an aggregate was accounted with; the lock's holder only. */
int64_t entry_object_bytes(const struct entry *e);
void entry_object_bytes_set(struct entry *e, int64_t bytes);
/* Bytes outside the entry that it stands for: its object as accounted, or its large string. */
int64_t entry_value_bytes(const struct entry *e);
/* The lock's holder: keeps the clock, changes the encoding. */
void entry_encoding_set(struct entry *e, enum obj_encoding enc);
void entry_clock_set(struct entry *e, uint32_t clock);

/* LRU and LFU (Redis' numbers): the 24 bits for a new entry and after one access. random: 64 fresh
 * bits. */
uint32_t clock_lru(int64_t now_ms);
uint32_t clock_lfu_new(int64_t now_ms);
uint32_t clock_lfu_touch(uint32_t clock, int64_t now_ms, uint64_t random);
/* The counter after the decay that is due. */
uint8_t clock_lfu_counter(uint32_t clock, int64_t now_ms);
uint64_t clock_lru_idle_s(uint32_t clock, int64_t now_ms);
