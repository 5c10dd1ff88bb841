#include "bigstr.h"
#include "claim.h"
#include "ks_internal.h"

struct key key_of_entry(const struct entry *e, uint16_t slot)
{
    struct slice name = entry_key(e);
    return (struct key){name, key_hash(name), slot};
}

static struct entry *section_find(struct ks *ks, const struct key *key, struct place *place)
{
    return index_find(section_root(ks, key->slot), key->hash, key->name, place);
}

/* Objects are accounted by deltas whose sum may be wrong, even negative: exactly what was added is
 * taken away. shared: bytes of the value that live on in the entry's successor. */
static void entry_retire(struct ks *ks, struct entry *e, bool with_value, size_t shared)
{
    bool has_value = !head_is_inline(entry_head(e));
    size_t size = entry_alloc_bytes(e);
    size_t bytes = ks_mem_usable(size);
    int64_t value_bytes = entry_value_bytes(e);
    enum retire_kind kind = RETIRE_ENTRY;
    if (has_value && with_value) {
        kind = RETIRE_ENTRY_VALUE;
        int64_t kept = value_bytes > (int64_t)shared ? (int64_t)shared : value_bytes;
        ks_used_add(ks, -kept);
        bytes += (size_t)(value_bytes - kept);
    } else {
        ks_used_add(ks, -value_bytes);
    }
    retire_item(ks, kind, (uint64_t)(uintptr_t)e, size, bytes);
}

bool entry_drop(struct ks *ks, const struct key *key, struct place *place, enum drop_reason reason)
{
    struct entry *e = word_entry(bucket_word(place->at, place->index));
    if (reason == DROP_EXPIRED || reason == DROP_EVICTED) {
        if (likely_false(!ks_claim_allows(ks, key, true)))
            return false;
        if (ks->on_delete)
            ks->on_delete(ks->hook_arg, key,
                          reason == DROP_EXPIRED ? KS_DELETE_EXPIRED : KS_DELETE_EVICTED);
        if (reason == DROP_EXPIRED)
            metric_inc(expired_keys);
        else
            metric_inc(evicted_keys);
    }
    section_change(ks, key->slot);
    slot_count_add(ks, key->slot, -1);
    if (entry_has_expiry(e))
        slot_expiring_add(ks, key->slot, -1);
    index_remove(ks, key->slot, key->hash, place);
    watch_touch(ks, key, reason == DROP_EXPIRED);
    entry_retire(ks, e, reason != DROP_DETACH, 0);
    return true;
}

struct entry *ks_find(struct ks *ks, const struct key *key, unsigned flags)
{
    bool begun = section_begin(ks, key->slot);
    struct place place;
    struct entry *e = section_find(ks, key, &place);
    if (e && likely_false(entry_expired(e, ks_now(ks)))) {
        if (ks->master)
            entry_drop(ks, key, &place, DROP_EXPIRED);
        e = NULL;
    }
    section_end(ks, key->slot, begun);
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

/* What a stored entry adds to the used bytes. */
static void entry_account(struct ks *ks, struct entry *e)
{
    enum obj_type type = entry_type(e);
    if (type != OBJ_STRING && entry_object_bytes(e) == 0) {
        const struct object_ops *ops = ks->shared->ops[type];
        entry_object_bytes_set(
            e, (int64_t)ops->mem_bytes(entry_object(e), entry_encoding(e), ACCOUNT_SAMPLES));
    }
    ks_used_add(ks, (int64_t)entry_mem_bytes(e) + entry_value_bytes(e));
}

static size_t value_shared_bytes(const struct entry *old, const struct entry *e)
{
    const struct bigstr *from = entry_big(old);
    const struct bigstr *to = entry_big(e);
    return from && to ? bigstr_shared_bytes(to, from) : 0;
}

static void put(struct ks *ks, const struct key *key, struct entry *e, bool same_value)
{
    struct ks_private *p = ks->p;
    CHECK_DEBUG(slice_equal(entry_key(e), key->name));
    bool begun = section_begin(ks, key->slot);
    struct place place;
    section_change(ks, key->slot);
    struct entry *old = section_find(ks, key, &place);
    if (!old) {
        index_make_room(ks, key->slot, key->hash);
        stock_release(&p->stock);
        entry_account(ks, e);
        slot_count_add(ks, key->slot, 1);
        index_insert(ks, key->slot, key->hash, e);
    } else {
        stock_release(&p->stock);
        if (same_value && entry_type(e) != OBJ_STRING && entry_type(old) == entry_type(e))
            entry_object_bytes_set(e, entry_object_bytes(old));
        if (same_value || policy_is_lfu())
            entry_clock_set(e, entry_head(old) >> HEAD_CLOCK_SHIFT);
        entry_account(ks, e);
        index_replace(&place, key->hash, e);
    }
    int expiring = (int)entry_has_expiry(e) - (int)(old && entry_has_expiry(old));
    if (expiring)
        slot_expiring_add(ks, key->slot, expiring);
    if (old)
        entry_retire(ks, old, !same_value, value_shared_bytes(old, e));
    watch_touch(ks, key, false);
    section_end(ks, key->slot, begun);
}

void ks_put(struct ks *ks, const struct key *key, struct entry *e)
{
    put(ks, key, e, false);
}

void ks_put_same_value(struct ks *ks, const struct key *key, struct entry *e)
{
    put(ks, key, e, true);
}

static bool drop_live_locked(struct ks *ks, const struct key *key, enum drop_reason reason)
{
    struct place place;
    struct entry *e = section_find(ks, key, &place);
    if (!e)
        return false;
    bool expired = entry_expired(e, ks_now(ks));
    if (expired && !ks->master)
        return false;
    entry_drop(ks, key, &place, expired ? DROP_EXPIRED : reason);
    return !expired;
}

static bool drop_live(struct ks *ks, const struct key *key, enum drop_reason reason)
{
    bool begun = section_begin(ks, key->slot);
    bool dropped = drop_live_locked(ks, key, reason);
    section_end(ks, key->slot, begun);
    return dropped;
}

bool ks_delete(struct ks *ks, const struct key *key)
{
    return drop_live(ks, key, DROP_COMMAND);
}

bool ks_detach(struct ks *ks, const struct key *key)
{
    return drop_live(ks, key, DROP_DETACH);
}

static bool set_expiry_locked(struct ks *ks, const struct key *key, int64_t expiry_ms)
{
    struct place place;
    struct entry *old = section_find(ks, key, &place);
    CHECK(old);
    if (entry_expiry_ms(old) == expiry_ms) {
        section_change(ks, key->slot);
        watch_touch(ks, key, false); /* Redis counts this as a change too */
        return true;
    }
    struct entry *e = entry_with_expiry(ks, old, expiry_ms);
    if (!e)
        return false;
    ks_put_same_value(ks, key, e);
    return true;
}

bool ks_set_expiry(struct ks *ks, const struct key *key, int64_t expiry_ms)
{
    bool begun = section_begin(ks, key->slot);
    bool set = set_expiry_locked(ks, key, expiry_ms);
    section_end(ks, key->slot, begun);
    return set;
}

void ks_changed(struct ks *ks, const struct key *key, enum obj_encoding enc, int64_t mem_delta)
{
    bool begun = section_begin(ks, key->slot);
    struct place place;
    struct entry *e = section_find(ks, key, &place);
    CHECK(e);
    section_change(ks, key->slot);
    entry_encoding_set(e, enc);
    entry_object_bytes_set(e, entry_object_bytes(e) + mem_delta);
    ks_used_add(ks, mem_delta);
    watch_touch(ks, key, false);
    section_end(ks, key->slot, begun);
}

void ks_account(struct ks *ks, int64_t delta)
{
    share_add(&ks->p->share->account_bytes, delta);
}

size_t ks_mem_usage(struct ks *ks, const struct entry *e, uint32_t samples)
{
    enum obj_type type = entry_type(e);
    size_t bytes = entry_mem_bytes(e) + sizeof(uint64_t); /* and its word in the index */
    if (type != OBJ_STRING)
        return bytes +
               ks->shared->ops[type]->mem_bytes(entry_object(e), entry_encoding(e), samples);
    const struct bigstr *big = entry_big(e);
    return bytes + (big ? bigstr_mem_bytes(big) : 0);
}
