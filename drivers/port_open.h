/* Opening the node's port: one line of configuration to one struct port_queue (port.h) per lcore.
 *
 * Owner: the control thread, save for the calls inside struct port_queue, which are each lcore's.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "config.h"
#include "eal.h"
#include "port.h"

#define PORT_ERROR_SIZE 512

struct port_options {
    const char *nic;   /* tap:NAME, af_packet:IFACE, af_xdp:IFACE, virtio-user:SOCKET[,server],
                        * vhost:SOCKET[,client], memif:SOCKET[,server][,id=N], pci:ADDRESS */
    const char *fault; /* "" or the fault injector's (port_fault.h) */
    const char *mac;   /* "": the port's own; on TAP one derived from the name */
    const char *ip;    /* the node's: tells derived MACs apart; may be NULL */
    uint16_t mtu;
    const uint8_t *rss_key; /* RSS_KEY_SIZE bytes */
};

/* Where the port steers (PORT_RX_STEERED), the frame with hash h is on queue
 * h % RSS_TABLE_SIZE % queue_count: the indirection table that software steering must use too. */
#define RSS_TABLE_SIZE 128

struct capture_hook;
struct port;

struct port_options port_options_from(const struct config *config, const uint8_t *rss_key);

/* Opens and starts the port with one queue pair per lcore of eal, buffers from the lcores' pools.
 * NULL: err says what is missing and what to do. */
struct port *port_open(const struct port_options *options, const struct eal *eal,
                       char err[PORT_ERROR_SIZE]);
/* The queue of lcore index; valid until port_close(). */
struct port_queue *port_queue_get(struct port *port, int index);
/* Where a packet capture looks at the queue of lcore index. */
struct capture_hook *port_capture_hook(struct port *port, int index);
/* DPDK's number of the port. */
uint16_t port_device_id(const struct port *port);
const struct port_info *port_info_get(const struct port *port);
/* Follows the link: sets link_up of every queue, logs each change. A few times per second. */
void port_poll(struct port *port);

struct port_stats {
    uint64_t rx_packets, rx_bytes, rx_missed, rx_errors, rx_no_buffer;
    uint64_t tx_packets, tx_bytes, tx_errors;
};
/* The driver's own counters; false: it has none. */
bool port_stats_get(const struct port *port, struct port_stats *stats);
/* After the lcores have returned. */
void port_close(struct port *port);

/* The start-up report, some lines: port, driver, queues, offloads used, hugepages, NUMA, lcores. */
void report_write(struct port *port, const struct eal *eal, FILE *out);
