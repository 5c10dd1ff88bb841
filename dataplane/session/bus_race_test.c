/* Bus links between two threads: an lcore whose peers send, read, end and connect at random, and a
 * control thread that keeps frames for a while, sends, ends and opens links. Every link's messages
 * arrive in their order (but for superseded PINGs), every frame and send comes back, every link is
 * released. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include "bus_link.h"
#include "check.h"
#include "rng.h"
#include "test_stream.h"

#define YOU "89abcdef0123456789abcdef0123456789abcdef"
#define PEERS 24
#define ROUNDS 6000
#define HELD_MAX 400
#define LINKS_MAX 4096
#define SENDS_MAX 200

static const uint8_t slots[BUS_SLOTS_SIZE];
static const uint8_t sent_bytes[5000];

static struct lcore_side {
    struct worker worker;
    struct bus_links *links;
    struct rng rng;
    struct peer {
        struct test_stream *stream;
        uint64_t epoch; /* of its next message */
        bool outbound;
    } peers[PEERS];
} lcore;

struct link_state {
    uint64_t epoch; /* of the last message */
    bool connected, ending;
};

static struct control_side {
    struct rng rng;
    struct bus_frame *held[HELD_MAX];
    unsigned held_count;
    struct bus_link *links[LINKS_MAX];
    unsigned link_count, sends_out, frames, released;
} control;

static struct mailbox control_box, lcore_box;
static struct bus_path path;
static struct cluster_shared shared;
static _Atomic(bool) lcore_quiet, lcore_over;

/* ---- the lcore and its peers ---- */

static struct peer *free_peer(void)
{
    for (unsigned i = 0; i < PEERS; i++) {
        struct peer *p = &lcore.peers[i];
        if (!p->stream || p->stream->aborted || p->stream->closed)
            return p;
    }
    return NULL;
}

static struct stream *peer_stream(bool outbound)
{
    struct peer *p = free_peer();
    if (!p)
        return NULL;
    if (p->stream)
        test_stream_free(p->stream);
    *p = (struct peer){.stream = test_stream_new("10.77.0.9:40000"), .outbound = outbound};
    return &p->stream->stream;
}

static struct stream *connect_to(void *ctx, const uint8_t address[BUS_ADDRESS_SIZE], uint16_t port,
                                 const struct stream_user_ops *user_ops, void *user)
{
    struct stream *s = peer_stream(true);
    if (s) {
        s->user_ops = user_ops;
        s->user = user;
    }
    return s;
}

static uint64_t offset_now(void *ctx)
{
    return 1;
}

static void peer_says(struct peer *p, uint16_t type)
{
    uint8_t buf[BUS_SIZE_PLAIN];
    struct bus_writer w;
    struct bus_header h = {
        .type = type, .current_epoch = ++p->epoch, .sender = (const uint8_t *)YOU, .slots = slots};
    bus_write_begin(&w, buf, sizeof(buf), &h);
    size_t len = bus_write_end(&w);
    size_t cut = rng_below(&lcore.rng, len);
    test_stream_push(p->stream, buf, cut);
    test_stream_push(p->stream, buf + cut, len - cut);
}

static void peer_acts(struct peer *p)
{
    uint64_t what = rng_below(&lcore.rng, 200);
    if (!p->stream || p->stream->aborted || p->stream->closed)
        return;
    if (p->outbound) {
        p->outbound = false;
        p->stream->stream.user_ops->connected(&p->stream->stream);
    } else if (what == 0) {
        test_stream_reset(p->stream);
    } else if (what == 1) {
        test_stream_eof(p->stream);
    } else if (what < 60) {
        peer_says(p, BUS_PING);
    } else if (what < 100) {
        peer_says(p, BUS_AUTH_ACK);
    } else if (what < 140) {
        free(test_stream_take(p->stream, NULL));
    }
}

static void lcore_round(bool act)
{
    lcore.worker.now_us += 10;
    (void)mailbox_run(&lcore_box, NULL, 64);
    if (act && rng_below(&lcore.rng, 4) == 0) {
        struct stream *s = peer_stream(false);
        if (s)
            CHECK(bus_links_accept(lcore.links, s));
    }
    for (unsigned i = 0; act && i < PEERS; i++)
        peer_acts(&lcore.peers[i]);
    (void)bus_links_run(lcore.links);
    bus_links_validate(lcore.links);
}

static void *lcore_main(void *arg)
{
    for (unsigned i = 0; i < ROUNDS; i++)
        lcore_round(true);
    bus_links_end(lcore.links);
    atomic_store(&lcore_quiet, true);
    while (!atomic_load(&lcore_over))
        lcore_round(false);
    return NULL;
}

/* ---- control ---- */

static void end_post(struct bus_link *link)
{
    struct link_state *state = link->control_state;
    if (state->ending)
        return;
    state->ending = true;
    link->aborted = rng_below(&control.rng, 2) == 0;
    bus_link_post_lcore(&link->end);
}

static void link_add(struct bus_link *link)
{
    CHECK(control.link_count < LINKS_MAX);
    control.links[control.link_count++] = link;
    link->control_state = calloc(1, sizeof(struct link_state));
    CHECK(link->control_state);
}

static void link_remove(struct bus_link *link)
{
    for (unsigned i = 0; i < control.link_count; i++) {
        if (control.links[i] == link)
            control.links[i--] = control.links[--control.link_count];
    }
    free(link->control_state);
    free(link);
    control.released++;
}

static void on_link(struct bus_link *link, struct bus_link_mail *mail, void *control_end)
{
    if (mail == &link->connected) {
        if (link->inbound)
            link_add(link);
        ((struct link_state *)link->control_state)->connected = true;
    } else if (mail == &link->gone) {
        end_post(link);
    } else {
        link_remove(link);
    }
}

static void on_frame(struct bus_frame *frame, void *control_end)
{
    struct link_state *state = frame->link->control_state;
    uint64_t epoch = frame->message.header.current_epoch;
    CHECK(epoch > state->epoch);
    CHECK(frame->message.header.type == BUS_PING || !frame->answered);
    state->epoch = epoch;
    control.frames++;
    frame->known = true;
    if (control.held_count < HELD_MAX)
        control.held[control.held_count++] = frame;
    else
        bus_frame_give_back(frame);
}

static void on_sent(struct bus_send *send, void *control_end)
{
    control.sends_out--;
    free(send);
}

static void give_one_back(void)
{
    if (control.held_count == 0)
        return;
    uint64_t i = rng_below(&control.rng, control.held_count);
    bus_frame_give_back(control.held[i]);
    control.held[i] = control.held[--control.held_count];
}

static void send_one(struct bus_link *link)
{
    const struct link_state *state = link->control_state;
    if (!state->connected || state->ending || control.sends_out >= SENDS_MAX)
        return;
    struct bus_send *send = calloc(1, sizeof(*send));
    CHECK(send);
    *send = (struct bus_send){.link = link, .data = sent_bytes, .len = sizeof(sent_bytes)};
    control.sends_out++;
    bus_send_post(send);
}

static void open_one(void)
{
    if (control.link_count >= PEERS)
        return;
    struct bus_link *link = bus_link_new(&path, false);
    CHECK(link);
    link_add(link);
    bus_link_post_lcore(&link->open);
}

static void control_round(void)
{
    uint64_t what = rng_below(&control.rng, 100);
    (void)mailbox_run(&control_box, NULL, 16);
    for (uint64_t i = rng_below(&control.rng, 40); i > 0; i--)
        give_one_back();
    if (what < 5)
        open_one();
    if (control.link_count == 0)
        return;
    struct bus_link *link = control.links[rng_below(&control.rng, control.link_count)];
    if (what == 5)
        end_post(link);
    else if (what < 40)
        send_one(link);
}

static void test_two_threads(void **state)
{
    pthread_t thread;
    struct cluster_pong *pong = cluster_pong_alloc(BUS_SIZE_PLAIN, BUS_SIZE_PLAIN);
    memset(pong->plain, 0, BUS_SIZE_PLAIN);
    memset(pong->full, 0, BUS_SIZE_PLAIN);
    (void)cluster_pong_publish(&shared, pong);
    atomic_store(&shared.lease_until_us, UINT64_MAX);
    rng_seed(&lcore.rng, 1);
    rng_seed(&control.rng, 2);
    CHECK(mailbox_init(&control_box));
    CHECK(mailbox_init(&lcore_box));
    path = (struct bus_path){.control = &control_box,
                             .lcore = &lcore_box,
                             .on_link = on_link,
                             .on_frame = on_frame,
                             .on_sent = on_sent};
    struct bus_links_config config = {.path = &path,
                                      .worker = &lcore.worker,
                                      .shared = &shared,
                                      .publish_max = BUS_FRAME_MAX,
                                      .connect = connect_to,
                                      .offset = offset_now};
    lcore.links = bus_links_new(&config);
    CHECK(lcore.links);
    bus_links_path(lcore.links, &path);
    assert_int_equal(pthread_create(&thread, NULL, lcore_main, NULL), 0);
    while (!atomic_load(&lcore_quiet))
        control_round();
    while (control.link_count > 0) {
        give_one_back();
        (void)mailbox_run(&control_box, NULL, 16);
    }
    atomic_store(&lcore_over, true);
    pthread_join(thread, NULL);
    while (mailbox_run(&control_box, NULL, 64) > 0)
        ;
    assert_int_equal(control.sends_out, 0);
    assert_int_equal(control.held_count, 0);
    assert_true(control.frames > ROUNDS);
    assert_true(control.released > 100);
}

static int tear_down(void **state)
{
    bus_links_free(lcore.links);
    for (unsigned i = 0; i < PEERS; i++) {
        if (lcore.peers[i].stream)
            test_stream_free(lcore.peers[i].stream);
    }
    free(cluster_pong_publish(&shared, NULL));
    mailbox_fini(&control_box);
    mailbox_fini(&lcore_box);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(test_two_threads, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
