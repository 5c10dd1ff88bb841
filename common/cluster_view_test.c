#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "cluster_view.h"
#include "qsbr.h"

#define READERS 2
#define VERSIONS 300

/* All slots to one of two nodes, by the version. */
static struct cluster_view *view_make(uint64_t version)
{
    char *text;
    struct cluster_view *view = cluster_view_alloc(3, 2, 64, &text);
    view->version = version;
    view->ok = true;
    for (unsigned i = 1; i < 3; i++) {
        int len = sprintf(text, "10.0.0.%u:%llu", i, (unsigned long long)(version % 60000));
        view->nodes[i].redirect = slice_from(text, (size_t)len);
        text += len;
    }
    for (unsigned slot = 0; slot < SLOTS; slot++)
        view->slots[slot] = (uint16_t)(1 + version % 2);
    view->moves[0] = (struct cluster_view_move){7, 1};
    view->moves[1] = (struct cluster_view_move){9, 2};
    return view;
}

static void view_check(const struct cluster_view *view)
{
    char want[64];
    for (unsigned slot = 0; slot < SLOTS; slot += 97) {
        unsigned entry = cluster_view_entry(view, slot);
        CHECK(entry == 1 + view->version % 2);
        const struct cluster_view_node *owner = cluster_view_owner(view, entry);
        int len =
            sprintf(want, "10.0.0.%u:%llu", entry, (unsigned long long)(view->version % 60000));
        CHECK(slice_equal(owner->redirect, slice_from(want, (size_t)len)));
    }
}

static void lookups(void **state)
{
    struct cluster_view *view = view_make(2);
    view->slots[5] = CLUSTER_VIEW_NONE;
    view->slots[7] = CLUSTER_VIEW_SELF | CLUSTER_VIEW_MIGRATING;
    view->slots[9] = 2 | CLUSTER_VIEW_IMPORTING;
    assert_null(cluster_view_owner(view, cluster_view_entry(view, 5)));
    assert_false(cluster_entry_is_ours(cluster_view_entry(view, 5)));
    assert_true(cluster_entry_is_ours(cluster_view_entry(view, 6)));
    assert_true(cluster_entry_is_ours(cluster_view_entry(view, 7)));
    assert_false(cluster_entry_is_ours(cluster_view_entry(view, 9)));
    assert_ptr_equal(cluster_view_owner(view, cluster_view_entry(view, 9)), &view->nodes[2]);
    assert_ptr_equal(cluster_view_move_peer(view, 7), &view->nodes[1]);
    assert_ptr_equal(cluster_view_move_peer(view, 9), &view->nodes[2]);
    assert_null(cluster_view_move_peer(view, 0));
    assert_null(cluster_view_move_peer(view, 8));
    assert_null(cluster_view_move_peer(view, 16383));
    free(view);
}

static void lease(void **state)
{
    struct cluster_shared shared = {0};
    assert_false(cluster_lease_holds(&shared, 0));
    atomic_store(&shared.lease_until_us, 100);
    assert_true(cluster_lease_holds(&shared, 99));
    assert_false(cluster_lease_holds(&shared, 100));
}

struct race {
    struct cluster_shared shared;
    _Atomic(bool) done;
    _Atomic(unsigned) ready;
};

/* Versions never go back, each view is whole, and none is freed while it is looked at. */
static void *reader_main(void *arg)
{
    struct race *race = arg;
    uint64_t last = 0;
    qsbr_register();
    atomic_fetch_add(&race->ready, 1);
    while (!atomic_load(&race->done)) {
        const struct cluster_view *view = cluster_view_get(&race->shared);
        CHECK(view->version >= last);
        last = view->version;
        view_check(view);
        qsbr_quiescent();
    }
    qsbr_unregister();
    return NULL;
}

static void readers_see_whole_views(void **state)
{
    struct race race = {0};
    pthread_t readers[READERS];
    free(cluster_view_publish(&race.shared, view_make(1)));
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, reader_main, &race), 0);
    while (atomic_load(&race.ready) < READERS)
        sched_yield();
    for (uint64_t version = 2; version < VERSIONS; version++) {
        struct cluster_view *old = cluster_view_publish(&race.shared, view_make(version));
        qsbr_synchronize();
        memset(old->slots, 0xff, sizeof(old->slots)); /* whoever still looks at it would see */
        free(old);
    }
    atomic_store(&race.done, true);
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    free(cluster_view_publish(&race.shared, NULL));
}

/* Which PONG a peer gets goes by what its own frames show. */
static void pong_by_what_the_peer_knows(void **state)
{
    static const uint8_t slots[BUS_SLOTS_SIZE];
    static const char id[] = "0123456789012345678901234567890123456789";
    static const struct bus_limits limits = {BUS_FRAME_MAX, BUS_PUBLISH_MAX, false};
    static const struct {
        bool flag, hostname, shard, full;
    } rows[] = {
        {false, false, false, false}, /* 7.0 without a hostname */
        {true, true, false, false},   /* 7.0 with one */
        {true, false, false, true},   /* knows extensions, has none to send */
        {true, false, true, true},    {true, true, true, true},
    };
    struct cluster_pong *pong = cluster_pong_alloc(10, 20);
    for (size_t i = 0; i < count_of(rows); i++) {
        uint8_t frame[4096];
        struct bus_writer w;
        struct bus_header h = {.type = BUS_PING,
                               .port = 1,
                               .cport = 2,
                               .flags = BUS_NODE_MASTER,
                               .mflags = rows[i].flag ? BUS_MFLAG_EXT_DATA : 0,
                               .sender = (const uint8_t *)id,
                               .slots = slots};
        bus_write_begin(&w, frame, sizeof(frame), &h);
        struct bus_extension hostname = {.type = BUS_EXT_HOSTNAME, .text = slice_str("a.b")};
        struct bus_extension shard = {.type = BUS_EXT_SHARD_ID, .name = (const uint8_t *)id};
        if (rows[i].hostname)
            bus_write_extension(&w, &hostname);
        if (rows[i].shard)
            bus_write_extension(&w, &shard);
        struct bus_message m;
        enum bus_reason why;
        assert_int_equal(bus_decode(slice_from(frame, bus_write_end(&w)), &limits, &m, &why),
                         BUS_OK);
        assert_int_equal(cluster_pong_for(pong, &m).len, rows[i].full ? 20 : 10);
    }
    free(pong);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lookups),
        cmocka_unit_test(lease),
        cmocka_unit_test(readers_see_whole_views),
        cmocka_unit_test(pong_by_what_the_peer_knows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
