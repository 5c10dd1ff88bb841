/* Round-trip estimation and the retransmission timeout (RFC 6298). Pure. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct tcp_rtt {
    uint32_t srtt_us; /* 0: no sample yet */
    uint32_t rttvar_us;
    uint16_t rto_ms; /* without backoff */
    uint8_t backoff; /* doublings since the last sample */
};

void tcp_rtt_init(struct tcp_rtt *r);
/* A segment that was sent once (Karn), or one whose timestamp was echoed. Ends the backoff. */
void tcp_rtt_sample(struct tcp_rtt *r, uint32_t rtt_us);
void tcp_rtt_backoff(struct tcp_rtt *r);
/* The SYN had to be repeated and gave no sample (RFC 6298, 5.7). */
void tcp_rtt_syn_lost(struct tcp_rtt *r);
/* With backoff, at most TCP_RTO_MAX_MS. */
uint32_t tcp_rtt_rto_ms(const struct tcp_rtt *r);
