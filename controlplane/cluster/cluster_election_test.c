/* Automatic elections as timelines: who is elected, and when. */
#include "cluster_test_election.h"

static void a_primary_dies(void **state)
{
    (void)state;
    begin(3, 6);
    trace_begin(trace);
    test_net_crash(net, 0);
    uint64_t ms = test_net_until(net, 5000, writes_again);
    assert_true(ms <= 1300);
    test_net_run(net, 2000);
    assert_true(trace_is(trace, NULL,
                         "[   0] 3 reserves +1\n"
                         "[   2] 3 > 1 2 4 5: fail 0, auth-req +1\n"
                         "[   2] 1 persists vote +1\n"
                         "[   2] 2 persists vote +1\n"
                         "[   4] 1 > 3: auth-ack +1\n"
                         "[   4] 2 > 3: auth-ack +1\n"
                         "[   4] 3 wins\n"
                         "[   4] 3 follows nobody\n"
                         "[   4] 3 persists vote +1\n"
                         "[   6] 3 shows master +1\n"));
    assert_int_equal(owner_of(0, 3), 3);
    assert_true(test_net_all_ok(net));
    /* The old one is told, and follows. */
    trace_begin(trace);
    test_net_restart(net, 0);
    test_net_run(net, 3000);
    assert_int_equal(owner_of(0, 3), 3);
    assert_true(!cluster_is_primary(test_net_node(net, 0)));
    assert_int_equal(counts(3, false), 1);
}

/* A voter has one vote per epoch: the second election follows the first instead of meeting it. */
static void two_die_at_once(void **state)
{
    (void)state;
    begin(5, 10);
    name_shards(5);
    trace_begin(trace);
    test_net_crash(net, 0);
    test_net_crash(net, 1);
    test_net_run(net, 3000);
    assert_true(trace_is(trace, "ab",
                         "[   0] a reserves +1\n"
                         "[   0] b reserves +1\n"
                         "[   2] a > 2 3 4 7 8 9 b: fail A, auth-req +1\n"
                         "[   5] a wins\n"
                         "[   5] a follows nobody\n"
                         "[   5] a persists vote +1\n"
                         "[   7] a shows master +1\n"
                         "[  13] b > 2 3 4 7 8 9 a: fail B, auth-req +2\n"
                         "[  13] a persists vote +2\n"
                         "[  15] a > b: auth-ack +2\n"
                         "[  15] b wins\n"
                         "[  15] b follows nobody\n"
                         "[  15] b persists vote +2\n"
                         "[  17] b shows master +2\n"));
    assert_true(test_net_all_ok(net));
}

static bool all_ok(struct test_net *n)
{
    return test_net_all_ok(n);
}

/* A minority of the primaries dies together: no shard waits for an election that was split. */
static void seven_of_fifteen_die_at_once(void **state)
{
    (void)state;
    begin(15, 30);
    for (unsigned i = 0; i < 7; i++)
        test_net_crash(net, i);
    test_net_run(net, 1100);
    uint64_t ms = test_net_until(net, 20000, all_ok);
    assert_true(ms < 1000);
    test_net_run(net, 100);
    for (unsigned i = 0; i < 7; i++) {
        assert_int_equal(owner_of(i, 15), 15 + (int)i);
        assert_int_equal(counts(15 + i, false), 1);
    }
}

/* Names the replicas 3 and 6 of the primary 0: a has the smaller id. */
static void name_siblings(void)
{
    unsigned first = smaller(3, 6);
    trace_name(trace, first, 'a');
    trace_name(trace, 9 - first, 'b');
}

static void a_tie_goes_to_the_smaller_id(void **state)
{
    (void)state;
    begin(3, 7);
    name_siblings();
    trace_begin(trace);
    test_net_crash(net, 0);
    test_net_run(net, 3000);
    assert_true(trace_is(trace, "ab",
                         "[   0] a reserves +1\n"
                         "[   0] b reserves +1\n"
                         "[   0] b waits, rank 1\n"
                         "[   2] a > 1 2 4 5 b: fail 0, auth-req +1\n"
                         "[   5] a wins\n"
                         "[   5] a follows nobody\n"
                         "[   5] a persists vote +1\n"
                         "[   7] a shows master +1\n"
                         "[   9] b follows a\n"
                         "[   9] b shows replica of a\n"));
    assert_int_equal(counts(3, false) + counts(6, false), 1);
}

/* The disk of the first is slow: its epoch is not durable, so it does not ask. */
static void the_second_of_a_tie_waits_100_ms(void **state)
{
    (void)state;
    begin(3, 7);
    name_siblings();
    test_net_disk(net, smaller(3, 6), 700, true);
    trace_begin(trace);
    test_net_crash(net, 0);
    test_net_run(net, 3000);
    assert_true(trace_is(trace, "ab",
                         "[   0] a reserves +1\n"
                         "[   0] b reserves +1\n"
                         "[   0] b waits, rank 1\n"
                         "[ 100] b > 1 2 4 5 a: fail 0, auth-req +1\n"
                         "[ 103] b wins\n"
                         "[ 103] b follows nobody\n"
                         "[ 103] b persists vote +1\n"
                         "[ 105] b shows master +1\n"
                         "[1400] a follows b\n"
                         "[1400] a shows replica of b\n"));
}

static void the_replica_with_more_data_wins(void **state)
{
    (void)state;
    begin(3, 7);
    test_net_replica_stop(net, 3, true);
    test_net_run(net, 500);
    assert_true(test_net_offset(net, 3) < test_net_offset(net, 6));
    trace_begin(trace);
    test_net_crash(net, 0);
    test_net_run(net, 3000);
    assert_true(trace_is(trace, "36",
                         "[   0] 6 reserves +1\n"
                         "[   0] 3 reserves +1\n"
                         "[   0] 3 waits, rank 1\n"
                         "[   2] 6 > 1 2 3 4 5: fail 0, auth-req +1\n"
                         "[   4] 6 wins\n"
                         "[   4] 6 follows nobody\n"
                         "[   4] 6 persists vote +1\n"
                         "[   6] 6 shows master +1\n"
                         "[   9] 3 follows 6\n"
                         "[   9] 3 shows replica of 6\n"));
}

/* The better one cannot; the stale one waits for it a second, then takes over. */
static void a_stale_replica_waits_a_second(void **state)
{
    (void)state;
    begin(3, 7);
    test_net_replica_stop(net, 3, true);
    test_net_disk(net, 6, 1700, true);
    test_net_run(net, 500);
    trace_begin(trace);
    test_net_crash(net, 0);
    test_net_run(net, 2500);
    assert_true(trace_is(trace, "3",
                         "[   0] 3 reserves +1\n"
                         "[   0] 3 waits, rank 1\n"
                         "[1000] 3 > 1 2 4 5 6: fail 0, auth-req +1\n"
                         "[1003] 3 wins\n"
                         "[1003] 3 follows nobody\n"
                         "[1003] 3 persists vote +1\n"
                         "[1005] 3 shows master +1\n"));
}

static void a_dead_sibling_is_not_waited_for(void **state)
{
    (void)state;
    begin(3, 7);
    trace_begin(trace);
    test_net_crash(net, 6);
    test_net_run(net, 30);
    test_net_crash(net, 0);
    test_net_run(net, 3000);
    assert_true(trace_is(trace, "3",
                         "[   0] 3 reserves +1\n"
                         "[   2] 3 > 1 2 4 5: fail 0, auth-req +1\n"
                         "[   4] 3 wins\n"
                         "[   4] 3 follows nobody\n"
                         "[   4] 3 persists vote +1\n"
                         "[   6] 3 shows master +1\n"));
}

/* It stopped too late to be suspected: its offset is waited for, but not for ever. */
static void a_silent_sibling_is_waited_for_500_ms(void **state)
{
    (void)state;
    begin(3, 7);
    name_siblings();
    trace_begin(trace);
    test_net_crash(net, 0);
    test_net_run(net, 990);
    test_net_pause(net, smaller(3, 6), 5000);
    test_net_run(net, 3000);
    assert_true(trace_is(trace, "b",
                         "[   0] b reserves +1\n"
                         "[ 500] b waits, rank 1\n"
                         "[ 600] b > 1 2 4 5 a: fail 0, auth-req +1\n"
                         "[ 603] b wins\n"
                         "[ 603] b follows nobody\n"
                         "[ 603] b persists vote +1\n"
                         "[ 605] b shows master +1\n"));
}

static void an_unsynchronised_replica_never_stands(void **state)
{
    (void)state;
    begin(3, 7);
    test_net_unsynced(net, 3, true);
    test_net_crash(net, 6);
    test_net_run(net, 3000);
    trace_begin(trace);
    test_net_crash(net, 0);
    test_net_run(net, 10000);
    assert_true(trace_is(trace, "3",
                         "[   0] 3 cannot: it never completed a synchronisation with its "
                         "master\n"));
    assert_int_equal(owner_of(0, 3), 0);
    /* It stands behind no one who has data. */
    test_net_restart(net, 6);
    test_net_run(net, 5000);
    assert_int_equal(owner_of(0, 3), 6);
}

static void old_data_is_no_data(void **state)
{
    (void)state;
    begin(3, 6);
    struct cluster_config config = *test_net_config(net, 3);
    config.repl_ping_period_s = 1;
    config.replica_validity_factor = 2;
    test_net_configure(net, 3, &config);
    test_net_replica_stop(net, 3, true);
    test_net_run(net, 4000);
    trace_begin(trace);
    test_net_crash(net, 0);
    test_net_run(net, 5000);
    assert_true(trace_is(trace, "3",
                         "[   0] 3 cannot: it was disconnected from its master for longer than "
                         "cluster-replica-validity-factor allows\n"));
    /* 0: better old data than none. */
    config.replica_validity_factor = 0;
    test_net_configure(net, 3, &config);
    test_net_run(net, 1000);
    assert_int_equal(owner_of(0, 3), 3);
}

static void replica_no_failover_means_it(void **state)
{
    (void)state;
    begin(3, 6);
    struct cluster_config config = *test_net_config(net, 3);
    config.replica_no_failover = true;
    test_net_configure(net, 3, &config);
    trace_begin(trace);
    test_net_crash(net, 0);
    test_net_run(net, 5000);
    assert_true(trace_is(trace, "3", "[   0] 3 cannot: replica-no-failover is set\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_primary_dies, end),
        cmocka_unit_test_teardown(two_die_at_once, end),
        cmocka_unit_test_teardown(seven_of_fifteen_die_at_once, end),
        cmocka_unit_test_teardown(a_tie_goes_to_the_smaller_id, end),
        cmocka_unit_test_teardown(the_second_of_a_tie_waits_100_ms, end),
        cmocka_unit_test_teardown(the_replica_with_more_data_wins, end),
        cmocka_unit_test_teardown(a_stale_replica_waits_a_second, end),
        cmocka_unit_test_teardown(a_dead_sibling_is_not_waited_for, end),
        cmocka_unit_test_teardown(a_silent_sibling_is_waited_for_500_ms, end),
        cmocka_unit_test_teardown(an_unsynchronised_replica_never_stands, end),
        cmocka_unit_test_teardown(old_data_is_no_data, end),
        cmocka_unit_test_teardown(replica_no_failover_means_it, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
