#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "test_node.h"

static struct test_node *node;
static struct test_client *a, *b;

static int setup(void **state)
{
    node = test_node_new(1);
    a = test_connect(node, 0);
    b = test_connect(node, 0);
    return 0;
}

static int teardown(void **state)
{
    test_node_free(node);
    return 0;
}

static void queued_commands_run_together(void **state)
{
    TEST_SAYS(a, "MULTI\r\nSET a b\r\nGET a\r\n", "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
    TEST_SAYS(b, "GET a\r\n", "$-1\r\n");
    TEST_SAYS(a, "EXEC\r\n", "*2\r\n+OK\r\n$1\r\nb\r\n");
    TEST_SAYS(a, "MULTI\r\nEXEC\r\n", "+OK\r\n*0\r\n");
    TEST_SAYS(a, "MULTI\r\nPUBLISH a b\r\nPING x\r\nECHO x\r\nEXEC\r\n",
              "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n:0\r\n$1\r\nx\r\n$1\r\nx\r\n");
}

static void errors_inside_do_not_stop_the_rest(void **state)
{
    TEST_SAYS(a, "MULTI\r\nSET a x\r\nINCR a\r\nGET a\r\nEXEC\r\n",
              "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n"
              "-ERR value is not an integer or out of range\r\n$1\r\nx\r\n");
}

static void refused_commands_abort(void **state)
{
    TEST_SAYS(a, "MULTI\r\nNOSUCH\r\nSET a b\r\nEXEC\r\nGET a\r\n",
              "+OK\r\n-ERR unknown command 'NOSUCH', with args beginning with: \r\n+QUEUED\r\n"
              "-EXECABORT Transaction discarded because of previous errors.\r\n$-1\r\n");
    TEST_SAYS(a, "MULTI\r\nGET\r\nEXEC\r\n",
              "+OK\r\n-ERR wrong number of arguments for 'get' command\r\n"
              "-EXECABORT Transaction discarded because of previous errors.\r\n");
    TEST_SAYS(a, "MULTI\r\nCLIENT FOO\r\nEXEC\r\n",
              "+OK\r\n-ERR unknown subcommand 'FOO'. Try CLIENT HELP.\r\n"
              "-EXECABORT Transaction discarded because of previous errors.\r\n");
    TEST_SAYS(a, "MULTI\r\nDISCARD x\r\nEXEC\r\n",
              "+OK\r\n-ERR wrong number of arguments for 'discard' command\r\n"
              "-EXECABORT Transaction discarded because of previous errors.\r\n");
    TEST_SAYS(a, "MULTI\r\nGET a\r\nEXEC x\r\nEXEC\r\n",
              "+OK\r\n+QUEUED\r\n-EXECABORT Transaction discarded because of: wrong number of "
              "arguments for 'exec' command\r\n-ERR EXEC without MULTI\r\n");
}

static void misplaced_commands_are_refused(void **state)
{
    TEST_SAYS(a, "EXEC x\r\n",
              "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' "
              "command\r\n");
    TEST_SAYS(a, "EXEC\r\nDISCARD\r\n",
              "-ERR EXEC without MULTI\r\n-ERR DISCARD without MULTI\r\n");
    TEST_SAYS(
        a, "MULTI\r\nMULTI\r\nWATCH a\r\nPING\r\nEXEC\r\n",
        "+OK\r\n-ERR MULTI calls can not be nested\r\n-ERR WATCH inside MULTI is not allowed\r\n"
        "+QUEUED\r\n*1\r\n+PONG\r\n");
    TEST_SAYS(a, "MULTI\r\nSET a b\r\nDISCARD\r\nEXEC\r\nGET a\r\n",
              "+OK\r\n+QUEUED\r\n+OK\r\n-ERR EXEC without MULTI\r\n$-1\r\n");
}

static void watched_keys_stop_exec(void **state)
{
    TEST_SAYS(a, "WATCH k\r\nMULTI\r\nGET k\r\n", "+OK\r\n+OK\r\n+QUEUED\r\n");
    TEST_SAYS(b, "SET k 1\r\n", "+OK\r\n");
    TEST_SAYS(a, "EXEC\r\nEXEC\r\n", "*-1\r\n-ERR EXEC without MULTI\r\n");
    TEST_SAYS(a, "MULTI\r\nGET k\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n$1\r\n1\r\n");
    TEST_SAYS(a, "WATCH k\r\nSET k 2\r\nUNWATCH\r\nMULTI\r\nGET k\r\nEXEC\r\n",
              "+OK\r\n+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n$1\r\n2\r\n");
    TEST_SAYS(a, "WATCH k\r\nMULTI\r\nDISCARD\r\nSET k 3\r\nMULTI\r\nGET k\r\nEXEC\r\n",
              "+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n$1\r\n3\r\n");
    TEST_SEND(a, "HELLO 3\r\n");
    test_replies(a, NULL);
    TEST_SAYS(a, "WATCH k\r\nSET k 4\r\nMULTI\r\nEXEC\r\n", "+OK\r\n+OK\r\n+OK\r\n_\r\n");
}

static void every_kind_of_change_is_seen(void **state)
{
    static const char *const changes[] = {"DEL k\r\n",      "EXPIRE k 100\r\n",
                                          "APPEND k x\r\n", "RENAME k other\r\n",
                                          "FLUSHALL\r\n",   "SETRANGE k 5 x\r\n"};
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        TEST_SAYS(b, "SET k v\r\n", "+OK\r\n");
        TEST_SAYS(a, "WATCH none k\r\n", "+OK\r\n");
        test_send(b, changes[i], strlen(changes[i]));
        free(test_stream_take(b->stream, NULL));
        TEST_SAYS(a, "MULTI\r\nPING\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*-1\r\n");
    }
    TEST_SAYS(b, "SET k v\r\n", "+OK\r\n");
    TEST_SAYS(a, "WATCH k\r\n", "+OK\r\n");
    TEST_SAYS(b, "GET k\r\nDEL none\r\nSET other v\r\n", "$1\r\nv\r\n:0\r\n+OK\r\n");
    TEST_SAYS(a, "MULTI\r\nPING\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n");
}

static void watching_knows_expiry(void **state)
{
    TEST_SAYS(a, "SET k v PX 100\r\nWATCH k\r\nMULTI\r\nPING\r\n",
              "+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n");
    test_node_advance(node, 200);
    TEST_SAYS(a, "EXEC\r\n", "*-1\r\n");
    /* Expired before it was watched: its later deletion changes nothing. */
    TEST_SAYS(a, "SET k v PX 100\r\n", "+OK\r\n");
    test_node_advance(node, 200);
    TEST_SAYS(a, "WATCH k\r\nMULTI\r\nPING\r\nEXEC\r\n",
              "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n");
}

static void connection_commands_work_inside(void **state)
{
    TEST_SAYS(a, "MULTI\r\nUNWATCH\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
    TEST_SAYS(a, "MULTI\r\nSUBSCRIBE x\r\nEXEC\r\nUNSUBSCRIBE x\r\n",
              "+OK\r\n+QUEUED\r\n*1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n"
              "*3\r\n$11\r\nunsubscribe\r\n$1\r\nx\r\n:0\r\n");
    TEST_SAYS(a, "MULTI\r\nCLIENT REPLY OFF\r\nPING\r\nEXEC\r\nPING\r\nCLIENT REPLY ON\r\n",
              "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n");
    TEST_SAYS(a, "MULTI\r\nCLIENT REPLY SKIP\r\nPING\r\nEXEC\r\nPING\r\nPING\r\n",
              "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+PONG\r\n+PONG\r\n");
    TEST_SAYS(a, "MULTI\r\nCLIENT ID\r\nRESET\r\nEXEC\r\n",
              "+OK\r\n+QUEUED\r\n+RESET\r\n-ERR EXEC without MULTI\r\n");
    TEST_SAYS(a, "MULTI\r\nSHUTDOWN\r\nEXEC\r\n",
              "+OK\r\n-ERR Command not allowed inside a transaction\r\n"
              "-EXECABORT Transaction discarded because of previous errors.\r\n");
    TEST_SAYS(a, "MULTI\r\nQUIT\r\nPING\r\n", "+OK\r\n+OK\r\n");
    assert_true(a->stream->closed);
}

static void clients_are_listed_inside(void **state)
{
    for (int i = 0; i < 200; i++)
        test_connect(node, 0);
    TEST_SEND(a, "MULTI\r\nCLIENT LIST\r\nCLIENT KILL ID 2\r\nEXEC\r\nCLIENT LIST\r\nPING\r\n");
    const char *got = test_replies(a, NULL), *after = strstr(got, "\r\n:1\r\n$");
    assert_non_null(strstr(got, "*2\r\n$"));
    assert_non_null(strstr(got, "\nid=202 "));
    assert_non_null(after);
    assert_non_null(strstr(after, "\nid=202 "));
    assert_null(strstr(after, "\nid=2 "));
    assert_string_equal(got + strlen(got) - 7, "+PONG\r\n");
}

static void queues_are_bounded(void **state)
{
    test_node_config(node, "client-query-buffer-limit", "1mb");
    TEST_SAYS(a, "MULTI\r\n", "+OK\r\n");
    char *big = malloc(200000);
    memset(big, 'x', 200000);
    for (int i = 0; i < 6; i++) {
        TEST_SEND(a, "*2\r\n$4\r\nECHO\r\n$200000\r\n");
        test_send(a, big, 200000);
        TEST_SEND(a, "\r\n");
    }
    free(big);
    assert_true(a->stream->aborted);
}

#define OOM "-OOM command not allowed when used memory > 'maxmemory'.\r\n"

static void short_memory_refuses_queueing(void **state)
{
    TEST_SAYS(b, "SET q q\r\nMULTI\r\nSET k v\r\n", "+OK\r\n+OK\r\n+QUEUED\r\n");
    test_node_config(node, "maxmemory", "1");
    TEST_SAYS(a, "SET x y\r\nGET x\r\nDEL x\r\n", OOM "$-1\r\n:0\r\n");
    TEST_SAYS(a, "MULTI\r\nGET x\r\nEXEC\r\n",
              "+OK\r\n" OOM "-EXECABORT Transaction discarded because of previous errors.\r\n");
    TEST_SAYS(a, "MULTI\r\nGET x\r\nDISCARD\r\n", "+OK\r\n" OOM "+OK\r\n");
    TEST_SAYS(
        b, "EXEC\r\nGET k\r\n",
        "-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > "
        "'maxmemory'.\r\n$-1\r\n");
    test_node_config(node, "maxmemory", "0");
}

static void many_keys_lock_everything(void **state)
{
    TEST_SAYS(a, "MULTI\r\n", "+OK\r\n");
    for (int i = 0; i < 400; i++) {
        char text[64];
        int len = snprintf(text, sizeof(text), "SET key:%d %d\r\n", i, i);
        test_send(a, text, (size_t)len);
    }
    free(test_stream_take(a->stream, NULL));
    TEST_SEND(a, "EXEC\r\nGET key:399\r\n");
    const char *got = test_replies(a, NULL);
    assert_memory_equal(got, "*400\r\n+OK\r\n", 11);
    assert_string_equal(got + 6 + 400 * 5, "$3\r\n399\r\n");
}

int main(void)
{
#define WITH_NODE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_NODE(queued_commands_run_together),  WITH_NODE(errors_inside_do_not_stop_the_rest),
        WITH_NODE(refused_commands_abort),        WITH_NODE(misplaced_commands_are_refused),
        WITH_NODE(watched_keys_stop_exec),        WITH_NODE(every_kind_of_change_is_seen),
        WITH_NODE(watching_knows_expiry),         WITH_NODE(connection_commands_work_inside),
        WITH_NODE(clients_are_listed_inside),     WITH_NODE(queues_are_bounded),
        WITH_NODE(short_memory_refuses_queueing), WITH_NODE(many_keys_lock_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
