#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "channels.h"
#include "delivery.h"
#include "subscribe.h"
#include "test_node.h"

#define LCORES 3

static struct test_node *node;
static struct test_client *a, *b, *far;

static int setup(void **state)
{
    node = test_node_new(LCORES);
    a = test_connect(node, 0);
    b = test_connect(node, 0);
    far = test_connect(node, 2);
    return 0;
}

static int teardown(void **state)
{
    test_node_free(node);
    return 0;
}

#define MESSAGE(channel, text) "*3\r\n$7\r\nmessage\r\n$1\r\n" channel "\r\n$2\r\n" text "\r\n"

static void confirmations_count_both_kinds(void **state)
{
    TEST_SAYS(
        a, "SUBSCRIBE a b\r\nSUBSCRIBE a\r\nPSUBSCRIBE p*\r\nUNSUBSCRIBE a zz\r\n",
        "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"
        "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:2\r\n*3\r\n$10\r\npsubscribe\r\n$2\r\np*\r\n:3\r\n"
        "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:2\r\n*3\r\n$11\r\nunsubscribe\r\n$2\r\nzz\r\n:"
        "2\r\n");
    TEST_SAYS(a, "PUNSUBSCRIBE\r\nUNSUBSCRIBE\r\nPING\r\n",
              "*3\r\n$12\r\npunsubscribe\r\n$2\r\np*\r\n:1\r\n*3\r\n$11\r\nunsubscribe\r\n$"
              "1\r\nb\r\n:0\r\n"
              "+PONG\r\n");
    TEST_SAYS(a, "UNSUBSCRIBE\r\nPUNSUBSCRIBE\r\nUNSUBSCRIBE x\r\n",
              "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n*3\r\n$12\r\npunsubscribe\r\n$-1\r\n:0\r\n"
              "*3\r\n$11\r\nunsubscribe\r\n$1\r\nx\r\n:0\r\n");
}

static void messages_reach_all_lcores(void **state)
{
    TEST_SEND(a, "SUBSCRIBE x\r\n");
    TEST_SEND(far, "HELLO 3\r\nSUBSCRIBE x\r\nPSUBSCRIBE ?\r\n");
    test_replies(a, NULL);
    test_replies(far, NULL);
    TEST_SAYS(b, "PUBLISH x hi\r\nPUBLISH y hi\r\nPUBLISH yy hi\r\n", ":3\r\n:1\r\n:0\r\n");
    assert_string_equal(test_replies(a, NULL), MESSAGE("x", "hi"));
    assert_string_equal(test_replies(far, NULL),
                        ">3\r\n$7\r\nmessage\r\n$1\r\nx\r\n$2\r\nhi\r\n"
                        ">4\r\n$8\r\npmessage\r\n$1\r\n?\r\n$1\r\nx\r\n$2\r\nhi\r\n"
                        ">4\r\n$8\r\npmessage\r\n$1\r\n?\r\n$1\r\ny\r\n$2\r\nhi\r\n");
    TEST_SAYS(b, "PUBSUB CHANNELS\r\nPUBSUB NUMPAT\r\nPUBSUB NUMSUB x y\r\n",
              "*1\r\n$1\r\nx\r\n:1\r\n*4\r\n$1\r\nx\r\n:2\r\n$1\r\ny\r\n:0\r\n");
    TEST_SAYS(b, "PUBSUB CHANNELS y*\r\n", "*0\r\n");
    /* From an lcore without subscribers, inside a transaction too. */
    struct test_client *middle = test_connect(node, 1);
    TEST_SAYS(middle, "MULTI\r\nPUBLISH x ho\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n:3\r\n");
    assert_string_equal(test_replies(a, NULL), MESSAGE("x", "ho"));
}

static void sharded_channels_are_apart(void **state)
{
    TEST_SAYS(
        a, "SUBSCRIBE x\r\nSSUBSCRIBE x y\r\nSSUBSCRIBE x\r\n",
        "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n*3\r\n$10\r\nssubscribe\r\n$1\r\nx\r\n:1\r\n"
        "*3\r\n$10\r\nssubscribe\r\n$1\r\ny\r\n:2\r\n*3\r\n$10\r\nssubscribe\r\n$1\r\nx\r\n:2\r\n");
    TEST_SEND(far, "HELLO 3\r\nPSUBSCRIBE *\r\nSSUBSCRIBE x\r\n");
    test_replies(far, NULL);
    TEST_SAYS(b, "SPUBLISH x hi\r\nSPUBLISH z hi\r\n", ":2\r\n:0\r\n");
    assert_string_equal(test_replies(a, NULL), "*3\r\n$8\r\nsmessage\r\n$1\r\nx\r\n$2\r\nhi\r\n");
    assert_string_equal(test_replies(far, NULL), ">3\r\n$8\r\nsmessage\r\n$1\r\nx\r\n$2\r\nhi\r\n");
    TEST_SAYS(b, "PUBSUB SHARDNUMSUB x y z\r\nPUBSUB NUMSUB x y\r\nPUBSUB SHARDCHANNELS x\r\n",
              "*6\r\n$1\r\nx\r\n:2\r\n$1\r\ny\r\n:1\r\n$1\r\nz\r\n:0\r\n*4\r\n$1\r\nx\r\n:1\r\n$"
              "1\r\ny\r\n:0"
              "\r\n*1\r\n$1\r\nx\r\n");
    TEST_SAYS(a, "UNSUBSCRIBE\r\nSUNSUBSCRIBE x y\r\nSUNSUBSCRIBE\r\nPING\r\n",
              "*3\r\n$11\r\nunsubscribe\r\n$1\r\nx\r\n:0\r\n*3\r\n$12\r\nsunsubscribe\r\n$"
              "1\r\nx\r\n:1\r\n"
              "*3\r\n$12\r\nsunsubscribe\r\n$1\r\ny\r\n:0\r\n*3\r\n$12\r\nsunsubscribe\r\n$-1\r\n:"
              "0\r\n+PONG\r\n");
}

static void a_resp3_publisher_hears_itself_first(void **state)
{
    TEST_SEND(a, "HELLO 3\r\nSUBSCRIBE x\r\n");
    test_replies(a, NULL);
    TEST_SAYS(a, "PUBLISH x hi\r\nPING\r\n",
              ">3\r\n$7\r\nmessage\r\n$1\r\nx\r\n$2\r\nhi\r\n:1\r\n+PONG\r\n");
    TEST_SAYS(
        a, "UNSUBSCRIBE\r\nUNSUBSCRIBE\r\n",
        ">3\r\n$11\r\nunsubscribe\r\n$1\r\nx\r\n:0\r\n>3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n");
}

static void resp2_subscribers_may_do_little(void **state)
{
    TEST_SEND(a, "SUBSCRIBE a\r\n");
    test_replies(a, NULL);
    TEST_SAYS(a, "PING\r\nPING x\r\n",
              "*2\r\n$4\r\npong\r\n$0\r\n\r\n*2\r\n$4\r\npong\r\n$1\r\nx\r\n");
#define REFUSED(name)                                                                              \
    "-ERR Can't execute '" name "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET " \
    "are allowed in this context\r\n"
    TEST_SAYS(a, "GET x\r\nCLIENT ID\r\nMULTI\r\n",
              REFUSED("get") REFUSED("client|id") REFUSED("multi"));
    TEST_SAYS(a, "RESET\r\nPING\r\n", "+RESET\r\n+PONG\r\n");
    TEST_SAYS(b, "PUBSUB CHANNELS\r\n", "*0\r\n");
    TEST_SAYS(a, "SUBSCRIBE a\r\nQUIT\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n+OK\r\n");
    assert_true(a->stream->closed);
}

static void muted_clients_get_messages(void **state)
{
    TEST_SEND(a, "HELLO 3\r\nCLIENT REPLY OFF\r\n");
    test_replies(a, NULL);
    TEST_SAYS(a, "SUBSCRIBE x\r\nPING\r\n", ">3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n");
    TEST_SAYS(b, "PUBLISH x hi\r\n", ":1\r\n");
    assert_string_equal(test_replies(a, NULL), ">3\r\n$7\r\nmessage\r\n$1\r\nx\r\n$2\r\nhi\r\n");
}

static void slow_subscribers_are_cut(void **state)
{
    test_node_config(node, "client-output-buffer-limit", "pubsub 100kb 0 0");
    TEST_SEND(far, "SUBSCRIBE x\r\n");
    char text[1100] = "PUBLISH x ";
    memset(text + 10, 'm', 1000);
    memcpy(text + 1010, "\r\n", 2);
    for (int i = 0; i < 200; i++)
        test_send(b, text, 1012);
    assert_true(far->stream->aborted);
    test_replies(b, NULL);
    TEST_SAYS(b, "PUBLISH x y\r\n", ":0\r\n");
}

static void what_is_on_its_way_is_bounded(void **state)
{
    TEST_SEND(far, "SUBSCRIBE x\r\n");
    test_replies(far, NULL);
    size_t len = 4 * 1024 * 1024;
    char *text = malloc(len + 64);
    int head = sprintf(text, "*3\r\n$7\r\nPUBLISH\r\n$1\r\nx\r\n$%zu\r\n", len);
    memset(text + head, 'm', len);
    memcpy(text + head + len, "\r\n", 2);
    struct worker *target = test_worker(node, 2);
    /* Pushed without running the loops in between: the publisher's lcore alone goes on. */
    for (int i = 0; i < 7; i++)
        test_stream_push(b->stream, text, (size_t)head + len + 2);
    test_node_run(node);
    assert_string_equal(test_replies(b, NULL), ":1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n");
    assert_int_equal(target->publish_in_flight_bytes, 0);
    size_t got;
    test_replies(far, &got);
    assert_true(got > 7 * len);
    free(text);
}

static void subscribers_that_end_are_forgotten(void **state)
{
    for (int i = 0; i < 100; i++) {
        struct test_client *c = test_connect(node, (unsigned)i % LCORES);
        TEST_SEND(c, "SUBSCRIBE x y z\r\nPSUBSCRIBE x* y*\r\n");
        if (i % 2)
            test_stream_reset(c->stream);
    }
    test_node_run(node);
    TEST_SAYS(b, "PUBLISH xx hi\r\nPUBSUB NUMSUB x\r\nPUBSUB NUMPAT\r\n",
              ":50\r\n*2\r\n$1\r\nx\r\n:50\r\n:2\r\n");
}

/* ---- very many subscribers ---- */

#define CROWD 2000
#define MESSAGE_BYTES (sizeof(MESSAGE("x", "hi")) - 1)

static struct test_client *crowd[CROWD];

static void crowd_subscribes(unsigned lcore)
{
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = test_connect(node, lcore);
        TEST_SEND(crowd[i], "SUBSCRIBE x\r\n");
        test_replies(crowd[i], NULL);
    }
}

static size_t crowd_has(void)
{
    size_t bytes = 0;
    for (int i = 0; i < CROWD; i++)
        bytes += crowd[i]->stream->stream.out.len;
    return bytes / MESSAGE_BYTES;
}

static void round_of_all(void)
{
    for (unsigned i = 0; i < LCORES; i++)
        test_lcore_run(node, i);
}

#define PUSH(client, text) test_stream_push((client)->stream, text, sizeof(text) - 1)

static void crowds_are_served_in_pieces(void **state)
{
    for (unsigned lcore = 0; lcore < LCORES; lcore += 2) {
        crowd_subscribes(lcore);
        PUSH(b, "PUBLISH x hi\r\nPUBLISH x ho\r\n");
        size_t had = 0;
        unsigned rounds = 0;
        for (; had < 2 * CROWD; rounds++) {
            round_of_all();
            size_t has = crowd_has();
            assert_true(has - had <= DELIVERY_PIECE);
            assert_true(rounds < 100);
            had = has;
        }
        assert_true(rounds >= 2 * CROWD / DELIVERY_PIECE);
        test_node_run(node);
        assert_string_equal(test_replies(b, NULL), ":2000\r\n:2000\r\n");
        for (int i = 0; i < CROWD; i++)
            assert_string_equal(test_replies(crowd[i], NULL),
                                MESSAGE("x", "hi") MESSAGE("x", "ho"));
        test_node_disconnect(node);
        b = test_connect(node, 0);
    }
}

/* Its own lcore's crowd has the message before the publisher goes on; whoever comes meanwhile does
 * not get it, whoever leaves is not looked for. */
static void crowds_may_change_meanwhile(void **state)
{
    struct test_client *late = test_connect(node, 0), *never = test_connect(node, 0);
    crowd_subscribes(0);
    TEST_SEND(a, "PSUBSCRIBE x*\r\n");
    TEST_SEND(far, "PSUBSCRIBE ?\r\n");
    test_replies(a, NULL);
    test_replies(far, NULL);
    PUSH(b, "PUBLISH x hi\r\nPING\r\n");
    round_of_all();
    assert_in_range(crowd_has(), 1, DELIVERY_PIECE);
    assert_string_equal(test_replies(b, NULL), "");
    PUSH(late, "SUBSCRIBE x\r\nPSUBSCRIBE x?\r\nPSUBSCRIBE *\r\n");
    for (int i = 0; i < CROWD; i += 2)
        PUSH(crowd[i], "UNSUBSCRIBE\r\n");
    test_stream_reset(crowd[1]->stream);
    round_of_all();
    PUSH(never, "PUBLISH x ho\r\n");
    test_node_run(node);
    assert_string_equal(test_replies(b, NULL), ":2002\r\n+PONG\r\n");
    assert_string_equal(test_replies(never, NULL), ":1003\r\n");
    const char *got = test_replies(late, NULL);
    assert_null(strstr(got, "\r\nhi\r\n"));
    assert_non_null(strstr(got, "message\r\n$1\r\nx\r\n$2\r\nho\r\n"));
    assert_non_null(strstr(got, "pmessage\r\n$1\r\n*\r\n$1\r\nx\r\n$2\r\nho\r\n"));
    got = test_replies(a, NULL);
    assert_true(strstr(got, "hi\r\n") < strstr(got, "ho\r\n"));
    assert_string_equal(test_replies(crowd[3], NULL), MESSAGE("x", "hi") MESSAGE("x", "ho"));
    assert_null(strstr(test_replies(crowd[0], NULL), "ho\r\n"));
}

/* All leave while they are served: the channel itself goes. */
static void crowds_may_leave_meanwhile(void **state)
{
    crowd_subscribes(0);
    PUSH(b, "PUBLISH x hi\r\n");
    round_of_all();
    for (int i = 0; i < CROWD; i++)
        test_stream_reset(crowd[i]->stream);
    test_node_run(node);
    assert_string_equal(test_replies(b, NULL), ":2000\r\n");
    TEST_SAYS(b, "PUBLISH x hi\r\n", ":0\r\n");
}

static void publishers_may_leave_meanwhile(void **state)
{
    crowd_subscribes(0);
    PUSH(b, "PUBLISH x hi\r\n");
    round_of_all();
    test_stream_reset(b->stream);
    test_node_run(node);
    assert_int_equal(crowd_has(), CROWD);
}

/* Transactions cannot wait; the next one can. */
static void a_backlog_holds_publishers_back(void **state)
{
    crowd_subscribes(0);
    PUSH(b, "MULTI\r\nPUBLISH x hi\r\nEXEC\r\n");
    round_of_all();
    assert_string_equal(test_replies(b, NULL), "+OK\r\n+QUEUED\r\n*1\r\n:2000\r\n");
    test_node_run(node);
    assert_int_equal(crowd_has(), CROWD);
    atomic_fetch_add(&test_worker(node, 2)->publish_in_flight_bytes, PUBLISH_IN_FLIGHT_MAX + 1);
    PUSH(b, "PING\r\nPUBLISH x hi\r\n");
    PUSH(far, "MULTI\r\nPING\r\nEXEC\r\n");
    round_of_all();
    round_of_all();
    assert_string_equal(test_replies(b, NULL), "+PONG\r\n");
    assert_string_equal(test_replies(far, NULL), "+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n");
    atomic_fetch_sub(&test_worker(node, 2)->publish_in_flight_bytes, PUBLISH_IN_FLIGHT_MAX + 1);
    test_node_run(node);
    assert_string_equal(test_replies(b, NULL), ":2000\r\n");
}

/* Many patterns count as work, too. */
static void patterns_are_looked_at_in_pieces(void **state)
{
    for (int i = 0; i < CROWD; i++) {
        char text[64];
        test_send(a, text, (size_t)sprintf(text, "PSUBSCRIBE %d*\r\n", i));
    }
    TEST_SEND(far, "SUBSCRIBE x\r\n");
    test_replies(a, NULL);
    test_replies(far, NULL);
    TEST_SAYS(b, "PUBLISH x hi\r\n", ":1\r\n");
    PUSH(b, "PUBLISH 1999 hi\r\n");
    round_of_all();
    assert_string_equal(test_replies(b, NULL), "");
    test_node_run(node);
    assert_string_equal(test_replies(b, NULL), ":4\r\n");
}

int main(void)
{
#define WITH_NODE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_NODE(confirmations_count_both_kinds),
        WITH_NODE(messages_reach_all_lcores),
        WITH_NODE(sharded_channels_are_apart),
        WITH_NODE(a_resp3_publisher_hears_itself_first),
        WITH_NODE(resp2_subscribers_may_do_little),
        WITH_NODE(muted_clients_get_messages),
        WITH_NODE(slow_subscribers_are_cut),
        WITH_NODE(what_is_on_its_way_is_bounded),
        WITH_NODE(subscribers_that_end_are_forgotten),
        WITH_NODE(crowds_are_served_in_pieces),
        WITH_NODE(crowds_may_change_meanwhile),
        WITH_NODE(crowds_may_leave_meanwhile),
        WITH_NODE(publishers_may_leave_meanwhile),
        WITH_NODE(a_backlog_holds_publishers_back),
        WITH_NODE(patterns_are_looked_at_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
