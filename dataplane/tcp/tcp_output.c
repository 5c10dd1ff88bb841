/* What a connection sends in one tcp_flush(): a handshake, retransmissions, new data, the FIN, a
 * probe, or a bare ACK if nothing else carried it. */
#include "tcp_engine.h"
#include "tcp_sack.h"

/* The rest of this flush's fair share, and whether the pool ran dry. */
struct quota {
    uint32_t bytes;
    bool dry;
};

static void timer_ensure(struct tcp *t, struct tcp_conn *c)
{
    if (tcp_timer_armed(c, TCP_TIMER_RTX) && !(c->flags & TCPF_PERSIST))
        return;
    c->flags &= ~(uint32_t)TCPF_PERSIST;
    c->progress_ms = now_ms32(t);
    tcp_timer_arm(t, c, TCP_TIMER_RTX, tcp_rtt_rto_ms(&c->rtt));
}

static void retransmission_count(struct tcp *t, struct tcp_conn *c)
{
    t->stats.retransmitted_segments++;
    if (c->retransmits < UINT16_MAX)
        c->retransmits++;
}

/* Proportional rate reduction counts what recovery sends. */
static void sent_in_recovery(struct tcp_conn *c, uint32_t len)
{
    if ((c->flags & TCPF_FAST_RECOVERY) && c->board)
        c->board->prr.out_bytes += len;
}

static bool output_syn(struct tcp *t, struct tcp_conn *c)
{
    if (!(c->flags & TCPF_SYN_NOW))
        return true;
    if (!tcp_emit_syn(t, c))
        return false;
    c->flags &= ~(uint32_t)TCPF_SYN_NOW;
    if (!(c->flags & TCPF_SYN_RESENT) && !(c->flags & TCPF_RTT_TIMING)) {
        c->flags |= TCPF_RTT_TIMING;
        c->rtt_seq = c->snd_max;
        c->rtt_start_us = (uint32_t)t->now_us;
    }
    timer_ensure(t, c);
    return true;
}

/* --- retransmissions --- */

/* Sends old bytes again; the FIN too when they reach it. What was sent; 0: no mbuf. */
static uint32_t resend(struct tcp *t, struct tcp_conn *c, uint32_t seq, uint32_t len,
                       struct quota *q)
{
    uint32_t data_end = c->snd_una + (uint32_t)c->stream.out.len;
    bool fin = (c->flags & TCPF_FIN_SENT) && seq_lt(data_end, seq + len);
    uint32_t data = fin ? data_end - seq : len;
    struct tcp_emit e = {.seq = seq, .len = data, .flags = fin ? FLAG_FIN : 0};
    if (seq + data == data_end && data)
        e.flags |= FLAG_PSH;
    if (!tcp_emit(t, c, &e)) {
        q->dry = true;
        return 0;
    }
    c->flags &= ~(uint32_t)TCPF_RTT_TIMING;
    retransmission_count(t, c);
    sent_in_recovery(c, len);
    q->bytes -= len < q->bytes ? len : q->bytes;
    timer_ensure(t, c);
    return len;
}

/* The segment at snd_una, as far as it is not SACKed, even into a closed window. */
static void resend_first(struct tcp *t, struct tcp_conn *c, struct quota *q)
{
    uint32_t len = seq_min(c->snd_una + tcp_payload_max(c), c->snd_max) - c->snd_una;
    struct tcp_block hole;
    if (c->board && tcp_sack_hole(c->board, c->snd_una, c->snd_una + len, &hole))
        len = hole.right - hole.left;
    if (len) {
        len = resend(t, c, c->snd_una, len, q);
        if (len == 0)
            return;
        c->rtx_next = seq_max(c->rtx_next, c->snd_una + len);
        if (seq_lt(c->snd_nxt, c->snd_una + len)) {
            c->snd_nxt = c->snd_una + len;
            c->flags &= ~(uint32_t)TCPF_CURSOR;
        }
    }
    c->flags &= ~(uint32_t)TCPF_RETRANSMIT_NOW;
}

static bool cwnd_allows(const struct tcp_conn *c)
{
    return tcp_ack_pipe(c) + tcp_payload_max(c) <= c->cc.cwnd_bytes;
}

/* NextSeg rule 1 of RFC 6675, 4: what is lost, in order, while the pipe has room. */
static void resend_lost(struct tcp *t, struct tcp_conn *c, struct quota *q)
{
    struct tcp_block hole;
    while (c->board && q->bytes && !q->dry && cwnd_allows(c)) {
        uint32_t edge = tcp_sack_lost_edge(c->board, c->snd_una, c->mss);
        if (!tcp_sack_hole(c->board, seq_max(c->rtx_next, c->snd_una), edge, &hole))
            return;
        uint32_t len = hole.right - hole.left;
        uint32_t most = tcp_payload_max(c);
        len = resend(t, c, hole.left, len < most ? len : most, q);
        if (len)
            c->rtx_next = hole.left + len;
    }
}

/* Rules 3 and 4: with nothing lost for certain and nothing new, the next hole, or once the end. */
static void resend_likely(struct tcp *t, struct tcp_conn *c, struct quota *q)
{
    if (!c->board || c->board->count == 0 || !q->bytes || q->dry || !cwnd_allows(c))
        return;
    uint32_t most = tcp_payload_max(c);
    uint32_t highest = c->board->range[c->board->count - 1].right;
    struct tcp_block hole;
    if (tcp_sack_hole(c->board, seq_max(c->rtx_next, c->snd_una), highest, &hole)) {
        uint32_t len = hole.right - hole.left < most ? hole.right - hole.left : most;
        if (resend(t, c, hole.left, len, q))
            c->rtx_next = hole.left + len;
    } else if (!(c->flags & TCPF_RESCUED) && seq_lt(highest, c->snd_max)) {
        uint32_t len = c->snd_max - highest < most ? c->snd_max - highest : most;
        if (resend(t, c, c->snd_max - len, len, q))
            c->flags |= TCPF_RESCUED;
    }
}

/* --- new data --- */

/* After a timeout snd_nxt walks over old data once more; what the peer SACKed is left out. */
static void skip_sacked(struct tcp_conn *c)
{
    struct tcp_block hole;
    if (!c->board || c->snd_nxt == c->snd_max)
        return;
    uint32_t to = c->snd_max;
    if (tcp_sack_hole(c->board, c->snd_nxt, c->snd_max, &hole))
        to = hole.left;
    if (to != c->snd_nxt) {
        c->snd_nxt = to;
        c->flags &= ~(uint32_t)TCPF_CURSOR;
    }
}

/* How much of avail may leave now. Whole segments or all that there is; less only where the window,
 * not cwnd, is the limit and half of the largest window is free (RFC 9293, 3.8.6.2.1; Nagle is
 * off). */
static uint32_t send_len(struct tcp *t, struct tcp_conn *c, uint32_t avail)
{
    int32_t window = (int32_t)(c->snd_una + c->snd_wnd - c->snd_nxt);
    uint32_t pipe = tcp_ack_pipe(c);
    uint32_t cwnd = c->cc.cwnd_bytes > pipe ? c->cc.cwnd_bytes - pipe : 0;
    uint32_t mss = tcp_payload_max(c);
    if (cwnd < avail)
        c->flags |= TCPF_CWND_LIMITED;
    if (window <= 0)
        return 0;
    uint32_t len = avail < (uint32_t)window ? avail : (uint32_t)window;
    if (len > cwnd)
        len = cwnd;
    if (len >= mss) {
        uint32_t most = t->tso_bytes_max ? t->tso_bytes_max : mss;
        if (len > most)
            len = most;
        return len == avail ? len : len - len % mss;
    }
    if (len == avail || (c->flags & TCPF_FORCE_ONE))
        return len;
    return len == (uint32_t)window && len >= c->snd_wnd_max / 2 ? len : 0;
}

/* A hole below snd_max after a timeout ends where SACKed data begins. */
static uint32_t clip_to_hole(const struct tcp_conn *c, uint32_t len)
{
    struct tcp_block hole;
    if (!c->board || c->snd_nxt == c->snd_max ||
        !tcp_sack_hole(c->board, c->snd_nxt, c->snd_max, &hole))
        return len;
    return len < hole.right - hole.left ? len : hole.right - hole.left;
}

static void rtt_start(struct tcp *t, struct tcp_conn *c, uint32_t end)
{
    if (c->flags & (TCPF_RTT_TIMING | TCPF_FAST_RECOVERY | TCPF_RTO_RECOVERY))
        return;
    c->flags |= TCPF_RTT_TIMING;
    c->rtt_seq = end;
    c->rtt_start_us = (uint32_t)t->now_us;
}

/* Sends len > 0 bytes at snd_nxt, with the FIN when it follows them. */
static bool send_data(struct tcp *t, struct tcp_conn *c, uint32_t len, bool fin)
{
    uint32_t offset = c->snd_nxt - c->snd_una;
    if (!(c->flags & TCPF_CURSOR) || offset == 0) {
        outbuf_seek(&c->stream.out, &c->cursor, offset);
        c->flags |= TCPF_CURSOR;
    }
    struct tcp_emit e = {.seq = c->snd_nxt, .len = len, .cursor = &c->cursor};
    if (offset + len == c->stream.out.len)
        e.flags = fin ? FLAG_PSH | FLAG_FIN : FLAG_PSH;
    if (!tcp_emit(t, c, &e))
        return false;
    bool fresh = c->snd_nxt == c->snd_max;
    c->snd_nxt += len + ((e.flags & FLAG_FIN) != 0);
    if (e.flags & FLAG_FIN)
        c->flags |= TCPF_FIN_SENT;
    if (fresh) {
        rtt_start(t, c, c->snd_nxt);
    } else {
        retransmission_count(t, c);
    }
    c->snd_max = seq_max(c->snd_max, c->snd_nxt);
    sent_in_recovery(c, len);
    timer_ensure(t, c);
    return true;
}

/* Bytes of stream.out from snd_nxt on. */
static uint32_t unsent(const struct tcp_conn *c)
{
    uint32_t sent = c->snd_nxt - c->snd_una;
    uint64_t len = c->stream.out.len;
    if (len <= sent)
        return 0;
    return len - sent > INT32_MAX ? INT32_MAX : (uint32_t)(len - sent);
}

/* RFC 5681, 4.1. */
static void restart_after_idle(struct tcp *t, struct tcp_conn *c)
{
    if (c->snd_una == c->snd_max && now_ms32(t) - c->last_tx_ms > tcp_rtt_rto_ms(&c->rtt))
        tcp_cc_restart(&c->cc, tcp_payload_max(c));
}

static void output_data(struct tcp *t, struct tcp_conn *c, struct quota *q)
{
    bool fin_follows = (c->flags & TCPF_FIN_WANTED) && !(c->flags & TCPF_RESET_AT_END);
    while (q->bytes && !q->dry) {
        skip_sacked(c);
        uint32_t avail = unsent(c);
        if (avail == 0)
            return;
        uint32_t len = clip_to_hole(c, send_len(t, c, avail));
        if (len > t->frame_room - 60u)
            len = t->frame_room - 60u;
        if (len == 0)
            return;
        if (!send_data(t, c, len, fin_follows)) {
            q->dry = true;
            return;
        }
        c->flags &= ~(uint32_t)TCPF_FORCE_ONE;
        q->bytes -= len < q->bytes ? len : q->bytes;
    }
}

static void output_fin(struct tcp *t, struct tcp_conn *c, struct quota *q)
{
    uint32_t fin_seq = c->snd_una + (uint32_t)c->stream.out.len;
    if (!(c->flags & TCPF_FIN_WANTED) || c->snd_nxt != fin_seq || q->dry)
        return;
    if ((c->flags & TCPF_FIN_SENT) && c->snd_una == c->snd_max)
        return;
    if (c->flags & TCPF_RESET_AT_END)
        return;
    struct tcp_emit e = {.seq = fin_seq, .flags = FLAG_FIN};
    if (!tcp_emit(t, c, &e)) {
        q->dry = true;
        return;
    }
    c->flags |= TCPF_FIN_SENT;
    c->snd_nxt = fin_seq + 1;
    c->snd_max = seq_max(c->snd_max, c->snd_nxt);
    timer_ensure(t, c);
}

/* Data waits, nothing is in flight, and no ACK need come: only a timer gets it going again. */
static void persist_ensure(struct tcp *t, struct tcp_conn *c)
{
    if (c->snd_una != c->snd_max || unsent(c) == 0 || tcp_timer_armed(c, TCP_TIMER_RTX))
        return;
    c->flags |= TCPF_PERSIST;
    c->progress_ms = now_ms32(t);
    tcp_timer_arm(t, c, TCP_TIMER_RTX, tcp_rtt_rto_ms(&c->rtt));
}

/* An old sequence number: whoever is there must answer (RFC 9293, 3.8.4 and 3.8.6.1). */
static void output_probe(struct tcp *t, struct tcp_conn *c)
{
    struct tcp_emit e = {.seq = c->snd_una - 1};
    if ((c->flags & TCPF_PROBE_NOW) && tcp_emit(t, c, &e))
        c->flags &= ~(uint32_t)TCPF_PROBE_NOW;
}

/* A bare ACK counts only when its sequence number is in the peer's window: the highest that we sent
 * (not snd_nxt, which goes back after a timeout), or the edge of a window that has shrunk. */
static uint32_t ack_seq(const struct tcp_conn *c)
{
    uint32_t edge = c->snd_una + c->snd_wnd;
    return seq_leq(c->snd_max, edge) ? c->snd_max : edge;
}

/* RFC 5681, 4.2: at once for every second full segment, else with the next data or by the timer. */
static void output_ack(struct tcp *t, struct tcp_conn *c, struct quota *q)
{
    if ((c->flags & TCPF_ACK_LATER) && c->rcv_nxt - c->last_ack_sent >= 2u * c->rcv_mss)
        c->flags |= TCPF_ACK_NOW;
    if (c->flags & TCPF_ACK_NOW) {
        struct tcp_emit e = {.seq = ack_seq(c)};
        q->dry |= !tcp_emit(t, c, &e);
    } else if ((c->flags & TCPF_ACK_LATER) && !tcp_timer_armed(c, TCP_TIMER_ACK)) {
        tcp_timer_arm(t, c, TCP_TIMER_ACK, TCP_DELAYED_ACK_MS);
    }
}

static void output_recovery(struct tcp *t, struct tcp_conn *c, struct quota *q)
{
    if (c->flags & TCPF_RETRANSMIT_NOW)
        resend_first(t, c, q);
    if (c->flags & TCPF_FAST_RECOVERY)
        resend_lost(t, c, q);
}

bool tcp_output_conn(struct tcp *t, struct tcp_conn *c)
{
    if (c->state <= TCP_SYN_RECEIVED)
        return output_syn(t, c);
    struct quota q = {.bytes = TCP_FLUSH_BYTES_MAX};
    if ((c->flags & TCPF_RESET_AT_END) && c->stream.out.len == 0) {
        tcp_conn_abort(t, c, STREAM_END_ABORTED);
        return true;
    }
    if (c->flags & (TCPF_RETRANSMIT_NOW | TCPF_FAST_RECOVERY))
        output_recovery(t, c, &q);
    if (c->stream.out.len) {
        restart_after_idle(t, c);
        c->flags &= ~(uint32_t)TCPF_CWND_LIMITED;
        output_data(t, c, &q);
    }
    if (c->flags & TCPF_FIN_WANTED)
        output_fin(t, c, &q);
    if (c->flags & TCPF_FAST_RECOVERY)
        resend_likely(t, c, &q);
    persist_ensure(t, c);
    if (c->flags & TCPF_PROBE_NOW)
        output_probe(t, c);
    output_ack(t, c, &q);
    return q.bytes != 0 && !q.dry;
}
