/* The shell around the cluster's step function (controlplane/cluster/cluster.h): brings it clocks,
 * frames, requests and answers of the disk as events, and carries its actions out.
 *
 * Owner: the control thread. Views and PONGs are published by RCU and freed a grace period later,
 * which is also when the state is told that every lcore has seen them. The lease is renewed after
 * each step. Bounds: those of cluster.h, bus_port.h and nodes_writer.h. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "admin_mail.h"
#include "bus_mail.h"
#include "cluster.h"
#include "mailbox.h"

struct cluster_shell;

/* What the rest of the node does for the cluster. Cheap; on the control thread. */
struct cluster_host {
    void *arg;
    struct cluster_shared *shared;
    uint64_t (*slot_key_count)(void *arg, unsigned slot);
    uint64_t (*key_count)(void *arg);
    /* Deletes what keys it holds, soon, in pieces, on an lcore. */
    void (*delete_slot)(void *arg, unsigned slot);
    void (*delete_all)(void *arg);
    /* A message of another node, for the clients of this one. Copied. */
    void (*deliver)(void *arg, const struct cluster_publish *message);
    /* The node must end. why lives as long as the process. */
    void (*fatal)(void *arg, const char *why);
};

#define CLUSTER_SHELL_ERROR_SIZE 768

/* Reads and locks cluster-config-file; the published configuration says the rest. NULL: err says
 * why. The host is copied. */
struct cluster_shell *cluster_shell_new(const struct cluster_host *host, struct mailbox *control,
                                        char err[CLUSTER_SHELL_ERROR_SIZE]);
/* For the lcores: their ways to here, and the port of the bus. */
struct bus_path *cluster_shell_path(struct cluster_shell *s, unsigned lcore);
uint16_t cluster_shell_bus_port(const struct cluster_shell *s);
/* The lcores run; the state takes its first step. */
void cluster_shell_start(struct cluster_shell *s, unsigned lcore_count, uint64_t now_us);
/* Each round of the control thread, after its mail. */
void cluster_shell_round(struct cluster_shell *s, uint64_t now_us);
/* When the next round is wanted. */
uint64_t cluster_shell_next_us(const struct cluster_shell *s);
/* ADMIN_CLUSTER. */
enum admin_outcome cluster_shell_serve(struct cluster_shell *s, struct admin_request *request);
/* A client's message, for the other nodes. */
void cluster_shell_publish(struct cluster_shell *s, struct slice channel, struct slice message,
                           bool sharded);
/* The node ends: no event any more, links are reset, the disk gets its last text. Requests that
 * wait are dropped. Lcores read what is published until they have ended. */
void cluster_shell_stop(struct cluster_shell *s);
/* No lcore runs any more. */
void cluster_shell_free(struct cluster_shell *s);
