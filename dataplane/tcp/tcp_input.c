/* Segments in: header prediction for the usual case, else the steps of RFC 9293, 3.10.7.4, with the
 * checks of RFC 5961 and RFC 7323. */
#include <string.h>
#include "tcp_engine.h"

#define HEADER_LEN 20
#define HEADER_WITH_TS_LEN 32

static inline uint32_t get_be32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return __builtin_bswap32(v);
}

/* --- the steps --- */

static uint32_t receive_window(const struct tcp_conn *c)
{
    return seq_lt(c->rcv_nxt, c->rcv_edge) ? c->rcv_edge - c->rcv_nxt : 0;
}

/* RFC 9293, 3.10.7.4, first. A segment at rcv_nxt passes a closed window too: its ACK counts, its
 * data is cut off. */
static bool in_window(const struct tcp_conn *c, const struct tcp_segment *s)
{
    uint32_t end = segment_end(s);
    if (s->seq == c->rcv_nxt)
        return true;
    uint32_t edge = c->rcv_nxt + receive_window(c);
    if (end == s->seq)
        return seq_leq(c->rcv_nxt, s->seq) && seq_lt(s->seq, edge);
    return seq_lt(c->rcv_nxt, end) && seq_lt(s->seq, edge);
}

/* Something old or far off: tell the peer where we are. Bare ACKs draw a limited number of answers,
 * so that two sides which disagree do not ACK each other for ever. */
static void out_of_window(struct tcp *t, struct tcp_conn *c, const struct tcp_segment *s)
{
    t->stats.out_of_window_in++;
    if (s->len == 0 && !(s->flags & (FLAG_SYN | FLAG_FIN))) {
        tcp_conn_challenge(t, c);
        return;
    }
    if (s->len && seq_lt(s->seq, c->rcv_nxt) && seq_leq(s->seq + s->len, c->rcv_nxt)) {
        tcp_rx_duplicate(t, c, s->seq, s->seq + s->len);
    }
    tcp_conn_ack_now(t, c);
}

/* RFC 7323, 5.3 R1: an older timestamp than the last in order. */
static bool paws_rejects(const struct tcp *t, const struct tcp_conn *c, const struct tcp_segment *s)
{
    return (c->flags & TCPF_TS) && s->options.has_ts && !(s->flags & FLAG_RST) &&
           seq_lt(s->options.ts_val, c->ts_recent) &&
           now_ms32(t) - c->ts_recent_ms < TCP_PAWS_IDLE_MS;
}

/* RFC 7323, 4.3: the timestamp that the next ACK echoes. */
static inline void ts_update(const struct tcp *t, struct tcp_conn *c, uint32_t seq, uint32_t ts_val)
{
    if (seq_leq(seq, c->last_ack_sent) && seq_leq(c->ts_recent, ts_val)) {
        c->ts_recent = ts_val;
        c->ts_recent_ms = now_ms32(t);
    }
}

/* RFC 5961, 3.2: exactly rcv_nxt resets, elsewhere in the window it must be proved. */
static void reset_input(struct tcp *t, struct tcp_conn *c, const struct tcp_segment *s)
{
    if (s->seq != c->rcv_nxt) {
        tcp_conn_challenge(t, c);
        return;
    }
    t->stats.resets_in++;
    bool refused = c->state == TCP_SYN_RECEIVED && (c->flags & TCPF_ACTIVE);
    tcp_conn_kill(t, c, refused ? STREAM_END_REFUSED : STREAM_END_RESET);
}

/* The handshake's third step. False: the segment is used up. */
static bool syn_received_ack(struct tcp *t, struct tcp_conn *c, const struct tcp_segment *s)
{
    if (s->ack != c->snd_una + 1) {
        tcp_emit_refusal(t, s);
        return false;
    }
    if (c->flags & TCPF_RTT_TIMING) {
        c->flags &= ~(uint32_t)TCPF_RTT_TIMING;
        tcp_rtt_sample(&c->rtt, (uint32_t)t->now_us - c->rtt_start_us);
    }
    c->snd_una = c->snd_nxt = c->snd_max = s->ack;
    c->snd_wnd = c->snd_wnd_max = (uint32_t)s->window << c->snd_scale;
    c->snd_wl1 = s->seq;
    tcp_conn_established(t, c);
    if (c->flags & TCPF_ACTIVE) {
        t->stats.connects++;
        tcp_conn_event(t, c, TCP_EV_CONNECTED);
        return true;
    }
    return tcp_listen_accept(t, c);
}

/* Both opened at once: the peer's SYN-ACK repeats the SYN that we have, its ACK is the third step
 * (RFC 9293, figure 8). */
static void syn_crossed(const struct tcp_conn *c, struct tcp_segment *s)
{
    const uint8_t both = FLAG_SYN | FLAG_ACK;
    if (c->state == TCP_SYN_RECEIVED && (c->flags & TCPF_ACTIVE) && (s->flags & both) == both &&
        s->seq + 1 == c->rcv_nxt && s->ack == c->snd_max) {
        s->flags &= (uint8_t)~FLAG_SYN;
        s->seq++;
    }
}

/* The peer's SYN again while ours waits: the same answer. */
static bool syn_repeated(struct tcp *t, struct tcp_conn *c, const struct tcp_segment *s)
{
    if (c->state != TCP_SYN_RECEIVED || (s->flags & (FLAG_SYN | FLAG_ACK | FLAG_RST)) != FLAG_SYN ||
        s->seq != c->rcv_nxt - 1)
        return false;
    c->flags |= TCPF_SYN_NOW;
    c->flags &= ~(uint32_t)TCPF_RTT_TIMING;
    tcp_conn_flush_later(t, c);
    return true;
}

/* Steps one to four: sequence number, RST, SYN, and that there is an ACK. */
static bool segment_acceptable(struct tcp *t, struct tcp_conn *c, const struct tcp_segment *s)
{
    if (syn_repeated(t, c, s))
        return false;
    if (paws_rejects(t, c, s)) {
        t->stats.paws_drops++;
        tcp_conn_challenge(t, c);
        return false;
    }
    if (!in_window(c, s)) {
        if (!(s->flags & FLAG_RST))
            out_of_window(t, c, s);
        return false;
    }
    if (s->flags & FLAG_RST) {
        reset_input(t, c, s);
        return false;
    }
    if (s->flags & FLAG_SYN) {
        tcp_conn_challenge(t, c);
        return false;
    }
    return (s->flags & FLAG_ACK) != 0;
}

void tcp_input_synchronized(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s)
{
    syn_crossed(c, s);
    if (!segment_acceptable(t, c, s))
        return;
    if (c->state == TCP_SYN_RECEIVED) {
        if (!syn_received_ack(t, c, s))
            return;
    } else if (!tcp_ack_input(t, c, s)) {
        return;
    }
    c->last_rx_ms = now_ms32(t);
    c->keepalive_probes = 0;
    if ((c->flags & TCPF_TS) && s->options.has_ts)
        ts_update(t, c, s->seq, s->options.ts_val);
    if ((s->len || (s->flags & FLAG_FIN)) && c->state != TCP_CLOSED)
        tcp_rx_input(t, c, s);
}

/* --- header prediction --- */

/* An mbuf without bytes inside a chain would look like the end of the data. */
static struct rte_mbuf *strip_empty(struct rte_mbuf *m)
{
    uint16_t segs = m->nb_segs;
    struct rte_mbuf *head = m;
    while (head->data_len == 0 && head->next) {
        m = head->next;
        rte_pktmbuf_free_seg(head);
        head = m;
        segs--;
    }
    for (m = head; m->next;) {
        struct rte_mbuf *next = m->next;
        if (next->data_len) {
            m = next;
            continue;
        }
        m->next = next->next;
        rte_pktmbuf_free_seg(next);
        segs--;
    }
    head->nb_segs = segs;
    return head;
}

static inline void payload_start(struct tcp_segment *s, uint32_t hlen)
{
    rte_pktmbuf_adj(s->m, (uint16_t)hlen);
    if (likely_false(s->m->nb_segs > 1))
        s->m = strip_empty(s->m);
}

/* An established connection, next in order, nothing unusual anywhere: one comparison each. */
static inline bool predicted(const struct tcp_conn *c, const struct rte_tcp_hdr *h, uint32_t hlen,
                             uint32_t seq, uint32_t ack, uint32_t len)
{
    const uint32_t unusual = TCPF_FAST_RECOVERY | TCPF_RTO_RECOVERY | TCPF_FIN_KNOWN |
                             TCPF_PERSIST | TCPF_FIN_WANTED | TCPF_ORPHAN;
    if (c->state != TCP_ESTABLISHED || (h->tcp_flags & ~FLAG_PSH) != FLAG_ACK ||
        seq != c->rcv_nxt || (c->flags & unusual) || c->ooo || c->board || c->dup_acks)
        return false;
    if (seq_lt(ack, c->snd_una) || seq_lt(c->snd_max, ack) || len > receive_window(c))
        return false;
    if (c->flags & TCPF_TS) {
        const uint8_t *options = (const uint8_t *)(h + 1);
        return hlen == HEADER_WITH_TS_LEN && get_be32(options) == TCP_OPTION_TS_WORD &&
               seq_leq(c->ts_recent, get_be32(options + 4));
    }
    return hlen == HEADER_LEN;
}

/* True: done with it. A bare ACK that moves nothing takes the long way (it may be a duplicate). */
static inline bool fast_path(struct tcp *t, struct tcp_conn *c, const struct rte_tcp_hdr *h,
                             struct tcp_segment *s, uint32_t hlen)
{
    if (!predicted(c, h, hlen, s->seq, s->ack, s->len) || (s->len == 0 && s->ack == c->snd_una))
        return false;
    c->last_rx_ms = now_ms32(t);
    c->keepalive_probes = 0;
    if (c->flags & TCPF_TS) {
        ts_update(t, c, s->seq, get_be32((const uint8_t *)(h + 1) + 4));
        s->options.has_ts = true;
        s->options.ts_ecr = get_be32((const uint8_t *)(h + 1) + 8);
    }
    uint32_t window_before = c->snd_wnd;
    tcp_ack_window(c, s->seq, s->ack, (uint32_t)s->window << c->snd_scale);
    if (s->ack != c->snd_una)
        tcp_ack_advance(t, c, s->ack, &s->options);
    if (c->snd_wnd > window_before && c->stream.out.len)
        tcp_conn_flush_later(t, c);
    if (s->len) {
        c->flags |= TCPF_ACK_LATER;
        tcp_conn_flush_later(t, c);
        payload_start(s, hlen);
        tcp_rx_in_order(t, c, s);
    }
    return true;
}

/* --- entry --- */

static void segment_dispatch(struct tcp *t, struct tcp_key *key, uint32_t number,
                             struct tcp_segment *s)
{
    uint32_t isn_min = 0;
    if (key && !(number & TCP_NUMBER_WAIT)) {
        struct tcp_conn *c = conn_at(t, number);
        if (c->state == TCP_SYN_SENT)
            tcp_connect_input(t, c, s);
        else
            tcp_input_synchronized(t, c, s);
        return;
    }
    struct tcp_listener *l = tcp_listener_find(t, s->local_port);
    if (key) {
        struct tcp_time_wait *w = wait_at(t, number);
        if (!tcp_time_wait_input(t, w, s, l ? &isn_min : NULL))
            return;
    }
    if (l)
        tcp_listen_input(t, l, s, isn_min);
    else
        tcp_emit_refusal(t, s);
}

/* Ports 0 and a segment from ourselves to ourselves (the LAND attack) are nobody's. */
static bool addresses_bad(const struct tcp_segment *s)
{
    return s->remote_port == 0 || s->local_port == 0 ||
           (s->remote_port == s->local_port && ip_addr_equal(&s->packet->src, &s->packet->dst));
}

static uint32_t header_read(const struct rte_tcp_hdr *h, struct tcp_segment *s)
{
    s->seq = __builtin_bswap32(h->sent_seq);
    s->ack = __builtin_bswap32(h->recv_ack);
    s->window = __builtin_bswap16(h->rx_win);
    s->flags = h->tcp_flags & (FLAG_FIN | FLAG_SYN | FLAG_RST | FLAG_PSH | FLAG_ACK | FLAG_URG);
    s->remote_port = __builtin_bswap16(h->src_port);
    s->local_port = __builtin_bswap16(h->dst_port);
    return (uint32_t)(h->data_off >> 4) * 4;
}

static void segment_input(struct tcp *t, struct tcp_segment *s)
{
    const struct rte_tcp_hdr *h = rte_pktmbuf_mtod(s->m, const struct rte_tcp_hdr *);
    uint32_t hlen = header_read(h, s);
    if (hlen < HEADER_LEN || hlen > s->m->data_len || addresses_bad(s)) {
        t->stats.header_bad++;
        return;
    }
    s->len = s->m->pkt_len - hlen;
    struct flow_tuple tuple;
    tcp_segment_tuple(s, &tuple);
    uint32_t number = 0;
    struct tcp_key *key = tcp_table_find(t, &tuple, s->packet->flow_hash, &number);
    if (key && !(number & TCP_NUMBER_WAIT) && fast_path(t, conn_at(t, number), h, s, hlen))
        return;
    tcp_options_parse((const uint8_t *)(h + 1), hlen - HEADER_LEN, s->flags & FLAG_SYN,
                      &s->options);
    payload_start(s, hlen);
    segment_dispatch(t, key, number, s);
}

void tcp_input_segment(void *l4, struct rte_mbuf *m, const struct l4_packet *p)
{
    struct tcp *t = l4;
    tcp_clock(t);
    t->stats.segments_in++;
    struct tcp_segment s;
    s.m = m;
    s.packet = p;
    if (!p->checksum_good)
        t->stats.checksum_bad++;
    else if (m->data_len < HEADER_LEN)
        t->stats.header_bad++;
    else
        segment_input(t, &s);
    if (s.m)
        rte_pktmbuf_free(s.m);
}
