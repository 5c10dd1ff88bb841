#include "ks_internal.h"

static int64_t share_sum(const struct keyspace *k, size_t offset)
{
    int64_t sum = 0;
    uint32_t n = atomic_load_explicit(&k->lcores, memory_order_acquire);
    for (uint32_t i = 0; i < n; i++) {
        const char *share = (const char *)&k->shares[i];
        sum +=
            atomic_load_explicit((const _Atomic(int64_t) *)(share + offset), memory_order_relaxed);
    }
    return sum;
}

static uint64_t sum_without(int64_t sum, const _Atomic(int64_t) *stale)
{
    sum -= atomic_load_explicit(stale, memory_order_relaxed);
    return sum > 0 ? (uint64_t)sum : 0;
}

uint64_t ks_count(const struct keyspace *k)
{
    return sum_without(share_sum(k, offsetof(struct ks_share, count)), &k->stale_count);
}

uint64_t ks_expiring_count(const struct keyspace *k)
{
    return sum_without(share_sum(k, offsetof(struct ks_share, expiring)), &k->stale_expiring);
}

uint64_t ks_used_bytes(const struct keyspace *k)
{
    int64_t sum = share_sum(k, offsetof(struct ks_share, used_bytes)) +
                  share_sum(k, offsetof(struct ks_share, account_bytes));
    return sum_without(sum, &k->stale_bytes);
}

uint64_t ks_retired_bytes(const struct keyspace *k)
{
    int64_t sum = share_sum(k, offsetof(struct ks_share, retired_bytes));
    return sum > 0 ? (uint64_t)sum : 0;
}

uint32_t ks_slot_count(const struct keyspace *k, uint16_t slot)
{
    CHECK(slot < SLOTS);
    if (slot_root_at(k, slot, ks_epoch(k)) == 0)
        return 0;
    return atomic_load_explicit(&k->writes[slot].count, memory_order_relaxed);
}

void flush_part_done(struct keyspace *k)
{
    slot_lock(&k->flush_lock);
    if (--k->stale_parts == 0) {
        /* Whatever other lcores changed while the sums were taken is settled now. */
        atomic_store_explicit(&k->stale_bytes, 0, memory_order_relaxed);
        atomic_store_explicit(&k->stale_count, 0, memory_order_relaxed);
        atomic_store_explicit(&k->stale_expiring, 0, memory_order_relaxed);
    }
    slot_unlock(&k->flush_lock);
}

static void index_detach(struct ks *ks, uint16_t slot, uint64_t root)
{
    struct keyspace *k = ks->shared;
    struct slot_write *write = &k->writes[slot];
    uint32_t count = atomic_load_explicit(&write->count, memory_order_relaxed);
    uint32_t expiring = atomic_load_explicit(&write->expiring, memory_order_relaxed);
    slot_count_add(ks, slot, -(int)count);
    slot_expiring_add(ks, slot, -(int)expiring);
    atomic_fetch_sub_explicit(&k->stale_count, count, memory_order_relaxed);
    atomic_fetch_sub_explicit(&k->stale_expiring, expiring, memory_order_relaxed);
    write->buckets = 0;
    slot_lock(&k->flush_lock);
    k->stale_parts++;
    slot_unlock(&k->flush_lock);
    slot_root_set(k, slot, 0);
    retire_item(ks, RETIRE_INDEX, root, 0, 0);
}

void flush_sync(struct ks *ks, uint16_t slot, uint32_t epoch)
{
    struct keyspace *k = ks->shared;
    struct slot_read *read = &k->reads[slot];
    ks->p->flush_seen = epoch;
    if (likely_true(atomic_load_explicit(&read->epoch, memory_order_relaxed) == epoch))
        return;
    uint64_t root = slot_root(k, slot);
    watch_touch_all(ks, slot, root);
    if (root)
        index_detach(ks, slot, root);
    atomic_store_explicit(&read->epoch, epoch, memory_order_release);
}

/* Sessions that watch must see it at their next EXEC, whichever slots that locks. */
static void flush_watched(struct ks *ks)
{
    struct ks_private *p = ks->p;
    struct keyspace *k = p->k;
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        if (!atomic_load_explicit(&k->writes[slot].watches, memory_order_relaxed))
            continue;
        if (p->many) {
            flush_sync(ks, (uint16_t)slot, p->flush_seen);
        } else {
            ks_lock(ks, (uint16_t)slot);
            ks_unlock(ks, (uint16_t)slot);
        }
    }
}

void ks_flush_all(struct ks *ks)
{
    struct ks_private *p = ks->p;
    struct keyspace *k = p->k;
    CHECK(p->held == NO_SLOT);
    CHECK(!p->many || p->many_all);
    if (p->many)
        section_change(ks, 0);
    slot_lock(&k->flush_lock);
    if (!p->flushing)
        k->stale_parts++;
    atomic_store_explicit(&k->stale_count, share_sum(k, offsetof(struct ks_share, count)),
                          memory_order_relaxed);
    atomic_store_explicit(&k->stale_expiring, share_sum(k, offsetof(struct ks_share, expiring)),
                          memory_order_relaxed);
    atomic_store_explicit(&k->stale_bytes, share_sum(k, offsetof(struct ks_share, used_bytes)),
                          memory_order_relaxed);
    uint32_t epoch = ks_epoch(k) + 1;
    atomic_store_explicit(&k->epoch, epoch, memory_order_release);
    slot_unlock(&k->flush_lock);
    p->flushing = true;
    p->flush_slot = 0;
    p->flush_seen = epoch;
    if (atomic_load_explicit(&k->watch_count, memory_order_acquire))
        flush_watched(ks);
}

bool flush_walk(struct ks *ks, uint32_t budget)
{
    struct ks_private *p = ks->p;
    struct keyspace *k = p->k;
    if (likely_true(!p->flushing))
        return false;
    for (; p->flush_slot < SLOTS && budget > 0; p->flush_slot++, budget--) {
        const struct slot_read *read = &k->reads[p->flush_slot];
        if (atomic_load_explicit(&read->epoch, memory_order_relaxed) == ks_epoch(k) ||
            atomic_load_explicit(&read->root, memory_order_relaxed) == 0)
            continue;
        if (!section_try(ks, (uint16_t)p->flush_slot))
            return true;
        ks_unlock(ks, (uint16_t)p->flush_slot);
    }
    if (p->flush_slot < SLOTS)
        return true;
    p->flushing = false;
    flush_part_done(k);
    return false;
}
