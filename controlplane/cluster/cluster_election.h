/* Failover, as the core of the state calls it: automatic election, votes, manual failover and
 * replica migration. Everything of it that lives in the state is in struct election and, for each
 * node, in struct election_node; the core only zeroes them.
 *
 * All functions run inside cluster_step(); what they change they announce by the functions of
 * cluster_state.h, which also hold frames until a ticket is durable. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "cluster.h"

struct cluster_node;
struct cluster_link;

/* Of this node. */
struct election {
    uint64_t reserved; /* one field, so that the struct is never empty */
};

/* What is kept of each other node. */
struct election_node {
    uint64_t voted_us; /* of a primary: when we last voted for one of its replicas */
};

void election_init(struct cluster *c);
/* Each TICK, after pings and failure detection. */
void election_tick(struct cluster *c);
/* When it wants the next TICK; UINT64_MAX: no wish. */
uint64_t election_next_us(const struct cluster *c);

/* A valid frame of any type came from a known node that is not in handshake; epochs and offset of
 * its header are adopted. Before the type's own function. */
void election_on_header(struct cluster *c, struct cluster_node *sender,
                        const struct bus_message *m);
void election_on_auth_request(struct cluster *c, struct cluster_node *sender,
                              const struct bus_message *m);
void election_on_auth_ack(struct cluster *c, struct cluster_node *sender,
                          const struct bus_message *m);
/* link: where it came from; the PING that answers it leaves there. */
void election_on_mfstart(struct cluster *c, struct cluster_node *sender, cluster_link_id link);

/* node turned PFAIL, or FAIL. */
void election_on_suspected(struct cluster *c, struct cluster_node *node);
void election_on_failed(struct cluster *c, struct cluster_node *node);
/* Our own link to the node is up. */
void election_on_linked(struct cluster *c, struct cluster_node *node);
/* node is about to be forgotten. */
void election_on_gone(struct cluster *c, struct cluster_node *node);
/* Our role or our primary changed (not yet shown): what was under way is void. */
void election_on_role(struct cluster *c);
/* What we show to others has changed: role, slots or epoch are durable and published. */
void election_on_shown(struct cluster *c);
/* A PERSIST was decided; not ok: frames held for it were dropped. */
void election_on_persisted(struct cluster *c, uint64_t ticket, bool ok);
/* Writes have stopped by our PAUSE. */
void election_on_paused(struct cluster *c, uint64_t offset);

/* CLUSTER FAILOVER [FORCE|TAKEOVER]: answers by cluster_admin_*(). */
void election_admin_failover(struct cluster *c, const struct cluster_admin *admin);
/* Anything under way, for CLUSTER RESET. */
void election_reset(struct cluster *c);
void election_validate(const struct cluster *c);
