#include "tcp_test.h"
#include <string.h>

struct tcp_test T;

#define PEER_ISS 0x10000000u

/* --- the user --- */

static void user_connected(struct stream *s)
{
    assert_ptr_equal(s, T.user.stream);
    T.user.connected++;
}

static void user_readable(struct stream *s)
{
    struct test_user *u = &T.user;
    u->readable++;
    if (u->abort_on_readable || u->close_on_readable) {
        struct stream *own = u->stream;
        u->stream = NULL;
        if (u->abort_on_readable)
            own->ops->abort(own);
        else
            own->ops->close(own);
        return;
    }
    struct slice piece;
    while (!u->hold && (piece = s->ops->peek(s)).len) {
        assert_true(u->received_len + piece.len <= sizeof(u->received));
        memcpy(u->received + u->received_len, piece.data, piece.len);
        u->received_len += (uint32_t)piece.len;
        s->ops->consume(s, piece.len);
    }
}

static void user_drained(struct stream *s)
{
    T.user.drained++;
}

static void user_eof(struct stream *s)
{
    T.user.eof++;
    if (T.user.close_on_eof) {
        T.user.stream = NULL;
        s->ops->close(s);
    }
}

static void user_ended(struct stream *s, enum stream_end why)
{
    T.user.ended++;
    T.user.why = why;
    T.user.stream = NULL;
}

static const struct stream_user_ops user_ops = {
    .connected = user_connected,
    .readable = user_readable,
    .drained = user_drained,
    .eof = user_eof,
    .ended = user_ended,
};

static bool user_accept(void *arg, struct stream *s)
{
    T.accepted++;
    if (T.user.farewell) {
        outbuf_append(&s->out, "sorry", 5);
        s->ops->close(s);
        return false;
    }
    if (T.user.refuse)
        return false;
    s->user_ops = &user_ops;
    if (T.user.abort_in_accept) {
        s->ops->abort(s);
        return true;
    }
    T.user.stream = s;
    return true;
}

/* --- fixture --- */

void tcp_test_defaults(void)
{
    memset(&T, 0, sizeof(T));
    T.config = (struct tcp_config){.conns_max = 64,
                                   .backlog = 16,
                                   .rx_memory_bytes = 64u << 20,
                                   .cc = TCP_CC_NEWRENO,
                                   .secret = {1, 2, 3, 4, 5, 6, 7, 8},
                                   .seed = 42};
    T.port = 6379;
    T.peer = (struct test_peer){.addr = test_ip("10.77.0.2"),
                                .port = 40000,
                                .iss = PEER_ISS,
                                .window = 65535,
                                .mss = 1460,
                                .ts = 5000};
}

void tcp_test_start(uint32_t caps)
{
    test_net_init(&T.net, caps, 1, tcp_l4_ops(), NULL);
    T.config.steering = &T.net.steering;
    T.tcp = tcp_new(T.net.nif, &T.config);
    T.net.nif->l4_arg = T.tcp;
    test_net_resolve(&T.net, &T.peer.addr, test_mac_peer);
    assert_true(tcp_listen(T.tcp, T.port, user_accept, NULL));
}

void tcp_test_stop(void)
{
    if (!T.tcp)
        return;
    tcp_validate(T.tcp);
    tcp_free(T.tcp);
    T.tcp = NULL;
    test_net_fini(&T.net);
}

int tcp_test_setup(void **state)
{
    tcp_test_defaults();
    return 0;
}

int tcp_test_teardown(void **state)
{
    tcp_test_stop();
    return 0;
}

/* --- segments of the peer --- */

void tcp_test_pattern(uint8_t *buf, uint32_t seq, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        buf[i] = (uint8_t)((seq + i) * 31 + ((seq + i) >> 8));
}

static uint8_t syn_options(const struct test_seg *s, uint8_t *p)
{
    size_t len = 0;
    if (s->mss)
        len += tcp_options_put_mss(p + len, s->mss);
    if (s->sack_ok)
        len += tcp_options_put_sack_permitted(p + len);
    if (s->scale_on)
        len += tcp_options_put_scale(p + len, s->scale);
    return (uint8_t)len;
}

static uint8_t send_options(const struct test_seg *s, uint8_t *p)
{
    if (s->raw_options) {
        memcpy(p, s->raw_options, s->raw_options_len);
        return s->raw_options_len;
    }
    size_t len = syn_options(s, p);
    bool ts = s->flags & SYN ? s->ts_val != 0 : T.ts_used || s->ts_val != 0;
    if (ts && !s->no_ts)
        len += tcp_options_put_ts(p + len, s->ts_val ? s->ts_val : T.peer.ts,
                                  s->ts_ecr ? s->ts_ecr : T.ts_seen);
    if (s->sack_count) {
        struct tcp_block blocks[4];
        for (int i = 0; i < s->sack_count; i++)
            blocks[i] = (struct tcp_block){s->sack[i].left + T.iss, s->sack[i].right + T.iss};
        len += tcp_options_put_sack(p + len, blocks, s->sack_count);
    }
    return (uint8_t)len;
}

void tcp_test_send_burst(const struct test_seg *s)
{
    static uint8_t data[65536];
    uint8_t options[TCP_OPTIONS_MAX];
    struct test_tcp f = {.src = T.peer.addr,
                         .dst = T.net.config.ip4,
                         .src_port = T.peer.port,
                         .dst_port = T.port,
                         .seq = s->raw_seq ? s->seq : s->seq + T.peer.iss,
                         .ack = s->ack_isn_raw ? s->ack : s->ack + T.iss,
                         .flags = s->flags ? (uint8_t)s->flags : TEST_ACK,
                         .options = options,
                         .data = s->data,
                         .data_len = s->data ? (uint32_t)strlen(s->data) : s->len};
    uint32_t window = s->window ? s->window : T.peer.window;
    f.window = (uint16_t)(window == ZERO_WINDOW ? 0 : window);
    f.options_len = send_options(s, options);
    if (!ip_addr_is4(&f.src))
        f.dst = T.net.config.ip6;
    if (!s->data && s->len) {
        tcp_test_pattern(data, s->seq, s->len);
        f.data = data;
    }
    struct rte_mbuf *m = test_frame_tcp(&T.net.port, &f);
    test_net_input(&T.net, m);
}

void tcp_test_round(void)
{
    tcp_deliver(T.tcp);
    tcp_flush(T.tcp);
    netif_flush(T.net.nif);
    tcp_validate(T.tcp);
}

void tcp_test_send(const struct test_seg *s)
{
    tcp_test_send_burst(s);
    tcp_test_round();
}

/* --- what we sent --- */

static void expect_fail(const char *file, int line, const char *what, uint32_t got, uint32_t want)
{
    print_error("%s: got %u (0x%x), want %u (0x%x)\n", what, got, got, want, want);
    _fail(file, line);
}

#define EXPECT_FIELD(what, got, want)                                         \
    do {                                                                      \
        if ((got) != (want))                                                  \
            expect_fail(file, line, what, (uint32_t)(got), (uint32_t)(want)); \
    } while (0)

static void expect_options(const struct test_seg *s, const char *file, int line)
{
    const struct tcp_options *o = &T.last_options;
    if (s->flags & SYN) {
        EXPECT_FIELD("mss option", o->has_mss ? o->mss : 0, s->mss);
        EXPECT_FIELD("window scale option", o->has_scale, s->scale_on);
        EXPECT_FIELD("SACK permitted", o->sack_permitted, s->sack_ok);
    }
    if (s->no_ts)
        EXPECT_FIELD("timestamps", o->has_ts, false);
    if (s->ts_val)
        EXPECT_FIELD("TSval", o->ts_val, s->ts_val);
    if (s->ts_ecr)
        EXPECT_FIELD("TSecr", o->ts_ecr, s->ts_ecr);
    if (s->any_sack)
        return;
    EXPECT_FIELD("SACK blocks", o->sack_count, s->sack_count);
    for (int i = 0; i < s->sack_count; i++) {
        EXPECT_FIELD("SACK left", o->sack[i].left - T.peer.iss, s->sack[i].left);
        EXPECT_FIELD("SACK right", o->sack[i].right - T.peer.iss, s->sack[i].right);
    }
}

static void expect_payload(const struct test_seg *s, const char *file, int line)
{
    uint32_t len = s->data ? (uint32_t)strlen(s->data) : s->len;
    EXPECT_FIELD("payload length", T.last.data_len, len);
    uint8_t pattern[65536];
    tcp_test_pattern(pattern, s->seq, len);
    if (len && memcmp(T.last.data, s->data ? (const uint8_t *)s->data : pattern, len) != 0)
        expect_fail(file, line, "payload differs", T.last.data[0], 0);
}

void tcp_test_expect(const struct test_seg *s, const char *file, int line)
{
    if (!test_port_take_segment(&T.net.port, &T.last)) {
        print_error("nothing was sent\n");
        _fail(file, line);
    }
    tcp_options_parse(T.last.options, T.last.options_len, T.last.flags & SYN, &T.last_options);
    uint16_t flags = s->flags ? s->flags : ACK;
    EXPECT_FIELD("flags", T.last.flags & ~PSH, flags & ~PSH & 0xff);
    if (T.last.flags & SYN)
        T.iss = T.last.seq;
    EXPECT_FIELD("seq", T.last.seq - (s->raw_seq ? 0 : T.iss), s->seq);
    if (flags & ACK)
        EXPECT_FIELD("ack", T.last.ack - (s->raw_seq ? 0 : T.peer.iss), s->ack);
    if (s->window && s->window != ANY)
        EXPECT_FIELD("window", T.last.window, s->window == ZERO_WINDOW ? 0 : s->window);
    expect_options(s, file, line);
    expect_payload(s, file, line);
    if (T.last_options.has_ts)
        T.ts_seen = T.last_options.ts_val;
}

void tcp_test_expect_none(const char *file, int line)
{
    if (test_port_take_segment(&T.net.port, &T.last)) {
        print_error("unexpected: flags %02x seq %u ack %u len %u window %u\n", T.last.flags,
                    T.last.seq - T.iss, T.last.ack - T.peer.iss, T.last.data_len, T.last.window);
        _fail(file, line);
    }
}

uint32_t tcp_test_drop_sent(void)
{
    uint32_t count = 0;
    while (test_port_take_segment(&T.net.port, &T.last))
        count++;
    return count;
}

/* --- time, connections --- */

void tcp_test_advance(uint64_t ms)
{
    struct netif *nif = T.net.nif;
    uint64_t end_us = nif->now_us + ms * 1000;
    for (;;) {
        uint64_t at_us = tcp_deadline_us(T.tcp);
        if (at_us > end_us)
            break;
        if (at_us > nif->now_us)
            nif->now_us = at_us;
        tcp_timers(T.tcp, 64);
        tcp_test_round();
    }
    nif->now_us = end_us;
    T.peer.ts += (uint32_t)ms;
}

static struct test_seg peer_syn(void)
{
    return (struct test_seg){.flags = SYN,
                             .mss = T.peer.mss,
                             .scale_on = T.peer.scale_on,
                             .scale = T.peer.scale,
                             .sack_ok = T.peer.sack_on,
                             .ts_val = T.peer.ts_on ? T.peer.ts : 0,
                             .ts_ecr = 0};
}

void tcp_test_open(const char *file, int line)
{
    struct test_seg syn = peer_syn();
    tcp_test_send(&syn);
    struct test_seg answer = {.flags = SYN | ACK,
                              .ack = 1,
                              .mss = ip_addr_is4(&T.peer.addr) ? 1460 : 1440,
                              .scale_on = T.peer.scale_on,
                              .sack_ok = T.peer.sack_on};
    tcp_test_expect(&answer, file, line);
    T.ts_used = T.peer.ts_on;
    tcp_test_send(&(struct test_seg){.seq = 1, .ack = 1});
    tcp_test_expect_none(file, line);
}

void tcp_test_connect_start(void)
{
    T.user.stream = tcp_connect(T.tcp, &T.peer.addr, 7000, 0, &user_ops, NULL);
    assert_non_null(T.user.stream);
    struct flow_tuple tuple;
    tcp_stream_tuple(T.user.stream, &tuple);
    T.port = tuple.local_port;
    T.peer.port = 7000;
    tcp_test_round();
}

void tcp_test_connect(const char *file, int line)
{
    tcp_test_connect_start();
    tcp_test_expect(
        &(struct test_seg){.flags = SYN, .mss = 1460, .scale_on = true, .sack_ok = true}, file,
        line);
    struct test_seg answer = peer_syn();
    answer.flags = SYN | ACK;
    answer.ack = 1;
    T.ts_used = T.peer.ts_on;
    tcp_test_send(&answer);
    tcp_test_expect(&(struct test_seg){.seq = 1, .ack = 1}, file, line);
    assert_int_equal(T.user.connected, 1);
}

void tcp_test_write(const char *data, uint32_t len)
{
    static uint8_t pattern[1 << 20];
    struct stream *s = T.user.stream;
    struct tcp_conn *c = tcp_conn_of(s);
    assert_true(len <= sizeof(pattern));
    if (!data)
        tcp_test_pattern(pattern, c->snd_una + (uint32_t)s->out.len - T.iss, len);
    outbuf_append(&s->out, data ? (const uint8_t *)data : pattern, len);
    s->ops->kick(s);
    tcp_test_round();
}

void tcp_test_received(const char *file, int line, uint32_t from_seq, uint32_t len)
{
    static uint8_t pattern[1 << 20];
    EXPECT_FIELD("bytes received", T.user.received_len, len);
    tcp_test_pattern(pattern, from_seq, len);
    if (memcmp(pattern, T.user.received, len) != 0)
        expect_fail(file, line, "received bytes differ", 0, 0);
}

struct tcp_conn *tcp_test_conn(void)
{
    for (uint32_t n = 1; n <= T.tcp->conns_used; n++)
        if (conn_at(T.tcp, n)->state != TCP_CLOSED)
            return conn_at(T.tcp, n);
    fail_msg("no connection");
    return NULL;
}

struct tcp_info tcp_test_info(void)
{
    struct tcp_info info;
    tcp_stream_info(&tcp_test_conn()->stream, &info);
    return info;
}
