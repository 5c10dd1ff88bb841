#include "config.h"
#include "ks_internal.h"

/* Eviction samples like Redis: some random keys that the policy allows go into a pool of the best
 * candidates so far, and the best of it is evicted. A pool entry is a word to compare with, never a
 * pointer to follow: the key may be gone, or its address used again, by the time it is wanted.
 *
 * Policies for keys with an expiry look only at slots that have some (bitmap) and at words marked
 * so: eligible keys are found though nearly all others are not. */

#define EVICTIONS_PER_CALL 64
#define CHAINS_PER_SAMPLING 64
#define CHAINS_PER_SEARCH 512
#define SEARCHES_PER_CALL 2
#define CREDIT_MAX_BYTES (UINT64_C(1) << 20)

enum evict_result {
    EVICT_DONE,
    EVICT_NONE,      /* no key that the policy allows */
    EVICT_SEARCHING, /* there is one, but it is not found yet */
};

static bool policy_is_volatile(int policy)
{
    return policy <= POLICY_VOLATILE_TTL;
}

static uint64_t entry_score(struct ks *ks, const struct entry *e, int policy)
{
    int64_t now_ms = ks_now(ks);
    switch (policy) {
    case POLICY_VOLATILE_LRU:
    case POLICY_ALLKEYS_LRU:
        return entry_idle_s(e, now_ms);
    case POLICY_VOLATILE_LFU:
    case POLICY_ALLKEYS_LFU:
        return 255u - entry_frequency(e, now_ms);
    case POLICY_VOLATILE_TTL:
        return UINT64_MAX - (uint64_t)entry_expiry_ms(e);
    default:
        return rng_next(&ks->p->rng);
    }
}

static void pool_remove(struct ks_private *p, unsigned i)
{
    memmove(&p->pool[i], &p->pool[i + 1], (--p->pool_count - i) * sizeof(p->pool[0]));
}

/* Keeps the pool sorted, the best last; a full one loses its worst. */
static void pool_add(struct ks *ks, uint16_t slot, uint64_t word, uint64_t score)
{
    struct ks_private *p = ks->p;
    if (p->pool_count == EVICT_POOL) {
        if (score <= p->pool[0].score)
            return;
        pool_remove(p, 0);
    }
    unsigned i = p->pool_count;
    while (i > 0 && p->pool[i - 1].score > score)
        i--;
    memmove(&p->pool[i + 1], &p->pool[i], (p->pool_count - i) * sizeof(p->pool[0]));
    p->pool[i] = (struct evict_candidate){
        .score = score, .hash = key_hash(entry_key(word_entry(word))), .word = word, .slot = slot};
    p->pool_count++;
}

static bool pool_has(const struct ks_private *p, uint64_t word)
{
    for (unsigned i = 0; i < p->pool_count; i++)
        if ((p->pool[i].word & WORD_POINTER) == (word & WORD_POINTER))
            return true;
    return false;
}

/* The eligible keys of one chain; how many. */
static uint32_t chain_sample(struct ks *ks, const struct bucket *b, uint16_t slot, int policy)
{
    uint64_t wanted = policy_is_volatile(policy) ? WORD_VOLATILE : 0;
    uint32_t sampled = 0;
    for (; b; b = bucket_next(b)) {
        for (unsigned i = 0; i < BUCKET_WORDS; i++) {
            uint64_t word = bucket_word(b, i);
            if (!word_is_entry(word) || (word & wanted) != wanted)
                continue;
            sampled++;
            if (!pool_has(ks->p, word))
                pool_add(ks, slot, word, entry_score(ks, word_entry(word), policy));
        }
    }
    return sampled;
}

static void pool_fill(struct ks *ks, int policy)
{
    struct keyspace *k = ks->shared;
    _Atomic(uint64_t) *map = policy_is_volatile(policy) ? k->volatiles : k->occupied;
    uint32_t samples = (uint32_t)config_get()->maxmemory_samples;
    uint32_t sampled = 0;
    uint16_t slot;
    for (unsigned i = 0; i < CHAINS_PER_SAMPLING && sampled < samples; i++) {
        if (!slot_pick(ks, map, &slot))
            return;
        const struct bucket *b = bucket_pick(ks, slot);
        if (b)
            sampled += chain_sample(ks, b, slot, policy);
    }
}

/* Evicts the candidate if it is still what it was. */
static bool candidate_evict(struct ks *ks, const struct evict_candidate *candidate, int policy)
{
    bool evicted = false;
    ks_lock(ks, candidate->slot);
    uint64_t root = section_root(ks, candidate->slot);
    struct place place = {0};
    if (root)
        place.head = index_locate(root, candidate->hash, &place.depth);
    for (place.at = place.head; place.at && !evicted; place.at = bucket_next(place.at)) {
        for (place.index = 0; place.index < BUCKET_WORDS; place.index++) {
            uint64_t word = bucket_word(place.at, place.index);
            if ((word & WORD_POINTER) != (candidate->word & WORD_POINTER) || !word_is_entry(word))
                continue;
            if (policy_is_volatile(policy) && !(word & WORD_VOLATILE))
                continue;
            struct key key = key_of_entry(word_entry(word), candidate->slot);
            entry_drop(ks, &key, &place, DROP_EVICTED);
            evicted = true;
            break;
        }
        if (evicted)
            break;
    }
    ks_unlock(ks, candidate->slot);
    return evicted;
}

/* Where the eligible keys are few, a slot that has some is searched from bucket to bucket; a long
 * search goes on in the next call. */
static enum evict_result slot_search(struct ks *ks, int policy)
{
    struct keyspace *k = ks->shared;
    struct ks_private *p = ks->p;
    _Atomic(uint64_t) *map = policy_is_volatile(policy) ? k->volatiles : k->occupied;
    if (p->search_left == 0 || !bitmap_has(map, p->search_slot)) {
        if (!slot_pick(ks, map, &p->search_slot))
            return EVICT_NONE;
        p->search_prefix = 0;
        p->search_left = UINT64_MAX;
    }
    for (unsigned i = 0; i < CHAINS_PER_SEARCH && p->search_left > 0; i++) {
        uint64_t root = slot_root_at(k, p->search_slot, ks_epoch(k));
        unsigned depth = 0;
        bool found = root && chain_sample(ks, index_locate(root, p->search_prefix, &depth),
                                          p->search_slot, policy);
        /* What is left of the hashes; a bucket that grew meanwhile is seen in part, at least. */
        uint64_t step = depth ? (UINT64_C(1) << (64 - depth)) - 1 : UINT64_MAX;
        p->search_left = UINT64_MAX - (p->search_prefix | step);
        p->search_prefix = (p->search_prefix | step) + 1;
        if (found)
            return EVICT_DONE;
    }
    return EVICT_SEARCHING;
}

static enum evict_result evict_one(struct ks *ks, int policy)
{
    struct ks_private *p = ks->p;
    if (p->pool_policy != policy) {
        p->pool_count = 0;
        p->pool_policy = policy;
    }
    pool_fill(ks, policy);
    while (p->pool_count > 0) {
        struct evict_candidate best = p->pool[--p->pool_count];
        if (candidate_evict(ks, &best, policy))
            return EVICT_DONE;
    }
    enum evict_result result = slot_search(ks, policy);
    /* Found: the next attempt takes it from the pool. */
    return result == EVICT_DONE ? EVICT_SEARCHING : result;
}

/* Evicts until used bytes are down to max, or for long enough; KS_ROOM_LATER: it took a while. */
static enum ks_room evict_some(struct ks *ks, uint64_t max, int policy)
{
    struct ks_private *p = ks->p;
    unsigned searches = 0;
    for (unsigned i = 0; i < EVICTIONS_PER_CALL && searches < SEARCHES_PER_CALL; i++) {
        /* What is evicted only changes its name to "retired" before readers are through. */
        if (ks_crowded(ks))
            return KS_ROOM_LATER;
        int64_t before = atomic_load_explicit(&p->share->used_bytes, memory_order_relaxed);
        enum evict_result result = evict_one(ks, policy);
        if (result == EVICT_NONE)
            return i > 0 ? KS_ROOM_LATER : KS_ROOM_NONE;
        int64_t after = atomic_load_explicit(&p->share->used_bytes, memory_order_relaxed);
        p->evict_credit += before > after ? (uint64_t)(before - after) : 0;
        searches += result == EVICT_SEARCHING;
        if (ks_used_bytes(ks->shared) <= max)
            return KS_ROOM_FREE;
    }
    return KS_ROOM_LATER;
}

enum ks_room ks_make_room(struct ks *ks, size_t bytes)
{
    const struct config *config = config_get();
    struct ks_private *p = ks->p;
    uint64_t max = config->maxmemory_bytes;
    CHECK(p->held == NO_SLOT && !p->many);
    if (max == 0 || !ks->master || ks_used_bytes(ks->shared) <= max) {
        p->evict_credit = 0;
        return KS_ROOM_FREE;
    }
    if (config->maxmemory_policy == POLICY_NOEVICTION)
        return KS_ROOM_NONE;
    enum ks_room room = evict_some(ks, max, config->maxmemory_policy);
    if (room != KS_ROOM_LATER)
        return room;
    /* Far over the limit, a command may take what was evicted for it and others, so that clients go
     * on while the data shrinks. */
    if (p->evict_credit < bytes)
        return KS_ROOM_LATER;
    p->evict_credit -= bytes;
    if (p->evict_credit > CREDIT_MAX_BYTES)
        p->evict_credit = CREDIT_MAX_BYTES;
    return KS_ROOM_FREE;
}
