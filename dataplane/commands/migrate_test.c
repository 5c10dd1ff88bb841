#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "check.h"
#include "cluster_view.h"
#include "migrate_link.h"
#include "test_node.h"

#define TARGETS_MAX 80

/* The other nodes: what was opened to them, in order. */
static struct {
    struct test_stream *streams[TARGETS_MAX];
    unsigned count;
    bool unreachable;
    uint8_t address[16];
    uint16_t port;
} targets;

static struct test_node *node;
static struct test_client *client, *other;

static struct stream *connect_to_target(struct worker *w, const uint8_t address[16], uint16_t port,
                                        const struct stream_user_ops *user_ops, void *user)
{
    if (targets.unreachable)
        return NULL;
    CHECK(targets.count < TARGETS_MAX);
    struct test_stream *t = test_stream_new("target");
    t->stream.user_ops = user_ops;
    t->stream.user = user;
    targets.streams[targets.count++] = t;
    memcpy(targets.address, address, 16);
    targets.port = port;
    return &t->stream;
}

static int setup(void **state)
{
    memset(&targets, 0, sizeof(targets));
    node = test_node_new(1);
    test_worker(node, 0)->connect = connect_to_target;
    client = test_connect(node, 0);
    other = test_connect(node, 0);
    return 0;
}

static int teardown(void **state)
{
    test_node_free(node);
    for (unsigned i = 0; i < targets.count; i++) {
        assert_true(targets.streams[i]->closed || targets.streams[i]->aborted);
        test_stream_free(targets.streams[i]);
    }
    return 0;
}

#define SAYS(text, want) TEST_SAYS(client, text "\r\n", want)
#define SEND(text) TEST_SEND(client, text "\r\n")
#define OK "+OK\r\n"
#define NIL "$-1\r\n"
#define SELECT_0 "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"

static struct test_stream *target(unsigned i)
{
    assert_true(i < targets.count);
    return targets.streams[i];
}

static void accept_it(unsigned i)
{
    struct stream *s = &target(i)->stream;
    s->user_ops->connected(s);
    test_node_run(node);
}

static void answer(unsigned i, const char *text)
{
    test_stream_push(target(i), text, strlen(text));
    test_node_run(node);
}

static void assert_client_waits(void)
{
    size_t len;
    test_replies(client, &len);
    assert_int_equal(len, 0);
}

static void assert_replied(const char *want)
{
    assert_string_equal(test_replies(client, NULL), want);
}

/* What arrived at a target begins with head, has so many bytes of payload, and ends with tail. */
static void assert_sent(unsigned i, const char *head, size_t payload_len, const char *tail)
{
    size_t len;
    char *sent = test_stream_take(target(i), &len);
    assert_int_equal(len, strlen(head) + payload_len + strlen(tail));
    assert_memory_equal(sent, head, strlen(head));
    assert_memory_equal(sent + strlen(head) + payload_len, tail, strlen(tail));
    free(sent);
    test_node_run(node);
}

#define HELLO_LEN (1 + 1 + 5 + 10) /* of the payload of "hello" */

static void test_one_key(void **state)
{
    SAYS("SET k hello", OK);
    SEND("MIGRATE 10.0.0.2 7001 k 0 1000");
    assert_int_equal(targets.port, 7001);
    assert_memory_equal(targets.address, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\2", 16);
    accept_it(0);
    assert_sent(0, SELECT_0 "*4\r\n$7\r\nRESTORE\r\n$1\r\nk\r\n$1\r\n0\r\n$17\r\n", HELLO_LEN,
                "\r\n");
    assert_client_waits();
    answer(0, "+OK\r\n+O");
    assert_client_waits();
    TEST_SAYS(other, "EXISTS k\r\n", ":1\r\n");
    answer(0, "K\r\n");
    assert_replied(OK);
    SAYS("EXISTS k", ":0\r\n");
}

static void test_nothing_to_do(void **state)
{
    SAYS("MIGRATE 10.0.0.2 7001 k 0 1000", "+NOKEY\r\n");
    SAYS("MIGRATE 10.0.0.2 7001 \"\" 0 1000 KEYS a b", "+NOKEY\r\n");
    SAYS("MIGRATE 10.0.0.2 7001 \"\" 0 1000 KEYS", "+NOKEY\r\n");
    assert_int_equal(targets.count, 0);
}

static void test_what_is_wrong_with_the_command(void **state)
{
    SAYS("SET k hello", OK);
    SAYS("MIGRATE 10.0.0.2 7001 k 0 x", "-ERR value is not an integer or out of range\r\n");
    SAYS("MIGRATE 10.0.0.2 7001 k x 1", "-ERR value is not an integer or out of range\r\n");
    SAYS("MIGRATE 10.0.0.2 7001 k 0 1 BAD", "-ERR syntax error\r\n");
    SAYS("MIGRATE 10.0.0.2 7001 k 0 1 AUTH", "-ERR syntax error\r\n");
    SAYS("MIGRATE 10.0.0.2 7001 k 0 1 AUTH2 a", "-ERR syntax error\r\n");
    SAYS("MIGRATE 10.0.0.2 7001 k 0 1 KEYS k",
         "-ERR When using MIGRATE KEYS option, the key argument must be set to the empty "
         "string\r\n");
    SAYS("MIGRATE nowhere 7001 k 0 1", "-IOERR error or timeout connecting to the client\r\n");
    SAYS("MIGRATE 10.0.0.2 0 k 0 1", "-IOERR error or timeout connecting to the client\r\n");
    SAYS("MULTI", OK);
    SAYS("MIGRATE 10.0.0.2 7001 k 0 1", "-ERR Command not allowed inside a transaction\r\n");
    SAYS("DISCARD", OK);
    SAYS("COMMAND GETKEYS MIGRATE h 1 k 0 10", "*1\r\n$1\r\nk\r\n");
    SAYS("COMMAND GETKEYS MIGRATE h 1 \"\" 0 10 AUTH KEYS KEYS KEYS a",
         "*2\r\n$4\r\nKEYS\r\n$1\r\na\r\n");
    assert_int_equal(targets.count, 0);
    SAYS("EXISTS k", ":1\r\n");
}

static void test_all_options(void **state)
{
    SAYS("SET a hello", OK);
    SAYS("SET b hello PX 5000", OK);
    SEND("MIGRATE fd77::2 7001 \"\" 3 1000 REPLACE COPY AUTH2 me secret KEYS a no b");
    assert_memory_equal(targets.address, "\xfd\x77\0\0\0\0\0\0\0\0\0\0\0\0\0\2", 16);
    accept_it(0);
    size_t len;
    char *sent = test_stream_take(target(0), &len);
    static const char greeting[] = "*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$6\r\nsecret\r\n"
                                   "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n";
    static const char first[] = "*5\r\n$7\r\nRESTORE\r\n$1\r\na\r\n$1\r\n0\r\n$17\r\n";
    static const char second[] = "*5\r\n$7\r\nRESTORE\r\n$1\r\nb\r\n$4\r\n5000\r\n$17\r\n";
    static const char end[] = "\r\n$7\r\nREPLACE\r\n";
    size_t each = HELLO_LEN + sizeof(end) - 1, at = sizeof(greeting) - 1;
    assert_int_equal(len, at + sizeof(first) - 1 + sizeof(second) - 1 + 2 * each);
    assert_memory_equal(sent, greeting, at);
    assert_memory_equal(sent + at, first, sizeof(first) - 1);
    at += sizeof(first) - 1 + each;
    assert_memory_equal(sent + at, second, sizeof(second) - 1);
    assert_memory_equal(sent + len - sizeof(end) + 1, end, sizeof(end) - 1);
    free(sent);
    answer(0, "+OK\r\n+OK\r\n+OK\r\n+OK\r\n");
    assert_replied(OK);
    SAYS("EXISTS a b", ":2\r\n");
}

static void test_the_target_refuses(void **state)
{
    SAYS("MSET a hello b hello c hello", OK);
    SEND("MIGRATE 10.0.0.2 7001 \"\" 0 1000 KEYS a b c");
    accept_it(0);
    free(test_stream_take(target(0), NULL));
    answer(0, "+OK\r\n+OK\r\n-BUSYKEY Target key name already exists.\r\n+OK\r\n");
    assert_replied("-ERR Target instance replied with error: BUSYKEY Target key name already "
                   "exists.\r\n");
    SAYS("MGET a b c", "*3\r\n" NIL "$5\r\nhello\r\n" NIL);
    /* The link is used again, but who knows in which database it is. */
    SEND("MIGRATE 10.0.0.2 7001 b 0 1000");
    assert_int_equal(targets.count, 1);
    assert_sent(0, SELECT_0 "*4\r\n$7\r\nRESTORE\r\n$1\r\nb\r\n$1\r\n0\r\n$17\r\n", HELLO_LEN,
                "\r\n");
    answer(0, "-ERR invalid DB index\r\n+OK\r\n");
    assert_replied("-ERR Target instance replied with error: ERR invalid DB index\r\n");
    SAYS("EXISTS b", ":1\r\n");
}

static void test_a_link_is_kept(void **state)
{
    SAYS("MSET a hello b hello", OK);
    SEND("MIGRATE 10.0.0.2 7001 a 0 1000");
    accept_it(0);
    free(test_stream_take(target(0), NULL));
    answer(0, "+OK\r\n+OK\r\n");
    assert_replied(OK);
    SEND("MIGRATE 10.0.0.2 7001 b 0 1000");
    assert_sent(0, "*4\r\n$7\r\nRESTORE\r\n$1\r\nb\r\n$1\r\n0\r\n$17\r\n", HELLO_LEN, "\r\n");
    answer(0, "+OK\r\n");
    assert_replied(OK);
    assert_int_equal(targets.count, 1);
    test_node_advance(node, 9000);
    migrate_links_cron(test_worker(node, 0));
    assert_false(target(0)->aborted);
    test_node_advance(node, 2000);
    migrate_links_cron(test_worker(node, 0));
    assert_true(target(0)->aborted);
}

static void test_few_links_are_kept(void **state)
{
    char command[100];
    for (unsigned i = 0; i < MIGRATE_LINKS_IDLE_MAX + 2; i++) {
        SAYS("SET k hello", OK);
        test_send(client, command,
                  (size_t)snprintf(command, sizeof(command), "MIGRATE 10.0.0.2 %u k 0 1000\r\n",
                                   7000 + i));
        accept_it(i);
        answer(i, "+OK\r\n+OK\r\n");
        assert_replied(OK);
    }
    for (unsigned i = 0; i < targets.count; i++)
        assert_int_equal(target(i)->aborted, i < 2);
}

static void test_a_stale_link_is_replaced(void **state)
{
    SAYS("MSET a hello b hello", OK);
    SEND("MIGRATE 10.0.0.2 7001 a 0 1000");
    accept_it(0);
    answer(0, "+OK\r\n+OK\r\n");
    assert_replied(OK);
    SEND("MIGRATE 10.0.0.2 7001 b 0 1000");
    test_stream_reset(target(0));
    test_node_run(node);
    assert_client_waits();
    accept_it(1);
    assert_sent(1, SELECT_0 "*4\r\n$7\r\nRESTORE\r\n$1\r\nb\r\n$1\r\n0\r\n$17\r\n", HELLO_LEN,
                "\r\n");
    answer(1, "+OK\r\n+OK\r\n");
    assert_replied(OK);
    SAYS("DBSIZE", ":0\r\n");
    /* One that ends while nobody uses it is forgotten, and so is one that talks unasked. */
    test_stream_eof(target(1));
    SAYS("SET c hello", OK);
    SEND("MIGRATE 10.0.0.2 7001 c 0 1000");
    accept_it(2);
    answer(2, "+OK\r\n+OK\r\n");
    assert_replied(OK);
    answer(2, "+OK\r\n");
    assert_true(target(2)->aborted);
}

static void test_errors_of_the_link(void **state)
{
    SAYS("MSET a hello b hello", OK);
    SEND("MIGRATE 10.0.0.2 7001 a 0 1000");
    test_node_advance(node, 1001);
    test_node_run(node);
    assert_replied("-IOERR error or timeout connecting to the client\r\n");
    assert_true(target(0)->aborted);
    SEND("MIGRATE 10.0.0.2 7001 a 0 1000");
    test_stream_reset(target(1));
    test_node_run(node);
    assert_replied("-IOERR error or timeout connecting to the client\r\n");
    targets.unreachable = true;
    SAYS("MIGRATE 10.0.0.2 7001 a 0 1000", "-IOERR error or timeout connecting to the client\r\n");
    targets.unreachable = false;
    /* Nothing is read by the peer: it is still being written. */
    SEND("MIGRATE 10.0.0.2 7001 a 0 1000");
    accept_it(2);
    test_node_advance(node, 1001);
    test_node_run(node);
    assert_replied("-IOERR error or timeout writing to target instance\r\n");
    /* One is taken, then silence. */
    SEND("MIGRATE 10.0.0.2 7001 \"\" 0 1000 KEYS a b");
    accept_it(3);
    free(test_stream_take(target(3), NULL));
    answer(3, "+OK\r\n+OK\r\n");
    test_node_advance(node, 1001);
    test_node_run(node);
    assert_replied("-IOERR error or timeout reading to target instance\r\n");
    SAYS("MGET a b", "*2\r\n" NIL "$5\r\nhello\r\n");
}

static void test_nonsense_is_no_reply(void **state)
{
    SAYS("SET a hello", OK);
    SEND("MIGRATE 10.0.0.2 7001 a 0 1000");
    accept_it(0);
    free(test_stream_take(target(0), NULL));
    answer(0, "+OK\r\n:1\r\n");
    assert_replied("-IOERR error or timeout reading to target instance\r\n");
    SEND("MIGRATE 10.0.0.2 7001 a 0 1000");
    accept_it(1);
    free(test_stream_take(target(1), NULL));
    for (unsigned i = 0; i < 30; i++)
        answer(1, "+OK without any end, for ever and ever and ever");
    assert_replied("-IOERR error or timeout reading to target instance\r\n");
    SAYS("EXISTS a", ":1\r\n");
}

/* Whoever wants to change the key waits; readers do not. */
static void test_others_meanwhile(void **state)
{
    SAYS("SET k hello", OK);
    SAYS("RPUSH l 1 2 3", ":3\r\n");
    SEND("MIGRATE 10.0.0.2 7001 \"\" 0 1000 KEYS k l");
    accept_it(0);
    TEST_SAYS(other, "GET k\r\n", "$5\r\nhello\r\n");
    TEST_SAYS(other, "LLEN l\r\n", ":3\r\n");
    TEST_SAYS(other, "DUMP no\r\n", NIL);
    TEST_SAYS(other, "APPEND k more\r\n", "");
    struct test_client *third = test_connect(node, 0);
    TEST_SAYS(third, "SET other 1\r\nRPUSH l 4\r\n", OK);
    answer(0, "+OK\r\n+OK\r\n+OK\r\n");
    assert_replied(OK);
    assert_string_equal(test_replies(other, NULL), ":4\r\n");
    assert_string_equal(test_replies(third, NULL), ":1\r\n");
    SAYS("GET k", "$4\r\nmore\r\n");
    SAYS("LLEN l", ":1\r\n");
}

/* A client that waits for the key before its MIGRATE has begun; one that goes in the middle. */
static void test_clients_vanish(void **state)
{
    SAYS("SET k hello", OK);
    SEND("MIGRATE 10.0.0.2 7001 k 0 1000");
    TEST_SEND(other, "MIGRATE 10.0.0.3 7001 k 0 1000\r\n");
    test_stream_reset(other->stream);
    test_node_run(node);
    accept_it(0);
    test_stream_reset(client->stream);
    test_node_run(node);
    answer(0, "+OK\r\n+OK\r\n");
    client = test_connect(node, 0);
    SAYS("EXISTS k", ":0\r\n");
    assert_int_equal(targets.count, 1);
}

/* More than may wait for the peer: goes on as that reads. */
static void test_large_values(void **state)
{
    char command[64];
    test_node_config(node, "rdbcompression", "no");
    SAYS("SETRANGE big 999999 x", ":1000000\r\n");
    for (unsigned i = 0; i < 3000; i++) {
        test_send(client, command,
                  (size_t)snprintf(command, sizeof(command), "SADD s member:%u\r\n", i));
        test_replies(client, NULL);
    }
    SEND("MIGRATE 10.0.0.2 7001 \"\" 0 1000 KEYS big s big");
    accept_it(0);
    size_t total = 0, len;
    do {
        free(test_stream_take(target(0), &len));
        test_node_run(node);
        total += len;
    } while (len > 0);
    assert_true(total > 2000000);
    answer(0, "+OK\r\n+OK\r\n+OK\r\n+OK\r\n");
    assert_replied(OK);
    SAYS("DBSIZE", ":0\r\n");
}

/* Encoding may take longer than the peer is given to answer. */
static void test_time_that_encoding_takes(void **state)
{
    SAYS("SETRANGE big 64000000 x", ":64000001\r\n");
    SEND("MIGRATE 10.0.0.2 7001 big 0 1000");
    struct stream *s = &target(0)->stream;
    s->user_ops->connected(s);
    for (unsigned i = 0; i < 100000 && s->out.len < 100000; i++) {
        test_lcore_run(node, 0);
        test_node_advance(node, 900);
    }
    assert_true(s->out.len > 100000);
    free(test_stream_take(target(0), NULL));
    answer(0, "+OK\r\n+OK\r\n");
    assert_replied(OK);
}

/* ---- in a cluster: the slot of key a leaves for node 2 ---- */

#define SLOT_A 15495
#define TARGET 2

static struct cluster_view *cluster_begin(struct cluster_shared *shared)
{
    char *text;
    struct cluster_view *view = cluster_view_alloc(3, 1, 0, &text);
    view->version = 1;
    view->ok = view->primary = true;
    view->self_primary = CLUSTER_VIEW_SELF;
    view->slots[SLOT_A] = CLUSTER_VIEW_SELF | CLUSTER_VIEW_MIGRATING;
    view->moves[0] = (struct cluster_view_move){SLOT_A, TARGET};
    view->nodes[CLUSTER_VIEW_SELF].redirect = slice_str("10.0.0.1:6379");
    view->nodes[TARGET].redirect = slice_str("10.0.0.2:7001");
    atomic_store(&shared->view, view);
    atomic_store(&shared->lease_until_us, UINT64_MAX);
    test_node_shared(node)->cluster = shared;
    return view;
}

/* The grace period before the first value passes in its own time. */
static void wait_for_target(unsigned count)
{
    for (unsigned i = 0; targets.count < count && i < 100000; i++) {
        usleep(100);
        test_node_advance(node, 1);
        test_node_run(node);
    }
    assert_int_equal(targets.count, count);
}

static void test_who_waited_is_sent_after_the_key(void **state)
{
    struct cluster_shared shared = {0};
    SAYS("SET a hello", OK);
    struct cluster_view *view = cluster_begin(&shared);
    SEND("MIGRATE 10.0.0.2 7001 a 0 1000");
    TEST_SAYS(other, "APPEND a x\r\n", "");
    wait_for_target(1);
    accept_it(0);
    assert_sent(0, SELECT_0 "*4\r\n$14\r\nRESTORE-ASKING\r\n$1\r\na\r\n$1\r\n0\r\n$17\r\n",
                HELLO_LEN, "\r\n");
    struct test_client *third = test_connect(node, 0), *fourth = test_connect(node, 0);
    TEST_SAYS(third, "GET a\r\nSET a 1\r\n", "$5\r\nhello\r\n");
    TEST_SAYS(fourth, "MULTI\r\nGET a\r\nSET a 1\r\nEXEC\r\n", OK "+QUEUED\r\n+QUEUED\r\n");
    answer(0, "+OK\r\n+OK\r\n");
    assert_replied(OK);
    static const char ask[] = "-ASK 15495 10.0.0.2:7001\r\n";
    assert_string_equal(test_replies(other, NULL), ask);
    assert_string_equal(test_replies(third, NULL), ask);
    assert_string_equal(test_replies(fourth, NULL), ask);
    TEST_SAYS(fourth, "EXEC\r\nMULTI\r\n", "-ERR EXEC without MULTI\r\n" OK);
    SAYS("GET a", ask);
    SAYS("DBSIZE", ":0\r\n");
    test_node_shared(node)->cluster = NULL;
    free(view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_to_do, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_wrong_with_the_command, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_options, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_target_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_link_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_few_links_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_stale_link_is_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors_of_the_link, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nonsense_is_no_reply, setup, teardown),
        cmocka_unit_test_setup_teardown(test_others_meanwhile, setup, teardown),
        cmocka_unit_test_setup_teardown(test_clients_vanish, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_time_that_encoding_takes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_waited_is_sent_after_the_key, setup, teardown),
    };
    return cmocka_run_group_tests_name("migrate", tests, NULL, NULL);
}
