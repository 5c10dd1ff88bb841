/* Every bound of the TCP engine, and what happens there. The bounds that an operator sets stand in
 * struct tcp_config. */
#pragma once

/* --- connections ---
 * conns_max reached: the oldest TIME-WAIT entry is recycled; without one a SYN is dropped
 * (conns_full) and tcp_connect() returns NULL. TIME-WAIT may hold half of conns_max, then its
 * oldest goes. */

/* More: tcp_listen() returns false. */
#define TCP_LISTENERS_MAX 16

/* --- handshake (RFC 6298, 2.1 and 5.7; RFC 9293, 3.8.3) --- */

/* SYNs of an active open (63 s in all), then STREAM_END_TIMEOUT; SYN-ACKs of a passive one (31 s),
 * then it is forgotten. */
#define TCP_SYN_TRIES 6
#define TCP_SYN_ACK_TRIES 5
/* A cookie is good for the current and the previous period; this long after the last one was sent,
 * ACKs are no longer tried as cookies. */
#define TCP_COOKIE_PERIOD_MS 32768u
#define TCP_COOKIE_RECENT_MS 65536u

/* --- segment sizes --- */

/* Without an MSS option (RFC 9293, 3.7.1). */
#define TCP_MSS_DEFAULT 536
/* Smaller offers and path MTUs count as this: no flood of tiny segments. */
#define TCP_MSS_FLOOR 216
/* Payload of one large frame, below the 64 KB of an IP packet. */
#define TCP_TSO_BYTES_MAX 61440u
/* Sent by one connection per tcp_flush(); the rest waits its turn. */
#define TCP_FLUSH_BYTES_MAX 65536u

/* --- retransmission (RFC 6298) --- */
#define TCP_RTO_INITIAL_MS 1000
#define TCP_RTO_AFTER_SYN_LOSS_MS 3000
/* Below the RFC's 1 s, as kernels have it: request and reply over a LAN. */
#define TCP_RTO_MIN_MS 200
#define TCP_RTO_MAX_MS 60000
/* Granularity G of the timers. */
#define TCP_CLOCK_US 1000
/* RFC 9293 wants at least 100 s. */
#define TCP_USER_TIMEOUT_DEFAULT_S 300
#define TCP_DUP_ACKS 3
/* Of the sender's scoreboard; what does not fit is ignored (resent if lost). */
#define TCP_SACK_RANGES_MAX 256
/* RFC 6928 */
#define TCP_INITIAL_SEGMENTS 10
#define TCP_CWND_MAX (1u << 30)

/* --- acknowledgements --- */

/* RFC 1122 allows 500. */
#define TCP_DELAYED_ACK_MS 40
/* Per connection and period (RFC 5961, 7); more are not sent. */
#define TCP_CHALLENGE_ACKS_MAX 10
#define TCP_CHALLENGE_PERIOD_MS 1000
/* A TS.Recent older than this is void (RFC 7323, 5.5). */
#define TCP_PAWS_IDLE_MS (24u * 86400u * 1000u)
/* A segment without the timestamps that were negotiated is taken as if it had none (RFC 7323, 3.2
 * would drop it): peers and middleboxes exist that leave them out. */

/* --- receiving --- */

/* Unread and out-of-order bytes of one connection: the window never offers more. */
#define TCP_RX_SCALE 4
#define TCP_RX_WINDOW_MAX (65535u << TCP_RX_SCALE)
/* A window is at most 1/4 of what is left of rx_memory_bytes. */
#define TCP_RX_WINDOW_SHARE 4
/* Unread mbufs of one connection; in-order data is dropped beyond (rx_memory_drops). */
#define TCP_RX_MBUFS_MAX 2048
/* All connections together hold at most 1/2 of the port's mbufs; the same. */
#define TCP_RX_POOL_SHARE 2
/* Separate pieces out of order, and mbufs in them, of one connection: the newest segment is dropped
 * beyond (ooo_drops). Room for pieces begins small and doubles. */
#define TCP_OOO_RUNS_MAX 256
#define TCP_OOO_RUNS_FIRST 8
#define TCP_OOO_MBUFS_MAX 1024
/* Out-of-order data may use 3/4 of rx_memory_bytes and of the mbufs, so that the segment that fills
 * the gap always finds room; when even that fails the connection's out-of-order data is given up.
 */
#define TCP_OOO_SHARE_NUM 3
#define TCP_OOO_SHARE_DEN 4

/* --- endings --- */
#define TCP_TIME_WAIT_MS 60000u
/* Closed by the user and without progress for this long, or in FIN-WAIT-2: reset. */
#define TCP_ORPHAN_MS 60000u
/* Unanswered, a third of the idle time apart; then STREAM_END_TIMEOUT. */
#define TCP_KEEPALIVE_PROBES 3
/* Connections per tcp_timers() that learn a changed setting. */
#define TCP_KEEPALIVE_SWEEP 64

_Static_assert(TCP_TSO_BYTES_MAX + 120 < 65536, "headers must fit beside the payload");
_Static_assert(TCP_RTO_MAX_MS >= 60000, "RFC 6298, 2.5");
_Static_assert(TCP_RTO_MAX_MS <= 65535, "struct tcp_rtt keeps it in 16 bits");
_Static_assert(TCP_DELAYED_ACK_MS < TCP_RTO_MIN_MS, "our ACK must come before the peer's timeout");
_Static_assert(TCP_COOKIE_RECENT_MS >= 2 * TCP_COOKIE_PERIOD_MS, "as long as a cookie is good");
