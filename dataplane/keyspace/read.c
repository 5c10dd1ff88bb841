#include <stdlib.h>
#include "config.h"
#include "ks_internal.h"

#define READ_TRIES 3
#define VERSIONS_MAX (1u << 20) /* more keys are read under the locks */

/* What a lock-free lookup found out. */
enum read_result { READ_FOUND, READ_ABSENT, READ_DISTURBED };

bool policy_is_lfu(void)
{
    int policy = config_get()->maxmemory_policy;
    return policy == POLICY_VOLATILE_LFU || policy == POLICY_ALLKEYS_LFU;
}

uint32_t entry_clock_new(int64_t now_ms)
{
    return policy_is_lfu() ? clock_lfu_new(now_ms) : clock_lru(now_ms);
}

void entry_touch(struct ks *ks, struct entry *e)
{
    int64_t now_ms = ks_now(ks);
    uint32_t head = entry_head(e);
    uint32_t clock = policy_is_lfu()
                         ? clock_lfu_touch(head >> HEAD_CLOCK_SHIFT, now_ms, rng_next(&ks->p->rng))
                         : clock_lru(now_ms);
    if (head >> HEAD_CLOCK_SHIFT == clock)
        return;
    /* One attempt: whoever came between has stored as good a value, or changed the encoding. */
    atomic_compare_exchange_weak_explicit(&e->head, &head,
                                          (head & HEAD_FLAGS) | clock << HEAD_CLOCK_SHIFT,
                                          memory_order_relaxed, memory_order_relaxed);
}

struct key key_of(struct slice name)
{
    return (struct key){name, key_hash(name), key_slot(name)};
}

void ks_prefetch_bucket(const struct ks *ks, const struct key *key)
{
    uint64_t root = slot_root(ks->shared, key->slot);
    unsigned depth;
    if (root)
        __builtin_prefetch(index_locate(root, key->hash, &depth));
}

void ks_prefetch_slot(const struct ks *ks, const struct key *key, bool lock)
{
    __builtin_prefetch(&ks->shared->reads[key->slot]);
    if (lock)
        __builtin_prefetch(&ks->shared->writes[key->slot], 1);
}

void ks_prefetch_entry(const struct ks *ks, const struct key *key)
{
    uint64_t root = slot_root(ks->shared, key->slot);
    if (root == 0)
        return;
    unsigned depth;
    const struct bucket *b = index_locate(root, key->hash, &depth);
    uint64_t tag = hash_tag(key->hash);
    for (unsigned i = 0; i < BUCKET_WORDS; i++) {
        uint64_t word = bucket_word(b, i);
        if (word >> WORD_TAG_SHIFT != tag)
            continue;
        const char *e = (const char *)word_entry(word);
        __builtin_prefetch(e);
        __builtin_prefetch(e + 47); /* small entries may lie across two lines */
    }
}

/* One lookup. A miss counts only if neither the chain nor the way to it changed meanwhile. */
static enum read_result read_once(struct keyspace *k, const struct key *key, struct entry **found)
{
    uint64_t root = slot_root_at(k, key->slot, ks_epoch(k));
    *found = NULL;
    if (root == 0)
        return READ_ABSENT;
    struct place place;
    place.head = index_locate(root, key->hash, &place.depth);
    uint32_t version = bucket_version(place.head);
    *found = bucket_find(&place, key->hash, key->name);
    if (likely_true(*found))
        return READ_FOUND;
    uint64_t root_after = slot_root(k, key->slot);
    unsigned depth;
    if (bucket_version(place.head) != version || root_after == 0 ||
        index_locate(root_after, key->hash, &depth) != place.head)
        return READ_DISTURBED;
    return READ_ABSENT;
}

/* tx_seq must be even and the same before and after: no EXEC showed us a part of itself. */
static enum read_result read_try(struct keyspace *k, const struct key *key, struct entry **found)
{
    _Atomic(uint32_t) *tx_seq = &k->reads[key->slot].tx_seq;
    uint32_t before = atomic_load_explicit(tx_seq, memory_order_acquire);
    if (likely_false(before & 1))
        return READ_DISTURBED;
    enum read_result result = read_once(k, key, found);
    if (likely_false(atomic_load_explicit(tx_seq, memory_order_relaxed) != before))
        return READ_DISTURBED;
    return result;
}

static struct entry *read_locked(struct ks *ks, const struct key *key)
{
    struct place place;
    return index_find(section_root(ks, key->slot), key->hash, key->name, &place);
}

/* The entry, expired or not; without a lock if that works. */
static struct entry *read_entry(struct ks *ks, const struct key *key)
{
    struct entry *e;
    if (likely_false(ks->p->many || ks->p->held != NO_SLOT)) {
        CHECK(ks_holds(ks, key->slot)); /* waiting for another slot here could be a deadlock */
        return read_locked(ks, key);
    }
    if (likely_true(read_try(ks->shared, key, &e) != READ_DISTURBED))
        return e;
    metric_inc(read_retries);
    for (unsigned i = 1; i < READ_TRIES; i++)
        if (read_try(ks->shared, key, &e) != READ_DISTURBED)
            return e;
    ks_lock(ks, key->slot);
    e = section_may_read(ks, key) ? read_locked(ks, key) : NULL;
    ks_unlock(ks, key->slot);
    return e;
}

/* Rule 16: a reader that met an expired key deletes it if that needs no waiting. */
static void read_expire(struct ks *ks, const struct key *key)
{
    if (!ks->master)
        return;
    bool nested = ks_holds(ks, key->slot);
    if (!nested && !section_try(ks, key->slot))
        return;
    struct place place;
    struct entry *e = index_find(section_root(ks, key->slot), key->hash, key->name, &place);
    if (e && entry_expired(e, ks_now(ks)))
        entry_drop(ks, key, &place, DROP_EXPIRED);
    if (!nested)
        ks_unlock(ks, key->slot);
}

static const struct entry *read_finish(struct ks *ks, const struct key *key, struct entry *e,
                                       unsigned flags)
{
    if (e && likely_false(entry_expired(e, ks_now(ks)))) {
        read_expire(ks, key);
        e = NULL;
    }
    if (!(flags & KS_READ_NO_STATS)) {
        if (e)
            metric_inc(keyspace_hits);
        else
            metric_inc(keyspace_misses);
    }
    if (e && !(flags & KS_READ_NO_TOUCH))
        entry_touch(ks, e);
    return e;
}

const struct entry *ks_get(struct ks *ks, const struct key *key, unsigned flags)
{
    return read_finish(ks, key, read_entry(ks, key), flags);
}

static bool versions_reserve(struct ks_private *p, unsigned n)
{
    if (n <= p->versions_size)
        return true;
    if (n > VERSIONS_MAX)
        return false;
    uint32_t size = n < 64 ? 64 : n;
    uint32_t *versions = realloc(p->versions, size * sizeof(*versions));
    if (!versions)
        return false;
    p->versions = versions;
    p->versions_size = size;
    return true;
}

static uint32_t slot_version(const struct keyspace *k, uint16_t slot)
{
    return atomic_load_explicit(&k->writes[slot].version, memory_order_acquire);
}

/* All lookups lie between two readings of all versions; if nothing moved, there was an instant at
 * which all of them held. */
static bool read_many_try(struct ks *ks, const struct key *keys, unsigned n,
                          const struct entry **out)
{
    struct keyspace *k = ks->shared;
    uint32_t *versions = ks->p->versions;
    uint32_t epoch = ks_epoch(k);
    for (unsigned i = 0; i < n; i++) {
        versions[i] = slot_version(k, keys[i].slot);
        if (versions[i] & 1)
            return false;
    }
    for (unsigned i = 0; i < n; i++) {
        struct entry *e;
        if (read_once(k, &keys[i], &e) == READ_DISTURBED)
            return false;
        out[i] = e;
    }
    for (unsigned i = 0; i < n; i++)
        if (slot_version(k, keys[i].slot) != versions[i])
            return false;
    return ks_epoch(k) == epoch;
}

static void read_many_locked(struct ks *ks, const struct key *keys, unsigned n,
                             const struct entry **out)
{
    section_begin_keys(ks, keys, n);
    bool may = true;
    for (unsigned i = 0; i < n && may; i++)
        may = section_may_read(ks, &keys[i]);
    for (unsigned i = 0; i < n; i++)
        out[i] = may ? read_locked(ks, &keys[i]) : NULL;
    ks_unlock_many(ks);
}

static bool many_held(const struct ks *ks, const struct key *keys, unsigned n)
{
    if (!ks->p->many && ks->p->held == NO_SLOT)
        return false;
    for (unsigned i = 0; i < n; i++)
        CHECK(ks_holds(ks, keys[i].slot));
    return true;
}

void ks_get_many(struct ks *ks, const struct key *keys, unsigned n, const struct entry **out,
                 unsigned flags)
{
    bool read = false;
    if (many_held(ks, keys, n)) {
        for (unsigned i = 0; i < n; i++)
            out[i] = read_locked(ks, &keys[i]);
        read = true;
    } else if (versions_reserve(ks->p, n)) {
        for (unsigned tries = 0; !read && tries < READ_TRIES; tries++) {
            read = read_many_try(ks, keys, n, out);
            if (!read)
                metric_inc(read_retries);
        }
    }
    if (!read)
        read_many_locked(ks, keys, n, out);
    for (unsigned i = 0; i < n; i++)
        out[i] = read_finish(ks, &keys[i], (struct entry *)(uintptr_t)out[i], flags);
}
