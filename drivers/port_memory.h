/* A wire in memory, for tests: two sides with the same number of queues. Frames are copied on
 * receipt into the receiving queue's pool, so that each side's buffers behave as a NIC's. Every
 * offload is done in software. With a key frames go to the queue that RSS would choose, else to the
 * sender's number.
 *
 * Needs EAL. new and free: one thread, while no queue is in use. Queues: one thread each, any
 * number of threads together. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "port.h"

struct capture_hook;
struct rte_mempool;
struct port_memory;

#define PORT_MEMORY_QUEUES_MAX 64

struct port_memory_options {
    int queue_count;
    uint16_t mtu;
    uint32_t ring_frames; /* per receiving queue; a power of two; more wait at the sender */
    struct rte_mempool *const *pool[2]; /* [side][queue] */
    const uint8_t *rss_key; /* RSS_KEY_SIZE bytes: PORT_RX_HASH, PORT_RX_STEERED; or NULL */
    uint32_t caps_without;  /* of PORT_TX_MULTI_SEG, PORT_TX_EXTBUF, PORT_TX_GSO */
};

struct port_memory *port_memory_new(const struct port_memory_options *options);
/* side 0 or 1 */
struct port_queue *port_memory_queue(struct port_memory *port, int side, int index);
/* The same queue's, for a packet capture. */
struct capture_hook *port_memory_capture(struct port_memory *port, int side, int index);
/* Unplugs the wire: frames are lost until it is plugged in again. */
void port_memory_link_set(struct port_memory *port, bool up);
/* Frames lost because the receiver's pool was empty. */
uint64_t port_memory_no_buffer(const struct port_memory *port, int side);
/* Frees frames still on the wire. */
void port_memory_free(struct port_memory *port);
