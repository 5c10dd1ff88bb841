/* One lcore: everything that it owns, and its loop.
 *
 * Thread: each struct lcore belongs to the EAL worker thread that runs lcore_run(); others touch
 * only its mailbox, its ring of steered frames and the atomics below. No lcore waits for another.
 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "flow.h"
#include "netif.h"
#include "tcp.h"
#include "worker.h"

struct rte_ring;
struct session;
struct batch;
struct bus_links;
struct bus_path;
struct idle;
struct link_stream;

struct lcore_config {
    unsigned id;
    struct node *node;
    struct keyspace *keyspace;
    struct port_queue *queue;
    const struct flow_steering *steering;
    struct netif_config net;
    struct tcp_config tcp;
    uint16_t tcp_port; /* clients; 0: none */
    struct bus_path *bus_path; /* the cluster bus; NULL: there is none */
    uint16_t bus_port;
    uint32_t bus_publish_max; /* bytes of the longest PUBLISH */
    uint64_t seed;
};

struct lcore {
    struct worker worker; /* first: mail and sessions know only this */
    struct lcore_config config;
    struct netif *net;
    struct tcp *tcp;
    struct rte_ring *steered; /* w: other lcores, r: this one */
    struct lcore **peers;     /* all lcores, by id */
    struct batch *batch;
    struct idle *idle;
    struct session *ready_head, *ready_tail; /* sessions with bytes to parse */
    struct link_stream *link_streams;        /* link_stream.h: all of this lcore */
    struct bus_links *bus;                   /* session/bus_link.h; NULL: no cluster */
    uint64_t cron_due_us;
    uint64_t wall_read_us;
    uint64_t keepalive_s;   /* as last told to TCP */
    uint64_t expire_due_us; /* the next piece of expiry; UINT64_MAX: the next background round */
    uint64_t stage_tsc;     /* end of the last stage of this round */
    bool link_up;           /* as last seen */

    _Alignas(CACHE_LINE) _Atomic(bool) stop; /* w: control */
    _Atomic(uint64_t) heartbeat_us;          /* w: lcore, r: control */
    _Atomic(bool) stopped;                   /* w: lcore: left its loop, mail is read no more */
};

/* Builds what the lcore owns; NULL (with a line in the log) when memory is short. Control thread.
 */
struct lcore *lcore_new(const struct lcore_config *config);
/* After all are built: tells each about the others. */
void lcore_link(struct lcore **all, unsigned count);
/* After lcore_run() has returned on all. */
void lcore_free(struct lcore *l);

/* The loop: until stop is set, then closes its clients. On its EAL worker thread. */
int lcore_run(void *lcore);
/* One round without the idle ladder (tests drive this): true when it did something. */
bool lcore_round(struct lcore *l);
/* When the next timer of any kind is due. */
uint64_t lcore_deadline_us(const struct lcore *l);

/* Asks an lcore to leave its loop, and wakes it. Any thread. */
void lcore_stop(struct lcore *l);
