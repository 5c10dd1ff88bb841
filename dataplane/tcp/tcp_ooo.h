/* Reassembly: data above rcv_nxt as at most TCP_OOO_RUNS_MAX runs, each a chain of mbufs without a
 * hole. Allocated while something is out of order, freed when nothing is. */
#pragma once
#include <stdint.h>
#include "tcp_limits.h"
#include "tcp_options.h"

struct rte_mbuf;

struct tcp_ooo_run {
    uint32_t left, right;
    uint32_t mbufs;
    struct rte_mbuf *head, *tail;
};

struct tcp_ooo {
    uint32_t count, capacity;
    uint32_t bytes, mbufs;
    uint32_t recent_count;
    struct tcp_block recent[TCP_SACK_BLOCKS_MAX]; /* runs in the order of their last arrival */
    struct tcp_ooo_run run[];                     /* ascending, disjoint, never adjacent */
};
