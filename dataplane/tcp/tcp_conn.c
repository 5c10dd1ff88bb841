/* Life of a connection: from the pool, into the table, and back. */
#include <stdlib.h>
#include <string.h>
#include "tcp_engine.h"
#include "tcp_isn.h"
#include "tcp_sack.h"

void tcp_conn_tuple(const struct tcp_conn *c, struct flow_tuple *tuple)
{
    *tuple = (struct flow_tuple){.remote = c->key.remote,
                                 .local = c->key.local,
                                 .remote_port = c->key.remote_port,
                                 .local_port = c->key.local_port};
}

static struct tcp_conn *pool_take(struct tcp *t)
{
    while (t->stats.conns_open + t->stats.conns_time_wait >= t->config.conns_max) {
        if (!tcp_time_wait_recycle(t)) {
            t->stats.conns_full++;
            return NULL;
        }
    }
    uint32_t number = t->conns_free;
    if (number)
        t->conns_free = conn_at(t, number)->key.next;
    else
        number = ++t->conns_used;
    struct tcp_conn *c = conn_at(t, number);
    memset(c, 0, sizeof(*c));
    c->id = number;
    t->stats.conns_open++;
    return c;
}

struct tcp_conn *tcp_conn_new(struct tcp *t, const struct flow_tuple *tuple, uint32_t hash)
{
    struct tcp_conn *c = pool_take(t);
    if (!c)
        return NULL;
    c->tcp = t;
    c->stream.ops = &tcp_stream_ops;
    c->stream.kind = STREAM_TCP;
    outbuf_init(&c->stream.out);
    c->key = (struct tcp_key){tuple->remote,     tuple->local, tuple->remote_port,
                              tuple->local_port, hash,         0};
    c->snd_una = tcp_isn(t->config.secret, tuple, t->now_us);
    c->snd_nxt = c->snd_max = c->snd_una;
    c->ts_offset = tcp_ts_offset(t, tuple);
    c->mss = c->rcv_mss = TCP_MSS_DEFAULT;
    c->last_rx_ms = c->last_tx_ms = c->progress_ms = now_ms32(t);
    tcp_rtt_init(&c->rtt);
    tcp_table_insert(t, &c->key, c->id);
    return c;
}

static uint16_t mss_clamp(uint32_t mss)
{
    return (uint16_t)(mss < TCP_MSS_FLOOR ? TCP_MSS_FLOOR : mss);
}

void tcp_conn_negotiate(struct tcp *t, struct tcp_conn *c, const struct tcp_options *o)
{
    uint32_t ours = tcp_mss_ours(t, &c->key.remote);
    uint32_t theirs = o->has_mss ? o->mss : TCP_MSS_DEFAULT;
    c->mss = mss_clamp(theirs < ours ? theirs : ours);
    if (o->has_ts) {
        c->flags |= TCPF_TS;
        c->ts_recent = o->ts_val;
        c->ts_recent_ms = now_ms32(t);
    }
    if (o->sack_permitted)
        c->flags |= TCPF_SACK;
    if (o->has_scale) {
        c->flags |= TCPF_SCALE;
        c->snd_scale = o->scale;
    }
}

void tcp_conn_established(struct tcp *t, struct tcp_conn *c)
{
    c->state = c->flags & TCPF_FIN_WANTED ? TCP_FIN_WAIT_1 : TCP_ESTABLISHED;
    if (c->flags & TCPF_HALF_OPEN) {
        c->flags &= ~(uint32_t)TCPF_HALF_OPEN;
        t->stats.conns_half_open--;
    }
    uint32_t window = tcp_cc_initial_window(c->mss);
    if (c->flags & TCPF_SYN_RESENT) {
        /* RFC 5681, 3.1: a lost SYN is a sign of congestion. */
        tcp_rtt_syn_lost(&c->rtt);
        window = c->mss;
    }
    tcp_cc_init(&c->cc, window);
    c->recover = c->snd_una;
    c->tries = 0;
    c->progress_ms = c->last_rx_ms = now_ms32(t);
    tcp_timer_disarm(c, TCP_TIMER_RTX);
    if (t->config.keepalive_s && !(c->flags & TCPF_ORPHAN))
        tcp_timer_arm(t, c, TCP_TIMER_IDLE, t->config.keepalive_s * 1000);
    tcp_conn_flush_later(t, c);
}

void tcp_conn_kill(struct tcp *t, struct tcp_conn *c, enum stream_end why)
{
    CHECK(c->state != TCP_CLOSED);
    c->state = TCP_CLOSED;
    tcp_table_remove(t, &c->key);
    tcp_wheel_remove(t, c);
    c->timers_armed = 0;
    if (c->flags & TCPF_HALF_OPEN) {
        c->flags &= ~(uint32_t)TCPF_HALF_OPEN;
        t->stats.conns_half_open--;
    }
    c->end_why = (uint8_t)why;
    if (!(c->flags & TCPF_ORPHAN) && c->stream.user_ops)
        tcp_conn_event(t, c, TCP_EV_ENDED);
    c->key.next = t->dead;
    t->dead = c->id;
}

void tcp_conn_abort(struct tcp *t, struct tcp_conn *c, enum stream_end why)
{
    if (c->state != TCP_SYN_SENT && c->state != TCP_CLOSING && c->state != TCP_LAST_ACK)
        tcp_emit_reset(t, c);
    tcp_conn_kill(t, c, why);
}

static void conn_free(struct tcp *t, struct tcp_conn *c)
{
    tcp_rx_clear(t, c);
    tcp_ooo_clear(t, c);
    outbuf_clear(&c->stream.out);
    free(c->board);
    c->board = NULL;
    c->key.next = t->conns_free;
    t->conns_free = c->id;
    t->stats.conns_open--;
}

void tcp_conn_reap(struct tcp *t)
{
    uint32_t number = t->dead;
    t->dead = 0;
    while (number) {
        struct tcp_conn *c = conn_at(t, number);
        number = c->key.next;
        if (c->flags & (TCPF_IN_DELIVER | TCPF_IN_FLUSH)) {
            c->key.next = t->dead;
            t->dead = c->id;
        } else {
            conn_free(t, c);
        }
    }
}

void tcp_conn_challenge(struct tcp *t, struct tcp_conn *c)
{
    if (now_ms32(t) - c->challenge_ms >= TCP_CHALLENGE_PERIOD_MS) {
        c->challenge_ms = now_ms32(t);
        c->challenge_acks = 0;
    }
    if (c->challenge_acks >= TCP_CHALLENGE_ACKS_MAX) {
        t->stats.challenge_acks_limited++;
        return;
    }
    c->challenge_acks++;
    t->stats.challenge_acks++;
    tcp_conn_ack_now(t, c);
}
