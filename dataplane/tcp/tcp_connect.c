/* Active opens: RFC 9293, 3.10.1 and 3.10.7.3; the port makes the flow ours (design-dataplane, rule
 * 1). */
#include <string.h>
#include "tcp_engine.h"

struct port_search {
    struct tcp *t;
    struct flow_tuple tuple;
};

static bool port_in_use(void *arg, uint16_t port)
{
    struct port_search *search = arg;
    if (tcp_listener_find(search->t, port))
        return true;
    search->tuple.local_port = port;
    uint32_t number;
    uint32_t hash = tcp_flow_hash(search->t, &search->tuple);
    return tcp_table_find(search->t, &search->tuple, hash, &number) != NULL;
}

static bool port_choose(struct tcp *t, struct flow_tuple *tuple, uint16_t src_port)
{
    struct port_search search = {.t = t, .tuple = *tuple};
    if (src_port == 0)
        src_port = flow_pick_port(t->config.steering, tuple, t->config.lcore, &t->port_cursor,
                                  port_in_use, &search);
    else if (port_in_use(&search, src_port))
        return false;
    tuple->local_port = src_port;
    return src_port != 0;
}

struct stream *tcp_connect(struct tcp *t, const struct ip_addr *dst, uint16_t dst_port,
                           uint16_t src_port, const struct stream_user_ops *user_ops, void *user)
{
    tcp_clock(t);
    struct flow_tuple tuple = {.remote = *dst, .remote_port = dst_port};
    if (dst_port == 0 || !netif_source_for(t->nif, dst, &tuple.local) ||
        !port_choose(t, &tuple, src_port)) {
        t->stats.connect_failures++;
        return NULL;
    }
    struct tcp_conn *c = tcp_conn_new(t, &tuple, tcp_flow_hash(t, &tuple));
    if (!c) {
        t->stats.connect_failures++;
        return NULL;
    }
    c->state = TCP_SYN_SENT;
    c->flags |= TCPF_ACTIVE | TCPF_SYN_NOW;
    c->stream.user_ops = user_ops;
    c->stream.user = user;
    /* Resolution starts now; the SYN waits behind it. */
    netif_reachable(t->nif, dst);
    tcp_conn_flush_later(t, c);
    return &c->stream;
}

/* Our SYN is acknowledged, theirs is here: first to the step that both kinds of open share. */
static void handshake_complete(struct tcp *t, struct tcp_conn *c, const struct tcp_segment *s)
{
    if (c->flags & TCPF_RTT_TIMING) {
        c->flags &= ~(uint32_t)TCPF_RTT_TIMING;
        tcp_rtt_sample(&c->rtt, (uint32_t)t->now_us - c->rtt_start_us);
    }
    c->snd_una = s->ack;
    c->snd_wnd = c->snd_wnd_max = s->window;
    c->snd_wl1 = s->seq;
    tcp_conn_established(t, c);
    t->stats.connects++;
    tcp_conn_event(t, c, TCP_EV_CONNECTED);
    c->flags |= TCPF_ACK_NOW;
}

static bool syn_sent_ack_bad(const struct tcp_conn *c, const struct tcp_segment *s)
{
    return seq_leq(s->ack, c->snd_una) || seq_lt(c->snd_max, s->ack);
}

void tcp_connect_input(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s)
{
    if ((s->flags & FLAG_ACK) && syn_sent_ack_bad(c, s)) {
        tcp_emit_refusal(t, s);
        return;
    }
    if (s->flags & FLAG_RST) {
        if (s->flags & FLAG_ACK) {
            t->stats.resets_in++;
            t->stats.connect_failures++;
            tcp_conn_kill(t, c, STREAM_END_REFUSED);
        }
        return;
    }
    if (!(s->flags & FLAG_SYN))
        return;
    tcp_conn_negotiate(t, c, &s->options);
    uint32_t offered = c->rcv_edge - c->rcv_nxt;
    c->rcv_nxt = s->seq + 1;
    c->rcv_edge = c->rcv_nxt + offered;
    c->last_ack_sent = c->rcv_nxt;
    c->last_rx_ms = now_ms32(t);
    if (s->flags & FLAG_ACK) {
        handshake_complete(t, c, s);
        /* Data or FIN of a SYN-ACK are not taken; they come again. */
        return;
    }
    /* Simultaneous open (RFC 9293, figure 8). */
    c->state = TCP_SYN_RECEIVED;
    c->flags |= TCPF_SYN_NOW;
    c->snd_wnd = c->snd_wnd_max = s->window;
    c->snd_wl1 = s->seq;
    tcp_conn_flush_later(t, c);
}
