/* The cluster bus as the control thread sees it: links by number, whole valid messages in, frames
 * out. Underneath are TCP connections that the lcores terminate (links.h).
 *
 * Owner: the control thread. Nothing is reported from inside the calls below: what they find out
 * (no address, a full queue) is told by the next bus_port_tick(). Bounds: LINKS_MAX connections;
 * unsent bytes of a link (cluster-link-sendbuf-limit, BUS_PORT_QUEUE_MAX without one), beyond which
 * it is cut; received bytes as bus_codec.h says. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "bus_codec.h"
#include "cluster.h"
#include "links.h"
#include "slice.h"

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
    /* The message lives for the call. The link may be closed inside. */
    void (*frame)(void *arg, cluster_link_id id, const struct bus_message *message);
};

struct bus_port *bus_port_new(struct links *links, const struct bus_port_user *user, void *arg);
/* Cuts all links; nothing is told. Before links_free(). */
void bus_port_free(struct bus_port *p);
/* After links_start(): who connects to port is accepted. */
void bus_port_listen(struct bus_port *p, uint16_t port);
/* Tells what could not be told at once. Each round of the control thread. */
void bus_port_tick(struct bus_port *p);

/* up() or failed() follows. */
void bus_port_open(struct bus_port *p, cluster_link_id id, const char *ip, uint16_t port,
                   uint64_t timeout_us);
/* Nothing of it is told any more. Unknown ids are those that have ended already. */
void bus_port_close(struct bus_port *p, cluster_link_id id);
void bus_port_send(struct bus_port *p, cluster_link_id id, struct slice frame);
/* Unsent bytes, for CLUSTER LINKS. */
uint64_t bus_port_queued(const struct bus_port *p, cluster_link_id id);
