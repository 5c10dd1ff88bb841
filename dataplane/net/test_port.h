/* For tests of net and tcp: EAL in process, a port that keeps what is sent, builders and parsers of
 * frames, and a netif on top with usual addresses. Time is what the test puts into netif->now_us.
 *
 * Us: 10.77.0.1/24, gateway 10.77.0.254, fd77::1/64, MAC 02:77:00:00:00:01.
 * The peer, unless the test says otherwise: 10.77.0.2, fd77::2, MAC 02:77:00:00:00:02. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "flow.h"
#include "ip_addr.h"
#include "netif.h"
#include "port.h"

struct rte_mbuf;
struct rte_mempool;

#define TEST_PORT_SENT_MAX 16384
#define TEST_PORT_BUFFERS 4096

/* Once per process, before anything else: EAL without hugepages, files or devices. Unpinned. */
void test_eal_init(void);

struct test_port {
    struct port_queue queue;
    struct port_info info;
    struct rte_mbuf *sent[TEST_PORT_SENT_MAX]; /* ring of captured frames */
    uint32_t sent_head, sent_count;
    uint32_t tx_calls;
    uint32_t accept_max;   /* frames taken per tx call; UINT16_MAX at first, 0 refuses all */
    uint32_t accept_calls; /* calls after which accept_max becomes 0; UINT32_MAX at first */
    uint32_t buffers;      /* in the pool when it is full */
};

/* Port with a pool of that many mbufs (2 KB each). caps are enum port_caps. */
void test_port_init(struct test_port *p, uint32_t buffers, uint32_t caps);
/* Frees what was sent and not taken; checks that every mbuf came back to the pool. */
void test_port_fini(struct test_port *p);
/* The oldest captured frame, now the caller's; NULL: none. */
struct rte_mbuf *test_port_take(struct test_port *p);
/* Frees all captured frames. */
void test_port_drop_sent(struct test_port *p);
/* mbufs out of the pool now, captured ones included. */
uint32_t test_port_buffers_used(const struct test_port *p);

/* A netif with its port and steering; l4 segments go to the given ops, or are freed and the last
 * one kept in view when ops is NULL. */
struct test_l4_seen {
    uint32_t segments, errors;
    struct l4_packet packet;
    uint8_t data[70000]; /* of the last segment, TCP header first */
    uint32_t data_len;
    struct icmp_error error;
    struct ip_addr error_remote, error_local;
};

struct test_net {
    struct test_port port;
    struct flow_steering steering;
    struct netif_config config;
    struct netif *nif;
    struct test_l4_seen seen;
};

#define TEST_NOW_US 1000000000ull /* now_us at first */

/* lcores in the indirection table; the netif is lcore 0's. */
void test_net_init(struct test_net *t, uint32_t caps, uint16_t lcores, const struct l4_ops *l4,
                   void *l4_arg);
void test_net_fini(struct test_net *t);
/* One frame through flow_owner_of_frame() and netif_input(), then netif_flush(). */
void test_net_input(struct test_net *t, struct rte_mbuf *m);
/* Makes a known and resolved, without any frame left in the capture. */
void test_net_resolve(struct test_net *t, const struct ip_addr *a, const uint8_t mac[6]);

extern const uint8_t test_mac_us[6], test_mac_peer[6];
struct ip_addr test_ip(const char *text); /* CHECKs that it parses */

/* --- builders: frames from the peer to us, checksums right, headers in the first mbuf. Bytes
 * beyond what one mbuf holds continue in a chain. Zero MACs mean the peer's and ours. --- */
struct test_ip_header {
    struct ip_addr src, dst;
    uint8_t src_mac[6], dst_mac[6];
    uint8_t proto;
    uint8_t ttl; /* 0: 64 */
    uint16_t id;
    uint16_t fragment; /* IPv4 only, host order: flags and offset as in the header */
};
struct rte_mbuf *test_frame_raw(struct test_port *p, const void *bytes, size_t len);
struct rte_mbuf *test_frame_ip(struct test_port *p, const struct test_ip_header *h, const void *l4,
                               size_t l4_len);

enum { TEST_FIN = 1, TEST_SYN = 2, TEST_RST = 4, TEST_PSH = 8, TEST_ACK = 16, TEST_URG = 32 };
struct test_tcp {
    struct ip_addr src, dst;
    uint8_t src_mac[6], dst_mac[6];
    uint16_t src_port, dst_port;
    uint32_t seq, ack;
    uint8_t flags;
    uint16_t window;
    const void *options; /* padded to four bytes with zeros */
    uint8_t options_len;
    const void *data;
    uint32_t data_len;
};
struct rte_mbuf *test_frame_tcp(struct test_port *p, const struct test_tcp *t);
/* op 1: request, 2: reply. Addresses are IPv4. Ethernet destination dst_mac. */
struct test_arp {
    uint16_t op;
    uint8_t sender_mac[6], target_mac[6], dst_mac[6];
    struct ip_addr sender, target;
};
struct rte_mbuf *test_frame_arp(struct test_port *p, const struct test_arp *a);
/* body follows the checksum field: type, code, checksum, body. ICMP or ICMPv6 by the family of src.
 */
struct rte_mbuf *test_frame_icmp(struct test_port *p, const struct test_ip_header *h, uint8_t type,
                                 uint8_t code, const void *body, size_t body_len);
/* An ICMP or ICMPv6 error from `from` that quotes the start of a TCP segment which we sent from
 * local to remote. rest: the 32 bits after the checksum, host order (MTU). */
struct test_quote {
    struct ip_addr from, local, remote;
    uint16_t local_port, remote_port;
    uint32_t seq;
};
struct rte_mbuf *test_frame_icmp_error(struct test_port *p, const struct test_quote *q,
                                       uint8_t type, uint8_t code, uint32_t rest);
/* Cuts the frame's first mbuf at byte `at` so that the rest continues in a second one. */
void test_frame_split(struct test_port *p, struct rte_mbuf *m, uint32_t at);

/* --- what was sent --- */
/* Does in software what the offload flags ask for (checksums; not TSO) and clears them. */
void test_frame_complete(struct rte_mbuf *m);
/* The frame's bytes; how many. */
uint32_t test_frame_bytes(const struct rte_mbuf *m, uint8_t *buf, uint32_t size);

struct test_segment {
    struct ip_addr src, dst;
    uint8_t src_mac[6], dst_mac[6];
    uint16_t src_port, dst_port;
    uint32_t seq, ack;
    uint8_t flags;
    uint16_t window;
    uint8_t options[40];
    uint8_t options_len;
    uint16_t tso_segsz;
    uint32_t data_len;
    uint8_t data[65536];
};
/* Completes the frame, checks lengths and checksums, takes it apart and frees it. False (freed
 * too): not a TCP segment. */
bool test_segment_parse(struct rte_mbuf *m, struct test_segment *s);
/* The next captured TCP segment, other frames are freed on the way. False: none left. */
bool test_port_take_segment(struct test_port *p, struct test_segment *s);

/* The Internet checksum of L4 bytes with the pseudo header, by the book. */
uint16_t test_l4_checksum(const struct ip_addr *src, const struct ip_addr *dst, uint8_t proto,
                          const void *l4, size_t len);
