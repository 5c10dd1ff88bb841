/* TCP for one lcore: server and client, no lock, no clock, no thread. What a segment must do is
 * RFC 9293, 7323, 2018, 6675, 6298, 5681, 6928, 9438 (CUBIC), 6582 (NewReno), 5961, 6528, 4987,
 * 2883, 5482, 6191.
 *
 * Contract: segments in (l4_ops from tcp_l4_ops()), time in (netif->now_us, set once per loop by
 * the owner), segments out through netif_output_tcp() in tcp_flush(). Between them the users of the
 * streams run. Everything is bounded: connections (conns_max), half-open ones (backlog, then
 * cookies), received bytes and mbufs per connection and in total, out-of-order data, TIME-WAIT;
 * what happens at each bound stands beside it in tcp_limits.h. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "flow.h"
#include "netif.h"
#include "stream.h"

struct tcp;

enum tcp_cc { TCP_CC_CUBIC, TCP_CC_NEWRENO };

struct tcp_config {
    uint32_t conns_max;       /* all states, TIME-WAIT included; the oldest TIME-WAIT goes first */
    uint32_t backlog;         /* half-open connections before SYN cookies */
    uint32_t keepalive_s;     /* 0: off */
    uint32_t user_timeout_s;  /* data unacknowledged this long aborts; 0: default (RFC 5482) */
    uint64_t rx_memory_bytes; /* unread and out-of-order bytes, all connections of this lcore */
    enum tcp_cc cc;
    uint16_t lcore; /* for flow_pick_port() */
    const struct flow_steering *steering;
    uint8_t secret[16]; /* initial sequence numbers, cookies */
    uint64_t seed;      /* jitter, client ports */
};

struct tcp *tcp_new(struct netif *nif, const struct tcp_config *config);
/* Aborts every connection (RST is queued and flushed) and returns every buffer. */
void tcp_free(struct tcp *t);

/* To be given to netif_new() with the tcp as argument (set netif->l4_arg after tcp_new()). */
const struct l4_ops *tcp_l4_ops(void);

/* Called on the third step of a handshake. The user sets s->user and s->user_ops and returns true;
 * false resets the connection, unless the user has closed or aborted it itself. */
typedef bool (*tcp_accept_fn)(void *arg, struct stream *s);
/* All local addresses. False: the port has a listener. */
bool tcp_listen(struct tcp *t, uint16_t port, tcp_accept_fn accept, void *arg);
void tcp_unlisten(struct tcp *t, uint16_t port);

/* Opens a connection from a local port that hashes to this lcore (src_port 0) or from src_port.
 * NULL: no route, no port, or conns_max reached. connected() or ended() follows later, never inside
 * this call. */
struct stream *tcp_connect(struct tcp *t, const struct ip_addr *dst, uint16_t dst_port,
                           uint16_t src_port, const struct stream_user_ops *user_ops, void *user);

/* Runs due timers (at most max of them), oldest first. */
void tcp_timers(struct tcp *t, uint32_t max);
/* When tcp_timers() must run next; UINT64_MAX: never. */
uint64_t tcp_deadline_us(const struct tcp *t);

/* Calls readable() of every stream that got bytes since the last call, in order of arrival. */
void tcp_deliver(struct tcp *t);
/* Builds and queues the segments of every connection that was kicked, got data to acknowledge or
 * may send more; netif_flush() sends them. A connection sends at most a fair share per call and
 * stays queued otherwise. */
void tcp_flush(struct tcp *t);
/* Whether tcp_flush() left work that needs no event. */
bool tcp_flush_pending(const struct tcp *t);

/* Live settings for new and existing connections. */
void tcp_keepalive_set(struct tcp *t, uint32_t keepalive_s);

/* Walks a connection's invariants; aborts on a broken one. Tests and fuzzers call it after each
 * step. */
void tcp_validate(const struct tcp *t);

struct tcp_info {
    uint32_t state; /* enum tcp_state */
    uint32_t snd_una, snd_nxt, snd_wnd, rcv_nxt, rcv_wnd;
    uint32_t cwnd_bytes, ssthresh_bytes, srtt_us, rttvar_us, rto_us, mss;
    uint32_t rx_queued_bytes, ooo_bytes, retransmits;
};
/* s must be a TCP stream of this engine. */
void tcp_stream_info(const struct stream *s, struct tcp_info *info);
/* Peer and local endpoint. */
void tcp_stream_tuple(const struct stream *s, struct flow_tuple *tuple);

/* clang-format off */
#define TCP_STATS \
    X(segments_in) X(segments_out) X(bytes_in) X(bytes_out) X(retransmitted_segments) \
    X(rto_fired) X(fast_retransmits) X(dup_acks_in) X(out_of_order_in) X(out_of_window_in) \
    X(checksum_bad) X(header_bad) X(resets_out) X(resets_in) X(challenge_acks) \
    X(challenge_acks_limited) X(syn_cookies_sent) X(syn_cookies_good) X(syn_cookies_bad) \
    X(backlog_full) X(conns_full) X(accepts) X(connects) X(connect_failures) \
    X(keepalive_drops) X(persist_probes) X(ooo_drops) X(rx_memory_drops) X(paws_drops) \
    X(time_wait_reused) X(time_wait_recycled) X(zero_window_out) X(pmtu_reduced) \
    X(mbuf_failures) X(conns_open) X(conns_half_open) X(conns_time_wait)
/* clang-format on */

struct tcp_stats {
#define X(name) uint64_t name;
    TCP_STATS
#undef X
};
const struct tcp_stats *tcp_stats(const struct tcp *t);
