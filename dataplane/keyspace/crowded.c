/* How much memory may wait for readers (rule 15), and who waits when it is too much. */
#include "config.h"
#include "ks_internal.h"

#define CAP_MIN_BYTES (UINT64_C(16) << 20)

static uint64_t retired_cap(const struct keyspace *k, uint64_t max)
{
    uint64_t cap = k->retired_cap_bytes;
    if (max == 0 || max / 8 >= cap)
        return cap;
    if (max / 8 > CAP_MIN_BYTES)
        return max / 8;
    return cap < CAP_MIN_BYTES ? cap : CAP_MIN_BYTES;
}

/* An lcore below its share of the bound need not look at the others: they see to themselves. */
bool retired_over(const struct ks *ks, enum retired_share share)
{
    const struct keyspace *k = ks->shared;
    int64_t mine = atomic_load_explicit(&ks->p->share->retired_bytes, memory_order_relaxed);
    uint64_t max = config_get()->maxmemory_bytes;
    uint64_t bound = retired_cap(k, max) / (unsigned)share;
    uint32_t lcores = atomic_load_explicit(&k->lcores, memory_order_relaxed);
    if (likely_true(mine <= (int64_t)(bound / lcores)))
        return false;
    uint64_t retired = ks_retired_bytes(k);
    if (retired <= bound)
        return false;
    /* One huge value that was deleted takes no more room than it did before. */
    return !max || ks_used_bytes(k) + retired > max + bound;
}

/* Retired bytes became fewer, or were not yet too many when last seen. */
static void stall_update(struct ks *ks)
{
    struct ks_private *p = ks->p;
    uint64_t retired = ks_retired_bytes(ks->shared);
    if (p->stall_since_ms == 0 || retired < p->stall_bytes)
        p->stall_since_ms = ks->now_ms;
    p->stall_bytes = retired;
}

bool ks_crowded(struct ks *ks)
{
    struct ks_private *p = ks->p;
    if (likely_true(!retired_over(ks, RETIRED_HALF))) {
        p->stall_since_ms = 0;
        return false;
    }
    stall_update(ks);
    return ks->now_ms - p->stall_since_ms <= RETIRED_STALL_MS;
}
