#include <stdlib.h>
#include "ks_internal.h"

/* The list hangs off the slot's writer line and changes under the slot's lock only; FLUSHALL looks
 * at its head without the lock, after watch_count: a session that starts to watch at the same time
 * locks its slot and meets the new epoch there. */

static bool watch_names(const struct ks_watch *w, const struct key *key)
{
    return w->hash == key->hash && slice_equal(slice_from(w->name, w->name_len), key->name);
}

static struct ks_watch *watch_first(const struct keyspace *k, uint16_t slot)
{
    return atomic_load_explicit(&k->writes[slot].watches, memory_order_relaxed);
}

static void watch_first_set(struct keyspace *k, uint16_t slot, struct ks_watch *w)
{
    atomic_store_explicit(&k->writes[slot].watches, w, memory_order_relaxed);
}

static void watch_hit(struct ks_watch *w)
{
    atomic_store_explicit(w->dirty, true, memory_order_release);
}

void watch_touch(struct ks *ks, const struct key *key, bool expired)
{
    for (struct ks_watch *w = watch_first(ks->shared, key->slot); likely_false(w); w = w->next) {
        if (!watch_names(w, key))
            continue;
        if (expired && w->expired_at_watch)
            w->expired_at_watch = false; /* it was gone already; the next change counts */
        else
            watch_hit(w);
    }
}

void watch_touch_all(struct ks *ks, uint16_t slot, uint64_t root)
{
    for (struct ks_watch *w = watch_first(ks->shared, slot); w; w = w->next) {
        struct place place;
        if (!index_find(root, w->hash, slice_from(w->name, w->name_len), &place))
            continue;
        if (w->expired_at_watch)
            w->expired_at_watch = false;
        else
            watch_hit(w);
    }
}

void ks_watch(struct ks *ks, const struct key *key, struct ks_watch *w, _Atomic(bool) *dirty)
{
    struct keyspace *k = ks->shared;
    bool nested = ks_holds(ks, key->slot);
    if (!nested)
        ks_lock(ks, key->slot);
    struct place place;
    struct entry *e = index_find(slot_root(k, key->slot), key->hash, key->name, &place);
    w->slot = key->slot;
    w->hash = key->hash;
    w->dirty = dirty;
    w->expired_at_watch = e && entry_expired(e, ks_now(ks));
    w->next = watch_first(k, key->slot);
    watch_first_set(k, key->slot, w);
    atomic_fetch_add_explicit(&k->watch_count, 1, memory_order_release);
    if (!nested)
        ks_unlock(ks, key->slot);
}

void ks_unwatch(struct ks *ks, struct ks_watch *w)
{
    struct keyspace *k = ks->shared;
    bool nested = ks_holds(ks, w->slot);
    if (!nested)
        ks_lock(ks, w->slot);
    struct ks_watch *before = watch_first(k, w->slot);
    if (before == w) {
        watch_first_set(k, w->slot, w->next);
    } else {
        while (before && before->next != w)
            before = before->next;
        CHECK(before);
        before->next = w->next;
    }
    atomic_fetch_sub_explicit(&k->watch_count, 1, memory_order_relaxed);
    if (!nested)
        ks_unlock(ks, w->slot);
}
