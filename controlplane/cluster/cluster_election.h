/* Failover, as the core of the state calls it: automatic election, votes, manual failover and
 * replica migration. Everything of it that lives in the state is in struct election and, for each
 * node, in struct election_node; the core only zeroes them.
 *
 * All functions run inside cluster_step(); what they change they announce by the functions of
 * cluster_state.h, which also hold frames until a ticket is durable.
 *
 * An epoch is durable before the AUTH_REQUEST that names it is built, a vote before its AUTH_ACK
 * leaves; both frames are built once and only ever sent as they are. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "cluster.h"

struct cluster_node;
struct cluster_link;

enum election_state {
    ELECTION_IDLE,
    ELECTION_WAITING, /* our primary is FAIL: for siblings' offsets, our turn, the disk */
    ELECTION_ASKING   /* for votes */
};

/* CLUSTER FAILOVER on this replica. */
enum manual_state {
    MANUAL_NONE,
    MANUAL_STOPPING, /* MFSTART is sent: the primary stops its writes */
    MANUAL_CATCHING, /* they have stopped at manual_offset */
    MANUAL_READY,    /* we have everything, or may do without */
};

/* A replica's CLUSTER FAILOVER on this primary. */
enum pause_state {
    PAUSE_NONE,
    PAUSE_STOPPING, /* PAUSE is out */
    PAUSE_STOPPED,  /* PAUSED came: the offset is final and shown */
    PAUSE_ENDING,   /* we are a primary no more: UNPAUSE when every lcore knows it */
};

/* The last vote that this node gave since it started. */
struct election_vote {
    char candidate[BUS_NAME_SIZE + 1];
    uint64_t epoch, ticket;
    cluster_link_id link;        /* where it went last */
    struct cluster_frame *frame; /* NULL: none yet */
};

/* Of this node. */
struct election {
    enum election_state state;
    uint64_t down_us;     /* our primary is PFAIL or FAIL since; 0: it is not */
    uint64_t waiting_us;  /* WAITING since */
    uint64_t ready_us;    /* siblings' offsets are known, or no longer waited for; 0: not yet */
    uint64_t sibling_us;  /* a sibling that is not behind us asked for votes; 0: none */
    uint64_t start_us;    /* WAITING: by rank, as of the last look */
    const char *obstacle; /* why we do not stand, as it was logged last; NULL: we do */
    bool forced;          /* ASKING: by command; the primary need not be FAIL */
    bool rival;           /* ASKING: another node asked in the same epoch */
    uint64_t epoch;       /* ASKING: of this election */
    uint64_t claim_epoch; /* the config epoch that the request shows */
    uint64_t asked_us, repeat_us;
    struct cluster_frame *request;
    /* nodes.conf has this as currentEpoch while it is the greater one: once its ticket is durable,
     * an election in an epoch up to it need not wait for the disk. */
    uint64_t reserved_epoch, reserved_ticket;

    struct election_vote vote;

    enum manual_state manual;
    uint64_t manual_end_us, manual_offset;

    enum pause_state pause;
    const struct cluster_node *pause_replica;
    cluster_link_id pause_link; /* where MFSTART came */
    uint64_t pause_begin_us, pause_end_us, pause_ping_us;
    uint64_t pause_version; /* ENDING: the view that shows our new role */

    uint64_t migration_due_us;
};

/* What is kept of each other node. */
struct election_node {
    uint64_t voted_us;         /* of a primary: when we last voted for one of its replicas */
    uint64_t acked_epoch;      /* its last vote for us */
    uint64_t epoch;            /* currentEpoch of its last header */
    uint64_t orphaned_us;      /* a primary with slots, all of whose replicas are gone, since */
    uint32_t working_replicas; /* not FAIL; as of the last replicas_count() */
};

/* ---- cluster_election.c: what the core calls, and the candidate ---- */

void election_init(struct cluster *c);
/* Frees what is kept; no actions. */
void election_fini(struct cluster *c);
/* Each TICK, after pings and failure detection. */
void election_tick(struct cluster *c);
/* When it wants the next TICK; UINT64_MAX: no wish. */
uint64_t election_next_us(const struct cluster *c);
/* The currentEpoch for nodes.conf. */
uint64_t election_saved_epoch(const struct cluster *c);

/* A valid frame of any type came from a known node that is not in handshake; epochs and offset of
 * its header are adopted. Before the type's own function. */
void election_on_header(struct cluster *c, struct cluster_node *sender,
                        const struct bus_message *m);
void election_on_auth_ack(struct cluster *c, struct cluster_node *sender,
                          const struct bus_message *m);
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
/* Every lcore has seen a view up to c->view_settled. */
void election_on_settled(struct cluster *c);
/* A PERSIST was decided; not ok: frames held for it were dropped. */
void election_on_persisted(struct cluster *c, uint64_t ticket, bool ok);
/* c->replication is new. */
void election_on_replication(struct cluster *c);
/* Anything under way, for CLUSTER RESET. */
void election_reset(struct cluster *c);
void election_validate(const struct cluster *c);

/* ---- cluster_vote.c ---- */

void election_on_auth_request(struct cluster *c, struct cluster_node *sender,
                              const struct bus_message *m);

/* ---- cluster_manual.c ---- */

/* link: where it came from; the PING that answers it leaves there. */
void election_on_mfstart(struct cluster *c, struct cluster_node *sender, cluster_link_id link);
/* Writes have stopped by our PAUSE. */
void election_on_paused(struct cluster *c, uint64_t offset);
/* CLUSTER FAILOVER [FORCE|TAKEOVER]: answers by cluster_admin_*(). */
void election_admin_failover(struct cluster *c, const struct cluster_admin *admin);

/* ---- between these files ---- */

/* Looks at everything, and does what is due. */
void election_advance(struct cluster *c);
/* Ends what we are candidate for; the wish for it (a FAIL primary, a command) may begin it anew. */
void election_abandon(struct cluster *c);
/* The next epoch goes to the disk, so that it is there when it is needed. */
void election_epoch_reserve(struct cluster *c);
/* The frame asks for votes in the epoch of our own election, or for our primary's place. */
void election_rival_note(struct cluster *c, const struct cluster_node *sender,
                         const struct bus_header *h);

void manual_tick(struct cluster *c);
uint64_t manual_next_us(const struct cluster *c);
void manual_on_header(struct cluster *c, const struct cluster_node *sender,
                      const struct bus_header *h);
/* The primary's writes have stopped, and we have them all: READY. */
void manual_catch_up(struct cluster *c);
void manual_on_linked(struct cluster *c, const struct cluster_node *node);
void manual_on_gone(struct cluster *c, const struct cluster_node *node);
/* The replica for which we have stopped writes asks for votes. */
void manual_on_auth_request(struct cluster *c, const struct cluster_node *sender);
void manual_on_role(struct cluster *c);
void manual_on_settled(struct cluster *c);

/* cluster_migration.c */
void migration_tick(struct cluster *c);
/* Fills working_replicas of all nodes. */
void replicas_count(struct cluster *c);
