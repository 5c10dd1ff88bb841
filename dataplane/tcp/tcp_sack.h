/* The sender's scoreboard (RFC 6675): which bytes above the cumulative ACK the peer says it has.
 * Pure. Bounded: at most TCP_SACK_RANGES_MAX ranges, all work linear in them; what does not fit is
 * ignored (it counts as not received). */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "tcp_limits.h"
#include "tcp_options.h"
#include "tcp_prr.h"

struct tcp_sack_board {
    struct tcp_prr prr; /* of the fast recovery that goes on */
    uint32_t rtx_mark;  /* snd_max when the first hole was last sent again, or became the first */
    uint32_t count;
    uint32_t bytes;                              /* in all ranges */
    struct tcp_block range[TCP_SACK_RANGES_MAX]; /* ascending, disjoint, not adjacent */
};

/* Not empty and inside (una, max]. */
bool tcp_sack_block_valid(uint32_t una, uint32_t max, struct tcp_block block);
/* One block of a received option; outside of (una, max] or empty: ignored. The
 * bytes that were not known before. */
uint32_t tcp_sack_add(struct tcp_sack_board *b, uint32_t una, uint32_t max, struct tcp_block block);
/* The cumulative ACK moved to una. */
void tcp_sack_advance(struct tcp_sack_board *b, uint32_t una);

/* Everything not SACKed below this counts as lost (IsLost: three ranges, or more than two segments
 * above it); una: nothing. */
uint32_t tcp_sack_lost_edge(const struct tcp_sack_board *b, uint32_t una, uint32_t mss);
/* Bytes of [from, to) that are not SACKed. */
uint32_t tcp_sack_missing(const struct tcp_sack_board *b, uint32_t from, uint32_t to);
/* The first run of bytes that are not SACKed in [from, to): false: none. */
bool tcp_sack_hole(const struct tcp_sack_board *b, uint32_t from, uint32_t to,
                   struct tcp_block *hole);
/* SetPipe: bytes in flight when everything below retransmitted_to was sent again where it was not
 * SACKed. */
uint32_t tcp_sack_pipe(const struct tcp_sack_board *b, uint32_t una, uint32_t max,
                       uint32_t retransmitted_to, uint32_t mss);
