/* What net does to packet buffers: one-piece headers, cutting, replies. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct rte_mbuf;
struct netif;

/* Makes the first len bytes (or all, if there are fewer) one piece. Takes m and returns it or its
 * copy; NULL (freed, counted): no buffers. */
struct rte_mbuf *net_buf_pull(struct netif *n, struct rte_mbuf *m, uint32_t len);
/* The same, and those bytes may be written: nobody else sees them. */
struct rte_mbuf *net_buf_own(struct netif *n, struct rte_mbuf *m, uint32_t len);
/* Cuts the packet to its first len bytes; len <= pkt_len. */
void net_buf_trim(struct rte_mbuf *m, uint32_t len);
/* Removes the first len bytes, which lie in the first buffer. */
void net_buf_skip(struct rte_mbuf *m, uint32_t len);
/* A buffer of len bytes (<= 1600) to be filled in; NULL (counted): none. */
struct rte_mbuf *net_buf_new(struct netif *n, uint32_t len);
/* Drops a packet; the caller has counted why. */
void net_buf_drop(struct rte_mbuf *m);
