#include <stdlib.h>
#include "ks_internal.h"

#define QUICK_TRIES 4
#define SLOTS_WEIGHED 32
#define RANDOM_TRIES 100

static uint64_t map_word(const _Atomic(uint64_t) *map, unsigned i)
{
    return atomic_load_explicit(&map[i], memory_order_relaxed);
}

static uint32_t map_count(const _Atomic(uint64_t) *map)
{
    uint32_t count = 0;
    for (unsigned i = 0; i < BITMAP_WORDS; i++)
        count += (uint32_t)__builtin_popcountll(map_word(map, i));
    return count;
}

bool slot_pick(struct ks *ks, _Atomic(uint64_t) *map, uint16_t *slot)
{
    struct rng *rng = &ks->p->rng;
    for (unsigned i = 0; i < QUICK_TRIES; i++) {
        *slot = (uint16_t)rng_below(rng, SLOTS);
        if (bitmap_has(map, *slot))
            return true;
    }
    uint32_t count = map_count(map);
    if (count == 0)
        return false;
    uint64_t nth = rng_below(rng, count);
    for (unsigned i = 0; i < BITMAP_WORDS; i++) {
        uint64_t word = map_word(map, i);
        uint32_t here = (uint32_t)__builtin_popcountll(word);
        if (nth >= here) {
            nth -= here;
            continue;
        }
        for (; nth > 0; nth--)
            word &= word - 1;
        *slot = (uint16_t)(i * 64 + (unsigned)__builtin_ctzll(word));
        return true;
    }
    return false; /* slots emptied while we counted */
}

const struct bucket *bucket_pick(struct ks *ks, uint16_t slot)
{
    uint64_t root = slot_root_at(ks->shared, slot, ks_epoch(ks->shared));
    unsigned depth;
    return root ? index_locate(root, rng_next(&ks->p->rng), &depth) : NULL;
}

/* Some slots, of which one is chosen by its number of keys: keys of full slots are as likely as
 * those of others. With few slots in use all of them are weighed. */
static bool slot_pick_weighed(struct ks *ks, uint16_t *slot)
{
    struct keyspace *k = ks->shared;
    uint16_t slots[SLOTS_WEIGHED];
    uint64_t sums[SLOTS_WEIGHED];
    unsigned n = 0;
    uint64_t sum = 0;
    bool few = map_count(k->occupied) <= SLOTS_WEIGHED;
    for (unsigned i = 0; few && i < BITMAP_WORDS; i++)
        for (uint64_t word = map_word(k->occupied, i); word && n < SLOTS_WEIGHED; word &= word - 1)
            slots[n++] = (uint16_t)(i * 64 + (unsigned)__builtin_ctzll(word));
    while (!few && n < SLOTS_WEIGHED && slot_pick(ks, k->occupied, &slots[n]))
        n++;
    for (unsigned i = 0; i < n; i++)
        sums[i] = sum += ks_slot_count(k, slots[i]);
    if (sum == 0)
        return false;
    uint64_t nth = rng_below(&ks->p->rng, sum);
    unsigned i = 0;
    while (sums[i] <= nth)
        i++;
    *slot = slots[i];
    return true;
}

/* One of the chain's entries; often NULL where there are few, so that all buckets' entries are as
 * likely. */
static const struct entry *chain_pick(struct ks *ks, const struct bucket *b)
{
    const struct entry *entries[BUCKET_WORDS * 8];
    unsigned n = 0;
    for (; b; b = bucket_next(b))
        for (unsigned i = 0; i < BUCKET_WORDS && n < count_of(entries); i++)
            if (word_is_entry(bucket_word(b, i)))
                entries[n++] = word_entry(bucket_word(b, i));
    uint64_t nth = rng_below(&ks->p->rng, n < BUCKET_WORDS ? BUCKET_WORDS : n);
    return nth < n ? entries[nth] : NULL;
}

/* Any of the slot's entries; NULL: none came up. */
static const struct entry *entry_pick(struct ks *ks, uint16_t slot)
{
    const struct entry *e = NULL;
    const struct bucket *b;
    for (unsigned i = 0; !e && i < RANDOM_TRIES && (b = bucket_pick(ks, slot)); i++)
        e = chain_pick(ks, b);
    return e;
}

static void first_live(void *arg, const struct entry *e)
{
    const struct entry **first = arg;
    if (!*first)
        *first = e;
}

static const struct entry *random_entry(struct ks *ks)
{
    uint16_t slot;
    for (unsigned i = 0; i < RANDOM_TRIES && slot_pick_weighed(ks, &slot); i++) {
        const struct entry *e = entry_pick(ks, slot);
        if (e && !entry_expired(e, ks_now(ks)))
            return e;
    }
    /* Nearly all have expired, or hide well. */
    const struct entry *e = NULL;
    uint64_t cursor = 0;
    do {
        cursor = ks_scan(ks, cursor, 64, first_live, &e);
    } while (cursor && !e);
    return e;
}

bool ks_random(struct ks *ks, struct slice *name, uint8_t **owned)
{
    const struct entry *e = ks_count(ks->shared) ? random_entry(ks) : NULL;
    if (!e)
        return false;
    struct slice key = entry_key(e);
    *owned = malloc(key.len ? key.len : 1);
    if (!*owned)
        return false;
    if (key.len)
        memcpy(*owned, key.data, key.len);
    *name = slice_from(*owned, key.len);
    return true;
}
