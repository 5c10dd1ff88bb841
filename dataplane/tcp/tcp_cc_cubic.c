/* RFC 9438. Windows are in segments here, as in the RFC's formulas; C = 0.4, beta = 0.7. */
#include <math.h>
#include "tcp_cc.h"
#include "tcp_limits.h"

static const float cubic_c = 0.4f;
static const float cubic_beta = 0.7f;
/* 4.3: the increase per round trip with which Reno under this beta gets the same average window. */
static const float cubic_alpha = 3.0f * (1.0f - 0.7f) / (1.0f + 0.7f);

static float segments(uint32_t bytes, uint32_t mss)
{
    return (float)bytes / (float)mss;
}

/* 4.2: the curve starts at the current window and reaches w_max after K. */
static void epoch_begin(struct tcp_cc_state *cc, const struct tcp_cc_event *e)
{
    struct tcp_cc_cubic *c = &cc->cubic;
    c->epoch_ms = e->now_ms;
    c->start = segments(cc->cwnd_bytes, e->mss);
    c->w_est = c->start;
    if (c->start < c->w_max) {
        c->origin = c->w_max;
        c->k_s = cbrtf((c->w_max - c->start) / cubic_c);
    } else {
        c->origin = c->start;
        c->k_s = 0;
    }
}

/* Where the curve stands one round trip from now, never more than half a window ahead (4.2). */
static float cubic_target(const struct tcp_cc_state *cc, const struct tcp_cc_event *e)
{
    const struct tcp_cc_cubic *c = &cc->cubic;
    float t_s = (float)(e->now_ms - c->epoch_ms) / 1000.0f + (float)e->srtt_us / 1000000.0f;
    float d = t_s - c->k_s;
    float target = cubic_c * d * d * d + c->origin;
    float cwnd = segments(cc->cwnd_bytes, e->mss);
    if (target < cwnd)
        return cwnd;
    return target > 1.5f * cwnd ? 1.5f * cwnd : target;
}

static void cubic_acked(struct tcp_cc_state *cc, const struct tcp_cc_event *e)
{
    struct tcp_cc_cubic *c = &cc->cubic;
    uint32_t acked = e->acked_bytes;
    if (cc->cwnd_bytes < cc->ssthresh_bytes)
        acked = tcp_cc_slow_start(cc, e);
    if (acked == 0 || cc->cwnd_bytes >= TCP_CWND_MAX)
        return;
    if (!(c->start > 0))
        epoch_begin(cc, e);
    float cwnd = segments(cc->cwnd_bytes, e->mss);
    float share = segments(acked, e->mss) / cwnd;
    /* 4.3: once Reno would be back at the old maximum it grows by a whole segment per round trip.
     */
    c->w_est += (c->w_est >= c->w_max ? 1.0f : cubic_alpha) * share;
    float next = cwnd + (cubic_target(cc, e) - cwnd) * share;
    if (next < c->w_est)
        next = c->w_est;
    float bytes = next * (float)e->mss;
    cc->cwnd_bytes = bytes > (float)TCP_CWND_MAX ? TCP_CWND_MAX : (uint32_t)bytes;
}

/* 4.6 and 4.7: a flow whose maximum shrinks gives way faster (fast convergence). */
static void cubic_reduce(struct tcp_cc_state *cc, const struct tcp_cc_event *e)
{
    struct tcp_cc_cubic *c = &cc->cubic;
    float cwnd = segments(cc->cwnd_bytes, e->mss);
    c->w_max = cwnd < c->w_max ? cwnd * (1.0f + cubic_beta) / 2.0f : cwnd;
    uint32_t reduced = (uint32_t)((float)e->flight_bytes * cubic_beta);
    cc->ssthresh_bytes = reduced > 2 * e->mss ? reduced : 2 * e->mss;
    c->start = 0;
}

static void cubic_loss(struct tcp_cc_state *cc, const struct tcp_cc_event *e)
{
    cubic_reduce(cc, e);
    cc->cwnd_bytes = cc->ssthresh_bytes;
}

static void cubic_timeout(struct tcp_cc_state *cc, const struct tcp_cc_event *e)
{
    cubic_reduce(cc, e);
    cc->cwnd_bytes = e->mss;
}

const struct tcp_cc_ops tcp_cc_cubic_ops = {
    .name = "cubic",
    .acked = cubic_acked,
    .loss = cubic_loss,
    .timeout = cubic_timeout,
};
