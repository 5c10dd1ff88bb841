#include "bus_bench.h"
#include <stdlib.h>
#include "check.h"

struct bus_bench bench;

static const uint8_t slots[BUS_SLOTS_SIZE];

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
    assert_true(bench.frame_count < BENCH_FRAMES_MAX);
    bench.seen[bench.frame_count++] = (struct bus_seen){h->type, frame->answered, frame->arrived_us,
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

void bench_run_mail(void)
{
    while (mailbox_run(&bench.control, NULL, 64) + mailbox_run(&bench.lcore, NULL, 64) > 0)
        bus_links_validate(bench.links);
}

void bench_run(void)
{
    bool more = true;
    while (more) {
        bench_run_mail();
        more = bus_links_run(bench.links);
        bus_links_validate(bench.links);
    }
    bench_run_mail();
}

void bench_give_back(unsigned count)
{
    CHECK(count <= bench.held_count);
    for (unsigned i = 0; i < count; i++)
        bus_frame_give_back(bench.held[i]);
    memmove(bench.held, bench.held + count, (bench.held_count - count) * sizeof(bench.held[0]));
    bench.held_count -= count;
}

void bench_send_frame(struct bus_send *send, const uint8_t *data, size_t len)
{
    *send = (struct bus_send){.link = bench.link, .data = data, .len = (uint32_t)len};
    bus_send_post(send);
    bench_run();
}

/* ---- the lcore's surroundings ---- */

struct test_stream *bench_stream_add(const char *peer)
{
    CHECK(bench.stream_count < BENCH_STREAMS_MAX);
    return bench.streams[bench.stream_count++] = test_stream_new(peer);
}

static struct stream *connect_to(void *ctx, const uint8_t address[BUS_ADDRESS_SIZE], uint16_t port,
                                 const struct stream_user_ops *user_ops, void *user)
{
    if (bench.refuse_connect)
        return NULL;
    struct test_stream *t = bench_stream_add("10.77.0.2:17000");
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
    struct bus_header h = {.type = BUS_PONG, .sender = (const uint8_t *)BENCH_ME, .slots = slots};
    struct bus_extension e = {.type = BUS_EXT_SHARD_ID, .name = (const uint8_t *)BENCH_ME};
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

int bench_set_up(void **state)
{
    memset(&bench, 0, sizeof(bench));
    CHECK(mailbox_init(&bench.control));
    CHECK(mailbox_init(&bench.lcore));
    bench.worker.now_us = BENCH_NOW_US;
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

int bench_tear_down(void **state)
{
    bench.hold = false;
    bench_give_back(bench.held_count);
    bus_links_end(bench.links);
    bench_run();
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

struct test_stream *bench_accept_one(void)
{
    struct test_stream *t = bench_stream_add("10.77.0.9:40000");
    assert_true(bus_links_accept(bench.links, &t->stream));
    bench_run();
    return t;
}

struct bus_header bench_header_of(uint16_t type, uint64_t epoch)
{
    return (struct bus_header){
        .type = type, .current_epoch = epoch, .sender = (const uint8_t *)BENCH_YOU, .slots = slots};
}

void bench_push(struct test_stream *t, uint16_t type, uint64_t epoch)
{
    uint8_t buf[FRAME];
    struct bus_writer w;
    struct bus_header h = bench_header_of(type, epoch);
    bus_write_begin(&w, buf, sizeof(buf), &h);
    test_stream_push(t, buf, bus_write_end(&w));
}

struct slice bench_publish_of(size_t len)
{
    uint8_t *message = calloc(1, len);
    struct slice channel = slice_str("c"), bytes = slice_from(message, len);
    struct bus_header h = bench_header_of(BUS_PUBLISH, 0);
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

void bench_push_pieces(struct test_stream *t, struct slice bytes, size_t piece)
{
    while (bytes.len > 0) {
        size_t len = piece < bytes.len ? piece : bytes.len;
        test_stream_push(t, bytes.data, len);
        bytes = slice_from(bytes.data + len, bytes.len - len);
    }
}

/* Takes all that the peer was sent: that many PONGs, nothing else. */
void bench_expect_pongs(struct test_stream *t, unsigned count)
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
        assert_memory_equal(at + BUS_AT_SENDER, BENCH_ME, BUS_NAME_SIZE);
    }
    free(bytes);
    bench_run();
}

void bench_expect_seen(unsigned index, uint16_t type, uint64_t epoch)
{
    assert_true(index < bench.frame_count);
    assert_int_equal(bench.seen[index].type, type);
    assert_int_equal(bench.seen[index].epoch, epoch);
}

struct test_stream *bench_accept_known(void)
{
    struct test_stream *t = bench_accept_one();
    bench.known = true;
    bench_push(t, BUS_PING, 1);
    bench_run();
    bench_expect_pongs(t, 1);
    return t;
}

struct bus_link *bench_open_one(void)
{
    struct bus_link *link = bus_link_new(&bench.path, false);
    assert_non_null(link);
    assert_true(bus_address_parse(slice_str("10.77.0.2"), link->address));
    link->port = 17000;
    bus_link_post_lcore(&link->open);
    bench_run();
    return link;
}
