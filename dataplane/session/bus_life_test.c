/* Bus links from their beginning to their end, and what control sends. */
#include "bus_bench.h"
#include <stdlib.h>

/* ---- strangers ---- */

static void test_too_many_strangers(void **state)
{
    struct test_stream *known = bench_accept_known();
    bench.known = false;
    struct test_stream *first = bench_accept_one(), *second = bench_accept_one();
    bench_push(first, BUS_MEET, 1);
    bench_run();
    for (unsigned i = 2; i < BUS_STRANGERS_MAX; i++)
        (void)bench_accept_one();
    assert_int_equal(bench.gone, 0);
    (void)bench_accept_one();
    assert_int_equal(bench.gone, 1);
    assert_true(second->aborted); /* the first has spoken later */
    assert_false(known->aborted);
    assert_false(first->aborted);
}

static void test_silent_strangers(void **state)
{
    assert_true(bus_links_deadline_us(bench.links) == UINT64_MAX);
    struct test_stream *known = bench_accept_known();
    bench.known = false;
    assert_true(bus_links_deadline_us(bench.links) == UINT64_MAX);
    struct test_stream *t = bench_accept_one();
    assert_int_equal(bus_links_deadline_us(bench.links), BENCH_NOW_US + BUS_STRANGER_US);
    bench.worker.now_us += 10;
    bench_push(t, BUS_MEET, 1);
    bench_run();
    assert_int_equal(bus_links_deadline_us(bench.links), BENCH_NOW_US + BUS_STRANGER_US + 10);
    bench.worker.now_us = BENCH_NOW_US + BUS_STRANGER_US + 9;
    bench_run();
    assert_false(t->aborted);
    bench.worker.now_us++;
    bench_run();
    assert_true(t->aborted);
    assert_int_equal(bench.why, STREAM_END_TIMEOUT);
    assert_false(known->aborted);
}

/* ---- sending ---- */

static void test_control_sends(void **state)
{
    struct slice large = bench_publish_of(2 * BUS_LINK_OUT_MAX);
    static struct bus_send first, second, third;
    size_t len;
    struct test_stream *t = bench_accept_one();
    bench_send_frame(&first, (const uint8_t *)"abc", 3);
    assert_int_equal(bench.sent, 1);
    bench_send_frame(&second, large.data, large.len);
    bench_send_frame(&third, (const uint8_t *)"xyz", 3);
    assert_int_equal(bench.sent, 1);
    assert_int_equal(t->stream.out.len, BUS_LINK_OUT_MAX);
    char *bytes = test_stream_take(t, &len);
    assert_int_equal(len, BUS_LINK_OUT_MAX);
    assert_memory_equal(bytes, "abc", 3);
    free(bytes);
    /* A PONG waits for the end of the frame that is on its way. */
    bench_push(t, BUS_PING, 1);
    bench_push(t, BUS_PING, 2);
    bench_run();
    assert_int_equal(bench.frame_count, 2);
    assert_true(bench.seen[0].answered);
    assert_int_equal(bench.sent, 1);
    free(test_stream_take(t, &len));
    bench_run();
    assert_int_equal(len, BUS_LINK_OUT_MAX);
    assert_int_equal(bench.sent, 3);
    bytes = test_stream_take(t, &len);
    size_t rest = large.len + 3 - 2 * (size_t)BUS_LINK_OUT_MAX;
    assert_int_equal(len, rest + FRAME + 3);
    assert_memory_equal(bytes, large.data + large.len - rest, rest);
    assert_memory_equal(bytes + rest, "RCmb", 4);
    assert_memory_equal(bytes + rest + FRAME, "xyz", 3);
    assert_int_equal(bench.dropped, 0);
    free(bytes);
    free((void *)large.data);
}

static void test_unsent_is_given_back(void **state)
{
    struct slice large = bench_publish_of(2 * BUS_LINK_OUT_MAX);
    static struct bus_send first, second;
    struct test_stream *t = bench_accept_one();
    bench_send_frame(&first, large.data, large.len);
    bench_send_frame(&second, large.data, large.len);
    test_stream_reset(t);
    bench_run();
    assert_int_equal(bench.sent, 2);
    assert_int_equal(bench.dropped, 2);
    assert_int_equal(bench.released, 1);
    free((void *)large.data);
}

/* ---- links of our own ---- */

static void test_opened(void **state)
{
    struct bus_link *link = bench_open_one();
    struct test_stream *t = bench.streams[0];
    assert_int_equal(bench.connected, 0);
    t->stream.user_ops->connected(&t->stream);
    bench_run();
    assert_int_equal(bench.connected, 1);
    assert_ptr_equal(bench.link, link);
    assert_string_equal(link->peer_ip, "10.77.0.2");
    bench_push(t, BUS_PING, 3);
    bench_push(t, BUS_PONG, 4);
    bench_run();
    bench_expect_pongs(t, 1);
    assert_int_equal(bench.frame_count, 2);
    bus_link_post_lcore(&link->end);
    bench_run();
    assert_true(t->closed);
    assert_int_equal(bench.gone, 0);
    assert_int_equal(bench.released, 1);
}

static void test_not_opened(void **state)
{
    bench.refuse_connect = true;
    (void)bench_open_one();
    assert_int_equal(bench.gone, 1);
    assert_int_equal(bench.why, STREAM_END_UNREACHABLE);
    assert_int_equal(bench.released, 1);
    bench.refuse_connect = false;
    (void)bench_open_one();
    struct test_stream *t = bench.streams[0];
    t->aborted = true;
    t->stream.user_ops->ended(&t->stream, STREAM_END_REFUSED);
    t->stream.user = NULL;
    bench_run();
    assert_int_equal(bench.gone, 2);
    assert_int_equal(bench.why, STREAM_END_REFUSED);
    assert_int_equal(bench.released, 2);
    /* Given up before it connected. */
    struct bus_link *link = bench_open_one();
    link->aborted = true;
    bus_link_post_lcore(&link->end);
    bench_run();
    assert_true(bench.streams[1]->aborted);
    assert_int_equal(bench.connected, 0);
    assert_int_equal(bench.released, 3);
}

static void test_released_when_all_is_back(void **state)
{
    struct test_stream *t = bench_accept_one();
    bench.hold = true;
    bench_push(t, BUS_PING, 1);
    bench_push(t, BUS_PING, 2);
    bench_run();
    struct bus_link *link = bench.link;
    link->aborted = true;
    bus_link_post_lcore(&link->end);
    bench_run();
    assert_true(t->aborted);
    assert_int_equal(bench.released, 0);
    bench_give_back(1);
    bench_run();
    assert_int_equal(bench.released, 0);
    bench_give_back(1);
    bench_run();
    assert_int_equal(bench.released, 1);
}

/* Both ends at once. */
static void test_gone_while_it_is_ended(void **state)
{
    struct test_stream *t = bench_accept_one();
    static struct bus_send send;
    send = (struct bus_send){.link = bench.link, .data = (const uint8_t *)"x", .len = 1};
    test_stream_reset(t);
    bus_send_post(&send);
    bench_run();
    assert_int_equal(bench.dropped, 1);
    assert_int_equal(bench.gone, 1);
    assert_int_equal(bench.released, 1);
}

static void test_the_lcore_ends(void **state)
{
    struct test_stream *t = bench_accept_one();
    bench.hold = true;
    bench_push(t, BUS_PING, 1);
    bench_run();
    bus_links_end(bench.links);
    assert_true(t->aborted);
    struct test_stream *late = bench_stream_add("10.77.0.9:40001");
    assert_false(bus_links_accept(bench.links, &late->stream));
    bench.hold = false;
    bench_give_back(1);
    bench_run();
    assert_int_equal(bench.gone, 1);
    assert_int_equal(bench.released, 1);
    (void)bench_open_one();
    assert_int_equal(bench.gone, 2);
    assert_int_equal(bench.why, STREAM_END_ABORTED);
}

/* The control thread has ended with frames, and without ending its links. */
static void test_freed_with_everything(void **state)
{
    struct slice large = bench_publish_of(2 * BUS_LINK_OUT_MAX);
    static struct bus_send send;
    struct test_stream *t = bench_accept_one();
    struct bus_link *link = bench.link;
    bench.hold = true;
    for (unsigned i = 0; i < 40; i++)
        bench_push(t, BUS_PONG, i);
    bench_run();
    bench_push_pieces(t, slice_from(large.data, 100), 100);
    bench_send_frame(&send, large.data, large.len);
    bus_links_free(bench.links);
    assert_true(t->aborted);
    bench.held_count = 0;
    free(link);
    free((void *)large.data);
    struct bus_links_config config = {.path = &bench.path, .worker = &bench.worker};
    bench.links = bus_links_new(&config);
    assert_non_null(bench.links);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(test_too_many_strangers),
        BENCH_TEST(test_silent_strangers),
        BENCH_TEST(test_control_sends),
        BENCH_TEST(test_unsent_is_given_back),
        BENCH_TEST(test_opened),
        BENCH_TEST(test_not_opened),
        BENCH_TEST(test_released_when_all_is_back),
        BENCH_TEST(test_gone_while_it_is_ended),
        BENCH_TEST(test_the_lcore_ends),
        BENCH_TEST(test_freed_with_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
