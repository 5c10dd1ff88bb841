/* One segment: header, options and payload into a fresh mbuf. Every transmission copies from
 * stream.out, so that an mbuf that the driver still holds is never sent twice. */
#include <string.h>
#include "tcp_engine.h"

#define HEADER_LEN 20
#define HEADER_MAX (HEADER_LEN + TCP_OPTIONS_MAX)

static struct rte_mbuf *mbuf_take(struct tcp *t)
{
    struct port_queue *q = t->nif->queue;
    struct rte_mbuf *m = rte_pktmbuf_alloc(q->pool);
    if (likely_false(!m)) {
        /* The driver may sit on transmitted ones. */
        q->tx_flush(q);
        m = rte_pktmbuf_alloc(q->pool);
        if (!m)
            t->stats.mbuf_failures++;
    }
    return m;
}

static void header_put(struct rte_mbuf *m, const struct tcp_bare *b, uint32_t options_len)
{
    struct rte_tcp_hdr *h = rte_pktmbuf_mtod(m, struct rte_tcp_hdr *);
    h->src_port = __builtin_bswap16(b->src_port);
    h->dst_port = __builtin_bswap16(b->dst_port);
    h->sent_seq = __builtin_bswap32(b->seq);
    h->recv_ack = __builtin_bswap32(b->ack);
    h->data_off = (uint8_t)((HEADER_LEN + options_len) / 4 << 4);
    h->tcp_flags = b->flags;
    h->rx_win = __builtin_bswap16(b->window);
    h->cksum = 0;
    h->tcp_urp = 0;
    m->l4_len = (HEADER_LEN + options_len) & 0xff;
    m->data_len = (uint16_t)(HEADER_LEN + options_len);
    m->pkt_len = m->data_len;
}

static uint32_t ts_now(const struct tcp *t, const struct tcp_conn *c)
{
    return now_ms32(t) + c->ts_offset;
}

/* The window field. It is rounded up so that rounding never moves the edge back; rcv_edge follows.
 */
static uint16_t window_take(struct tcp *t, struct tcp_conn *c)
{
    uint32_t edge = tcp_rx_edge(t, c);
    uint32_t window = seq_lt(c->rcv_nxt, edge) ? edge - c->rcv_nxt : 0;
    uint32_t shift = c->flags & TCPF_SCALE ? TCP_RX_SCALE : 0;
    uint32_t field = (window + (1u << shift) - 1) >> shift;
    if (field > UINT16_MAX)
        field = UINT16_MAX;
    c->rcv_edge = seq_max(c->rcv_edge, c->rcv_nxt + (field << shift));
    if (field == 0)
        t->stats.zero_window_out++;
    return (uint16_t)field;
}

static bool dsack_due(const struct tcp *t, const struct tcp_conn *c)
{
    return (c->flags & TCPF_DSACK) && t->dsack_conn == c->id;
}

static uint32_t sack_put(const struct tcp *t, struct tcp_conn *c, uint8_t *p, uint32_t room)
{
    struct tcp_block blocks[TCP_SACK_BLOCKS_MAX];
    uint32_t most = (room - 4) / 8, count = 0;
    if (dsack_due(t, c))
        blocks[count++] = t->dsack;
    count += tcp_ooo_blocks(c, blocks + count, most - count);
    return (uint32_t)tcp_options_put_sack(p, blocks, count);
}

static bool sack_due(const struct tcp *t, const struct tcp_conn *c)
{
    return (c->flags & TCPF_SACK) && (c->ooo || dsack_due(t, c));
}

/* SACK blocks travel on bare ACKs only: beside a full payload they would break the MTU, and while
 * something is out of order such ACKs are sent anyway. */
static uint32_t options_put(struct tcp *t, struct tcp_conn *c, uint8_t *p, bool bare)
{
    uint32_t len = 0;
    if (c->flags & TCPF_TS)
        len = (uint32_t)tcp_options_put_ts(p, ts_now(t, c), c->ts_recent);
    if (bare && sack_due(t, c))
        len += sack_put(t, c, p + len, TCP_OPTIONS_MAX - len);
    return len;
}

/* Copies payload behind the header, into further mbufs when the first is full. */
static bool payload_put(struct tcp *t, struct tcp_conn *c, struct rte_mbuf *m,
                        const struct tcp_emit *e)
{
    struct outbuf_cursor own, *cursor = e->cursor;
    if (!cursor) {
        outbuf_seek(&c->stream.out, &own, e->seq - c->snd_una);
        cursor = &own;
    }
    struct rte_mbuf *at = m;
    for (uint32_t left = e->len; left != 0;) {
        uint32_t room = rte_pktmbuf_tailroom(at);
        if (room == 0) {
            at->next = mbuf_take(t);
            if (!at->next)
                return false;
            at = at->next;
            m->nb_segs++;
            continue;
        }
        uint32_t piece = left < room ? left : room;
        outbuf_copy(&c->stream.out, cursor, rte_pktmbuf_mtod_offset(at, uint8_t *, at->data_len),
                    piece);
        at->data_len = (uint16_t)(at->data_len + piece);
        left -= piece;
    }
    m->pkt_len += e->len;
    return true;
}

static void acknowledged(struct tcp_conn *c)
{
    c->flags &= ~(uint32_t)(TCPF_ACK_NOW | TCPF_ACK_LATER | TCPF_DSACK);
    c->last_ack_sent = c->rcv_nxt;
    tcp_timer_disarm(c, TCP_TIMER_ACK);
}

static void send(struct tcp *t, struct tcp_conn *c, struct rte_mbuf *m)
{
    t->stats.segments_out++;
    c->last_tx_ms = now_ms32(t);
    netif_output_tcp(t->nif, &c->path, &c->key.local, &c->key.remote, m);
}

bool tcp_emit(struct tcp *t, struct tcp_conn *c, const struct tcp_emit *e)
{
    struct rte_mbuf *m = mbuf_take(t);
    if (likely_false(!m))
        return false;
    struct tcp_bare b = {.src_port = c->key.local_port,
                         .dst_port = c->key.remote_port,
                         .seq = e->seq,
                         .ack = c->rcv_nxt,
                         .window = window_take(t, c),
                         .flags = e->flags | FLAG_ACK};
    header_put(m, &b,
               options_put(t, c, rte_pktmbuf_mtod_offset(m, uint8_t *, HEADER_LEN), e->len == 0));
    if (e->len) {
        if (!payload_put(t, c, m, e)) {
            rte_pktmbuf_free(m);
            c->flags &= ~(uint32_t)TCPF_CURSOR;
            return false;
        }
        m->tso_segsz = e->len > tcp_payload_max(c) ? (uint16_t)tcp_payload_max(c) : 0;
        t->stats.bytes_out += e->len;
    }
    if (e->len == 0 || !sack_due(t, c))
        acknowledged(c);
    send(t, c, m);
    return true;
}

static uint32_t syn_options_put(struct tcp *t, const struct tcp_conn *c, uint8_t *p)
{
    bool offer_all = c->state == TCP_SYN_SENT;
    uint32_t len = (uint32_t)tcp_options_put_mss(p, tcp_mss_ours(t, &c->key.remote));
    if (offer_all || (c->flags & TCPF_SACK))
        len += (uint32_t)tcp_options_put_sack_permitted(p + len);
    if (offer_all || (c->flags & TCPF_TS))
        len += (uint32_t)tcp_options_put_ts(p + len, ts_now(t, c), c->ts_recent);
    if (offer_all || (c->flags & TCPF_SCALE))
        len += (uint32_t)tcp_options_put_scale(p + len, TCP_RX_SCALE);
    return len;
}

/* The window of a SYN is never scaled (RFC 7323, 2.2). */
static uint16_t syn_window(struct tcp *t, struct tcp_conn *c)
{
    uint32_t flags = c->flags;
    c->flags &= ~(uint32_t)TCPF_SCALE;
    uint16_t field = window_take(t, c);
    c->flags = flags;
    return field;
}

bool tcp_emit_syn(struct tcp *t, struct tcp_conn *c)
{
    struct rte_mbuf *m = mbuf_take(t);
    if (!m)
        return false;
    bool answer = c->state == TCP_SYN_RECEIVED;
    struct tcp_bare b = {.src_port = c->key.local_port,
                         .dst_port = c->key.remote_port,
                         .seq = c->snd_una,
                         .ack = answer ? c->rcv_nxt : 0,
                         .window = syn_window(t, c),
                         .flags = answer ? FLAG_SYN | FLAG_ACK : FLAG_SYN};
    header_put(m, &b, syn_options_put(t, c, rte_pktmbuf_mtod_offset(m, uint8_t *, HEADER_LEN)));
    if (answer)
        acknowledged(c);
    c->snd_nxt = c->snd_max = c->snd_una + 1;
    send(t, c, m);
    return true;
}

void tcp_emit_reset(struct tcp *t, struct tcp_conn *c)
{
    struct tcp_bare b = {.src = &c->key.local,
                         .dst = &c->key.remote,
                         .src_port = c->key.local_port,
                         .dst_port = c->key.remote_port,
                         .seq = c->snd_max,
                         .ack = c->rcv_nxt,
                         .flags = FLAG_RST | FLAG_ACK};
    tcp_emit_bare(t, &b, &c->path);
}

void tcp_emit_bare(struct tcp *t, const struct tcp_bare *b, struct net_path *path)
{
    struct rte_mbuf *m = mbuf_take(t);
    if (!m)
        return;
    if (b->options_len)
        memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, HEADER_LEN), b->options, b->options_len);
    header_put(m, b, b->options_len);
    t->stats.segments_out++;
    if (b->flags & FLAG_RST)
        t->stats.resets_out++;
    netif_output_tcp(t->nif, path, b->src, b->dst, m);
}

void tcp_emit_refusal(struct tcp *t, const struct tcp_segment *s)
{
    if (s->flags & FLAG_RST)
        return;
    const struct l4_packet *p = s->packet;
    struct tcp_bare b = {.src = &p->dst,
                         .dst = &p->src,
                         .src_port = s->local_port,
                         .dst_port = s->remote_port,
                         .flags = FLAG_RST};
    if (s->flags & FLAG_ACK) {
        b.seq = s->ack;
    } else {
        b.ack = segment_end(s);
        b.flags |= FLAG_ACK;
    }
    struct net_path path = {.mac_from_peer = true};
    memcpy(path.next_hop_mac, p->src_mac, sizeof(path.next_hop_mac));
    tcp_emit_bare(t, &b, &path);
}
