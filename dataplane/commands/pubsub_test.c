#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "channels.h"
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

int main(void)
{
#define WITH_NODE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_NODE(confirmations_count_both_kinds),
        WITH_NODE(messages_reach_all_lcores),
        WITH_NODE(a_resp3_publisher_hears_itself_first),
        WITH_NODE(resp2_subscribers_may_do_little),
        WITH_NODE(muted_clients_get_messages),
        WITH_NODE(slow_subscribers_are_cut),
        WITH_NODE(what_is_on_its_way_is_bounded),
        WITH_NODE(subscribers_that_end_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
