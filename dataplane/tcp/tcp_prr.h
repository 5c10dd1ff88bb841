/* Proportional Rate Reduction (RFC 6937): how fast fast recovery may send, so that neither half a
 * round trip of silence nor a burst into a full queue follows a loss. Pure. */
#pragma once
#include <stdint.h>

struct tcp_prr {
    uint32_t flight_bytes;    /* outstanding when recovery began (RecoverFS) */
    uint32_t delivered_bytes; /* acknowledged or SACKed since then */
    uint32_t out_bytes;       /* sent since then */
};

static inline void tcp_prr_begin(struct tcp_prr *p, uint32_t flight_bytes)
{
    *p = (struct tcp_prr){.flight_bytes = flight_bytes ? flight_bytes : 1};
}

/* The congestion window after an ACK that delivered bytes; pipe: what is in flight now. */
uint32_t tcp_prr_acked(struct tcp_prr *p, uint32_t delivered, uint32_t pipe, uint32_t ssthresh,
                       uint32_t mss);
