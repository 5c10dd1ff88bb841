/* Frames that are valid in form and lie in content: strangers, replays, forged senders, floods. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "cluster_test_net.h"

/* One node, driven by hand. */
struct bench {
    struct cluster *c;
    struct cluster_actions actions;
    uint64_t now_us;
    cluster_link_id link;
};

static uint64_t no_keys(void *ctx, unsigned slot)
{
    return 0;
}

static uint64_t no_key(void *ctx)
{
    return 0;
}

static void bench_step(struct bench *b, struct cluster_event event)
{
    b->now_us += 1000;
    event.now_us = b->now_us;
    event.wall_ms = 1700000000000 + b->now_us / 1000;
    cluster_actions_clear(&b->actions);
    cluster_step(b->c, &event, &b->actions);
    cluster_validate(b->c);
    /* The disk and the lcores are at once done with everything. */
    for (size_t i = 0; i < b->actions.count; i++) {
        const struct cluster_action *a = &b->actions.items[i];
        struct cluster_event next = {.kind = CLUSTER_EVENT_TICK};
        if (a->kind == CLUSTER_ACTION_PERSIST) {
            next.kind = CLUSTER_EVENT_PERSISTED;
            next.persisted = (struct cluster_event_persisted){a->persist.ticket, true};
        } else if (a->kind == CLUSTER_ACTION_VIEW) {
            next.kind = CLUSTER_EVENT_SETTLED;
            next.settled.version = a->view->version;
        } else {
            continue;
        }
        struct cluster_actions more;
        cluster_actions_init(&more);
        next.now_us = b->now_us;
        next.wall_ms = event.wall_ms;
        struct cluster_actions kept = b->actions;
        b->actions = more;
        cluster_step(b->c, &next, &b->actions);
        for (size_t j = 0; j < b->actions.count; j++)
            if (b->actions.items[j].kind == CLUSTER_ACTION_VIEW) {
                struct cluster_event settled = {
                    .kind = CLUSTER_EVENT_SETTLED, .now_us = b->now_us, .wall_ms = event.wall_ms};
                settled.settled.version = b->actions.items[j].view->version;
                struct cluster_actions last;
                cluster_actions_init(&last);
                cluster_step(b->c, &settled, &last);
                cluster_actions_free(&last);
            }
        cluster_actions_free(&b->actions);
        b->actions = kept;
    }
}

static struct bench *bench_new(void)
{
    static const struct cluster_env env = {.slot_key_count = no_keys, .key_count = no_key};
    struct cluster_config config;
    struct bench *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    cluster_config_defaults(&config);
    config.node_timeout_ms = 1000;
    strcpy(config.ip, "10.0.0.1");
    b->c = cluster_new(&config, &env, NULL, 1);
    b->now_us = 1000000;
    cluster_actions_init(&b->actions);
    bench_step(b, (struct cluster_event){.kind = CLUSTER_EVENT_TICK});
    b->link = CLUSTER_LINK_INBOUND | 1;
    bench_step(b, (struct cluster_event){.kind = CLUSTER_EVENT_LINK_UP,
                                         .link = {.id = b->link,
                                                  .local_ip = slice_str("10.0.0.1"),
                                                  .peer_ip = slice_str("10.0.0.2")}});
    return b;
}

static void bench_free(struct bench *b)
{
    cluster_actions_free(&b->actions);
    cluster_free(b->c);
    free(b);
}

static unsigned bench_count(const struct bench *b, enum cluster_action_kind kind)
{
    unsigned count = 0;
    for (size_t i = 0; i < b->actions.count; i++)
        count += b->actions.items[i].kind == kind;
    return count;
}

static void bench_frame(struct bench *b, const uint8_t *bytes, size_t len)
{
    static const struct bus_limits limits = {BUS_FRAME_MAX, BUS_PUBLISH_MAX, false};
    struct bus_message m;
    enum bus_reason why;
    assert_int_equal(bus_decode(slice_from(bytes, len), &limits, &m, &why), BUS_OK);
    bench_step(b, (struct cluster_event){.kind = CLUSTER_EVENT_FRAME,
                                         .frame = {.link = b->link, .message = &m}});
}

static void id_make(char id[BUS_NAME_SIZE + 1], unsigned number)
{
    snprintf(id, BUS_NAME_SIZE + 1, "%040x", number + 0x1000);
}

static const uint8_t no_slots[BUS_SLOTS_SIZE];

static struct bus_header header(unsigned type, const char *sender)
{
    return (struct bus_header){.type = (uint16_t)type,
                               .port = 6379,
                               .cport = 16379,
                               .flags = BUS_NODE_MASTER,
                               .sender = (const uint8_t *)sender,
                               .slots = no_slots};
}

static void bench_send(struct bench *b, const struct bus_header *h, const struct bus_gossip *gossip,
                       unsigned gossip_count)
{
    static uint8_t frame[BUS_FRAME_MAX];
    struct bus_writer w;
    bus_write_begin(&w, frame, sizeof(frame), h);
    for (unsigned i = 0; i < gossip_count; i++)
        bus_write_gossip(&w, &gossip[i]);
    bench_frame(b, frame, bus_write_end(&w));
}

/* The node knows one peer, "…1001" at 10.0.0.2, by a handshake that it began. */
static void bench_befriend(struct bench *b, char id[BUS_NAME_SIZE + 1])
{
    id_make(id, 1);
    struct slice argv[] = {slice_str("meet"), slice_str("10.0.0.2"), slice_str("6379")};
    bench_step(b, (struct cluster_event){.kind = CLUSTER_EVENT_ADMIN,
                                         .admin = {.id = 1, .argv = argv, .argc = 3}});
    bench_step(b, (struct cluster_event){.kind = CLUSTER_EVENT_TICK});
    cluster_link_id ours = 0, theirs = b->link;
    for (size_t i = 0; i < b->actions.count; i++)
        if (b->actions.items[i].kind == CLUSTER_ACTION_OPEN)
            ours = b->actions.items[i].open.link;
    assert_int_not_equal(ours, 0);
    bench_step(b, (struct cluster_event){.kind = CLUSTER_EVENT_LINK_UP,
                                         .link = {.id = ours,
                                                  .local_ip = slice_str("10.0.0.1"),
                                                  .peer_ip = slice_str("10.0.0.2")}});
    struct bus_header h = header(BUS_PONG, id);
    b->link = ours;
    bench_send(b, &h, NULL, 0);
    b->link = theirs;
    h.type = BUS_PING;
    bench_send(b, &h, NULL, 0);
    struct cluster_peer peer;
    assert_true(cluster_peer_get(b->c, id, &peer));
    assert_int_equal(peer.flags, BUS_NODE_MASTER);
}

static void strangers_are_answered_and_not_believed(void **state)
{
    struct bench *b = bench_new();
    char id[BUS_NAME_SIZE + 1];
    id_make(id, 7);
    struct bus_header h = header(BUS_PING, id);
    uint8_t slots[BUS_SLOTS_SIZE];
    memset(slots, 0xff, sizeof(slots));
    h.slots = slots;
    h.current_epoch = h.config_epoch = 1000;
    bench_send(b, &h, NULL, 0);
    assert_int_equal(bench_count(b, CLUSTER_ACTION_SEND), 1);
    assert_int_equal(cluster_node_count(b->c), 1);
    assert_int_equal(cluster_current_epoch(b->c), 0);
    assert_null(cluster_slot_owner(b->c, 0));
    bench_free(b);
}

static void strangers_other_frames_are_ignored(void **state)
{
    struct bench *b = bench_new();
    char friend[BUS_NAME_SIZE + 1], id[BUS_NAME_SIZE + 1];
    bench_befriend(b, friend);
    id_make(id, 7);
    uint8_t frame[BUS_SIZE_UPDATE], slots[BUS_SLOTS_SIZE];
    struct bus_writer w;
    struct bus_header h = header(BUS_FAIL, id);
    h.current_epoch = 50;
    memset(slots, 0xff, sizeof(slots));

    bus_write_begin(&w, frame, sizeof(frame), &h);
    bus_write_fail(&w, (const uint8_t *)friend);
    bench_frame(b, frame, bus_write_end(&w));
    h.type = BUS_UPDATE;
    bus_write_begin(&w, frame, sizeof(frame), &h);
    bus_write_update(&w, 99, (const uint8_t *)friend, slots);
    bench_frame(b, frame, bus_write_end(&w));
    for (unsigned type = BUS_AUTH_REQUEST; type <= BUS_AUTH_ACK; type++) {
        h.type = (uint16_t)type;
        bench_send(b, &h, NULL, 0);
    }
    h.type = BUS_MFSTART;
    bench_send(b, &h, NULL, 0);
    struct cluster_peer peer;
    assert_true(cluster_peer_get(b->c, friend, &peer));
    assert_int_equal(peer.flags, BUS_NODE_MASTER);
    assert_int_equal(peer.config_epoch, 0);
    assert_null(cluster_slot_owner(b->c, 0));
    assert_int_equal(cluster_current_epoch(b->c), 0);
    assert_int_equal(cluster_counts_get(b->c)->frames_from_strangers, 5);
    assert_int_equal(bench_count(b, CLUSTER_ACTION_SEND), 0);
    bench_free(b);
}

static void our_own_name_is_not_believed(void **state)
{
    struct bench *b = bench_new();
    char friend[BUS_NAME_SIZE + 1];
    bench_befriend(b, friend);
    struct bus_header h = header(BUS_PING, cluster_self_id(b->c));
    h.replica_of = (const uint8_t *)friend;
    h.flags = BUS_NODE_SLAVE;
    h.current_epoch = 77;
    bench_send(b, &h, NULL, 0);
    assert_true(cluster_is_primary(b->c));
    assert_int_equal(cluster_current_epoch(b->c), 0);
    assert_true(cluster_counts_get(b->c)->frames_refused > 0);
    bench_free(b);
}

static void update_about_ourselves_is_discarded(void **state)
{
    struct bench *b = bench_new();
    char friend[BUS_NAME_SIZE + 1];
    bench_befriend(b, friend);
    uint8_t frame[BUS_SIZE_UPDATE], slots[BUS_SLOTS_SIZE];
    struct bus_writer w;
    struct bus_header h = header(BUS_UPDATE, friend);
    memset(slots, 0xff, sizeof(slots));
    bus_write_begin(&w, frame, sizeof(frame), &h);
    bus_write_update(&w, 99, (const uint8_t *)cluster_self_id(b->c), slots);
    bench_frame(b, frame, bus_write_end(&w));
    assert_int_equal(cluster_config_epoch(b->c), 0);
    assert_null(cluster_slot_owner(b->c, 0));
    bench_free(b);
}

/* Only strictly newer news counts, and makes its subject a primary. */
static void update_must_be_newer(void **state)
{
    struct bench *b = bench_new();
    char friend[BUS_NAME_SIZE + 1];
    bench_befriend(b, friend);
    uint8_t frame[BUS_SIZE_UPDATE], slots[BUS_SLOTS_SIZE];
    struct bus_writer w;
    struct bus_header h = header(BUS_UPDATE, friend);
    memset(slots, 0, sizeof(slots));
    slots[0] = 1;
    bus_write_begin(&w, frame, sizeof(frame), &h);
    bus_write_update(&w, 0, (const uint8_t *)friend, slots);
    bench_frame(b, frame, bus_write_end(&w));
    assert_null(cluster_slot_owner(b->c, 0));
    bus_write_begin(&w, frame, sizeof(frame), &h);
    bus_write_update(&w, 5, (const uint8_t *)friend, slots);
    bench_frame(b, frame, bus_write_end(&w));
    assert_string_equal(cluster_slot_owner(b->c, 0), friend);
    bench_free(b);
}

/* An old header that comes after a newer one does not make a primary a replica again. */
static void late_headers_do_not_turn_roles_back(void **state)
{
    struct bench *b = bench_new();
    char friend[BUS_NAME_SIZE + 1];
    bench_befriend(b, friend);
    struct bus_header h = header(BUS_PING, friend);
    uint8_t slots[BUS_SLOTS_SIZE] = {1};
    h.slots = slots;
    h.current_epoch = h.config_epoch = 9;
    bench_send(b, &h, NULL, 0);
    assert_string_equal(cluster_slot_owner(b->c, 0), friend);
    h.current_epoch = h.config_epoch = 8;
    h.flags = BUS_NODE_SLAVE;
    h.replica_of = (const uint8_t *)cluster_self_id(b->c);
    bench_send(b, &h, NULL, 0);
    struct cluster_peer peer;
    assert_true(cluster_peer_get(b->c, friend, &peer));
    assert_int_equal(peer.flags, BUS_NODE_MASTER);
    assert_string_equal(cluster_slot_owner(b->c, 0), friend);
    assert_int_equal(cluster_counts_get(b->c)->headers_late, 1);
    bench_free(b);
}

/* The same with equal currentEpochs, which a candidate shows before it has won: an old header of
 * the winner sets no slots free. Who goes on to say so for a timeout means it. */
static void late_headers_set_no_slots_free(void **state)
{
    struct bench *b = bench_new();
    char friend[BUS_NAME_SIZE + 1];
    bench_befriend(b, friend);
    struct bus_header h = header(BUS_PING, friend);
    uint8_t slots[BUS_SLOTS_SIZE] = {1};
    h.slots = slots;
    h.current_epoch = h.config_epoch = 12;
    bench_send(b, &h, NULL, 0);
    h.config_epoch = 11;
    h.flags = BUS_NODE_SLAVE;
    h.replica_of = (const uint8_t *)cluster_self_id(b->c);
    bench_send(b, &h, NULL, 0);
    struct cluster_peer peer;
    assert_true(cluster_peer_get(b->c, friend, &peer));
    assert_int_equal(peer.flags, BUS_NODE_MASTER);
    assert_string_equal(cluster_slot_owner(b->c, 0), friend);
    for (unsigned ms = 0; ms < 1200; ms += 100) {
        b->now_us += 99000;
        bench_send(b, &h, NULL, 0);
    }
    assert_true(cluster_peer_get(b->c, friend, &peer));
    assert_int_equal(peer.flags & BUS_NODE_SLAVE, BUS_NODE_SLAVE);
    assert_null(cluster_slot_owner(b->c, 0));
    bench_free(b);
}

/* A stranger's message reaches no client, a friend's does; ours goes to those we know. */
static void messages_are_published_among_friends(void **state)
{
    struct bench *b = bench_new();
    char friend[BUS_NAME_SIZE + 1], id[BUS_NAME_SIZE + 1];
    bench_befriend(b, friend);
    id_make(id, 7);
    uint8_t frame[4096];
    struct bus_writer w;
    struct bus_header h = header(BUS_PUBLISH, id);
    bus_write_begin(&w, frame, sizeof(frame), &h);
    bus_write_publish(&w, slice_str("news"), slice_str("hello"));
    bench_frame(b, frame, bus_write_end(&w));
    assert_int_equal(bench_count(b, CLUSTER_ACTION_DELIVER), 0);
    h.sender = (const uint8_t *)friend;
    h.type = BUS_PUBLISHSHARD;
    bus_write_begin(&w, frame, sizeof(frame), &h);
    bus_write_publish(&w, slice_str("news"), slice_str("hello"));
    bench_frame(b, frame, bus_write_end(&w));
    assert_int_equal(bench_count(b, CLUSTER_ACTION_DELIVER), 1);
    for (size_t i = 0; i < b->actions.count; i++) {
        const struct cluster_action *a = &b->actions.items[i];
        if (a->kind != CLUSTER_ACTION_DELIVER)
            continue;
        assert_true(a->deliver.sharded);
        assert_true(slice_equal(a->deliver.message, slice_str("hello")));
    }
    struct cluster_event event = {.kind = CLUSTER_EVENT_PUBLISH};
    event.publish = (struct cluster_publish){slice_str("c"), slice_str("m"), false};
    bench_step(b, event);
    assert_int_equal(bench_count(b, CLUSTER_ACTION_SEND), 1);
    event.publish.sharded = true; /* the friend is of another shard */
    bench_step(b, event);
    assert_int_equal(bench_count(b, CLUSTER_ACTION_SEND), 0);
    bench_free(b);
}

static void gossip_of_nonsense_is_dropped(void **state)
{
    struct bench *b = bench_new();
    char friend[BUS_NAME_SIZE + 1], ids[6][BUS_NAME_SIZE + 1];
    bench_befriend(b, friend);
    struct bus_gossip gossip[6];
    static const struct {
        const char *ip;
        uint16_t port, cport, flags;
        bool taken;
    } rows[6] = {
        {"10.0.0.9", 6379, 16379, BUS_NODE_MASTER, true},
        {"not an address", 6379, 16379, BUS_NODE_MASTER, false},
        {"10.0.0.9", 0, 16379, BUS_NODE_MASTER, false},
        {"10.0.0.9", 6379, 0, BUS_NODE_MASTER, false},
        {"", 6379, 16379, BUS_NODE_MASTER, false},
        {"10.0.0.9", 6379, 16379, BUS_NODE_MASTER | BUS_NODE_NOADDR, false},
    };
    for (unsigned i = 0; i < 6; i++) {
        id_make(ids[i], 100 + i);
        gossip[i] = (struct bus_gossip){.name = (const uint8_t *)ids[i],
                                        .ip = slice_str(rows[i].ip),
                                        .port = rows[i].port,
                                        .cport = rows[i].cport,
                                        .flags = rows[i].flags};
    }
    struct bus_header h = header(BUS_PING, friend);
    bench_send(b, &h, gossip, 6);
    struct cluster_peer peer;
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(cluster_peer_get(b->c, ids[i], &peer), rows[i].taken);
    assert_int_equal(cluster_counts_get(b->c)->gossip_refused, 4);
    bench_free(b);
}

/* A known node that makes up others fills the table to its bound and no further. */
static void gossip_storm_is_bounded(void **state)
{
    struct bench *b = bench_new();
    char friend[BUS_NAME_SIZE + 1];
    bench_befriend(b, friend);
    static char ids[1000][BUS_NAME_SIZE + 1];
    static struct bus_gossip gossip[1000];
    struct bus_header h = header(BUS_PING, friend);
    for (unsigned round = 0; round < 6; round++) {
        for (unsigned i = 0; i < 1000; i++) {
            id_make(ids[i], 10000 + round * 1000 + i);
            gossip[i] = (struct bus_gossip){.name = (const uint8_t *)ids[i],
                                            .ip = slice_str("10.0.0.9"),
                                            .port = 6379,
                                            .cport = 16379,
                                            .flags = BUS_NODE_MASTER};
        }
        bench_send(b, &h, gossip, 1000);
    }
    assert_int_equal(cluster_node_count(b->c), CLUSTER_NODES_MAX);
    assert_true(cluster_counts_get(b->c)->gossip_refused >= 6000 - CLUSTER_NODES_MAX);
    struct cluster_peer peer;
    assert_true(cluster_peer_get(b->c, friend, &peer));
    bench_free(b);
}

static void meet_storm_is_bounded(void **state)
{
    struct bench *b = bench_new();
    char id[BUS_NAME_SIZE + 1];
    for (unsigned i = 0; i < 2 * CLUSTER_HANDSHAKES_MAX; i++) {
        id_make(id, i);
        struct bus_header h = header(BUS_MEET, id);
        h.cport = (uint16_t)(1 + i);
        bench_send(b, &h, NULL, 0);
        assert_true(bench_count(b, CLUSTER_ACTION_SEND) >= 1);
    }
    assert_true(cluster_node_count(b->c) <= CLUSTER_HANDSHAKES_MAX / 2 + 1);
    struct slice argv[] = {slice_str("meet"), slice_str("10.0.0.77"), slice_str("6379")};
    bench_step(b, (struct cluster_event){.kind = CLUSTER_EVENT_ADMIN,
                                         .admin = {.id = 1, .argv = argv, .argc = 3}});
    assert_memory_equal(b->actions.items[0].reply.text, "+OK", 3);
    b->now_us += 2000000;
    bench_step(b, (struct cluster_event){.kind = CLUSTER_EVENT_TICK});
    assert_int_equal(cluster_node_count(b->c), 1);
    bench_free(b);
}

/* Reports of one node count once, and only while they are fresh. */
static void reports_are_counted_once_and_age(void **state)
{
    struct bench *b = bench_new();
    char friend[BUS_NAME_SIZE + 1], other[BUS_NAME_SIZE + 1];
    bench_befriend(b, friend);
    id_make(other, 2);
    struct bus_gossip gossip = {.name = (const uint8_t *)other,
                                .ip = slice_str("10.0.0.3"),
                                .port = 6379,
                                .cport = 16379,
                                .flags = BUS_NODE_MASTER};
    uint8_t slots[BUS_SLOTS_SIZE] = {1};
    struct bus_header h = header(BUS_PING, friend);
    h.slots = slots;
    h.config_epoch = h.current_epoch = 1;
    bench_send(b, &h, &gossip, 1);
    gossip.flags |= BUS_NODE_PFAIL;
    for (unsigned i = 0; i < 3; i++)
        bench_send(b, &h, &gossip, 1);
    struct cluster_peer peer;
    assert_true(cluster_peer_get(b->c, other, &peer));
    assert_int_equal(peer.report_count, 1);
    gossip.flags = BUS_NODE_MASTER;
    bench_send(b, &h, &gossip, 1);
    assert_true(cluster_peer_get(b->c, other, &peer));
    assert_int_equal(peer.report_count, 0);
    gossip.flags |= BUS_NODE_FAIL;
    bench_send(b, &h, &gossip, 1);
    b->now_us += 2100000;
    bench_step(b, (struct cluster_event){.kind = CLUSTER_EVENT_TICK});
    assert_true(cluster_peer_get(b->c, other, &peer));
    assert_int_equal(peer.report_count, 0);
    bench_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_are_answered_and_not_believed),
        cmocka_unit_test(strangers_other_frames_are_ignored),
        cmocka_unit_test(our_own_name_is_not_believed),
        cmocka_unit_test(update_about_ourselves_is_discarded),
        cmocka_unit_test(update_must_be_newer),
        cmocka_unit_test(late_headers_do_not_turn_roles_back),
        cmocka_unit_test(late_headers_set_no_slots_free),
        cmocka_unit_test(messages_are_published_among_friends),
        cmocka_unit_test(gossip_of_nonsense_is_dropped),
        cmocka_unit_test(gossip_storm_is_bounded),
        cmocka_unit_test(meet_storm_is_bounded),
        cmocka_unit_test(reports_are_counted_once_and_age),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
