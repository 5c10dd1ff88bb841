/* Bus links between two threads: an lcore whose peers send, read, end and connect at random, and a
 * control thread that keeps frames for a while, sends, ends and opens links. Every link's messages
 * arrive in their order (but for superseded PINGs), every frame and send comes back, every link is
 * released. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include "bus_peers.h"
#include "check.h"
#include "rng.h"

#define ROUNDS 6000
#define HELD_MAX 400
#define LINKS_MAX 4096
#define SENDS_MAX 200

static const uint8_t sent_bytes[5000];

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
static struct bus_peers *peers;

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
    if (control.link_count >= BUS_PEERS)
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
    rng_seed(&control.rng, 2);
    CHECK(mailbox_init(&control_box));
    CHECK(mailbox_init(&lcore_box));
    path = (struct bus_path){.control = &control_box,
                             .lcore = &lcore_box,
                             .on_link = on_link,
                             .on_frame = on_frame,
                             .on_sent = on_sent};
    peers = bus_peers_new(&path, &lcore_box, &shared, 1);
    bus_peers_start(peers, ROUNDS);
    while (!bus_peers_quiet(peers))
        control_round();
    while (control.link_count > 0) {
        give_one_back();
        (void)mailbox_run(&control_box, NULL, 16);
    }
    bus_peers_stop(peers);
    while (mailbox_run(&control_box, NULL, 64) > 0)
        ;
    assert_int_equal(control.sends_out, 0);
    assert_int_equal(control.held_count, 0);
    assert_true(control.frames > ROUNDS);
    assert_true(control.released > 100);
}

static int tear_down(void **state)
{
    bus_peers_free(peers);
    mailbox_fini(&control_box);
    mailbox_fini(&lcore_box);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(test_two_threads, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
