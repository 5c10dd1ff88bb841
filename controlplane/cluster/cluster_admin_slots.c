#include <string.h>
#include "cluster_admin.h"
#include "numbers.h"

static bool slot_parse(struct cluster *c, const struct cluster_admin *admin, uint32_t arg,
                       unsigned *slot)
{
    int64_t value;
    if (!parse_i64(admin->argv[arg], &value) || value < 0 || value >= SLOTS) {
        cluster_admin_error(c, admin, "Invalid or out of range slot");
        return false;
    }
    *slot = (unsigned)value;
    return true;
}

/* All slots that the arguments name; false: the error was sent, nothing may be changed. */
static bool slots_parse(struct cluster *c, const struct cluster_admin *admin, bool unassign,
                        uint8_t *set)
{
    bool ranges = admin->argv[0].len == strlen("addslotsrange");
    memset(set, 0, BUS_SLOTS_SIZE);
    if (ranges && admin->argc % 2 == 0) {
        cluster_admin_error(c, admin, "wrong number of arguments for 'cluster|%s' command",
                            unassign ? "delslotsrange" : "addslotsrange");
        return false;
    }
    for (uint32_t arg = 1; arg < admin->argc; arg += ranges ? 2 : 1) {
        unsigned first, last;
        if (!slot_parse(c, admin, arg, &first) ||
            !slot_parse(c, admin, ranges ? arg + 1 : arg, &last))
            return false;
        if (first > last) {
            cluster_admin_error(c, admin, "start slot number %u is greater than end slot number %u",
                                first, last);
            return false;
        }
        for (unsigned slot = first; slot <= last; slot++) {
            const char *fault = NULL;
            if (unassign && !c->slots[slot])
                fault = "is already unassigned";
            else if (!unassign && c->slots[slot])
                fault = "is already busy";
            else if (bus_slot_get(set, slot))
                fault = "specified multiple times";
            if (fault) {
                cluster_admin_error(c, admin, "Slot %u %s", slot, fault);
                return false;
            }
            bus_slot_set(set, slot, true);
        }
    }
    return true;
}

static void slots_assign(struct cluster *c, const uint8_t *set, struct cluster_node *n)
{
    for (unsigned slot = 0; slot < SLOTS; slot++)
        if (bus_slot_get(set, slot))
            cluster_slot_set(c, slot, n);
}

void admin_addslots(struct cluster *c, const struct cluster_admin *admin)
{
    uint8_t set[BUS_SLOTS_SIZE];
    /* Redis lets a replica own slots that it never shows. */
    if (!node_is_primary(c->self)) {
        cluster_admin_error(c, admin, "You can use ADDSLOTS only with masters.");
        return;
    }
    if (!slots_parse(c, admin, false, set))
        return;
    slots_assign(c, set, c->self);
    cluster_admin_ok_settled(c, admin);
}

void admin_delslots(struct cluster *c, const struct cluster_admin *admin)
{
    uint8_t set[BUS_SLOTS_SIZE];
    if (!slots_parse(c, admin, true, set))
        return;
    slots_assign(c, set, NULL);
    cluster_admin_ok_settled(c, admin);
}

void admin_flushslots(struct cluster *c, const struct cluster_admin *admin)
{
    if (c->env.key_count(c->env.ctx) != 0) {
        cluster_admin_error(c, admin, "DB must be empty to perform CLUSTER FLUSHSLOTS.");
        return;
    }
    cluster_slots_take_all(c, c->self, NULL);
    cluster_admin_ok_settled(c, admin);
}

/* ---- SETSLOT ---- */

static struct cluster_node *setslot_node(struct cluster *c, const struct cluster_admin *admin,
                                         const char *unknown)
{
    struct slice id = admin->argv[3];
    struct cluster_node *n = id.len == BUS_NAME_SIZE ? cluster_node_find(c, id.data) : NULL;
    if (!n || node_has(n, BUS_NODE_HANDSHAKE)) {
        cluster_admin_error(c, admin, "%s node %.*s", unknown, (int)(id.len < 128 ? id.len : 128),
                            (const char *)id.data);
        return NULL;
    }
    if (!node_is_primary(n)) {
        cluster_admin_error(c, admin, "Target node is not a master");
        return NULL;
    }
    return n;
}

static bool setslot_migrating(struct cluster *c, const struct cluster_admin *admin, unsigned slot)
{
    if (cluster_slot_node(c, slot) != c->self) {
        cluster_admin_error(c, admin, "I'm not the owner of hash slot %u", slot);
        return false;
    }
    struct cluster_node *n = setslot_node(c, admin, "I don't know about");
    if (!n)
        return false;
    cluster_slot_set_migrating(c, slot, n == c->self ? NULL : n);
    return true;
}

static bool setslot_importing(struct cluster *c, const struct cluster_admin *admin, unsigned slot)
{
    if (cluster_slot_node(c, slot) == c->self) {
        cluster_admin_error(c, admin, "I'm already the owner of hash slot %u", slot);
        return false;
    }
    struct cluster_node *n = setslot_node(c, admin, "I don't know about");
    if (!n)
        return false;
    cluster_slot_set_importing(c, slot, n == c->self ? NULL : n);
    return true;
}

static bool setslot_assign(struct cluster *c, const struct cluster_admin *admin, unsigned slot)
{
    struct cluster_node *n = setslot_node(c, admin, "Unknown"), *self = c->self;
    if (!n)
        return false;
    bool ours = cluster_slot_node(c, slot) == self;
    if (ours && n != self && c->env.slot_key_count(c->env.ctx, slot) != 0) {
        cluster_admin_error(c, admin,
                            "Can't assign hashslot %u to a different node while I still hold keys "
                            "for this hash slot.",
                            slot);
        return false;
    }
    if (c->env.slot_key_count(c->env.ctx, slot) == 0)
        cluster_slot_set_migrating(c, slot, NULL);
    bool imported = n == self && cluster_slot_importing(c, slot);
    cluster_slot_set(c, slot, n);
    if (ours && n != self && self->slot_count == 0 && c->config.allow_replica_migration) {
        cluster_log(c, LOG_LEVEL_WARNING,
                    "Configuration change detected. Reconfiguring myself as a replica of %s",
                    n->id);
        cluster_self_follow(c, n);
    }
    if (imported) {
        /* Nobody was asked: a new epoch makes the others believe it. */
        cluster_slot_set_importing(c, slot, NULL);
        if (cluster_epoch_bump(c))
            cluster_log(c, LOG_LEVEL_WARNING, "configEpoch updated after importing slot %u", slot);
    }
    return true;
}

void admin_setslot(struct cluster *c, const struct cluster_admin *admin)
{
    unsigned slot;
    bool done;
    if (!node_is_primary(c->self)) {
        cluster_admin_error(c, admin, "You can use SETSLOT only with masters.");
        return;
    }
    if (!slot_parse(c, admin, 1, &slot))
        return;
    if (admin->argc == 4 && slice_equal_word(admin->argv[2], "migrating")) {
        done = setslot_migrating(c, admin, slot);
    } else if (admin->argc == 4 && slice_equal_word(admin->argv[2], "importing")) {
        done = setslot_importing(c, admin, slot);
    } else if (admin->argc == 3 && slice_equal_word(admin->argv[2], "stable")) {
        cluster_slot_set_migrating(c, slot, NULL);
        cluster_slot_set_importing(c, slot, NULL);
        done = true;
    } else if (admin->argc == 4 && slice_equal_word(admin->argv[2], "node")) {
        done = setslot_assign(c, admin, slot);
    } else {
        cluster_admin_error(c, admin,
                            "Invalid CLUSTER SETSLOT action or number of arguments. Try "
                            "CLUSTER HELP");
        return;
    }
    if (done)
        cluster_admin_ok_settled(c, admin);
}
