#include "claim.h"
#include <stdlib.h>
#include "claim_queue.h"
#include "ks_internal.h"

/* Each part brings one for its slot, and all together one for the keyspace. */
struct claim *claim_new(unsigned parts_max)
{
    unsigned room = 2 * parts_max + 1;
    struct claim *claim = malloc(sizeof(*claim) + room * sizeof(claim->parts[0]));
    if (!claim)
        return NULL;
    *claim = (struct claim){.room = room};
    return claim;
}

void claim_free(struct claim *claim)
{
    if (!claim)
        return;
    CHECK(claim->state == CLAIM_IDLE);
    free(claim->noted);
    free(claim);
}

static void part_add(struct claim *claim, enum claim_scope scope, uint16_t slot, uint64_t hash,
                     enum claim_mode mode)
{
    CHECK(claim->state == CLAIM_IDLE);
    CHECK(claim->count < claim->room);
    claim->merged = false;
    claim->parts[claim->count++] = (struct claim_part){
        .claim = claim, .hash = hash, .slot = slot, .scope = (uint8_t)scope, .mode = (uint8_t)mode};
}

void claim_add_key(struct claim *claim, const struct key *key, bool exclusive)
{
    part_add(claim, CLAIM_KEY, key->slot, key->hash, exclusive ? CLAIM_CHANGE : CLAIM_READ);
    part_add(claim, CLAIM_SLOT, key->slot, 0, exclusive ? CLAIM_CHANGE_PART : CLAIM_READ_PART);
}

void claim_add_slot(struct claim *claim, uint16_t slot, bool exclusive)
{
    part_add(claim, CLAIM_SLOT, slot, 0, exclusive ? CLAIM_CHANGE : CLAIM_READ);
}

void claim_add_all(struct claim *claim, bool exclusive)
{
    part_add(claim, CLAIM_ALL, 0, 0, exclusive ? CLAIM_CHANGE : CLAIM_READ);
}

static int part_compare(const void *a, const void *b)
{
    const struct claim_part *x = a, *y = b;
    if (x->scope != y->scope)
        return x->scope < y->scope ? -1 : 1;
    if (x->slot != y->slot)
        return x->slot < y->slot ? -1 : 1;
    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* Reading all and changing a part has no mode of its own: it takes the whole. */
static enum claim_mode mode_join(unsigned a, unsigned b)
{
    unsigned low = a < b ? a : b, high = a < b ? b : a;
    return low == CLAIM_CHANGE_PART && high == CLAIM_READ ? CLAIM_CHANGE : (enum claim_mode)high;
}

static bool mode_changes(unsigned mode)
{
    return mode == CLAIM_CHANGE || mode == CLAIM_CHANGE_PART;
}

/* Every place once, the keyspace first, then slots, then keys; ascending. */
static void parts_merge(struct claim *claim)
{
    bool changes = false;
    for (unsigned i = 0; i < claim->count; i++)
        changes |= mode_changes(claim->parts[i].mode);
    part_add(claim, CLAIM_ALL, 0, 0, changes ? CLAIM_CHANGE_PART : CLAIM_READ_PART);
    qsort(claim->parts, claim->count, sizeof(claim->parts[0]), part_compare);
    unsigned kept = 0, changed = 0;
    for (unsigned i = 1; i < claim->count; i++) {
        struct claim_part *last = &claim->parts[kept];
        if (part_compare(last, &claim->parts[i]) == 0)
            last->mode = (uint8_t)mode_join(last->mode, claim->parts[i].mode);
        else
            claim->parts[++kept] = claim->parts[i];
    }
    claim->count = kept + 1;
    for (unsigned i = 0; i < claim->count; i++)
        changed +=
            claim->parts[i].mode == CLAIM_CHANGE ? 1 + (claim->parts[i].scope != CLAIM_KEY) : 0;
    claim->several = changed > 1;
    claim->merged = true;
}

/* Hints to whoever locks the slot; relaxed, the locks order them (claim.h). */
static void part_count(struct keyspace *k, const struct claim_part *part, int delta)
{
    _Atomic(uint32_t) *count = NULL;
    if (part->scope == CLAIM_SLOT)
        count = &k->writes[part->slot].claims;
    else if (part->scope == CLAIM_ALL && part->mode >= CLAIM_READ)
        count = &k->claims_all;
    if (count)
        atomic_store_explicit(count,
                              atomic_load_explicit(count, memory_order_relaxed) + (uint32_t)delta,
                              memory_order_relaxed);
}

void ks_claim_let_read(struct ks *ks, struct claim *claim, bool let)
{
    struct keyspace *k = ks->shared;
    slot_lock(&k->claims.lock);
    claim->lets_in = let;
    slot_unlock(&k->claims.lock);
}

bool ks_claim(struct ks *ks, struct claim *claim, void (*granted)(void *arg), void *arg)
{
    struct keyspace *k = ks->shared;
    CHECK(claim->state == CLAIM_IDLE);
    if (!claim->merged)
        parts_merge(claim);
    claim->granted = granted;
    claim->arg = arg;
    claim->closed_parts = 0;
    claim->next = 0;
    slot_lock(&k->claims.lock);
    for (unsigned i = 0; i < claim->count; i++) {
        claim_queue_add(&k->claims, &claim->parts[i]);
        part_count(k, &claim->parts[i], 1);
        claim->closed_parts += !claim->parts[i].open;
    }
    bool at_once = claim->closed_parts == 0;
    claim->state = at_once ? CLAIM_GRANTED : CLAIM_QUEUED;
    slot_unlock(&k->claims.lock);
    return at_once;
}

/* Under the lock. The claims that this lets in are marked before anyone can see them otherwise. */
static struct claim *parts_remove(struct keyspace *k, struct claim *claim)
{
    struct claim *granted = NULL;
    for (unsigned i = 0; i < claim->count; i++) {
        part_count(k, &claim->parts[i], -1);
        claim_queue_remove(&k->claims, &claim->parts[i], &granted);
    }
    claim->state = CLAIM_IDLE;
    for (struct claim *g = granted; g; g = g->granted_next)
        g->state = CLAIM_GRANTED;
    return granted;
}

/* A claim may be released and freed by its owner as soon as it knows. */
static void granted_tell(struct claim *granted)
{
    while (granted) {
        struct claim *claim = granted;
        granted = claim->granted_next;
        claim->granted(claim->arg);
    }
}

bool ks_claim_cancel(struct ks *ks, struct claim *claim)
{
    struct keyspace *k = ks->shared;
    struct claim *granted = NULL;
    slot_lock(&k->claims.lock);
    bool queued = claim->state == CLAIM_QUEUED;
    if (queued)
        granted = parts_remove(k, claim);
    slot_unlock(&k->claims.lock);
    granted_tell(granted);
    return queued;
}

void ks_claim_release(struct ks *ks, struct claim *claim)
{
    struct keyspace *k = ks->shared;
    CHECK(ks->p->claim != claim);
    CHECK(!claim->opened);
    slot_lock(&k->claims.lock);
    CHECK(claim->state == CLAIM_GRANTED);
    struct claim *granted = parts_remove(k, claim);
    slot_unlock(&k->claims.lock);
    granted_tell(granted);
}

/* ---- working ---- */

void ks_claim_enter(struct ks *ks, struct claim *claim, int64_t now_ms)
{
    struct ks_private *p = ks->p;
    CHECK(p->held == NO_SLOT && !p->many && !p->claim);
    CHECK(!claim || claim->state == CLAIM_GRANTED);
    p->claim = claim;
    p->loop_ms = ks->now_ms;
    ks->now_ms = now_ms;
}

void ks_claim_leave(struct ks *ks)
{
    struct ks_private *p = ks->p;
    CHECK(p->held == NO_SLOT && !p->many);
    p->claim = NULL;
    ks->now_ms = p->loop_ms;
}

bool claim_note_slot(struct claim *claim, uint16_t slot)
{
    CHECK(!claim->opened);
    if (!claim->noted)
        claim->noted = calloc(1, sizeof(*claim->noted));
    if (!claim->noted)
        return false;
    slot_set_add(claim->noted, slot);
    return true;
}

/* Slot number i of those that the claim may change; NO_SLOT: it does not, -2: there is no i. */
#define SLOTS_END (-2)
static int changed_slot(const struct claim *claim, unsigned i)
{
    if (i >= claim->count + SLOTS)
        return SLOTS_END;
    if (i < claim->count) {
        const struct claim_part *part = &claim->parts[i];
        return part->scope == CLAIM_SLOT && mode_changes(part->mode) ? part->slot : NO_SLOT;
    }
    if (!claim->noted)
        return SLOTS_END;
    uint16_t slot = (uint16_t)(i - claim->count);
    return slot_set_has(claim->noted, slot) ? slot : NO_SLOT;
}

/* Slots that are not the claim's own cost next to nothing. */
#define LOOKS_PER_SLOT 16

static bool slots_step(struct ks *ks, struct claim *claim, uint32_t budget, bool open)
{
    CHECK(ks->p->claim == claim);
    for (uint32_t looks = budget * LOOKS_PER_SLOT; looks > 0 && budget > 0; looks--) {
        int slot = changed_slot(claim, claim->next);
        if (slot == SLOTS_END) {
            claim->next = 0;
            return true;
        }
        claim->next++;
        if (slot == NO_SLOT)
            continue;
        ks_lock(ks, (uint16_t)slot);
        section_several(ks, (uint16_t)slot, open);
        ks_unlock(ks, (uint16_t)slot);
        budget--;
    }
    return false;
}

bool ks_claim_open(struct ks *ks, struct claim *claim, uint32_t budget)
{
    if (!claim || !claim->several)
        return true;
    claim->opened = true;
    return slots_step(ks, claim, budget, true);
}

bool ks_claim_close(struct ks *ks, struct claim *claim, uint32_t budget)
{
    if (!claim || !claim->opened)
        return true;
    if (!slots_step(ks, claim, budget, false))
        return false;
    claim->opened = false;
    return true;
}

/* ---- meeting ---- */

bool ks_claim_allows(struct ks *ks, const struct key *key, bool exclusive)
{
    struct keyspace *k = ks->shared;
    if (likely_true(!section_claimed(k, key->slot)))
        return true;
    uint8_t part = exclusive ? CLAIM_CHANGE_PART : CLAIM_READ_PART;
    uint8_t whole = exclusive ? CLAIM_CHANGE : CLAIM_READ;
    const struct claim_part like[] = {
        {.scope = CLAIM_ALL, .mode = part},
        {.scope = CLAIM_SLOT, .slot = key->slot, .mode = part},
        {.scope = CLAIM_KEY, .slot = key->slot, .hash = key->hash, .mode = whole},
    };
    bool blocked = false;
    slot_lock(&k->claims.lock);
    for (unsigned i = 0; i < count_of(like) && !blocked; i++)
        blocked = claim_queue_blocks(&k->claims, &like[i], ks->p->claim);
    slot_unlock(&k->claims.lock);
    return !blocked;
}

bool section_may_read(struct ks *ks, const struct key *key)
{
    if (ks_claim_allows(ks, key, false))
        return true;
    ks->met_claim = true;
    return false;
}

void ks_claims_validate(struct keyspace *k)
{
    slot_lock(&k->claims.lock);
    unsigned parts = claim_queues_validate(&k->claims);
    uint64_t counted = atomic_load_explicit(&k->claims_all, memory_order_relaxed);
    for (unsigned slot = 0; slot < SLOTS; slot++)
        counted += atomic_load_explicit(&k->writes[slot].claims, memory_order_relaxed);
    CHECK((counted == 0) == (parts == 0));
    slot_unlock(&k->claims.lock);
}
