/* Timers. A connection keeps its true deadlines and stands in the wheel at the earliest of them or
 * before; disarming only clears a bit, so that a cancelled timer can never fire, and what comes up
 * in the wheel is compared with the deadlines before anything runs. */
#include "tcp_engine.h"

static void wheel_update(struct tcp *t, struct tcp_conn *c, uint32_t deadline_ms)
{
    if (c->wheel_slot) {
        if ((int32_t)(deadline_ms - tcp_wheel_slot_ms(&t->wheel, c)) >= 0)
            return;
        tcp_wheel_remove(t, c);
    }
    tcp_wheel_insert(t, c, deadline_ms);
}

void tcp_timer_arm(struct tcp *t, struct tcp_conn *c, enum tcp_timer which, uint32_t delay_ms)
{
    c->timer_ms[which] = now_ms32(t) + delay_ms;
    c->timers_armed |= (uint8_t)(1u << which);
    wheel_update(t, c, c->timer_ms[which]);
}

uint32_t tcp_user_timeout_ms(const struct tcp *t)
{
    uint32_t s = t->config.user_timeout_s ? t->config.user_timeout_s : TCP_USER_TIMEOUT_DEFAULT_S;
    return s * 1000;
}

static void syn_timeout(struct tcp *t, struct tcp_conn *c)
{
    uint8_t tries_max = c->state == TCP_SYN_SENT ? TCP_SYN_TRIES : TCP_SYN_ACK_TRIES;
    if (++c->tries >= tries_max) {
        t->stats.connect_failures += (c->flags & TCPF_ACTIVE) != 0;
        tcp_conn_kill(t, c, STREAM_END_TIMEOUT);
        return;
    }
    tcp_rtt_backoff(&c->rtt);
    c->flags &= ~(uint32_t)TCPF_RTT_TIMING;
    c->flags |= TCPF_SYN_NOW | TCPF_SYN_RESENT;
    t->stats.retransmitted_segments++;
    tcp_timer_arm(t, c, TCP_TIMER_RTX, tcp_rtt_rto_ms(&c->rtt));
    tcp_conn_flush_later(t, c);
}

/* A closed window, or one too small to be worth a segment (RFC 9293, 3.8.6.1 and 3.8.6.2.1). */
static void persist_timeout(struct tcp *t, struct tcp_conn *c)
{
    t->stats.persist_probes++;
    tcp_rtt_backoff(&c->rtt);
    c->flags |= c->snd_wnd ? TCPF_FORCE_ONE : TCPF_PROBE_NOW;
    tcp_timer_arm(t, c, TCP_TIMER_RTX, tcp_rtt_rto_ms(&c->rtt));
    tcp_conn_flush_later(t, c);
}

static void rtx_fired(struct tcp *t, struct tcp_conn *c)
{
    if (c->state <= TCP_SYN_RECEIVED) {
        syn_timeout(t, c);
        return;
    }
    /* A closed window is no silence: that begins with the first question that stays unanswered. */
    if (c->snd_wnd == 0 && c->tries == 0)
        c->progress_ms = now_ms32(t);
    if (c->tries < UINT8_MAX)
        c->tries++;
    if (now_ms32(t) - c->progress_ms >= tcp_user_timeout_ms(t)) {
        tcp_conn_abort(t, c, STREAM_END_TIMEOUT);
        return;
    }
    if (c->flags & TCPF_PERSIST)
        persist_timeout(t, c);
    else
        tcp_ack_timeout(t, c);
    /* The last wait ends with the user timeout, not with a whole backed-off RTO. */
    uint32_t left_ms = c->progress_ms + tcp_user_timeout_ms(t) - now_ms32(t);
    if (c->timer_ms[TCP_TIMER_RTX] - now_ms32(t) > left_ms)
        tcp_timer_arm(t, c, TCP_TIMER_RTX, left_ms);
}

static void ack_fired(struct tcp *t, struct tcp_conn *c)
{
    if (c->flags & TCPF_ACK_LATER)
        tcp_conn_ack_now(t, c);
}

/* RFC 9293, 3.8.4. The timer is armed once and measures the silence when it fires. */
static void keepalive_fired(struct tcp *t, struct tcp_conn *c)
{
    if (t->config.keepalive_s == 0 || c->state < TCP_ESTABLISHED)
        return;
    uint32_t idle_ms = t->config.keepalive_s * 1000;
    uint32_t silent_ms = now_ms32(t) - c->last_rx_ms;
    if (silent_ms < idle_ms) {
        c->keepalive_probes = 0;
        tcp_timer_arm(t, c, TCP_TIMER_IDLE, idle_ms - silent_ms);
        return;
    }
    if (c->keepalive_probes >= TCP_KEEPALIVE_PROBES) {
        t->stats.keepalive_drops++;
        tcp_conn_abort(t, c, STREAM_END_TIMEOUT);
        return;
    }
    /* What is being retransmitted asks the peer already. */
    if (c->snd_una == c->snd_max) {
        c->keepalive_probes++;
        c->flags |= TCPF_PROBE_NOW;
        tcp_conn_flush_later(t, c);
    }
    uint32_t interval_ms = idle_ms / TCP_KEEPALIVE_PROBES;
    tcp_timer_arm(t, c, TCP_TIMER_IDLE, interval_ms ? interval_ms : 1);
}

static bool fire_due(struct tcp *t, struct tcp_conn *c, enum tcp_timer which)
{
    if (!tcp_timer_armed(c, which) || (int32_t)(c->timer_ms[which] - now_ms32(t)) > 0)
        return false;
    tcp_timer_disarm(c, which);
    return true;
}

static void conn_timers(struct tcp *t, struct tcp_conn *c)
{
    if (fire_due(t, c, TCP_TIMER_ACK))
        ack_fired(t, c);
    if (fire_due(t, c, TCP_TIMER_RTX))
        rtx_fired(t, c);
    if (c->state != TCP_CLOSED && fire_due(t, c, TCP_TIMER_IDLE)) {
        if (c->flags & TCPF_ORPHAN)
            tcp_close_life_fired(t, c);
        else
            keepalive_fired(t, c);
    }
    for (int which = 0; c->state != TCP_CLOSED && which < TCP_TIMER_COUNT; which++)
        if (tcp_timer_armed(c, which))
            wheel_update(t, c, c->timer_ms[which]);
}

/* Connections that were open when the setting changed learn it a few at a time. */
static void keepalive_sweep(struct tcp *t)
{
    for (uint32_t i = 0; i < TCP_KEEPALIVE_SWEEP && t->keepalive_sweep; i++) {
        struct tcp_conn *c = conn_at(t, t->keepalive_sweep--);
        if (c->state < TCP_ESTABLISHED || (c->flags & TCPF_ORPHAN))
            continue;
        tcp_timer_disarm(c, TCP_TIMER_IDLE);
        if (t->config.keepalive_s)
            tcp_timer_arm(t, c, TCP_TIMER_IDLE, 1);
    }
}

void tcp_timers(struct tcp *t, uint32_t max)
{
    tcp_clock(t);
    keepalive_sweep(t);
    tcp_time_wait_expire(t, max);
    /* The wheel has a millisecond's grain: once per millisecond is enough, and most rounds of the
     * loop are shorter. */
    if (t->timers_ms != t->now_ms) {
        uint32_t i = 0;
        struct tcp_conn *c;
        for (; i < max && (c = tcp_wheel_take_due(t, t->now_ms)) != NULL; i++)
            conn_timers(t, c);
        if (i < max)
            t->timers_ms = t->now_ms;
    }
    tcp_deliver(t);
}

uint64_t tcp_deadline_us(const struct tcp *t)
{
    if (t->keepalive_sweep)
        return t->nif->now_us;
    uint64_t next_ms = tcp_wheel_next_ms(&t->wheel);
    if (t->waits_oldest) {
        int32_t left = (int32_t)(wait_at(t, t->waits_oldest)->deadline_ms - now_ms32(t));
        uint64_t at_ms = left > 0 ? t->now_ms + (uint32_t)left : t->now_ms;
        if (at_ms < next_ms)
            next_ms = at_ms;
    }
    return next_ms == UINT64_MAX ? UINT64_MAX : next_ms * 1000;
}
