/* One connection. Owner: its lcore. Lists link connections by number (index in the pool + 1, 0 =
 * none), so that a link costs four bytes.
 *
 * Sequence space: the front of stream.out is snd_una (snd_una + 1 while our SYN is unacknowledged);
 * our FIN follows the last byte of stream.out. snd_una <= snd_nxt <= snd_max; snd_nxt goes back to
 * snd_una after a retransmission timeout. Bytes [rcv_nxt - rx_bytes, rcv_nxt) lie unread in the rx
 * chain. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "check.h"
#include "flow.h"
#include "netif.h"
#include "stream.h"
#include "tcp_cc.h"
#include "tcp_options.h"
#include "tcp_rtt.h"

struct tcp;
struct tcp_ooo;
struct tcp_sack_board;

enum tcp_state {
    TCP_CLOSED, /* killed: waits for its last callback and the end of tcp_flush() */
    TCP_SYN_SENT,
    TCP_SYN_RECEIVED,
    TCP_ESTABLISHED,
    TCP_CLOSE_WAIT,
    TCP_FIN_WAIT_1, /* the user closed; the FIN may still wait behind data */
    TCP_FIN_WAIT_2,
    TCP_CLOSING,
    TCP_LAST_ACK,
};

enum tcp_conn_flag {
    TCPF_TS = 1 << 0,         /* timestamps negotiated */
    TCPF_SACK = 1 << 1,       /* SACK negotiated */
    TCPF_SCALE = 1 << 2,      /* window scaling negotiated */
    TCPF_ACTIVE = 1 << 3,     /* opened by tcp_connect() */
    TCPF_SYN_NOW = 1 << 4,    /* a SYN or SYN-ACK is due */
    TCPF_SYN_RESENT = 1 << 5, /* it was sent more than once */
    TCPF_ACK_NOW = 1 << 6,    /* an ACK must leave with this flush */
    TCPF_ACK_LATER = 1 << 7,  /* data is not acknowledged yet; may wait for the delayed ACK */
    TCPF_FIN_WANTED = 1 << 8, /* the user closed: a FIN follows the data */
    TCPF_FIN_SENT = 1 << 9,
    TCPF_ORPHAN = 1 << 10,       /* the user is gone */
    TCPF_RESET_AT_END = 1 << 11, /* closed with unread data: RST instead of FIN */
    TCPF_FIN_KNOWN = 1 << 12,    /* the peer's FIN is at rcv_fin_seq */
    TCPF_FIN_RECEIVED = 1 << 13, /* and rcv_nxt has passed it */
    TCPF_FAST_RECOVERY = 1 << 14,
    TCPF_RTO_RECOVERY = 1 << 15,
    TCPF_RETRANSMIT_NOW = 1 << 16, /* the segment at snd_una, whatever the window says */
    TCPF_RESCUED = 1 << 17,        /* RFC 6675, NextSeg rule 4: once per recovery */
    TCPF_CWND_LIMITED = 1 << 18,
    TCPF_RTT_TIMING = 1 << 19,
    TCPF_PERSIST = 1 << 20,    /* the retransmission timer probes a closed window */
    TCPF_PROBE_NOW = 1 << 21,  /* a window or keepalive probe is due */
    TCPF_DSACK = 1 << 22,      /* tcp->dsack is this connection's */
    TCPF_CURSOR = 1 << 23,     /* cursor stands at snd_nxt */
    TCPF_IN_FLUSH = 1 << 24,   /* linked by flush_next */
    TCPF_IN_DELIVER = 1 << 25, /* linked by deliver_next */
    TCPF_HALF_OPEN = 1 << 26,  /* counted against the backlog */
    TCPF_FORCE_ONE = 1 << 27,  /* send what fits the window, however little (override of SWS) */
};

enum tcp_event {
    TCP_EV_CONNECTED = 1 << 0,
    TCP_EV_READABLE = 1 << 1,
    TCP_EV_DRAINED = 1 << 2,
    TCP_EV_EOF = 1 << 3,
    TCP_EV_ENDED = 1 << 4,
};

enum tcp_timer {
    TCP_TIMER_RTX, /* SYN, retransmission or persist: never two of them */
    TCP_TIMER_ACK,
    TCP_TIMER_IDLE, /* keepalive; once the user has left: what is left of the connection's life */
    TCP_TIMER_COUNT
};

/* What the hash table compares; TIME-WAIT entries begin with the same. */
struct tcp_key {
    struct ip_addr remote, local;
    uint16_t remote_port, local_port;
    uint32_t hash;
    uint32_t next; /* in the bucket */
};

struct tcp_conn {
    struct stream stream; /* first: a stream of this engine is its connection */
    struct tcp_key key;
    uint32_t flags; /* enum tcp_conn_flag */
    uint32_t id;    /* number in the pool */

    /* What every segment touches: two cache lines. */
    uint32_t rcv_nxt;
    uint32_t rcv_edge; /* right edge of the window that we advertised */
    uint32_t last_ack_sent;
    uint32_t ts_recent;
    uint32_t ts_recent_ms; /* when it was set */
    uint32_t ts_offset;
    uint32_t snd_una, snd_nxt, snd_max;
    uint32_t snd_wnd, snd_wl1, snd_wnd_max;
    struct rte_mbuf *rx_head, *rx_tail; /* one chain, unread bytes in order */
    uint32_t rx_bytes, rx_mbufs;
    uint32_t deliver_next, flush_next;
    uint8_t state; /* enum tcp_state */
    uint8_t snd_scale;
    uint8_t events;       /* enum tcp_event, for tcp_deliver() */
    uint8_t end_why;      /* enum stream_end */
    uint16_t mss;         /* payload and options of a segment to the peer: its offer and the path */
    uint16_t rcv_mss;     /* largest payload seen, for the delayed ACK */
    uint8_t timers_armed; /* bits of enum tcp_timer */
    uint8_t dup_acks;
    uint8_t tries; /* SYNs, window or keepalive probes without an answer */
    uint8_t challenge_acks;
    struct outbuf_cursor cursor;
    struct tcp *tcp;

    uint32_t last_rx_ms, last_tx_ms;
    uint32_t rtt_seq, rtt_start_us;
    struct net_path path;
    struct tcp_rtt rtt;
    struct tcp_cc_state cc;

    /* Timers: true deadlines; the wheel may look earlier (lazy re-arming). */
    uint32_t timer_ms[TCP_TIMER_COUNT];
    uint32_t wheel_next, wheel_prev;
    uint16_t wheel_slot; /* + 1; 0: not in the wheel */
    uint8_t keepalive_probes;
    uint16_t retransmits; /* stops at its end */

    uint32_t progress_ms; /* the peer last acknowledged something new, or kept a window closed */
    uint32_t recover;     /* recovery ends when this is acknowledged */
    uint32_t rtx_next;    /* fast recovery: what lies below was sent again or SACKed */
    uint32_t rcv_fin_seq;
    uint32_t challenge_ms;
    struct tcp_ooo *ooo;          /* NULL: nothing out of order */
    struct tcp_sack_board *board; /* NULL: nothing SACKed */
};

_Static_assert(offsetof(struct tcp_conn, stream) == 0, "container of its stream");
_Static_assert(sizeof(struct tcp_conn) <= 384, "100,000 idle connections with sessions in 100 MB");

static inline struct tcp_conn *tcp_conn_of(struct stream *s)
{
    return (struct tcp_conn *)s;
}
