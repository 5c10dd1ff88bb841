/* Joining: MEET, handshakes, gossip of unknown nodes, FORGET, addresses, restarts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "cluster_test_net.h"

static void two_nodes_meet(void **state)
{
    struct test_net *net = test_net_new(2, 1);
    test_net_run(net, 100);
    assert_string_equal(test_net_command(net, 0, "meet 10.0.0.2 6379"), "+OK\r\n");
    test_net_run(net, 1000);
    assert_int_equal(test_net_flags(net, 0, 1), BUS_NODE_MASTER);
    assert_int_equal(test_net_flags(net, 1, 0), BUS_NODE_MASTER);
    test_net_free(net);
}

/* Everybody meets one node; gossip does the rest. */
static void ten_nodes_join(void **state)
{
    struct test_net *net = test_net_new(10, 2);
    test_net_join(net);
    assert_true(test_net_now_ms(net) < 5000);
    assert_true(test_net_agrees(net));
    test_net_free(net);
}

/* A link that is lost with what was on it leaves no half-known node behind. */
static void join_under_loss(void **state)
{
    for (uint64_t seed = 10; seed < 40; seed++) {
        struct test_net *net = test_net_new(6, seed);
        test_net_loss(net, 100);
        test_net_join(net);
        test_net_loss(net, 0);
        test_net_run(net, 3000);
        assert_true(test_net_agrees(net));
        test_net_free(net);
    }
}

/* The MEET arrives, its answer does not: the other side still gets to know us, and we it. */
static void meet_is_repeated(void **state)
{
    struct test_net *net = test_net_new(2, 3);
    test_net_run(net, 100);
    test_net_command(net, 0, "meet 10.0.0.2 6379");
    test_net_run(net, 1);
    test_net_crash(net, 1); /* it has forgotten the MEET, which it never wrote down */
    test_net_restart(net, 1);
    test_net_run(net, 3000);
    assert_int_equal(test_net_flags(net, 1, 0) & ~BUS_NODE_MEET, BUS_NODE_MASTER);
    test_net_free(net);
}

static void meeting_oneself_or_nobody_ends(void **state)
{
    struct test_net *net = test_net_new(1, 4);
    test_net_run(net, 100);
    assert_string_equal(test_net_command(net, 0, "meet 10.0.0.1 6379"), "+OK\r\n");
    assert_string_equal(test_net_command(net, 0, "meet 10.0.0.99 6379"), "+OK\r\n");
    assert_int_equal(cluster_node_count(test_net_node(net, 0)), 3);
    test_net_run(net, 3000);
    assert_int_equal(cluster_node_count(test_net_node(net, 0)), 1);
    test_net_free(net);
}

static void forgotten_node_stays_away_for_a_minute(void **state)
{
    struct test_net *net = test_net_new(3, 5);
    test_net_join(net);
    char id[BUS_NAME_SIZE + 1];
    strcpy(id, cluster_self_id(test_net_node(net, 2)));
    test_net_crash(net, 2);
    for (unsigned i = 0; i < 2; i++)
        assert_string_equal(test_net_command(net, i, "forget %s", id), "+OK\r\n");
    test_net_run(net, 10000);
    assert_int_equal(cluster_node_count(test_net_node(net, 0)), 2);
    assert_int_equal(cluster_node_count(test_net_node(net, 1)), 2);
    test_net_free(net);
}

/* Only one node was told: gossip of the other brings it back, after the minute. */
static void forgotten_node_comes_back(void **state)
{
    struct test_net *net = test_net_new(3, 6);
    test_net_join(net);
    test_net_command(net, 0, "forget %s", cluster_self_id(test_net_node(net, 2)));
    test_net_run(net, 30000);
    assert_int_equal(test_net_flags(net, 0, 2), 0);
    test_net_run(net, 40000);
    assert_int_equal(test_net_flags(net, 0, 2), BUS_NODE_MASTER);
    test_net_free(net);
}

static void moved_node_is_followed(void **state)
{
    struct test_net *net = test_net_new(4, 7);
    test_net_join(net);
    test_net_run(net, 1000);
    char id[BUS_NAME_SIZE + 1];
    strcpy(id, cluster_self_id(test_net_node(net, 3)));
    test_net_move(net, 3, "10.0.0.44");
    assert_string_equal(cluster_self_id(test_net_node(net, 3)), id);
    test_net_run(net, 5000);
    for (unsigned i = 0; i < 3; i++) {
        struct cluster_peer peer;
        assert_true(cluster_peer_get(test_net_node(net, i), id, &peer));
        assert_string_equal(peer.ip, "10.0.0.44");
        assert_true(peer.linked);
        assert_int_equal(peer.flags, BUS_NODE_MASTER);
    }
    assert_true(test_net_alarms(net) >= 3);
    test_net_free(net);
}

static void moved_node_outside_the_allowed_networks_is_not(void **state)
{
    struct test_net *net = test_net_new(2, 8);
    struct cluster_config config = *test_net_config(net, 0);
    assert_true(cluster_config_allow(&config, slice_str("10.0.0.0/24")));
    test_net_configure(net, 0, &config);
    test_net_join(net);
    test_net_run(net, 1000);
    struct cluster_peer peer;
    test_net_move(net, 1, "10.0.1.2");
    test_net_run(net, 5000);
    const char *id = cluster_self_id(test_net_node(net, 1));
    assert_true(cluster_peer_get(test_net_node(net, 0), id, &peer));
    assert_string_equal(peer.ip, "10.0.0.2");
    assert_true(test_net_alarms(net) >= 1);
    test_net_free(net);
}

static void restarted_nodes_find_each_other(void **state)
{
    struct test_net *net = test_net_new(5, 9);
    test_net_join(net);
    test_net_run(net, 1000);
    char id[BUS_NAME_SIZE + 1];
    strcpy(id, cluster_self_id(test_net_node(net, 4)));
    for (unsigned i = 0; i < 5; i++)
        test_net_crash(net, i);
    for (unsigned i = 0; i < 5; i++)
        test_net_restart(net, i);
    assert_string_equal(cluster_self_id(test_net_node(net, 4)), id);
    test_net_run(net, 3000);
    for (unsigned i = 0; i < 5; i++)
        for (unsigned j = 0; j < 5; j++)
            if (i != j)
                assert_int_equal(test_net_flags(net, i, j), BUS_NODE_MASTER);
    test_net_free(net);
}

/* Another node answers at the address: the old one has none any more, and fails. */
static void another_id_at_the_address(void **state)
{
    struct test_net *net = test_net_new(3, 12);
    test_net_join(net);
    char id[BUS_NAME_SIZE + 1];
    strcpy(id, cluster_self_id(test_net_node(net, 2)));
    test_net_crash(net, 2);
    test_net_restart_empty(net, 2);
    assert_string_not_equal(cluster_self_id(test_net_node(net, 2)), id);
    test_net_run(net, 500);
    struct cluster_peer peer;
    assert_true(cluster_peer_get(test_net_node(net, 0), id, &peer));
    assert_true(peer.flags & BUS_NODE_NOADDR);
    test_net_run(net, 2000);
    assert_true(cluster_peer_get(test_net_node(net, 0), id, &peer));
    assert_true(peer.flags & (BUS_NODE_PFAIL | BUS_NODE_FAIL));
    test_net_free(net);
}

static void hostnames_travel(void **state)
{
    struct test_net *net = test_net_new(2, 13);
    test_net_join(net);
    struct cluster_config config = *test_net_config(net, 1);
    strcpy(config.announce_hostname, "two.example");
    test_net_configure(net, 1, &config);
    test_net_run(net, 2000);
    assert_non_null(strstr(test_net_command(net, 0, "nodes"), ":6379@16379,two.example master"));
    config.announce_hostname[0] = 0;
    test_net_configure(net, 1, &config);
    test_net_run(net, 2000);
    assert_null(strstr(test_net_command(net, 0, "nodes"), "two.example"));
    test_net_free(net);
}

static void shard_ids_travel(void **state)
{
    struct test_net *net = test_net_new(3, 14);
    test_net_join(net);
    test_net_spread(net, 2);
    test_net_run(net, 2000);
    assert_string_equal(cluster_self_shard_id(test_net_node(net, 0)),
                        cluster_self_shard_id(test_net_node(net, 2)));
    assert_string_not_equal(cluster_self_shard_id(test_net_node(net, 0)),
                            cluster_self_shard_id(test_net_node(net, 1)));
    test_net_free(net);
}

static void same_seed_same_story(void **state)
{
    char first[8192] = "";
    for (unsigned run = 0; run < 2; run++) {
        struct test_net *net = test_net_new(5, 77);
        test_net_loss(net, 20);
        test_net_join(net);
        test_net_run(net, 5000);
        const char *nodes = test_net_command(net, 3, "nodes");
        if (run == 0)
            strncpy(first, nodes, sizeof(first) - 1);
        else
            assert_string_equal(nodes, first);
        test_net_free(net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_nodes_meet),
        cmocka_unit_test(ten_nodes_join),
        cmocka_unit_test(join_under_loss),
        cmocka_unit_test(meet_is_repeated),
        cmocka_unit_test(meeting_oneself_or_nobody_ends),
        cmocka_unit_test(forgotten_node_stays_away_for_a_minute),
        cmocka_unit_test(forgotten_node_comes_back),
        cmocka_unit_test(moved_node_is_followed),
        cmocka_unit_test(moved_node_outside_the_allowed_networks_is_not),
        cmocka_unit_test(restarted_nodes_find_each_other),
        cmocka_unit_test(another_id_at_the_address),
        cmocka_unit_test(hostnames_travel),
        cmocka_unit_test(shard_ids_travel),
        cmocka_unit_test(same_seed_same_story),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
