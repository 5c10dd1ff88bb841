/* EAL: DPDK's process-wide set-up, from the node's configuration. One per process, never restarted.
 *
 * The calling thread becomes the control thread: EAL's main lcore, not bound to any lcore's CPU.
 * The workers are the node's lcores, index 0 ... lcore_count - 1, each bound to one CPU; several
 * may share one. Everything here belongs to the control thread. DPDK's own messages go to the
 * node's log. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "config.h"

struct rte_mempool;

#define EAL_LCORES_MAX 62
#define EAL_ERROR_SIZE 512

struct eal_options {
    const char *nic;    /* the port's specification: decides about devices and buffer sizes */
    const char *lcores; /* "2": that many, sharing CPUs if need be; "0,2-3" or "1-1": one per CPU */
    int hugepages;      /* HUGEPAGES_AUTO, _YES, _NO */
    uint32_t packet_buffers; /* per lcore */
    uint16_t mtu;
    bool capture_secondary;  /* share memory with secondary processes (dpdk-dumpcap) */
    const char *file_prefix; /* "": one of its own per process */
};

struct eal_lcore {
    unsigned lcore_id; /* DPDK's */
    int cpu;
    int numa_node;
    struct rte_mempool *pool; /* packet_buffers buffers, on the lcore's NUMA node */
};

struct eal {
    int lcore_count;
    struct eal_lcore lcore[EAL_LCORES_MAX];
    bool capture_secondary;
    bool hugepages; /* what auto came to */
    size_t hugepage_size_bytes;
    size_t memory_bytes; /* asked of EAL for pools and queues */
    uint32_t packet_buffers;
    uint16_t data_room_bytes; /* of one buffer, without the headroom */
    char file_prefix[64];
};

struct eal_options eal_options_from(const struct config *config);

/* Starts EAL, checks the lcores, makes the pools. False: err says what is missing and what to do;
 * the process cannot try again. */
bool eal_start(const struct eal_options *options, struct eal *eal, char err[EAL_ERROR_SIZE]);
/* The directive's value fits this machine; false: err. Any time, also without EAL. */
bool eal_lcores_check(const char *lcores, char err[EAL_ERROR_SIZE]);
/* The process leaves while it starts, on another thread: removes EAL's folder, if it is there. */
void eal_abandon(void);
/* Runs run(arg) on lcore index, which must be idle. */
void eal_lcore_launch(const struct eal *eal, int index, int (*run)(void *), void *arg);
/* Waits until every lcore's function has returned. */
void eal_lcores_join(const struct eal *eal);
/* Buffers of all pools that are in use now: for baselines. */
uint64_t eal_buffers_used(const struct eal *eal);
/* After the lcores have returned and the ports are closed. */
void eal_stop(struct eal *eal);
