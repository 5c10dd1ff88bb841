/* One lcore's view of the network: its queue of the port, addresses, neighbours, and the frames
 * that this loop will send. Ethernet, ARP, ND, IPv4, IPv6, ICMP in; IP packets of TCP out.
 *
 * Owner: one lcore; nothing here is shared. Time comes in as now_us. Malformed frames are dropped
 * and counted by cause (net_stats), never answered where the RFCs forbid it. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "ip_addr.h"
#include "port.h"

struct rte_mbuf;
struct netif;
struct neighbours;
struct reassembly;
struct flow_steering;
struct net_limits;

/* A received TCP segment: m->data starts at the TCP header, trimmed to the IP payload. The payload
 * may lie in a chain; the first NET_L4_CONTIGUOUS bytes (or all, if there are fewer) are in one
 * piece, and there are at least 20. */
#define NET_L4_CONTIGUOUS 60
struct l4_packet {
    struct ip_addr src, dst;
    uint32_t flow_hash; /* as flow_hash() */
    uint8_t src_mac[6]; /* answers to a SYN need no ARP */
    bool checksum_good; /* always true: segments with a bad one are dropped and counted before */
    uint8_t dscp_ecn;
};

enum icmp_kind { ICMP_SOFT, ICMP_UNREACHABLE_HARD, ICMP_TOO_BIG };

struct icmp_error {
    enum icmp_kind kind;
    uint16_t remote_port, local_port;
    uint32_t seq;
    uint32_t mtu;
};

struct l4_ops {
    /* Takes ownership of m. */
    void (*tcp_input)(void *l4, struct rte_mbuf *m, const struct l4_packet *p);
    /* An ICMP error quoted a TCP segment of ours: remote and local of the quoted tuple, its
     * sequence number; mtu only for "too big" (already clamped to a sane floor). */
    void (*tcp_icmp_error)(void *l4, const struct ip_addr *remote, const struct ip_addr *local,
                           const struct icmp_error *e);
};

struct netif_config {
    struct ip_addr ip4, gateway4; /* all zero: none */
    unsigned prefix4;
    struct ip_addr ip6, gateway6; /* besides the link-local address made from the MAC */
    unsigned prefix6;
    uint8_t mac[6];
    uint16_t mtu;
    uint64_t seed;                        /* hash of the neighbour table, identifications */
    const struct flow_steering *steering; /* required; outlives the netif */
    uint16_t lcore;                       /* whose netif this is */
};

#define NET_TX_BURST 64       /* frames per call of the port */
#define NET_TX_QUEUE_MAX 256  /* frames that wait for a port that is full */
#define NET_TX_STALL_US 10000 /* a port that takes nothing for so long loses what waits */

struct netif {
    struct port_queue *queue;
    struct netif_config config;
    struct ip_addr link_local;
    const struct l4_ops *l4;
    void *l4_arg;
    /* A neighbour answered or changed: the lcore tells the others, which call
     * netif_neighbour_set(). */
    void (*neighbour_learned)(void *arg, const struct ip_addr *a, const uint8_t mac[6]);
    void *neighbour_arg;
    /* A reassembled datagram whose flow another lcore owns: a whole Ethernet frame, hash set, for
     * that lcore's netif_input(). Takes ownership. NULL: such datagrams are dropped. */
    void (*foreign)(void *arg, uint16_t lcore, struct rte_mbuf *m);
    void *foreign_arg;
    uint64_t now_us;
    struct neighbours *neighbours;
    struct reassembly *reassembly;
    struct net_limits *limits; /* token buckets of what strangers can make us send */
    uint32_t mask4;            /* network byte order */
    uint32_t fragment_id;      /* of the last datagram sent in fragments */
    uint16_t tx_count;
    uint64_t tx_progress_us; /* when the port last took a frame, or the first one began to wait */
    struct net_stats *stats;
    struct rte_mbuf *tx[NET_TX_QUEUE_MAX];
};

/* Allocates what it needs; NULL with err when it cannot. */
struct netif *netif_new(struct port_queue *q, const struct netif_config *c, const struct l4_ops *l4,
                        void *l4_arg);
/* Returns every mbuf that it holds. */
void netif_free(struct netif *n);

/* Frames of one receive burst, all owned by this lcore: they have been through
 * flow_owner_of_frame(), so that a hash flagged in the mbuf is ours. Takes ownership. */
void netif_input(struct netif *n, struct rte_mbuf **pkts, uint16_t count);

/* True when packets for dst can leave now: a local route and a resolved next hop (resolution is
 * started otherwise). */
bool netif_reachable(struct netif *n, const struct ip_addr *dst);

/* A destination resolved once per connection: where its frames go, until the generation of the
 * neighbour table moves on. All zero at first; or next_hop_mac and mac_from_peer set from the
 * peer's frame (l4_packet.src_mac): then nothing waits for ARP, a SYN or RST does not even ask, and
 * the answer to what other segments ask replaces that address. */
struct net_path {
    uint8_t next_hop_mac[6];
    bool resolved;
    bool mac_from_peer; /* taken from the peer's frame until ARP says otherwise */
    uint32_t generation;
};

/* Sends one TCP segment: m->data starts at the TCP header (headroom is left for IP and Ethernet),
 * m->pkt_len is header and payload, l4_len set, m->tso_segsz set for large ones; the checksum field
 * is free. Fills in IP, Ethernet and offload flags; queues the frame for this loop's burst, or
 * behind an unresolved neighbour (at most three packets, then the oldest is dropped). Takes
 * ownership. */
void netif_output_tcp(struct netif *n, struct net_path *path, const struct ip_addr *src,
                      const struct ip_addr *dst, struct rte_mbuf *m);

/* Hands what is queued to the port, in order. What the port has no room for stays for the next
 * flush (netif_deadline_us() is now, then); it is dropped and counted when the port takes nothing
 * for NET_TX_STALL_US, and new frames are when NET_TX_QUEUE_MAX wait (TCP repairs both). */
void netif_flush(struct netif *n);

/* Timers of neighbours and reassembly, bounded work. */
void netif_tick(struct netif *n);
uint64_t netif_deadline_us(const struct netif *n); /* UINT64_MAX: none */

/* Tells the link who we are (gratuitous ARP, unsolicited neighbour advertisements, MLD reports):
 * one lcore, at start and whenever the link comes up. */
void netif_announce(struct netif *n);

/* From another lcore's neighbour_learned(): taken where an entry exists here. */
void netif_neighbour_set(struct netif *n, const struct ip_addr *a, const uint8_t mac[6]);

/* Walks the invariants of all tables; aborts on a broken one. For tests and fuzzers. */
void netif_validate(const struct netif *n);

/* The source address for dst (the link-local one for link-local peers); false: no route. */
bool netif_source_for(const struct netif *n, const struct ip_addr *dst, struct ip_addr *src);
/* One of our unicast addresses? */
bool netif_is_local(const struct netif *n, const struct ip_addr *a);
/* Bytes of TCP header and payload that fit one frame to this peer: 1480 (IPv4) at MTU 1500. */
uint16_t netif_l4_mtu(const struct netif *n, const struct ip_addr *dst);

/* clang-format off */
#define NET_STATS                                                                                  \
    X(rx_frames)            /* all of them */                                                      \
    X(rx_bytes)             /* from the Ethernet header on */                                      \
    X(tx_frames)            /* taken by the port */                                                \
    X(tx_bytes)             /* from the Ethernet header on */                                      \
    X(rx_not_ours)          /* another MAC, group or address */                                    \
    X(rx_runt)              /* no whole Ethernet header */                                         \
    X(rx_vlan)              /* tagged */                                                           \
    X(rx_unknown_ethertype) /* neither IP nor ARP */                                               \
    X(rx_ip_header_bad)     /* version, lengths, extension headers out of bounds */                \
    X(rx_ip_checksum_bad)   /* IPv4 header */                                                      \
    X(rx_ip_options)        /* IPv4 options, IPv6 options that say "discard" */                    \
    X(rx_ip_source_bad)     /* a source that nobody can have */                                    \
    X(rx_land)              /* our own address as source */                                        \
    X(rx_l4_short)          /* less than a TCP header */                                           \
    X(rx_l4_checksum_bad)   /* TCP */                                                              \
    X(rx_unknown_protocol)  /* neither TCP nor ICMP */                                             \
    X(rx_fragments)         /* all of them */                                                      \
    X(rx_fragment_drops)    /* invalid, overlapping, too many or too late */                       \
    X(rx_foreign_drops)     /* reassembled for another lcore, which nobody reaches */              \
    X(rx_arp_bad)           /* malformed, or claims our address */                                 \
    X(rx_nd_bad)            /* malformed, or claims our address */                                 \
    X(rx_icmp_bad)          /* malformed, or an error that is not about us */                      \
    X(rx_icmp_ignored)      /* redirects, router advertisements, replies */                        \
    X(rx_icmp_echo)         /* answered */                                                         \
    X(tx_icmp_limited)      /* answers above a rate limit */                                       \
    X(tx_no_route)          /* segments to nowhere */                                              \
    X(tx_unresolved_drops)  /* segments to a neighbour that is silent */                           \
    X(tx_port_drops)        /* frames that the port did not take */                                \
    X(neighbour_full)       /* no place in the neighbour table */                                  \
    X(mbuf_failures)        /* no packet buffer */
/* clang-format on */

struct net_stats {
#define X(name) uint64_t name;
    NET_STATS
#undef X
};
