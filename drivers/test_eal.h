/* EAL and frames for the tests of this folder. */
#pragma once
#include <stdint.h>
#include <rte_mbuf.h>
#include "eal.h"

/* EAL without hugepages, lcores lcores (all may share a CPU). */
struct eal *test_eal(int lcores, uint32_t packet_buffers);
/* A frame of Ethernet, IP and TCP with payload_len patterned bytes, cut into segments of the
 * lengths given (0 ends the list: the rest is one segment); the headers stand in the first.
 * Checksum fields hold rubbish; flags ask for IP and TCP checksums. */
struct test_frame {
    struct rte_mempool *pool;
    bool ip6;
    uint16_t payload_len;
    uint16_t tcp_options_len;
    uint16_t cuts[8];
    uint16_t port;
    uint8_t fill;      /* first payload byte */
    const uint8_t *to; /* MACs, NULL: of nobody */
    const uint8_t *from;
};
struct rte_mbuf *test_frame_new(const struct test_frame *options);
/* IP and TCP checksums right, lengths consistent. */
bool test_frame_valid(const struct rte_mbuf *frame);
/* A contiguous copy of the frame; the caller frees it. */
uint8_t *test_frame_bytes(const struct rte_mbuf *frame);
