#include "config.h"
#include "ks_internal.h"

/* Active expiry. A round visits the slots that have keys with an expiry, 64 at a time taken from a
 * shared bitmap, so that lcores share the work and none waits for one that sleeps. In a slot it
 * goes on where the last visit ended and leaves when of at least SAMPLE keys no more than a tenth
 * had expired (as Redis tolerates). What it may spend on slots that are not worth it is limited per
 * tick; where much has expired only the caller's budget counts. */

#define SAMPLE 20
#define STALE_TOLERATED 10 /* one in so many */
#define TICK_MS 100
#define CREDIT_BUCKETS 1024 /* per tick and effort */

/* Deletes the key if it is still there and still expired. */
static bool key_expire(struct ks *ks, const struct entry *e, uint16_t slot)
{
    struct key key = key_of_entry(e, slot);
    if (!section_try(ks, slot))
        return false;
    struct place place;
    struct entry *now = index_find(section_root(ks, slot), key.hash, key.name, &place);
    bool dropped =
        now && entry_expired(now, ks_now(ks)) && entry_drop(ks, &key, &place, DROP_EXPIRED);
    ks_unlock(ks, slot);
    return dropped;
}

static uint32_t chain_expire(struct ks *ks, const struct bucket *b, uint16_t slot)
{
    struct ks_private *p = ks->p;
    int64_t now_ms = ks_now(ks);
    uint32_t deleted = 0;
    for (unsigned i = 0; i < BUCKET_WORDS; i++)
        if (bucket_word(b, i) & WORD_VOLATILE)
            __builtin_prefetch(word_entry(bucket_word(b, i)));
    for (; b; b = bucket_next(b)) {
        for (unsigned i = 0; i < BUCKET_WORDS; i++) {
            uint64_t word = bucket_word(b, i);
            if (!(word & WORD_VOLATILE))
                continue;
            p->expire_seen++;
            if (!entry_expired(word_entry(word), now_ms))
                continue;
            p->expire_stale++;
            deleted += key_expire(ks, word_entry(word), slot);
        }
    }
    return deleted;
}

static bool slot_is_stale(const struct ks_private *p)
{
    return p->expire_stale * STALE_TOLERATED > p->expire_seen;
}

/* Visits buckets until the slot is done or a budget is used up; true: done. */
static bool slot_expire(struct ks *ks, uint16_t slot, uint32_t *budget, uint32_t *deleted)
{
    struct keyspace *k = ks->shared;
    struct ks_private *p = ks->p;
    _Atomic(uint32_t) *expire_at = &k->writes[slot].expire_at;
    while (*budget > 0 && p->expire_credit > 0) {
        uint64_t root = slot_root_at(k, slot, ks_epoch(k));
        if (root == 0) {
            /* Flushed, and not yet detached: its bit stays for a while. Costs budget like any
             * visit, else a keyspace of such slots would be gone round for ever. */
            --*budget;
            return true;
        }
        uint64_t prefix = (uint64_t)atomic_load_explicit(expire_at, memory_order_relaxed) << 32;
        unsigned depth;
        const struct bucket *b = index_locate(root, prefix, &depth);
        *deleted += chain_expire(ks, b, slot);
        --*budget;
        if (!slot_is_stale(p))
            p->expire_credit--;
        uint64_t step = depth ? UINT64_C(1) << (64 - depth) : 0;
        prefix = (prefix & ~(step - 1)) + step;
        atomic_store_explicit(expire_at, (uint32_t)(prefix >> 32), memory_order_relaxed);
        if (prefix == 0 || (p->expire_seen >= SAMPLE && !slot_is_stale(p)))
            return true;
    }
    return false;
}

static bool slots_take(struct ks *ks)
{
    struct keyspace *k = ks->shared;
    struct ks_private *p = ks->p;
    for (unsigned i = 0; i < BITMAP_WORDS && !p->expire_slots; i++) {
        p->expire_word =
            atomic_fetch_add_explicit(&k->expire_next, 1, memory_order_relaxed) % BITMAP_WORDS;
        p->expire_slots = atomic_load_explicit(&k->volatiles[p->expire_word], memory_order_relaxed);
    }
    return p->expire_slots != 0;
}

uint32_t ks_expire_cycle(struct ks *ks, uint32_t budget_buckets)
{
    struct ks_private *p = ks->p;
    int64_t now_ms = ks_now(ks);
    if (!ks->master)
        return 0;
    if (now_ms - p->expire_tick_ms >= TICK_MS) {
        p->expire_tick_ms = now_ms;
        p->expire_credit = CREDIT_BUCKETS * (uint32_t)config_get()->active_expire_effort;
    }
    uint32_t deleted = 0;
    while (budget_buckets > 0 && p->expire_credit > 0 && slots_take(ks)) {
        unsigned bit = (unsigned)__builtin_ctzll(p->expire_slots);
        if (!slot_expire(ks, (uint16_t)(p->expire_word * 64 + bit), &budget_buckets, &deleted))
            break;
        p->expire_slots &= p->expire_slots - 1;
        p->expire_seen = p->expire_stale = 0;
    }
    return deleted;
}
