/* Sending on a TAP queue with writev of our own: the driver of DPDK 22.11 refuses frames above its
 * idea of the MTU (1500, it cannot be raised) for ever, and copies headers to sum them again. */
#pragma once
#include <stdint.h>

struct rte_mbuf;

struct tap_tx {
    int fd; /* the queue's, non-blocking; owned by the driver */
    uint64_t packets;
    uint64_t bytes;
    uint64_t errors; /* frames the kernel refused for good, the interface being down among others */
};

/* How many frames were taken and freed; fewer than n when the kernel has no room now. */
uint16_t tap_tx_burst(struct tap_tx *tx, struct rte_mbuf **frames, uint16_t n);
