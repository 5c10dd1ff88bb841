/* The cluster bus as the control thread sees it: links by number, whole valid messages in, frames
 * out. The lcores terminate the links (common/bus_mail.h); each is given to one of them in turn.
 *
 * Owner: the control thread. Nothing is told from inside the calls below. Bounds: what lcores
 * accept (session/bus_link.h), links that the state asks for, and frames that a peer has not taken:
 * cluster-link-sendbuf-limit bytes, BUS_PORT_QUEUE_MAX without one; beyond it the link is cut. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "bus_mail.h"
#include "cluster.h"

#define BUS_PORT_QUEUE_MAX (64u << 20)

struct bus_port;

struct bus_port_user {
    /* Ours is connected, or a peer's was accepted (CLUSTER_LINK_INBOUND is set). Addresses without
     * port. */
    void (*up)(void *arg, cluster_link_id id, struct slice local_ip, struct slice peer_ip);
    /* Ours could not be opened. */
    void (*failed)(void *arg, cluster_link_id id);
    /* It ended; nothing more of it comes. */
    void (*down)(void *arg, cluster_link_id id);
    /* The message lives for the call. True: its sender is a node of the cluster. */
    bool (*frame)(void *arg, cluster_link_id id, const struct bus_frame *frame);
};

struct bus_port *bus_port_new(struct mailbox *control, const struct bus_port_user *user, void *arg);
/* The way to an lcore, to be completed by it before it runs. */
struct bus_path *bus_port_path(struct bus_port *p, unsigned lcore);
/* How many lcores there are; before any link is opened. */
void bus_port_start(struct bus_port *p, unsigned lcore_count);
/* Tells of links that were cut. Each round of the control thread. */
void bus_port_tick(struct bus_port *p);
/* The node ends: resets all links; nothing is told any more. */
void bus_port_stop(struct bus_port *p);
/* No lcore is left. */
void bus_port_free(struct bus_port *p);

/* up() or failed() follows. */
void bus_port_open(struct bus_port *p, cluster_link_id id, const char *ip, uint16_t port);
/* What was sent goes out first. Nothing of it is told any more. Unknown ids are those that have
 * ended already. */
void bus_port_close(struct bus_port *p, cluster_link_id id);
/* Takes a reference. */
void bus_port_send(struct bus_port *p, cluster_link_id id, struct cluster_frame *frame);
/* Bytes that the peer has not taken, for CLUSTER LINKS. */
uint64_t bus_port_queued(const struct bus_port *p, cluster_link_id id);
