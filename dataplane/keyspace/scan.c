#include "ks_internal.h"

/* The cursor: the next bucket's hash prefix, its bits reversed (Redis' reversed bucket index),
 * above 14 bits of slot. A prefix stays a boundary when buckets split; when they unite, the whole
 * bucket is visited again. Entries do not move but by splits and unions, which readers of the old
 * segment do not notice, so nothing that stays is left out. Any number from outside is a valid
 * cursor. */

#define CURSOR_SLOT_BITS 14
#define PREFIX_BITS_MAX (64 - CURSOR_SLOT_BITS)

static uint64_t reverse_bits(uint64_t v)
{
    v = __builtin_bswap64(v);
    v = (v >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f)) | (v & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 4;
    v = (v >> 2 & UINT64_C(0x3333333333333333)) | (v & UINT64_C(0x3333333333333333)) << 2;
    return (v >> 1 & UINT64_C(0x5555555555555555)) | (v & UINT64_C(0x5555555555555555)) << 1;
}

static uint64_t cursor_make(uint32_t slot, uint64_t prefix)
{
    return reverse_bits(prefix) << CURSOR_SLOT_BITS | slot;
}

static uint64_t cursor_prefix(uint64_t cursor)
{
    return reverse_bits(cursor >> CURSOR_SLOT_BITS);
}

/* Position of one walk: hashes from prefix on are still to come. */
struct scan {
    struct ks *ks;
    uint32_t slot;
    uint64_t prefix;
    void (*each)(void *arg, const struct entry *e);
    void *arg;
};

static void bucket_visit(const struct scan *scan, const struct bucket *b)
{
    int64_t now_ms = ks_now(scan->ks);
    uint64_t word = 0;
    for (;; b = word_chain(word)) {
        for (unsigned i = 0; i < BUCKET_WORDS; i++) {
            word = bucket_word(b, i);
            if (word_is_entry(word) && !entry_expired(word_entry(word), now_ms))
                scan->each(scan->arg, word_entry(word));
        }
        if (!word_is_chain(word))
            return;
    }
}

/* One bucket of the slot. False: that was the last one, or the slot is empty. */
static bool slot_visit(struct scan *scan)
{
    const struct keyspace *k = scan->ks->shared;
    uint64_t root = slot_root_at(k, (uint16_t)scan->slot, ks_epoch(k));
    if (root == 0)
        return false;
    unsigned depth;
    const struct bucket *b = index_locate(root, scan->prefix, &depth);
    bucket_visit(scan, b);
    CHECK(depth <= PREFIX_BITS_MAX);
    if (depth == 0)
        return false;
    uint64_t step = UINT64_C(1) << (64 - depth);
    scan->prefix = (scan->prefix & ~(step - 1)) + step;
    return scan->prefix != 0;
}

static uint32_t slot_next(const struct keyspace *k, uint32_t slot)
{
    for (slot++; slot < SLOTS; slot++) {
        uint64_t left =
            atomic_load_explicit(&k->occupied[slot / 64], memory_order_relaxed) >> (slot % 64);
        if (left)
            return slot + (uint32_t)__builtin_ctzll(left);
        slot |= 63;
    }
    return SLOTS;
}

uint64_t ks_scan_slot(struct ks *ks, uint16_t slot, uint64_t cursor, uint32_t budget_buckets,
                      void (*each)(void *arg, const struct entry *e), void *arg)
{
    CHECK(slot < SLOTS);
    struct scan scan = {ks, slot, cursor_prefix(cursor), each, arg};
    while (budget_buckets-- > 0)
        if (!slot_visit(&scan))
            return 0;
    return cursor_make(slot, scan.prefix);
}

uint64_t ks_scan(struct ks *ks, uint64_t cursor, uint32_t budget_buckets,
                 void (*each)(void *arg, const struct entry *e), void *arg)
{
    const struct keyspace *k = ks->shared;
    struct scan scan = {ks, (uint32_t)(cursor % SLOTS), cursor_prefix(cursor), each, arg};
    while (scan.slot < SLOTS) {
        bool more = slot_root_at(k, (uint16_t)scan.slot, ks_epoch(k)) != 0;
        if (more && budget_buckets-- == 0)
            return cursor_make(scan.slot, scan.prefix);
        if (more)
            more = slot_visit(&scan);
        if (!more) {
            scan.slot = slot_next(k, scan.slot);
            scan.prefix = 0;
        }
    }
    return 0;
}
