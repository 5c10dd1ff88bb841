/* The engine of one lcore and what its files call in each other. Private to this folder; tcp.h is
 * the contract. */
#pragma once
#include <stddef.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>
#include "check.h"
#include "rng.h"
#include "tcp.h"
#include "tcp_conn.h"
#include "tcp_limits.h"
#include "tcp_options.h"
#include "tcp_seq.h"
#include "tcp_wheel.h"

enum {
    FLAG_FIN = RTE_TCP_FIN_FLAG,
    FLAG_SYN = RTE_TCP_SYN_FLAG,
    FLAG_RST = RTE_TCP_RST_FLAG,
    FLAG_PSH = RTE_TCP_PSH_FLAG,
    FLAG_ACK = RTE_TCP_ACK_FLAG,
    FLAG_URG = RTE_TCP_URG_FLAG
};

/* A TIME-WAIT connection: what re-ACKs and safe reuse need (RFC 1337, RFC 6191). */
struct tcp_time_wait {
    struct tcp_key key;
    uint32_t snd_nxt, rcv_nxt;
    uint32_t ts_recent, ts_offset;
    uint32_t deadline_ms;
    uint32_t newer, older; /* in the list by deadline */
    struct net_path path;
    uint16_t window; /* as it stood in the last header */
    bool ts;
};

struct tcp_listener {
    uint16_t port;
    tcp_accept_fn accept; /* NULL: free */
    void *arg;
};

/* Linked by number, first in, first out. */
struct tcp_list {
    uint32_t head, tail;
};

struct tcp {
    struct netif *nif;
    struct tcp_config config;
    const struct tcp_cc_ops *cc;
    struct rng rng;
    uint64_t now_us, now_ms;
    uint64_t timers_ms; /* tcp_timers() has run all that was due then */

    /* Pool: never moves, pages are touched as connections come; numbers are reused last in, first
     * out. */
    struct tcp_conn *conns;
    uint32_t conns_used; /* numbers ever given out */
    uint32_t conns_free; /* list by key.next */
    struct tcp_time_wait *waits;
    uint32_t waits_used, waits_free;
    uint32_t waits_oldest, waits_newest;

    uint32_t *buckets; /* numbers; TIME-WAIT entries have TCP_NUMBER_WAIT set */
    uint32_t bucket_mask;

    struct tcp_list deliver, flush;
    uint32_t dead; /* list by key.next: killed, freed at the end of tcp_flush() */
    struct tcp_wheel wheel;

    struct tcp_listener listeners[TCP_LISTENERS_MAX];
    uint16_t port_cursor;
    uint32_t keepalive_sweep; /* connections up to this number still have the old setting */
    uint64_t cookie_sent_ms;  /* the last SYN cookie; 0: never */

    /* The newest duplicate, for the next ACK of its connection (RFC 2883). One for all: it is
     * advice, and a connection of the same burst that has one too takes its place. */
    struct tcp_block dsack;
    uint32_t dsack_conn;

    uint64_t rx_bytes; /* unread and out of order, all connections */
    uint32_t rx_mbufs;
    uint32_t rx_mbufs_max;
    uint32_t tso_bytes_max; /* payload of one frame; 0: the port takes none above the MSS */
    uint16_t frame_room;    /* payload and TCP header that a frame without a chain holds */
    struct tcp_stats stats;
};

#define TCP_NUMBER_WAIT 0x80000000u

static inline struct tcp_conn *conn_at(const struct tcp *t, uint32_t number)
{
    return &t->conns[number - 1];
}

static inline struct tcp_time_wait *wait_at(const struct tcp *t, uint32_t number)
{
    return &t->waits[(number & ~TCP_NUMBER_WAIT) - 1];
}

/* The owner set netif->now_us: one division per loop. */
static inline void tcp_clock(struct tcp *t)
{
    if (t->now_us != t->nif->now_us) {
        t->now_us = t->nif->now_us;
        t->now_ms = t->now_us / 1000;
    }
}

static inline uint32_t now_ms32(const struct tcp *t)
{
    return (uint32_t)t->now_ms;
}

/* A received segment on its way through the steps of RFC 9293, 3.10.7. */
struct tcp_segment {
    struct rte_mbuf *m; /* data starts at the payload; NULL once somebody took it */
    const struct l4_packet *packet;
    uint32_t seq, ack;
    uint32_t len;    /* payload bytes */
    uint16_t window; /* as it stands in the header */
    uint8_t flags;
    uint16_t remote_port, local_port;
    struct tcp_options options;
};

static inline uint32_t segment_end(const struct tcp_segment *s)
{
    return s->seq + s->len + ((s->flags & FLAG_SYN) != 0) + ((s->flags & FLAG_FIN) != 0);
}

/* tcp_table.c: connections and TIME-WAIT entries by tuple. */
struct tcp_key *tcp_table_find(const struct tcp *t, const struct flow_tuple *tuple, uint32_t hash,
                               uint32_t *number);
void tcp_table_insert(struct tcp *t, struct tcp_key *key, uint32_t number);
void tcp_table_remove(struct tcp *t, struct tcp_key *key);
uint32_t tcp_flow_hash(const struct tcp *t, const struct flow_tuple *tuple);

/* tcp_conn.c: life of a connection. */
/* NULL: conns_max reached and no TIME-WAIT entry to recycle. The tuple is not in the table. */
struct tcp_conn *tcp_conn_new(struct tcp *t, const struct flow_tuple *tuple, uint32_t hash);
/* Ends it: out of the table and the wheel, ended(why) follows if there is a user, memory goes at
 * the end of tcp_flush(). */
void tcp_conn_kill(struct tcp *t, struct tcp_conn *c, enum stream_end why);
/* The same with an RST to the peer where it knows the connection. */
void tcp_conn_abort(struct tcp *t, struct tcp_conn *c, enum stream_end why);
/* Frees what was killed and has had its last callback. */
void tcp_conn_reap(struct tcp *t);
void tcp_conn_event(struct tcp *t, struct tcp_conn *c, enum tcp_event event);
void tcp_conn_flush_later(struct tcp *t, struct tcp_conn *c);
static inline void tcp_conn_ack_now(struct tcp *t, struct tcp_conn *c)
{
    c->flags |= TCPF_ACK_NOW;
    tcp_conn_flush_later(t, c);
}
/* An ACK that a forger could provoke: limited per connection (RFC 5961, 7). */
void tcp_conn_challenge(struct tcp *t, struct tcp_conn *c);
/* The handshake is complete: windows, timers, MSS-dependent state. */
void tcp_conn_established(struct tcp *t, struct tcp_conn *c);
void tcp_conn_tuple(const struct tcp_conn *c, struct flow_tuple *tuple);
/* Takes over what the peer's SYN offered. */
void tcp_conn_negotiate(struct tcp *t, struct tcp_conn *c, const struct tcp_options *o);
/* What the user calls through struct stream. */
extern const struct stream_ops tcp_stream_ops;

/* tcp_close.c */
/* The peer's FIN is in order and rcv_nxt has passed it. */
void tcp_close_fin_received(struct tcp *t, struct tcp_conn *c);
/* Our FIN was acknowledged. */
void tcp_close_fin_acked(struct tcp *t, struct tcp_conn *c);
void tcp_close_by_user(struct tcp *t, struct tcp_conn *c);
void tcp_close_life_fired(struct tcp *t, struct tcp_conn *c);

/* tcp_time_wait.c */
void tcp_time_wait_enter(struct tcp *t, struct tcp_conn *c);
/* A segment for a TIME-WAIT entry. True: it is a new SYN that may reuse the tuple; the entry is
 * gone and *isn_min is a sequence number that the new connection must start above. isn_min NULL:
 * nobody listens, so that no SYN is new. */
bool tcp_time_wait_input(struct tcp *t, struct tcp_time_wait *w, const struct tcp_segment *s,
                         uint32_t *isn_min);
/* Drops the oldest entry; false: there is none. */
bool tcp_time_wait_recycle(struct tcp *t);
void tcp_time_wait_expire(struct tcp *t, uint32_t max);

/* tcp_input.c */
void tcp_input_segment(void *l4, struct rte_mbuf *m, const struct l4_packet *p);
/* Steps that other states share with LISTEN. */
void tcp_input_synchronized(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s);

/* tcp_ack.c: what an acknowledgement does to the sender. */
void tcp_ack_advance(struct tcp *t, struct tcp_conn *c, uint32_t ack, const struct tcp_options *o);
/* The ACK field, SACK blocks and window of an acceptable segment. False: drop the segment. */
bool tcp_ack_input(struct tcp *t, struct tcp_conn *c, const struct tcp_segment *s);
void tcp_ack_timeout(struct tcp *t, struct tcp_conn *c);
/* What is in flight is to be sent once more, from snd_una on. */
void tcp_ack_go_back(struct tcp_conn *c);
uint32_t tcp_ack_pipe(const struct tcp_conn *c);
void tcp_ack_window(struct tcp_conn *c, uint32_t seq, uint32_t ack, uint32_t window);

/* tcp_rx.c: received bytes. */
/* [left, right) came twice. */
void tcp_rx_duplicate(struct tcp *t, struct tcp_conn *c, uint32_t left, uint32_t right);
/* Queues payload that starts at rcv_nxt. Takes s->m. */
void tcp_rx_in_order(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s);
/* Payload of an acceptable segment, in order or not; FIN too. */
void tcp_rx_input(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s);
struct slice tcp_rx_peek(struct tcp_conn *c);
void tcp_rx_consume(struct tcp *t, struct tcp_conn *c, size_t len);
void tcp_rx_clear(struct tcp *t, struct tcp_conn *c);
/* The right edge that we may offer now: never left of rcv_edge. */
uint32_t tcp_rx_edge(const struct tcp *t, const struct tcp_conn *c);
/* Moves a chain's data start; the chain is at least len bytes long; segments that become empty are
 * freed. The new head (NULL: nothing left). */
struct rte_mbuf *tcp_rx_trim_front(struct rte_mbuf *m, uint32_t len);
/* Cuts a chain to its first len > 0 bytes. */
void tcp_rx_trim_to(struct rte_mbuf *m, uint32_t len);
/* Copies a small or well-fitting segment into the tail's room instead of keeping its mbuf. */
bool tcp_rx_coalesce(struct rte_mbuf *tail, struct rte_mbuf *m);

/* tcp_ooo.c */
/* Keeps payload that lies above rcv_nxt. Takes s->m. */
void tcp_ooo_add(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s);
/* The chain that continues at rcv_nxt; NULL: none. *len its bytes, *mbufs its mbufs. */
struct rte_mbuf *tcp_ooo_take(struct tcp *t, struct tcp_conn *c, uint32_t *len, uint32_t *mbufs);
void tcp_ooo_clear(struct tcp *t, struct tcp_conn *c);
uint32_t tcp_ooo_bytes(const struct tcp_conn *c);
/* SACK blocks for the next ACK, the newest first; how many. */
uint32_t tcp_ooo_blocks(const struct tcp_conn *c, struct tcp_block *blocks, uint32_t max);
void tcp_ooo_validate(const struct tcp_conn *c, uint32_t *bytes, uint32_t *mbufs);

/* tcp_output.c */
/* Sends what the connection may send now. False: work is left that needs no event. */
bool tcp_output_conn(struct tcp *t, struct tcp_conn *c);
/* tcp_emit.c: one segment. */
struct tcp_emit {
    uint32_t seq;
    uint32_t len; /* payload from stream.out */
    uint8_t flags;
    struct outbuf_cursor *cursor; /* where the payload starts; NULL: seek */
};
/* False: no mbuf (counted). */
bool tcp_emit(struct tcp *t, struct tcp_conn *c, const struct tcp_emit *e);
bool tcp_emit_syn(struct tcp *t, struct tcp_conn *c);
/* RST with the sequence number that the peer expects next. */
void tcp_emit_reset(struct tcp *t, struct tcp_conn *c);
/* The answer to a segment that no connection wants (RFC 9293, 3.10.7.1); never to an RST. */
void tcp_emit_refusal(struct tcp *t, const struct tcp_segment *s);
/* A segment without payload outside of any connection. */
struct tcp_bare {
    const struct ip_addr *src, *dst;
    uint16_t src_port, dst_port;
    uint32_t seq, ack;
    uint16_t window;
    uint8_t flags;
    const uint8_t *options;
    uint8_t options_len;
};
void tcp_emit_bare(struct tcp *t, const struct tcp_bare *b, struct net_path *path);
/* Largest payload of one segment with these option bytes. */
static inline uint32_t tcp_payload_max(const struct tcp_conn *c)
{
    return (c->flags & TCPF_TS) ? (uint32_t)c->mss - TCP_OPTION_TS_LEN : c->mss;
}

/* tcp_timer.c */
void tcp_timer_arm(struct tcp *t, struct tcp_conn *c, enum tcp_timer which, uint32_t delay_ms);
static inline void tcp_timer_disarm(struct tcp_conn *c, enum tcp_timer which)
{
    c->timers_armed &= (uint8_t) ~(1u << which);
}
static inline bool tcp_timer_armed(const struct tcp_conn *c, enum tcp_timer which)
{
    return c->timers_armed >> which & 1;
}
uint32_t tcp_user_timeout_ms(const struct tcp *t);

/* tcp_listen.c, tcp_cookie.c */
struct tcp_listener *tcp_listener_find(struct tcp *t, uint16_t port);
/* A segment to a listening port that belongs to no connection. isn_min: 0, or above what a
 * TIME-WAIT entry of the tuple used. */
void tcp_listen_input(struct tcp *t, struct tcp_listener *l, struct tcp_segment *s,
                      uint32_t isn_min);
/* Third step of a handshake; false: the user refused, the connection is gone. */
bool tcp_listen_accept(struct tcp *t, struct tcp_conn *c);
void tcp_cookie_send(struct tcp *t, const struct tcp_segment *s);
/* An ACK that no connection wants: true when it completes a handshake by cookie; *o is what the SYN
 * offered. */
bool tcp_cookie_check(struct tcp *t, const struct tcp_segment *s, struct tcp_options *o);
/* tcp_connect.c */
void tcp_connect_input(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s);
/* What we announce to this peer. */
uint16_t tcp_mss_ours(const struct tcp *t, const struct ip_addr *remote);
uint32_t tcp_ts_offset(const struct tcp *t, const struct flow_tuple *tuple);

/* tcp_icmp.c */
void tcp_icmp_input(void *l4, const struct ip_addr *remote, const struct ip_addr *local,
                    const struct icmp_error *e);

void tcp_segment_tuple(const struct tcp_segment *s, struct flow_tuple *tuple);
