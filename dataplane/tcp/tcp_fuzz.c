/* The stateful fuzzer: a peer that knows the connection's sequence numbers and bends them a little,
 * and a user that reads, writes and leaves at any moment. After each step every invariant is
 * walked; at the end every buffer and connection must be back. */
#include "tcp_fuzz.h"
#include <stdlib.h>
#include <string.h>
#include "tcp_engine.h"
#include "test_port.h"

#define FUZZ_PORT 6379
#define STEPS_MAX 300
#define OUT_MAX 200000u

struct fuzz_input {
    const uint8_t *p;
    size_t left;
};

static struct test_net net;
static struct tcp *engine;
static struct stream *user_stream;
static uint8_t
    user_habits; /* bit 0: hold, 1: close on eof, 2: abort on readable, 3: close on drained */
static uint32_t user_calls;

static uint32_t take(struct fuzz_input *in, unsigned bytes)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < bytes && in->left; i++, in->left--)
        v = v << 8 | *in->p++;
    return v;
}

/* --- the user --- */

static void user_leave(struct stream *s, bool abort)
{
    CHECK(s == user_stream);
    user_stream = NULL;
    if (abort)
        s->ops->abort(s);
    else
        s->ops->close(s);
}

static void user_read(struct stream *s, size_t most)
{
    struct slice piece;
    while (most && (piece = s->ops->peek(s)).len) {
        size_t len = piece.len < most ? piece.len : most;
        user_calls += piece.data[0] + piece.data[len - 1];
        s->ops->consume(s, len);
        most -= len;
    }
}

static void user_readable(struct stream *s)
{
    CHECK(s == user_stream);
    CHECK(s->ops->peek(s).len > 0);
    if (user_habits & 4)
        user_leave(s, true);
    else if (!(user_habits & 1))
        user_read(s, SIZE_MAX);
}

static void user_connected(struct stream *s)
{
    CHECK(s == user_stream);
}

static void user_drained(struct stream *s)
{
    CHECK(s == user_stream);
    if (user_habits & 8)
        user_leave(s, false);
}

static void user_eof(struct stream *s)
{
    CHECK(s == user_stream);
    if (user_habits & 2)
        user_leave(s, false);
}

static void user_ended(struct stream *s, enum stream_end why)
{
    CHECK(s == user_stream);
    CHECK(why <= STREAM_END_ABORTED);
    user_stream = NULL;
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
    if (user_stream)
        return false;
    s->user_ops = &user_ops;
    user_stream = s;
    return true;
}

static void user_step(struct fuzz_input *in)
{
    static const uint8_t bytes[4096];
    uint32_t what = take(in, 1), amount = take(in, 2);
    if (what % 8 == 7)
        user_habits = (uint8_t)amount;
    if (!user_stream)
        return;
    if (what % 8 < 4 && user_stream->out.len < OUT_MAX) {
        for (uint32_t left = amount; left;) {
            uint32_t piece = left < sizeof(bytes) ? left : sizeof(bytes);
            outbuf_append(&user_stream->out, bytes, piece);
            left -= piece;
        }
        user_stream->ops->kick(user_stream);
    } else if (what % 8 == 4) {
        user_read(user_stream, amount);
    } else if (what % 8 >= 5 && what % 8 < 7) {
        user_leave(user_stream, what % 8 == 5);
    }
}

/* --- the peer --- */

/* The connection that the fuzzer talks to: the user's, or any; NULL: none. */
static const struct tcp_conn *current(void)
{
    if (user_stream)
        return tcp_conn_of(user_stream);
    for (uint32_t n = 1; n <= engine->conns_used; n++)
        if (conn_at(engine, n)->state != TCP_CLOSED)
            return conn_at(engine, n);
    return NULL;
}

/* A number near one of the connection's own. */
static uint32_t near_number(struct fuzz_input *in, const uint32_t *anchors, uint32_t count)
{
    uint32_t how = take(in, 1);
    uint32_t anchor = anchors[how % count];
    switch (how / count % 4) {
    case 0:
        return anchor;
    case 1:
        return anchor + (uint32_t)(int8_t)take(in, 1);
    case 2:
        return anchor + (uint32_t)(int16_t)take(in, 2);
    default:
        return take(in, 4);
    }
}

static uint8_t peer_options(struct fuzz_input *in, const struct tcp_conn *c, uint8_t *p)
{
    uint32_t kind = take(in, 1);
    size_t len = 0;
    if (kind % 4 == 3) { /* anything */
        for (len = take(in, 1) % (TCP_OPTIONS_MAX + 1); kind & 64 && len % 4; len--)
            ;
        for (size_t i = 0; i < len; i++)
            p[i] = (uint8_t)take(in, 1);
        return (uint8_t)len;
    }
    if (kind & 4)
        len += tcp_options_put_mss(p + len, (uint16_t)take(in, 2));
    if (kind & 8)
        len += tcp_options_put_sack_permitted(p + len);
    if (kind & 16)
        len += tcp_options_put_scale(p + len, (uint8_t)(take(in, 1) % 20));
    if (kind & 32) {
        uint32_t base = c ? c->ts_recent : 1000;
        len += tcp_options_put_ts(p + len, base + (uint32_t)(int8_t)take(in, 1),
                                  c ? (uint32_t)engine->now_ms + c->ts_offset - take(in, 1) : 0);
    }
    if ((kind & 64) && c && len <= 16) {
        struct tcp_block blocks[2];
        const uint32_t anchors[] = {c->snd_una, c->snd_nxt, c->snd_max};
        for (int i = 0; i < 2; i++)
            blocks[i] =
                (struct tcp_block){near_number(in, anchors, 3), near_number(in, anchors, 3)};
        len += tcp_options_put_sack(p + len, blocks, 2);
    }
    return (uint8_t)len;
}

static void peer_step(struct fuzz_input *in)
{
    static const uint8_t flags[] = {TEST_ACK,
                                    TEST_SYN,
                                    TEST_ACK | TEST_PSH,
                                    TEST_FIN | TEST_ACK,
                                    TEST_RST,
                                    TEST_SYN | TEST_ACK,
                                    TEST_RST | TEST_ACK,
                                    TEST_ACK};
    static uint8_t data[4096];
    uint8_t options[TCP_OPTIONS_MAX];
    const struct tcp_conn *c = current();
    const uint32_t here[] = {c ? c->rcv_nxt : 1000, c ? c->rcv_edge : 0, c ? c->last_ack_sent : 0};
    const uint32_t there[] = {c ? c->snd_max : 0, c ? c->snd_una : 0, c ? c->snd_nxt : 0};
    uint32_t how = take(in, 1);
    struct test_tcp f = {.src = test_ip("10.77.0.2"),
                         .dst = net.config.ip4,
                         .src_port = c ? c->key.remote_port : (uint16_t)(40000 + how % 4),
                         .dst_port = c ? c->key.local_port : FUZZ_PORT,
                         .flags = how & 0x80 ? (uint8_t)take(in, 1) : flags[how % 8],
                         .options = options,
                         .data = data};
    if (how & 0x40) /* somebody else */
        f.src_port = (uint16_t)(40000 + take(in, 1) % 16);
    f.seq = near_number(in, here, 3);
    f.ack = near_number(in, there, 3);
    f.window = (uint16_t)take(in, how & 0x20 ? 2 : 1);
    f.data_len = how & 0x10 ? take(in, 2) % sizeof(data) : how & 0x08 ? take(in, 1) : 0;
    f.options_len = peer_options(in, c, options);
    struct rte_mbuf *m = test_frame_tcp(&net.port, &f);
    if ((how & 0x18) == 0x18 && m->data_len > 60)
        test_frame_split(&net.port, m, 60 + take(in, 1) % (m->data_len - 60u));
    test_net_input(&net, m);
}

static void icmp_step(struct fuzz_input *in)
{
    const struct tcp_conn *c = current();
    if (!c)
        return;
    const uint32_t there[] = {c->snd_una, c->snd_nxt, c->snd_max};
    struct icmp_error e = {.kind = take(in, 1) % 3,
                           .remote_port = c->key.remote_port,
                           .local_port = c->key.local_port,
                           .seq = near_number(in, there, 3),
                           .mtu = take(in, 2)};
    tcp_icmp_input(engine, &c->key.remote, &c->key.local, &e);
}

static void time_step(struct fuzz_input *in)
{
    uint32_t how = take(in, 1);
    uint64_t ms = how % 4 == 3 ? take(in, 3) : take(in, 1);
    uint64_t at_us = tcp_deadline_us(engine);
    net.nif->now_us += ms * 1000;
    if ((how & 4) && at_us != UINT64_MAX && at_us > net.nif->now_us)
        net.nif->now_us = at_us;
    tcp_timers(engine, 1 + how % 64);
}

/* --- one run --- */

static void start(struct fuzz_input *in)
{
    static bool ready;
    if (!ready) {
        test_net_init(&net, PORT_TX_MULTI_SEG | PORT_TX_TSO, 1, tcp_l4_ops(), NULL);
        ready = true;
    }
    uint32_t how = take(in, 1);
    struct tcp_config config = {.conns_max = 6,
                                .backlog = how & 1 ? 3 : 0,
                                .keepalive_s = how & 2 ? 30 : 0,
                                .user_timeout_s = how & 4 ? 10 : 0,
                                .rx_memory_bytes = how & 8 ? 20000 : 1 << 20,
                                .cc = how & 16 ? TCP_CC_CUBIC : TCP_CC_NEWRENO,
                                .steering = &net.steering,
                                .secret = {1},
                                .seed = 1};
    net.nif->now_us = TEST_NOW_US;
    engine = tcp_new(net.nif, &config);
    net.nif->l4_arg = engine;
    struct ip_addr peer = test_ip("10.77.0.2");
    test_net_resolve(&net, &peer, test_mac_peer);
    user_habits = (uint8_t)take(in, 1);
    CHECK(tcp_listen(engine, FUZZ_PORT, user_accept, NULL));
    if (how & 32)
        user_stream = tcp_connect(engine, &peer, 7000, 0, &user_ops, NULL);
}

static void stop(void)
{
    tcp_free(engine);
    CHECK(user_stream == NULL);
    test_port_drop_sent(&net.port);
    CHECK(test_port_buffers_used(&net.port) == 0);
}

static void loop_round(void)
{
    tcp_deliver(engine);
    tcp_validate(engine);
    tcp_flush(engine);
    netif_flush(net.nif);
    test_port_drop_sent(&net.port);
    tcp_validate(engine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    start(&in);
    for (int step = 0; step < STEPS_MAX && in.left; step++) {
        uint32_t what = take(&in, 1);
        if (what % 8 < 5)
            peer_step(&in);
        else if (what % 8 == 5)
            user_step(&in);
        else if (what % 8 == 6)
            time_step(&in);
        else
            icmp_step(&in);
        if (what & 0x40) /* else the burst goes on */
            loop_round();
    }
    loop_round();
    stop();
    return 0;
}
