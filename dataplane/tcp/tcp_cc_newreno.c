/* RFC 5681, 3.1 and 3.2, with appropriate byte counting (RFC 3465). */
#include "tcp_cc.h"
#include "tcp_limits.h"

static void newreno_acked(struct tcp_cc_state *cc, const struct tcp_cc_event *e)
{
    uint32_t acked = e->acked_bytes;
    if (cc->cwnd_bytes < cc->ssthresh_bytes)
        acked = tcp_cc_slow_start(cc, e);
    if (acked == 0 || cc->cwnd_bytes >= TCP_CWND_MAX)
        return;
    cc->acked_bytes += acked;
    if (cc->acked_bytes >= cc->cwnd_bytes) {
        cc->acked_bytes -= cc->cwnd_bytes;
        cc->cwnd_bytes += e->mss;
    }
}

static uint32_t half_of_flight(const struct tcp_cc_event *e)
{
    uint32_t half = e->flight_bytes / 2;
    return half > 2 * e->mss ? half : 2 * e->mss;
}

static void newreno_loss(struct tcp_cc_state *cc, const struct tcp_cc_event *e)
{
    cc->ssthresh_bytes = half_of_flight(e);
    cc->cwnd_bytes = cc->ssthresh_bytes;
    cc->acked_bytes = 0;
}

static void newreno_timeout(struct tcp_cc_state *cc, const struct tcp_cc_event *e)
{
    cc->ssthresh_bytes = half_of_flight(e);
    cc->cwnd_bytes = e->mss;
    cc->acked_bytes = 0;
}

const struct tcp_cc_ops tcp_cc_newreno = {
    .name = "newreno",
    .acked = newreno_acked,
    .loss = newreno_loss,
    .timeout = newreno_timeout,
};
