#include <string.h>
#include "cluster_admin.h"
#include "numbers.h"

void admin_meet(struct cluster *c, const struct cluster_admin *admin)
{
    struct slice ip = admin->argv[1], text = admin->argv[2];
    int64_t port, cport;
    if (!parse_i64(text, &port)) {
        cluster_admin_error(c, admin, "Invalid TCP base port specified: %.*s",
                            (int)(text.len < 64 ? text.len : 64), (const char *)text.data);
        return;
    }
    cport = port + BUS_PORT_OFFSET;
    if (admin->argc == 4 && !parse_i64(admin->argv[3], &cport)) {
        struct slice bus = admin->argv[3];
        cluster_admin_error(c, admin, "Invalid TCP bus port specified: %.*s",
                            (int)(bus.len < 64 ? bus.len : 64), (const char *)bus.data);
        return;
    }
    enum cluster_meet result = CLUSTER_MEET_BAD;
    if (port > 0 && port <= 65535 && cport > 0 && cport <= 65535)
        result = cluster_meet_start(c, ip, (uint16_t)port, (uint16_t)cport, true);
    if (result == CLUSTER_MEET_BAD)
        cluster_admin_error(c, admin, "Invalid node address specified: %.*s:%.*s",
                            (int)(ip.len < 128 ? ip.len : 128), (const char *)ip.data,
                            (int)(text.len < 64 ? text.len : 64), (const char *)text.data);
    else if (result == CLUSTER_MEET_FULL)
        cluster_admin_error(c, admin, "Too many nodes are known or in handshake already");
    else
        cluster_admin_ok(c, admin);
}

void admin_forget(struct cluster *c, const struct cluster_admin *admin)
{
    struct cluster_node *n = admin_node(c, admin, 1);
    if (!n)
        return;
    if (n == c->self) {
        cluster_admin_error(c, admin, "I tried hard but I can't forget myself...");
        return;
    }
    if (n == c->self->primary) {
        cluster_admin_error(c, admin, "Can't forget my master!");
        return;
    }
    cluster_forgotten_add(c, n->id);
    cluster_node_remove(c, n);
    cluster_admin_ok_settled(c, admin);
}

void admin_replicate(struct cluster *c, const struct cluster_admin *admin)
{
    struct cluster_node *n = admin_node(c, admin, 1);
    if (!n)
        return;
    if (n == c->self) {
        cluster_admin_error(c, admin, "Can't replicate myself");
        return;
    }
    if (!node_is_primary(n)) {
        cluster_admin_error(c, admin, "I can only replicate a master, not a replica.");
        return;
    }
    if (node_is_primary(c->self) && (c->self->slot_count > 0 || c->env.key_count(c->env.ctx) > 0)) {
        cluster_admin_error(c, admin,
                            "To set a master the node must be empty and without assigned slots.");
        return;
    }
    if (c->self->primary != n) {
        c->follow_by_command = true;
        cluster_self_follow(c, n);
    }
    cluster_admin_ok_settled(c, admin);
}

/* Everything of the cluster goes; with hard the identity too. */
static void reset(struct cluster *c, bool hard)
{
    struct cluster_node *self = c->self;
    char id[BUS_NAME_SIZE + 1];
    if (!node_is_primary(self)) {
        cluster_node_set_primary(c, self);
        cluster_emit(c, CLUSTER_ACTION_REPLICATE_STOP);
        cluster_emit(c, CLUSTER_ACTION_FLUSH);
        c->following_id[0] = 0;
    }
    election_reset(c);
    cluster_slots_close_moves(c, NULL);
    for (unsigned slot = 0; slot < SLOTS; slot++)
        cluster_slot_set(c, slot, NULL);
    for (uint32_t i = c->node_count; i > 0; i--)
        if (c->nodes[i - 1] != self)
            cluster_node_remove(c, c->nodes[i - 1]);
    cluster_id_random(c, id);
    cluster_node_set_shard_id(c, self, id);
    cluster_self_changed(c);
    if (!hard)
        return;
    c->current_epoch = c->last_vote_epoch = 0;
    self->config_epoch = 0;
    cluster_id_random(c, id);
    cluster_log(c, LOG_LEVEL_NOTICE, "Node hard reset, now I'm %s", id);
    cluster_node_rename(c, self, id);
    c->identity_generation = c->generation;
    c->identity_durable = false;
}

void admin_reset(struct cluster *c, const struct cluster_admin *admin)
{
    bool hard = false;
    if (admin->argc == 2) {
        hard = slice_equal_word(admin->argv[1], "hard");
        if (!hard && !slice_equal_word(admin->argv[1], "soft")) {
            admin_syntax_error(c, admin);
            return;
        }
    }
    if (node_is_primary(c->self) && c->env.key_count(c->env.ctx) != 0) {
        cluster_admin_error(c, admin,
                            "CLUSTER RESET can't be called with master nodes containing keys");
        return;
    }
    reset(c, hard);
    cluster_admin_ok_settled(c, admin);
}

void admin_bumpepoch(struct cluster *c, const struct cluster_admin *admin)
{
    bool bumped = cluster_epoch_bump(c);
    admin_reply_settled(c, admin, "+%s %llu\r\n", bumped ? "BUMPED" : "STILL",
                        (unsigned long long)c->self->config_epoch);
}

void admin_set_config_epoch(struct cluster *c, const struct cluster_admin *admin)
{
    int64_t epoch;
    if (!parse_i64(admin->argv[1], &epoch)) {
        cluster_admin_error(c, admin, "value is not an integer or out of range");
        return;
    }
    if (epoch < 0) {
        cluster_admin_error(c, admin, "Invalid config epoch specified: %lld", (long long)epoch);
        return;
    }
    if (c->node_count > 1) {
        cluster_admin_error(c, admin,
                            "The user can assign a config epoch only when the node does "
                            "not know any other node.");
        return;
    }
    if (c->self->config_epoch != 0) {
        cluster_admin_error(c, admin, "Node config epoch is already non-zero");
        return;
    }
    c->self->config_epoch = (uint64_t)epoch;
    if (c->current_epoch < (uint64_t)epoch)
        c->current_epoch = (uint64_t)epoch;
    cluster_log(c, LOG_LEVEL_WARNING, "configEpoch set to %lld via CLUSTER SET-CONFIG-EPOCH",
                (long long)epoch);
    cluster_self_changed(c);
    cluster_admin_ok_settled(c, admin);
}
