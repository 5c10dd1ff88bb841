/* A node's part in a Redis Cluster as one pure step function: events in, actions out. It speaks as
 * Redis 7.0.15 does on the bus; where it is stricter, the function's own file says so.
 *
 * Thread: one at a time, the control thread. No clock, thread, socket, file or global; time comes
 * with the events, randomness from a seed, so the same events give the same actions. Memory: plain
 * malloc, freed by cluster_free(); bounded by CLUSTER_NODES_MAX and the other limits below.
 *
 * What the shell around it promises:
 *  - Actions are carried out at once and in their order; nothing in a list waits for a later event.
 *    What must wait (for a file to be durable, for a view to be seen) waits inside the state.
 *  - Events come in the order of their times as far as that can be known: frames that arrived
 *    before a TICK before it, the frames of one link in their order.
 *  - TICK comes when cluster_next_us() is due.
 *  - The lcores' lease (cluster_view.h) lasts half a node timeout from the start of the last step.
 *    One that has run out is renewed only after a TICK, once every view up to then is settled: a
 *    node that stood still looks around before it serves. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "bus_codec.h"
#include "cluster_view.h"
#include "log.h"
#include "slice.h"

struct cluster;
struct nodes_conf;

#define CLUSTER_NODES_MAX 4096 /* known nodes; gossip of more is dropped */
/* Of them in handshake; by MEET frames at most half, the rest is for CLUSTER MEET. */
#define CLUSTER_HANDSHAKES_MAX 1024
#define CLUSTER_PENDING_MAX 1024 /* admin requests that wait; one beyond gets an error */
#define CLUSTER_HELD_MAX 4096    /* AUTH frames that wait for the disk */

/* A TCP link of the bus. Those that peers opened are named by the shell and carry this bit, those
 * that OPEN asks for are named by the state and do not. Never used again. */
typedef uint64_t cluster_link_id;
#define CLUSTER_LINK_INBOUND (UINT64_C(1) << 63)

/* ---- configuration: Redis's directives; strings are copied ---- */

enum cluster_endpoint { CLUSTER_ENDPOINT_IP, CLUSTER_ENDPOINT_HOSTNAME, CLUSTER_ENDPOINT_UNKNOWN };

/* How news spreads. The last two exist to be compared in simulation. */
enum cluster_spread { CLUSTER_SPREAD_BOTH, CLUSTER_SPREAD_RUMOUR, CLUSTER_SPREAD_RING };

struct cluster_network {
    uint8_t address[BUS_ADDRESS_SIZE];
    uint8_t prefix; /* bits, of 128 */
};
#define CLUSTER_ALLOW_MAX 64

struct cluster_config {
    uint32_t node_timeout_ms;
    char ip[BUS_IP_SIZE]; /* this node's own address; empty: learnt from the first MEET */
    uint16_t port, cport; /* clients; the bus */
    char announce_ip[BUS_IP_SIZE];
    uint16_t announce_port, announce_cport; /* 0: as above */
    char announce_hostname[BUS_EXT_TEXT_MAX + 1];
    enum cluster_endpoint endpoint; /* cluster-preferred-endpoint-type */
    bool require_full_coverage, replica_no_failover, allow_replica_migration;
    uint32_t migration_barrier, replica_validity_factor;
    uint32_t repl_ping_period_s;
    enum cluster_spread spread;
    /* cluster-bus-allow: known nodes are refused a new address outside; none: anywhere. */
    struct cluster_network allow[CLUSTER_ALLOW_MAX];
    uint32_t allow_count;
};
/* Redis's defaults. */
void cluster_config_defaults(struct cluster_config *config);
/* "10.0.0.0/8 fd00::/8 192.168.1.7": fills allow; false: not a list of networks, or too many. */
bool cluster_config_allow(struct cluster_config *config, struct slice text);

/* ---- what the state may ask at any time; cheap, as of now ---- */

struct cluster_env {
    void *ctx;
    uint64_t (*slot_key_count)(void *ctx, unsigned slot);
    uint64_t (*key_count)(void *ctx);
    /* Of a link's send buffer, for CLUSTER LINKS; NULL: zeros. */
    void (*link_buffer)(void *ctx, cluster_link_id link, uint64_t *allocated, uint64_t *used);
};

/* ---- events ---- */

enum cluster_event_kind {
    CLUSTER_EVENT_TICK,
    CLUSTER_EVENT_LINK_UP,     /* ours connected, or a peer's was accepted */
    CLUSTER_EVENT_LINK_DOWN,   /* it ended; nothing of it comes after this */
    CLUSTER_EVENT_LINK_FAILED, /* ours could not be opened */
    CLUSTER_EVENT_FRAME,
    CLUSTER_EVENT_PERSISTED,
    CLUSTER_EVENT_SETTLED,
    CLUSTER_EVENT_REPLICATION,
    CLUSTER_EVENT_PAUSED,
    CLUSTER_EVENT_ADMIN,
    CLUSTER_EVENT_PUBLISH, /* a client's PUBLISH or SPUBLISH, for the other nodes */
    CLUSTER_EVENT_CONFIG,  /* directives changed */
    CLUSTER_EVENT_LOADED,  /* the data set was loaded from disk: slots with keys are looked at */
};

struct cluster_event_link {
    cluster_link_id id;
    /* LINK_UP: addresses without port; may be empty when not known, and are then not used. */
    struct slice local_ip, peer_ip;
};

struct cluster_event_frame {
    cluster_link_id link;
    const struct bus_message *message; /* decoded: valid */
    bool answered; /* PING, MEET: an lcore has answered with the published PONG already */
};

/* Every PERSIST up to ticket has been decided: ok, all are durable (the last includes them all).
 * Not ok: the state asks again later; until then nothing that depends on it is shown. */
struct cluster_event_persisted {
    uint64_t ticket;
    bool ok;
};

/* Every view up to version is seen by every lcore, each parked once since (the write barrier): no
 * command runs any more that was begun under an older one. */
struct cluster_event_settled {
    uint64_t version;
};

/* How we follow our primary; sent on each change and about every 100 ms. */
struct cluster_replication {
    uint64_t offset; /* of this node: end of its log, or what it has applied as a replica */
    bool link_up;    /* a replica: online with its primary */
    bool synced;     /* holds data of a completed synchronisation; else its offset counts as 0 */
    uint64_t contact_us; /* a replica: last byte from its primary, or when the link went down */
};

/* CLUSTER without that word: argv[0] is the subcommand. KEYSLOT, COUNTKEYSINSLOT, GETKEYSINSLOT and
 * HELP belong to the dataplane. */
struct cluster_admin {
    uint64_t id; /* the shell's; comes back with the REPLY, exactly one */
    const struct slice *argv;
    uint32_t argc;
    bool resp3;
};

struct cluster_publish {
    struct slice channel, message;
    bool sharded;
};

struct cluster_event {
    enum cluster_event_kind kind;
    uint64_t now_us;  /* monotonic; a FRAME's: when it arrived */
    uint64_t wall_ms; /* since 1970, at now_us; may jump */
    union {
        struct cluster_event_link link;
        struct cluster_event_frame frame;
        struct cluster_event_persisted persisted;
        struct cluster_event_settled settled;
        struct cluster_replication replication;
        uint64_t paused_offset; /* PAUSED: all writes have stopped; the end of the log, final */
        struct cluster_admin admin;
        struct cluster_publish publish;
        const struct cluster_config *config;
    };
};

/* ---- actions ---- */

enum cluster_action_kind {
    CLUSTER_ACTION_SEND,
    CLUSTER_ACTION_OPEN,  /* connect a link; LINK_UP or LINK_FAILED answers, unless closed before */
    CLUSTER_ACTION_CLOSE, /* end a link, either way; no event of it is looked at any more */
    CLUSTER_ACTION_PERSIST,        /* write nodes.conf durably; PERSISTED answers. One at a time. */
    CLUSTER_ACTION_VIEW,           /* publish; SETTLED answers */
    CLUSTER_ACTION_PONG,           /* publish what answers PING; before what follows it is sent */
    CLUSTER_ACTION_REPLY,          /* to an admin request */
    CLUSTER_ACTION_REPLICATE,      /* follow this primary, at this address; also when it moved */
    CLUSTER_ACTION_REPLICATE_STOP, /* we are a primary: stop following, keep the data */
    CLUSTER_ACTION_DELETE_SLOT,    /* the slot was lost: delete what keys it holds */
    CLUSTER_ACTION_FLUSH,          /* CLUSTER RESET on a replica: delete all keys */
    CLUSTER_ACTION_PAUSE,          /* stop writes (barrier), say PAUSED, until UNPAUSE */
    CLUSTER_ACTION_UNPAUSE,        /* no PAUSED of an earlier PAUSE comes after it */
    CLUSTER_ACTION_DELIVER,        /* a peer's PUBLISH, for the clients of this node */
    CLUSTER_ACTION_LOG,
    CLUSTER_ACTION_FATAL, /* the node must end: text says why */
};

/* One message, shared by all links that it goes to. */
struct cluster_frame {
    uint32_t refs; /* the actions and held sends that name it; not atomic */
    uint32_t len;
    uint8_t bytes[];
};
/* One reference less. */
void cluster_frame_put(struct cluster_frame *frame);

struct cluster_action {
    enum cluster_action_kind kind;
    union {
        struct {
            cluster_link_id link;
            struct cluster_frame *frame;
        } send;
        struct {
            cluster_link_id link; /* CLOSE: only this */
            char ip[BUS_IP_SIZE];
            uint16_t cport;
        } open;
        struct {
            uint64_t ticket;
            char *text; /* malloc; the whole new file */
            size_t len;
        } persist;
        struct cluster_view *view; /* the shell may take these two by setting NULL, free() later */
        struct cluster_pong *pong;
        struct {
            uint64_t id;
            char *text; /* malloc; RESP */
            size_t len;
        } reply;
        struct {
            char id[BUS_NAME_SIZE + 1];
            char ip[BUS_IP_SIZE];
            uint16_t port;
            bool by_command; /* CLUSTER REPLICATE, not a failover: even from an empty primary */
        } replicate;
        unsigned slot;
        struct cluster_publish deliver; /* in the memory of the frame that came */
        struct {
            enum log_level level;
            bool alarm; /* an operator should look: count it */
            char text[240];
        } log; /* FATAL too */
    };
};

/* A list that the caller keeps and empties between steps; its array is reused. */
struct cluster_actions {
    struct cluster_action *items;
    size_t count, size;
};
void cluster_actions_init(struct cluster_actions *actions);
/* Releases what the actions hold and empties the list. */
void cluster_actions_clear(struct cluster_actions *actions);
void cluster_actions_free(struct cluster_actions *actions);

/* ---- the state ---- */

/* saved: what nodes.conf says, NULL for a new node, which gets an id from the seed. Copied. The
 * first step persists a new identity; nothing is shown before. NULL: saved has no node of ours. */
struct cluster *cluster_new(const struct cluster_config *config, const struct cluster_env *env,
                            const struct nodes_conf *saved, uint64_t seed);
void cluster_free(struct cluster *c);

/* Appends to actions, which may hold earlier ones. */
void cluster_step(struct cluster *c, const struct cluster_event *event,
                  struct cluster_actions *actions);
/* When the next TICK is wanted, at most 100 ms after the last. */
uint64_t cluster_next_us(const struct cluster *c);

/* Walks everything and CHECKs what must always hold; for simulation, tests and fuzzers. */
void cluster_validate(const struct cluster *c);

/* ---- looking at it: tests, simulation, INFO ---- */

const char *cluster_self_id(const struct cluster *c);
const char *cluster_self_shard_id(const struct cluster *c);
bool cluster_is_primary(const struct cluster *c);
bool cluster_state_ok(const struct cluster *c);
uint64_t cluster_current_epoch(const struct cluster *c);
uint64_t cluster_config_epoch(const struct cluster *c); /* our own; a replica: its primary's */
uint32_t cluster_node_count(const struct cluster *c);   /* this one included */
/* The owner's id, NULL: none. */
const char *cluster_slot_owner(const struct cluster *c, unsigned slot);
/* Our primary's id, NULL: we are a primary, or it is not known. */
const char *cluster_primary_id(const struct cluster *c);

struct cluster_peer {
    uint16_t flags; /* enum bus_node_flags */
    uint64_t config_epoch;
    uint32_t slot_count;
    uint32_t report_count; /* failure reports that count now */
    bool linked;           /* our own link to it is up */
    char ip[BUS_IP_SIZE];
    uint16_t port, cport;
};
/* False: the node is not known. id has BUS_NAME_SIZE characters. */
bool cluster_peer_get(const struct cluster *c, const char *id, struct cluster_peer *peer);

/* What INFO and metrics show. */
struct cluster_counts {
    uint64_t sent[BUS_TYPE_COUNT], received[BUS_TYPE_COUNT];
    uint64_t bytes_sent, bytes_received;
    uint64_t frames_from_strangers, frames_refused, headers_late, gossip_refused, address_alarms;
    uint64_t elections_started, elections_won, votes_given;
};
const struct cluster_counts *cluster_counts_get(const struct cluster *c);
