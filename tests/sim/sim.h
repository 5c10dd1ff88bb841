/* A cluster in virtual time: many nodes in one process, one heap of events, one seed. The same seed
 * gives the same run, to the byte (sim_hash()).
 *
 * A node is either ours (struct cluster, with its shell modelled here: lcores that see views late
 * and answer PING from the published PONG under a lease, a disk with tickets, replication) or a
 * model of a stock 7.0.15 node (stock_model.h). Whatever they say to each other goes as bytes
 * through the bus codec. After every step the invariants are looked at (sim_check.h).
 *
 * A run that breaks one prints the seed, the last events and the command that replays it, and ends
 * the process: runs are started in processes of their own. */
#pragma once
#include <stdarg.h>
#include "cluster.h"
#include "nodes_conf.h"
#include "rng.h"
#include "sim_heap.h"

#define MS 1000ull
#define SECOND 1000000ull
#define SIM_START_US (1000 * SECOND) /* so that 0 is never a time */
#define SIM_WALL_MS 1700000000000ull
#define SIM_LCORES 2
#define SIM_FAULTY_MAX 32 /* nodes of a world with partitions: bits of a mask */

struct sim;
struct sim_node;
struct sim_conn;
struct sim_check;
struct sim_data;
struct stock;

enum sim_what {
    SIM_TICK,
    SIM_DELIVER,   /* ptr: conn, end: the reader */
    SIM_CONNECTED, /* the same */
    SIM_ACCEPT,
    SIM_REFUSED,
    SIM_RING,        /* ptr: a frame that an lcore has taken, for the control plane */
    SIM_DURABLE,     /* value: ticket */
    SIM_SEEN,        /* value: view version, end: lcore */
    SIM_SETTLED,     /* value: version */
    SIM_PARKED,      /* writes have stopped */
    SIM_REPLICATION, /* what replication says, every 100 ms */
    SIM_APPLY,       /* ptr: the write that reached a replica */
    SIM_SYNCED,      /* a full synchronisation ended */
    SIM_THAW,        /* a pause or stall ended */
    SIM_RESTART,
    SIM_CLIENT,
    SIM_HEAL, /* value: a fault that ends: sim_fault.h */
};

enum sim_freeze {
    SIM_AWAKE,
    SIM_STALLED, /* the control plane alone */
    SIM_PAUSED,  /* the whole process */
};

/* What a run shall do: the rest follows from the seed. */
struct sim_options {
    uint64_t seed;
    unsigned nodes, primaries;
    uint32_t stock_mask; /* bit i: node i is a stock node; the first 32 */
    bool all_stock;
    uint32_t timeout_ms;
    enum cluster_spread spread;
    bool blank;     /* nodes that know nobody; else they start as a cluster */
    bool unchecked; /* for measurements */
    bool trace;     /* print what happens */
    unsigned mutant;
};

struct sim_disk {
    char *text, *writing, *maybe; /* durable; in flight; may be there after a failed fsync */
    size_t len, writing_len, maybe_len;
    uint64_t ticket; /* in flight; 0: none */
    struct nodes_conf *conf;
    uint64_t delay_us;
    bool fails;
    uint64_t generation; /* counts what became durable */
};

struct sim_view {
    struct cluster_view *view;
    unsigned refs;
};

struct sim_lcore {
    struct sim_view *view;
    uint64_t seen; /* version */
    uint64_t busy_until_us;
};

struct sim_published {
    struct sim_view **items; /* ascending version: not yet seen by all */
    uint32_t count, size;
};

struct sim_replica {
    char following[BUS_NAME_SIZE + 1]; /* empty: nobody */
    char last[BUS_NAME_SIZE + 1];      /* whose history the data is of */
    bool up, syncing, synced, has_data;
    uint64_t contact_us, offset, lag_us;
    struct sim_write *head, *sync_head;
    uint32_t primary_life; /* when the link began */
};

struct sim_node {
    struct sim *sim;
    unsigned index;
    bool is_stock, running;
    uint32_t life;
    char id[BUS_NAME_SIZE + 1];
    char ip[BUS_IP_SIZE];
    unsigned moves; /* how often its address changed */
    struct cluster_config config;
    struct cluster *c;
    struct stock *stock;
    struct cluster_actions actions;
    uint64_t tick_at_us, event_us; /* of the step at hand: a late frame came earlier */
    enum cluster_event_kind event_kind;
    enum sim_freeze freeze;
    uint64_t frozen_us, lease_until_us, started_us;
    struct sim_item *late; /* what waits for the end of the freeze */
    uint32_t late_count, late_size;
    struct sim_conn **ours, **theirs; /* by link id */
    uint32_t ours_size, theirs_size;
    uint64_t theirs_next;
    struct sim_disk disk;
    struct sim_lcore lcores[SIM_LCORES];
    struct sim_published views;
    uint64_t lcore_lag_us, settled, version;
    struct cluster_pong *pong;
    bool pausing, parked; /* PAUSE: asked for; writes have stopped */
    struct sim_replica replica;
    uint32_t *keys;      /* by slot */
    uint64_t opposed_us; /* since when others within reach know a successor; 0: none does */
    int64_t wall_skew_ms;
    char *reply; /* the last to an admin request */
    uint64_t reply_id;
    uint64_t steps, frames_in, bytes_out, frames_out;
    uint64_t steps_ns, frames_ns; /* in measurements: CPU of all steps, of those for frames */
};

/* What was, for the hash and for people. */
struct sim_note {
    uint64_t at_us, a, b, c;
    uint16_t node;
    uint8_t kind; /* enum sim_note_kind */
    uint8_t type;
};
enum sim_note_kind {
    NOTE_TICK,
    NOTE_FRAME,
    NOTE_LINK_UP,
    NOTE_LINK_DOWN,
    NOTE_PERSIST,
    NOTE_DURABLE,
    NOTE_VIEW,
    NOTE_SETTLED,
    NOTE_CRASH,
    NOTE_START,
    NOTE_FREEZE,
    NOTE_THAW,
    NOTE_FAULT,
    NOTE_HEAL,
    NOTE_WRITE,
    NOTE_REFUSED,
    NOTE_ROLE,
    NOTE_SYNC,
    NOTE_ADMIN,
    NOTE_OWNER,
    NOTE_KINDS
};
#define SIM_NOTES 256

/* A slot on its way, by SETSLOT. */
struct sim_move {
    bool active;
    unsigned slot, stage;
    struct sim_node *from, *to, *asked;
    uint32_t life;
    uint64_t id, until_us;
};

struct sim {
    struct sim_options options;
    struct rng rng;
    struct sim_heap heap;
    struct sim_node *nodes;
    unsigned count;
    uint64_t now_us, steps;
    /* the network */
    uint32_t blocked[SIM_FAULTY_MAX]; /* bit j of [i]: nothing gets from i to j */
    uint64_t delay_us, jitter_us;
    unsigned loss_per_mille;
    struct sim_conn *conns;
    struct sim_segment *spare_segments;
    uint64_t admin_next;
    bool clients;
    struct sim_move move;
    uint8_t moved[BUS_SLOTS_SIZE]; /* slots that were on their way once */
    struct nodes_conf *shared;     /* instead of files, in measurements */
    struct sim_check *check;
    struct sim_data *data;
    uint64_t hash;
    struct sim_note notes[SIM_NOTES];
    uint64_t note_count;
    uint32_t *probes;
};

/* ---- sim_world.c ---- */
struct sim *sim_new(const struct sim_options *options);
void sim_free(struct sim *sim);
void sim_run(struct sim *sim, uint64_t us);
/* True: done() became true within us. */
bool sim_until(struct sim *sim, uint64_t us, bool (*done)(struct sim *sim));
void sim_later(struct sim *sim, struct sim_node *node, enum sim_what what, uint64_t delay_us,
               uint64_t value);
uint64_t sim_random(struct sim *sim, uint64_t least, uint64_t most);
bool sim_chance(struct sim *sim, unsigned per_mille);
uint64_t sim_timeout_us(const struct sim *sim);
struct sim_node *sim_node_by_id(struct sim *sim, const void *id);
static inline uint64_t sim_hash(const struct sim *sim)
{
    return sim->hash;
}

/* ---- sim_trace.c ---- */
void sim_note(struct sim *sim, const struct sim_node *node, struct sim_note note);
void sim_text(struct sim *sim, const struct sim_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Ends the process: says what is wrong, the last events and how to replay. */
_Noreturn void sim_fail(struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The world that runs, for a CHECK of the code under test that fails. */
void sim_trace_watch(struct sim *sim, const char *replay);

/* ---- sim_net.c: TCP links ---- */
void sim_net_open(struct sim_node *node, cluster_link_id id, const char *ip, uint16_t cport);
void sim_net_close(struct sim_node *node, cluster_link_id id);
/* The frame is shared, not taken. */
void sim_net_send(struct sim_node *node, cluster_link_id id, struct cluster_frame *frame);
void sim_net_item(struct sim *sim, const struct sim_item *item);
/* All connections of the node are gone; the others hear of it, or not. */
void sim_net_crash(struct sim_node *node, bool silent);
/* It lives again: what others still send on its former life's connections, it refuses. */
void sim_net_started(struct sim_node *node);
/* One connection breaks, chosen at random. */
void sim_net_break(struct sim *sim);
/* Releases those that nobody holds. */
void sim_net_sweep(struct sim *sim, bool all);
bool sim_net_blocked(const struct sim *sim, unsigned from, unsigned to);
uint64_t sim_net_delay(struct sim *sim);
struct sim_node *sim_net_peer(struct sim_node *node, cluster_link_id id);
struct cluster_frame *sim_frame_copy(const uint8_t *bytes, size_t len);
void sim_frame_put(struct cluster_frame *frame);

/* ---- sim_node.c: the life of a node, whatever its kind ---- */
void sim_node_init(struct sim *sim, unsigned index);
void sim_node_fini(struct sim_node *node);
/* From what its disk has; nothing: a new one. */
void sim_node_start(struct sim_node *node);
void sim_node_crash(struct sim_node *node, bool silent);
void sim_node_freeze(struct sim_node *node, enum sim_freeze freeze, uint64_t us);
void sim_node_move(struct sim_node *node); /* to another address; it must not run */
void sim_node_item(struct sim *sim, const struct sim_item *item);
void sim_node_link(struct sim_node *node, enum cluster_event_kind kind, cluster_link_id id,
                   const struct sim_node *peer);
/* A whole frame came to this node. */
void sim_node_frame(struct sim_node *node, cluster_link_id id, struct slice frame,
                    const struct bus_message *m);
/* CLUSTER with these words; the reply comes with sim_node_reply(). */
uint64_t sim_node_command(struct sim_node *node, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* NULL: not yet. */
const char *sim_node_reply(const struct sim_node *node, uint64_t id);
bool sim_node_awake(const struct sim_node *node);

/* Looking at nodes of either kind. They must run. */
bool sim_node_is_primary(const struct sim_node *node);
bool sim_node_ok(const struct sim_node *node);
const char *sim_node_owner(const struct sim_node *node, unsigned slot);
uint64_t sim_node_config_epoch(const struct sim_node *node);
uint64_t sim_node_current_epoch(const struct sim_node *node);
const char *sim_node_primary_id(const struct sim_node *node);
uint32_t sim_node_known(const struct sim_node *node);
/* Flags that it has for another; 0: unknown. */
unsigned sim_node_flags(const struct sim_node *node, const struct sim_node *other);
uint32_t sim_node_peer_slots(const struct sim_node *node, const struct sim_node *other);

/* ---- sim_shell.c: what surrounds struct cluster ---- */
void sim_shell_start(struct sim_node *node, const struct nodes_conf *saved);
void sim_shell_stop(struct sim_node *node);
void sim_shell_step(struct sim_node *node, struct cluster_event *event);
void sim_shell_item(struct sim_node *node, const struct sim_item *item);
void sim_shell_frame(struct sim_node *node, cluster_link_id id, struct slice frame,
                     const struct bus_message *m);
/* A frame that nobody sent. */
void sim_shell_inject(struct sim_node *node, cluster_link_id id, struct slice frame);
/* An lcore would execute a write to this slot now. */
bool sim_shell_serves(const struct sim_node *node, unsigned lcore, unsigned slot);

/* ---- sim_disk.c ---- */
/* Takes text. */
void sim_disk_write(struct sim_node *node, uint64_t ticket, char *text, size_t len);
/* The write in flight ends: true: durable. */
bool sim_disk_written(struct sim_node *node);
/* What is there after a crash. */
void sim_disk_crash(struct sim_node *node);
void sim_disk_put(struct sim_node *node, char *text, size_t len);
void sim_disk_free(struct sim_disk *disk);

/* ---- sim_cluster.c: making clusters, and whether all is well ---- */
/* Files as if the cluster had always been. */
void sim_cluster_form(struct sim *sim);
void sim_cluster_forget(struct nodes_conf *conf);
/* As redis-cli --cluster create does; true: it worked within the time. */
bool sim_cluster_create(struct sim *sim);
/* NULL: one owner for each slot, the same everywhere, all nodes known and well. */
const char *sim_cluster_fault(struct sim *sim);
