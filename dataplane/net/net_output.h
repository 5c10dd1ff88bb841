/* The output path inside net: routes, headers, this loop's burst. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "netif.h"

/* The neighbour that packets for dst go to; false: no route. */
bool route_next_hop(const struct netif *n, const struct ip_addr *dst, struct ip_addr *hop);
/* A unicast address of our subnet (IPv4) or link (IPv6) that can have a neighbour entry. */
bool route_on_link(const struct netif *n, const struct ip_addr *a);

/* Queues a finished frame. Takes ownership. */
void net_send(struct netif *n, struct rte_mbuf *m);

/* Sends a frame with a payload above the MTU as copies of its pieces; header_len: Ethernet and IP
 * header (20 or 40 bytes). Pieces for which there is no buffer are not sent (counted). Takes
 * ownership. */
void net_send_in_fragments(struct netif *n, struct rte_mbuf *m, uint32_t header_len);

/* Writes an Ethernet header; type in host order. The bytes behind it. */
uint8_t *eth_header_put(const struct netif *n, uint8_t *frame, const uint8_t dst[6], uint16_t type);
/* Writes IPv4 and IPv6 headers of packets that are not TCP, checksum included; the bytes behind. */
uint8_t *ip4_header_put(const struct netif *n, uint8_t *ip, uint32_t dst, uint32_t l4_len);

struct ip6_send {
    const struct ip_addr *src, *dst;
    uint8_t proto, hop_limit;
    uint32_t l4_len;
};
uint8_t *ip6_header_put(uint8_t *ip, const struct ip6_send *s);
/* Fills in the checksum of an ICMPv6 message of len bytes. */
void icmp6_checksum_put(uint8_t *icmp, uint32_t len, const struct ip_addr *src,
                        const struct ip_addr *dst);

/* Requests and announcements. mac NULL: to everybody, else to that address. */
void arp_ask(struct netif *n, uint32_t target, const uint8_t *mac);
void arp_announce(struct netif *n);
void ndp_ask(struct netif *n, const struct ip_addr *target, const uint8_t *mac);
void ndp_announce(struct netif *n);
void mld_report(struct netif *n);

/* ff02::1:ffXX:XXXX of an address, and the MAC of a group (RFC 4291, 2.7.1; RFC 2464, 7). */
static inline struct ip_addr ip6_solicited_node(const struct ip_addr *a)
{
    struct ip_addr group = {.b = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff}};
    memcpy(group.b + 13, a->b + 13, 3);
    return group;
}

static inline void ip6_group_mac(const struct ip_addr *group, uint8_t mac[6])
{
    mac[0] = mac[1] = 0x33;
    memcpy(mac + 2, group->b + 12, 4);
}

static inline bool ip_addr_is_zero(const struct ip_addr *a)
{
    return a->d[0] == 0 && a->d[1] == 0;
}
