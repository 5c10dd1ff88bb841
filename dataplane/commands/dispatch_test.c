#include "command.h"
#include "metrics.h"
#include "name_key.h"
#include "stats.h"
#include "one_client.h"

static void every_row_is_found_in_any_case(void **state)
{
    for (unsigned i = 0; i < command_count(); i++) {
        const struct command *cmd = command_at(i);
        char upper[64];
        size_t len = strlen(cmd->name);
        for (size_t k = 0; k <= len; k++)
            upper[k] = cmd->name[k] >= 'a' && cmd->name[k] <= 'z' ? (char)(cmd->name[k] - 32)
                                                                  : cmd->name[k];
        assert_ptr_equal(command_lookup(slice_str(cmd->name)), cmd);
        assert_ptr_equal(command_lookup(slice_str(upper)), cmd);
        assert_true(cmd->handler || cmd->subcommands);
        assert_non_null(cmd->group);
        assert_non_null(cmd->summary);
        assert_true(cmd->arity != 0);
        /* Only what cannot be part of a name differs by the case bit. */
        upper[0] ^= (char)0x80;
        assert_null(command_lookup(slice_str(upper)));
    }
    assert_null(command_lookup(slice_str("")));
    assert_null(command_lookup(slice_str("get\r")));
    assert_null(command_lookup(slice_str("no-such-command-of-any-node")));
}

static void names_fold_exactly(void **state)
{
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            char x[9] = "abcdefgh", y[9] = "abcdefgh";
            x[a % 8] = (char)a;
            y[a % 8] = (char)b;
            struct name_key kx, ky;
            assert_true(name_key_of(slice_from(x, 8), &kx));
            assert_true(name_key_of(slice_from(y, 8), &ky));
            unsigned la = a >= 'A' && a <= 'Z' ? a + 32 : a, lb = b >= 'A' && b <= 'Z' ? b + 32 : b;
            assert_int_equal(name_key_equal(&kx, &ky), la == lb);
        }
    }
}

static void unknown_commands_are_named(void **state)
{
    TEST_SAYS(client, "foo\r\n", "-ERR unknown command 'foo', with args beginning with: \r\n");
    TEST_SAYS(client, "foo 'b ar' x\r\n",
              "-ERR unknown command 'foo', with args beginning with: 'b ar' 'x' \r\n");
    TEST_SAYS(client, "\"foo\\r\\nbar\"\r\n",
              "-ERR unknown command 'foo  bar', with args beginning with: \r\n");
    TEST_SAYS(client, "*1\r\n$2\r\n\0\1\r\n",
              "-ERR unknown command '', with args beginning with: \r\n");
    TEST_SAYS(client, "*1\r\n$0\r\n\r\n",
              "-ERR unknown command '', with args beginning with: \r\n");
    TEST_SAYS(
        client,
        "foo abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz "
        "abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz\r\n",
        "-ERR unknown command 'foo', with args beginning with: 'abcdefghijklmnopqrstuvwxyz' "
        "'abcdefghijklmnopqrstuvwxyz' 'abcdefghijklmnopqrstuvwxyz' "
        "'abcdefghijklmnopqrstuvwxyz' 'abcdefghijkl' \r\n");
}

static void arguments_are_counted(void **state)
{
    TEST_SAYS(client, "echo\r\n", "-ERR wrong number of arguments for 'echo' command\r\n");
    TEST_SAYS(client, "PING a b\r\n", "-ERR wrong number of arguments for 'ping' command\r\n");
    TEST_SAYS(client, "CLIENT\r\n", "-ERR wrong number of arguments for 'client' command\r\n");
    TEST_SAYS(client, "CLIENT KILL\r\n",
              "-ERR wrong number of arguments for 'client|kill' command\r\n");
    TEST_SAYS(client, "CLIENT foo bar\r\n", "-ERR unknown subcommand 'foo'. Try CLIENT HELP.\r\n");
    TEST_SAYS(client, "CLIENT \"li\\nst\"\r\n",
              "-ERR unknown subcommand 'li st'. Try CLIENT HELP.\r\n");
    TEST_SAYS(client, "PUBSUB CHANNELS a b\r\n",
              "-ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB "
              "HELP.\r\n");
}

/* Row numbers are those of the table of bad input. */
static void bad_requests_end_the_connection(void **state)
{
    static const struct {
        const char *request, *reply;
    } rows[] = {
        {"*2147483648\r\n", "invalid multibulk length"},                           /* 2 */
        {"*99999999999999999999\r\n", "invalid multibulk length"},                 /* 2 */
        {"*1\r\n$-1\r\n", "invalid bulk length"},                                  /* 4 */
        {"*1\r\n$abc\r\n", "invalid bulk length"},                                 /* 4 */
        {"*1\r\n$\r\n", "invalid bulk length"},                                    /* 4 */
        {"*1\r\n$+5\r\n", "invalid bulk length"},                                  /* 4 */
        {"*1\r\n+OK\r\n", "expected '$', got '+'"},                                /* 4 */
        {"*1\r\n$536870913\r\n", "invalid bulk length"},                           /* 5 */
        {"*1\r\n$4\r\nPINGxx", "expected CRLF after bulk"},                        /* 7 */
        {"\"abc\r\n", "unbalanced quotes in request"},                             /* 8 */
        {"POST / HTTP/1.1\r\nHost: x\r\n\r\n", "POST and Host: are not commands"}, /* 14 */
        {"host: x\r\nPING\r\n", "POST and Host: are not commands"},                /* 14 */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char want[128], request[128];
        struct test_client *c = test_connect(node, 0);
        snprintf(request, sizeof(request), "PING\r\n%sPING\r\n", rows[i].request);
        test_send(c, request, strlen(request));
        snprintf(want, sizeof(want), "+PONG\r\n-ERR Protocol error: %s\r\n", rows[i].reply);
        assert_string_equal(test_replies(c, NULL), want);
        assert_true(c->stream->closed);
    }
    struct test_client *tls = test_connect(node, 0); /* 15 */
    TEST_SEND(tls, "\x16\x03\x01\x02\x00\x01\x00");
    assert_string_equal(test_replies(tls, NULL), "-ERR Protocol error: NUL in inline request\r\n");
    assert_true(tls->stream->closed);
    TEST_SAYS(client, "PING\r\n", "+PONG\r\n");
}

static void nothing_is_replied_to_nothing(void **state) /* row 1 */
{
    TEST_SAYS(client, "*-1\r\n*0\r\n\r\n*1\r\n$4\r\nPING\r\n", "+PONG\r\n");
}

static void pieces_make_no_difference(void **state) /* row 9 */
{
    static const char text[] =
        "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\nGET key\r\n*2\r\n$4\r\n"
        "ECHO\r\n$4\r\na\r\nb\r\nPING \"x y\"\r\n";
    static const char want[] = "+OK\r\n$5\r\nvalue\r\n$4\r\na\r\nb\r\n$3\r\nx y\r\n";
    for (size_t step = 1; step < sizeof(text); step++) {
        test_send_pieces(client, text, sizeof(text) - 1, step);
        assert_string_equal(test_replies(client, NULL), want);
    }
    assert_int_equal(client->stream->stream.user ? 1 : 0, 1);
    struct session *s = client->stream->stream.user;
    assert_null(s->query);
}

static void a_deep_pipeline_is_answered_in_order(void **state) /* row 10 */
{
    const int count = 100000;
    char *text = malloc((size_t)count * 32), *at = text;
    for (int i = 0; i < count; i++) {
        char number[16];
        int len = snprintf(number, sizeof(number), "%d", i);
        at += sprintf(at, "*2\r\n$4\r\nECHO\r\n$%d\r\n%s\r\n", len, number);
    }
    test_send(client, text, (size_t)(at - text));
    const char *got = test_replies(client, NULL);
    for (int i = 0; i < count; i++) {
        char want[32], number[16];
        int len = snprintf(number, sizeof(number), "%d", i);
        len = snprintf(want, sizeof(want), "$%d\r\n%s\r\n", len, number);
        assert_memory_equal(got, want, (size_t)len);
        got += len;
    }
    free(text);
}

static void announced_data_costs_nothing(void **state) /* rows 3 and 6 */
{
    struct session *s = client->stream->stream.user;
    size_t before = session_mem_bytes(s);
    TEST_SAYS(client, "*1048577\r\n", "");
    assert_true(session_mem_bytes(s) - before < 2048);
    struct test_client *other = test_connect(node, 0);
    TEST_SAYS(other, "*2\r\n$4\r\nECHO\r\n$536870912\r\nabc", "");
    assert_true(session_mem_bytes(other->stream->stream.user) - before < 4096);
}

static void the_query_buffer_has_a_limit(void **state)
{
    test_node_config(node, "client-query-buffer-limit", "1mb");
    char *junk = calloc(1, 600000);
    TEST_SAYS(client, "*2\r\n$4\r\nECHO\r\n$5000000\r\n", "");
    test_send(client, junk, 600000);
    assert_false(test_is_closed(client));
    test_send(client, junk, 600000);
    assert_true(client->stream->aborted);
    free(junk);
}

static void statistics_count_what_happened(void **state)
{
    const struct command *set = command_lookup(slice_str("set"));
    const struct command *incr = command_lookup(slice_str("incr"));
    struct node *shared = test_node_shared(node);
    command_stats_reset(shared);
    TEST_SAYS(client, "SET k v\r\nSET k v\r\nSET k\r\n",
              "+OK\r\n+OK\r\n-ERR wrong number of arguments for 'set' command\r\n");
    TEST_SAYS(client, "INCR k\r\n", "-ERR value is not an integer or out of range\r\n");
    struct command_totals t = command_stats_sum(shared, set);
    assert_int_equal(t.calls, 2);
    assert_int_equal(t.rejected, 1);
    assert_int_equal(t.failed, 0);
    t = command_stats_sum(shared, incr);
    assert_int_equal(t.calls, 1);
    assert_int_equal(t.failed, 1);
    struct error_total errors[ERROR_TOTALS_MAX];
    assert_int_equal(error_totals(shared, errors, ERROR_TOTALS_MAX), 1);
    assert_string_equal(errors[0].code, "ERR");
    assert_int_equal(errors[0].count, 2);
    command_stats_reset(shared);
    assert_int_equal(command_stats_sum(shared, set).calls, 0);
    assert_int_equal(error_totals(shared, errors, ERROR_TOTALS_MAX), 0);
}

static void keys_stand_where_the_rows_say(void **state)
{
    static const struct key_spec by_count = {
        .begin = 1, .keynum_index = 0, .keynum_first = 1, .keynum_step = 1};
    static const struct key_spec by_word = {
        .begin = 2, .keyword = "STREAMS", .last = -1, .limit = 2};
    struct command counted = {.name = "x", .keys = {by_count}};
    struct command worded = {.name = "x", .keys = {by_word}};
    struct command pairs = {.name = "x", .keys = {{.begin = 1, .last = -1, .step = 2}}};
    struct slice argv[] = {slice_str("x"), slice_str("2"), slice_str("streams"), slice_str("b"),
                           slice_str("c")};
    uint32_t at[4];
    assert_int_equal(command_keys(&counted, argv, 5, at, 4), 2);
    assert_int_equal(at[0], 2);
    assert_int_equal(at[1], 3);
    assert_int_equal(command_keys(&counted, argv, 3, at, 4), -1);
    argv[1] = slice_str("99999999999999999999");
    assert_int_equal(command_keys(&counted, argv, 5, at, 4), -1);
    argv[1] = slice_str("-1");
    assert_int_equal(command_keys(&counted, argv, 5, at, 4), -1);
    assert_int_equal(command_keys(&worded, argv, 5, at, 4), 1);
    assert_int_equal(at[0], 3);
    assert_int_equal(command_keys(&pairs, argv, 5, at, 1), 2);
    assert_int_equal(at[0], 1);
}

static void eof_closes_once_all_is_answered(void **state)
{
    test_stream_push(client->stream, "PING\r\nPI", 8);
    test_stream_eof(client->stream);
    test_node_run(node);
    assert_string_equal(test_replies(client, NULL), "+PONG\r\n");
    assert_true(client->stream->closed);
}

int main(void)
{
#define WITH_NODE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_NODE(every_row_is_found_in_any_case),  WITH_NODE(names_fold_exactly),
        WITH_NODE(unknown_commands_are_named),      WITH_NODE(arguments_are_counted),
        WITH_NODE(bad_requests_end_the_connection), WITH_NODE(nothing_is_replied_to_nothing),
        WITH_NODE(pieces_make_no_difference),       WITH_NODE(a_deep_pipeline_is_answered_in_order),
        WITH_NODE(announced_data_costs_nothing),    WITH_NODE(the_query_buffer_has_a_limit),
        WITH_NODE(statistics_count_what_happened),  WITH_NODE(keys_stand_where_the_rows_say),
        WITH_NODE(eof_closes_once_all_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
