/* Manual failover as timelines: primaries 0, 1, 2 and their replicas 3, 4, 5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "cluster_test_trace.h"

static struct test_net *net;
static struct test_trace *trace;

static int begin(void **state)
{
    (void)state;
    net = test_net_new(6, 11);
    trace = trace_new(net, 6);
    test_net_join(net);
    test_net_spread(net, 3);
    test_net_run(net, 1000);
    trace_begin(trace);
    return 0;
}

static int end(void **state)
{
    (void)state;
    trace_free(trace);
    test_net_free(net);
    return 0;
}

static void failover(unsigned node, const char *how, const char *reply)
{
    assert_string_equal(test_net_command(net, node, "failover%s%s", *how ? " " : "", how), reply);
}

static int owner(void)
{
    assert_true(test_net_agrees(net));
    return test_net_owner(net, 3, 0);
}

static uint64_t started(unsigned i)
{
    return cluster_counts_get(test_net_node(net, i))->elections_started;
}

/* Loses count frames of a type between two nodes, with their link. */
struct loss {
    unsigned from, to;
    int type;
    unsigned count;
};

static bool lose(void *ctx, unsigned from, unsigned to, const struct bus_message *m)
{
    struct loss *loss = ctx;
    if (from != loss->from || to != loss->to || m->header.type != loss->type || loss->count == 0)
        return true;
    loss->count--;
    return false;
}

/* Nothing is written after S, and the replica has it all. */
static void the_primary_stops_and_the_replica_takes_over(void **state)
{
    (void)state;
    failover(3, "", "+OK\r\n");
    test_net_run(net, 3000);
    assert_true(trace_is(trace, NULL,
                         "[   0] 3 > 0: mfstart\n"
                         "[   0] 3 reserves +1\n"
                         "[   0] 0 pauses\n"
                         "[   1] 0 shows paused\n"
                         "[   2] 3 > 0 1 2 4 5: auth-req +1 force\n"
                         "[   2] 0 persists vote +1\n"
                         "[   2] 1 persists vote +1\n"
                         "[   2] 2 persists vote +1\n"
                         "[   4] 0 > 3: auth-ack +1\n"
                         "[   4] 1 > 3: auth-ack +1\n"
                         "[   4] 2 > 3: auth-ack +1\n"
                         "[   4] 3 wins\n"
                         "[   4] 3 follows nobody\n"
                         "[   4] 3 persists vote +1\n"
                         "[   6] 3 shows master +1\n"
                         "[   7] 0 unpauses\n"
                         "[   9] 0 follows 3\n"
                         "[   9] 0 shows replica of 3\n"));
    assert_int_equal(owner(), 3);
    assert_true(test_net_all_ok(net));
    /* And back. */
    failover(0, "", "+OK\r\n");
    test_net_run(net, 2500);
    assert_int_equal(owner(), 0);
}

/* The replica is behind: it asks for votes when it has all that the primary had at the stop. */
static void the_replica_catches_up_first(void **state)
{
    (void)state;
    test_net_replica_stop(net, 3, true);
    test_net_write(net, 0, 1000);
    test_net_run(net, 300);
    trace_begin(trace);
    failover(3, "", "+OK\r\n");
    test_net_run(net, 2000);
    uint64_t final = test_net_offset(net, 0);
    assert_int_equal(started(3), 0);
    test_net_run(net, 1000);
    assert_int_equal(test_net_offset(net, 0), final);
    test_net_replica_stop(net, 3, false);
    test_net_run(net, 1000);
    assert_int_equal(owner(), 3);
    assert_true(test_net_offset(net, 3) >= final);
    assert_int_equal(started(3), 1);
}

static void both_give_up_after_5_s(void **state)
{
    (void)state;
    test_net_replica_stop(net, 3, true);
    test_net_write(net, 0, 1000);
    test_net_run(net, 300);
    trace_begin(trace);
    failover(3, "", "+OK\r\n");
    test_net_run(net, 8000);
    assert_true(trace_is(trace, NULL,
                         "[   0] 3 > 0: mfstart\n"
                         "[   0] 3 reserves +1\n"
                         "[   0] 0 pauses\n"
                         "[   1] 0 shows paused\n"
                         "[5000] 3 times out\n"
                         "[5000] 0 times out\n"
                         "[5000] 0 unpauses\n"));
    /* The next one is as the first. */
    test_net_replica_stop(net, 3, false);
    test_net_run(net, 300);
    failover(3, "", "+OK\r\n");
    test_net_run(net, 2000);
    assert_int_equal(owner(), 3);
}

/* The replica has asked, so it may have won: the primary waits for it, 10 s at most. A vote that
 * comes after the replica gave up is worth nothing. */
static void an_election_that_is_not_decided(void **state)
{
    (void)state;
    test_net_disk(net, 1, 7000, true);
    test_net_disk(net, 2, 7000, true);
    failover(3, "", "+OK\r\n");
    test_net_run(net, 13000);
    assert_true(trace_is(trace, "0",
                         "[   0] 0 pauses\n"
                         "[   1] 0 shows paused\n"
                         "[   2] 0 persists vote +1\n"
                         "[   4] 0 > 3: auth-ack +1\n"
                         "[10000] 0 times out\n"
                         "[10000] 0 unpauses\n"));
    assert_int_equal(started(3), 1);
    assert_int_equal(cluster_counts_get(test_net_node(net, 1))->votes_given, 1);
    assert_int_equal(owner(), 0);
}

static void a_lost_mfstart_is_sent_again(void **state)
{
    (void)state;
    struct loss loss = {3, 0, BUS_MFSTART, 1};
    trace_filter(trace, lose, &loss);
    failover(3, "", "+OK\r\n");
    test_net_run(net, 1000);
    assert_int_equal(loss.count, 0);
    assert_int_equal(owner(), 3);
}

static void force_asks_at_once(void **state)
{
    (void)state;
    test_net_crash(net, 0);
    test_net_run(net, 100); /* nobody suspects it yet */
    trace_begin(trace);
    failover(3, "force", "+OK\r\n");
    test_net_run(net, 800);
    assert_true(trace_is(trace, NULL,
                         "[   0] 3 reserves +1\n"
                         "[   2] 3 > 1 2 4 5: auth-req +1 force\n"
                         "[   2] 1 persists vote +1\n"
                         "[   2] 2 persists vote +1\n"
                         "[   4] 1 > 3: auth-ack +1\n"
                         "[   4] 2 > 3: auth-ack +1\n"
                         "[   4] 3 wins\n"
                         "[   4] 3 follows nobody\n"
                         "[   4] 3 persists vote +1\n"
                         "[   6] 3 shows master +1\n"));
    test_net_run(net, 2000);
    assert_int_equal(owner(), 3);
}

/* FORCE needs votes, TAKEOVER none. */
static void takeover_without_a_majority(void **state)
{
    (void)state;
    test_net_crash(net, 0);
    test_net_crash(net, 1);
    test_net_run(net, 2000);
    failover(3, "force", "+OK\r\n");
    test_net_run(net, 6000);
    assert_int_equal(owner(), 0);
    trace_begin(trace);
    failover(3, "takeover", "+OK\r\n");
    assert_true(trace_is(trace, "3",
                         "[   0] 3 takes over\n"
                         "[   0] 3 follows nobody\n"
                         "[   2] 3 shows master +1\n"));
    /* Which makes a majority again: the other shard needs no command. */
    test_net_run(net, 5000);
    assert_int_equal(owner(), 3);
    assert_int_equal(test_net_owner(net, 3, 16384 / 3), 4);
    assert_true(test_net_all_ok(net));
}

/* Both sides of a partition take the same epoch without asking: the smaller id moves on. */
static void takeovers_collide(void **state)
{
    (void)state;
    test_net_partition(net, 1 << 3);
    test_net_run(net, 2000);
    trace_begin(trace);
    failover(3, "takeover", "+OK\r\n");
    failover(4, "takeover", "+OK\r\n");
    test_net_run(net, 2000);
    struct cluster *a = test_net_node(net, 3), *b = test_net_node(net, 4);
    assert_int_equal(cluster_config_epoch(a), cluster_config_epoch(b));
    uint64_t epoch = cluster_config_epoch(a);
    bool a_moves = strcmp(cluster_self_id(a), cluster_self_id(b)) < 0;
    test_net_partition(net, 0);
    test_net_run(net, 5000);
    assert_true(test_net_agrees(net));
    assert_int_equal(test_net_owner(net, 5, 0), 3);
    assert_int_equal(test_net_owner(net, 5, 16384 / 3), 4);
    assert_int_equal(cluster_config_epoch(a_moves ? b : a), epoch);
    assert_int_equal(cluster_config_epoch(a_moves ? a : b), epoch + 1);
}

static void what_is_refused(void **state)
{
    (void)state;
    failover(0, "", "-ERR You should send CLUSTER FAILOVER to a replica\r\n");
    failover(0, "takeover", "-ERR You should send CLUSTER FAILOVER to a replica\r\n");
    failover(3, "now", "-ERR syntax error\r\n");
    test_net_unsynced(net, 3, true);
    test_net_run(net, 200);
    failover(3, "force",
             "-ERR This replica has no data of its master yet, please use CLUSTER FAILOVER "
             "TAKEOVER\r\n");
    test_net_unsynced(net, 3, false);
    struct cluster_config config = *test_net_config(net, 3);
    config.replica_no_failover = true; /* only not by itself */
    test_net_configure(net, 3, &config);
    test_net_crash(net, 0);
    test_net_run(net, 3000);
    failover(3, "", "-ERR Master is down or failed, please use CLUSTER FAILOVER FORCE\r\n");
    assert_int_equal(started(3), 0);
    failover(3, "force", "+OK\r\n");
    test_net_run(net, 1000);
    assert_int_equal(owner(), 3);
}

static void mfstart_as(unsigned from, unsigned to)
{
    uint8_t frame[BUS_SIZE_PLAIN];
    static const uint8_t slots[BUS_SLOTS_SIZE];
    struct cluster *c = test_net_node(net, from);
    struct bus_header h = {.type = BUS_MFSTART,
                           .port = 6379,
                           .cport = 16379,
                           .flags = BUS_NODE_SLAVE,
                           .sender = (const uint8_t *)cluster_self_id(c),
                           .replica_of = (const uint8_t *)cluster_primary_id(c),
                           .slots = slots};
    struct bus_writer w;
    bus_write_begin(&w, frame, sizeof(frame), &h);
    assert_true(test_net_inject(net, from, to, slice_from(frame, bus_write_end(&w))));
    test_net_run(net, 50);
}

/* Only our own replicas may stop us, and for 10 s at most, however often they say so. */
static void mfstart_is_not_believed_from_everyone(void **state)
{
    (void)state;
    mfstart_as(4, 0);
    mfstart_as(1, 0);
    assert_true(trace_is(trace, NULL, ""));
    trace_begin(trace);
    for (unsigned i = 0; i < 195; i++)
        mfstart_as(3, 0);
    assert_true(trace_is(trace, "0",
                         "[   0] 0 pauses\n"
                         "[   1] 0 shows paused\n"));
    trace_begin(trace);
    test_net_run(net, 500);
    assert_true(trace_is(trace, "0",
                         "[   0] 0 times out\n"
                         "[   0] 0 unpauses\n"));
}

/* The primary dies while it is stopped: the usual election takes over. */
static void the_primary_dies_meanwhile(void **state)
{
    (void)state;
    test_net_replica_stop(net, 3, true);
    test_net_write(net, 0, 1000);
    test_net_run(net, 300);
    failover(3, "", "+OK\r\n");
    test_net_run(net, 500);
    test_net_crash(net, 0);
    test_net_run(net, 2500);
    assert_int_equal(owner(), 3);
    test_net_run(net, 5000);
    assert_int_equal(started(3), 1);
}

/* A command while an automatic election has no answer: asks anew, with FORCEACK. */
static void force_during_an_election(void **state)
{
    (void)state;
    test_net_disk(net, 1, 2, false);
    test_net_crash(net, 0);
    test_net_run(net, 1200);
    assert_int_equal(started(3), 1);
    trace_begin(trace);
    failover(3, "force", "+OK\r\n");
    test_net_run(net, 150);
    assert_true(trace_is(trace, "3",
                         "[   0] 3 reserves +1\n"
                         "[   2] 3 > 1 2 4 5: fail 0, auth-req +1 force\n"));
    test_net_run(net, 7000);
    assert_int_equal(cluster_is_primary(test_net_node(net, 3)), 0);
    test_net_disk(net, 1, 2, true);
    test_net_run(net, 5000);
    assert_int_equal(owner(), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_primary_stops_and_the_replica_takes_over, begin, end),
        cmocka_unit_test_setup_teardown(the_replica_catches_up_first, begin, end),
        cmocka_unit_test_setup_teardown(both_give_up_after_5_s, begin, end),
        cmocka_unit_test_setup_teardown(an_election_that_is_not_decided, begin, end),
        cmocka_unit_test_setup_teardown(a_lost_mfstart_is_sent_again, begin, end),
        cmocka_unit_test_setup_teardown(force_asks_at_once, begin, end),
        cmocka_unit_test_setup_teardown(takeover_without_a_majority, begin, end),
        cmocka_unit_test_setup_teardown(takeovers_collide, begin, end),
        cmocka_unit_test_setup_teardown(what_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(mfstart_is_not_believed_from_everyone, begin, end),
        cmocka_unit_test_setup_teardown(the_primary_dies_meanwhile, begin, end),
        cmocka_unit_test_setup_teardown(force_during_an_election, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
