/* The CLUSTER subcommands: texts as Redis 7.0.15 answers them, and what they do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "cluster_test_net.h"

static const char *id_of(struct test_net *net, unsigned i)
{
    return cluster_self_id(test_net_node(net, i));
}

/* Each as redis-server 7.0.15 answers it on a node of its own without slots. */
static void refusals_are_worded_as_redis_words_them(void **state)
{
    static const struct {
        const char *words, *reply;
    } rows[] = {
        {"meet 127.0.0.1", "-ERR wrong number of arguments for 'cluster|meet' command\r\n"},
        {"meet foo 1", "-ERR Invalid node address specified: foo:1\r\n"},
        {"meet 127.0.0.1 abc", "-ERR Invalid TCP base port specified: abc\r\n"},
        {"meet 127.0.0.1 0", "-ERR Invalid node address specified: 127.0.0.1:0\r\n"},
        {"meet 127.0.0.1 1 xx", "-ERR Invalid TCP bus port specified: xx\r\n"},
        {"meet 127.0.0.1 70000", "-ERR Invalid node address specified: 127.0.0.1:70000\r\n"},
        {"addslots", "-ERR wrong number of arguments for 'cluster|addslots' command\r\n"},
        {"addslots x", "-ERR Invalid or out of range slot\r\n"},
        {"addslots 16384", "-ERR Invalid or out of range slot\r\n"},
        {"addslots 1 1", "-ERR Slot 1 specified multiple times\r\n"},
        {"addslots -1", "-ERR Invalid or out of range slot\r\n"},
        {"addslotsrange 5",
         "-ERR wrong number of arguments for 'cluster|addslotsrange' command\r\n"},
        {"addslotsrange 5 3", "-ERR start slot number 5 is greater than end slot number 3\r\n"},
        {"addslotsrange 1 2 3",
         "-ERR wrong number of arguments for 'cluster|addslotsrange' command\r\n"},
        {"delslots 1", "-ERR Slot 1 is already unassigned\r\n"},
        {"delslotsrange 1 2", "-ERR Slot 1 is already unassigned\r\n"},
        {"setslot 1 foo",
         "-ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP\r\n"},
        {"setslot 99999 stable", "-ERR Invalid or out of range slot\r\n"},
        {"setslot 1 migrating abc", "-ERR I'm not the owner of hash slot 1\r\n"},
        {"setslot 1 importing abc", "-ERR I don't know about node abc\r\n"},
        {"setslot 1 node abc", "-ERR Unknown node abc\r\n"},
        {"setslot 1 node",
         "-ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP\r\n"},
        {"setslot 1", "-ERR wrong number of arguments for 'cluster|setslot' command\r\n"},
        {"replicate abc", "-ERR Unknown node abc\r\n"},
        {"forget abc", "-ERR Unknown node abc\r\n"},
        {"slaves abc", "-ERR Unknown node abc\r\n"},
        {"count-failure-reports abc", "-ERR Unknown node abc\r\n"},
        {"set-config-epoch -1", "-ERR Invalid config epoch specified: -1\r\n"},
        {"set-config-epoch x", "-ERR value is not an integer or out of range\r\n"},
        {"set-config-epoch 5", "+OK\r\n"},
        {"set-config-epoch 6", "-ERR Node config epoch is already non-zero\r\n"},
        {"bumpepoch", "+STILL 5\r\n"},
        {"reset foo", "-ERR syntax error\r\n"},
        {"foo", "-ERR unknown subcommand 'foo'. Try CLUSTER HELP.\r\n"},
        {"myid x", "-ERR wrong number of arguments for 'cluster|myid' command\r\n"},
        {"links", "*0\r\n"},
        {"slots", "*0\r\n"},
        {"flushslots", "+OK\r\n"},
        {"saveconfig", "+OK\r\n"},
        {"saveconfig x", "-ERR wrong number of arguments for 'cluster|saveconfig' command\r\n"},
    };
    struct test_net *net = test_net_new(1, 1);
    test_net_run(net, 100);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_string_equal(test_net_command(net, 0, "%s", rows[i].words), rows[i].reply);
    test_net_free(net);
}

static void refusals_about_other_nodes(void **state)
{
    struct test_net *net = test_net_new(4, 2);
    test_net_join(net);
    test_net_spread(net, 3);
    const char *replica = id_of(net, 3);
    assert_string_equal(test_net_command(net, 0, "addslots 0"), "-ERR Slot 0 is already busy\r\n");
    assert_string_equal(test_net_command(net, 0, "forget %s", id_of(net, 0)),
                        "-ERR I tried hard but I can't forget myself...\r\n");
    assert_string_equal(test_net_command(net, 3, "forget %s", id_of(net, 0)),
                        "-ERR Can't forget my master!\r\n");
    assert_string_equal(test_net_command(net, 0, "replicate %s", id_of(net, 0)),
                        "-ERR Can't replicate myself\r\n");
    assert_string_equal(test_net_command(net, 1, "replicate %s", replica),
                        "-ERR I can only replicate a master, not a replica.\r\n");
    assert_string_equal(
        test_net_command(net, 1, "replicate %s", id_of(net, 0)),
        "-ERR To set a master the node must be empty and without assigned slots.\r\n");
    assert_string_equal(test_net_command(net, 0, "replicas %s", replica),
                        "-ERR The specified node is not a master\r\n");
    assert_string_equal(test_net_command(net, 3, "setslot 1 stable"),
                        "-ERR You can use SETSLOT only with masters.\r\n");
    assert_string_equal(test_net_command(net, 3, "addslots 1"),
                        "-ERR You can use ADDSLOTS only with masters.\r\n");
    assert_string_equal(test_net_command(net, 0, "setslot 0 migrating %s", replica),
                        "-ERR Target node is not a master\r\n");
    assert_string_equal(test_net_command(net, 0, "setslot 0 importing %s", id_of(net, 1)),
                        "-ERR I'm already the owner of hash slot 0\r\n");
    assert_string_equal(test_net_command(net, 0, "set-config-epoch 9"),
                        "-ERR The user can assign a config epoch only when the node does not know "
                        "any other node.\r\n");
    test_net_keys(net, 0, 0, 1);
    assert_string_equal(test_net_command(net, 0, "flushslots"),
                        "-ERR DB must be empty to perform CLUSTER FLUSHSLOTS.\r\n");
    assert_string_equal(test_net_command(net, 0, "count-failure-reports %s", id_of(net, 1)),
                        ":0\r\n");
    test_net_free(net);
}

static void an_argument_cannot_end_the_reply(void **state)
{
    struct test_net *net = test_net_new(1, 3);
    test_net_run(net, 100);
    assert_string_equal(test_net_command(net, 0, "forget a\r\n+OK"),
                        "-ERR Unknown node a  +OK\r\n");
    test_net_free(net);
}

static void info_counts(void **state)
{
    struct test_net *net = test_net_new(4, 4);
    test_net_join(net);
    test_net_spread(net, 3);
    const char *info = test_net_command(net, 0, "info");
    assert_non_null(strstr(info, "cluster_state:ok\r\n"
                                 "cluster_slots_assigned:16384\r\n"
                                 "cluster_slots_ok:16384\r\n"
                                 "cluster_slots_pfail:0\r\n"
                                 "cluster_slots_fail:0\r\n"
                                 "cluster_known_nodes:4\r\n"
                                 "cluster_size:3\r\n"));
    assert_non_null(strstr(info, "cluster_stats_messages_ping_sent:"));
    assert_non_null(strstr(info, "cluster_stats_messages_pong_received:"));
    assert_non_null(strstr(info, "total_cluster_links_buffer_limit_exceeded:0\r\n"));
    test_net_crash(net, 2);
    test_net_run(net, 2500);
    info = test_net_command(net, 0, "info");
    assert_non_null(strstr(info, "cluster_state:fail\r\n"
                                 "cluster_slots_assigned:16384\r\n"
                                 "cluster_slots_ok:10922\r\n"
                                 "cluster_slots_pfail:0\r\n"
                                 "cluster_slots_fail:5462\r\n"));
    test_net_free(net);
}

static void slots_and_shards(void **state)
{
    char want[1024];
    struct test_net *net = test_net_new(2, 5);
    test_net_join(net);
    test_net_spread(net, 1);
    test_net_run(net, 1000);
    snprintf(want, sizeof(want),
             "*1\r\n*4\r\n:0\r\n:16383\r\n"
             "*4\r\n$8\r\n10.0.0.1\r\n:6379\r\n$40\r\n%s\r\n*0\r\n"
             "*4\r\n$8\r\n10.0.0.2\r\n:6379\r\n$40\r\n%s\r\n*0\r\n",
             id_of(net, 0), id_of(net, 1));
    assert_string_equal(test_net_command(net, 0, "slots"), want);
    assert_string_equal(test_net_command(net, 1, "slots"), want);
    const char *shards = test_net_command(net, 0, "shards");
    snprintf(want, sizeof(want),
             "*1\r\n*4\r\n$5\r\nslots\r\n*2\r\n:0\r\n:16383\r\n$5\r\nnodes\r\n*2\r\n"
             "*14\r\n$2\r\nid\r\n$40\r\n%s\r\n$4\r\nport\r\n:6379\r\n$2\r\nip\r\n$8\r\n10.0.0.1\r\n"
             "$8\r\nendpoint\r\n$8\r\n10.0.0.1\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
             "$18\r\nreplication-offset\r\n",
             id_of(net, 0));
    assert_memory_equal(shards, want, strlen(want));
    assert_non_null(strstr(shards, "$7\r\nreplica\r\n"));
    const char *links = test_net_command(net, 0, "links");
    static const char first[] = "*2\r\n*12\r\n$9\r\ndirection\r\n$2\r\nto\r\n";
    assert_memory_equal(links, first, strlen(first));
    test_net_free(net);
}

/* A slot that nobody has between two that somebody has; one range ends at the last slot. */
static void slots_with_gaps(void **state)
{
    char want[512];
    struct test_net *net = test_net_new(1, 6);
    test_net_run(net, 100);
    test_net_command(net, 0, "addslots 0 2 3 16383");
    snprintf(want, sizeof(want), "*4\r\n$8\r\n10.0.0.1\r\n:6379\r\n$40\r\n%s\r\n*0\r\n",
             id_of(net, 0));
    char all[2048];
    snprintf(all, sizeof(all),
             "*3\r\n*3\r\n:0\r\n:0\r\n%s*3\r\n:2\r\n:3\r\n%s*3\r\n:16383\r\n:16383\r\n%s", want,
             want, want);
    assert_string_equal(test_net_command(net, 0, "slots"), all);
    assert_non_null(strstr(test_net_command(net, 0, "nodes"), "connected 0 2-3 16383\n"));
    test_net_free(net);
}

static void preferred_endpoints(void **state)
{
    struct test_net *net = test_net_new(1, 7);
    struct cluster_config config = *test_net_config(net, 0);
    strcpy(config.announce_hostname, "host.x");
    test_net_configure(net, 0, &config);
    test_net_run(net, 100);
    test_net_command(net, 0, "addslots 0");
    assert_non_null(
        strstr(test_net_command(net, 0, "slots"), "*2\r\n$8\r\nhostname\r\n$6\r\nhost.x\r\n"));
    config.endpoint = CLUSTER_ENDPOINT_HOSTNAME;
    test_net_configure(net, 0, &config);
    assert_non_null(strstr(test_net_command(net, 0, "slots"), "*4\r\n$6\r\nhost.x\r\n:6379\r\n"));
    const struct cluster_view *view = test_net_view(net, 0);
    assert_true(slice_equal(view->nodes[CLUSTER_VIEW_SELF].redirect, slice_str("host.x:6379")));
    config.endpoint = CLUSTER_ENDPOINT_UNKNOWN;
    test_net_configure(net, 0, &config);
    assert_non_null(strstr(test_net_command(net, 0, "slots"), "*4\r\n$-1\r\n:6379\r\n"));
    view = test_net_view(net, 0);
    assert_true(slice_equal(view->nodes[CLUSTER_VIEW_SELF].redirect, slice_str(":6379")));
    test_net_free(net);
}

static void nodes_shows_roles_and_links(void **state)
{
    char want[256];
    struct test_net *net = test_net_new(3, 8);
    test_net_join(net);
    test_net_spread(net, 2);
    test_net_run(net, 1000);
    const char *nodes = test_net_command(net, 2, "nodes");
    snprintf(want, sizeof(want), "%s 10.0.0.3:6379@16379 myself,slave %s 0 0 %llu connected\n",
             id_of(net, 2), id_of(net, 0),
             (unsigned long long)cluster_config_epoch(test_net_node(net, 0)));
    assert_non_null(strstr(nodes, want));
    snprintf(want, sizeof(want), "%s 10.0.0.2:6379@16379 master - ", id_of(net, 1));
    assert_non_null(strstr(nodes, want));
    assert_non_null(strstr(nodes, " connected 8192-16383\n"));
    test_net_crash(net, 1);
    test_net_run(net, 3000);
    assert_non_null(strstr(test_net_command(net, 2, "nodes"), " master,fail? - "));
    test_net_free(net);
}

static void allowed_networks_are_parsed(void **state)
{
    struct cluster_config config;
    cluster_config_defaults(&config);
    assert_true(cluster_config_allow(&config, slice_str("")));
    assert_int_equal(config.allow_count, 0);
    assert_true(cluster_config_allow(&config, slice_str(" 10.0.0.0/8,fd00::/8 192.168.1.7 ")));
    assert_int_equal(config.allow_count, 3);
    assert_int_equal(config.allow[0].prefix, 104);
    assert_int_equal(config.allow[1].prefix, 8);
    assert_int_equal(config.allow[2].prefix, 128);
    assert_true(cluster_config_allow(&config, slice_str("0.0.0.0/0 ::/0")));
    static const char *const bad[] = {"10.0.0.0/33", "x",       "10.0.0.0/-1", "10.0.0.0/",
                                      "/8",          "::1/129", "0.0.0.0/8"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(cluster_config_allow(&config, slice_str(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_are_worded_as_redis_words_them),
        cmocka_unit_test(refusals_about_other_nodes),
        cmocka_unit_test(an_argument_cannot_end_the_reply),
        cmocka_unit_test(info_counts),
        cmocka_unit_test(slots_and_shards),
        cmocka_unit_test(slots_with_gaps),
        cmocka_unit_test(preferred_endpoints),
        cmocka_unit_test(nodes_shows_roles_and_links),
        cmocka_unit_test(allowed_networks_are_parsed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
