/* The lcore's end of bus links, on streams in memory; control is played by the test. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "bus_link.h"
#include "check.h"
#include "test_stream.h"

#define ME "0123456789abcdef0123456789abcdef01234567"
#define YOU "89abcdef0123456789abcdef0123456789abcdef"
#define STREAMS_MAX 80
#define FRAMES_MAX 1024
#define FRAME BUS_HEADER_SIZE
#define NOW_US 1000000

static const uint8_t slots[BUS_SLOTS_SIZE];

static struct bench {
    struct worker worker;
    struct cluster_shared shared;
    struct mailbox control, lcore;
    struct bus_path path;
    struct bus_links *links;
    struct test_stream *streams[STREAMS_MAX];
    unsigned stream_count;
    bool refuse_connect;
    uint64_t offset;
    /* What control does and has seen. */
    bool hold;             /* it keeps the frames */
    bool known;            /* it calls their senders known */
    struct bus_link *link; /* the last that connected */
    unsigned connected, gone, released, sent, dropped;
    enum stream_end why;
    struct bus_frame *held[FRAMES_MAX];
    unsigned held_count, frame_count;
    struct seen {
        uint16_t type;
        bool answered;
        uint64_t arrived_us, epoch;
        size_t len;
    } seen[FRAMES_MAX];
} bench;

/* ---- control ---- */

static void on_link(struct bus_link *link, struct bus_link_mail *mail, void *control_end)
{
    assert_ptr_equal(control_end, &bench);
    if (mail == &link->connected) {
        bench.connected++;
        bench.link = link;
    } else if (mail == &link->gone) {
        bench.gone++;
        bench.why = link->why;
        bus_link_post_lcore(&link->end);
    } else {
        assert_ptr_equal(mail, &link->released);
        bench.released++;
        free(link);
    }
}

static void on_frame(struct bus_frame *frame, void *control_end)
{
    const struct bus_header *h = &frame->message.header;
    assert_true(bench.frame_count < FRAMES_MAX);
    bench.seen[bench.frame_count++] = (struct seen){h->type, frame->answered, frame->arrived_us,
                                                    h->current_epoch, frame->message.frame.len};
    frame->known = bench.known;
    if (bench.hold)
        bench.held[bench.held_count++] = frame;
    else
        bus_frame_give_back(frame);
}

static void on_sent(struct bus_send *send, void *control_end)
{
    bench.sent++;
    bench.dropped += send->dropped;
}

static void run_mail(void)
{
    while (mailbox_run(&bench.control, NULL, 64) + mailbox_run(&bench.lcore, NULL, 64) > 0)
        bus_links_validate(bench.links);
}

static void run(void)
{
    bool more = true;
    while (more) {
        run_mail();
        more = bus_links_run(bench.links);
        bus_links_validate(bench.links);
    }
    run_mail();
}

static void give_back(unsigned count)
{
    CHECK(count <= bench.held_count);
    for (unsigned i = 0; i < count; i++)
        bus_frame_give_back(bench.held[i]);
    memmove(bench.held, bench.held + count, (bench.held_count - count) * sizeof(bench.held[0]));
    bench.held_count -= count;
}

static void send_frame(struct bus_send *send, const uint8_t *data, size_t len)
{
    *send = (struct bus_send){.link = bench.link, .data = data, .len = (uint32_t)len};
    bus_send_post(send);
    run();
}

/* ---- the lcore's surroundings ---- */

static struct test_stream *stream_add(const char *peer)
{
    CHECK(bench.stream_count < STREAMS_MAX);
    return bench.streams[bench.stream_count++] = test_stream_new(peer);
}

static struct stream *connect_to(void *ctx, const uint8_t address[BUS_ADDRESS_SIZE], uint16_t port,
                                 const struct stream_user_ops *user_ops, void *user)
{
    if (bench.refuse_connect)
        return NULL;
    struct test_stream *t = stream_add("10.77.0.2:17000");
    t->stream.user_ops = user_ops;
    t->stream.user = user;
    return &t->stream;
}

static uint64_t offset_now(void *ctx)
{
    return bench.offset;
}

/* The PONG of ours: plain with epoch 1, full with epoch 2. */
static void pong_publish(void)
{
    struct bus_header h = {.type = BUS_PONG, .sender = (const uint8_t *)ME, .slots = slots};
    struct bus_extension e = {.type = BUS_EXT_SHARD_ID, .name = (const uint8_t *)ME};
    struct bus_writer w;
    struct cluster_pong *pong =
        cluster_pong_alloc(BUS_SIZE_PLAIN, BUS_SIZE_PLAIN + BUS_EXT_SHARD_SIZE);
    h.current_epoch = 1;
    bus_write_begin(&w, pong->plain, pong->plain_len, &h);
    CHECK(bus_write_end(&w) == pong->plain_len);
    h.current_epoch = 2;
    bus_write_begin(&w, pong->full, pong->full_len, &h);
    bus_write_extension(&w, &e);
    CHECK(bus_write_end(&w) == pong->full_len);
    free(cluster_pong_publish(&bench.shared, pong));
}

static int set_up(void **state)
{
    memset(&bench, 0, sizeof(bench));
    CHECK(mailbox_init(&bench.control));
    CHECK(mailbox_init(&bench.lcore));
    bench.worker.now_us = NOW_US;
    bench.offset = 4711;
    atomic_store(&bench.shared.lease_until_us, UINT64_MAX);
    pong_publish();
    bench.path = (struct bus_path){.control = &bench.control,
                                   .lcore = &bench.lcore,
                                   .control_end = &bench,
                                   .on_link = on_link,
                                   .on_frame = on_frame,
                                   .on_sent = on_sent};
    struct bus_links_config config = {.path = &bench.path,
                                      .worker = &bench.worker,
                                      .shared = &bench.shared,
                                      .publish_max = 8u << 20,
                                      .connect = connect_to,
                                      .offset = offset_now};
    bench.links = bus_links_new(&config);
    CHECK(bench.links);
    bus_links_path(bench.links, &bench.path);
    return 0;
}

static int tear_down(void **state)
{
    bench.hold = false;
    give_back(bench.held_count);
    bus_links_end(bench.links);
    run();
    bus_links_validate(bench.links);
    bus_links_free(bench.links);
    for (unsigned i = 0; i < bench.stream_count; i++)
        test_stream_free(bench.streams[i]);
    free(cluster_pong_publish(&bench.shared, NULL));
    mailbox_fini(&bench.control);
    mailbox_fini(&bench.lcore);
    return 0;
}

/* ---- the peer ---- */

static struct test_stream *accept_one(void)
{
    struct test_stream *t = stream_add("10.77.0.9:40000");
    assert_true(bus_links_accept(bench.links, &t->stream));
    run();
    return t;
}

static struct bus_header header_of(uint16_t type, uint64_t epoch)
{
    return (struct bus_header){
        .type = type, .current_epoch = epoch, .sender = (const uint8_t *)YOU, .slots = slots};
}

static void push(struct test_stream *t, uint16_t type, uint64_t epoch)
{
    uint8_t buf[FRAME];
    struct bus_writer w;
    struct bus_header h = header_of(type, epoch);
    bus_write_begin(&w, buf, sizeof(buf), &h);
    test_stream_push(t, buf, bus_write_end(&w));
}

static struct slice publish_of(size_t len)
{
    uint8_t *message = calloc(1, len);
    struct slice channel = slice_str("c"), bytes = slice_from(message, len);
    struct bus_header h = header_of(BUS_PUBLISH, 0);
    struct bus_writer w;
    size_t size = bus_publish_size(channel, bytes, false);
    uint8_t *buf = malloc(size);
    CHECK(message && buf);
    bus_write_begin(&w, buf, size, &h);
    bus_write_publish(&w, channel, bytes);
    bus_write_end(&w);
    free(message);
    return slice_from(buf, size);
}

static void push_pieces(struct test_stream *t, struct slice bytes, size_t piece)
{
    while (bytes.len > 0) {
        size_t len = piece < bytes.len ? piece : bytes.len;
        test_stream_push(t, bytes.data, len);
        bytes = slice_from(bytes.data + len, bytes.len - len);
    }
}

/* Takes all that the peer was sent: that many PONGs, nothing else. */
static void expect_pongs(struct test_stream *t, unsigned count)
{
    size_t len;
    char *bytes = test_stream_take(t, &len);
    assert_int_equal(len, (size_t)count * FRAME);
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *at = (const uint8_t *)bytes + (size_t)i * FRAME;
        assert_memory_equal(at, "RCmb", 4);
        assert_int_equal(bus_load16(at + BUS_AT_TYPE), BUS_PONG);
        assert_int_equal(bus_load64(at + BUS_AT_OFFSET), 4711);
        assert_int_equal(bus_load64(at + BUS_AT_CURRENT_EPOCH), 1);
        assert_memory_equal(at + BUS_AT_SENDER, ME, BUS_NAME_SIZE);
    }
    free(bytes);
    run();
}

static void expect_seen(unsigned index, uint16_t type, uint64_t epoch)
{
    assert_true(index < bench.frame_count);
    assert_int_equal(bench.seen[index].type, type);
    assert_int_equal(bench.seen[index].epoch, epoch);
}

/* ---- answering ---- */

static void test_ping_is_answered_and_mailed(void **state)
{
    struct test_stream *t = accept_one();
    assert_int_equal(bench.connected, 1);
    assert_true(bench.link->inbound);
    assert_string_equal(bench.link->peer_ip, "10.77.0.9");
    assert_string_equal(bench.link->local_ip, "10.77.0.1");
    push(t, BUS_PING, 5);
    bench.worker.now_us += 7;
    run();
    expect_pongs(t, 1);
    assert_int_equal(bench.frame_count, 1);
    expect_seen(0, BUS_PING, 5);
    assert_true(bench.seen[0].answered);
    assert_int_equal(bench.seen[0].arrived_us, NOW_US + 7);
    push(t, BUS_MEET, 6);
    push(t, BUS_PONG, 7);
    run();
    expect_pongs(t, 1);
    expect_seen(1, BUS_MEET, 6);
    assert_true(bench.seen[1].answered);
    expect_seen(2, BUS_PONG, 7);
    assert_false(bench.seen[2].answered);
}

static void test_nothing_is_answered_past_the_lease(void **state)
{
    struct test_stream *t = accept_one();
    atomic_store(&bench.shared.lease_until_us, NOW_US);
    push(t, BUS_PING, 5);
    run();
    expect_pongs(t, 0);
    assert_false(bench.seen[0].answered);
    atomic_store(&bench.shared.lease_until_us, NOW_US + 1);
    push(t, BUS_PING, 6);
    run();
    expect_pongs(t, 1);
    free(cluster_pong_publish(&bench.shared, NULL));
    push(t, BUS_PING, 7);
    run();
    expect_pongs(t, 0);
    assert_false(bench.seen[2].answered);
    assert_int_equal(bench.frame_count, 3);
}

static void test_peer_with_extensions_gets_all(void **state)
{
    uint8_t buf[FRAME];
    size_t len;
    struct bus_writer w;
    struct bus_header h = header_of(BUS_PING, 5);
    struct test_stream *t = accept_one();
    h.mflags = BUS_MFLAG_EXT_DATA;
    bus_write_begin(&w, buf, sizeof(buf), &h);
    test_stream_push(t, buf, bus_write_end(&w));
    run();
    char *bytes = test_stream_take(t, &len);
    assert_int_equal(len, FRAME + BUS_EXT_SHARD_SIZE);
    assert_int_equal(bus_load64((uint8_t *)bytes + BUS_AT_CURRENT_EPOCH), 2);
    assert_int_equal(bus_load64((uint8_t *)bytes + BUS_AT_OFFSET), 4711);
    free(bytes);
}

/* ---- reading ---- */

static void test_frames_in_pieces(void **state)
{
    struct test_stream *t = accept_one();
    uint8_t buf[3 * FRAME];
    struct bus_writer w;
    for (unsigned i = 0; i < 3; i++) {
        struct bus_header h = header_of(BUS_PONG, 100 + i);
        bus_write_begin(&w, buf + i * FRAME, FRAME, &h);
        bus_write_end(&w);
    }
    push_pieces(t, slice_from(buf, sizeof(buf)), 1);
    run();
    push_pieces(t, slice_from(buf, sizeof(buf)), 1000);
    run();
    assert_int_equal(bench.frame_count, 6);
    for (unsigned i = 0; i < 6; i++)
        expect_seen(i, BUS_PONG, 100 + i % 3);
}

static void test_what_is_not_believed(void **state)
{
    struct test_stream *t = accept_one();
    push(t, BUS_PING, UINT64_C(1) << 63);
    push(t, 0, 3);
    uint8_t newer[FRAME + 8] = {0};
    struct bus_writer w;
    struct bus_header h = header_of(BUS_AUTH_ACK, 4);
    bus_write_begin(&w, newer, FRAME, &h);
    bus_write_end(&w);
    bus_store32(newer + BUS_AT_TOTLEN, sizeof(newer));
    test_stream_push(t, newer, sizeof(newer));
    run();
    assert_int_equal(bench.frame_count, 1);
    expect_seen(0, BUS_PING, 3);
    expect_pongs(t, 1);
    assert_false(t->aborted);
    push(t, BUS_FAIL, 3); /* a header, and no more */
    push(t, BUS_PING, 4);
    run();
    assert_true(t->aborted);
    assert_int_equal(bench.frame_count, 1);
    assert_int_equal(bench.gone, 1);
    assert_int_equal(bench.why, STREAM_END_ABORTED);
    assert_int_equal(bench.released, 1);
    t = accept_one();
    test_stream_push(t, "*1\r\n$4\r\nPING\r\n", 14);
    run();
    assert_true(t->aborted);
    assert_int_equal(bench.released, 2);
}

static void test_control_that_gives_nothing_back(void **state)
{
    const unsigned window = BUS_LINK_LENT_MAX / FRAME + 1;
    struct test_stream *t = accept_one();
    bench.hold = true;
    for (unsigned i = 0; i < window; i++)
        push(t, BUS_PONG, i);
    run();
    assert_int_equal(bench.frame_count, window);
    /* Of PINGs the newest waits; all are answered. */
    for (unsigned i = 0; i < 10; i++)
        push(t, BUS_PING, 1000 + i);
    run();
    expect_pongs(t, 10);
    assert_int_equal(bench.frame_count, window);
    /* What must not be lost holds the peer back. */
    push(t, BUS_AUTH_REQUEST, 2000);
    push(t, BUS_AUTH_REQUEST, 2001);
    push(t, BUS_PING, 2002);
    run();
    expect_pongs(t, 0);
    assert_true(t->first != NULL);
    give_back(1);
    run();
    expect_seen(window, BUS_PING, 1009);
    assert_int_equal(bench.frame_count, window + 1);
    bench.hold = false;
    give_back(bench.held_count);
    run();
    assert_int_equal(bench.frame_count, window + 4);
    expect_seen(window + 1, BUS_AUTH_REQUEST, 2000);
    expect_seen(window + 2, BUS_AUTH_REQUEST, 2001);
    expect_seen(window + 3, BUS_PING, 2002);
    expect_pongs(t, 1);
    assert_null(t->first);
}

static void test_peer_that_takes_nothing_is_not_read(void **state)
{
    const unsigned room = BUS_LINK_OUT_MAX / FRAME + 1;
    struct test_stream *t = accept_one();
    for (unsigned i = 0; i < room + 20; i++) {
        push(t, BUS_PING, i);
        run();
    }
    assert_int_equal(bench.frame_count, room);
    expect_pongs(t, room);
    assert_int_equal(bench.frame_count, room + 20);
    expect_pongs(t, 20);
}

static void test_links_take_turns(void **state)
{
    enum { GREEDY = 6, EACH = 25 };
    struct test_stream *greedy[GREEDY];
    for (unsigned i = 0; i < GREEDY; i++)
        greedy[i] = accept_one();
    struct test_stream *modest = accept_one();
    for (unsigned i = 0; i < GREEDY * EACH; i++)
        push(greedy[i / EACH], BUS_AUTH_ACK, i);
    push(modest, BUS_PING, 9999);
    assert_true(bus_links_run(bench.links));
    run_mail();
    assert_int_equal(bench.frame_count, BUS_ROUND_STEPS);
    expect_seen(GREEDY * BUS_TURN_STEPS, BUS_PING, 9999);
    run();
    assert_int_equal(bench.frame_count, GREEDY * EACH + 1);
    assert_false(bus_links_run(bench.links));
    expect_pongs(modest, 1);
}

static void test_last_words(void **state)
{
    struct test_stream *t = accept_one();
    push(t, BUS_PING, 1);
    push(t, BUS_PONG, 2);
    test_stream_eof(t);
    run();
    assert_int_equal(bench.frame_count, 2);
    assert_true(t->closed);
    assert_int_equal(bench.gone, 1);
    assert_int_equal(bench.why, STREAM_END_CLOSED);
    t = accept_one();
    push(t, BUS_PING, 1);
    run();
    test_stream_reset(t);
    run();
    assert_int_equal(bench.why, STREAM_END_RESET);
    assert_int_equal(bench.released, 2);
}

/* ---- large messages ---- */

static struct test_stream *accept_known(void)
{
    struct test_stream *t = accept_one();
    bench.known = true;
    push(t, BUS_PING, 1);
    run();
    expect_pongs(t, 1);
    return t;
}

static void test_large_messages_one_at_a_time(void **state)
{
    struct slice large = publish_of(3u << 20);
    struct test_stream *one = accept_known(), *two = accept_known(), *three = accept_known();
    unsigned before = bench.frame_count;
    bench.hold = true;
    push_pieces(one, slice_from(large.data, 2u << 20), 65536);
    push_pieces(two, large, 65536);
    push(three, BUS_PING, 7);
    run();
    expect_pongs(three, 1);
    assert_null(one->first);
    assert_non_null(two->first); /* not read on */
    assert_int_equal(bench.frame_count, before + 1);
    push_pieces(one, slice_from(large.data + (2u << 20), large.len - (2u << 20)), 65536);
    run();
    assert_int_equal(bench.frame_count, before + 2);
    assert_int_equal(bench.seen[before + 1].len, large.len);
    assert_non_null(two->first); /* control still has it */
    give_back(2);
    run();
    assert_int_equal(bench.frame_count, before + 3);
    assert_null(two->first);
    assert_int_equal(bench.seen[before + 2].len, large.len);
    /* A link that ends leaves the place to the next. */
    give_back(1);
    run();
    push_pieces(one, slice_from(large.data, 2u << 20), 65536);
    run();
    push_pieces(two, large, 65536);
    run();
    assert_non_null(two->first);
    test_stream_reset(one);
    run();
    assert_null(two->first);
    assert_int_equal(bench.frame_count, before + 4);
    free((void *)large.data);
}

static void test_too_large(void **state)
{
    struct slice large = publish_of(9u << 20), middle = publish_of(BUS_STRANGER_FRAME_MAX);
    struct test_stream *t = accept_known();
    push_pieces(t, slice_from(large.data, 100), 100);
    run();
    assert_true(t->aborted);
    bench.known = false;
    t = accept_one();
    push_pieces(t, slice_from(middle.data, 100), 100); /* a stranger's */
    run();
    assert_true(t->aborted);
    free((void *)large.data);
    free((void *)middle.data);
}

/* ---- strangers ---- */

static void test_too_many_strangers(void **state)
{
    struct test_stream *known = accept_known();
    bench.known = false;
    struct test_stream *first = accept_one(), *second = accept_one();
    push(first, BUS_MEET, 1);
    run();
    for (unsigned i = 2; i < BUS_STRANGERS_MAX; i++)
        (void)accept_one();
    assert_int_equal(bench.gone, 0);
    (void)accept_one();
    assert_int_equal(bench.gone, 1);
    assert_true(second->aborted); /* the first has spoken later */
    assert_false(known->aborted);
    assert_false(first->aborted);
}

static void test_silent_strangers(void **state)
{
    assert_true(bus_links_deadline_us(bench.links) == UINT64_MAX);
    struct test_stream *known = accept_known();
    bench.known = false;
    assert_true(bus_links_deadline_us(bench.links) == UINT64_MAX);
    struct test_stream *t = accept_one();
    assert_int_equal(bus_links_deadline_us(bench.links), NOW_US + BUS_STRANGER_US);
    bench.worker.now_us += 10;
    push(t, BUS_MEET, 1);
    run();
    assert_int_equal(bus_links_deadline_us(bench.links), NOW_US + BUS_STRANGER_US + 10);
    bench.worker.now_us = NOW_US + BUS_STRANGER_US + 9;
    run();
    assert_false(t->aborted);
    bench.worker.now_us++;
    run();
    assert_true(t->aborted);
    assert_int_equal(bench.why, STREAM_END_TIMEOUT);
    assert_false(known->aborted);
}

/* ---- sending ---- */

static void test_control_sends(void **state)
{
    struct slice large = publish_of(2 * BUS_LINK_OUT_MAX);
    static struct bus_send first, second, third;
    size_t len;
    struct test_stream *t = accept_one();
    send_frame(&first, (const uint8_t *)"abc", 3);
    assert_int_equal(bench.sent, 1);
    send_frame(&second, large.data, large.len);
    send_frame(&third, (const uint8_t *)"xyz", 3);
    assert_int_equal(bench.sent, 1);
    assert_int_equal(t->stream.out.len, BUS_LINK_OUT_MAX);
    char *bytes = test_stream_take(t, &len);
    assert_int_equal(len, BUS_LINK_OUT_MAX);
    assert_memory_equal(bytes, "abc", 3);
    free(bytes);
    /* A PONG waits for the end of the frame that is on its way. */
    push(t, BUS_PING, 1);
    push(t, BUS_PING, 2);
    run();
    assert_int_equal(bench.frame_count, 2);
    assert_true(bench.seen[0].answered);
    assert_int_equal(bench.sent, 1);
    free(test_stream_take(t, &len));
    run();
    assert_int_equal(len, BUS_LINK_OUT_MAX);
    assert_int_equal(bench.sent, 3);
    bytes = test_stream_take(t, &len);
    size_t rest = large.len + 3 - 2 * (size_t)BUS_LINK_OUT_MAX;
    assert_int_equal(len, rest + FRAME + 3);
    assert_memory_equal(bytes, large.data + large.len - rest, rest);
    assert_memory_equal(bytes + rest, "RCmb", 4);
    assert_memory_equal(bytes + rest + FRAME, "xyz", 3);
    assert_int_equal(bench.dropped, 0);
    free(bytes);
    free((void *)large.data);
}

static void test_unsent_is_given_back(void **state)
{
    struct slice large = publish_of(2 * BUS_LINK_OUT_MAX);
    static struct bus_send first, second;
    struct test_stream *t = accept_one();
    send_frame(&first, large.data, large.len);
    send_frame(&second, large.data, large.len);
    test_stream_reset(t);
    run();
    assert_int_equal(bench.sent, 2);
    assert_int_equal(bench.dropped, 2);
    assert_int_equal(bench.released, 1);
    free((void *)large.data);
}

/* ---- links of our own ---- */

static struct bus_link *open_one(void)
{
    struct bus_link *link = bus_link_new(&bench.path, false);
    assert_non_null(link);
    assert_true(bus_address_parse(slice_str("10.77.0.2"), link->address));
    link->port = 17000;
    bus_link_post_lcore(&link->open);
    run();
    return link;
}

static void test_opened(void **state)
{
    struct bus_link *link = open_one();
    struct test_stream *t = bench.streams[0];
    assert_int_equal(bench.connected, 0);
    t->stream.user_ops->connected(&t->stream);
    run();
    assert_int_equal(bench.connected, 1);
    assert_ptr_equal(bench.link, link);
    assert_string_equal(link->peer_ip, "10.77.0.2");
    push(t, BUS_PING, 3);
    push(t, BUS_PONG, 4);
    run();
    expect_pongs(t, 1);
    assert_int_equal(bench.frame_count, 2);
    bus_link_post_lcore(&link->end);
    run();
    assert_true(t->closed);
    assert_int_equal(bench.gone, 0);
    assert_int_equal(bench.released, 1);
}

static void test_not_opened(void **state)
{
    bench.refuse_connect = true;
    (void)open_one();
    assert_int_equal(bench.gone, 1);
    assert_int_equal(bench.why, STREAM_END_UNREACHABLE);
    assert_int_equal(bench.released, 1);
    bench.refuse_connect = false;
    (void)open_one();
    struct test_stream *t = bench.streams[0];
    t->aborted = true;
    t->stream.user_ops->ended(&t->stream, STREAM_END_REFUSED);
    t->stream.user = NULL;
    run();
    assert_int_equal(bench.gone, 2);
    assert_int_equal(bench.why, STREAM_END_REFUSED);
    assert_int_equal(bench.released, 2);
    /* Given up before it connected. */
    struct bus_link *link = open_one();
    link->aborted = true;
    bus_link_post_lcore(&link->end);
    run();
    assert_true(bench.streams[1]->aborted);
    assert_int_equal(bench.connected, 0);
    assert_int_equal(bench.released, 3);
}

static void test_released_when_all_is_back(void **state)
{
    struct test_stream *t = accept_one();
    bench.hold = true;
    push(t, BUS_PING, 1);
    push(t, BUS_PING, 2);
    run();
    struct bus_link *link = bench.link;
    link->aborted = true;
    bus_link_post_lcore(&link->end);
    run();
    assert_true(t->aborted);
    assert_int_equal(bench.released, 0);
    give_back(1);
    run();
    assert_int_equal(bench.released, 0);
    give_back(1);
    run();
    assert_int_equal(bench.released, 1);
}

/* Both ends at once. */
static void test_gone_while_it_is_ended(void **state)
{
    struct test_stream *t = accept_one();
    static struct bus_send send;
    send = (struct bus_send){.link = bench.link, .data = (const uint8_t *)"x", .len = 1};
    test_stream_reset(t);
    bus_send_post(&send);
    run();
    assert_int_equal(bench.dropped, 1);
    assert_int_equal(bench.gone, 1);
    assert_int_equal(bench.released, 1);
}

static void test_the_lcore_ends(void **state)
{
    struct test_stream *t = accept_one();
    bench.hold = true;
    push(t, BUS_PING, 1);
    run();
    bus_links_end(bench.links);
    assert_true(t->aborted);
    struct test_stream *late = stream_add("10.77.0.9:40001");
    assert_false(bus_links_accept(bench.links, &late->stream));
    bench.hold = false;
    give_back(1);
    run();
    assert_int_equal(bench.gone, 1);
    assert_int_equal(bench.released, 1);
    (void)open_one();
    assert_int_equal(bench.gone, 2);
    assert_int_equal(bench.why, STREAM_END_ABORTED);
}

/* The control thread has ended with frames, and without ending its links. */
static void test_freed_with_everything(void **state)
{
    struct slice large = publish_of(2 * BUS_LINK_OUT_MAX);
    static struct bus_send send;
    struct test_stream *t = accept_one();
    struct bus_link *link = bench.link;
    bench.hold = true;
    for (unsigned i = 0; i < 40; i++)
        push(t, BUS_PONG, i);
    run();
    push_pieces(t, slice_from(large.data, 100), 100);
    send_frame(&send, large.data, large.len);
    bus_links_free(bench.links);
    assert_true(t->aborted);
    bench.held_count = 0;
    free(link);
    free((void *)large.data);
    struct bus_links_config config = {.path = &bench.path, .worker = &bench.worker};
    bench.links = bus_links_new(&config);
    assert_non_null(bench.links);
}

#define BUS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BUS_TEST(test_ping_is_answered_and_mailed),
        BUS_TEST(test_nothing_is_answered_past_the_lease),
        BUS_TEST(test_peer_with_extensions_gets_all),
        BUS_TEST(test_frames_in_pieces),
        BUS_TEST(test_what_is_not_believed),
        BUS_TEST(test_control_that_gives_nothing_back),
        BUS_TEST(test_peer_that_takes_nothing_is_not_read),
        BUS_TEST(test_links_take_turns),
        BUS_TEST(test_last_words),
        BUS_TEST(test_large_messages_one_at_a_time),
        BUS_TEST(test_too_large),
        BUS_TEST(test_too_many_strangers),
        BUS_TEST(test_silent_strangers),
        BUS_TEST(test_control_sends),
        BUS_TEST(test_unsent_is_given_back),
        BUS_TEST(test_opened),
        BUS_TEST(test_not_opened),
        BUS_TEST(test_released_when_all_is_back),
        BUS_TEST(test_gone_while_it_is_ended),
        BUS_TEST(test_the_lcore_ends),
        BUS_TEST(test_freed_with_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
