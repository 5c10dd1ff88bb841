/* What a user does to a TCP stream (stream.h), and what it can ask about it. A stream that has
 * ended but has not had its last callback takes every call without effect. */
#include <stdio.h>
#include "tcp_engine.h"
#include "tcp_ooo.h"

static void stream_kick(struct stream *s)
{
    struct tcp_conn *c = tcp_conn_of(s);
    if (c->state != TCP_CLOSED)
        tcp_conn_flush_later(c->tcp, c);
}

static struct slice stream_peek(struct stream *s)
{
    return tcp_rx_peek(tcp_conn_of(s));
}

static void stream_consume(struct stream *s, size_t len)
{
    struct tcp_conn *c = tcp_conn_of(s);
    tcp_rx_consume(c->tcp, c, len);
}

/* No call reaches the user after this, events that wait included. */
static void user_leaves(struct tcp_conn *c)
{
    c->flags |= TCPF_ORPHAN;
    c->events = 0;
}

static void stream_close(struct stream *s)
{
    struct tcp_conn *c = tcp_conn_of(s);
    CHECK(!(c->flags & TCPF_ORPHAN));
    user_leaves(c);
    if (c->state != TCP_CLOSED)
        tcp_close_by_user(c->tcp, c);
}

static void stream_abort(struct stream *s)
{
    struct tcp_conn *c = tcp_conn_of(s);
    CHECK(!(c->flags & TCPF_ORPHAN));
    user_leaves(c);
    if (c->state != TCP_CLOSED)
        tcp_conn_abort(c->tcp, c, STREAM_END_ABORTED);
}

static void name_format(const struct ip_addr *a, uint16_t port, char *buf)
{
    char text[IP_ADDR_TEXT_SIZE];
    ip_addr_format(a, text);
    snprintf(buf, STREAM_NAME_SIZE, ip_addr_is4(a) ? "%s:%u" : "[%s]:%u", text, port);
}

static void stream_name_peer(const struct stream *s, char *buf)
{
    const struct tcp_conn *c = (const struct tcp_conn *)s;
    name_format(&c->key.remote, c->key.remote_port, buf);
}

static void stream_name_local(const struct stream *s, char *buf)
{
    const struct tcp_conn *c = (const struct tcp_conn *)s;
    name_format(&c->key.local, c->key.local_port, buf);
}

const struct stream_ops tcp_stream_ops = {
    .kick = stream_kick,
    .peek = stream_peek,
    .consume = stream_consume,
    .close = stream_close,
    .abort = stream_abort,
    .name_peer = stream_name_peer,
    .name_local = stream_name_local,
};

void tcp_stream_tuple(const struct stream *s, struct flow_tuple *tuple)
{
    CHECK(s->ops == &tcp_stream_ops);
    tcp_conn_tuple((const struct tcp_conn *)s, tuple);
}

void tcp_stream_info(const struct stream *s, struct tcp_info *info)
{
    CHECK(s->ops == &tcp_stream_ops);
    const struct tcp_conn *c = (const struct tcp_conn *)s;
    *info = (struct tcp_info){
        .state = c->state,
        .snd_una = c->snd_una,
        .snd_nxt = c->snd_nxt,
        .snd_wnd = c->snd_wnd,
        .rcv_nxt = c->rcv_nxt,
        .rcv_wnd = c->rcv_edge - c->rcv_nxt,
        .cwnd_bytes = c->cc.cwnd_bytes,
        .ssthresh_bytes = c->cc.ssthresh_bytes,
        .srtt_us = c->rtt.srtt_us,
        .rttvar_us = c->rtt.rttvar_us,
        .rto_us = tcp_rtt_rto_ms(&c->rtt) * 1000,
        .mss = tcp_payload_max(c),
        .rx_queued_bytes = c->rx_bytes,
        .ooo_bytes = tcp_ooo_bytes(c),
        .retransmits = c->retransmits,
    };
}
