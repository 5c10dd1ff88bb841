/* Elections in trouble: lost and late frames, partitions, restarts, disks that fail, forged votes.
 */
#include "cluster_test_election.h"

/* Loses what the rule says, and its link. */
struct loss {
    unsigned from, to; /* to: or 99, everybody */
    int type;          /* -1: any */
    unsigned count;    /* so many frames */
    uint64_t until_ms;
};

static bool lose(void *ctx, unsigned from, unsigned to, const struct bus_message *m)
{
    struct loss *loss = ctx;
    if (from != loss->from || (to != loss->to && loss->to != 99) ||
        (loss->type >= 0 && m->header.type != loss->type) || loss->count == 0 ||
        test_net_now_ms(net) >= loss->until_ms)
        return true;
    loss->count--;
    return false;
}

/* The same vote, the same frame. */
static void a_lost_ack_is_asked_for_again(void **state)
{
    (void)state;
    begin(3, 6);
    struct loss loss = {1, 3, BUS_AUTH_ACK, 1, UINT64_MAX};
    trace_filter(trace, lose, &loss);
    trace_begin(trace);
    test_net_crash(net, 0);
    test_net_run(net, 3000);
    assert_true(trace_is(trace, "123",
                         "[   0] 3 reserves +1\n"
                         "[   2] 3 > 1 2 4 5: fail 0, auth-req +1\n"
                         "[   2] 1 persists vote +1\n"
                         "[   2] 2 persists vote +1\n"
                         "[   4] 1 > 3: auth-ack +1\n"
                         "[   4] 2 > 3: auth-ack +1\n"
                         "[ 202] 3 > 1: fail 0, auth-req +1\n"
                         "[ 202] 1 > 3: auth-ack +1\n"
                         "[ 202] 3 wins\n"
                         "[ 202] 3 follows nobody\n"
                         "[ 202] 3 persists vote +1\n"
                         "[ 204] 3 shows master +1\n"));
    assert_int_equal(cluster_counts_get(test_net_node(net, 1))->votes_given, 1);
}

/* It asks on the new link at once, not with the next round. */
static void a_lost_request_is_sent_again(void **state)
{
    (void)state;
    begin(3, 6);
    struct loss loss = {3, 1, BUS_AUTH_REQUEST, 1, UINT64_MAX};
    trace_filter(trace, lose, &loss);
    trace_begin(trace);
    test_net_crash(net, 0);
    assert_true(test_net_until(net, 5000, writes_again) < 1200);
    assert_int_equal(loss.count, 0);
    assert_int_equal(counts(3, false), 1);
}

/* The disk of voter 2 takes 2.5 s: its vote comes when the next election is under way. */
static void a_late_vote_does_not_count(void **state)
{
    (void)state;
    begin(3, 6);
    test_net_disk(net, 2, 2500, true);
    trace_begin(trace);
    test_net_crash(net, 0);
    test_net_run(net, 3400);
    test_net_disk(net, 2, 1000, true);
    test_net_run(net, 3000);
    assert_true(trace_is(trace, "2",
                         "[   0] 2 persists vote +1\n"
                         "[2500] 2 > 3: auth-ack +1\n"
                         "[2500] 2 persists vote +2\n"
                         "[3500] 2 > 3: auth-ack +2\n"));
    assert_int_equal(counts(3, true), 1);
    assert_int_equal(cluster_config_epoch(test_net_node(net, 3)), trace_epoch(trace) + 2);
}

/* Asked in both votes of the epoch; the loser asks in the next one, of those that are left. */
static void two_ask_in_the_same_epoch(void **state)
{
    (void)state;
    begin(5, 10);
    name_shards(5);
    unsigned first = 5 + smaller(0, 1);
    struct loss loss = {first, 99, -1, UINT32_MAX, 0};
    trace_filter(trace, lose, &loss);
    trace_begin(trace);
    test_net_crash(net, 0);
    test_net_crash(net, 1);
    test_net_run(net, 990);
    loss.until_ms = test_net_now_ms(net) + 150; /* nobody hears a ask, so b does not know */
    /* b wins in the epoch that a has asked in, a with its second round in the next one. */
    test_net_run(net, 140);
    assert_int_equal(counts(11 - first, true), 1);
    assert_int_equal(counts(first, false), 1);
    test_net_run(net, 600);
    assert_int_equal(counts(first, true), 1);
    assert_int_equal(cluster_config_epoch(test_net_node(net, first)), trace_epoch(trace) + 2);
    assert_true(test_net_all_ok(net));
}

/* The primary took a new epoch and died before its replica heard: the voters' refusal tells it. */
static void an_epoch_that_the_candidate_never_heard(void **state)
{
    (void)state;
    begin(3, 6);
    struct loss loss = {0, 3, -1, UINT32_MAX, UINT64_MAX};
    trace_filter(trace, lose, &loss);
    test_net_command(net, 0, "bumpepoch");
    test_net_run(net, 3);
    trace_begin(trace);
    test_net_crash(net, 0);
    test_net_run(net, 3000);
    assert_true(trace_is(trace, "123",
                         "[   0] 3 reserves +1\n"
                         "[   2] 3 > 1 2 4 5: fail 0, auth-req +1\n"
                         "[   2] 1 denies 3: it claims slots by an older epoch than their owner's\n"
                         "[   2] 2 denies 3: it claims slots by an older epoch than their owner's\n"
                         "[ 204] 3 > 1 2 4 5: fail 0, auth-req +2\n"
                         "[ 204] 1 persists vote +2\n"
                         "[ 204] 2 persists vote +2\n"
                         "[ 206] 1 > 3: auth-ack +2\n"
                         "[ 206] 2 > 3: auth-ack +2\n"
                         "[ 206] 3 wins\n"
                         "[ 206] 3 follows nobody\n"
                         "[ 206] 3 persists vote +2\n"
                         "[ 208] 3 shows master +2\n"));
}

/* Half of the votes is no majority. */
static void a_partition_and_its_end(void **state)
{
    (void)state;
    begin(4, 8);
    test_net_disk(net, 1, 2, false);
    trace_begin(trace);
    test_net_crash(net, 0);
    test_net_run(net, 1020);
    test_net_partition(net, 1 << 1); /* of the voters 1, 2 and 3 two are left */
    test_net_disk(net, 1, 2, true);
    test_net_run(net, 5000);
    assert_true(counts(4, false) >= 1);
    assert_int_equal(test_net_owner(net, 4, 0), 0);
    assert_int_equal(counts(4, true), 0);
    test_net_partition(net, 0);
    test_net_run(net, 5000);
    assert_int_equal(owner_of(0, 4), 4);
    assert_int_equal(owner_of(1, 4), 1);
    assert_true(test_net_all_ok(net));
    assert_int_equal(counts(4, true), 1);
}

static void the_primary_in_the_minority_follows(void **state)
{
    (void)state;
    begin(3, 6);
    trace_begin(trace);
    test_net_partition(net, 1 << 0);
    test_net_run(net, 5000);
    assert_false(cluster_state_ok(test_net_node(net, 0)));
    assert_true(trace_is(trace, "03",
                         "[   0] 3 reserves +1\n"
                         "[   2] 3 > 1 2 4 5: fail 0, auth-req +1\n"
                         "[   4] 3 wins\n"
                         "[   4] 3 follows nobody\n"
                         "[   4] 3 persists vote +1\n"
                         "[   6] 3 shows master +1\n"));
    test_net_partition(net, 0);
    test_net_run(net, 3000);
    assert_string_equal(cluster_primary_id(test_net_node(net, 0)),
                        cluster_self_id(test_net_node(net, 3)));
    assert_true(test_net_all_ok(net));
}

static void a_replica_in_the_minority_does_not_ask(void **state)
{
    (void)state;
    begin(3, 6);
    trace_begin(trace);
    test_net_partition(net, 1 << 3);
    test_net_crash(net, 0);
    test_net_run(net, 5000);
    assert_true(trace_is(trace, "3", "[   0] 3 reserves +1\n"));
    assert_int_equal(counts(3, false), 0);
    trace_begin(trace);
    test_net_partition(net, 0);
    test_net_run(net, 5000);
    assert_int_equal(owner_of(0, 3), 3);
}

/* The voters' disks are stuck, so nothing is decided when the primary is back. */
static void the_primary_comes_back(void **state)
{
    (void)state;
    begin(3, 6);
    test_net_disk(net, 1, 1, false);
    test_net_disk(net, 2, 1, false);
    trace_begin(trace);
    test_net_pause(net, 0, 1500);
    test_net_run(net, 2900);
    /* FAIL only while it is silent to us: the requests after its return do not fail it again. */
    assert_true(trace_is(trace, "3",
                         "[   0] 3 reserves +1\n"
                         "[   2] 3 > 1 2 4 5: fail 0, auth-req +1\n"
                         "[ 202] 3 > 1 2: fail 0, auth-req +1\n"
                         "[ 402] 3 > 1 2: fail 0, auth-req +1\n"
                         "[ 602] 3 > 1 2: auth-req +1\n"
                         "[ 802] 3 > 1 2: auth-req +1\n"
                         "[1002] 3 > 1 2: auth-req +1\n"
                         "[1202] 3 > 1 2: auth-req +1\n"
                         "[1402] 3 > 1 2: auth-req +1\n"
                         "[1602] 3 > 1 2: auth-req +1\n"
                         "[1802] 3 > 1 2: auth-req +1\n"));
    test_net_run(net, 5000);
    uint64_t asked = counts(3, false);
    assert_int_equal(test_net_flags(net, 3, 0) & (BUS_NODE_PFAIL | BUS_NODE_FAIL), 0);
    test_net_disk(net, 1, 2, true);
    test_net_disk(net, 2, 2, true);
    test_net_run(net, 5000);
    assert_int_equal(owner_of(0, 3), 0);
    assert_int_equal(counts(3, false), asked);
    /* And nothing of it is left. */
    test_net_crash(net, 0);
    assert_true(test_net_until(net, 5000, writes_again) <= 1300);
}

/* ---- restarts ---- */

static void a_candidate_restarts_and_asks_in_a_new_epoch(void **state)
{
    (void)state;
    begin(3, 6);
    test_net_disk(net, 1, 60000, true);
    trace_begin(trace);
    test_net_crash(net, 0);
    test_net_run(net, 1100);
    assert_int_equal(counts(3, false), 1);
    test_net_crash(net, 3);
    test_net_run(net, 50);
    test_net_restart(net, 3);
    test_net_run(net, 1500);
    assert_true(cluster_current_epoch(test_net_node(net, 3)) >= trace_epoch(trace) + 2);
    assert_int_equal(counts(3, false), 1);
    test_net_crash(net, 1);
    test_net_disk(net, 1, 2, true);
    test_net_restart(net, 1);
    test_net_run(net, 6000);
    assert_int_equal(owner_of(0, 3), 3);
}

/* A frame as the replica from would ask with. */
static void ask_as(unsigned from, unsigned to, uint64_t epoch, unsigned primary)
{
    uint8_t frame[BUS_SIZE_PLAIN], slots[BUS_SLOTS_SIZE] = {0};
    struct cluster *c = test_net_node(net, from);
    const char *primary_id = cluster_primary_id(c);
    assert_non_null(primary_id);
    for (unsigned slot = 0; slot < 16384; slot++)
        if (test_net_owner(net, to, slot) == (int)primary)
            bus_slot_set(slots, slot, true);
    struct bus_header h = {.type = BUS_AUTH_REQUEST,
                           .port = 6379,
                           .cport = 16379,
                           .flags = BUS_NODE_SLAVE,
                           .current_epoch = epoch,
                           .config_epoch = cluster_config_epoch(c),
                           .offset = test_net_offset(net, from),
                           .sender = (const uint8_t *)cluster_self_id(c),
                           .replica_of = (const uint8_t *)primary_id,
                           .slots = slots};
    struct bus_writer w;
    bus_write_begin(&w, frame, sizeof(frame), &h);
    size_t len = bus_write_end(&w);
    assert_true(test_net_inject(net, from, to, slice_from(frame, len)));
    test_net_run(net, 10);
}

static bool voted(struct test_net *n)
{
    return cluster_counts_get(test_net_node(n, 1))->votes_given > 0;
}

/* Voter 1 restarts after its vote is durable; a sibling asks it in the same epoch. */
static void a_vote_outlives_a_restart(void **state)
{
    (void)state;
    begin(3, 7);
    struct loss loss = {2, 99, BUS_AUTH_ACK, UINT32_MAX, UINT64_MAX}; /* nobody wins */
    trace_filter(trace, lose, &loss);
    test_net_disk(net, smaller(3, 6), 60000, true); /* its sibling asks */
    unsigned asked = 9 - smaller(3, 6), other = smaller(3, 6);
    trace_begin(trace);
    test_net_crash(net, 0);
    assert_true(test_net_until(net, 5000, voted) != UINT64_MAX);
    uint64_t epoch = cluster_current_epoch(test_net_node(net, asked));
    test_net_run(net, 5);
    test_net_crash(net, 1);
    test_net_crash(net, asked);
    test_net_restart(net, 1);
    test_net_run(net, 2500); /* until the primary is FAIL to it again, and it may vote */
    trace_begin(trace);
    ask_as(other, 1, epoch, 0);
    assert_int_equal(cluster_counts_get(test_net_node(net, 1))->votes_given, 0);
    ask_as(other, 1, epoch + 1, 0);
    assert_int_equal(cluster_counts_get(test_net_node(net, 1))->votes_given, 1);
}

/* It restarts before: the ACK never left, and the vote may be given to another. */
static void a_vote_that_was_not_durable_was_not_told(void **state)
{
    (void)state;
    begin(3, 7);
    struct loss loss = {2, 99, BUS_AUTH_ACK, UINT32_MAX, UINT64_MAX};
    trace_filter(trace, lose, &loss);
    unsigned asked = 9 - smaller(3, 6), other = smaller(3, 6);
    test_net_disk(net, other, 60000, true);
    test_net_disk(net, 1, 50, true);
    trace_begin(trace);
    test_net_crash(net, 0);
    assert_true(test_net_until(net, 5000, voted) != UINT64_MAX);
    uint64_t epoch = cluster_current_epoch(test_net_node(net, asked));
    test_net_run(net, 5);
    test_net_crash(net, 1);
    test_net_crash(net, asked);
    test_net_run(net, 100);
    assert_true(trace_is(trace, "1", "[   0] 1 persists vote +1\n"));
    test_net_disk(net, 1, 2, true);
    test_net_restart(net, 1);
    test_net_run(net, 2500); /* until the primary is FAIL to it again, and it may vote */
    ask_as(other, 1, epoch, 0);
    assert_int_equal(cluster_counts_get(test_net_node(net, 1))->votes_given, 1);
}

/* A disk that fails gives no vote; when it works again, the vote that was decided is told. */
static void a_voter_without_a_disk_is_silent(void **state)
{
    (void)state;
    begin(3, 6);
    test_net_disk(net, 1, 2, false);
    trace_begin(trace);
    test_net_crash(net, 0);
    test_net_run(net, 2000);
    assert_int_equal(counts(3, false), 1);
    assert_int_equal(counts(3, true), 0);
    test_net_disk(net, 1, 2, true);
    test_net_run(net, 3000);
    assert_int_equal(owner_of(0, 3), 3);
    assert_int_equal(cluster_config_epoch(test_net_node(net, 3)), trace_epoch(trace) + 1);
}

/* Nor does a candidate ask in an epoch that it would forget. */
static void a_candidate_without_a_disk_does_not_ask(void **state)
{
    (void)state;
    begin(3, 6);
    test_net_disk(net, 3, 2, false);
    trace_begin(trace);
    test_net_crash(net, 0);
    test_net_run(net, 5000);
    assert_int_equal(counts(3, false), 0);
    test_net_disk(net, 3, 2, true);
    test_net_run(net, 3000);
    assert_int_equal(owner_of(0, 3), 3);
}

/* ---- forged votes ---- */

static void ack_as(unsigned from, unsigned to, uint64_t epoch)
{
    uint8_t frame[BUS_SIZE_PLAIN], slots[BUS_SLOTS_SIZE] = {0};
    struct cluster *c = test_net_node(net, from);
    const char *primary_id = cluster_primary_id(c);
    struct bus_header h = {.type = BUS_AUTH_ACK,
                           .port = 6379,
                           .cport = 16379,
                           .flags = primary_id ? BUS_NODE_SLAVE : BUS_NODE_MASTER,
                           .current_epoch = epoch,
                           .config_epoch = cluster_config_epoch(c),
                           .sender = (const uint8_t *)cluster_self_id(c),
                           .replica_of = (const uint8_t *)primary_id,
                           .slots = slots};
    struct bus_writer w;
    bus_write_begin(&w, frame, sizeof(frame), &h);
    assert_true(test_net_inject(net, from, to, slice_from(frame, bus_write_end(&w))));
    test_net_run(net, 5);
}

static bool asked_votes(struct test_net *n)
{
    return cluster_counts_get(test_net_node(n, 5))->elections_started > 0;
}

/* Five primaries, one dead: three votes are needed. Voters 2, 3 and 4 have no disk. */
static void only_votes_of_distinct_primaries_in_this_epoch_count(void **state)
{
    (void)state;
    begin(5, 11); /* 10 is another replica of 0 */
    for (unsigned i = 2; i < 5; i++)
        test_net_disk(net, i, 2, false);
    struct cluster_config config = *test_net_config(net, 10);
    config.replica_no_failover = true;
    test_net_configure(net, 10, &config);
    test_net_run(net, 200);
    trace_begin(trace);
    test_net_crash(net, 0);
    assert_true(test_net_until(net, 5000, asked_votes) != UINT64_MAX);
    test_net_run(net, 20); /* voter 1 has voted */
    uint64_t epoch = trace_epoch(trace) + 1;
    ack_as(1, 5, epoch); /* twice, and three times */
    ack_as(1, 5, epoch);
    ack_as(7, 5, epoch); /* replicas */
    ack_as(8, 5, epoch);
    ack_as(2, 5, epoch - 1); /* an earlier election */
    ack_as(3, 5, epoch - 1);
    assert_int_equal(counts(5, true), 0);
    ack_as(2, 5, epoch); /* two */
    assert_int_equal(counts(5, true), 0);
    ack_as(3, 5, epoch + 1); /* a later one, in which nobody asked */
    ack_as(4, 5, epoch + 1);
    assert_int_equal(counts(5, true), 0);
    ack_as(3, 5, epoch); /* three */
    assert_int_equal(counts(5, true), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_lost_ack_is_asked_for_again, end),
        cmocka_unit_test_teardown(a_lost_request_is_sent_again, end),
        cmocka_unit_test_teardown(a_late_vote_does_not_count, end),
        cmocka_unit_test_teardown(two_ask_in_the_same_epoch, end),
        cmocka_unit_test_teardown(an_epoch_that_the_candidate_never_heard, end),
        cmocka_unit_test_teardown(a_partition_and_its_end, end),
        cmocka_unit_test_teardown(the_primary_in_the_minority_follows, end),
        cmocka_unit_test_teardown(a_replica_in_the_minority_does_not_ask, end),
        cmocka_unit_test_teardown(the_primary_comes_back, end),
        cmocka_unit_test_teardown(a_candidate_restarts_and_asks_in_a_new_epoch, end),
        cmocka_unit_test_teardown(a_vote_outlives_a_restart, end),
        cmocka_unit_test_teardown(a_vote_that_was_not_durable_was_not_told, end),
        cmocka_unit_test_teardown(a_voter_without_a_disk_is_silent, end),
        cmocka_unit_test_teardown(a_candidate_without_a_disk_does_not_ask, end),
        cmocka_unit_test_teardown(only_votes_of_distinct_primaries_in_this_epoch_count, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
