/* Endings: RFC 9293, 3.6 and 3.10.4 to 3.10.7; RFC 1122, 4.2.2.13 (unread data), 4.2.2.20
 * (FIN-WAIT-2). */
#include "tcp_engine.h"

void tcp_close_by_user(struct tcp *t, struct tcp_conn *c)
{
    if (c->state == TCP_SYN_SENT && c->stream.out.len == 0) {
        tcp_conn_kill(t, c, STREAM_END_ABORTED);
        return;
    }
    c->flags |= TCPF_FIN_WANTED;
    if (c->rx_bytes)
        c->flags |= TCPF_RESET_AT_END;
    if (c->state == TCP_ESTABLISHED)
        c->state = TCP_FIN_WAIT_1;
    else if (c->state == TCP_CLOSE_WAIT)
        c->state = TCP_LAST_ACK;
    c->progress_ms = now_ms32(t);
    tcp_timer_arm(t, c, TCP_TIMER_IDLE, TCP_ORPHAN_MS);
    tcp_conn_flush_later(t, c);
}

void tcp_close_fin_received(struct tcp *t, struct tcp_conn *c)
{
    switch ((enum tcp_state)c->state) {
    case TCP_SYN_RECEIVED:
    case TCP_ESTABLISHED:
        c->state = TCP_CLOSE_WAIT;
        tcp_conn_event(t, c, TCP_EV_EOF);
        break;
    case TCP_FIN_WAIT_1:
        c->state = TCP_CLOSING;
        break;
    case TCP_FIN_WAIT_2:
        tcp_time_wait_enter(t, c);
        break;
    case TCP_CLOSED:
    case TCP_SYN_SENT:
    case TCP_CLOSE_WAIT:
    case TCP_CLOSING:
    case TCP_LAST_ACK:
        break;
    }
}

void tcp_close_fin_acked(struct tcp *t, struct tcp_conn *c)
{
    if (c->state == TCP_FIN_WAIT_1) {
        c->state = TCP_FIN_WAIT_2;
        tcp_timer_arm(t, c, TCP_TIMER_IDLE, TCP_ORPHAN_MS);
    } else if (c->state == TCP_CLOSING) {
        tcp_time_wait_enter(t, c);
    } else if (c->state == TCP_LAST_ACK) {
        tcp_conn_kill(t, c, STREAM_END_CLOSED);
    }
}

void tcp_close_life_fired(struct tcp *t, struct tcp_conn *c)
{
    uint32_t quiet_ms = now_ms32(t) - c->progress_ms;
    if (c->state != TCP_FIN_WAIT_2 && quiet_ms < TCP_ORPHAN_MS) {
        tcp_timer_arm(t, c, TCP_TIMER_IDLE, TCP_ORPHAN_MS - quiet_ms);
        return;
    }
    tcp_conn_abort(t, c, STREAM_END_TIMEOUT);
}
