#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <lzf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "rdb_crc.h"
#include "rdb_format.h"
#include "rdb_lzf.h"
#include "rdb_read.h"
#include "rdb_write.h"
#include "rng.h"

#define LITERAL(text) slice_from(text, sizeof(text) - 1)
/* The same for static tables. */
#define CONSTANT(text)                            \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }

static uint8_t *out_bytes(struct outbuf *out, size_t *len)
{
    struct outbuf_cursor cursor;
    *len = out->len;
    uint8_t *bytes = malloc(out->len + 1);
    outbuf_cursor_reset(out, &cursor);
    outbuf_copy(out, &cursor, bytes, out->len);
    outbuf_clear(out);
    return bytes;
}

static void assert_written(struct outbuf *out, struct slice want)
{
    size_t len;
    uint8_t *bytes = out_bytes(out, &len);
    assert_int_equal(len, want.len);
    assert_memory_equal(bytes, want.data, len);
    free(bytes);
}

/* ---- checksum ---- */

static void test_checksum_is_that_of_redis(void **state)
{
    assert_true(rdb_crc(0, "123456789", 9) == UINT64_C(0xe9c6d914c4b8d9ca));
    assert_true(rdb_crc(rdb_crc(0, "12345", 5), "6789", 4) == UINT64_C(0xe9c6d914c4b8d9ca));
    assert_true(rdb_crc(77, "", 0) == 77);
}

/* ---- numbers ---- */

static void test_lengths_are_as_short_as_can_be(void **state)
{
    static const struct {
        uint64_t len;
        struct slice bytes;
    } cases[] = {
        {0, CONSTANT("\x00")},
        {63, CONSTANT("\x3f")},
        {64, CONSTANT("\x40\x40")},
        {16383, CONSTANT("\x7f\xff")},
        {16384, CONSTANT("\x80\x00\x00\x40\x00")},
        {UINT32_MAX, CONSTANT("\x80\xff\xff\xff\xff")},
        {(uint64_t)UINT32_MAX + 1, CONSTANT("\x81\x00\x00\x00\x01\x00\x00\x00\x00")},
        {UINT64_MAX, CONSTANT("\x81\xff\xff\xff\xff\xff\xff\xff\xff")},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct outbuf out;
        struct rdb_reader r;
        uint64_t len;
        outbuf_init(&out);
        rdb_write_length(&(struct rdb_writer){.out = &out}, cases[i].len);
        assert_written(&out, cases[i].bytes);
        rdb_reader_init(&r, cases[i].bytes);
        assert_int_equal(rdb_read_length(&r, &len), RDB_DONE);
        assert_true(len == cases[i].len);
        assert_int_equal(r.in.len, 0);
        for (size_t cut = 0; cut < cases[i].bytes.len; cut++) {
            rdb_reader_init(&r, slice_from(cases[i].bytes.data, cut));
            assert_int_equal(rdb_read_length(&r, &len), RDB_INVALID);
            r.last = false;
            assert_int_equal(rdb_read_length(&r, &len), RDB_MORE);
            assert_int_equal(r.in.len, cut);
        }
    }
}

static void test_what_is_no_length_is_invalid(void **state)
{
    struct rdb_reader r;
    uint64_t len;
    static const struct slice bytes[] = {CONSTANT("\xc0\x01"), CONSTANT("\xff\x01"),
                                         CONSTANT("\x82\0\0\0\0\0\0\0\0"),
                                         CONSTANT("\xbf\0\0\0\0\0\0\0\0")};
    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
        rdb_reader_init(&r, bytes[i]);
        assert_int_equal(rdb_read_length(&r, &len), RDB_INVALID);
    }
}

static void test_doubles(void **state)
{
    struct outbuf out;
    struct rdb_reader r;
    double value;
    outbuf_init(&out);
    rdb_write_double(&(struct rdb_writer){.out = &out}, -2.5);
    assert_written(&out, LITERAL("\0\0\0\0\0\0\x04\xc0"));
    rdb_reader_init(&r, LITERAL("\0\0\0\0\0\0\x04\xc0"));
    assert_int_equal(rdb_read_double(&r, &value), RDB_DONE);
    assert_true(value == -2.5);
    assert_int_equal(rdb_read_double(&r, &value), RDB_INVALID);
    rdb_reader_init(&r, LITERAL("\x03"
                                "3.5\xfe\xff\xfd\x02"
                                "x1"));
    assert_int_equal(rdb_read_double_text(&r, &value), RDB_DONE);
    assert_true(value == 3.5);
    assert_int_equal(rdb_read_double_text(&r, &value), RDB_DONE);
    assert_true(isinf(value) && value > 0);
    assert_int_equal(rdb_read_double_text(&r, &value), RDB_DONE);
    assert_true(isinf(value) && value < 0);
    assert_int_equal(rdb_read_double_text(&r, &value), RDB_DONE);
    assert_true(isnan(value));
    assert_int_equal(rdb_read_double_text(&r, &value), RDB_INVALID);
}

/* ---- strings ---- */

static void write_text(struct outbuf *out, struct slice text, bool compress)
{
    outbuf_init(out);
    rdb_write_string(&(struct rdb_writer){.out = out, .compress = compress}, text);
}

static void test_strings_are_written_as_redis_does(void **state)
{
    static const struct {
        struct slice text, bytes;
    } cases[] = {
        {CONSTANT(""), CONSTANT("\x00")},
        {CONSTANT("a"), CONSTANT("\x01"
                                 "a")},
        {CONSTANT("7"), CONSTANT("\xc0\x07")},
        {CONSTANT("-128"), CONSTANT("\xc0\x80")},
        {CONSTANT("128"), CONSTANT("\xc1\x80\x00")},
        {CONSTANT("-32768"), CONSTANT("\xc1\x00\x80")},
        {CONSTANT("32768"), CONSTANT("\xc2\x00\x80\x00\x00")},
        {CONSTANT("2147483647"), CONSTANT("\xc2\xff\xff\xff\x7f")},
        {CONSTANT("2147483648"), CONSTANT("\x0a"
                                          "2147483648")},
        {CONSTANT("007"), CONSTANT("\x03"
                                   "007")},
        {CONSTANT("-0"), CONSTANT("\x02-0")},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct outbuf out;
        write_text(&out, cases[i].text, true);
        assert_written(&out, cases[i].bytes);
    }
}

static void test_only_longer_strings_are_compressed(void **state)
{
    struct outbuf out;
    char same[64];
    memset(same, 'a', sizeof(same));
    write_text(&out, slice_from(same, 20), true);
    assert_int_equal(out.len, 21);
    outbuf_clear(&out);
    write_text(&out, slice_from(same, 21), true);
    assert_true(out.len < 21);
    outbuf_clear(&out);
    write_text(&out, slice_from(same, 21), false);
    assert_int_equal(out.len, 22);
    outbuf_clear(&out);
}

/* Windows of at most step bytes, as a stream would give them; the value. */
static uint8_t *read_in_pieces(struct slice bytes, size_t step, size_t *len)
{
    struct rdb_string s = {0};
    struct rdb_reader r = {.string_max = RDB_STRING_MAX};
    struct slice value;
    size_t begin = 0, end = 0;
    for (;;) {
        r.in = slice_from(bytes.data + begin, end - begin);
        r.last = end == bytes.len;
        r.budget = 100;
        enum rdb_result result = rdb_read_string(&r, &s, &value);
        begin = end - r.in.len;
        if (result == RDB_DONE)
            break;
        assert_true(result == RDB_MORE || result == RDB_PAUSE);
        assert_true(result == RDB_PAUSE || r.in.len < RDB_ATOM_MAX);
        if (result == RDB_MORE)
            end = end + step < bytes.len ? end + step : bytes.len;
    }
    assert_int_equal(begin, bytes.len);
    uint8_t *copy = malloc(value.len + 1);
    memcpy(copy, value.data, value.len);
    *len = value.len;
    rdb_string_fini(&s);
    return copy;
}

static void fill(struct rng *rng, uint8_t *bytes, size_t len, unsigned kind)
{
    for (size_t i = 0; i < len; i++) {
        if (kind == 0)
            bytes[i] = (uint8_t)rng_next(rng);
        else if (kind == 1)
            bytes[i] = (uint8_t)('a' + i / 700 % 3);
        else if (i < 40 || rng_below(rng, 20) == 0)
            bytes[i] = (uint8_t)rng_below(rng, 8);
        else
            bytes[i] = bytes[i - 1 - rng_below(rng, 40)];
    }
}

static struct slice flat_peek(const void *source, size_t offset)
{
    const struct slice *all = source;
    size_t rest = all->len - offset, piece = 1 + offset % 5000;
    return slice_from(all->data + offset, rest < piece ? rest : piece);
}

static void write_any(struct outbuf *out, struct slice text, bool compress)
{
    struct rdb_writer w = {.out = out, .compress = compress};
    if (text.len <= RDB_LZF_PIECE) {
        write_text(out, text, compress);
        return;
    }
    outbuf_init(out);
    struct rdb_long_string l = {.peek = flat_peek, .source = &text, .len = text.len};
    while (!rdb_write_long_step(&w, &l))
        continue;
    rdb_long_string_fini(&l);
}

static void test_any_string_comes_back_however_it_is_cut(void **state)
{
    static uint8_t text[600000];
    static const size_t lens[] = {1, 5, 11, 12, 20, 21, 100, 4097, 16384, 16385, 50000, 600000};
    struct rng rng;
    rng_seed(&rng, 5);
    for (unsigned kind = 0; kind < 3; kind++) {
        for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
            struct outbuf out;
            size_t len, value_len;
            fill(&rng, text, lens[i], kind);
            write_any(&out, slice_from(text, lens[i]), i % 4 != 3);
            uint8_t *bytes = out_bytes(&out, &len);
            assert_true(len <= lens[i] + 9);
            for (size_t step = 1; step < 2 * len; step = step * 7 + 1) {
                uint8_t *value = read_in_pieces(slice_from(bytes, len), step, &value_len);
                assert_int_equal(value_len, lens[i]);
                assert_memory_equal(value, text, value_len);
                free(value);
            }
            free(bytes);
        }
    }
}

/* Part by part, in windows of step bytes. */
static void parts_compare(struct slice bytes, size_t step, const uint8_t *text, size_t text_len)
{
    struct rdb_string s = {0};
    struct rdb_reader r = {.string_max = RDB_STRING_MAX};
    struct slice part;
    size_t begin = 0, end = 0, at = 0;
    bool begun = false;
    for (;;) {
        r.in = slice_from(bytes.data + begin, end - begin);
        r.last = end == bytes.len;
        r.budget = 30000;
        enum rdb_result result =
            begun ? rdb_read_string_part(&r, &s, &part) : rdb_read_string_begin(&r, &s);
        begin = end - r.in.len;
        if (result == RDB_MORE) {
            end = end + step < bytes.len ? end + step : bytes.len;
        } else if (!begun) {
            assert_int_equal(result, RDB_DONE);
            begun = true;
            assert_int_equal(s.len, text_len);
        } else if (result != RDB_PAUSE) {
            assert_int_equal(result, RDB_DONE);
            if (part.len == 0)
                break;
            assert_true(at + part.len <= text_len);
            assert_memory_equal(part.data, text + at, part.len);
            at += part.len;
        }
    }
    assert_int_equal(at, text_len);
    assert_int_equal(begin, bytes.len);
    rdb_string_fini(&s);
}

static void test_long_strings_come_in_parts(void **state)
{
    static uint8_t text[300000];
    struct rng rng;
    rng_seed(&rng, 6);
    for (unsigned kind = 0; kind < 3; kind++) {
        struct outbuf out;
        size_t len;
        fill(&rng, text, sizeof(text), kind);
        write_any(&out, slice_from(text, sizeof(text)), true);
        uint8_t *bytes = out_bytes(&out, &len);
        for (size_t step = 1; step < 2 * len; step = step * 31 + 1)
            parts_compare(slice_from(bytes, len), step, text, sizeof(text));
        free(bytes);
    }
}

static void test_blocks_are_of_their_own(void **state)
{
    struct rdb_string s = {0};
    struct rdb_reader r;
    uint8_t *block;
    size_t len;
    rdb_reader_init(&r, LITERAL("\x03"
                                "abc\xc0\x2a\x00"));
    r.budget = 100;
    assert_int_equal(rdb_read_block(&r, &s, &block, &len), RDB_DONE);
    assert_int_equal(len, 3);
    assert_memory_equal(block, "abc", 3);
    free(block);
    assert_int_equal(rdb_read_block(&r, &s, &block, &len), RDB_DONE);
    assert_int_equal(len, 2);
    assert_memory_equal(block, "42", 2);
    free(block);
    assert_int_equal(rdb_read_block(&r, &s, &block, &len), RDB_INVALID);
    rdb_string_fini(&s);
}

static void test_a_kept_string_survives_its_window(void **state)
{
    char window[] = "\x05hello";
    struct rdb_string s = {0};
    struct rdb_reader r;
    struct slice value;
    rdb_reader_init(&r, slice_from(window, 6));
    r.budget = 100;
    assert_int_equal(rdb_read_string(&r, &s, &value), RDB_DONE);
    assert_ptr_equal(value.data, window + 1);
    assert_true(rdb_string_keep(&s, &value));
    memset(window, 0, sizeof(window));
    assert_true(slice_equal(value, LITERAL("hello")));
    rdb_string_fini(&s);
}

static enum rdb_result read_whole(struct slice bytes)
{
    struct rdb_string s = {0};
    struct rdb_reader r;
    struct slice value;
    enum rdb_result result;
    rdb_reader_init(&r, bytes);
    do {
        r.budget = 1 << 20;
        result = rdb_read_string(&r, &s, &value);
    } while (result == RDB_PAUSE);
    rdb_string_fini(&s);
    return result;
}

static void test_lying_strings_are_invalid(void **state)
{
    static const struct slice bytes[] = {
        CONSTANT(""),
        CONSTANT("\x02"
                 "a"),                                    /* shorter than it says */
        CONSTANT("\x80\xff\xff\xff\xffxxx"),              /* 4 GB */
        CONSTANT("\x81\xff\xff\xff\xff\xff\xff\xff\xff"), /* 16 EB */
        CONSTANT("\xc1\x01"),                             /* half an integer */
        CONSTANT("\xc4\x01\x01"),                         /* no such encoding */
        CONSTANT("\xc3\x04\x05\x03"
                 "abc"),          /* compressed, cut */
        CONSTANT("\xc3\x00\x05"), /* compressed from nothing */
        CONSTANT("\xc3\x04\x00\x02"
                 "abc"), /* to nothing */
        CONSTANT("\xc3\x04\x04\x02"
                 "abc"), /* gives less than it says */
        CONSTANT("\xc3\x04\x02\x02"
                 "abc"),                  /* gives more */
        CONSTANT("\xc3\x02\x03\x20\x00"), /* refers to before its start */
        CONSTANT("\xc3\x04\x04\x00"
                 "a\x20\x05"), /* further back than there is */
        CONSTANT("\xc3\x03\x80\x20\x00\x00\x00\x00"
                 "a\x20"), /* 512 MB from 3 bytes */
    };
    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++)
        assert_int_equal(read_whole(bytes[i]), RDB_INVALID);
    assert_int_equal(read_whole(LITERAL("\xc3\x04\x04\x00"
                                        "a\x20\x00")),
                     RDB_DONE);
}

static void test_strings_over_the_limit_are_invalid(void **state)
{
    struct rdb_string s = {0};
    struct rdb_reader r;
    struct slice value;
    rdb_reader_init(&r, LITERAL("\x05hello"));
    r.budget = 100;
    r.string_max = 4;
    assert_int_equal(rdb_read_string(&r, &s, &value), RDB_INVALID);
    rdb_reader_init(&r, LITERAL("\xc3\x04\x04\x00"
                                "a\x20\x00"));
    r.budget = 100;
    r.string_max = 3;
    assert_int_equal(rdb_read_string(&r, &s, &value), RDB_INVALID);
    rdb_string_fini(&s);
}

/* ---- LZF against liblzf ---- */

static void test_any_stream_expands_as_liblzf_does(void **state)
{
    static uint8_t stream[400], theirs[40000], ours[40000];
    struct rng rng;
    unsigned valid = 0;
    rng_seed(&rng, 7);
    for (unsigned round = 0; round < 200000; round++) {
        size_t len = 1 + rng_below(&rng, 60);
        for (size_t i = 0; i < len; i++)
            stream[i] = (uint8_t)(rng_below(&rng, 3) ? rng_below(&rng, 40) : rng_next(&rng));
        unsigned want = lzf_decompress(stream, (unsigned)len, theirs, sizeof(theirs));
        struct rdb_unlzf u = {0};
        struct slice in = slice_from(stream, len);
        size_t filled = 0;
        bool good = rdb_unlzf(&u, &in, ours, sizeof(ours), &filled) && rdb_unlzf_at_end(&u);
        assert_int_equal(good, want > 0);
        if (!good)
            continue;
        valid++;
        assert_int_equal(filled, want);
        assert_memory_equal(ours, theirs, want);
    }
    assert_true(valid > 1000);
}

static void test_pieces_one_behind_the_other_are_one_stream(void **state)
{
    static uint8_t text[60000], stream[70000], back[60000];
    struct rng rng;
    size_t used = 0;
    rng_seed(&rng, 8);
    fill(&rng, text, sizeof(text), 2);
    fill(&rng, text + 20000, 9000, 0);
    for (size_t at = 0; at < sizeof(text);) {
        size_t len = 1 + rng_below(&rng, RDB_LZF_PIECE);
        len = len < sizeof(text) - at ? len : sizeof(text) - at;
        used += rdb_lzf_pack(slice_from(text + at, len), stream + used);
        at += len;
    }
    assert_int_equal(lzf_decompress(stream, (unsigned)used, back, sizeof(back)), sizeof(back));
    assert_memory_equal(back, text, sizeof(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checksum_is_that_of_redis),
        cmocka_unit_test(test_lengths_are_as_short_as_can_be),
        cmocka_unit_test(test_what_is_no_length_is_invalid),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_strings_are_written_as_redis_does),
        cmocka_unit_test(test_only_longer_strings_are_compressed),
        cmocka_unit_test(test_any_string_comes_back_however_it_is_cut),
        cmocka_unit_test(test_long_strings_come_in_parts),
        cmocka_unit_test(test_blocks_are_of_their_own),
        cmocka_unit_test(test_a_kept_string_survives_its_window),
        cmocka_unit_test(test_lying_strings_are_invalid),
        cmocka_unit_test(test_strings_over_the_limit_are_invalid),
        cmocka_unit_test(test_any_stream_expands_as_liblzf_does),
        cmocka_unit_test(test_pieces_one_behind_the_other_are_one_stream),
    };
    return cmocka_run_group_tests_name("rdb", tests, NULL, NULL);
}
