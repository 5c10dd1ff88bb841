/* Redirections against views made by hand. Slots of the keys: a 15495, b 3300, {a}1 15495. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "cluster_view.h"
#include "follow_view.h"
#include "test_node.h"

#define SLOT_A 15495
#define SLOT_B 3300

enum { OTHER = 2, THIRD = 3, NODES = 4 };

struct fixture {
    struct cluster_shared shared;
    struct cluster_view *view;
    struct test_node *node;
    struct test_client *client;
};

static void name_node(struct cluster_view *view, unsigned index, const char *redirect)
{
    view->nodes[index].redirect = slice_from(redirect, strlen(redirect));
}

/* Slot a is ours, slot b another node's, nothing moves. */
static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char *text;
    f->view = cluster_view_alloc(NODES, 1, 0, &text);
    f->view->version = 1;
    f->view->ok = true;
    f->view->primary = true;
    f->view->self_primary = CLUSTER_VIEW_SELF;
    f->view->slots[SLOT_A] = CLUSTER_VIEW_SELF;
    f->view->slots[SLOT_B] = OTHER;
    name_node(f->view, CLUSTER_VIEW_SELF, "10.0.0.1:6379");
    name_node(f->view, OTHER, "10.0.0.2:6379");
    name_node(f->view, THIRD, "10.0.0.3:6379");
    atomic_store(&f->shared.view, f->view);
    atomic_store(&f->shared.lease_until_us, UINT64_MAX);
    f->node = test_node_new(1);
    test_node_shared(f->node)->cluster = &f->shared;
    f->client = test_connect(f->node, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    test_node_free(f->node);
    free(f->view);
    free(f);
    return 0;
}

static void moves(struct fixture *f, uint16_t slot, unsigned entry, uint16_t peer)
{
    f->view->slots[slot] = (uint16_t)entry;
    f->view->moves[0] = (struct cluster_view_move){slot, peer};
}

static void test_own_slots_are_served(void **state)
{
    struct fixture *f = *state;
    TEST_SAYS(f->client, "SET a 1\r\nGET a\r\nMGET a {a}1\r\n",
              "+OK\r\n$1\r\n1\r\n*2\r\n$1\r\n1\r\n$-1\r\n");
    TEST_SAYS(f->client, "PING\r\n", "+PONG\r\n");
}

static void test_others_are_moved(void **state)
{
    struct fixture *f = *state;
    TEST_SAYS(f->client, "GET b\r\nSET b 1\r\n",
              "-MOVED 3300 10.0.0.2:6379\r\n-MOVED 3300 10.0.0.2:6379\r\n");
}

static void test_one_slot_at_a_time(void **state)
{
    struct fixture *f = *state;
    static const char crossing[] = "-CROSSSLOT Keys in request don't hash to the same slot\r\n";
    TEST_SAYS(f->client, "MGET a b\r\n", crossing);
    TEST_SAYS(f->client, "MSET b 1 a 1\r\n", crossing);
}

static void test_slots_of_nobody(void **state)
{
    struct fixture *f = *state;
    TEST_SAYS(f->client, "GET c\r\n", "-CLUSTERDOWN Hash slot not served\r\n");
    /* The first key decides, before the second is looked at. */
    TEST_SAYS(f->client, "MGET c a\r\n", "-CLUSTERDOWN Hash slot not served\r\n");
}

static void test_cluster_down(void **state)
{
    struct fixture *f = *state;
    f->view->ok = false;
    TEST_SAYS(f->client, "GET a\r\nPING\r\n", "-CLUSTERDOWN The cluster is down\r\n+PONG\r\n");
    test_node_config(f->node, "cluster-allow-reads-when-down", "yes");
    TEST_SAYS(f->client, "GET a\r\n", "$-1\r\n");
    TEST_SAYS(f->client, "SET a 1\r\n",
              "-CLUSTERDOWN The cluster is down and only accepts read commands\r\n");
}

static void test_a_dead_control_plane_is_a_cluster_down(void **state)
{
    struct fixture *f = *state;
    atomic_store(&f->shared.lease_until_us, 0);
    TEST_SAYS(f->client, "GET a\r\n", "-CLUSTERDOWN The cluster is down\r\n");
}

static void test_a_migrating_slot_asks_for_what_is_gone(void **state)
{
    struct fixture *f = *state;
    TEST_SAYS(f->client, "SET a 1\r\n", "+OK\r\n");
    moves(f, SLOT_A, CLUSTER_VIEW_SELF | CLUSTER_VIEW_MIGRATING, THIRD);
    TEST_SAYS(f->client, "GET a\r\n", "$1\r\n1\r\n");
    TEST_SAYS(f->client, "GET {a}1\r\n", "-ASK 15495 10.0.0.3:6379\r\n");
    TEST_SAYS(f->client, "MGET a {a}1\r\n",
              "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
    TEST_SAYS(f->client, "MGET {a}2 {a}1\r\n", "-ASK 15495 10.0.0.3:6379\r\n");
}

static void test_an_importing_slot_serves_who_asks(void **state)
{
    struct fixture *f = *state;
    moves(f, SLOT_B, OTHER | CLUSTER_VIEW_IMPORTING, OTHER);
    TEST_SAYS(f->client, "SET b 1\r\n", "-MOVED 3300 10.0.0.2:6379\r\n");
    TEST_SAYS(f->client, "ASKING\r\nSET b 1\r\n", "+OK\r\n+OK\r\n");
    TEST_SAYS(f->client, "GET b\r\n", "-MOVED 3300 10.0.0.2:6379\r\n"); /* once only */
    TEST_SAYS(f->client, "ASKING\r\nMGET b {b}1\r\n",
              "+OK\r\n-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
    TEST_SAYS(f->client, "ASKING\r\nMGET b b\r\n", "+OK\r\n*2\r\n$1\r\n1\r\n$1\r\n1\r\n");
    TEST_SAYS(f->client, "ASKING\r\nMULTI\r\nGET b\r\nGET b\r\nEXEC\r\nGET b\r\n",
              "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$1\r\n1\r\n$1\r\n1\r\n-MOVED 3300 "
              "10.0.0.2:6379\r\n");
}

static void test_transactions(void **state)
{
    struct fixture *f = *state;
    TEST_SAYS(f->client, "MULTI\r\nSET b 1\r\nEXEC\r\n",
              "+OK\r\n-MOVED 3300 10.0.0.2:6379\r\n-EXECABORT Transaction discarded because of "
              "previous errors.\r\n");
    TEST_SAYS(f->client, "MULTI\r\nSET a 1\r\n", "+OK\r\n+QUEUED\r\n");
    f->view->slots[SLOT_A] = OTHER; /* the slot leaves in between */
    TEST_SAYS(f->client, "EXEC\r\nEXEC\r\n",
              "-MOVED 15495 10.0.0.2:6379\r\n-ERR EXEC without MULTI\r\n");
}

static void test_reads_on_a_replica(void **state)
{
    struct fixture *f = *state;
    f->view->primary = false;
    f->view->self_primary = OTHER;
    f->view->slots[SLOT_A] = THIRD;
    TEST_SAYS(f->client, "GET b\r\n", "-MOVED 3300 10.0.0.2:6379\r\n");
    TEST_SAYS(f->client, "READONLY\r\nGET b\r\n", "+OK\r\n$-1\r\n");
    TEST_SAYS(f->client, "GET a\r\n", "-MOVED 15495 10.0.0.3:6379\r\n");
    TEST_SAYS(f->client, "SET b 1\r\n", "-MOVED 3300 10.0.0.2:6379\r\n");
    TEST_SAYS(f->client, "MULTI\r\nGET b\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n$-1\r\n");
    TEST_SAYS(f->client, "READWRITE\r\nGET b\r\n", "+OK\r\n-MOVED 3300 10.0.0.2:6379\r\n");
    TEST_SAYS(f->client, "READONLY\r\nRESET\r\nGET b\r\n",
              "+OK\r\n+RESET\r\n-MOVED 3300 10.0.0.2:6379\r\n");
}

static void test_sharded_channels(void **state)
{
    struct fixture *f = *state;
    TEST_SAYS(f->client, "SSUBSCRIBE b\r\nSPUBLISH b 1\r\n",
              "-MOVED 3300 10.0.0.2:6379\r\n-MOVED 3300 10.0.0.2:6379\r\n");
    TEST_SAYS(f->client, "SSUBSCRIBE a b\r\n",
              "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
    f->view->ok = false; /* cluster-allow-pubsubshard-when-down is yes */
    TEST_SAYS(f->client, "SSUBSCRIBE a\r\n", "*3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:1\r\n");
    f->view->slots[SLOT_A] = OTHER; /* the slot leaves */
    f->view->version++;
    pubsub_follow_view(test_worker(f->node, 0));
    assert_string_equal(test_replies(f->client, NULL),
                        "*3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:0\r\n");
    TEST_SAYS(f->client, "PING\r\n", "+PONG\r\n");
}

static void test_slots_and_their_keys(void **state)
{
    struct fixture *f = *state;
    TEST_SAYS(f->client, "CLUSTER KEYSLOT a\r\nCLUSTER KEYSLOT x{a}y\r\n", ":15495\r\n:15495\r\n");
    TEST_SAYS(f->client, "CLUSTER COUNTKEYSINSLOT 15495\r\n", ":0\r\n");
    TEST_SAYS(f->client, "MSET a 1 {a}2 2\r\n", "+OK\r\n");
    TEST_SAYS(f->client, "CLUSTER COUNTKEYSINSLOT 15495\r\n", ":2\r\n");
    TEST_SAYS(f->client, "CLUSTER GETKEYSINSLOT 15495 0\r\n", "*0\r\n");
    TEST_SEND(f->client, "CLUSTER GETKEYSINSLOT 15495 10\r\n");
    const char *reply = test_replies(f->client, NULL);
    assert_non_null(strstr(reply, "*2\r\n"));
    assert_non_null(strstr(reply, "$1\r\na\r\n"));
    assert_non_null(strstr(reply, "$4\r\n{a}2\r\n"));
    TEST_SAYS(f->client, "CLUSTER COUNTKEYSINSLOT 16384\r\n", "-ERR Invalid slot\r\n");
    TEST_SAYS(f->client, "CLUSTER GETKEYSINSLOT 1 -1\r\n",
              "-ERR Invalid slot or number of keys\r\n");
}

static void test_without_a_cluster(void **state)
{
    struct fixture *f = *state;
    test_node_shared(f->node)->cluster = NULL;
    TEST_SAYS(f->client, "GET b\r\n", "$-1\r\n");
    TEST_SAYS(f->client, "MSET a 1 b 2\r\n", "+OK\r\n");
    TEST_SAYS(f->client, "CLUSTER INFO\r\nASKING\r\nREADONLY\r\n",
              "-ERR This instance has cluster support disabled\r\n"
              "-ERR This instance has cluster support disabled\r\n"
              "-ERR This instance has cluster support disabled\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_own_slots_are_served),
        TEST(test_others_are_moved),
        TEST(test_one_slot_at_a_time),
        TEST(test_slots_of_nobody),
        TEST(test_cluster_down),
        TEST(test_a_dead_control_plane_is_a_cluster_down),
        TEST(test_a_migrating_slot_asks_for_what_is_gone),
        TEST(test_an_importing_slot_serves_who_asks),
        TEST(test_transactions),
        TEST(test_reads_on_a_replica),
        TEST(test_sharded_channels),
        TEST(test_slots_and_their_keys),
        TEST(test_without_a_cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
