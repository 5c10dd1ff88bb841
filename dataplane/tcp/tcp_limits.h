/* Every bound of the TCP engine, and what happens there. Times are milliseconds, sizes bytes,
 * unless the name says otherwise. The bounds that an operator sets stand in struct tcp_config. */
#pragma once

/* --- connections --- */
/* conns_max reached: the oldest TIME-WAIT entry is recycled; without one a SYN is dropped
 * (conns_full) and tcp_connect() returns NULL. TIME-WAIT may hold half of conns_max, then its
 * oldest entry goes. */
#define TCP_LISTENERS_MAX 16 /* tcp_listen() returns false */

/* --- handshake (RFC 6298, 2.1 and 5.7; RFC 9293, 3.8.3) --- */
#define TCP_SYN_TRIES 6             /* SYNs of an active open (63 s), then STREAM_END_TIMEOUT */
#define TCP_SYN_ACK_TRIES 5         /* SYN-ACKs of a passive one (31 s), then it is forgotten */
#define TCP_COOKIE_PERIOD_MS 32768u /* a cookie is good for the current and the previous period */
#define TCP_COOKIE_RECENT_MS \
    65536u /* after the last cookie sent, ACKs are no longer tried as cookies */

/* --- segment sizes --- */
#define TCP_MSS_DEFAULT 536 /* no option (RFC 9293, 3.7.1); also for IPv6: RFC 9293 allows 1220 */
#define TCP_MSS_FLOOR \
    216 /* smaller offers and path MTUs count as this: no flood of tiny segments */
#define TCP_TSO_BYTES_MAX 61440u /* payload of one large frame, below the 64 KB of an IP packet */
#define TCP_FLUSH_BYTES_MAX \
    65536u /* sent by one connection per tcp_flush(); the rest waits its turn */

/* --- retransmission (RFC 6298) --- */
#define TCP_RTO_INITIAL_MS 1000
#define TCP_RTO_AFTER_SYN_LOSS_MS 3000
#define TCP_RTO_MIN_MS \
    200 /* below the RFC's 1 s, as kernels have it: request and reply over a LAN */
#define TCP_RTO_MAX_MS 60000
#define TCP_CLOCK_US 1000              /* granularity G of the timers */
#define TCP_USER_TIMEOUT_DEFAULT_S 300 /* RFC 9293 wants at least 100 s */
#define TCP_DUP_ACKS 3
#define TCP_SACK_RANGES_MAX 64  /* of the sender's scoreboard; more are ignored (resent if lost) */
#define TCP_INITIAL_SEGMENTS 10 /* RFC 6928 */
#define TCP_CWND_MAX (1u << 30)

/* --- acknowledgements --- */
#define TCP_DELAYED_ACK_MS 40     /* RFC 1122 allows 500 */
#define TCP_CHALLENGE_ACKS_MAX 10 /* per connection and period (RFC 5961, 7); more are not sent */
#define TCP_CHALLENGE_PERIOD_MS 1000
#define TCP_PAWS_IDLE_MS \
    (24u * 86400u * 1000u) /* a TS.Recent older than this is void (RFC 7323, 5.5) */

/* --- receiving --- */
#define TCP_RX_SCALE 4 /* shift of our window */
#define TCP_RX_WINDOW_MAX \
    (65535u << TCP_RX_SCALE)  /* unread and out-of-order bytes of one connection */
#define TCP_RX_WINDOW_SHARE 4 /* a window is at most 1/4 of what is left of rx_memory_bytes */
#define TCP_RX_MBUFS_MAX 2048 /* unread mbufs of one connection: in-order data is dropped beyond \
                               */
#define TCP_RX_POOL_SHARE 2   /* all connections together hold at most 1/2 of the port's mbufs */
#define TCP_OOO_RUNS_MAX 64 /* separate pieces out of order: the newest segment is dropped beyond \
                             */
#define TCP_OOO_MBUFS_MAX 1024 /* mbufs out of order of one connection: the same */
/* Out-of-order data may use 3/4 of rx_memory_bytes and of the mbufs, so that the segment that fills
 * the gap always finds room; when even that fails the connection's out-of-order data is given up.
 */
#define TCP_OOO_SHARE_NUM 3
#define TCP_OOO_SHARE_DEN 4

/* --- endings --- */
#define TCP_TIME_WAIT_MS 60000u
#define TCP_ORPHAN_MS 60000u   /* closed by the user: without progress for this long it is reset */
#define TCP_KEEPALIVE_PROBES 3 /* unanswered; sent a third of the idle time apart */
#define TCP_KEEPALIVE_SWEEP 64 /* connections per tcp_timers() that learn a changed setting */

_Static_assert(TCP_TSO_BYTES_MAX + 120 < 65536, "headers must fit beside the payload");
_Static_assert(TCP_RTO_MAX_MS >= 60000, "RFC 6298, 2.5");
_Static_assert(TCP_DELAYED_ACK_MS < TCP_RTO_MIN_MS, "our ACK must come before the peer's timeout");
