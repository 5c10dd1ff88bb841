/* What the peer's acknowledgements do to the sender: RFC 9293, 3.10.7.4; RFC 5681; RFC 6582
 * (recovery without SACK); RFC 6675 (with it); RFC 6298, 5 (the timer). */
#include <stdlib.h>
#include <string.h>
#include "tcp_engine.h"
#include "tcp_sack.h"

static struct tcp_cc_event cc_event(const struct tcp *t, const struct tcp_conn *c)
{
    return (struct tcp_cc_event){.mss = tcp_payload_max(c),
                                 .flight_bytes = c->snd_max - c->snd_una,
                                 .now_ms = now_ms32(t),
                                 .srtt_us = c->rtt.srtt_us};
}

uint32_t tcp_ack_pipe(const struct tcp_conn *c)
{
    uint32_t flight = c->snd_nxt - c->snd_una;
    if (c->board) {
        if (c->flags & TCPF_FAST_RECOVERY)
            return tcp_sack_pipe(c->board, c->snd_una, c->snd_nxt, c->rtx_next, c->mss);
        return tcp_sack_missing(c->board, c->snd_una, c->snd_nxt);
    }
    /* Without SACK every duplicate ACK stands for one segment that has left the network. */
    uint32_t left = c->dup_acks * tcp_payload_max(c);
    return left < flight ? flight - left : 0;
}

static void rtt_measure(struct tcp *t, struct tcp_conn *c, uint32_t ack,
                        const struct tcp_options *o)
{
    if (c->flags & TCPF_RTT_TIMING) {
        if (seq_lt(ack, c->rtt_seq))
            return;
        c->flags &= ~(uint32_t)TCPF_RTT_TIMING;
        tcp_rtt_sample(&c->rtt, (uint32_t)t->now_us - c->rtt_start_us);
    } else if ((c->flags & TCPF_TS) && o && o->has_ts && o->ts_ecr) {
        /* After a retransmission only the echoed timestamp says which one was acknowledged. */
        uint32_t age_ms = now_ms32(t) + c->ts_offset - o->ts_ecr;
        if (age_ms <= TCP_RTO_MAX_MS)
            tcp_rtt_sample(&c->rtt, age_ms ? age_ms * 1000 : TCP_CLOCK_US / 2);
    }
}

static void board_free_if_empty(struct tcp_conn *c)
{
    if (c->board && c->board->count == 0 && !(c->flags & TCPF_FAST_RECOVERY)) {
        free(c->board);
        c->board = NULL;
    }
}

static void recovery_exit(struct tcp_conn *c)
{
    if (c->flags & TCPF_FAST_RECOVERY)
        c->cc.cwnd_bytes = c->cc.ssthresh_bytes;
    c->flags &=
        ~(uint32_t)(TCPF_FAST_RECOVERY | TCPF_RTO_RECOVERY | TCPF_RETRANSMIT_NOW | TCPF_RESCUED);
    c->dup_acks = 0;
}

/* RFC 6582, 3.2 step 3 and RFC 6675, 5: full acknowledgement ends recovery, a partial one
 * retransmits. */
static void recovery_advance(struct tcp_conn *c, uint32_t acked)
{
    if (!(c->flags & (TCPF_FAST_RECOVERY | TCPF_RTO_RECOVERY))) {
        c->dup_acks = 0;
        return;
    }
    if (seq_leq(c->recover, c->snd_una)) {
        recovery_exit(c);
        return;
    }
    if (!(c->flags & TCPF_FAST_RECOVERY)) {
        c->dup_acks = 0;
        return;
    }
    c->rtx_next = seq_max(c->rtx_next, c->snd_una);
    if (!(c->flags & TCPF_SACK)) {
        /* Each duplicate ACK that is covered now no longer shortens the pipe. */
        uint32_t segments = acked / tcp_payload_max(c);
        c->dup_acks = (uint8_t)(segments < c->dup_acks ? c->dup_acks - segments : 0);
        c->flags |= TCPF_RETRANSMIT_NOW;
    }
}

/* RFC 6298, 5.2 and 5.3. */
static void timer_restart(struct tcp *t, struct tcp_conn *c)
{
    c->flags &= ~(uint32_t)TCPF_PERSIST;
    c->tries = 0;
    if (c->snd_una == c->snd_max)
        tcp_timer_disarm(c, TCP_TIMER_RTX);
    else
        tcp_timer_arm(t, c, TCP_TIMER_RTX, tcp_rtt_rto_ms(&c->rtt));
}

static void congestion_acked(struct tcp *t, struct tcp_conn *c, uint32_t acked)
{
    if (!(c->flags & TCPF_CWND_LIMITED) || (c->flags & TCPF_FAST_RECOVERY))
        return;
    struct tcp_cc_event e = cc_event(t, c);
    /* After a timeout the acknowledged bytes may be old ones: one segment per ACK (RFC 3465, 2.3).
     */
    e.acked_bytes = (c->flags & TCPF_RTO_RECOVERY) && acked > e.mss ? e.mss : acked;
    t->cc->acked(&c->cc, &e);
}

/* ack is in (snd_una, snd_max], our SYN is acknowledged. */
void tcp_ack_advance(struct tcp *t, struct tcp_conn *c, uint32_t ack, const struct tcp_options *o)
{
    uint32_t acked = ack - c->snd_una;
    bool fin_acked =
        (c->flags & TCPF_FIN_SENT) && ack == c->snd_max && acked == c->stream.out.len + 1;
    uint32_t data = acked - fin_acked;
    rtt_measure(t, c, ack, o);
    congestion_acked(t, c, acked);
    if (data)
        outbuf_drop(&c->stream.out, data);
    c->snd_una = ack;
    if (seq_leq(c->snd_nxt, ack)) {
        c->snd_nxt = ack;
        c->flags &= ~(uint32_t)TCPF_CURSOR;
    }
    c->progress_ms = now_ms32(t);
    if (c->board) {
        tcp_sack_advance(c->board, ack);
        c->board->rtx_mark = c->snd_max;
    }
    recovery_advance(c, acked);
    board_free_if_empty(c);
    timer_restart(t, c);
    if (data)
        tcp_conn_event(t, c, TCP_EV_DRAINED);
    if (fin_acked)
        tcp_close_fin_acked(t, c);
    else if (c->stream.out.len || (c->flags & (TCPF_FIN_WANTED | TCPF_RESET_AT_END)))
        tcp_conn_flush_later(t, c);
}

static uint32_t sack_input(struct tcp_conn *c, const struct tcp_options *o)
{
    uint32_t fresh = 0;
    for (uint32_t i = 0; i < o->sack_count; i++) {
        if (!c->board) {
            /* Only blocks that can be true cost memory. */
            if (!tcp_sack_block_valid(c->snd_una, c->snd_max, o->sack[i]))
                continue;
            c->board = malloc(sizeof(*c->board));
            if (!c->board)
                return 0; /* as if it had not been told */
            c->board->count = c->board->bytes = 0;
            tcp_prr_begin(&c->board->prr, 0);
            c->board->rtx_mark = c->snd_max;
        }
        fresh += tcp_sack_add(c->board, c->snd_una, c->snd_max, o->sack[i]);
    }
    return fresh;
}

static void fast_recovery_enter(struct tcp *t, struct tcp_conn *c)
{
    struct tcp_cc_event e = cc_event(t, c);
    t->cc->loss(&c->cc, &e);
    t->stats.fast_retransmits++;
    c->recover = c->snd_max;
    c->rtx_next = c->snd_una;
    c->flags |= TCPF_FAST_RECOVERY | TCPF_RETRANSMIT_NOW;
    if (c->board) {
        tcp_prr_begin(&c->board->prr, e.flight_bytes);
        c->board->rtx_mark = c->snd_max;
    }
    c->flags &= ~(uint32_t)(TCPF_RESCUED | TCPF_RTT_TIMING);
    /* RFC 6298 lets the timer run on; it starts afresh with the retransmission (RFC 6675, 5,
     * step 4.3). */
    tcp_timer_arm(t, c, TCP_TIMER_RTX, tcp_rtt_rto_ms(&c->rtt));
}

static bool loss_is_certain(const struct tcp_conn *c)
{
    if (c->dup_acks >= TCP_DUP_ACKS)
        return true;
    return c->board && tcp_sack_lost_edge(c->board, c->snd_una, c->mss) != c->snd_una;
}

/* An ACK that moved nothing but says that a segment has arrived. */
static void duplicate_ack(struct tcp *t, struct tcp_conn *c)
{
    t->stats.dup_acks_in++;
    tcp_conn_flush_later(t, c);
    if (c->flags & TCPF_RTO_RECOVERY)
        return;
    if (c->dup_acks < UINT8_MAX)
        c->dup_acks++;
    if (c->flags & TCPF_FAST_RECOVERY)
        return;
    /* RFC 6582, 3.2 step 2: duplicates of what a former recovery sent twice mean nothing. */
    if (!loss_is_certain(c) || (seq_lt(c->snd_una, c->recover) && !(c->flags & TCPF_SACK)))
        return;
    fast_recovery_enter(t, c);
}

void tcp_ack_window(struct tcp_conn *c, uint32_t seq, uint32_t ack, uint32_t window)
{
    if (seq_leq(c->snd_wl1, seq)) {
        c->snd_wnd = window;
        c->snd_wl1 = seq;
        if (window > c->snd_wnd_max)
            c->snd_wnd_max = window;
    }
}

/* The window opened while the persist timer ran, or closed with nothing in flight. */
static void window_changed(struct tcp *t, struct tcp_conn *c, uint32_t before)
{
    if (c->snd_wnd == 0 && !(c->flags & TCPF_ORPHAN)) {
        /* A peer that answers is alive (RFC 9293, 3.8.6.1). */
        c->progress_ms = now_ms32(t);
        c->tries = 0;
    }
    if ((c->flags & TCPF_PERSIST) && c->snd_wnd > before) {
        c->flags &= ~(uint32_t)TCPF_PERSIST;
        tcp_timer_disarm(c, TCP_TIMER_RTX);
    } else if (c->flags & TCPF_PERSIST) {
        tcp_timer_arm(t, c, TCP_TIMER_RTX, tcp_rtt_rto_ms(&c->rtt));
    }
    /* What was lost to the closed window need not wait for a timeout that has grown meanwhile. */
    if (before == 0 && c->snd_una != c->snd_max && (c->flags & TCPF_RTO_RECOVERY))
        c->flags |= TCPF_RETRANSMIT_NOW;
    if (c->snd_wnd > before)
        tcp_conn_flush_later(t, c);
}

/* Three segments that left after the retransmission of the first hole have arrived, it has not: it
 * was lost as well. RFC 6675 would wait for the timeout. */
static void retransmission_watch(struct tcp_conn *c)
{
    struct tcp_sack_board *b = c->board;
    if (b->count == 0 || !seq_lt(c->snd_una, c->rtx_next))
        return;
    int32_t above = (int32_t)(b->range[b->count - 1].right - b->rtx_mark);
    if (above < TCP_DUP_ACKS * (int32_t)tcp_payload_max(c))
        return;
    b->rtx_mark = c->snd_max;
    c->flags |= TCPF_RETRANSMIT_NOW;
}

/* delivered: what this ACK told of, by the cumulative number or by new blocks. */
static void recovery_pace(struct tcp_conn *c, uint32_t delivered)
{
    if (!(c->flags & TCPF_FAST_RECOVERY) || !c->board)
        return;
    retransmission_watch(c);
    c->cc.cwnd_bytes = tcp_prr_acked(&c->board->prr, delivered, tcp_ack_pipe(c),
                                     c->cc.ssthresh_bytes, tcp_payload_max(c));
}

bool tcp_ack_input(struct tcp *t, struct tcp_conn *c, const struct tcp_segment *s)
{
    /* RFC 5961, 5.2: what is older than the largest window cannot be the peer's. */
    if (seq_lt(s->ack, c->snd_una - c->snd_wnd_max) || seq_lt(c->snd_max, s->ack)) {
        tcp_conn_challenge(t, c);
        return false;
    }
    uint32_t window_before = c->snd_wnd;
    uint32_t window = (uint32_t)s->window << c->snd_scale;
    bool outstanding = c->snd_una != c->snd_max;
    uint32_t fresh = 0, told_before = c->snd_una + (c->board ? c->board->bytes : 0);
    if (s->options.sack_count && (c->flags & TCPF_SACK))
        fresh = sack_input(c, &s->options);
    if (seq_lt(c->snd_una, s->ack)) {
        tcp_ack_window(c, s->seq, s->ack, window);
        tcp_ack_advance(t, c, s->ack, &s->options);
        if (c->state == TCP_CLOSED)
            return false;
        if (fresh && c->board && !(c->flags & (TCPF_FAST_RECOVERY | TCPF_RTO_RECOVERY)) &&
            tcp_sack_lost_edge(c->board, c->snd_una, c->mss) != c->snd_una)
            fast_recovery_enter(t, c);
    } else if (s->ack == c->snd_una) {
        tcp_ack_window(c, s->seq, s->ack, window);
        bool bare = s->len == 0 && !(s->flags & FLAG_FIN);
        /* RFC 5681, 2 without SACK; with it, an ACK that brings new blocks (RFC 6675, 2). */
        bool duplicate = c->flags & TCPF_SACK ? fresh != 0 : bare && window == window_before;
        if (outstanding && duplicate)
            duplicate_ack(t, c);
    }
    recovery_pace(c, c->snd_una + (c->board ? c->board->bytes : 0) - told_before);
    if (c->snd_wnd != window_before || c->snd_wnd == 0)
        window_changed(t, c, window_before);
    return true;
}

void tcp_ack_go_back(struct tcp_conn *c)
{
    c->flags &= ~(uint32_t)(TCPF_FAST_RECOVERY | TCPF_RESCUED | TCPF_RTT_TIMING | TCPF_CURSOR);
    board_free_if_empty(c);
    c->recover = c->snd_max;
    c->dup_acks = 0;
    c->snd_nxt = c->snd_una;
    c->rtx_next = c->snd_una;
}

/* RFC 6298, 5.4 to 5.6 and RFC 5681, 3.1: back to snd_una, one segment. */
void tcp_ack_timeout(struct tcp *t, struct tcp_conn *c)
{
    t->stats.rto_fired++;
    if (!(c->flags & TCPF_RTO_RECOVERY) || seq_lt(c->recover, c->snd_una)) {
        struct tcp_cc_event e = cc_event(t, c);
        uint32_t ssthresh = c->cc.ssthresh_bytes;
        t->cc->timeout(&c->cc, &e);
        /* What is outstanding counts SACKed data too: never up from where recovery has just put it.
         */
        if ((c->flags & TCPF_FAST_RECOVERY) && c->cc.ssthresh_bytes > ssthresh)
            c->cc.ssthresh_bytes = ssthresh;
    } else {
        c->cc.cwnd_bytes = tcp_payload_max(c);
    }
    /* The peer may have dropped what it SACKed (RFC 2018, 8): at the second timeout in a row the
     * scoreboard is no longer believed. */
    if (c->board && c->rtt.backoff > 0) {
        free(c->board);
        c->board = NULL;
    }
    tcp_rtt_backoff(&c->rtt);
    tcp_ack_go_back(c);
    c->flags |= TCPF_RTO_RECOVERY | TCPF_RETRANSMIT_NOW;
    tcp_timer_arm(t, c, TCP_TIMER_RTX, tcp_rtt_rto_ms(&c->rtt));
    tcp_conn_flush_later(t, c);
}
