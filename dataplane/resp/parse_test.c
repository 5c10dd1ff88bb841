#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "parse.h"
#include "rng.h"

#define ROOM 8

static const struct resp_limits open_limits = {536870912, RESP_INLINE_MAX, true};
static const struct resp_limits closed_limits = {536870912, RESP_INLINE_MAX, false};

/* What came out of a byte stream: commands as "[3]len:bytes;…", then "!error" or "?" when
 * unfinished. */
struct trace {
    char *text;
    size_t len, size;
};

static void trace_add(struct trace *t, const void *data, size_t len)
{
    if (t->len + len + 1 > t->size) {
        t->size = (t->len + len + 1) * 2;
        t->text = realloc(t->text, t->size);
        assert_non_null(t->text);
    }
    memcpy(t->text + t->len, data, len);
    t->len += len;
    t->text[t->len] = '\0';
}

static void trace_command(struct trace *t, const struct resp_command *cmd)
{
    char number[32];
    int n = snprintf(number, sizeof(number), "[%u]", cmd->argc);
    trace_add(t, number, (size_t)n);
    for (uint32_t i = 0; i < cmd->argc; i++) {
        n = snprintf(number, sizeof(number), "%zu:", cmd->argv[i].len);
        trace_add(t, number, (size_t)n);
        trace_add(t, cmd->argv[i].data, cmd->argv[i].len);
        trace_add(t, ";", 1);
    }
}

/* A connection: keeps unparsed bytes in a buffer of exactly their size (so that ASan sees a read
 * past them), at a new address for each piece. */
struct feed {
    struct resp_parser parser;
    const struct resp_limits *limits;
    uint8_t *bytes;
    size_t len;
    bool failed;
    struct trace trace;
};

static void feed_start(struct feed *f, const struct resp_limits *limits)
{
    *f = (struct feed){.limits = limits};
    resp_parser_init(&f->parser);
    trace_add(&f->trace, "", 0);
}

static void feed_bytes(struct feed *f, const void *data, size_t len)
{
    if (f->failed)
        return;
    uint8_t *bytes = malloc(f->len + len + (f->len + len == 0));
    if (f->len > 0)
        memcpy(bytes, f->bytes, f->len);
    if (len > 0)
        memcpy(bytes + f->len, data, len);
    free(f->bytes);
    f->bytes = bytes;
    f->len += len;
    size_t at = 0;
    for (;;) {
        struct slice room[ROOM];
        struct resp_command cmd = {0};
        enum resp_result r = resp_parse(&f->parser, slice_from(f->bytes + at, f->len - at),
                                        f->limits, room, ROOM, &cmd);
        if (r == RESP_MORE)
            break;
        if (r == RESP_INVALID) {
            trace_add(&f->trace, "!", 1);
            trace_add(&f->trace, cmd.error, strlen(cmd.error));
            f->failed = true;
            return;
        }
        assert_true(cmd.consumed > 0);
        assert_true(resp_parser_idle(&f->parser));
        if (r == RESP_COMMAND)
            trace_command(&f->trace, &cmd);
        at += cmd.consumed;
    }
    memmove(f->bytes, f->bytes + at, f->len - at);
    f->len -= at;
}

static char *feed_end(struct feed *f)
{
    if (!f->failed && f->len > 0)
        trace_add(&f->trace, "?", 1);
    resp_parser_free(&f->parser);
    free(f->bytes);
    return f->trace.text;
}

static char *run_whole(const void *data, size_t len, const struct resp_limits *limits)
{
    struct feed f;
    feed_start(&f, limits);
    feed_bytes(&f, data, len);
    return feed_end(&f);
}

static void expect(const void *data, size_t len, const struct resp_limits *limits, const char *want)
{
    char *whole = run_whole(data, len, limits);
    assert_string_equal(whole, want);
    free(whole);
    for (size_t split = 0; split <= len; split++) {
        struct feed f;
        feed_start(&f, limits);
        feed_bytes(&f, data, split);
        feed_bytes(&f, (const uint8_t *)data + split, len - split);
        char *got = feed_end(&f);
        assert_string_equal(got, want);
        free(got);
    }
    struct feed f;
    feed_start(&f, limits);
    for (size_t i = 0; i < len; i++)
        feed_bytes(&f, (const uint8_t *)data + i, 1);
    char *got = feed_end(&f);
    assert_string_equal(got, want);
    free(got);
}

#define EXPECT(text, want) expect(text, sizeof(text) - 1, &open_limits, want)

static void commands_are_found_however_they_are_split(void **state)
{
    EXPECT("*1\r\n$4\r\nPING\r\n", "[1]4:PING;");
    EXPECT("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPING\r\n", "[2]3:GET;1:k;[1]4:PING;");
    EXPECT("*3\r\n$3\r\nSET\r\n$0\r\n\r\n$7\r\na\r\nb\r\nc\r\n", "[3]3:SET;0:;7:a\r\nb\r\nc;");
    EXPECT("*2\r\n$12\r\nabcdefghijkl\r\n$4\r\nPI", "?");
    EXPECT("PING\r\nPING x y\n", "[1]4:PING;[3]4:PING;1:x;1:y;");
}

static void more_arguments_than_room_take_the_table(void **state)
{
    EXPECT("*10\r\n$1\r\n0\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n$1\r\n5\r\n$1\r\n6\r\n$"
           "1\r\n7\r\n"
           "$1\r\n8\r\n$1\r\n9\r\n*1\r\n$1\r\nx\r\n",
           "[10]1:0;1:1;1:2;1:3;1:4;1:5;1:6;1:7;1:8;1:9;[1]1:x;");
    EXPECT("0 1 2 3 4 5 6 7 8 \"9\" 'a'\r\nx\n",
           "[11]1:0;1:1;1:2;1:3;1:4;1:5;1:6;1:7;1:8;1:9;1:a;[1]1:x;");
}

static void nothing_is_said_to_empty_requests(void **state)
{
    EXPECT("*-1\r\n*0\r\n\r\n   \r\n\n*-99\r\n*1\r\n$4\r\nPING\r\n", "[1]4:PING;");
}

static void array_headers_are_checked(void **state)
{
    EXPECT("*2147483648\r\n", "!invalid multibulk length");
    EXPECT("*99999999999999999999\r\n", "!invalid multibulk length");
    EXPECT("*\r\n", "!invalid multibulk length");
    EXPECT("* 1\r\n", "!invalid multibulk length");
    EXPECT("*+1\r\n", "!invalid multibulk length");
    EXPECT("*01\r\n", "!invalid multibulk length");
    EXPECT("*00\r\n", "!invalid multibulk length");
    EXPECT("*1x\r\n", "!invalid multibulk length");
    EXPECT("*-\r\n", "!invalid multibulk length");
    EXPECT("*1\n$4\r\nPING\r\n", "!invalid multibulk length");
    EXPECT("*1\rX", "!invalid multibulk length");
    EXPECT("*1048577\r\n", "?");
    EXPECT("*2147483647\r\n", "?");
}

static void bulk_headers_are_checked(void **state)
{
    EXPECT("*1\r\n$-1\r\n", "!invalid bulk length");
    EXPECT("*1\r\n$-9\r\n", "!invalid bulk length");
    EXPECT("*1\r\n$abc\r\n", "!invalid bulk length");
    EXPECT("*1\r\n$\r\n", "!invalid bulk length");
    EXPECT("*1\r\n$ 5\r\n", "!invalid bulk length");
    EXPECT("*1\r\n$05\r\nhello\r\n", "!invalid bulk length");
    EXPECT("*1\r\n$536870913\r\n", "!invalid bulk length");
    EXPECT("*1\r\n$9223372036854775808\r\n", "!invalid bulk length");
    EXPECT("*1\r\n+OK\r\n", "!expected '$', got '+'");
    EXPECT("*1\r\n\r\n", "!expected '$', got '\r'");
    EXPECT("*1\r\n$536870912\r\n", "?");
}

static void a_bulk_ends_in_crlf(void **state)
{
    EXPECT("*1\r\n$4\r\nPINGxx*1\r\n", "!expected CRLF after bulk");
    EXPECT("*1\r\n$4\r\nPING\n\r", "!expected CRLF after bulk");
}

static void the_unauthenticated_are_kept_short(void **state)
{
    expect("*10\r\n", 5, &closed_limits, "?");
    expect("*11\r\n", 5, &closed_limits, "!unauthenticated multibulk length");
    expect("*1\r\n$16384\r\n", 12, &closed_limits, "?");
    expect("*1\r\n$16385\r\n", 12, &closed_limits, "!unauthenticated bulk length");
}

static void inline_requests_are_unquoted(void **state)
{
    EXPECT("a \"b c\" 'd e'\r\n", "[3]1:a;3:b c;3:d e;");
    EXPECT("\"\\x41\\n\\r\\t\\b\\a\\q\\\"\"\n", "[1]8:A\n\r\t\b\aq\";");
    EXPECT("'a\\'b\\n'\n", "[1]5:a'b\\n;");
    EXPECT("foo\"bar\" x\n", "[2]6:foobar;1:x;");
    EXPECT("\"\" ''\n", "[2]0:;0:;");
    EXPECT("\"\\xzz\"\n", "[1]3:xzz;");
    EXPECT("\x0bPI\x0bNG\r\n", "[1]5:PI\x0bNG;");
    EXPECT("\"abc\n", "!unbalanced quotes in request");
    EXPECT("'abc\n", "!unbalanced quotes in request");
    EXPECT("\"abc\\\n", "!unbalanced quotes in request");
    EXPECT("\"abc\"d\n", "!unbalanced quotes in request");
    EXPECT("a \"b\" \"c\n", "!unbalanced quotes in request");
}

static void strangers_are_refused(void **state)
{
    EXPECT("PI\0NG\r\n", "!NUL in inline request");
    EXPECT("\x16\x03\x01\x02\x00\x01", "!NUL in inline request");
    EXPECT("RCmb\0\0\x08\xd0", "!NUL in inline request");
}

static void long_lines_are_refused(void **state)
{
    size_t len = RESP_INLINE_MAX + 2;
    char *line = malloc(len);
    const char first[] = {'P', '*'};
    const char *const want[] = {"!too big inline request", "!too big mbulk count string"};
    for (int i = 0; i < 2; i++) {
        memset(line, '1', len);
        line[0] = first[i];
        char *got = run_whole(line, RESP_INLINE_MAX, &open_limits);
        assert_string_equal(got, "?");
        free(got);
        got = run_whole(line, RESP_INLINE_MAX + 1, &open_limits);
        assert_string_equal(got, want[i]);
        free(got);
    }
    line[0] = 'P';
    line[len - 1] = '\n';
    char *got = run_whole(line, len, &open_limits);
    assert_string_equal(got, "!too big inline request");
    free(got);
    memcpy(line, "*1\r\n$", 5);
    got = run_whole(line, len - 2, &open_limits);
    assert_string_equal(got, "?");
    free(got);
    free(line);
}

static void a_million_arguments_arrive(void **state)
{
    const uint32_t count = 1000000;
    struct trace stream = {0};
    trace_add(&stream, "*1000000\r\n", 10);
    for (uint32_t i = 0; i < count; i++)
        trace_add(&stream, "$1\r\nx\r\n", 7);
    struct resp_parser p;
    resp_parser_init(&p);
    struct slice room[ROOM];
    struct resp_command cmd;
    /* Only what arrived costs memory. */
    assert_int_equal(resp_parse(&p, slice_from(stream.text, 10), &open_limits, room, ROOM, &cmd),
                     RESP_MORE);
    assert_int_equal(resp_parser_mem_bytes(&p), 0);
    for (size_t len = 10; len < stream.len; len += 1448)
        assert_int_equal(
            resp_parse(&p, slice_from(stream.text, len), &open_limits, room, ROOM, &cmd),
            RESP_MORE);
    assert_int_equal(
        resp_parse(&p, slice_from(stream.text, stream.len), &open_limits, room, ROOM, &cmd),
        RESP_COMMAND);
    assert_int_equal(cmd.argc, count);
    assert_int_equal(cmd.argv[count - 1].len, 1);
    assert_ptr_equal(cmd.argv[count - 1].data, stream.text + stream.len - 3);
    assert_true(resp_parser_lends(&p));
    resp_parser_trim(&p);
    assert_int_equal(resp_parser_mem_bytes(&p), 0);
    resp_parser_free(&p);
    free(stream.text);
}

static void random_command(struct rng *rng, struct trace *stream)
{
    char header[64];
    uint32_t argc = 1 + (uint32_t)rng_below(rng, 12);
    if (rng_below(rng, 4) == 0) {
        trace_add(stream, "PING 'a b' \"\\x00\"\r\n", 20);
        return;
    }
    trace_add(stream, header, (size_t)snprintf(header, sizeof(header), "*%u\r\n", argc));
    for (uint32_t i = 0; i < argc; i++) {
        char bytes[1200];
        size_t len = rng_below(rng, 8) == 0 ? rng_below(rng, sizeof(bytes)) : rng_below(rng, 20);
        for (size_t k = 0; k < len; k++)
            bytes[k] = "\r\n$*1ab\""[rng_below(rng, 8)];
        trace_add(stream, header, (size_t)snprintf(header, sizeof(header), "$%zu\r\n", len));
        trace_add(stream, bytes, len);
        trace_add(stream, "\r\n", 2);
    }
}

static void random_chunks_give_what_the_whole_gives(void **state)
{
    struct rng rng;
    rng_seed(&rng, 7);
    for (int round = 0; round < 300; round++) {
        struct trace stream = {0};
        for (int i = 0; i < 10; i++)
            random_command(&rng, &stream);
        if (round % 3 == 0)
            stream.text[rng_below(&rng, stream.len)] = (char)rng_next(&rng);
        struct feed f;
        feed_start(&f, &open_limits);
        feed_bytes(&f, stream.text, stream.len);
        size_t want_len = f.trace.len;
        char *want = feed_end(&f);
        feed_start(&f, &open_limits);
        for (size_t at = 0; at < stream.len;) {
            size_t n = 1 + rng_below(&rng, rng_below(&rng, 2) ? 5 : 700);
            n = n < stream.len - at ? n : stream.len - at;
            feed_bytes(&f, stream.text + at, n);
            at += n;
        }
        assert_int_equal(f.trace.len, want_len);
        assert_memory_equal(f.trace.text, want, want_len);
        free(feed_end(&f));
        free(want);
        free(stream.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_found_however_they_are_split),
        cmocka_unit_test(more_arguments_than_room_take_the_table),
        cmocka_unit_test(nothing_is_said_to_empty_requests),
        cmocka_unit_test(array_headers_are_checked),
        cmocka_unit_test(bulk_headers_are_checked),
        cmocka_unit_test(a_bulk_ends_in_crlf),
        cmocka_unit_test(the_unauthenticated_are_kept_short),
        cmocka_unit_test(inline_requests_are_unquoted),
        cmocka_unit_test(strangers_are_refused),
        cmocka_unit_test(long_lines_are_refused),
        cmocka_unit_test(a_million_arguments_arrive),
        cmocka_unit_test(random_chunks_give_what_the_whole_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
