/* Who owns a slot: the primary that claims it with the greatest config epoch. A primary's header
 * says its claims; most headers say exactly what the table has, which one comparison of hashes
 * finds out. A slot that its owner does not claim any more stays bound to it, so that the cluster
 * does not go down, but whoever claims it gets it, and UPDATE does not spread it. */
#include <string.h>
#include "cluster_state.h"

struct claim {
    struct cluster_node *claimant, *our_primary; /* ourselves, or whom we follow */
    uint64_t epoch;
    const uint8_t *slots;
    uint32_t claimed, taken_from_us; /* counts; from our shard */
    bool differs;                    /* from the table, also afterwards */
};

static void slot_lost(struct cluster *c, unsigned slot)
{
    if (c->env.slot_key_count(c->env.ctx, slot) == 0 || bus_slot_get(c->lost, slot))
        return;
    bus_slot_set(c->lost, slot, true);
    c->lost_count++;
    c->lost_version = 0;
}

static void slot_claimed(struct cluster *c, struct claim *claim, unsigned slot)
{
    struct cluster_node *owner = cluster_slot_node(c, slot);
    claim->claimed++;
    if (owner == claim->claimant) {
        bus_slot_set(c->unclaimed, slot, false);
        return;
    }
    claim->differs = true;
    /* Only CLUSTER SETSLOT ends an import. */
    if (cluster_slot_importing(c, slot))
        return;
    if (owner && owner->config_epoch >= claim->epoch && !bus_slot_get(c->unclaimed, slot))
        return;
    if (owner && owner == claim->our_primary)
        claim->taken_from_us++;
    if (owner == c->self)
        slot_lost(c, slot);
    cluster_slot_set(c, slot, claim->claimant);
}

/* What follows for our own role. */
static void claim_consequences(struct cluster *c, const struct claim *claim)
{
    struct cluster_node *ours = claim->our_primary;
    bool follow = claim->taken_from_us > 0 && ours && ours->slot_count == 0 &&
                  (c->config.allow_replica_migration || claim->claimed == claim->taken_from_us);
    if (follow) {
        /* Failed over, or our primary was: its successor has the data that we would want. */
        cluster_log(c, LOG_LEVEL_WARNING,
                    "Configuration change detected. Reconfiguring myself as a replica of %s",
                    claim->claimant->id);
        cluster_self_follow(c, claim->claimant);
    }
}

void cluster_claim(struct cluster *c, struct cluster_node *claimant, uint64_t epoch,
                   const uint8_t *slots)
{
    CHECK(claimant != c->self);
    uint64_t hash = key_hash(slice_from(slots, BUS_SLOTS_SIZE)) | 1;
    if (claimant->claim_hash == hash)
        return;
    struct claim claim = {
        claimant, node_is_primary(c->self) ? c->self : c->self->primary, epoch, slots, 0, 0, false};
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (bus_slot_get(slots, slot)) {
            slot_claimed(c, &claim, slot);
        } else if (c->slots[slot] == claimant->handle) {
            bus_slot_set(c->unclaimed, slot, true);
            claim.differs = true;
        }
    }
    if (!claim.differs)
        claimant->claim_hash = hash;
    claim_consequences(c, &claim);
}

void cluster_claim_correct(struct cluster *c, struct cluster_node *sender,
                           const struct bus_header *h)
{
    const struct cluster_node *shown = node_is_primary(sender) ? sender : sender->primary;
    if (!shown || !sender->link || !sender->link->up)
        return;
    if (shown->claim_hash != 0 &&
        shown->claim_hash == (key_hash(slice_from(h->slots, BUS_SLOTS_SIZE)) | 1))
        return;
    if (shown == c->self && h->config_epoch >= c->shown.config_epoch &&
        memcmp(h->slots, c->shown.slots, BUS_SLOTS_SIZE) == 0)
        return; /* a replica of ours */
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (!bus_slot_get(h->slots, slot))
            continue;
        const struct cluster_node *owner = cluster_slot_node(c, slot);
        if (!owner || owner == sender || owner->config_epoch <= h->config_epoch)
            continue;
        if (owner == c->self && (!c->shown.primary || !bus_slot_get(c->shown.slots, slot)))
            continue; /* not ours to show yet */
        cluster_log(c, LOG_LEVEL_VERBOSE,
                    "Node %s has old slots configuration, sending an UPDATE message about %s",
                    sender->id, owner->id);
        struct cluster_frame *frame = cluster_build_update(c, owner);
        cluster_send(c, sender->link->id, frame);
        cluster_frame_put(frame);
        return;
    }
}
