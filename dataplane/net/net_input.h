/* The input path inside net: Ethernet, then ARP or IP, then ICMP or TCP. Every function takes
 * ownership of the frame. Owner: the netif's lcore. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "netif.h"
#include "token_bucket.h"

struct net_limits {
    struct token_bucket echo, errors, announcements, mld;
};

/* A packet whose IP header was found valid; the frame's Ethernet header is still in front. */
struct ip_packet {
    struct l4_packet l4;
    uint32_t l4_at, l4_len; /* bytes of the frame */
    uint8_t proto;
    uint8_t hop_limit;
    bool group; /* IPv6: to a multicast group that we are in */
};

void eth_input(struct netif *n, struct rte_mbuf *m);
void arp_input(struct netif *n, struct rte_mbuf *m);
void ip4_input(struct netif *n, struct rte_mbuf *m);
void ip6_input(struct netif *n, struct rte_mbuf *m);
/* Checks length and checksum, moves the data start to the TCP header, hands over. The frame ends
 * with the IP payload. */
void ip_deliver_tcp(struct netif *n, struct rte_mbuf *m, struct ip_packet *p);
/* A datagram put together from fragments, Ethernet header in front: once more through the input,
 * here or on the lcore that owns it. */
void ip_reassembled(struct netif *n, struct rte_mbuf *m);
void icmp4_input(struct netif *n, struct rte_mbuf *m, struct ip_packet *p);
void icmp6_input(struct netif *n, struct rte_mbuf *m, struct ip_packet *p);
void ndp_input(struct netif *n, struct rte_mbuf *m, const struct ip_packet *p);
void mld_input(struct netif *n, struct rte_mbuf *m, const struct ip_packet *p);
/* Tells the sender that nobody here speaks p->proto; rate-limited. */
void icmp4_protocol_unreachable(struct netif *n, struct rte_mbuf *m, const struct ip_packet *p);
void icmp6_protocol_unreachable(struct netif *n, struct rte_mbuf *m, const struct ip_packet *p);

/* Sources that no packet can rightly have (RFC 1122, 3.2.1.3; RFC 4291, 2.7); our own counts apart.
 */
static inline bool ip4_source_bad(const struct netif *n, uint32_t src)
{
    uint8_t first = (uint8_t)src;
    uint32_t host = src & ~n->mask4;
    if (first == 0 || first == 127 || first >= 224)
        return true;
    /* The subnet's own two broadcast addresses; /31 and /32 have none (RFC 3021). */
    return ((src ^ n->config.ip4.w[3]) & n->mask4) == 0 && (host == 0 || host == ~n->mask4) &&
           n->config.prefix4 < 31;
}
