#include "slot.h"
#include "ks_internal.h"

bool slot_set_has(const struct slot_set *set, uint16_t slot)
{
    return set->bits[slot / 64] >> (slot % 64) & 1;
}

void slot_set_add(struct slot_set *set, uint16_t slot)
{
    set->bits[slot / 64] |= UINT64_C(1) << (slot % 64);
    set->summary[slot / 4096] |= UINT64_C(1) << (slot / 64 % 64);
}

/* Calls each() for the slots in ascending order. */
static void slot_set_each(const struct slot_set *set, struct ks *ks,
                          void (*each)(struct ks *ks, uint16_t slot))
{
    for (unsigned s = 0; s < count_of(set->summary); s++) {
        for (uint64_t summary = set->summary[s]; summary; summary &= summary - 1) {
            unsigned w = s * 64 + (unsigned)__builtin_ctzll(summary);
            for (uint64_t bits = set->bits[w]; bits; bits &= bits - 1)
                each(ks, (uint16_t)(w * 64 + (unsigned)__builtin_ctzll(bits)));
        }
    }
}

static void slot_set_clear(struct slot_set *set)
{
    for (unsigned s = 0; s < count_of(set->summary); s++)
        for (; set->summary[s]; set->summary[s] &= set->summary[s] - 1)
            set->bits[s * 64 + (unsigned)__builtin_ctzll(set->summary[s])] = 0;
}

bool ks_holds(const struct ks *ks, uint16_t slot)
{
    const struct ks_private *p = ks->p;
    return p->held == slot || (p->many && slot_set_has(&p->held_many, slot));
}

bool ks_lock(struct ks *ks, uint16_t slot)
{
    struct ks_private *p = ks->p;
    if (p->many) {
        CHECK(slot_set_has(&p->held_many, slot));
        return false;
    }
    CHECK(p->held == NO_SLOT);
    stock_refill(&p->stock);
    retire_refill(&p->retire);
    slot_lock(&p->k->writes[slot].lock);
    p->held = slot;
    flush_sync(ks, slot, ks_epoch(p->k));
    return section_claimed(p->k, slot);
}

bool section_try(struct ks *ks, uint16_t slot)
{
    struct ks_private *p = ks->p;
    CHECK(p->held == NO_SLOT && !p->many);
    stock_refill(&p->stock);
    retire_refill(&p->retire);
    if (!slot_try_lock(&p->k->writes[slot].lock))
        return false;
    p->held = slot;
    flush_sync(ks, slot, ks_epoch(p->k));
    return true;
}

static void version_settle(struct ks *ks, uint16_t slot)
{
    _Atomic(uint32_t) *version = &ks->shared->writes[slot].version;
    uint32_t value = atomic_load_explicit(version, memory_order_relaxed);
    if (value & 1 && !ks->shared->writes[slot].several)
        atomic_store_explicit(version, value + 1, memory_order_release);
}

bool section_begin(struct ks *ks, uint16_t slot)
{
    if (likely_true(ks_holds(ks, slot)))
        return false;
    CHECK(ks->p->claim);
    ks_lock(ks, slot);
    return true;
}

void section_end(struct ks *ks, uint16_t slot, bool begun)
{
    if (begun)
        ks_unlock(ks, slot);
}

void ks_unlock(struct ks *ks, uint16_t slot)
{
    struct ks_private *p = ks->p;
    if (p->many) {
        CHECK(slot_set_has(&p->held_many, slot));
        return;
    }
    CHECK(p->held == slot);
    version_settle(ks, slot);
    p->held = NO_SLOT;
    slot_unlock(&p->k->writes[slot].lock);
}

static void many_lock(struct ks *ks, uint16_t slot)
{
    slot_lock(&ks->shared->writes[slot].lock);
    ks->p->many_claimed |= section_claimed(ks->shared, slot);
}

static void many_unlock(struct ks *ks, uint16_t slot)
{
    slot_unlock(&ks->shared->writes[slot].lock);
}

static void many_sync(struct ks *ks, uint16_t slot)
{
    flush_sync(ks, slot, ks->p->flush_seen);
}

static void tx_step(struct ks *ks, uint16_t slot)
{
    _Atomic(uint32_t) *tx_seq = &ks->shared->reads[slot].tx_seq;
    uint32_t value = atomic_load_explicit(tx_seq, memory_order_relaxed);
    atomic_store_explicit(tx_seq, value + 1, memory_order_release);
}

/* Where a claim keeps it odd it stays so. */
static void many_tx_step(struct ks *ks, uint16_t slot)
{
    if (likely_true(!ks->shared->writes[slot].several))
        tx_step(ks, slot);
}

void section_several(struct ks *ks, uint16_t slot, bool open)
{
    uint32_t *several = &ks->shared->writes[slot].several;
    CHECK_DEBUG(ks_holds(ks, slot));
    if (*several == 0)
        CHECK(open);
    if (open ? (*several)++ == 0 : --*several == 0) {
        version_settle(ks, slot);
        tx_step(ks, slot);
    }
}

/* held_many names the slots. */
static void many_begin(struct ks *ks)
{
    struct ks_private *p = ks->p;
    stock_refill(&p->stock);
    retire_refill(&p->retire);
    p->many_claimed = false;
    slot_set_each(&p->held_many, ks, many_lock);
    p->many = true;
    p->stock.may_allocate = true;
    /* One epoch for all: a FLUSHALL that comes now passes over the whole section or none of it. */
    p->flush_seen = ks_epoch(p->k);
    slot_set_each(&p->held_many, ks, many_sync);
}

bool ks_lock_many(struct ks *ks, const uint16_t *slots, unsigned n, bool all)
{
    struct ks_private *p = ks->p;
    CHECK(p->held == NO_SLOT);
    CHECK(!p->many);
    p->many_all = all;
    if (all) {
        memset(&p->held_many, 0xff, sizeof(p->held_many));
    } else {
        for (unsigned i = 0; i < n; i++) {
            CHECK(slots[i] < SLOTS);
            slot_set_add(&p->held_many, slots[i]);
        }
    }
    many_begin(ks);
    return p->many_claimed;
}

void section_begin_keys(struct ks *ks, const struct key *keys, unsigned n)
{
    CHECK(ks->p->held == NO_SLOT);
    CHECK(!ks->p->many);
    ks->p->many_all = false;
    for (unsigned i = 0; i < n; i++)
        slot_set_add(&ks->p->held_many, keys[i].slot);
    many_begin(ks);
}

void ks_unlock_many(struct ks *ks)
{
    struct ks_private *p = ks->p;
    CHECK(p->many);
    if (p->many_changed) {
        slot_set_each(&p->held_many, ks, version_settle);
        slot_set_each(&p->held_many, ks, many_tx_step);
        p->many_changed = false;
    }
    slot_set_each(&p->held_many, ks, many_unlock);
    slot_set_clear(&p->held_many);
    p->stock.may_allocate = false;
    p->many = false;
}

void section_change(struct ks *ks, uint16_t slot)
{
    struct ks_private *p = ks->p;
    CHECK_DEBUG(ks_holds(ks, slot));
    if (p->many && !p->many_changed) {
        p->many_changed = true;
        slot_set_each(&p->held_many, ks, many_tx_step);
    }
    _Atomic(uint32_t) *version = &p->k->writes[slot].version;
    uint32_t value = atomic_load_explicit(version, memory_order_relaxed);
    if (!(value & 1))
        atomic_store_explicit(version, value + 1, memory_order_relaxed);
}

void slot_count_add(struct ks *ks, uint16_t slot, int delta)
{
    struct keyspace *k = ks->shared;
    _Atomic(uint32_t) *count = &k->writes[slot].count;
    uint32_t value = atomic_load_explicit(count, memory_order_relaxed) + (uint32_t)delta;
    atomic_store_explicit(count, value, memory_order_relaxed);
    share_add(&ks->p->share->count, delta);
    if (value == 0)
        bitmap_clear(k->occupied, slot);
    else
        bitmap_set(k->occupied, slot);
}

void slot_expiring_add(struct ks *ks, uint16_t slot, int delta)
{
    struct keyspace *k = ks->shared;
    _Atomic(uint32_t) *expiring = &k->writes[slot].expiring;
    uint32_t value = atomic_load_explicit(expiring, memory_order_relaxed) + (uint32_t)delta;
    atomic_store_explicit(expiring, value, memory_order_relaxed);
    share_add(&ks->p->share->expiring, delta);
    if (value == 0)
        bitmap_clear(k->volatiles, slot);
    else
        bitmap_set(k->volatiles, slot);
}
