#include "tcp_rtt.h"
#include "tcp_limits.h"

#define BACKOFF_MAX 16
/* Longer than any real path: a forged echo must not push the timeout out of all proportion. */
#define SAMPLE_MAX_US 60000000u

void tcp_rtt_init(struct tcp_rtt *r)
{
    *r = (struct tcp_rtt){.rto_ms = TCP_RTO_INITIAL_MS};
}

/* RTO = SRTT + max(G, 4 * RTTVAR), rounded up to the clock (2.3), between our bounds (2.4, 2.5). */
static void rto_update(struct tcp_rtt *r)
{
    uint32_t var_us = 4 * r->rttvar_us;
    uint32_t rto_us = r->srtt_us + (var_us > TCP_CLOCK_US ? var_us : TCP_CLOCK_US);
    uint32_t ms = (rto_us + 999) / 1000;
    if (ms < TCP_RTO_MIN_MS)
        ms = TCP_RTO_MIN_MS;
    r->rto_ms = (uint16_t)(ms > TCP_RTO_MAX_MS ? TCP_RTO_MAX_MS : ms);
}

void tcp_rtt_sample(struct tcp_rtt *r, uint32_t rtt_us)
{
    if (rtt_us > SAMPLE_MAX_US)
        rtt_us = SAMPLE_MAX_US;
    if (rtt_us == 0)
        rtt_us = 1;
    if (r->srtt_us == 0) {
        r->srtt_us = rtt_us;
        r->rttvar_us = rtt_us / 2;
    } else {
        uint32_t off = rtt_us > r->srtt_us ? rtt_us - r->srtt_us : r->srtt_us - rtt_us;
        r->rttvar_us = r->rttvar_us - r->rttvar_us / 4 + off / 4;
        uint32_t srtt = r->srtt_us - r->srtt_us / 8 + rtt_us / 8;
        r->srtt_us = srtt ? srtt : 1;
    }
    r->backoff = 0;
    rto_update(r);
}

void tcp_rtt_backoff(struct tcp_rtt *r)
{
    if (r->backoff < BACKOFF_MAX)
        r->backoff++;
}

void tcp_rtt_syn_lost(struct tcp_rtt *r)
{
    r->backoff = 0;
    if (r->srtt_us == 0 && r->rto_ms < TCP_RTO_AFTER_SYN_LOSS_MS)
        r->rto_ms = TCP_RTO_AFTER_SYN_LOSS_MS;
}

uint32_t tcp_rtt_rto_ms(const struct tcp_rtt *r)
{
    uint64_t ms = (uint64_t)r->rto_ms << r->backoff;
    return ms > TCP_RTO_MAX_MS ? TCP_RTO_MAX_MS : (uint32_t)ms;
}
