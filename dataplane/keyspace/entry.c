#include "entry.h"
#include "entry_layout.h"
#include "bigstr.h"
#include "check.h"
#include "config.h"
#include "ks_memory.h"

#define KEY_LEN_MAX ((size_t)UINT32_MAX >> 1)
#define LFU_INIT 5u

_Static_assert(OBJ_TYPES <= HEAD_TYPE_MASK + 1, "the type fits its bits");
_Static_assert(ENC_STREAM < ENC_STORED_BIG, "the encoding fits its bits");

static size_t varint_len(size_t value)
{
    size_t len = 1;
    for (; value >= 128; value >>= 7)
        len++;
    return len;
}

static uint8_t *varint_write(uint8_t *at, size_t value)
{
    for (; value >= 128; value >>= 7)
        *at++ = (uint8_t)(value | 128);
    *at++ = (uint8_t)value;
    return at;
}

static bool spec_is_inline(const struct entry_spec *spec)
{
    return spec->type == OBJ_STRING && spec->enc_stored != ENC_STORED_BIG;
}

static size_t spec_bytes(const struct entry_spec *spec)
{
    size_t bytes = sizeof(struct entry) + varint_len(spec->key.len) + spec->key.len;
    if (spec->expiry_ms != EXPIRY_NONE)
        bytes += 8;
    if (spec_is_inline(spec))
        return bytes + varint_len(spec->value.len) + spec->value.len;
    return bytes + (spec->type == OBJ_STRING ? 8 : 16);
}

struct entry *entry_new(const struct entry_spec *spec)
{
    if (spec->key.len > KEY_LEN_MAX)
        return NULL;
    struct entry *e = ks_mem_alloc(spec_bytes(spec));
    if (!e)
        return NULL;
    uint32_t head =
        (uint32_t)spec->type | spec->enc_stored << HEAD_ENC_SHIFT | spec->clock << HEAD_CLOCK_SHIFT;
    uint8_t *at = varint_write(e->rest, spec->key.len);
    if (spec_is_inline(spec))
        at = varint_write(at, spec->value.len);
    if (spec->expiry_ms != EXPIRY_NONE) {
        head |= HEAD_EXPIRY;
        memcpy(at, &spec->expiry_ms, 8);
        at += 8;
    }
    atomic_init(&e->head, head);
    if (spec->key.len)
        memcpy(at, spec->key.data, spec->key.len);
    at += spec->key.len;
    if (!spec_is_inline(spec)) {
        memcpy(at, &spec->pointer, 8);
        if (spec->type != OBJ_STRING)
            memset(at + 8, 0, 8);
    } else if (spec->value.len) {
        memcpy(at, spec->value.data, spec->value.len);
    }
    return e;
}

size_t entry_alloc_bytes(const struct entry *e)
{
    struct entry_parts parts = entry_split(e);
    size_t bytes = (size_t)(parts.value - (const uint8_t *)e);
    if (head_is_inline(parts.head))
        return bytes + parts.value_len;
    return bytes + (head_type(parts.head) == OBJ_STRING ? 8 : 16);
}

void entry_free(struct entry *e)
{
    if (e)
        ks_mem_free(e, entry_alloc_bytes(e));
}

size_t entry_mem_bytes(const struct entry *e)
{
    return ks_mem_usable(entry_alloc_bytes(e));
}

enum obj_type entry_type(const struct entry *e)
{
    return (enum obj_type)head_type(entry_head(e));
}

enum obj_encoding entry_encoding(const struct entry *e)
{
    unsigned enc = head_enc(entry_head(e));
    return enc == ENC_STORED_BIG ? ENC_RAW : (enum obj_encoding)enc;
}

const char *entry_type_name(enum obj_type t)
{
    static const char *const names[OBJ_TYPES] = {"string", "list",   "set",   "zset",
                                                 "hash",   "module", "stream"};
    CHECK((unsigned)t < OBJ_TYPES);
    return names[t];
}

const char *entry_encoding_name(enum obj_encoding e)
{
    static const char *const names[] = {"int",       "embstr",    "raw",      "listpack", "intset",
                                        "hashtable", "quicklist", "skiplist", "stream"};
    CHECK((unsigned)e < count_of(names));
    return names[e];
}

struct slice entry_key(const struct entry *e)
{
    struct entry_parts parts = entry_split(e);
    return slice_from(parts.key, parts.key_len);
}

int64_t entry_expiry_ms(const struct entry *e)
{
    struct entry_parts parts = entry_split(e);
    int64_t expiry_ms = EXPIRY_NONE;
    if (parts.expiry)
        memcpy(&expiry_ms, parts.expiry, 8);
    return expiry_ms;
}

struct slice entry_string(const struct entry *e)
{
    struct entry_parts parts = entry_split(e);
    CHECK(head_is_inline(parts.head));
    return slice_from(parts.value, parts.value_len);
}

static void *entry_pointer(const struct entry_parts *parts)
{
    void *pointer;
    memcpy(&pointer, parts->value, 8);
    return pointer;
}

struct bigstr *entry_big(const struct entry *e)
{
    struct entry_parts parts = entry_split(e);
    if (head_type(parts.head) != OBJ_STRING || head_enc(parts.head) != ENC_STORED_BIG)
        return NULL;
    return entry_pointer(&parts);
}

size_t entry_string_len(const struct entry *e)
{
    struct bigstr *big = entry_big(e);
    return big ? bigstr_len(big) : entry_string(e).len;
}

void *entry_object(const struct entry *e)
{
    struct entry_parts parts = entry_split(e);
    CHECK(head_type(parts.head) != OBJ_STRING);
    return entry_pointer(&parts);
}

int64_t entry_object_bytes(const struct entry *e)
{
    struct entry_parts parts = entry_split(e);
    int64_t bytes = 0;
    if (head_type(parts.head) != OBJ_STRING)
        memcpy(&bytes, parts.value + 8, 8);
    return bytes;
}

int64_t entry_value_bytes(const struct entry *e)
{
    const struct bigstr *big = entry_big(e);
    return big ? (int64_t)bigstr_mem_bytes(big) : entry_object_bytes(e);
}

void entry_object_bytes_set(struct entry *e, int64_t bytes)
{
    struct entry_parts parts = entry_split(e);
    CHECK(head_type(parts.head) != OBJ_STRING);
    memcpy(e->rest + (parts.value + 8 - e->rest), &bytes, 8);
}

static void head_change(struct entry *e, uint32_t mask, uint32_t bits)
{
    uint32_t head = entry_head(e);
    while (!atomic_compare_exchange_weak_explicit(&e->head, &head, (head & ~mask) | bits,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

void entry_encoding_set(struct entry *e, enum obj_encoding enc)
{
    CHECK(head_enc(entry_head(e)) != ENC_STORED_BIG);
    if (head_enc(entry_head(e)) != enc)
        head_change(e, HEAD_ENC_MASK << HEAD_ENC_SHIFT, (uint32_t)enc << HEAD_ENC_SHIFT);
}

void entry_clock_set(struct entry *e, uint32_t clock)
{
    if (entry_head(e) >> HEAD_CLOCK_SHIFT != clock)
        head_change(e, HEAD_CLOCK_MASK << HEAD_CLOCK_SHIFT, clock << HEAD_CLOCK_SHIFT);
}

uint64_t entry_idle_s(const struct entry *e, int64_t now_ms)
{
    return clock_lru_idle_s(entry_head(e) >> HEAD_CLOCK_SHIFT, now_ms);
}

uint8_t entry_frequency(const struct entry *e, int64_t now_ms)
{
    return clock_lfu_counter(entry_head(e) >> HEAD_CLOCK_SHIFT, now_ms);
}

uint32_t clock_lru(int64_t now_ms)
{
    return (uint32_t)((uint64_t)now_ms / 1000) & HEAD_CLOCK_MASK;
}

uint64_t clock_lru_idle_s(uint32_t clock, int64_t now_ms)
{
    return (clock_lru(now_ms) - clock) & HEAD_CLOCK_MASK;
}

/* LFU: 16 bits of minutes, 8 bits of counter. */
static uint32_t lfu_minutes(int64_t now_ms)
{
    return (uint32_t)((uint64_t)now_ms / 60000) & 0xffff;
}

uint32_t clock_lfu_new(int64_t now_ms)
{
    return lfu_minutes(now_ms) << 8 | LFU_INIT;
}

uint8_t clock_lfu_counter(uint32_t clock, int64_t now_ms)
{
    uint32_t counter = clock & 255;
    int64_t decay_min = config_get()->lfu_decay_time_min;
    if (decay_min <= 0)
        return (uint8_t)counter;
    uint32_t elapsed_min = (lfu_minutes(now_ms) - (clock >> 8)) & 0xffff;
    uint64_t periods = elapsed_min / (uint64_t)decay_min;
    return periods >= counter ? 0 : (uint8_t)(counter - periods);
}

uint32_t clock_lfu_touch(uint32_t clock, int64_t now_ms, uint64_t random)
{
    uint32_t counter = clock_lfu_counter(clock, now_ms);
    if (counter < 255) {
        /* One in (counter - init) * factor + 1 accesses counts. */
        uint64_t base = counter > LFU_INIT ? counter - LFU_INIT : 0;
        uint64_t odds = base * (uint64_t)config_get()->lfu_log_factor + 1;
        counter += random % odds == 0;
    }
    return lfu_minutes(now_ms) << 8 | counter;
}

void entry_idle_set(struct entry *e, int64_t now_ms, uint64_t idle_s)
{
    uint32_t idle = idle_s < HEAD_CLOCK_MASK ? (uint32_t)idle_s : HEAD_CLOCK_MASK;
    entry_clock_set(e, (clock_lru(now_ms) - idle) & HEAD_CLOCK_MASK);
}

void entry_frequency_set(struct entry *e, int64_t now_ms, uint8_t frequency)
{
    entry_clock_set(e, lfu_minutes(now_ms) << 8 | frequency);
}
