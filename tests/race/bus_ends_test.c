/* Both ends of the cluster bus: two lcores whose peers act at random, and the control thread's end,
 * which opens, sends and closes. The state would hear of each link: up once and first, its messages
 * in their order, down once and last, nothing after it was closed. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include "bus_peers.h"
#include "bus_port.h"
#include "check.h"
#include "config.h"
#include "rng.h"

#define LCORES 2
#define ROUNDS 4000
#define LINKS_MAX 4096
#define FRAME_BYTES 5000

static struct heard {
    cluster_link_id id;
    bool up;
    uint64_t epoch;
} links[LINKS_MAX]; /* that the state knows */

static struct mailbox control_box, lcore_boxes[LCORES];
static struct cluster_shared shared;
static struct bus_port *port;
static struct bus_peers *peers[LCORES];
static struct rng rng;
static struct cluster_frame *frame;
static cluster_link_id id_next = 1;
static unsigned link_count, frame_count, up_count, down_count, failed_count;

static struct heard *find(cluster_link_id id)
{
    for (unsigned i = 0; i < link_count; i++) {
        if (links[i].id == id)
            return &links[i];
    }
    return NULL;
}

static struct heard *add(cluster_link_id id)
{
    CHECK(link_count < LINKS_MAX);
    CHECK(!find(id));
    links[link_count] = (struct heard){.id = id};
    return &links[link_count++];
}

static void forget(struct heard *h)
{
    *h = links[--link_count];
}

static void on_up(void *arg, cluster_link_id id, struct slice local_ip, struct slice peer_ip)
{
    struct heard *h = id & CLUSTER_LINK_INBOUND ? add(id) : find(id);
    CHECK(h && !h->up);
    CHECK(slice_equal(peer_ip, slice_str("10.77.0.9")));
    h->up = true;
    up_count++;
}

static bool on_frame(void *arg, cluster_link_id id, const struct bus_frame *came)
{
    struct heard *h = find(id);
    CHECK(h && h->up);
    CHECK(came->message.header.current_epoch > h->epoch);
    h->epoch = came->message.header.current_epoch;
    frame_count++;
    return true;
}

static void on_down(void *arg, cluster_link_id id)
{
    struct heard *h = find(id);
    CHECK(h && h->up);
    down_count++;
    forget(h);
}

static void on_failed(void *arg, cluster_link_id id)
{
    struct heard *h = find(id);
    CHECK(h && !h->up);
    failed_count++;
    forget(h);
}

static const struct bus_port_user port_user = {
    .up = on_up,
    .failed = on_failed,
    .down = on_down,
    .frame = on_frame,
};

static void act(void)
{
    uint64_t what = rng_below(&rng, 100);
    if (what < 5 && link_count < BUS_PEERS) {
        cluster_link_id id = id_next++;
        (void)add(id);
        bus_port_open(port, id, what == 0 ? "nowhere" : "10.77.0.9", 17000);
    }
    if (link_count == 0)
        return;
    struct heard *h = &links[rng_below(&rng, link_count)];
    if (what == 5) {
        bus_port_close(port, h->id);
        forget(h);
    } else if (what < 50) {
        bus_port_send(port, h->id, frame);
    }
}

static void control_round(bool acting)
{
    (void)mailbox_run(&control_box, NULL, rng_below(&rng, 40) > 0 ? 64 : 0);
    if (rng_below(&rng, 3) > 0)
        bus_port_tick(port);
    if (acting)
        act();
}

static void test_three_threads(void **state)
{
    rng_seed(&rng, 7);
    CHECK(mailbox_init(&control_box));
    struct config *config = config_new();
    config->cluster_link_sendbuf_limit_bytes = 20 * FRAME_BYTES;
    config_publish(config);
    port = bus_port_new(&control_box, &port_user, NULL);
    frame = calloc(1, sizeof(*frame) + FRAME_BYTES);
    CHECK(frame);
    frame->refs = 1;
    frame->len = FRAME_BYTES;
    for (unsigned i = 0; i < LCORES; i++) {
        CHECK(mailbox_init(&lcore_boxes[i]));
        peers[i] = bus_peers_new(bus_port_path(port, i), &lcore_boxes[i], &shared, i);
    }
    bus_port_start(port, LCORES);
    for (unsigned i = 0; i < LCORES; i++)
        bus_peers_start(peers[i], ROUNDS);
    while (!bus_peers_quiet(peers[0]) || !bus_peers_quiet(peers[1]))
        control_round(true);
    while (link_count > 0 || frame->refs > 1)
        control_round(false);
    assert_true(frame_count > ROUNDS);
    assert_true(up_count > 100);
    assert_true(down_count > 100);
    assert_true(failed_count > 0);
}

static int tear_down(void **state)
{
    for (unsigned i = 0; i < LCORES; i++)
        bus_peers_stop(peers[i]);
    while (mailbox_run(&control_box, NULL, 64) > 0)
        ;
    for (unsigned i = 0; i < LCORES; i++) {
        bus_peers_free(peers[i]);
        mailbox_fini(&lcore_boxes[i]);
    }
    bus_port_free(port);
    config_unpublish();
    mailbox_fini(&control_box);
    free(frame);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(test_three_threads, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
