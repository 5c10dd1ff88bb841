#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "metrics.h"
#include "test_node.h"

#define LCORES 3

static struct test_node *node;
static struct test_client *a, *b, *far;

static int setup(void **state)
{
    node = test_node_new(LCORES);
    a = test_connect(node, 0);
    b = test_connect(node, 0);
    far = test_connect(node, 2);
    return 0;
}

static int teardown(void **state)
{
    test_node_free(node);
    return 0;
}

#define WRONGPASS "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
#define NOAUTH "-NOAUTH Authentication required.\r\n"

static void hello_speaks_both_protocols(void **state)
{
    TEST_SAYS(a, "HELLO\r\n",
              "*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$"
              "5\r\nproto\r\n:2\r\n"
              "$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
              "$7\r\nmodules\r\n*0\r\n");
    TEST_SAYS(a, "HELLO 3 SETNAME ab AUTH default any\r\n",
              "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$"
              "5\r\nproto\r\n:3\r\n"
              "$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
              "$7\r\nmodules\r\n*0\r\n");
    TEST_SAYS(a, "CLIENT GETNAME\r\nRESET\r\nCLIENT GETNAME\r\n", "$2\r\nab\r\n+RESET\r\n$-1\r\n");
    TEST_SAYS(a, "HELLO 4\r\nHELLO 1\r\nHELLO a\r\n", /* row 16 */
              "-NOPROTO unsupported protocol version\r\n-NOPROTO unsupported protocol version\r\n"
              "-ERR Protocol version is not an integer or out of range\r\n");
    TEST_SAYS(
        a, "HELLO 2 x\r\nHELLO 3 AUTH default\r\nHELLO 3 SETNAME\r\n",
        "-ERR Syntax error in HELLO option 'x'\r\n-ERR Syntax error in HELLO option 'AUTH'\r\n"
        "-ERR Syntax error in HELLO option 'SETNAME'\r\n");
    TEST_SAYS(a, "HELLO 3 SETNAME \"a b\"\r\n",
              "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
}

static void a_password_is_asked_for(void **state)
{
    TEST_SAYS(
        a, "AUTH x\r\n",
        "-ERR AUTH <password> called without any password configured for the default user. Are "
        "you sure your configuration is correct?\r\n");
    TEST_SAYS(a, "AUTH default x\r\nAUTH a b\r\nAUTH a b c\r\n",
              "+OK\r\n" WRONGPASS "-ERR syntax error\r\n");
    test_node_config(node, "requirepass", "secret");
    TEST_SAYS(a, "PING\r\n", "+PONG\r\n"); /* it came before the password */
    struct test_client *c = test_connect(node, 1);
    TEST_SAYS(c, "PING\r\nNOSUCH\r\nGET\r\n",
              NOAUTH "-ERR unknown command 'NOSUCH', with args beginning with: \r\n"
                     "-ERR wrong number of arguments for 'get' command\r\n");
    TEST_SAYS(
        c, "HELLO 3\r\n",
        "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
        "AUTH <user> <pass> option can be used to authenticate the client and select the "
        "RESP protocol version at the same time\r\n");
    TEST_SAYS(
        c, "HELLO 3 SETNAME \"a b\" AUTH default secret\r\nPING\r\n",
        "-ERR Client names cannot contain spaces, newlines or special characters.\r\n" NOAUTH);
    TEST_SAYS(c, "AUTH secre\r\nAUTH secrets\r\nAUTH SECRET\r\nAUTH \"\"\r\nAUTH other secret\r\n",
              WRONGPASS WRONGPASS WRONGPASS WRONGPASS WRONGPASS);
    TEST_SAYS(c, "AUTH \"secret\\x00\"\r\nAUTH secretsecret\r\nPING\r\n", /* row 13 */
              WRONGPASS WRONGPASS NOAUTH);
    TEST_SAYS(c, "AUTH secret\r\nPING\r\nRESET\r\nPING\r\n", "+OK\r\n+PONG\r\n+RESET\r\n" NOAUTH);
    test_node_config(node, "requirepass", "");
    TEST_SAYS(c, "PING\r\n", "+PONG\r\n");
}

static void guessing_passwords_costs_nothing(void **state) /* row 13 */
{
    test_node_config(node, "requirepass", "secret");
    struct test_client *c = test_connect(node, 1);
    char guess[1100] = "*2\r\n$4\r\nAUTH\r\n$1000\r\n";
    size_t head = strlen(guess);
    memset(guess + head, '\0', 1000);
    memcpy(guess + head + 1000, "\r\n", 2);
    size_t before = session_mem_bytes(c->stream->stream.user);
    for (int i = 0; i < 20000; i++) {
        guess[head + (size_t)i % 1000] = (char)i;
        test_send(c, guess, head + 1002);
        assert_string_equal(test_replies(c, NULL), WRONGPASS);
    }
    assert_int_equal(session_mem_bytes(c->stream->stream.user), before);
    TEST_SAYS(c, "PING\r\nAUTH secret\r\nPING\r\n", NOAUTH "+OK\r\n+PONG\r\n");
}

static void passwords_stay_out_of_the_slow_log(void **state)
{
    test_node_config(node, "slowlog-log-slower-than", "0");
    TEST_SEND(a, "AUTH default word1\r\nAUTH word2\r\nHELLO 2 SETNAME auth AUTH default word3\r\n"
                 "AUTH x word4 y z\r\nHELLO 2 AUTH default word5 AUTH default\r\n");
    test_replies(a, NULL);
    TEST_SEND(a, "SLOWLOG GET\r\n");
    const char *log = test_replies(a, NULL);
    assert_null(strstr(log, "word"));
    assert_non_null(strstr(log,
                           "$5\r\nHELLO\r\n$1\r\n2\r\n$7\r\nSETNAME\r\n$4\r\nauth\r\n$4\r\nAUTH"
                           "\r\n$10\r\n(redacted)\r\n$10\r\n(redacted)\r\n"));
}

static void strangers_are_kept_small(void **state)
{
    test_node_config(node, "requirepass", "secret");
    struct test_client *c = test_connect(node, 0);
    TEST_SAYS(c, "*11\r\n",
              "-ERR Protocol error: unauthenticated multibulk length\r\n"); /* row 11 */
    assert_true(c->stream->closed);
    c = test_connect(node, 0);
    TEST_SAYS(c, "*2\r\n$4\r\nAUTH\r\n$16385\r\n",
              "-ERR Protocol error: unauthenticated bulk length\r\n");
    /* Row 12: one that never reads is cut. */
    c = test_connect(node, 0);
    for (int i = 0; i < 2000 && !test_is_closed(c); i++)
        TEST_SEND(c, "PING\r\n");
    assert_true(c->stream->aborted);
    TEST_SAYS(a, "PING\r\n", "+PONG\r\n");
}

static void clients_describe_themselves(void **state)
{
    test_node_advance(node, 5000);
    TEST_SAYS(a, "CLIENT SETNAME x\r\nCLIENT ID\r\n", "+OK\r\n:1\r\n");
    TEST_SEND(a, "CLIENT INFO\r\n");
    const char *line = strchr(test_replies(a, NULL), '\n') + 1;
    static const char start[] =
        "id=1 addr=10.0.0.1:1001 laddr=10.77.0.1:6379 fd=-1 name=x age=5 idle=0 "
        "flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf=";
    assert_memory_equal(line, start, sizeof(start) - 1);
    assert_non_null(strstr(line, " cmd=client|info user=default redir=-1 resp=2\n\r\n"));
    TEST_SEND(b, "MULTI\r\nPING\r\n");
    TEST_SEND(far, "SUBSCRIBE x\r\n");
    TEST_SEND(a, "CLIENT LIST\r\n");
    const char *list = test_replies(a, NULL);
    const char *first = strstr(list, "id=1 "), *second = strstr(list, "\nid=2 "),
               *third = strstr(list, "\nid=3 ");
    assert_true(first && second > first && third > second);
    assert_non_null(strstr(first, " flags=N "));
    assert_non_null(strstr(second, " flags=x db=0 sub=0 psub=0 ssub=0 multi=1 "));
    assert_non_null(strstr(third, " flags=P db=0 sub=1 "));
    TEST_SEND(a, "CLIENT LIST TYPE pubsub\r\n");
    list = test_replies(a, NULL);
    assert_non_null(strstr(list, "\nid=3 "));
    assert_null(strstr(list, "id=1 "));
    TEST_SEND(a, "CLIENT LIST ID 1 2\r\n");
    list = test_replies(a, NULL);
    assert_non_null(strstr(list, "\nid=2 "));
    assert_null(strstr(list, "id=3 "));
    TEST_SAYS(a, "CLIENT LIST ID 99\r\nCLIENT LIST TYPE master\r\n", "$0\r\n\r\n$0\r\n\r\n");
    TEST_SAYS(a,
              "CLIENT LIST TYPE foo\r\nCLIENT LIST ID 1 x\r\nCLIENT LIST ID\r\nCLIENT LIST foo\r\n",
              "-ERR Unknown client type 'foo'\r\n-ERR Invalid client ID\r\n-ERR syntax error\r\n"
              "-ERR syntax error\r\n");
}

static void long_lists_come_in_pieces(void **state)
{
    enum { COUNT = 300 };
    struct test_client *clients[COUNT];
    for (int i = 0; i < COUNT; i++)
        clients[i] = test_connect(node, (unsigned)i % LCORES);
    /* Clients come and go while the list is made. */
    test_stream_push(a->stream, "CLIENT LIST\r\n", 13);
    for (int i = 0; i < COUNT; i += 3)
        test_stream_reset(clients[i]->stream);
    test_connect(node, 2);
    test_node_run(node);
    const char *list = test_replies(a, NULL);
    unsigned lines = 0;
    for (const char *at = strstr(list, "id="); at; at = strstr(at + 1, "\nid="))
        lines++;
    assert_int_equal(lines, COUNT - COUNT / 3 + 4);
    TEST_SAYS(a, "MULTI\r\nCLIENT LIST\r\nPING\r\nEXEC\r\n", /* cannot wait for other lcores */
              "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n-ERR Command not allowed inside a transaction\r\n"
              "+PONG\r\n");
    TEST_SEND(a, "HELLO 3\r\nCLIENT LIST\r\n");
    assert_non_null(strstr(test_replies(a, NULL), "\r\ntxt:id=1 "));
    TEST_SAYS(a, "CLIENT KILL TYPE normal\r\n", ":203\r\n");
    assert_true(test_is_closed(clients[1]));
}

static void clients_are_killed_anywhere(void **state)
{
    TEST_SAYS(a, "CLIENT KILL 10.0.0.1:1003\r\nCLIENT KILL 10.0.0.1:1003\r\n",
              "+OK\r\n-ERR No such client\r\n");
    assert_true(far->stream->closed);
    TEST_SAYS(a, "CLIENT KILL ID 2\r\nCLIENT KILL ID 2\r\n", ":1\r\n:0\r\n");
    assert_true(b->stream->closed);
    TEST_SAYS(a, "CLIENT KILL TYPE normal\r\nCLIENT KILL USER default SKIPME yes\r\n",
              ":0\r\n:0\r\n");
    struct test_client *c = test_connect(node, 1), *d = test_connect(node, 2);
    TEST_SEND(c, "SUBSCRIBE x\r\n");
    TEST_SAYS(a, "CLIENT KILL TYPE pubsub\r\nCLIENT KILL LADDR 10.77.0.1:6379\r\n", ":1\r\n:1\r\n");
    assert_true(c->stream->closed && d->stream->closed);
    TEST_SAYS(a, "CLIENT KILL ADDR 1.1.1.1:1 LADDR 2.2.2.2:2\r\nCLIENT KILL ID x\r\n",
              ":0\r\n-ERR client-id should be greater than 0\r\n");
    TEST_SAYS(a, "CLIENT KILL ID 0 TYPE x\r\nCLIENT KILL TYPE foo SKIPME no\r\n",
              "-ERR client-id should be greater than 0\r\n-ERR Unknown client type 'foo'\r\n");
    TEST_SAYS(a, "CLIENT KILL USER nobody\r\nCLIENT KILL ID 1 ADDR\r\nCLIENT KILL FOO bar\r\n",
              "-ERR No such user 'nobody'\r\n-ERR syntax error\r\n-ERR syntax error\r\n");
    TEST_SAYS(a, "CLIENT KILL TYPE normal SKIPME no\r\nPING\r\n", ":1\r\n");
    assert_true(a->stream->closed);
}

static void parked_clients_may_be_killed(void **state) /* row 30 */
{
    /* Both ask all lcores, and kill each other while they wait. */
    test_stream_push(a->stream, "CLIENT KILL ID 3\r\n", 18);
    test_stream_push(far->stream, "CLIENT KILL ID 1\r\n", 18);
    test_node_run(node);
    assert_true(test_is_closed(a) || test_is_closed(far));
    test_stream_push(b->stream, "CLIENT LIST\r\n", 13);
    test_stream_reset(b->stream);
    test_node_run(node);
    struct test_client *c = test_connect(node, 1);
    TEST_SAYS(c, "PING\r\n", "+PONG\r\n");
    /* One that is killed in the middle of its burst executes nothing more. */
    TEST_SAYS(c, "SET k 1\r\nCLIENT KILL ID 4 SKIPME no\r\nSET k 2\r\n", "+OK\r\n:1\r\n");
    struct test_client *d = test_connect(node, 1);
    TEST_SAYS(d, "GET k\r\n", "$1\r\n1\r\n");
}

static void replies_are_switched_off(void **state)
{
    TEST_SAYS(a, "CLIENT REPLY OFF\r\nPING\r\nCLIENT REPLY ON\r\nPING\r\n", "+OK\r\n+PONG\r\n");
    TEST_SAYS(a, "CLIENT REPLY SKIP\r\nPING\r\nPING\r\n", "+PONG\r\n");
    TEST_SAYS(a, "CLIENT REPLY OFF\r\nCLIENT REPLY SKIP\r\nPING\r\nCLIENT REPLY ON\r\n", "+OK\r\n");
    TEST_SAYS(a, "CLIENT REPLY SKIP\r\nNOSUCH\r\nPING\r\n", "+PONG\r\n");
    TEST_SAYS(a, "CLIENT REPLY foo\r\nCLIENT NO-EVICT x\r\nCLIENT NO-EVICT on\r\n",
              "-ERR syntax error\r\n-ERR syntax error\r\n+OK\r\n");
}

/* Answers that come by mail, or from a job, are silenced like those that come at once. */
static void late_replies_are_switched_off_too(void **state)
{
    test_node_config(node, "enable-debug-command", "yes");
    TEST_SAYS(b, "DEBUG POPULATE 20000\r\n", "+OK\r\n");
    static const char *const late[] = {
        "CLIENT LIST\r\n",          "CLIENT KILL ID 999\r\n", "KEYS key:1999*\r\n",
        "DEBUG POPULATE 30000\r\n", "INFO everything\r\n",    "LATENCY HISTOGRAM\r\n",
    };
    for (unsigned i = 0; i < sizeof(late) / sizeof(late[0]); i++) {
        char text[200];
        int len = snprintf(text, sizeof(text), "CLIENT REPLY SKIP\r\n%sPING\r\n", late[i]);
        test_send(a, text, (size_t)len);
        assert_string_equal(test_replies(a, NULL), "+PONG\r\n");
        len = snprintf(text, sizeof(text), "CLIENT REPLY OFF\r\n%sPING\r\nCLIENT REPLY ON\r\n%s",
                       late[i], late[i]);
        test_send(a, text, (size_t)len);
        const char *said = test_replies(a, NULL);
        assert_memory_equal(said, "+OK\r\n", 5);
        assert_true(said[5] != '\0'); /* and this one is heard */
    }
}

static void pauses_hold_commands_back(void **state)
{
    TEST_SAYS(b, "MULTI\r\nSET k w\r\n", "+OK\r\n+QUEUED\r\n");
    TEST_SAYS(a, "CLIENT PAUSE 1000 WRITE\r\nGET k\r\nSET k v\r\nGET k\r\n", "+OK\r\n$-1\r\n");
    TEST_SAYS(far, "GET k\r\nPUBLISH x y\r\n", "$-1\r\n"); /* writes to the replication stream */
    TEST_SAYS(b, "EXEC\r\n", "");
    test_node_advance(node, 500);
    TEST_SAYS(a, "", "");
    test_node_advance(node, 600);
    test_node_run(node);
    assert_string_equal(test_replies(a, NULL), "+OK\r\n$1\r\nv\r\n");
    assert_string_equal(test_replies(far, NULL), ":0\r\n");
    assert_string_equal(test_replies(b, NULL), "*1\r\n+OK\r\n");
    TEST_SAYS(a, "CLIENT PAUSE 1000\r\nPING\r\n", "+OK\r\n");
    TEST_SAYS(b, "PING\r\n", "");
    test_stream_reset(b->stream); /* a paused client may go */
    test_node_advance(node, 2000);
    test_node_run(node);
    assert_string_equal(test_replies(a, NULL), "+PONG\r\n");
    TEST_SAYS(a, "CLIENT PAUSE 100000 WRITE\r\nCLIENT PAUSE 1 WRITE\r\nSET k x\r\n",
              "+OK\r\n+OK\r\n");
    test_node_advance(node, 1000);
    TEST_SAYS(far, "CLIENT UNPAUSE\r\n", "+OK\r\n");
    test_node_run(node);
    assert_string_equal(test_replies(a, NULL), "+OK\r\n");
    TEST_SAYS(a, "CLIENT PAUSE x\r\nCLIENT PAUSE -1\r\nCLIENT PAUSE 1 FOO\r\n",
              "-ERR timeout is not an integer or out of range\r\n-ERR timeout is negative\r\n"
              "-ERR CLIENT PAUSE mode must be WRITE or ALL\r\n");
}

static void too_many_clients_are_told(void **state)
{
    test_node_config(node, "maxclients", "3");
    struct test_client *c = test_connect(node, 1);
    assert_string_equal(test_replies(c, NULL), "-ERR max number of clients reached\r\n");
    assert_true(c->stream->closed);
    test_stream_reset(b->stream);
    test_node_run(node);
    c = test_connect(node, 1);
    TEST_SAYS(c, "PING\r\n", "+PONG\r\n");
}

static void idle_clients_time_out(void **state)
{
    test_node_config(node, "timeout", "10");
    TEST_SEND(b, "SUBSCRIBE x\r\n");
    test_node_advance(node, 9000);
    TEST_SEND(a, "PING\r\n");
    test_node_advance(node, 2000);
    test_node_run(node);
    assert_false(test_is_closed(a));
    assert_false(test_is_closed(b)); /* subscribers wait for others */
    assert_true(far->stream->closed);
}

static void soft_limits_take_their_time(void **state)
{
    test_node_config(node, "client-output-buffer-limit", "normal 0 20kb 10");
    char text[2100] = "ECHO ";
    memset(text + 5, 'm', 2000);
    memcpy(text + 2005, "\r\n", 2);
    for (int i = 0; i < 20; i++)
        test_send(a, text, 2007);
    test_node_advance(node, 5000);
    test_node_run(node);
    assert_false(test_is_closed(a));
    test_replies(a, NULL); /* read in time */
    test_node_advance(node, 20000);
    test_node_run(node);
    assert_false(test_is_closed(a));
    for (int i = 0; i < 20; i++)
        test_send(a, text, 2007);
    test_node_advance(node, 12000);
    test_node_run(node);
    assert_true(a->stream->aborted);
}

static void selecting_and_unblocking(void **state)
{
    TEST_SAYS(a, "SELECT 0\r\nSELECT 1\r\nSELECT -1\r\nSELECT x\r\n",
              "+OK\r\n-ERR DB index is out of range\r\n-ERR DB index is out of range\r\n"
              "-ERR value is not an integer or out of range\r\n");
    TEST_SAYS(a, "CLIENT UNBLOCK 5\r\nCLIENT UNBLOCK x\r\nCLIENT UNBLOCK 5 FOO\r\n",
              ":0\r\n-ERR value is not an integer or out of range\r\n"
              "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n");
    TEST_SAYS(
        a, "CLIENT UNBLOCK 5 TIMEOUT x\r\n",
        "-ERR unknown subcommand or wrong number of arguments for 'UNBLOCK'. Try CLIENT HELP.\r\n");
    TEST_SEND(a, "CLIENT HELP\r\n");
    assert_non_null(strstr(test_replies(a, NULL), "\r\n+CLIENT <subcommand> [<arg> "));
    TEST_SAYS(a, "QUIT\r\nPING\r\n", "+OK\r\n");
    assert_true(a->stream->closed);
}

int main(void)
{
#define WITH_NODE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_NODE(hello_speaks_both_protocols),       WITH_NODE(a_password_is_asked_for),
        WITH_NODE(guessing_passwords_costs_nothing),  WITH_NODE(passwords_stay_out_of_the_slow_log),
        WITH_NODE(strangers_are_kept_small),          WITH_NODE(clients_describe_themselves),
        WITH_NODE(long_lists_come_in_pieces),         WITH_NODE(clients_are_killed_anywhere),
        WITH_NODE(parked_clients_may_be_killed),      WITH_NODE(replies_are_switched_off),
        WITH_NODE(late_replies_are_switched_off_too), WITH_NODE(pauses_hold_commands_back),
        WITH_NODE(too_many_clients_are_told),         WITH_NODE(idle_clients_time_out),
        WITH_NODE(soft_limits_take_their_time),       WITH_NODE(selecting_and_unblocking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
