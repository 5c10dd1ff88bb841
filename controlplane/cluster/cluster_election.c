#include "cluster_election.h"
#include "cluster_state.h"

void election_init(struct cluster *c)
{
}

void election_fini(struct cluster *c)
{
}

void election_on_replication(struct cluster *c)
{
}

void election_on_settled(struct cluster *c)
{
}

uint64_t election_saved_epoch(const struct cluster *c)
{
    return c->current_epoch;
}

void election_tick(struct cluster *c)
{
}

uint64_t election_next_us(const struct cluster *c)
{
    return UINT64_MAX;
}

void election_on_header(struct cluster *c, struct cluster_node *sender, const struct bus_message *m)
{
}

void election_on_auth_request(struct cluster *c, struct cluster_node *sender,
                              const struct bus_message *m)
{
}

void election_on_auth_ack(struct cluster *c, struct cluster_node *sender,
                          const struct bus_message *m)
{
}

void election_on_mfstart(struct cluster *c, struct cluster_node *sender, cluster_link_id link)
{
}

void election_on_suspected(struct cluster *c, struct cluster_node *node)
{
}

void election_on_failed(struct cluster *c, struct cluster_node *node)
{
}

void election_on_linked(struct cluster *c, struct cluster_node *node)
{
}

void election_on_gone(struct cluster *c, struct cluster_node *node)
{
}

void election_on_role(struct cluster *c)
{
}

void election_on_shown(struct cluster *c)
{
}

void election_on_persisted(struct cluster *c, uint64_t ticket, bool ok)
{
}

void election_on_paused(struct cluster *c, uint64_t offset)
{
}

void election_admin_failover(struct cluster *c, const struct cluster_admin *admin)
{
    cluster_admin_error(c, admin, "You should send CLUSTER FAILOVER to a replica");
}

void election_reset(struct cluster *c)
{
}

void election_validate(const struct cluster *c)
{
}
