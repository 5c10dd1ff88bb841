/* The inside of the model of a stock node, shared by its two files. Times are monotonic ms. */
#pragma once
#include "check.h"
#include "rng.h"
#include "stock_model.h"

#define STOCK_NODES_MAX 64

struct stock_report {
    struct stock_peer *by;
    uint64_t at_ms;
};

struct stock_peer {
    char id[BUS_NAME_SIZE + 1], ip[BUS_IP_SIZE];
    uint16_t port, cport, flags;
    uint32_t slot_count;
    uint8_t slots[BUS_SLOTS_SIZE];
    struct stock_peer *primary;
    uint64_t config_epoch, offset, created_ms, ping_sent_ms, pong_ms, data_ms, fail_ms, voted_ms;
    cluster_link_id link; /* 0: none */
    bool link_up;
    uint64_t link_ms;
    struct stock_report reports[STOCK_NODES_MAX];
    uint32_t report_count;
};

/* A link that a peer opened, and where it comes from. */
struct stock_inbound {
    cluster_link_id id; /* 0: free */
    char ip[BUS_IP_SIZE];
};
#define STOCK_INBOUND_MAX 256

struct stock {
    struct stock_inbound inbound[STOCK_INBOUND_MAX];
    struct cluster_config config;
    struct rng rng;
    struct cluster_actions *out;
    uint64_t now_ms, wall_ms, start_ms, tick_ms, iteration;
    struct stock_peer *nodes[STOCK_NODES_MAX], *self;
    uint32_t count;
    struct stock_peer *slots[BUS_SLOTS], *importing[BUS_SLOTS], *migrating[BUS_SLOTS];
    uint8_t unclaimed[BUS_SLOTS_SIZE];
    uint32_t unclaimed_count;
    uint64_t current_epoch, last_vote_epoch;
    cluster_link_id link_next;
    uint64_t ticket;
    bool ok, save, update;
    uint64_t minority_ms;
    struct cluster_replication replication;
    char following[BUS_NAME_SIZE + 1], following_ip[BUS_IP_SIZE];
    /* election */
    uint64_t auth_ms, auth_epoch;
    uint32_t auth_count;
    int auth_rank;
    bool auth_sent;
    /* manual failover */
    uint64_t mf_end_ms;
    struct stock_peer *mf_replica;
    bool mf_can_start, mf_paused, mf_offset_known;
    uint64_t mf_offset;
};

static inline bool stock_has(const struct stock_peer *n, unsigned flags)
{
    return n->flags & flags;
}

static inline bool stock_votes(const struct stock_peer *n)
{
    return stock_has(n, BUS_NODE_MASTER) && n->slot_count > 0;
}

/* ---- stock_node.c ---- */
struct stock_peer *stock_find(const struct stock *s, const void *id);
/* NULL: there are too many. Its id is the caller's to set. */
struct stock_peer *stock_peer_new(struct stock *s);
/* NULL: a link of ours. */
const struct stock_inbound *stock_inbound(const struct stock *s, cluster_link_id id);
uint32_t stock_size(const struct stock *s);
void stock_set_unclaimed(struct stock *s, unsigned slot, bool on);
void stock_set_slot(struct stock *s, unsigned slot, struct stock_peer *n);
void stock_set_primary_role(struct stock_peer *n);
void stock_replicate(struct stock *s, struct stock_peer *primary);
struct cluster_action *stock_emit(struct stock *s, enum cluster_action_kind kind);

/* ---- stock_frame.c ---- */
struct cluster_frame *stock_build(struct stock *s, unsigned type, unsigned mflags);
void stock_send(struct stock *s, cluster_link_id link, struct cluster_frame *frame);
void stock_send_ping(struct stock *s, cluster_link_id link, struct stock_peer *n, unsigned type);
void stock_broadcast(struct stock *s, struct cluster_frame *frame);
void stock_broadcast_pong(struct stock *s, bool siblings_only);
void stock_send_fail(struct stock *s, const struct stock_peer *failed);
void stock_send_update(struct stock *s, const struct stock_peer *to,
                       const struct stock_peer *about);

/* ---- stock_packet.c ---- */
void stock_packet(struct stock *s, const struct cluster_event_frame *event);
bool stock_mark_failing(struct stock *s, struct stock_peer *n);

/* ---- stock_election.c ---- */
void stock_election_run(struct stock *s);
void stock_vote(struct stock *s, struct stock_peer *sender, const struct bus_message *m);
void stock_ack(struct stock *s, const struct stock_peer *sender, const struct bus_message *m);
void stock_mfstart(struct stock *s, struct stock_peer *sender, cluster_link_id link);
void stock_mf_header(struct stock *s, const struct stock_peer *sender, const struct bus_header *h);
void stock_mf_tick(struct stock *s);
void stock_mf_reset(struct stock *s);
/* NULL: done; else the error. */
const char *stock_failover(struct stock *s, const struct cluster_admin *admin);
