/* The inside of struct cluster, shared by the files of this folder only. Each group of functions
 * names its file. All times are monotonic µs, 0 = never, unless a name says otherwise.
 *
 * Three pictures of ourselves (struct cluster_image): what the state has decided (in the table),
 * what is durable, and what is shown. A change of role, primary, slots or config epoch is decided,
 * then persisted, then published as a view, then, when every lcore has seen that, shown: headers
 * and PONG are built from the shown one only. Slots that are lost leave the view at once. */
#pragma once
#include "check.h"
#include "cluster.h"
#include "cluster_election.h"
#include "rng.h"

#define MS 1000ull
#define SECOND 1000000ull

struct cluster_link {
    cluster_link_id id;
    struct cluster_node *node; /* ours: always; a peer's: once a known sender spoke */
    bool up;
    uint64_t created_us;
    uint64_t created_wall_ms;
    char local_ip[BUS_IP_SIZE], peer_ip[BUS_IP_SIZE];
};

struct cluster_report {
    struct cluster_node *by;
    uint64_t at_us;
};

struct cluster_node {
    char id[BUS_NAME_SIZE + 1];
    char shard_id[BUS_NAME_SIZE + 1]; /* empty: not known */
    char ip[BUS_IP_SIZE];
    uint16_t port, pport, cport;
    uint16_t handle; /* in the slot table; stable for the node's life */
    uint16_t flags;  /* enum bus_node_flags */
    bool extends;    /* understands every extension */
    bool heard;      /* since our last long stall */
    uint32_t slot_count, replica_count;
    uint32_t open_backoff_ms;
    char *hostname; /* NULL: none */
    struct cluster_node *primary;
    struct cluster_link *link, *inbound;
    uint64_t config_epoch, offset, offset_us;
    uint64_t current_epoch; /* the greatest that it has shown: an older header came late */
    uint64_t doubt_us;      /* since when its headers show an older epoch; 0: they do not */
    uint64_t created_us, ping_sent_us, pong_received_us, data_received_us, fail_us;
    uint64_t open_at_us;  /* not before */
    uint64_t meet_us;     /* the last MEET; flag MEET: until the node opens a link to us */
    uint64_t gossip_mark; /* the last gossip section that has it */
    uint64_t claim_hash;  /* of a claim that was exactly what the table says; 0: none */
    struct cluster_report *reports;
    uint32_t report_count, report_size;
    struct election_node election;
};

struct cluster_image {
    uint64_t generation;
    bool primary;
    char primary_id[BUS_NAME_SIZE + 1]; /* a replica's */
    uint64_t config_epoch;              /* a primary's */
    uint8_t slots[BUS_SLOTS_SIZE];
};

struct cluster_held {
    uint64_t ticket;
    cluster_link_id link;
    struct cluster_frame *frame;
};

/* A reply that waits for a ticket, then for the view that follows it. */
struct cluster_pending {
    uint64_t id, ticket, version; /* version 0: the ticket is not durable yet */
    char *text;
    size_t len;
};

struct cluster_forgotten {
    char id[BUS_NAME_SIZE + 1];
    uint64_t until_us;
};

enum cluster_want { CLUSTER_WANT_NOT, CLUSTER_WANT_TICK, CLUSTER_WANT_NOW };

struct cluster {
    struct cluster_config config;
    struct cluster_env env;
    struct rng rng;
    uint64_t now_us, wall_ms; /* of the event at hand; now_us never goes back */
    uint64_t event_us;        /* when it happened, also if later ones were looked at before it */
    struct cluster_actions *out;
    bool started;
    struct cluster_counts counts;

    struct cluster_node *self;
    struct cluster_node **nodes; /* ascending by id */
    uint64_t *node_keys;         /* the first bytes of their ids, in the same order */
    uint32_t node_count, node_size;
    struct cluster_node **handles; /* by handle; [0] and free ones are NULL */
    uint32_t handle_size;
    struct cluster_link **links; /* ascending by id */
    uint32_t link_count, link_size;
    cluster_link_id link_next;
    struct cluster_forgotten *forgotten;
    uint32_t forgotten_count, forgotten_size;
    uint32_t handshake_count, pfail_count;

    /* Slots: owner's handle; the other end of a move; owners whose header leaves the slot out. */
    uint16_t slots[SLOTS];
    uint16_t *migrating, *importing; /* NULL while no slot moves */
    uint32_t moving_count;
    uint32_t assigned_count;
    uint8_t unclaimed[BUS_SLOTS_SIZE];
    uint64_t slots_generation; /* counts changes of the table */
    struct {
        uint64_t generation;
        uint16_t handle;
        uint8_t bits[BUS_SLOTS_SIZE];
    } primary_slots;              /* what our headers show as a replica */
    uint8_t lost[BUS_SLOTS_SIZE]; /* were ours and hold keys: deleted once no lcore writes them */
    uint32_t lost_count;
    uint64_t lost_version; /* the view that shows it; 0: not published yet */

    uint64_t current_epoch, last_vote_epoch;
    struct cluster_replication replication;
    bool paused_shown; /* PAUSED: writes have stopped, the offset is final */

    /* cluster_self.c */
    uint64_t generation; /* of what is decided of ourselves */
    struct cluster_image durable, in_flight, settling, shown;
    uint64_t identity_generation; /* our name is durable with this one; nothing is sent before */
    bool identity_durable;
    uint64_t ticket_issued, ticket_durable; /* equal: nothing is in flight, or the last failed */
    bool persist_in_flight;
    bool in_flight_void; /* what is in flight was taken back meanwhile: never to be shown */
    /* An election that was won, and is not durable yet: whom from, and how long it may take. */
    char won_from[BUS_NAME_SIZE + 1];
    uint64_t won_until_us; /* 0: none */
    enum cluster_want persist_want;
    uint64_t persist_at_us, persist_retry_us; /* not before: when it can wait; after a failure */
    uint64_t view_version, view_settled, settling_version; /* 0: nothing is settling */
    enum cluster_want view_want, pong_want;
    bool broadcast_want; /* PONG to all at the end of the step */
    uint64_t pong_version, pong_used;
    char following_id[BUS_NAME_SIZE + 1]; /* last REPLICATE; empty: none */
    char following_ip[BUS_IP_SIZE];
    uint16_t following_port;
    bool follow_by_command;
    struct cluster_held *held;
    uint32_t held_count, held_size;
    struct cluster_pending *pending;
    uint32_t pending_count, pending_size;

    /* cluster_health.c */
    bool ok, health_want;
    bool stalled; /* stood still for longer than the lease; not heard a majority since */
    uint64_t first_us, minority_us, ok_not_before_us;

    /* cluster_ping.c */
    uint64_t chain_us;         /* since when our primary is a replica */
    uint64_t stall_noticed_us; /* the tick_due_us that it was noticed for */
    uint64_t tick_due_us, tick_next_us, ring_due_us, suspicion_due_us, suspicion_us;
    char ring_id[BUS_NAME_SIZE + 1];
    uint64_t gossip_sequence;

    struct election election;
};

static inline uint64_t cluster_timeout_us(const struct cluster *c)
{
    return c->config.node_timeout_ms * MS;
}

static inline bool node_is_primary(const struct cluster_node *n)
{
    return n->flags & BUS_NODE_MASTER;
}

static inline bool node_has(const struct cluster_node *n, unsigned flags)
{
    return n->flags & flags;
}

/* Counts for majorities: a primary that owns slots. */
static inline bool node_votes(const struct cluster_node *n)
{
    return node_is_primary(n) && n->slot_count > 0;
}

static inline struct cluster_node *cluster_slot_node(const struct cluster *c, unsigned slot)
{
    return c->handles[c->slots[slot]];
}

/* ---- cluster_actions.c ---- */
struct cluster_action *cluster_emit(struct cluster *c, enum cluster_action_kind kind);
void cluster_log(struct cluster *c, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A warning that an operator should act upon. */
void cluster_alarm(struct cluster *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Now, on a link that is up (else nothing). The frame is shared, not taken. */
void cluster_send(struct cluster *c, cluster_link_id link, struct cluster_frame *frame);
/* Once ticket is durable; dropped when the link ends or the disk fails before. */
void cluster_send_durable(struct cluster *c, cluster_link_id link, struct cluster_frame *frame,
                          uint64_t ticket);
void cluster_held_release(struct cluster *c);
void cluster_held_drop(struct cluster *c);
void cluster_held_drop_link(struct cluster *c, cluster_link_id link);

/* ---- cluster_nodes.c: the table ---- */
struct cluster_node *cluster_node_find(const struct cluster *c, const void *id);
/* NULL: the table is full. The id must not be known. */
struct cluster_node *cluster_node_add(struct cluster *c, const void *id, unsigned flags);
/* Ends its links, slots, moves, reports and roles; frees it. Never ourselves. */
void cluster_node_remove(struct cluster *c, struct cluster_node *n);
void cluster_node_rename(struct cluster *c, struct cluster_node *n, const void *id);
void cluster_node_set_hostname(struct cluster *c, struct cluster_node *n, struct slice hostname);
void cluster_node_set_shard_id(struct cluster *c, struct cluster_node *n, const void *id);
/* Its primary is now this one (NULL: not known); it becomes a replica. n is not ourselves. */
void cluster_node_set_replica(struct cluster *c, struct cluster_node *n,
                              struct cluster_node *primary);
void cluster_node_set_primary(struct cluster *c, struct cluster_node *n);
/* Low level: only the link between the two. */
void cluster_node_link_primary(struct cluster_node *n, struct cluster_node *primary);
void cluster_nodes_free(struct cluster *c);
/* Fills id[BUS_NAME_SIZE + 1] with a random node id. */
void cluster_id_random(struct cluster *c, char *id);
/* A primary's replicas: i counts over c->nodes from 0; NULL at the end. */
struct cluster_node *cluster_replica_next(const struct cluster *c,
                                          const struct cluster_node *primary, uint32_t *i);

/* ---- cluster_failure.c: reports, PFAIL, FAIL ---- */
bool cluster_report_add(struct cluster *c, struct cluster_node *n, struct cluster_node *by);
bool cluster_report_remove(struct cluster_node *n, const struct cluster_node *by);
/* Of primaries with slots, younger than two node timeouts. */
uint32_t cluster_report_count(const struct cluster *c, const struct cluster_node *n);
void cluster_suspect(struct cluster *c, struct cluster_node *n);
/* Only the flag and its count. */
void cluster_pfail_set(struct cluster *c, struct cluster_node *n, bool on);
/* PFAIL becomes FAIL when a majority says so; tells everybody then. */
void cluster_fail_if_majority(struct cluster *c, struct cluster_node *n);
/* FAIL came from another node. */
void cluster_fail_learnt(struct cluster *c, struct cluster_node *n, const struct cluster_node *by);
/* A PONG came: PFAIL goes, FAIL when it may. */
void cluster_failure_clear(struct cluster *c, struct cluster_node *n);
/* Primaries with slots; half of them and one more. */
uint32_t cluster_size(const struct cluster *c);
uint32_t cluster_quorum(const struct cluster *c);

/* ---- cluster_slots.c: the table, moves ---- */
/* n NULL: nobody's. */
void cluster_slot_set(struct cluster *c, unsigned slot, struct cluster_node *n);
void cluster_slots_take_all(struct cluster *c, struct cluster_node *from, struct cluster_node *to);
void cluster_slots_of(const struct cluster *c, const struct cluster_node *n, uint8_t *bits);
struct cluster_node *cluster_slot_migrating(const struct cluster *c, unsigned slot);
struct cluster_node *cluster_slot_importing(const struct cluster *c, unsigned slot);
void cluster_slot_set_migrating(struct cluster *c, unsigned slot, struct cluster_node *to);
void cluster_slot_set_importing(struct cluster *c, unsigned slot, struct cluster_node *from);
void cluster_slots_close_moves(struct cluster *c, const struct cluster_node *with); /* NULL: all */
void cluster_slots_delete_lost(struct cluster *c);                                  /* SETTLED */
/* After a load: a slot that holds keys is ours, or comes from its owner. */
void cluster_slots_loaded(struct cluster *c);

/* ---- cluster_claim.c ---- */
/* What a primary's header or an UPDATE says of its slots. */
void cluster_claim(struct cluster *c, struct cluster_node *claimant, uint64_t epoch,
                   const uint8_t *slots);
/* A header claims slots that others own by a newer epoch: tell it of one of them. */
void cluster_claim_correct(struct cluster *c, struct cluster_node *sender,
                           const struct bus_header *h);

/* ---- cluster_self.c: our own picture ---- */
/* Role, primary, own slots or own epoch were decided anew: persist, publish, show. */
void cluster_self_changed(struct cluster *c);
/* The ticket that covers everything decided in this step. */
uint64_t cluster_persist_now(struct cluster *c);
void cluster_persist_soon(struct cluster *c); /* what is not ours to lose: epochs, other nodes */
void cluster_self_persisted(struct cluster *c, const struct cluster_event_persisted *event);
void cluster_self_settled(struct cluster *c, uint64_t version);
/* End of each step, whose actions begin at first: persists, publishes, shows what the step wants.
 */
void cluster_self_flush(struct cluster *c, size_t first);
/* Become a replica of primary, or follow another one. */
void cluster_self_follow(struct cluster *c, struct cluster_node *primary);
/* Become a primary with the slots of our primary. epoch: the one that is ours for it. */
void cluster_self_promote(struct cluster *c, uint64_t epoch);
/* The same, by votes: it is given up when it is not durable in time, since the old primary may be
 * back by then and serve, and nobody has told it. */
void cluster_self_win(struct cluster *c, uint64_t epoch);
void cluster_self_tick(struct cluster *c);
void cluster_self_init(struct cluster *c, bool is_new);

/* ---- cluster_epoch.c ---- */
void cluster_epoch_adopt(struct cluster *c, struct cluster_node *sender,
                         const struct bus_header *h);
uint64_t cluster_epoch_max(const struct cluster *c);
/* A new epoch for us without asking anyone; false: ours is the greatest already. */
bool cluster_epoch_bump(struct cluster *c);
void cluster_epoch_collision(struct cluster *c, const struct cluster_node *sender);

/* ---- cluster_links.c ---- */
struct cluster_link *cluster_link_find(const struct cluster *c, cluster_link_id id);
void cluster_link_open(struct cluster *c, struct cluster_node *n);
/* Tells the shell, forgets it. */
void cluster_link_close(struct cluster *c, struct cluster_link *link);
void cluster_link_close_all(struct cluster *c, struct cluster_node *n);
void cluster_link_up(struct cluster *c, const struct cluster_event_link *event);
void cluster_link_down(struct cluster *c, cluster_link_id id);
void cluster_link_bind(struct cluster *c, struct cluster_link *link, struct cluster_node *n);
void cluster_links_free(struct cluster *c);

/* ---- cluster_build.c: frames out; each returns one reference ---- */
/* AUTH_REQUEST, AUTH_ACK, MFSTART. */
struct cluster_frame *cluster_build_plain(struct cluster *c, unsigned type, unsigned mflags);
struct cluster_frame *cluster_build_fail(struct cluster *c, const struct cluster_node *failed);
struct cluster_frame *cluster_build_update(struct cluster *c, const struct cluster_node *about);
struct cluster_frame *cluster_build_publish(struct cluster *c, const struct cluster_publish *p);
/* random: how many nodes besides the PFAIL ones; CLUSTER_GOSSIP_USUAL for a tenth of them. */
#define CLUSTER_GOSSIP_USUAL UINT32_MAX
struct cluster_frame *cluster_build_ping(struct cluster *c, unsigned type, bool extensions,
                                         uint32_t random);
struct cluster_pong *cluster_build_pong(struct cluster *c);

/* ---- cluster_ping.c: the schedule ---- */
void cluster_tick(struct cluster *c);
/* Each event, first: the TICK before it is missing for so long that the lease has run out. */
void cluster_stall_notice(struct cluster *c);
/* Between that and the TICK: what comes now waited while we stood still. */
bool cluster_stall_pending(const struct cluster *c);
/* PING (MEET until the node knows us) on our link, if it is up. */
void cluster_ping(struct cluster *c, struct cluster_node *n, uint32_t random);
/* To all nodes on our links. */
void cluster_broadcast(struct cluster *c, struct cluster_frame *frame);
void cluster_broadcast_pong(struct cluster *c);
/* A suspicion is new: tell the primaries now. */
void cluster_spread_suspicion(struct cluster *c);

/* ---- cluster_gossip.c ---- */
void cluster_gossip_take(struct cluster *c, struct cluster_node *sender,
                         const struct bus_message *m);

/* ---- cluster_handshake.c: MEET, handshakes, own and others' addresses ---- */
enum cluster_meet { CLUSTER_MEET_STARTED, CLUSTER_MEET_AGAIN, CLUSTER_MEET_BAD, CLUSTER_MEET_FULL };
enum cluster_meet cluster_meet_start(struct cluster *c, struct slice ip, uint16_t port,
                                     uint16_t cport, bool meet);
void cluster_meet_take(struct cluster *c, struct cluster_link *link, const struct bus_message *m);
/* A PONG on our link to a node in handshake; false: the frame is done with, the node may be gone.
 */
bool cluster_handshake_take(struct cluster *c, struct cluster_link *link,
                            struct cluster_node *sender, const struct bus_message *m);
void cluster_handshake_expire(struct cluster *c);
void cluster_own_ip_learn(struct cluster *c, const struct cluster_link *link, bool meet);
/* A known node's PING on a link that it opened: it may have moved. False: refused. */
bool cluster_address_follow(struct cluster *c, struct cluster_node *sender,
                            const struct cluster_link *link, const struct bus_message *m);
bool cluster_address_allowed(const struct cluster *c, const char *ip);
void cluster_extensions_take(struct cluster *c, struct cluster_node *sender,
                             const struct bus_message *m);
/* Our own addresses, hostname and flags from the configuration. */
void cluster_announce(struct cluster *c);

/* ---- cluster_forget.c ---- */
void cluster_forgotten_add(struct cluster *c, const void *id);
bool cluster_forgotten_has(const struct cluster *c, const void *id);
void cluster_forgotten_expire(struct cluster *c);

/* ---- cluster_frame.c ---- */
void cluster_frame_take(struct cluster *c, const struct cluster_event_frame *event);

/* ---- cluster_health.c ---- */
void cluster_health_update(struct cluster *c);
/* How long a primary waits after a minority. */
uint64_t cluster_rejoin_us(const struct cluster *c);

/* ---- cluster_map.c: the view for lcores ---- */
struct cluster_view *cluster_map_build(struct cluster *c);

/* ---- cluster_save.c: nodes.conf ---- */
char *cluster_save_text(struct cluster *c, size_t *len);
bool cluster_load(struct cluster *c, const struct nodes_conf *saved);

/* ---- cluster_admin*.c: commands ---- */
void cluster_admin_take(struct cluster *c, const struct cluster_admin *admin);
void cluster_admin_ok(struct cluster *c, const struct cluster_admin *admin);
/* +OK once everything decided in this step is durable and every lcore has seen it. */
void cluster_admin_ok_settled(struct cluster *c, const struct cluster_admin *admin);
void cluster_admin_error(struct cluster *c, const struct cluster_admin *admin, const char *format,
                         ...) __attribute__((format(printf, 3, 4)));
void cluster_pending_durable(struct cluster *c, bool ok);
void cluster_pending_settled(struct cluster *c);
