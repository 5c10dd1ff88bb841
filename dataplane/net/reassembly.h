/* Fragments of both families put together (RFC 791, 8200, 4.5), strictly: an overlap ends the whole
 * datagram (RFC 5722), and a TCP header must lie in the first fragment (RFC 1858).
 *
 * Bounds per lcore: REASSEMBLY_DATAGRAMS_MAX at a time (the oldest goes for a new one),
 * REASSEMBLY_MBUFS_MAX buffers and REASSEMBLY_BYTES_MAX bytes in all (beyond them the oldest goes),
 * REASSEMBLY_FRAGMENTS_MAX fragments of one datagram (beyond them it ends), REASSEMBLY_TIME_US from
 * its first fragment on. Each lost fragment counts as rx_fragment_drops. Owner: the netif's lcore.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "ip_addr.h"

struct netif;
struct rte_mbuf;
struct reassembly;

#define REASSEMBLY_DATAGRAMS_MAX 32
#define REASSEMBLY_FRAGMENTS_MAX 64
#define REASSEMBLY_MBUFS_MAX 512
#define REASSEMBLY_BYTES_MAX (1u << 20)
#define REASSEMBLY_TIME_US 15000000

struct fragment {
    struct ip_addr src, dst;
    uint32_t id;
    uint8_t proto;
    uint8_t key_proto; /* part of the identity in IPv4; 0 in IPv6 */
    bool more;
    uint32_t offset; /* bytes */
    uint32_t payload_at, payload_len;
};

struct reassembly *reassembly_new(void);
void reassembly_free(struct reassembly *r);

/* Takes m. Returns NULL, or the whole datagram: the first fragment's headers, then the payload as a
 * chain; the caller mends the headers' lengths. */
struct rte_mbuf *reassembly_add(struct netif *n, struct rte_mbuf *m, const struct fragment *f);

void reassembly_tick(struct netif *n);
uint64_t reassembly_deadline_us(const struct reassembly *r);
/* Walks all invariants; aborts on a broken one. */
void reassembly_validate(const struct reassembly *r);
