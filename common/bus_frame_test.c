/* Streams of frames, cut everywhere. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include "bus_codec.h"
#include "check.h"

#define ME "0123456789abcdef0123456789abcdef01234567"

static const struct bus_limits limits = {BUS_FRAME_MAX, BUS_PUBLISH_MAX, false};
static const struct bus_limits stranger = {BUS_FRAME_MAX, BUS_FRAME_MAX, false};
static const struct bus_limits light_limits = {BUS_FRAME_MAX, BUS_PUBLISH_MAX, true};
static const uint8_t slots[BUS_SLOTS_SIZE];

static struct stream_text {
    uint8_t *data;
    size_t len;
} text;

static struct bus_framer framer;

static int set_up(void **state)
{
    text = (struct stream_text){0};
    bus_framer_init(&framer);
    return 0;
}

static int tear_down(void **state)
{
    bus_framer_free(&framer);
    free(text.data);
    return 0;
}

static struct bus_writer begin(uint16_t type, size_t size)
{
    struct bus_header h = {.type = type, .sender = (const uint8_t *)ME, .slots = slots};
    struct bus_writer w;
    text.data = realloc(text.data, text.len + size);
    assert_non_null(text.data);
    bus_write_begin(&w, text.data + text.len, size, &h);
    return w;
}

static void add_plain(uint16_t type)
{
    struct bus_writer w = begin(type, BUS_SIZE_PLAIN);
    text.len += bus_write_end(&w);
}

static void add_publish(size_t len)
{
    uint8_t *bytes = calloc(1, len + 1);
    struct slice message = slice_from(bytes, len);
    struct bus_writer w = begin(BUS_PUBLISH, bus_publish_size(slice_str("c"), message, false));
    bus_write_publish(&w, slice_str("c"), message);
    text.len += bus_write_end(&w);
    free(bytes);
}

/* The first bytes of a header. */
static const uint8_t *prefix(uint32_t totlen, uint16_t type)
{
    static uint8_t at[BUS_HEADER_SIZE];
    memset(at, 0, sizeof(at));
    memcpy(at, BUS_SIGNATURE, 4);
    bus_store32(at + BUS_AT_TOTLEN, totlen);
    bus_store16(at + BUS_AT_VERSION, BUS_VERSION);
    bus_store16(at + BUS_AT_TYPE, type);
    return at;
}

/* Feeds all in pieces of step bytes, each in memory of its own; the frames must be those of the
 * text, in order. How many. */
static unsigned feed(size_t step)
{
    unsigned count = 0;
    size_t at = 0;
    for (size_t done = 0; done < text.len; done += step) {
        size_t len = step < text.len - done ? step : text.len - done;
        uint8_t *piece = malloc(len);
        assert_non_null(piece);
        memcpy(piece, text.data + done, len);
        struct slice input = slice_from(piece, len), frame;
        enum bus_reason why;
        enum bus_verdict v;
        while ((v = bus_framer_take(&framer, &input, &limits, &frame, &why)) == BUS_OK) {
            assert_memory_equal(frame.data, text.data + at, frame.len);
            at += frame.len;
            count++;
        }
        assert_int_equal(v, BUS_MORE);
        assert_int_equal(input.len, 0);
        free(piece);
    }
    assert_int_equal(at, text.len);
    return count;
}

static void test_whole_frames_stay_where_they_are(void **state)
{
    add_plain(BUS_PING);
    add_plain(BUS_PONG);
    struct slice input = slice_from(text.data, text.len), frame;
    enum bus_reason why;
    assert_int_equal(bus_framer_take(&framer, &input, &limits, &frame, &why), BUS_OK);
    assert_ptr_equal(frame.data, text.data);
    assert_int_equal(bus_framer_take(&framer, &input, &limits, &frame, &why), BUS_OK);
    assert_ptr_equal(frame.data, text.data + BUS_HEADER_SIZE);
    assert_int_equal(bus_framer_take(&framer, &input, &limits, &frame, &why), BUS_MORE);
    assert_null(framer.buf);
}

static void test_cut_anywhere(void **state)
{
    add_plain(BUS_PING);
    add_publish(10);
    add_plain(BUS_AUTH_REQUEST);
    add_publish(0);
    add_plain(BUS_MEET);
    for (size_t step = 1; step <= 64; step++)
        assert_int_equal(feed(step), 5);
    for (size_t step = 65; step <= text.len; step += 61)
        assert_int_equal(feed(step), 5);
}

static void test_large_buffers_are_given_back(void **state)
{
    add_publish(100000);
    add_plain(BUS_PING);
    assert_int_equal(feed(1000), 2);
    assert_true(framer.size <= BUS_FRAMER_KEEP);
}

static void test_memory_is_given_away(void **state)
{
    add_plain(BUS_PING);
    struct slice first = slice_from(text.data, 100), frame;
    struct slice rest = slice_from(text.data + 100, text.len - 100);
    enum bus_reason why;
    assert_int_equal(bus_framer_take(&framer, &first, &limits, &frame, &why), BUS_MORE);
    assert_int_equal(bus_framer_take(&framer, &rest, &limits, &frame, &why), BUS_OK);
    uint8_t *mine = bus_framer_give(&framer);
    assert_ptr_equal(mine, frame.data);
    assert_null(framer.buf);
    assert_null(bus_framer_give(&framer));
    rest = slice_from(text.data, text.len);
    assert_int_equal(bus_framer_take(&framer, &rest, &limits, &frame, &why), BUS_OK);
    assert_null(bus_framer_give(&framer));
    assert_memory_equal(mine, text.data, text.len);
    free(mine);
}

/* The verdict on the first len bytes, all at once. */
static enum bus_reason closes(const uint8_t *data, size_t len, const struct bus_limits *with)
{
    struct slice input = slice_from(data, len), frame;
    enum bus_reason why;
    enum bus_verdict v = bus_framer_take(&framer, &input, with, &frame, &why);
    assert_true(v == BUS_MORE || v == BUS_CLOSE);
    assert_true((v == BUS_CLOSE) == (why != BUS_REASON_NONE));
    bus_framer_free(&framer);
    return why;
}

static void test_row_31_closed_at_once(void **state)
{
    const uint32_t lengths[] = {0, 7, 8, 15, 16, 2255};
    assert_int_equal(closes((const uint8_t *)"G", 1, &limits), BUS_REASON_SIGNATURE);
    assert_int_equal(closes((const uint8_t *)"RCmx", 4, &limits), BUS_REASON_SIGNATURE);
    assert_int_equal(closes((const uint8_t *)"RCm", 3, &limits), BUS_REASON_NONE);
    assert_int_equal(closes((const uint8_t *)"*1\r\n$4\r\nPING\r\n", 14, &limits),
                     BUS_REASON_SIGNATURE);
    for (size_t i = 0; i < count_of(lengths); i++) {
        const uint8_t *at = prefix(lengths[i], BUS_PING);
        assert_int_equal(closes(at, 7, &limits), BUS_REASON_NONE);
        assert_int_equal(closes(at, 8, &limits), BUS_REASON_TOO_SHORT);
        assert_int_equal(closes(at, 14, &light_limits), BUS_REASON_TOO_SHORT);
    }
}

static void test_row_32_too_long(void **state)
{
    const uint8_t *at = prefix(UINT32_MAX, BUS_PUBLISH);
    assert_int_equal(closes(at, 8, &limits), BUS_REASON_TOO_LONG);
    at = prefix(BUS_PUBLISH_MAX, BUS_PUBLISH);
    assert_int_equal(closes(at, 100, &limits), BUS_REASON_NONE);
    assert_int_equal(closes(at, 8, &stranger), BUS_REASON_TOO_LONG);
    at = prefix(BUS_FRAME_MAX + 1, BUS_PING);
    assert_int_equal(closes(at, 13, &limits), BUS_REASON_NONE);
    assert_int_equal(closes(at, 14, &limits), BUS_REASON_TOO_LONG);
    at = prefix(BUS_FRAME_MAX + 1, BUS_LIGHT_BIT | BUS_PUBLISH);
    assert_int_equal(closes(at, 14, &limits), BUS_REASON_TOO_LONG);
    assert_int_equal(closes(at, 14, &light_limits), BUS_REASON_NONE);
    at = prefix(BUS_FRAME_MAX + 1, 11);
    assert_int_equal(closes(at, 14, &limits), BUS_REASON_TOO_LONG);
}

/* A peer that promises a gigabyte and trickles gets no more memory than it has sent, twice. */
static void test_no_memory_ahead_of_data(void **state)
{
    const uint8_t *at = prefix(BUS_PUBLISH_MAX, BUS_PUBLISH);
    struct slice input = slice_from(at, BUS_HEADER_SIZE), frame;
    enum bus_reason why;
    assert_int_equal(bus_framer_take(&framer, &input, &limits, &frame, &why), BUS_MORE);
    for (size_t sent = BUS_HEADER_SIZE; sent < 1000000; sent += 999) {
        input = slice_from(at, 999);
        assert_int_equal(bus_framer_take(&framer, &input, &limits, &frame, &why), BUS_MORE);
        assert_true(framer.size <= 2 * framer.len || framer.size == BUS_FRAMER_KEEP);
    }
}

static void test_light(void **state)
{
    struct bus_writer w;
    uint8_t small[64];
    bus_write_light(&w, small, sizeof(small), BUS_PUBLISH);
    bus_write_publish(&w, slice_str("c"), slice_str("m"));
    struct slice input = slice_from(small, bus_write_end(&w)), frame;
    assert_int_equal(input.len, 26);
    assert_int_equal(closes(small, input.len, &limits), BUS_REASON_TOO_SHORT);
    enum bus_reason why;
    for (size_t cut = 0; cut < 26; cut++) {
        struct slice first = slice_from(small, cut), rest = slice_from(small + cut, 26 - cut);
        assert_int_equal(bus_framer_take(&framer, &first, &light_limits, &frame, &why), BUS_MORE);
        assert_int_equal(bus_framer_take(&framer, &rest, &light_limits, &frame, &why), BUS_OK);
        assert_int_equal(frame.len, 26);
        assert_memory_equal(frame.data, small, 26);
    }
}

#define FRAME_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRAME_TEST(test_whole_frames_stay_where_they_are),
        FRAME_TEST(test_cut_anywhere),
        FRAME_TEST(test_large_buffers_are_given_back),
        FRAME_TEST(test_memory_is_given_away),
        FRAME_TEST(test_row_31_closed_at_once),
        FRAME_TEST(test_row_32_too_long),
        FRAME_TEST(test_no_memory_ahead_of_data),
        FRAME_TEST(test_light),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
