/* The bus codec beside two stock nodes: what we build is understood, what they send is read and
 * builds again as the same bytes, for every type of message that a stock node can be made to send.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bus_peer.h"
#include "stock_node.h"

#define NAME "5107107e5107107e5107107e5107107e51071071"
#define ROUND_MS 50
#define ROUNDS_MAX 1200 /* a minute: only a test that fails takes so long */

static struct stock_node one, two;
static struct bus_peer peer;
static int to_one, to_two; /* our own links */

static char command[256];
#define COMMAND(...) (snprintf(command, sizeof(command), __VA_ARGS__), command)

static void ask(const struct stock_node *n, const char *text)
{
    char *reply = stock_node_ask(n, text);
    assert_string_equal(reply, "OK");
    free(reply);
}

/* Runs the peer until the node says it. */
static void wait_says(const struct stock_node *n, const char *question, const char *text)
{
    for (int i = 0; i < ROUNDS_MAX; i++) {
        if (i % 4 == 0 && stock_node_says(n, question, text))
            return;
        bus_peer_run(&peer, ROUND_MS);
    }
    char *reply = stock_node_ask(n, question);
    fail_msg("waited for \"%s\" in:\n%s", text, reply);
}

static void wait_seen(uint16_t type)
{
    for (int i = 0; i < ROUNDS_MAX && peer.seen[type] == 0; i++)
        bus_peer_run(&peer, ROUND_MS);
    if (peer.seen[type] == 0)
        fail_msg("no %s came", bus_type_text(type));
}

static int set_up(void **state)
{
    stock_node_new(&one);
    stock_node_new(&two);
    if (!stock_node_start(&one, "stock-1.example") || !stock_node_start(&two, ""))
        return -1;
    bus_peer_open(&peer, NAME, stock_port_find());
    ask(&one, "CLUSTER SET-CONFIG-EPOCH 1");
    ask(&two, "CLUSTER SET-CONFIG-EPOCH 2");
    ask(&one, "CLUSTER ADDSLOTSRANGE 0 8000");
    return 0;
}

static int tear_down(void **state)
{
    bus_peer_close(&peer);
    stock_node_free(&one);
    stock_node_free(&two);
    return 0;
}

/* They meet us and we meet them: PING, PONG and MEET both ways, gossip, hostnames, slots. */
static void test_meet(void **state)
{
    for (unsigned slot = 8001; slot < BUS_SLOTS; slot++)
        bus_slot_set(peer.slots, slot, true);
    peer.header.config_epoch = peer.header.current_epoch = 7;
    peer.hostname = "peer.example";
    to_two = bus_peer_connect(&peer, (uint16_t)(two.port + BUS_PORT_OFFSET));
    bus_peer_send(&peer, to_two, BUS_MEET);
    wait_seen(BUS_PONG);
    wait_says(&two, "CLUSTER NODES", NAME);
    ask(&one, COMMAND("CLUSTER MEET 127.0.0.1 %u", peer.header.port));
    wait_seen(BUS_MEET);
    wait_seen(BUS_PING);
    to_one = bus_peer_connect(&peer, (uint16_t)(one.port + BUS_PORT_OFFSET));
    wait_says(&one, "CLUSTER NODES", "peer.example master");
    ask(&one, COMMAND("CLUSTER MEET 127.0.0.1 %u", two.port));
    wait_says(&one, "CLUSTER INFO", "cluster_known_nodes:3");
    wait_says(&two, "CLUSTER INFO", "cluster_known_nodes:3");
    wait_says(&one, "CLUSTER NODES", "8001-16383");
    wait_says(&two, "CLUSTER NODES", "8001-16383");
    wait_says(&two, "CLUSTER NODES", "0-8000");
    wait_says(&one, "CLUSTER INFO", "cluster_state:ok");
    wait_says(&two, "CLUSTER INFO", "cluster_state:ok");
    assert_true(peer.hostnames > 0);
}

static void test_publish(void **state)
{
    char *reply = stock_node_ask(&one, "PUBLISH news \"hello cluster\"");
    free(reply);
    wait_seen(BUS_PUBLISH);
}

/* The second node becomes our replica, and we give it our slots. */
static void test_failover(void **state)
{
    ask(&two, COMMAND("CLUSTER REPLICATE %s", NAME));
    char *reply = stock_node_ask(&two, "SPUBLISH foo bar"); /* slot 12182 */
    free(reply);
    wait_seen(BUS_PUBLISHSHARD);
    wait_says(&one, "CLUSTER NODES", "slave " NAME);
    ask(&two, "CLUSTER FAILOVER");
    wait_seen(BUS_MFSTART);
    ask(&two, "CLUSTER FAILOVER FORCE");
    wait_seen(BUS_AUTH_REQUEST);
    peer.header.current_epoch = peer.auth_epoch;
    bus_peer_send(&peer, to_two, BUS_AUTH_ACK);
    wait_says(&two, "CLUSTER NODES", "myself,master");
    /* We still claim the slots: somebody tells us whose they are. */
    bus_peer_send(&peer, to_one, BUS_PING);
    bus_peer_send(&peer, to_two, BUS_PING);
    wait_seen(BUS_UPDATE);
    memset(peer.slots, 0, sizeof(peer.slots));
}

/* The first node dies; the second needs our report, and tells us; then it votes for us. */
static void test_fail_and_vote(void **state)
{
    wait_says(&two, "CLUSTER NODES", "8001-16383");
    stock_node_kill(&one);
    struct bus_gossip news = {.name = (const uint8_t *)one.id,
                              .ip = slice_str("127.0.0.1"),
                              .port = one.port,
                              .cport = (uint16_t)(one.port + BUS_PORT_OFFSET),
                              .flags = BUS_NODE_MASTER | BUS_NODE_PFAIL};
    peer.news = &news;
    wait_seen(BUS_FAIL);
    wait_says(&two, "CLUSTER NODES", "master,fail ");
    memcpy(peer.primary, one.id, BUS_NAME_SIZE);
    peer.header.replica_of = peer.primary;
    peer.header.flags = BUS_NODE_SLAVE | BUS_NODE_MYSELF;
    peer.header.config_epoch = 1;
    for (unsigned slot = 0; slot <= 8000; slot++)
        bus_slot_set(peer.slots, slot, true);
    bus_peer_send(&peer, to_two, BUS_PONG);
    wait_says(&two, "CLUSTER NODES", "slave ");
    peer.header.current_epoch++;
    bus_peer_send(&peer, to_two, BUS_AUTH_REQUEST);
    wait_seen(BUS_AUTH_ACK);
    peer.news = NULL;
}

static void test_every_frame_was_read(void **state)
{
    for (unsigned type = 0; type < BUS_TYPE_COUNT; type++)
        assert_true(peer.seen[type] > 0 || type == BUS_MODULE);
    assert_int_equal(peer.not_ok, 0);
    assert_int_equal(peer.differing, 0);
}

int main(void)
{
    if (!stock_node_available())
        return 77; /* skipped */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meet),
        cmocka_unit_test(test_publish),
        cmocka_unit_test(test_failover),
        cmocka_unit_test(test_fail_and_vote),
        cmocka_unit_test(test_every_frame_was_read),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
