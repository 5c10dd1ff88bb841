/* Who owns a slot: assignment, claims, UPDATE, epochs and their collisions, moves, what is shown
 * when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "cluster_test_net.h"

static struct test_net *primaries(unsigned count, uint64_t seed)
{
    struct test_net *net = test_net_new(count, seed);
    test_net_join(net);
    test_net_spread(net, count);
    return net;
}

static const char *id_of(struct test_net *net, unsigned i)
{
    return cluster_self_id(test_net_node(net, i));
}

static void assert_owner(struct test_net *net, unsigned count, unsigned slot, int owner)
{
    for (unsigned i = 0; i < count; i++)
        if (test_net_running(net, i))
            assert_int_equal(test_net_owner(net, i, slot), owner);
}

static void slots_spread_and_are_served(void **state)
{
    struct test_net *net = primaries(3, 1);
    assert_owner(net, 3, 0, 0);
    assert_owner(net, 3, 6000, 1);
    assert_owner(net, 3, 16383, 2);
    const struct cluster_view *view = test_net_view(net, 1);
    assert_true(view->ok && view->primary);
    assert_int_equal(cluster_view_entry(view, 6000), CLUSTER_VIEW_SELF);
    const struct cluster_view_node *owner = cluster_view_owner(view, cluster_view_entry(view, 0));
    assert_string_equal(owner->id, id_of(net, 0));
    assert_true(slice_equal(owner->redirect, slice_str("10.0.0.1:6379")));
    test_net_free(net);
}

/* All start with epoch 0: the smaller ids move on until all differ. */
static void epoch_collisions_resolve(void **state)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct test_net *net = test_net_new(6, seed);
        test_net_join(net);
        test_net_run(net, 4000);
        for (unsigned i = 0; i < 6; i++)
            for (unsigned j = 0; j < i; j++)
                assert_int_not_equal(cluster_config_epoch(test_net_node(net, i)),
                                     cluster_config_epoch(test_net_node(net, j)));
        test_net_free(net);
    }
}

/* Moves one slot as redis-cli does; the target's new epoch makes the third node believe it. */
static void setslot_moves_a_slot(void **state)
{
    struct test_net *net = primaries(3, 2);
    uint64_t epoch = cluster_config_epoch(test_net_node(net, 1));
    assert_string_equal(test_net_command(net, 1, "setslot 5 importing %s", id_of(net, 0)),
                        "+OK\r\n");
    assert_string_equal(test_net_command(net, 0, "setslot 5 migrating %s", id_of(net, 1)),
                        "+OK\r\n");
    const struct cluster_view *view = test_net_view(net, 0);
    assert_int_equal(cluster_view_entry(view, 5), CLUSTER_VIEW_SELF | CLUSTER_VIEW_MIGRATING);
    assert_string_equal(cluster_view_move_peer(view, 5)->id, id_of(net, 1));
    assert_null(cluster_view_move_peer(view, 6));
    view = test_net_view(net, 1);
    assert_true(cluster_view_entry(view, 5) & CLUSTER_VIEW_IMPORTING);
    assert_string_equal(cluster_view_move_peer(view, 5)->id, id_of(net, 0));
    char marker[80];
    snprintf(marker, sizeof(marker), "[5->-%s]", id_of(net, 1));
    assert_non_null(strstr(test_net_command(net, 0, "nodes"), marker));

    test_net_keys(net, 0, 5, 7);
    assert_non_null(strstr(test_net_command(net, 0, "setslot 5 node %s", id_of(net, 1)),
                           "while I still hold keys"));
    test_net_keys(net, 0, 5, 0);
    test_net_keys(net, 1, 5, 7);
    assert_string_equal(test_net_command(net, 1, "setslot 5 node %s", id_of(net, 1)), "+OK\r\n");
    assert_string_equal(test_net_command(net, 0, "setslot 5 node %s", id_of(net, 1)), "+OK\r\n");
    assert_true(cluster_config_epoch(test_net_node(net, 1)) > epoch);
    test_net_run(net, 1000);
    assert_owner(net, 3, 5, 1);
    assert_int_equal(cluster_view_entry(test_net_view(net, 1), 5), CLUSTER_VIEW_SELF);
    assert_null(strstr(test_net_command(net, 0, "nodes"), "->-"));
    assert_true(test_net_all_ok(net));
    test_net_free(net);
}

/* A node that was away claims what it has lost: it is told, and drops the keys. */
static void stale_claimant_gets_an_update(void **state)
{
    struct test_net *net = primaries(3, 3);
    test_net_keys(net, 0, 5, 3);
    test_net_run(net, 1000);
    test_net_crash(net, 0);
    /* Node 1 takes the slot over, with an epoch that is greater. */
    test_net_command(net, 1, "setslot 5 importing %s",
                     cluster_slot_owner(test_net_node(net, 1), 5));
    test_net_command(net, 1, "setslot 5 node %s", id_of(net, 1));
    test_net_run(net, 1000);
    test_net_restart(net, 0);
    assert_int_equal(test_net_owner(net, 0, 5), 0);
    test_net_run(net, 6000);
    assert_owner(net, 3, 5, 1);
    assert_owner(net, 3, 6, 0);
    assert_int_equal(test_net_deleted(net), 1);
    test_net_free(net);
}

/* All its slots are taken: it follows the one that has them. */
static void primary_without_slots_follows_the_new_owner(void **state)
{
    struct test_net *net = test_net_new(3, 4);
    test_net_join(net);
    test_net_command(net, 0, "addslots 0");
    test_net_command(net, 1, "addslotsrange 1 16383");
    test_net_command(net, 0, "bumpepoch");
    test_net_command(net, 1, "bumpepoch");
    test_net_run(net, 3000);
    test_net_keys(net, 0, 0, 9);
    test_net_command(net, 1, "setslot 0 importing %s", id_of(net, 0));
    test_net_command(net, 1, "setslot 0 node %s", id_of(net, 1));
    test_net_run(net, 3000);
    assert_string_equal(cluster_primary_id(test_net_node(net, 0)), id_of(net, 1));
    assert_int_equal(test_net_flags(net, 2, 0), BUS_NODE_SLAVE);
    assert_int_equal(test_net_view(net, 0)->primary, false);
    /* The data goes with the full copy, not before. */
    assert_int_equal(test_net_deleted(net), 0);
    test_net_free(net);
}

/* What its owner does not claim any more stays with it, and goes to the first who does. */
static void slot_not_claimed_by_its_owner_is_free(void **state)
{
    struct test_net *net = primaries(3, 5);
    test_net_command(net, 2, "bumpepoch");
    test_net_command(net, 2, "delslots 16383");
    test_net_run(net, 2000);
    assert_int_equal(test_net_owner(net, 0, 16383), 2);
    assert_int_equal(test_net_owner(net, 2, 16383), -1);
    /* Node 0's epoch is smaller than node 2's, but node 2 does not want the slot. */
    test_net_command(net, 0, "delslots 16383");
    test_net_command(net, 0, "addslots 16383");
    test_net_run(net, 3000);
    assert_owner(net, 3, 16383, 0);
    test_net_free(net);
}

/* Nothing is shown before it is durable; test_net checks each frame. */
static void slow_disk_delays_what_is_shown(void **state)
{
    struct test_net *net = test_net_new(2, 6);
    test_net_join(net);
    test_net_run(net, 2500);
    test_net_disk(net, 0, 500, true);
    uint64_t start_ms = test_net_now_ms(net);
    assert_string_equal(test_net_command(net, 0, "addslots 7"), "+OK\r\n");
    assert_true(test_net_now_ms(net) - start_ms >= 500);
    test_net_run(net, 1000);
    assert_int_equal(test_net_owner(net, 1, 7), 0);
    /* PING went on meanwhile. */
    assert_int_equal(test_net_flags(net, 1, 0), BUS_NODE_MASTER);
    test_net_free(net);
}

static void broken_disk_shows_nothing(void **state)
{
    struct test_net *net = test_net_new(2, 7);
    test_net_join(net);
    test_net_run(net, 2500);
    uint64_t epoch = cluster_config_epoch(test_net_node(net, 0));
    test_net_disk(net, 0, 2, false);
    assert_non_null(strstr(test_net_command(net, 0, "addslots 7"), "-ERR error saving"));
    assert_int_equal(cluster_view_entry(test_net_view(net, 0), 7), CLUSTER_VIEW_NONE);
    test_net_command(net, 0, "bumpepoch");
    test_net_run(net, 5000);
    assert_int_equal(test_net_owner(net, 1, 7), -1);
    struct cluster_peer peer;
    assert_true(cluster_peer_get(test_net_node(net, 1), id_of(net, 0), &peer));
    assert_true(peer.config_epoch <= epoch);
    assert_true(test_net_alarms(net) > 0);
    test_net_disk(net, 0, 2, true);
    test_net_run(net, 3000);
    assert_int_equal(test_net_owner(net, 1, 7), 0);
    assert_int_equal(cluster_view_entry(test_net_view(net, 0), 7), CLUSTER_VIEW_SELF);
    test_net_free(net);
}

/* The disk hangs just when the votes are in. */
static bool hang_at_the_vote(void *ctx, unsigned from, unsigned to, const struct bus_message *m)
{
    if (m->header.type == BUS_AUTH_ACK)
        test_net_disk(ctx, to, 5000, true);
    return true;
}

/* An election that cannot be made durable in time is void: the old primary is back and serves, and
 * would lose what it took meanwhile (found by simulation: seed 3106). */
static void election_is_given_up_when_the_disk_hangs(void **state)
{
    struct test_net *net = test_net_new(4, 12);
    test_net_join(net);
    test_net_spread(net, 3);
    test_net_run(net, 1000);
    test_net_watch(net, hang_at_the_vote, net);
    test_net_crash(net, 0);
    test_net_run(net, 2000);
    test_net_watch(net, NULL, NULL);
    test_net_disk(net, 3, 2, true);
    test_net_restart(net, 0);
    unsigned alarms = test_net_alarms(net);
    assert_true(alarms > 0);
    test_net_run(net, 10000);
    assert_owner(net, 4, 0, 0);
    assert_string_equal(cluster_primary_id(test_net_node(net, 3)), id_of(net, 0));
    assert_true(test_net_all_ok(net));
    test_net_free(net);
}

/* What is durable comes back; epochs never go down. */
static void restart_keeps_slots_and_epochs(void **state)
{
    struct test_net *net = primaries(4, 8);
    test_net_run(net, 1000);
    uint64_t current[4], config[4];
    for (unsigned i = 0; i < 4; i++) {
        current[i] = cluster_current_epoch(test_net_node(net, i));
        config[i] = cluster_config_epoch(test_net_node(net, i));
        test_net_crash(net, i);
    }
    for (unsigned i = 0; i < 4; i++) {
        test_net_restart(net, i);
        assert_true(cluster_current_epoch(test_net_node(net, i)) >= current[i]);
        assert_int_equal(cluster_config_epoch(test_net_node(net, i)), config[i]);
    }
    assert_int_not_equal(test_net_until(net, 10000, test_net_all_ok), UINT64_MAX);
    assert_true(test_net_agrees(net));
    assert_owner(net, 4, 0, 0);
    assert_owner(net, 4, 16383, 3);
    test_net_free(net);
}

static void replica_shows_its_primary(void **state)
{
    struct test_net *net = test_net_new(4, 9);
    test_net_join(net);
    test_net_spread(net, 3);
    assert_string_equal(cluster_primary_id(test_net_node(net, 3)), id_of(net, 0));
    assert_int_equal(test_net_view(net, 3)->primary, false);
    const struct cluster_view *view = test_net_view(net, 3);
    assert_string_equal(view->nodes[view->self_primary].id, id_of(net, 0));
    assert_int_equal(cluster_view_entry(view, 0) & CLUSTER_VIEW_OWNER, view->self_primary);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(test_net_flags(net, i, 3), BUS_NODE_SLAVE);
    test_net_run(net, 1000);
    test_net_crash(net, 3);
    test_net_restart(net, 3);
    assert_string_equal(cluster_primary_id(test_net_node(net, 3)), id_of(net, 0));
    test_net_run(net, 2000);
    assert_true(test_net_all_ok(net));
    test_net_free(net);
}

/* The replica of a primary that loses all its slots goes where they went. */
static void replica_follows_the_slots(void **state)
{
    struct test_net *net = test_net_new(4, 10);
    test_net_join(net);
    test_net_command(net, 0, "addslots 0");
    test_net_command(net, 1, "addslotsrange 1 16383");
    test_net_command(net, 0, "bumpepoch");
    test_net_command(net, 1, "bumpepoch");
    test_net_run(net, 3000);
    test_net_command(net, 2, "replicate %s", id_of(net, 0));
    test_net_run(net, 1000);
    test_net_command(net, 1, "setslot 0 importing %s", id_of(net, 0));
    test_net_command(net, 1, "setslot 0 node %s", id_of(net, 1));
    test_net_run(net, 3000);
    assert_string_equal(cluster_primary_id(test_net_node(net, 2)), id_of(net, 1));
    test_net_free(net);
}

static void reset_forgets_everything(void **state)
{
    struct test_net *net = primaries(3, 11);
    char id[BUS_NAME_SIZE + 1];
    strcpy(id, id_of(net, 2));
    test_net_keys(net, 2, 16000, 1);
    assert_non_null(strstr(test_net_command(net, 2, "reset hard"), "containing keys"));
    test_net_keys(net, 2, 16000, 0);
    assert_string_equal(test_net_command(net, 2, "reset soft"), "+OK\r\n");
    assert_string_equal(id_of(net, 2), id);
    assert_int_equal(cluster_node_count(test_net_node(net, 2)), 1);
    assert_int_equal(test_net_owner(net, 2, 16000), -1);
    assert_string_equal(test_net_command(net, 2, "reset hard"), "+OK\r\n");
    assert_string_not_equal(id_of(net, 2), id);
    assert_int_equal(cluster_current_epoch(test_net_node(net, 2)), 0);
    test_net_run(net, 100);
    test_net_crash(net, 2);
    test_net_restart(net, 2);
    assert_string_not_equal(id_of(net, 2), id);
    test_net_free(net);
}

/* Both sides of a partition change something: all agree again in bounded time. */
static void maps_converge_after_a_partition(void **state)
{
    for (uint64_t seed = 20; seed < 30; seed++) {
        struct test_net *net = primaries(5, seed);
        test_net_partition(net, 1u << 0 | 1u << 1);
        test_net_run(net, 500);
        test_net_command(net, 0, "setslot 16383 importing %s", id_of(net, 4));
        test_net_command(net, 0, "setslot 16383 node %s", id_of(net, 0));
        test_net_command(net, 3, "setslot 16383 importing %s", id_of(net, 4));
        test_net_command(net, 3, "setslot 16383 node %s", id_of(net, 3));
        test_net_run(net, 3000);
        test_net_partition(net, 0);
        uint64_t ms = test_net_until(net, 9000, test_net_agrees);
        assert_int_not_equal(ms, UINT64_MAX);
        test_net_run(net, 2000);
        assert_true(test_net_agrees(net));
        for (unsigned i = 0; i < 5; i++)
            for (unsigned j = 0; j < i; j++)
                assert_int_not_equal(cluster_config_epoch(test_net_node(net, i)),
                                     cluster_config_epoch(test_net_node(net, j)));
        test_net_free(net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_spread_and_are_served),
        cmocka_unit_test(epoch_collisions_resolve),
        cmocka_unit_test(setslot_moves_a_slot),
        cmocka_unit_test(stale_claimant_gets_an_update),
        cmocka_unit_test(primary_without_slots_follows_the_new_owner),
        cmocka_unit_test(slot_not_claimed_by_its_owner_is_free),
        cmocka_unit_test(slow_disk_delays_what_is_shown),
        cmocka_unit_test(broken_disk_shows_nothing),
        cmocka_unit_test(election_is_given_up_when_the_disk_hangs),
        cmocka_unit_test(restart_keeps_slots_and_epochs),
        cmocka_unit_test(replica_shows_its_primary),
        cmocka_unit_test(replica_follows_the_slots),
        cmocka_unit_test(reset_forgets_everything),
        cmocka_unit_test(maps_converge_after_a_partition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
