/* What a voter refuses, rule by rule: requests are made by hand and put on a replica's link to it.
 * Voter 1 of the primaries 0, 1, 2; replicas 3 and 6 of 0, 4 of 1, 5 of 2; 0 is dead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "cluster_test_trace.h"

#define VOTER 1

static struct test_net *net;
static struct test_trace *trace;

/* A request as it should be, for a test to spoil. */
struct request {
    unsigned from;
    uint64_t epoch, config_epoch, offset;
    unsigned primary, mflags;
    uint8_t slots[BUS_SLOTS_SIZE];
};

static void fail_primary(void)
{
    test_net_crash(net, 0);
    test_net_run(net, 1200);
    assert_true(test_net_flags(net, VOTER, 0) & BUS_NODE_FAIL);
}

static int begin(void **state)
{
    (void)state;
    net = test_net_new(7, 13);
    trace = trace_new(net, 7);
    test_net_join(net);
    test_net_spread(net, 3);
    for (unsigned i = 3; i < 7; i++) { /* nobody asks but the test */
        struct cluster_config config = *test_net_config(net, i);
        config.replica_no_failover = true;
        test_net_configure(net, i, &config);
    }
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

static struct request request_of(unsigned from)
{
    struct cluster *c = test_net_node(net, from);
    struct request r = {.from = from,
                        .epoch = cluster_current_epoch(test_net_node(net, VOTER)) + 1,
                        .config_epoch = cluster_config_epoch(c),
                        .offset = test_net_offset(net, from),
                        .primary = from == 6 ? 0 : from - 3};
    for (unsigned slot = 0; slot < 16384; slot++)
        if (test_net_owner(net, from, slot) == (int)r.primary)
            bus_slot_set(r.slots, slot, true);
    return r;
}

static void ask(const struct request *r)
{
    uint8_t frame[BUS_SIZE_PLAIN];
    const char *primary_id = cluster_primary_id(test_net_node(net, 3 + r->primary));
    struct bus_header h = {.type = BUS_AUTH_REQUEST,
                           .port = 6379,
                           .cport = 16379,
                           .flags = BUS_NODE_SLAVE,
                           .mflags = (uint8_t)r->mflags,
                           .current_epoch = r->epoch,
                           .config_epoch = r->config_epoch,
                           .offset = r->offset,
                           .sender = (const uint8_t *)cluster_self_id(test_net_node(net, r->from)),
                           .replica_of = (const uint8_t *)primary_id,
                           .slots = r->slots};
    struct bus_writer w;
    bus_write_begin(&w, frame, sizeof(frame), &h);
    assert_true(test_net_inject(net, r->from, VOTER, slice_from(frame, bus_write_end(&w))));
    test_net_run(net, 10);
}

/* Its answer, and that only a vote changes what it has voted. */
static void answers(const struct request *r, const char *lines)
{
    uint64_t given = cluster_counts_get(test_net_node(net, VOTER))->votes_given;
    trace_begin(trace);
    ask(r);
    uint64_t more = cluster_counts_get(test_net_node(net, VOTER))->votes_given - given;
    assert_true(trace_is(trace, "1", lines));
    assert_int_equal(more, strstr(lines, "persists vote") != NULL);
}

static void a_good_request_gets_the_vote(void **state)
{
    (void)state;
    fail_primary();
    struct request r = request_of(3);
    answers(&r, "[   0] 1 persists vote +1\n"
                "[   2] 1 > 3: auth-ack +1\n");
    /* Again the same: the same vote, not another. */
    answers(&r, "[   0] 1 > 3: auth-ack +0\n");
}

static void one_vote_in_an_epoch(void **state)
{
    (void)state;
    fail_primary();
    struct request first = request_of(3), second = request_of(6);
    answers(&first, "[   0] 1 persists vote +1\n"
                    "[   2] 1 > 3: auth-ack +1\n");
    answers(&second, "[   0] 1 denies 6: already voted in this epoch\n");
    second = request_of(5); /* of another shard */
    second.epoch = first.epoch;
    second.mflags = BUS_MFLAG_FORCEACK;
    answers(&second, "[   0] 1 denies 5: already voted in this epoch\n");
}

static void an_old_epoch(void **state)
{
    (void)state;
    fail_primary();
    struct request r = request_of(3);
    r.epoch -= 2;
    answers(&r, "[   0] 1 denies 3: its epoch is older than ours\n");
}

static void a_primary_that_is_up(void **state)
{
    (void)state;
    struct request r = request_of(3);
    answers(&r, "[   0] 1 denies 3: its master is up\n");
    r.epoch++;
    r.mflags = BUS_MFLAG_FORCEACK;
    answers(&r, "[   0] 1 persists vote +1\n"
                "[   2] 1 > 3: auth-ack +1\n");
}

static void another_primary_than_we_know(void **state)
{
    (void)state;
    fail_primary();
    struct request r = request_of(3);
    r.primary = 2;
    answers(&r, "[   0] 1 denies 3: its master is not known\n");
}

static void two_timeouts_between_votes_for_a_shard(void **state)
{
    (void)state;
    fail_primary();
    struct request r = request_of(3);
    answers(&r, "[   0] 1 persists vote +1\n"
                "[   2] 1 > 3: auth-ack +1\n");
    test_net_run(net, 1950);
    r = request_of(6);
    answers(&r, "[   0] 1 denies 6: voted for a replica of its master not long ago\n");
    test_net_run(net, 50);
    r.epoch++;
    answers(&r, "[   0] 1 persists vote +1\n"
                "[   2] 1 > 6: auth-ack +1\n");
}

/* Other shards do not wait. */
static void another_shard_at_once(void **state)
{
    (void)state;
    fail_primary();
    struct request r = request_of(3);
    answers(&r, "[   0] 1 persists vote +1\n"
                "[   2] 1 > 3: auth-ack +1\n");
    r = request_of(5);
    r.mflags = BUS_MFLAG_FORCEACK;
    answers(&r, "[   0] 1 persists vote +1\n"
                "[   2] 1 > 5: auth-ack +1\n");
}

static void slots_that_have_a_newer_owner(void **state)
{
    (void)state;
    fail_primary();
    struct request r = request_of(3);
    r.config_epoch--;
    answers(&r, "[   0] 1 denies 3: it claims slots by an older epoch than their owner's\n");
    r = request_of(3);
    r.config_epoch = 0;
    memset(r.slots, 0, sizeof(r.slots));
    bus_slot_set(r.slots, 16383, true); /* one slot of 2 */
    answers(&r, "[   0] 1 denies 3: it claims slots by an older epoch than their owner's\n");
}

static void an_empty_replica_beside_one_with_data(void **state)
{
    (void)state;
    struct cluster_config config = *test_net_config(net, 6);
    config.replica_no_failover = false;
    test_net_configure(net, 6, &config);
    test_net_disk(net, 6, 2, false); /* it stands, but cannot ask */
    test_net_run(net, 1000);
    fail_primary();
    struct request r = request_of(3);
    r.offset = 0;
    answers(&r, "[   0] 1 denies 3: it has no data, another replica has\n");
    test_net_crash(net, 6);
    test_net_run(net, 2000);
    r.epoch++;
    answers(&r, "[   0] 1 persists vote +1\n"
                "[   2] 1 > 3: auth-ack +1\n");
}

static void nobody_votes_without_slots(void **state)
{
    (void)state;
    fail_primary();
    assert_string_equal(test_net_command(net, VOTER, "flushslots"), "+OK\r\n");
    struct request r = request_of(3);
    answers(&r, "");
}

/* A disk that takes 100 ms: the vote waits for it, the request again adds nothing. */
static void the_vote_waits_for_the_disk(void **state)
{
    (void)state;
    test_net_disk(net, VOTER, 100, true);
    fail_primary();
    test_net_run(net, 300);
    struct request r = request_of(3);
    trace_begin(trace);
    ask(&r);
    ask(&r);
    ask(&r);
    test_net_run(net, 300);
    assert_true(trace_is(trace, "1",
                         "[   0] 1 persists vote +1\n"
                         "[ 100] 1 > 3: auth-ack +1\n"));
}

/* It dies with its link; the request on the new one gets the same. */
static void a_held_vote_dies_with_its_link(void **state)
{
    (void)state;
    test_net_disk(net, VOTER, 100, true);
    fail_primary();
    test_net_run(net, 300);
    struct request r = request_of(3);
    trace_begin(trace);
    ask(&r);
    test_net_crash(net, 3);
    test_net_run(net, 20);
    test_net_restart(net, 3);
    test_net_run(net, 500);
    assert_true(trace_is(trace, "1", "[   0] 1 persists vote +1\n"));
    trace_begin(trace);
    ask(&r);
    assert_true(trace_is(trace, "1", "[   0] 1 > 3: auth-ack +0\n"));
}

static bool is_linked(struct test_net *n, unsigned i, unsigned j)
{
    struct cluster_peer peer;
    return cluster_peer_get(test_net_node(n, i), cluster_self_id(test_net_node(n, j)), &peer) &&
           peer.linked;
}

static bool asker_is_linked(struct test_net *n)
{
    return is_linked(n, 3, VOTER) && is_linked(n, VOTER, 3);
}

/* What it owned may be another's by now, which votes too. */
static void who_was_away_does_not_vote(void **state)
{
    (void)state;
    fail_primary();
    struct request r = request_of(3);
    test_net_partition(net, 1 << VOTER);
    test_net_run(net, 1500);
    test_net_partition(net, 0);
    assert_true(test_net_until(net, 3000, asker_is_linked) != UINT64_MAX);
    test_net_run(net, 50);
    r.epoch = cluster_current_epoch(test_net_node(net, VOTER)) + 1;
    answers(&r, "[   0] 1 denies 3: we may have a successor that we have not heard of\n");
    test_net_run(net, 1500);
    answers(&r, "[   0] 1 persists vote +0\n"
                "[   2] 1 > 3: auth-ack +0\n");
}

static void who_has_just_started_does_not_vote(void **state)
{
    (void)state;
    fail_primary();
    test_net_crash(net, VOTER);
    test_net_restart(net, VOTER);
    test_net_run(net, 1500);
    struct request r = request_of(3);
    answers(&r, "[   0] 1 denies 3: we may have a successor that we have not heard of\n");
    test_net_run(net, 1000);
    answers(&r, "[   0] 1 persists vote +0\n"
                "[   2] 1 > 3: auth-ack +0\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_good_request_gets_the_vote, begin, end),
        cmocka_unit_test_setup_teardown(one_vote_in_an_epoch, begin, end),
        cmocka_unit_test_setup_teardown(an_old_epoch, begin, end),
        cmocka_unit_test_setup_teardown(a_primary_that_is_up, begin, end),
        cmocka_unit_test_setup_teardown(another_primary_than_we_know, begin, end),
        cmocka_unit_test_setup_teardown(two_timeouts_between_votes_for_a_shard, begin, end),
        cmocka_unit_test_setup_teardown(another_shard_at_once, begin, end),
        cmocka_unit_test_setup_teardown(slots_that_have_a_newer_owner, begin, end),
        cmocka_unit_test_setup_teardown(an_empty_replica_beside_one_with_data, begin, end),
        cmocka_unit_test_setup_teardown(nobody_votes_without_slots, begin, end),
        cmocka_unit_test_setup_teardown(the_vote_waits_for_the_disk, begin, end),
        cmocka_unit_test_setup_teardown(a_held_vote_dies_with_its_link, begin, end),
        cmocka_unit_test_setup_teardown(who_was_away_does_not_vote, begin, end),
        cmocka_unit_test_setup_teardown(who_has_just_started_does_not_vote, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
