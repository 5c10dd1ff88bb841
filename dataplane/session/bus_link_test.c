/* What arrives on bus links: answered, validated, bounded, mailed in order. */
#include "bus_bench.h"
#include <stdlib.h>

/* ---- answering ---- */

static void test_ping_is_answered_and_mailed(void **state)
{
    struct test_stream *t = bench_accept_one();
    assert_int_equal(bench.connected, 1);
    assert_true(bench.link->inbound);
    assert_string_equal(bench.link->peer_ip, "10.77.0.9");
    assert_string_equal(bench.link->local_ip, "10.77.0.1");
    bench_push(t, BUS_PING, 5);
    bench.worker.now_us += 7;
    bench_run();
    bench_expect_pongs(t, 1);
    assert_int_equal(bench.frame_count, 1);
    bench_expect_seen(0, BUS_PING, 5);
    assert_true(bench.seen[0].answered);
    assert_int_equal(bench.seen[0].arrived_us, BENCH_NOW_US + 7);
    bench_push(t, BUS_MEET, 6);
    bench_push(t, BUS_PONG, 7);
    bench_run();
    bench_expect_pongs(t, 1);
    bench_expect_seen(1, BUS_MEET, 6);
    assert_true(bench.seen[1].answered);
    bench_expect_seen(2, BUS_PONG, 7);
    assert_false(bench.seen[2].answered);
}

static void test_nothing_is_answered_past_the_lease(void **state)
{
    struct test_stream *t = bench_accept_one();
    atomic_store(&bench.shared.lease_until_us, BENCH_NOW_US);
    bench_push(t, BUS_PING, 5);
    bench_run();
    bench_expect_pongs(t, 0);
    assert_false(bench.seen[0].answered);
    atomic_store(&bench.shared.lease_until_us, BENCH_NOW_US + 1);
    bench_push(t, BUS_PING, 6);
    bench_run();
    bench_expect_pongs(t, 1);
    free(cluster_pong_publish(&bench.shared, NULL));
    bench_push(t, BUS_PING, 7);
    bench_run();
    bench_expect_pongs(t, 0);
    assert_false(bench.seen[2].answered);
    assert_int_equal(bench.frame_count, 3);
}

static void test_peer_with_extensions_gets_all(void **state)
{
    uint8_t buf[FRAME];
    size_t len;
    struct bus_writer w;
    struct bus_header h = bench_header_of(BUS_PING, 5);
    struct test_stream *t = bench_accept_one();
    h.mflags = BUS_MFLAG_EXT_DATA;
    bus_write_begin(&w, buf, sizeof(buf), &h);
    test_stream_push(t, buf, bus_write_end(&w));
    bench_run();
    char *bytes = test_stream_take(t, &len);
    assert_int_equal(len, FRAME + BUS_EXT_SHARD_SIZE);
    assert_int_equal(bus_load64((uint8_t *)bytes + BUS_AT_CURRENT_EPOCH), 2);
    assert_int_equal(bus_load64((uint8_t *)bytes + BUS_AT_OFFSET), 4711);
    free(bytes);
}

/* ---- reading ---- */

static void test_frames_in_pieces(void **state)
{
    struct test_stream *t = bench_accept_one();
    uint8_t buf[3 * FRAME];
    struct bus_writer w;
    for (unsigned i = 0; i < 3; i++) {
        struct bus_header h = bench_header_of(BUS_PONG, 100 + i);
        bus_write_begin(&w, buf + i * FRAME, FRAME, &h);
        bus_write_end(&w);
    }
    bench_push_pieces(t, slice_from(buf, sizeof(buf)), 1);
    bench_run();
    bench_push_pieces(t, slice_from(buf, sizeof(buf)), 1000);
    bench_run();
    assert_int_equal(bench.frame_count, 6);
    for (unsigned i = 0; i < 6; i++)
        bench_expect_seen(i, BUS_PONG, 100 + i % 3);
}

static void test_what_is_not_believed(void **state)
{
    struct test_stream *t = bench_accept_one();
    bench_push(t, BUS_PING, UINT64_C(1) << 63);
    bench_push(t, 0, 3);
    uint8_t newer[FRAME + 8] = {0};
    struct bus_writer w;
    struct bus_header h = bench_header_of(BUS_AUTH_ACK, 4);
    bus_write_begin(&w, newer, FRAME, &h);
    bus_write_end(&w);
    bus_store32(newer + BUS_AT_TOTLEN, sizeof(newer));
    test_stream_push(t, newer, sizeof(newer));
    bench_run();
    assert_int_equal(bench.frame_count, 1);
    bench_expect_seen(0, BUS_PING, 3);
    bench_expect_pongs(t, 1);
    assert_false(t->aborted);
    bench_push(t, BUS_FAIL, 3); /* a header, and no more */
    bench_push(t, BUS_PING, 4);
    bench_run();
    assert_true(t->aborted);
    assert_int_equal(bench.frame_count, 1);
    assert_int_equal(bench.gone, 1);
    assert_int_equal(bench.why, STREAM_END_ABORTED);
    assert_int_equal(bench.released, 1);
    t = bench_accept_one();
    test_stream_push(t, "*1\r\n$4\r\nPING\r\n", 14);
    bench_run();
    assert_true(t->aborted);
    assert_int_equal(bench.released, 2);
}

static void test_control_that_gives_nothing_back(void **state)
{
    const unsigned window = BUS_LINK_LENT_MAX / FRAME + 1;
    struct test_stream *t = bench_accept_one();
    bench.hold = true;
    for (unsigned i = 0; i < window; i++)
        bench_push(t, BUS_PONG, i);
    bench_run();
    assert_int_equal(bench.frame_count, window);
    /* Of PINGs the newest waits; all are answered. */
    for (unsigned i = 0; i < 10; i++)
        bench_push(t, BUS_PING, 1000 + i);
    bench_run();
    bench_expect_pongs(t, 10);
    assert_int_equal(bench.frame_count, window);
    /* What must not be lost holds the peer back. */
    bench_push(t, BUS_AUTH_REQUEST, 2000);
    bench_push(t, BUS_AUTH_REQUEST, 2001);
    bench_push(t, BUS_PING, 2002);
    bench_run();
    bench_expect_pongs(t, 0);
    assert_true(t->first != NULL);
    bench_give_back(1);
    bench_run();
    bench_expect_seen(window, BUS_PING, 1009);
    assert_int_equal(bench.frame_count, window + 1);
    bench.hold = false;
    bench_give_back(bench.held_count);
    bench_run();
    assert_int_equal(bench.frame_count, window + 4);
    bench_expect_seen(window + 1, BUS_AUTH_REQUEST, 2000);
    bench_expect_seen(window + 2, BUS_AUTH_REQUEST, 2001);
    bench_expect_seen(window + 3, BUS_PING, 2002);
    bench_expect_pongs(t, 1);
    assert_null(t->first);
}

static void test_peer_that_takes_nothing_is_not_read(void **state)
{
    const unsigned room = BUS_LINK_OUT_MAX / FRAME + 1;
    struct test_stream *t = bench_accept_one();
    for (unsigned i = 0; i < room + 20; i++) {
        bench_push(t, BUS_PING, i);
        bench_run();
    }
    assert_int_equal(bench.frame_count, room);
    bench_expect_pongs(t, room);
    assert_int_equal(bench.frame_count, room + 20);
    bench_expect_pongs(t, 20);
}

static void test_links_take_turns(void **state)
{
    enum { GREEDY = 6, EACH = 25 };
    struct test_stream *greedy[GREEDY];
    for (unsigned i = 0; i < GREEDY; i++)
        greedy[i] = bench_accept_one();
    struct test_stream *modest = bench_accept_one();
    for (unsigned i = 0; i < GREEDY * EACH; i++)
        bench_push(greedy[i / EACH], BUS_AUTH_ACK, i);
    bench_push(modest, BUS_PING, 9999);
    assert_true(bus_links_run(bench.links));
    bench_run_mail();
    assert_int_equal(bench.frame_count, BUS_ROUND_STEPS);
    bench_expect_seen(GREEDY * BUS_TURN_STEPS, BUS_PING, 9999);
    bench_run();
    assert_int_equal(bench.frame_count, GREEDY * EACH + 1);
    assert_false(bus_links_run(bench.links));
    bench_expect_pongs(modest, 1);
}

static void test_last_words(void **state)
{
    struct test_stream *t = bench_accept_one();
    bench_push(t, BUS_PING, 1);
    bench_push(t, BUS_PONG, 2);
    test_stream_eof(t);
    bench_run();
    assert_int_equal(bench.frame_count, 2);
    assert_true(t->closed);
    assert_int_equal(bench.gone, 1);
    assert_int_equal(bench.why, STREAM_END_CLOSED);
    t = bench_accept_one();
    bench_push(t, BUS_PING, 1);
    bench_run();
    test_stream_reset(t);
    bench_run();
    assert_int_equal(bench.why, STREAM_END_RESET);
    assert_int_equal(bench.released, 2);
}

/* ---- large messages ---- */

static void test_large_messages_one_at_a_time(void **state)
{
    struct slice large = bench_publish_of(3u << 20);
    struct test_stream *one = bench_accept_known(), *two = bench_accept_known(),
                       *three = bench_accept_known();
    unsigned before = bench.frame_count;
    bench.hold = true;
    bench_push_pieces(one, slice_from(large.data, 2u << 20), 65536);
    bench_push_pieces(two, large, 65536);
    bench_push(three, BUS_PING, 7);
    bench_run();
    bench_expect_pongs(three, 1);
    assert_null(one->first);
    assert_non_null(two->first); /* not read on */
    assert_int_equal(bench.frame_count, before + 1);
    bench_push_pieces(one, slice_from(large.data + (2u << 20), large.len - (2u << 20)), 65536);
    bench_run();
    assert_int_equal(bench.frame_count, before + 2);
    assert_int_equal(bench.seen[before + 1].len, large.len);
    assert_non_null(two->first); /* control still has it */
    bench_push_pieces(three, large, 65536);
    bench_run();
    assert_non_null(three->first);
    bench_give_back(2);
    bench_run();
    assert_int_equal(bench.frame_count, before + 3);
    assert_null(two->first);
    assert_int_equal(bench.seen[before + 2].len, large.len);
    bench_give_back(1);
    bench_run();
    assert_int_equal(bench.frame_count, before + 4);
    assert_null(three->first);
    /* A link that ends leaves the place to the next. */
    bench_give_back(1);
    bench_run();
    bench_push_pieces(one, slice_from(large.data, 2u << 20), 65536);
    bench_run();
    bench_push_pieces(two, large, 65536);
    bench_run();
    assert_non_null(two->first);
    test_stream_reset(one);
    bench_run();
    assert_null(two->first);
    assert_int_equal(bench.frame_count, before + 5);
    free((void *)large.data);
}

static void test_too_large(void **state)
{
    struct slice large = bench_publish_of(9u << 20),
                 middle = bench_publish_of(BUS_STRANGER_FRAME_MAX);
    struct test_stream *t = bench_accept_known();
    bench_push_pieces(t, slice_from(large.data, 100), 100);
    bench_run();
    assert_true(t->aborted);
    bench.known = false;
    t = bench_accept_one();
    bench_push_pieces(t, slice_from(middle.data, 100), 100); /* a stranger's */
    bench_run();
    assert_true(t->aborted);
    free((void *)large.data);
    free((void *)middle.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(test_ping_is_answered_and_mailed),
        BENCH_TEST(test_nothing_is_answered_past_the_lease),
        BENCH_TEST(test_peer_with_extensions_gets_all),
        BENCH_TEST(test_frames_in_pieces),
        BENCH_TEST(test_what_is_not_believed),
        BENCH_TEST(test_control_that_gives_nothing_back),
        BENCH_TEST(test_peer_that_takes_nothing_is_not_read),
        BENCH_TEST(test_links_take_turns),
        BENCH_TEST(test_last_words),
        BENCH_TEST(test_large_messages_one_at_a_time),
        BENCH_TEST(test_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
