/* The language of the TCP tests: one engine on the captured port of test_port.h, one scripted peer,
 * virtual time.
 *
 *     OPEN();                                   three-way handshake, peer's options as in T.peer
 *     SEND(.seq = 1, .ack = 1, .data = "PING"); a segment from the peer, then a round of the loop
 *     EXPECT(.seq = 1, .ack = 5, .flags = ACK); the next segment that we sent, compared field by
 * field EXPECT_NONE();                            nothing else was sent ADVANCE(200); milliseconds
 * pass, timers run when they are due
 *
 * Sequence numbers are relative: the peer's SYN is .seq = 0, ours too. Flags default to ACK. PSH is
 * not compared. Payload without .data is the test pattern of its sequence number (.len bytes). */
#pragma once
#include "test_cmocka.h"
#include "tcp_engine.h"
#include "test_port.h"

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, NO_FLAGS = 0x100 };
#define ZERO_WINDOW 0x10000u
#define ANY 0xfffffffeu /* .window of EXPECT: not compared, as 0 */

struct test_seg {
    uint16_t flags; /* 0: ACK */
    uint32_t seq, ack;
    uint32_t window; /* SEND: 0 means T.peer.window; EXPECT: 0 means not compared */
    const char *data;
    uint32_t len; /* with data NULL */
    uint32_t ts_val,
        ts_ecr; /* 0: SEND uses T.peer.ts and the last TSval seen; EXPECT does not compare */
    bool no_ts; /* SEND: leave the option out although negotiated; EXPECT: it must be missing */
    uint8_t sack_count;
    bool any_sack; /* EXPECT: blocks are not compared */
    struct tcp_block sack[4];
    uint16_t mss; /* options of a SYN */
    bool scale_on, sack_ok;
    uint8_t scale;
    const uint8_t *raw_options;
    uint8_t raw_options_len;
    bool ack_isn_raw; /* SEND: ack is absolute */
    bool raw_seq;     /* SEND: seq is absolute */
};

/* The user of a stream: takes what comes, counts its callbacks. */
struct test_user {
    struct stream *stream;
    bool hold; /* does not consume */
    bool close_on_eof, close_on_readable, abort_on_readable, refuse, abort_in_accept, farewell;
    uint8_t received[1 << 20];
    uint32_t received_len;
    uint32_t connected, readable, drained, eof, ended;
    enum stream_end why;
};

struct test_peer {
    struct ip_addr addr;
    uint16_t port;
    uint32_t iss;
    uint32_t window;
    uint16_t mss; /* 0: no option */
    bool ts_on, sack_on, scale_on;
    uint8_t scale;
    uint32_t ts; /* TSval of the next segment */
};

struct tcp_test {
    struct test_net net;
    struct tcp *tcp;
    struct tcp_config config;
    struct test_peer peer;
    struct test_user user;
    uint16_t port;    /* ours */
    uint32_t iss;     /* ours, absolute, learned from our SYN */
    uint32_t ts_seen; /* our last TSval */
    bool ts_used;     /* both sides have it */
    uint32_t accepted;
    struct test_segment last; /* the segment that EXPECT looked at */
    struct tcp_options last_options;
};

extern struct tcp_test T;

/* Defaults, changed by the test before tcp_test_start(): conns_max 64, backlog 16, no keepalive,
 * NewReno; peer with MSS 1460 and nothing else. caps: enum port_caps. */
void tcp_test_defaults(void);
void tcp_test_start(uint32_t caps);
/* Frees the engine and checks that every mbuf is back and that no connection is open. */
void tcp_test_stop(void);
int tcp_test_setup(void **state);
int tcp_test_teardown(void **state);

void tcp_test_send(const struct test_seg *s);
/* Without the round of the loop after it: several segments of one burst. */
void tcp_test_send_burst(const struct test_seg *s);
void tcp_test_round(void);
void tcp_test_expect(const struct test_seg *s, const char *file, int line);
void tcp_test_expect_none(const char *file, int line);
void tcp_test_advance(uint64_t ms);
void tcp_test_open(const char *file, int line);
/* tcp_connect() to the peer and its side of the handshake. */
void tcp_test_connect(const char *file, int line);
/* Starts a connect only; our SYN is still to be expected. */
void tcp_test_connect_start(void);
void tcp_test_write(const char *data, uint32_t len);
/* Frees all that was sent; how many segments. */
uint32_t tcp_test_drop_sent(void);
/* Bytes of the test pattern at a relative sequence number. */
void tcp_test_pattern(uint8_t *buf, uint32_t seq, uint32_t len);
void tcp_test_received(const char *file, int line, uint32_t from_seq, uint32_t len);
struct tcp_conn *tcp_test_conn(void);
struct tcp_info tcp_test_info(void);

#define SEND(...) tcp_test_send(&(struct test_seg){__VA_ARGS__})
#define SEND_BURST(...) tcp_test_send_burst(&(struct test_seg){__VA_ARGS__})
#define ROUND() tcp_test_round()
#define EXPECT(...) tcp_test_expect(&(struct test_seg){__VA_ARGS__}, __FILE__, __LINE__)
#define EXPECT_NONE() tcp_test_expect_none(__FILE__, __LINE__)
#define ADVANCE(ms) tcp_test_advance(ms)
#define OPEN() tcp_test_open(__FILE__, __LINE__)
#define CONNECT() tcp_test_connect(__FILE__, __LINE__)
#define WRITE(text) tcp_test_write(text, (uint32_t)strlen(text))
/* That many bytes of the pattern, continuing what was written before. */
#define WRITE_PATTERN(len) tcp_test_write(NULL, len)
/* The user has got len pattern bytes from relative sequence number 1 on. */
#define RECEIVED(len) tcp_test_received(__FILE__, __LINE__, 1, len)
#define STAT(name) (tcp_stats(T.tcp)->name)
#define INFO() tcp_test_info()
#define STATE() (tcp_test_conn()->state)
#define TCP_TEST(name) cmocka_unit_test_setup_teardown(name, tcp_test_setup, tcp_test_teardown)
