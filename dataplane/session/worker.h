/* What sessions and commands use of the lcore they run on. One per lcore, built by lcore/, passed
 * down; there are no globals.
 *
 * Owner: the lcore, but for the mailboxes, which anyone may post to. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "config.h"
#include "keyspace.h"
#include "mailbox.h"
#include "metrics.h"
#include "rng.h"

struct channels;
struct cluster_shared;
struct command_stats;
struct error_counts;
struct pubsub;
struct session_list;
struct slowlog;
struct latency;
struct jobs;
struct worker;

/* What all lcores and the control thread share; set up before the first lcore runs, then read-only.
 */
struct node {
    unsigned lcore_count;
    struct worker *workers[LCORES_MAX]; /* [lcore_count]: the others' mailboxes and ids only */
    struct mailbox *control;            /* the control thread */
    _Atomic(uint64_t) next_client_id;
    _Atomic(uint32_t) client_count;  /* all lcores: maxclients */
    _Atomic(int64_t) pause_until_ms; /* CLIENT PAUSE; 0: none */
    _Atomic(bool) pause_all;         /* else writes only */
    _Atomic(bool) active_expire_off; /* DEBUG SET-ACTIVE-EXPIRE 0: the loop skips the cycle */
    _Atomic(uint32_t) migrate_links_idle; /* of all lcores */
    int64_t start_ms;                /* wall clock at start */
    char run_id[41];
    char executable[512], config_file[512];
    int tcp_port;
    /* Tables of all lcores, made by the first worker_tables_new(), freed by the last _free(). */
    unsigned tables_users;
    struct channels *channels; /* who listens where: session/channels.h */
    struct slowlog *slowlog;
    struct latency *latency;
    /* A client's PUBLISH for the other nodes; runs on the control thread; set with cluster. */
    void (*cluster_publish)(struct mail *mail, void *control);
    _Atomic(size_t) cluster_in_flight_bytes; /* of such mail */
    struct cluster_shared *cluster;          /* common/cluster_view.h; NULL: cluster-enabled no */
    /* Rendered by main: what INFO says of ports, EAL and the network stack; appends to out. */
    void (*info_network)(struct node *node, char **text, size_t *len);
};

struct migrate_link;
struct stream_user_ops;

struct worker {
    unsigned id;
    struct node *node;
    struct mailbox mailbox;
    struct ks *ks;
    const struct config *config; /* refreshed each loop */
    struct rng rng;
    uint64_t now_us;       /* monotonic, set each loop */
    int64_t now_ms;        /* wall clock, set each loop */
    uint64_t view_version; /* of the cluster view that clients were told of */
    uint64_t tsc;          /* end of the last command, for the duration of the next */
    struct session_list *sessions;
    struct pubsub *pubsub;
    struct unix_stream *unix_streams;    /* session/unix_stream.h: all of this lcore */
    struct error_counts *errors;         /* resp/error_counts.h; w: the lcore, r: any */
    struct command_stats *command_stats; /* commands/stats.h; by command id; w: the lcore, r: any */
    struct slowlog *slowlog;             /* one for all lcores */
    struct latency *latency;             /* one for all lcores */
    struct jobs *jobs;                   /* commands/job.h */
    struct migrate_link *migrate_links;  /* commands/migrate_link.h: the idle ones */
    /* Opens a connection that lives on this lcore, as tcp_connect(); set by lcore/. IPv4 as
     * ::ffff:a.b.c.d. */
    struct stream *(*connect)(struct worker *w, const uint8_t address[16], uint16_t port,
                              const struct stream_user_ops *user_ops, void *user);
    /* Messages in the mailbox; w: publishers, any lcore. */
    _Alignas(64) _Atomic(size_t) publish_in_flight_bytes;
};

/* Sessions, subscriptions, statistics, slow log and latency tables of a worker whose other fields
 * are set, after commands_init(); false: out of memory. One thread at a time. */
bool worker_tables_new(struct worker *w);
void worker_tables_free(struct worker *w);
