/* Who owns a flow: a pure function of its 4-tuple, the same on every lcore.
 *
 * The Toeplitz hash (as NICs compute RSS) under one node-wide key goes through one indirection
 * table to an lcore. The hash is also the key of the connection table. Read-only after flow_init().
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "ip_addr.h"

struct rte_mbuf;

struct flow_tuple {
    struct ip_addr remote, local;
    uint16_t remote_port, local_port; /* host byte order */
};

#define FLOW_TABLE_SIZE 128 /* entries of the indirection table */

struct flow_steering {
    uint8_t key[40];
    uint32_t lookup[36][256]; /* Toeplitz by bytes: 36 input bytes at most (IPv6 4-tuple) */
    uint16_t lcore[FLOW_TABLE_SIZE];
    uint16_t lcore_count;
};

/* key: 40 random bytes. The table spreads round robin, as drivers/ programs the NIC. */
void flow_init(struct flow_steering *f, const uint8_t key[40], uint16_t lcore_count);

/* Hash of a received packet's tuple: source = remote, destination = local. */
uint32_t flow_hash(const struct flow_steering *f, const struct flow_tuple *t);

/* Hash of the addresses alone: decides for fragments. */
uint32_t flow_hash_addresses(const struct flow_steering *f, const struct ip_addr *remote,
                             const struct ip_addr *local);

static inline uint16_t flow_owner_of_hash(const struct flow_steering *f, uint32_t hash)
{
    return f->lcore[hash & (FLOW_TABLE_SIZE - 1)];
}

/* The lcore that owns a received frame, before any lookup: TCP by its tuple (hash stored in
 * mbuf->hash.rss with RTE_MBUF_F_RX_RSS_HASH set; an offloaded hash is used when rx_hash says that
 * the port's is ours), ICMP and ICMPv6 errors by the quoted tuple, fragments by their addresses
 * (and again after reassembly), everything else (ARP, ND, echo, garbage) lcore 0. Never fails,
 * reads only what is there. */
uint16_t flow_owner_of_frame(const struct flow_steering *f, struct rte_mbuf *m, bool rx_hash);

/* A local port in [FLOW_PORT_FIRST, 65535] for an outgoing connection that hashes back to lcore:
 * tries from *cursor on and leaves it after the hit, the port also in t->local_port; 0 when in_use
 * refuses all. At most one round over the range. */
#define FLOW_PORT_FIRST 32768
uint16_t flow_pick_port(const struct flow_steering *f, struct flow_tuple *t, uint16_t lcore,
                        uint16_t *cursor, bool (*in_use)(void *arg, uint16_t port), void *arg);
