/* Hands frames to the lcore that owns their flow (design-dataplane, rule 1), before any lookup. */
#pragma once
#include <stdint.h>
#include "lcore.h"

#define STEER_RING_SIZE 4096 /* frames waiting per lcore; more are dropped and counted */

/* Of count received frames, keeps those that this lcore owns, in order, and posts the others to
 * their owners; how many were kept. With one lcore everything is kept. */
uint16_t steer_frames(struct lcore *l, struct rte_mbuf **frames, uint16_t count);
/* Frames that others handed over: at most max of them into frames. */
uint16_t steer_receive(struct lcore *l, struct rte_mbuf **frames, uint16_t max);
/* A reassembled datagram that turned out to be another lcore's (netif->foreign). Takes ownership.
 */
void steer_foreign(void *lcore, uint16_t owner, struct rte_mbuf *frame);
