/* Replica migration: primaries 0, 1, 2; 3, 6 and 9 follow 0; 4 and 7 follow 1; 5 and 8 follow 2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "cluster_test_trace.h"

/* One for which the smallest id of 3, 6, 9, 4 and 7 is one of the first three. */
#define SEED 18

static struct test_net *net;
static struct test_trace *trace;

static int begin(void **state)
{
    (void)state;
    net = test_net_new(10, SEED);
    trace = trace_new(net, 10);
    test_net_join(net);
    test_net_spread(net, 3);
    test_net_run(net, 1000);
    return 0;
}

static int end(void **state)
{
    (void)state;
    trace_free(trace);
    test_net_free(net);
    return 0;
}

static void configure_all(uint32_t barrier, bool allow)
{
    for (unsigned i = 0; i < 10; i++) {
        struct cluster_config config = *test_net_config(net, i);
        config.migration_barrier = barrier;
        config.allow_replica_migration = allow;
        test_net_configure(net, i, &config);
    }
}

/* How many of the nodes that run follow node i. */
static unsigned followers(unsigned i)
{
    unsigned count = 0;
    const char *id = cluster_self_id(test_net_node(net, i));
    for (unsigned j = 0; j < 10; j++) {
        const char *primary =
            test_net_running(net, j) ? cluster_primary_id(test_net_node(net, j)) : NULL;
        count += primary && strcmp(primary, id) == 0;
    }
    return count;
}

static unsigned smallest(unsigned a, unsigned b, unsigned c)
{
    unsigned of[3] = {a, b, c}, best = a;
    for (unsigned i = 1; i < 3; i++)
        if (strcmp(cluster_self_id(test_net_node(net, of[i])),
                   cluster_self_id(test_net_node(net, best))) < 0)
            best = of[i];
    return best;
}

static void orphan(unsigned first, unsigned second)
{
    trace_begin(trace);
    test_net_crash(net, first);
    test_net_crash(net, second);
}

/* The smallest id of those who follow the primary with the most replicas. */
static void an_orphan_gets_a_replica(void **state)
{
    (void)state;
    unsigned mover = smallest(3, 6, 9);
    trace_name(trace, mover, 'm');
    orphan(5, 8);
    test_net_run(net, 1100);
    trace_begin(trace);
    test_net_run(net, 4700); /* 5 s, not earlier */
    assert_true(trace_is(trace, NULL, ""));
    test_net_run(net, 2000);
    assert_true(trace_is(trace, NULL,
                         "[   0] m migrates to 2\n"
                         "[   2] m follows 2\n"
                         "[   2] m shows replica of 2\n"));
    assert_int_equal(followers(0), 2);
    assert_int_equal(followers(2), 1);
}

static void nobody_moves_below_the_barrier(void **state)
{
    (void)state;
    configure_all(3, true);
    orphan(5, 8);
    test_net_run(net, 15000);
    assert_int_equal(followers(2), 0);
    configure_all(2, true);
    test_net_run(net, 2000);
    assert_int_equal(followers(2), 1);
}

static void nobody_moves_when_it_is_not_allowed(void **state)
{
    (void)state;
    configure_all(1, false);
    orphan(5, 8);
    test_net_run(net, 15000);
    assert_int_equal(followers(2), 0);
}

/* A primary that never had replicas is none of ours to help. */
static void a_primary_that_never_had_one(void **state)
{
    (void)state;
    struct test_net *other = test_net_new(5, 19);
    test_net_join(other);
    test_net_spread(other, 2); /* 2 and 4 follow 0; 3 follows 1 */
    for (unsigned i = 0; i < 2; i++)
        assert_string_equal(
            test_net_command(other, 3, "replicate %s", cluster_self_id(test_net_node(other, 0))),
            "+OK\r\n");
    test_net_run(other, 1000);
    unsigned flags = test_net_flags(other, 2, 1);
    test_net_run(other, 15000);
    for (unsigned i = 2; i < 5; i++)
        assert_string_equal(cluster_primary_id(test_net_node(other, i)),
                            cluster_self_id(test_net_node(other, 0)));
    assert_false(flags & BUS_NODE_MIGRATE_TO);
    test_net_free(other);
}

/* One comes back in time, and the time begins anew when it goes again. */
static void an_orphan_for_less_than_5_s(void **state)
{
    (void)state;
    orphan(5, 8);
    test_net_run(net, 4500);
    test_net_restart(net, 5);
    test_net_run(net, 10000);
    assert_int_equal(followers(2), 1);
    assert_int_equal(followers(0), 3);
    test_net_crash(net, 5);
    test_net_run(net, 5500);
    assert_int_equal(followers(0), 3);
    test_net_run(net, 2000);
    assert_int_equal(followers(0), 2);
}

/* The dead one with the smallest id is not waited for. */
static void the_chosen_one_is_dead(void **state)
{
    (void)state;
    unsigned dead = smallest(3, 6, 9);
    assert_int_equal(smallest(dead, 4, 7), dead);
    test_net_crash(net, dead); /* 0 and 1 have two each now */
    test_net_run(net, 3000);
    orphan(5, 8);
    test_net_run(net, 8000);
    assert_int_equal(followers(2), 1);
    assert_int_equal(followers(0) + followers(1), 3);
}

/* A dead primary has no replicas to give, and its own election comes first. */
static void a_failover_comes_first(void **state)
{
    (void)state;
    orphan(5, 8);
    test_net_run(net, 3000);
    test_net_crash(net, 0);
    test_net_run(net, 10000);
    assert_true(test_net_agrees(net));
    assert_true(test_net_all_ok(net));
    assert_int_equal(followers(2), 1);
    int owner = test_net_owner(net, 1, 0);
    assert_true(owner == 3 || owner == 6 || owner == 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_orphan_gets_a_replica, begin, end),
        cmocka_unit_test_setup_teardown(nobody_moves_below_the_barrier, begin, end),
        cmocka_unit_test_setup_teardown(nobody_moves_when_it_is_not_allowed, begin, end),
        cmocka_unit_test_setup_teardown(a_primary_that_never_had_one, begin, end),
        cmocka_unit_test_setup_teardown(an_orphan_for_less_than_5_s, begin, end),
        cmocka_unit_test_setup_teardown(the_chosen_one_is_dead, begin, end),
        cmocka_unit_test_setup_teardown(a_failover_comes_first, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
