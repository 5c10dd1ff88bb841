/* Passive opens: RFC 9293, 3.10.7.2; beyond the backlog by cookie (RFC 4987). */
#include <string.h>
#include "tcp_engine.h"
#include "tcp_isn.h"

struct tcp_listener *tcp_listener_find(struct tcp *t, uint16_t port)
{
    for (size_t i = 0; i < count_of(t->listeners); i++)
        if (t->listeners[i].accept && t->listeners[i].port == port)
            return &t->listeners[i];
    return NULL;
}

bool tcp_listen(struct tcp *t, uint16_t port, tcp_accept_fn accept, void *arg)
{
    if (tcp_listener_find(t, port))
        return false;
    for (size_t i = 0; i < count_of(t->listeners); i++) {
        if (!t->listeners[i].accept) {
            t->listeners[i] = (struct tcp_listener){.port = port, .accept = accept, .arg = arg};
            return true;
        }
    }
    return false;
}

void tcp_unlisten(struct tcp *t, uint16_t port)
{
    struct tcp_listener *l = tcp_listener_find(t, port);
    if (l)
        *l = (struct tcp_listener){0};
}

uint16_t tcp_mss_ours(const struct tcp *t, const struct ip_addr *remote)
{
    return (uint16_t)(netif_l4_mtu(t->nif, remote) - sizeof(struct rte_tcp_hdr));
}

uint32_t tcp_ts_offset(const struct tcp *t, const struct flow_tuple *tuple)
{
    return (uint32_t)tcp_tuple_hash(t->config.secret, TCP_HASH_TIMESTAMP, tuple, 0);
}

void tcp_segment_tuple(const struct tcp_segment *s, struct flow_tuple *tuple)
{
    *tuple = (struct flow_tuple){.remote = s->packet->src,
                                 .local = s->packet->dst,
                                 .remote_port = s->remote_port,
                                 .local_port = s->local_port};
}

/* The peer's own frame tells where to answer: no ARP for a SYN-ACK. */
static void path_from_frame(struct tcp_conn *c, const struct l4_packet *p)
{
    memcpy(c->path.next_hop_mac, p->src_mac, sizeof(c->path.next_hop_mac));
    c->path.mac_from_peer = true;
}

/* A connection as the peer's SYN, seen now or known from a cookie, describes it. */
static struct tcp_conn *conn_from_syn(struct tcp *t, const struct tcp_segment *s,
                                      const struct tcp_options *o, uint32_t irs)
{
    struct flow_tuple tuple;
    tcp_segment_tuple(s, &tuple);
    struct tcp_conn *c = tcp_conn_new(t, &tuple, s->packet->flow_hash);
    if (!c)
        return NULL;
    c->state = TCP_SYN_RECEIVED;
    path_from_frame(c, s->packet);
    tcp_conn_negotiate(t, c, o);
    c->rcv_nxt = c->rcv_edge = c->last_ack_sent = irs + 1;
    return c;
}

static void syn_input(struct tcp *t, struct tcp_segment *s, uint32_t isn_min)
{
    if (t->stats.conns_half_open >= t->config.backlog) {
        t->stats.backlog_full++;
        tcp_cookie_send(t, s);
        return;
    }
    struct tcp_conn *c = conn_from_syn(t, s, &s->options, s->seq);
    if (!c)
        return;
    if (isn_min && seq_lt(c->snd_una, isn_min))
        c->snd_una = c->snd_nxt = c->snd_max = isn_min;
    c->flags |= TCPF_HALF_OPEN | TCPF_SYN_NOW;
    t->stats.conns_half_open++;
    /* A SYN's window is not scaled (RFC 7323, 2.2). */
    c->snd_wnd = c->snd_wnd_max = s->window;
    c->snd_wl1 = s->seq;
    tcp_conn_flush_later(t, c);
}

bool tcp_listen_accept(struct tcp *t, struct tcp_conn *c)
{
    struct tcp_listener *l = tcp_listener_find(t, c->key.local_port);
    bool taken = l && l->accept(l->arg, &c->stream);
    t->stats.accepts += taken;
    /* A user that refuses with a word of farewell has closed the stream itself. */
    if (!taken && !(c->flags & TCPF_ORPHAN)) {
        c->flags |= TCPF_ORPHAN;
        tcp_conn_abort(t, c, STREAM_END_ABORTED);
    }
    return c->state != TCP_CLOSED;
}

static void cookie_input(struct tcp *t, struct tcp_segment *s)
{
    struct tcp_options o;
    if (!tcp_cookie_check(t, s, &o)) {
        tcp_emit_refusal(t, s);
        return;
    }
    struct tcp_conn *c = conn_from_syn(t, s, &o, s->seq - 1);
    if (!c)
        return;
    c->snd_una = s->ack - 1;
    c->snd_nxt = c->snd_max = s->ack;
    c->rcv_edge = c->rcv_nxt + UINT16_MAX;
    tcp_input_synchronized(t, c, s);
}

void tcp_listen_input(struct tcp *t, struct tcp_listener *l, struct tcp_segment *s,
                      uint32_t isn_min)
{
    if (s->flags & FLAG_RST)
        return;
    if (s->flags & FLAG_ACK) {
        if (s->flags & FLAG_SYN)
            tcp_emit_refusal(t, s);
        else
            cookie_input(t, s);
        return;
    }
    /* No flags, or a FIN with the SYN: nothing that a host would send. */
    if ((s->flags & (FLAG_SYN | FLAG_FIN)) == FLAG_SYN)
        syn_input(t, s, isn_min);
}
