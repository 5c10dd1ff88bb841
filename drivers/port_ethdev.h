/* One DPDK ethdev as port queues: configured for what it offers, the rest done in software.
 *
 * The control thread opens, follows the link and closes; each queue's calls are its lcore's. */
#pragma once
#include <pthread.h>
#include "port.h"
#include "port_open.h"
#include "port_spec.h"
#include "port_tap.h"
#include "tx_stage.h"

struct ethdev_port;

struct ethdev_queue {
    struct port_queue base;
    struct ethdev_port *port;
    struct tx_stage stage;
    struct tap_tx tap; /* TAP only */
    /* PORT_WAKE_INTERRUPT: base.wake_fd is an epoll set of our own over the driver's descriptor, by
     * edge since nobody reads it, and poke_fd, written when the link changes. */
    int poke_fd;
    /* Arming against a vhost connection that goes away under it. */
    pthread_mutex_t arm_lock;
};

struct ethdev_port {
    struct port_info info;
    struct port_spec spec;
    const struct port_kind_info *kind;
    uint16_t port_id;
    bool plugged;     /* the device exists */
    bool callbacks;   /* link and queue events are registered */
    bool wakes;       /* the driver accepted receive interrupts */
    bool captured;    /* dpdk-dumpcap may listen: it sees only what goes through the driver */
    bool promiscuous; /* frames for another MAC than the device's must arrive */
    bool rss;         /* hashes under our key */
    uint16_t reta_size;
    uint64_t rx_offloads; /* those in use: RTE_ETH_RX_OFFLOAD_*, RTE_ETH_TX_OFFLOAD_* */
    uint64_t tx_offloads;
    int control_fd; /* kernel interfaces: socket for flags and memberships, -1 */
    int link;       /* -1 unknown, else up or not; control thread and driver's thread, atomic */
    int queue_count;
    struct ethdev_queue *queue;
};

/* NULL: err. */
struct ethdev_port *ethdev_open(const struct port_options *options, const struct port_spec *spec,
                                const struct eal *eal, char err[PORT_ERROR_SIZE]);
void ethdev_poll(struct ethdev_port *port);
bool ethdev_stats(const struct ethdev_port *port, struct port_stats *stats);
void ethdev_close(struct ethdev_port *port);
