/* The Internet checksum (RFC 1071): partial sums are 64-bit and unfolded, of 16-bit words as they
 * lie in memory. Pure. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "ip_addr.h"

struct rte_mbuf;

/* Sum of len bytes; an odd last byte counts as followed by zero. */
uint64_t net_sum(const void *bytes, size_t len);
/* The same over a chain from byte `at` on; at + len lie within the packet. */
uint64_t net_sum_chain(const struct rte_mbuf *m, uint32_t at, uint32_t len);
/* The pseudo header of RFC 9293, 3.1 or RFC 8200, 8.1. */
uint64_t net_sum_pseudo(const struct ip_addr *src, const struct ip_addr *dst, uint8_t proto,
                        uint32_t l4_len);

static inline uint16_t net_sum_fold(uint64_t sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}
