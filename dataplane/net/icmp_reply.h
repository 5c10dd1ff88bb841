/* Replies made of the message that they answer. Owner: the netif's lcore. */
#pragma once
#include <stdint.h>
#include "net_input.h"

/* Takes m; returns it or a copy whose headers may be written, one buffer where the port takes no
 * chains and the reply leaves whole. NULL (counted): no buffers. */
struct rte_mbuf *icmp_reply_begin(struct netif *n, struct rte_mbuf *m, const struct ip_packet *p);
/* Turns addresses of Ethernet around, the type into type, mends the checksum for that, and sends.
 */
void icmp_reply_send(struct netif *n, struct rte_mbuf *m, uint32_t icmp_at, uint8_t type);

/* Hands an error about a segment of ours to TCP. ports_at: where the quoted TCP header begins. */
void icmp_error_deliver(struct netif *n, const struct rte_mbuf *m, uint32_t ports_at,
                        const struct ip_addr addr[2], struct icmp_error *e);
