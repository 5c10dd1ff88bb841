#include "tcp_engine.h"
#include "tcp_ooo.h"

/* Below this much advertised window consume() asks whether an update is due. */
#define WINDOW_COMFORT 65536u
/* What an mbuf is taken to hold when the pool, not the byte budget, limits the window. */
#define BYTES_PER_MBUF 512u

struct rte_mbuf *tcp_rx_trim_front(struct rte_mbuf *m, uint32_t len)
{
    uint16_t segs = m->nb_segs;
    while (m && len >= m->data_len) {
        struct rte_mbuf *next = m->next;
        len -= m->data_len;
        rte_pktmbuf_free_seg(m);
        m = next;
        segs--;
    }
    if (m) {
        m->nb_segs = segs;
        m->data_off = (uint16_t)(m->data_off + len);
        m->data_len = (uint16_t)(m->data_len - len);
    }
    return m;
}

void tcp_rx_trim_to(struct rte_mbuf *m, uint32_t len)
{
    struct rte_mbuf *head = m;
    uint16_t segs = 1;
    while (len > m->data_len) {
        len -= m->data_len;
        m = m->next;
        segs++;
    }
    m->data_len = (uint16_t)len;
    struct rte_mbuf *rest = m->next;
    m->next = NULL;
    head->nb_segs = segs;
    while (rest) {
        struct rte_mbuf *next = rest->next;
        rte_pktmbuf_free_seg(rest);
        rest = next;
    }
}

bool tcp_rx_coalesce(struct rte_mbuf *tail, struct rte_mbuf *m)
{
    uint16_t len = m->data_len;
    if (len > rte_pktmbuf_tailroom(tail) || !RTE_MBUF_DIRECT(tail) ||
        rte_mbuf_refcnt_read(tail) != 1)
        return false;
    memcpy(rte_pktmbuf_mtod_offset(tail, char *, tail->data_len), rte_pktmbuf_mtod(m, char *), len);
    tail->data_len = (uint16_t)(tail->data_len + len);
    rte_pktmbuf_free_seg(m);
    return true;
}

void tcp_rx_duplicate(struct tcp *t, struct tcp_conn *c, uint32_t left, uint32_t right)
{
    t->dsack = (struct tcp_block){left, right};
    t->dsack_conn = c->id;
    c->flags |= TCPF_DSACK;
}

static bool rx_fits(const struct tcp *t, const struct tcp_conn *c, uint32_t len, uint32_t mbufs)
{
    return t->rx_bytes + len <= t->config.rx_memory_bytes &&
           t->rx_mbufs + mbufs <= t->rx_mbufs_max && c->rx_mbufs + mbufs <= TCP_RX_MBUFS_MAX;
}

static void rx_append(struct tcp *t, struct tcp_conn *c, struct rte_mbuf *m, uint32_t len,
                      uint32_t mbufs)
{
    c->rcv_nxt += len;
    c->rx_bytes += len;
    t->rx_bytes += len;
    tcp_conn_event(t, c, TCP_EV_READABLE);
    if (!c->rx_head) {
        c->rx_head = m;
    } else {
        if (mbufs == 1 && tcp_rx_coalesce(c->rx_tail, m))
            return;
        c->rx_tail->next = m;
    }
    c->rx_tail = likely_true(mbufs == 1) ? m : rte_pktmbuf_lastseg(m);
    c->rx_mbufs += mbufs;
    t->rx_mbufs += mbufs;
}

void tcp_rx_in_order(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s)
{
    struct rte_mbuf *m = s->m;
    s->m = NULL;
    t->stats.bytes_in += s->len;
    if (c->flags & TCPF_ORPHAN) {
        c->rcv_nxt += s->len;
        rte_pktmbuf_free(m);
        return;
    }
    if (likely_false(!rx_fits(t, c, s->len, m->nb_segs))) {
        tcp_ooo_clear(t, c);
        if (!rx_fits(t, c, s->len, m->nb_segs)) {
            t->stats.rx_memory_drops++;
            tcp_conn_ack_now(t, c);
            rte_pktmbuf_free(m);
            return;
        }
    }
    if (s->len > c->rcv_mss)
        c->rcv_mss = (uint16_t)(s->len < c->mss ? s->len : c->mss);
    rx_append(t, c, m, s->len, m->nb_segs);
}

/* What was out of order and continues at rcv_nxt now. */
static void rx_splice(struct tcp *t, struct tcp_conn *c)
{
    uint32_t len, mbufs;
    struct rte_mbuf *m;
    while (c->ooo && (m = tcp_ooo_take(t, c, &len, &mbufs)) != NULL) {
        if (c->flags & TCPF_ORPHAN) {
            c->rcv_nxt += len;
            rte_pktmbuf_free(m);
        } else {
            rx_append(t, c, m, len, mbufs);
        }
    }
}

/* Cuts what lies left of rcv_nxt, right of the window, and behind the peer's FIN. */
static void trim_to_window(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s)
{
    if (seq_lt(s->seq, c->rcv_nxt)) {
        uint32_t dup = c->rcv_nxt - s->seq;
        if (dup > s->len)
            dup = s->len;
        if (dup) {
            tcp_rx_duplicate(t, c, s->seq, s->seq + dup);
            c->flags |= TCPF_ACK_NOW;
        }
        if (dup < s->len)
            s->m = tcp_rx_trim_front(s->m, dup);
        s->seq += dup;
        s->len -= dup;
    }
    uint32_t edge = c->rcv_edge;
    if ((c->flags & TCPF_FIN_KNOWN) && seq_lt(c->rcv_fin_seq, edge))
        edge = c->rcv_fin_seq;
    if (seq_lt(edge, s->seq + s->len)) {
        s->len = seq_lt(s->seq, edge) ? edge - s->seq : 0;
        s->flags &= (uint8_t)~FLAG_FIN;
        c->flags |= TCPF_ACK_NOW;
        if (s->len)
            tcp_rx_trim_to(s->m, s->len);
    }
}

static void rx_payload(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s)
{
    if (s->seq != c->rcv_nxt) {
        tcp_ooo_add(t, c, s);
        c->flags |= TCPF_ACK_NOW;
        return;
    }
    /* RFC 5681, 4.2: an ACK at once when a gap is filled, at least in part. */
    if (c->ooo)
        c->flags |= TCPF_ACK_NOW;
    c->flags |= TCPF_ACK_LATER;
    tcp_rx_in_order(t, c, s);
    if (c->ooo)
        rx_splice(t, c);
}

void tcp_rx_input(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s)
{
    trim_to_window(t, c, s);
    if ((s->flags & FLAG_FIN) && !(c->flags & TCPF_FIN_KNOWN)) {
        c->flags |= TCPF_FIN_KNOWN;
        c->rcv_fin_seq = s->seq + s->len;
    }
    if (s->len)
        rx_payload(t, c, s);
    if ((s->flags & FLAG_FIN) || c->flags & (TCPF_ACK_NOW | TCPF_ACK_LATER))
        tcp_conn_flush_later(t, c);
    if ((s->flags & FLAG_FIN) && c->rcv_nxt != c->rcv_fin_seq)
        c->flags |= TCPF_ACK_NOW;
    if ((c->flags & (TCPF_FIN_KNOWN | TCPF_FIN_RECEIVED)) == TCPF_FIN_KNOWN &&
        c->rcv_nxt == c->rcv_fin_seq) {
        c->flags |= TCPF_FIN_RECEIVED | TCPF_ACK_NOW;
        c->rcv_nxt++;
        tcp_ooo_clear(t, c); /* a peer that sent data behind its FIN */
        tcp_close_fin_received(t, c);
    }
}

struct slice tcp_rx_peek(struct tcp_conn *c)
{
    struct rte_mbuf *m = c->rx_head;
    return m ? slice_from(rte_pktmbuf_mtod(m, uint8_t *), m->data_len) : slice_from(NULL, 0);
}

void tcp_rx_consume(struct tcp *t, struct tcp_conn *c, size_t len)
{
    struct rte_mbuf *m = c->rx_head;
    if (len == 0)
        return;
    CHECK(m);
    CHECK(len <= m->data_len);
    c->rx_bytes -= (uint32_t)len;
    t->rx_bytes -= len;
    if (len < m->data_len) {
        m->data_off = (uint16_t)(m->data_off + len);
        m->data_len = (uint16_t)(m->data_len - len);
    } else {
        c->rx_head = m->next;
        c->rx_mbufs--;
        t->rx_mbufs--;
        rte_pktmbuf_free_seg(m);
    }
    /* RFC 9293, 3.8.6.2.2: an update when the window at least doubles by it, never a small step. */
    uint32_t window = c->rcv_edge - c->rcv_nxt;
    if (likely_true(window >= WINDOW_COMFORT) || c->state == TCP_CLOSED ||
        (c->flags & TCPF_FIN_RECEIVED))
        return;
    uint32_t edge = tcp_rx_edge(t, c);
    if (edge != c->rcv_edge && edge - c->rcv_nxt >= 2 * window)
        tcp_conn_ack_now(t, c);
}

void tcp_rx_clear(struct tcp *t, struct tcp_conn *c)
{
    while (c->rx_head) {
        struct rte_mbuf *next = c->rx_head->next;
        rte_pktmbuf_free_seg(c->rx_head);
        c->rx_head = next;
    }
    t->rx_bytes -= c->rx_bytes;
    t->rx_mbufs -= c->rx_mbufs;
    c->rx_bytes = c->rx_mbufs = 0;
}

uint32_t tcp_rx_edge(const struct tcp *t, const struct tcp_conn *c)
{
    uint32_t limit = c->flags & TCPF_SCALE ? TCP_RX_WINDOW_MAX : UINT16_MAX;
    uint64_t left =
        t->config.rx_memory_bytes > t->rx_bytes ? t->config.rx_memory_bytes - t->rx_bytes : 0;
    uint64_t mbufs_left = t->rx_mbufs_max > t->rx_mbufs ? t->rx_mbufs_max - t->rx_mbufs : 0;
    if (left > mbufs_left * BYTES_PER_MBUF)
        left = mbufs_left * BYTES_PER_MBUF;
    uint64_t room = limit > c->rx_bytes ? limit - c->rx_bytes : 0;
    if (room > left / TCP_RX_WINDOW_SHARE)
        room = left / TCP_RX_WINDOW_SHARE;
    uint32_t edge = c->rcv_nxt + (uint32_t)room;
    uint32_t step = c->rcv_mss < limit / 2 ? c->rcv_mss : limit / 2;
    /* Silly window avoidance: the edge moves by a segment or not at all; it never moves back. */
    if ((int32_t)(edge - c->rcv_edge) < (int32_t)step)
        return c->rcv_edge;
    return edge;
}
