/* The invariants that tcp_conn.h and tcp_engine.h state, walked whole. */
#include "tcp_engine.h"
#include "tcp_ooo.h"
#include "tcp_sack.h"

static void rx_validate(const struct tcp_conn *c)
{
    uint32_t bytes = 0, mbufs = 0;
    for (const struct rte_mbuf *m = c->rx_head; m; m = m->next) {
        CHECK(m->data_len > 0);
        CHECK(m->next || m == c->rx_tail);
        bytes += m->data_len;
        mbufs++;
    }
    CHECK(bytes == c->rx_bytes);
    CHECK(mbufs == c->rx_mbufs);
    CHECK(mbufs <= TCP_RX_MBUFS_MAX);
}

static void board_validate(const struct tcp_conn *c)
{
    const struct tcp_sack_board *b = c->board;
    uint32_t bytes = 0, left = c->snd_una;
    CHECK(b->count > 0 || (c->flags & TCPF_FAST_RECOVERY));
    CHECK(b->count <= TCP_SACK_RANGES_MAX);
    for (uint32_t i = 0; i < b->count; i++) {
        CHECK(seq_lt(left, b->range[i].left));
        CHECK(seq_lt(b->range[i].left, b->range[i].right));
        left = b->range[i].right;
        bytes += b->range[i].right - b->range[i].left;
    }
    CHECK(seq_leq(left, c->snd_max));
    CHECK(bytes == b->bytes);
}

static void sender_validate(const struct tcp_conn *c)
{
    CHECK(seq_leq(c->snd_una, c->snd_nxt));
    CHECK(seq_leq(c->snd_nxt, c->snd_max));
    if (c->state > TCP_SYN_RECEIVED) {
        uint32_t fin_outstanding =
            (c->flags & TCPF_FIN_SENT) &&
            (c->state == TCP_FIN_WAIT_1 || c->state == TCP_CLOSING || c->state == TCP_LAST_ACK);
        CHECK(c->snd_max - c->snd_una <= c->stream.out.len + fin_outstanding);
        CHECK(c->mss >= TCP_MSS_FLOOR);
        CHECK(c->cc.cwnd_bytes > 0);
    }
    if (c->snd_una != c->snd_max)
        CHECK(tcp_timer_armed(c, TCP_TIMER_RTX));
    if (c->board)
        board_validate(c);
    CHECK(!(c->flags & TCPF_FIN_SENT) || (c->flags & TCPF_FIN_WANTED));
}

static void timers_validate(const struct tcp *t, const struct tcp_conn *c)
{
    for (int i = 0; i < TCP_TIMER_COUNT; i++) {
        if (!tcp_timer_armed(c, i))
            continue;
        CHECK(c->wheel_slot != 0);
        uint32_t looked_at_ms = tcp_wheel_slot_ms(&t->wheel, c);
        CHECK((int32_t)(c->timer_ms[i] - looked_at_ms) >= 0 ||
              (int32_t)((uint32_t)t->wheel.now_ms - looked_at_ms) >= 0);
    }
    CHECK(c->wheel_slot == 0 || t->wheel.head[c->wheel_slot - 1] != 0);
}

static void conn_validate(const struct tcp *t, const struct tcp_conn *c)
{
    struct flow_tuple tuple;
    uint32_t number;
    tcp_conn_tuple(c, &tuple);
    CHECK(tcp_table_find(t, &tuple, c->key.hash, &number) == &c->key);
    CHECK(number == c->id);
    CHECK(seq_leq(c->rcv_nxt, c->rcv_edge) || (c->flags & TCPF_FIN_RECEIVED));
    sender_validate(c);
    timers_validate(t, c);
}

static uint32_t list_length(const struct tcp *t, const struct tcp_list *list, bool flush)
{
    uint32_t count = 0, last = 0;
    for (uint32_t n = list->head; n; count++) {
        const struct tcp_conn *c = conn_at(t, n);
        CHECK(c->flags & (flush ? TCPF_IN_FLUSH : TCPF_IN_DELIVER));
        last = n;
        n = flush ? c->flush_next : c->deliver_next;
        CHECK(count <= t->conns_used);
    }
    CHECK(list->tail == last);
    return count;
}

static void waits_validate(const struct tcp *t)
{
    uint32_t count = 0;
    for (uint32_t n = t->waits_oldest; n; n = wait_at(t, n)->newer, count++) {
        const struct tcp_time_wait *w = wait_at(t, n);
        CHECK(w->newer ? wait_at(t, w->newer)->older == n : t->waits_newest == n);
    }
    CHECK(count == t->stats.conns_time_wait);
}

void tcp_validate(const struct tcp *t)
{
    uint64_t rx_bytes = 0, half_open = 0;
    uint32_t rx_mbufs = 0, in_flush = 0, in_deliver = 0, in_wheel = 0;
    for (uint32_t n = 1; n <= t->conns_used; n++) {
        const struct tcp_conn *c = conn_at(t, n);
        uint32_t ooo_bytes, ooo_mbufs;
        CHECK(c->id == n);
        in_flush += (c->flags & TCPF_IN_FLUSH) != 0;
        in_deliver += (c->flags & TCPF_IN_DELIVER) != 0;
        in_wheel += c->wheel_slot != 0;
        half_open += (c->flags & TCPF_HALF_OPEN) != 0;
        rx_validate(c);
        tcp_ooo_validate(c, &ooo_bytes, &ooo_mbufs);
        rx_bytes += c->rx_bytes + ooo_bytes;
        rx_mbufs += c->rx_mbufs + ooo_mbufs;
        if (c->state != TCP_CLOSED)
            conn_validate(t, c);
    }
    CHECK(rx_bytes == t->rx_bytes);
    CHECK(rx_mbufs == t->rx_mbufs);
    CHECK(half_open == t->stats.conns_half_open);
    CHECK(in_wheel == t->wheel.count);
    CHECK(list_length(t, &t->flush, true) == in_flush);
    CHECK(list_length(t, &t->deliver, false) == in_deliver);
    waits_validate(t);
}
