/* ICMP errors: RFC 5927 (only what quotes a segment in flight counts), RFC 1191 and 8201 (path
 * MTU), RFC 1122, 4.2.3.9 and RFC 5461 (errors do not end an open connection). */
#include "tcp_engine.h"

static void mtu_reduce(struct tcp *t, struct tcp_conn *c, uint32_t mtu)
{
    uint32_t headers = (ip_addr_is4(&c->key.remote) ? 20 : 40) + sizeof(struct rte_tcp_hdr);
    uint32_t mss = mtu > headers + TCP_MSS_FLOOR ? mtu - headers : TCP_MSS_FLOOR;
    if (mss >= c->mss)
        return;
    c->mss = (uint16_t)mss;
    t->stats.pmtu_reduced++;
    if (c->state <= TCP_SYN_RECEIVED)
        return;
    /* What is in flight was too big: once more from the front; not a sign of congestion. */
    tcp_ack_go_back(c);
    tcp_conn_flush_later(t, c);
}

void tcp_icmp_input(void *l4, const struct ip_addr *remote, const struct ip_addr *local,
                    const struct icmp_error *e)
{
    struct tcp *t = l4;
    tcp_clock(t);
    struct flow_tuple tuple = {.remote = *remote,
                               .local = *local,
                               .remote_port = e->remote_port,
                               .local_port = e->local_port};
    uint32_t number;
    struct tcp_key *key = tcp_table_find(t, &tuple, tcp_flow_hash(t, &tuple), &number);
    if (!key || (number & TCP_NUMBER_WAIT))
        return;
    struct tcp_conn *c = conn_at(t, number);
    if (seq_lt(e->seq, c->snd_una) || !seq_lt(e->seq, c->snd_max))
        return;
    if (e->kind == ICMP_TOO_BIG) {
        mtu_reduce(t, c, e->mtu);
    } else if (e->kind == ICMP_UNREACHABLE_HARD && c->state == TCP_SYN_SENT) {
        t->stats.connect_failures++;
        tcp_conn_kill(t, c, STREAM_END_REFUSED);
    }
}
