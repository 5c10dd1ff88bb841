#include "one_client.h"

static void test_set_and_get(void **state)
{
    SAYS("GET k", NIL);
    SAYS("SET k v", OK);
    SAYS("GET k", "$1\r\nv\r\n");
    SAYS("SET \"\" \"\"", OK);
    SAYS("GET \"\"", "$0\r\n\r\n");
    SAYS("SETNX k w", ":0\r\n");
    SAYS("SETNX n w", ":1\r\n");
    SAYS("GETSET k x", "$1\r\nv\r\n");
    SAYS("GETDEL k", "$1\r\nx\r\n");
    SAYS("GETDEL k", NIL);
    SAYS("STRLEN n", ":1\r\n");
}

static void test_set_conditions(void **state)
{
    SAYS("SET k 1 XX", NIL);
    SAYS("SET k 1 NX", OK);
    SAYS("SET k 2 NX", NIL);
    SAYS("SET k 2 NX GET", "$1\r\n1\r\n");
    SAYS("SET k 3 XX GET", "$1\r\n1\r\n");
    SAYS("GET k", "$1\r\n3\r\n");
    SAYS("SET new 3 GET", NIL);
    SAYS("SET k 1 NX XX", "-ERR syntax error\r\n");
    SAYS("SET k 1 EX 5 PX 5", "-ERR syntax error\r\n");
    SAYS("SET k 1 EX", "-ERR syntax error\r\n");
    SAYS("SET k 1 KEEPTTL EX 5", "-ERR syntax error\r\n");
    SAYS("SET k 1 PERSIST", "-ERR syntax error\r\n");
    SAYS("RPUSH l 1", ":1\r\n");
    SAYS("SET l 1 GET", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
    SAYS("SET l 1", OK);
    SAYS("GET l", "$1\r\n1\r\n");
}

static void test_set_times(void **state)
{
    SAYS("SET k v PX 1500", OK);
    SAYS("PTTL k", ":1500\r\n");
    SAYS("SET k w KEEPTTL", OK);
    SAYS("PTTL k", ":1500\r\n");
    SAYS("SET k w", OK);
    SAYS("TTL k", ":-1\r\n");
    SAYS("SETEX k 10 v", OK);
    SAYS("TTL k", ":10\r\n");
    SAYS("PSETEX k 10 v", OK);
    test_node_advance(node, 11);
    SAYS("GET k", NIL);
    SAYS("SET k v EX 0", "-ERR invalid expire time in 'set' command\r\n");
    SAYS("SETEX k 9223372036854775807 v", "-ERR invalid expire time in 'setex' command\r\n");
    SAYS("SET k v PX 9223372036854775807", "-ERR invalid expire time in 'set' command\r\n");
    SAYS("SET k v EX x", "-ERR value is not an integer or out of range\r\n");
    SAYS("GETEX k EX x", NIL);
    SAYS("SET k v", OK);
    SAYS("GETEX k EX 100", "$1\r\nv\r\n");
    SAYS("TTL k", ":100\r\n");
    SAYS("GETEX k PERSIST", "$1\r\nv\r\n");
    SAYS("TTL k", ":-1\r\n");
    SAYS("GETEX k EXAT 1", "$1\r\nv\r\n");
    SAYS("EXISTS k", ":0\r\n");
}

static void test_encodings(void **state)
{
    SAYS("SET k 12", OK);
    SAYS("OBJECT ENCODING k", "$3\r\nint\r\n");
    SAYS("APPEND k 3", ":3\r\n");
    SAYS("OBJECT ENCODING k", "$3\r\nraw\r\n");
    SAYS("INCR k", ":124\r\n");
    SAYS("OBJECT ENCODING k", "$3\r\nint\r\n");
    SAYS("INCRBYFLOAT k 1", "$3\r\n125\r\n");
    SAYS("OBJECT ENCODING k", "$6\r\nembstr\r\n");
    SAYS("SET k abc", OK);
    SAYS("OBJECT ENCODING k", "$6\r\nembstr\r\n");
    SAYS("SETRANGE k 0 x", ":3\r\n");
    SAYS("OBJECT ENCODING k", "$3\r\nraw\r\n");
    SAYS("COPY k c", ":1\r\n");
    SAYS("OBJECT ENCODING c", "$3\r\nraw\r\n");
    SAYS("RENAME c d", OK);
    SAYS("OBJECT ENCODING d", "$3\r\nraw\r\n");
    SAYS("SET k 5", OK);
    SAYS("OBJECT REFCOUNT k", ":2147483647\r\n");
    SAYS("SET k 10000", OK);
    SAYS("OBJECT REFCOUNT k", ":1\r\n");
}

static void test_counters(void **state)
{
    SAYS("INCR k", ":1\r\n");
    SAYS("DECRBY k 3", ":-2\r\n");
    SAYS("SET k 9223372036854775807", OK);
    SAYS("INCR k", "-ERR increment or decrement would overflow\r\n");
    SAYS("DECRBY k -9223372036854775808", "-ERR decrement would overflow\r\n");
    SAYS("SET k \" 1\"", OK);
    SAYS("INCR k", "-ERR value is not an integer or out of range\r\n");
    SAYS("INCRBYFLOAT k 1", "-ERR value is not a valid float\r\n");
    SAYS("SET k 10.5", OK);
    SAYS("INCRBYFLOAT k 0.1", "$4\r\n10.6\r\n");
    SAYS("INCRBYFLOAT k nan", "-ERR value is not a valid float\r\n");
    SAYS("INCRBYFLOAT k inf", "-ERR increment would produce NaN or Infinity\r\n");
    SAYS("SET t 1 EX 100", OK);
    SAYS("INCR t", ":2\r\n");
    SAYS("TTL t", ":100\r\n");
    SAYS("RPUSH l 1", ":1\r\n");
    SAYS("INCR l", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
}

static void test_ranges(void **state)
{
    SAYS("SET k Hello", OK);
    SAYS("GETRANGE k 1 3", "$3\r\nell\r\n");
    SAYS("GETRANGE k -3 -1", "$3\r\nllo\r\n");
    SAYS("GETRANGE k -9223372036854775808 9223372036854775807", "$5\r\nHello\r\n");
    SAYS("GETRANGE k 3 1", "$0\r\n\r\n");
    SAYS("GETRANGE no 0 -1", "$0\r\n\r\n");
    SAYS("SUBSTR k 0 0", "$1\r\nH\r\n");
    SAYS("SETRANGE k 6 x", ":7\r\n");
    char want[] = "$7\r\nHello\0x\r\n";
    test_send(client, "GET k\r\n", 7);
    size_t len;
    const char *got = test_replies(client, &len);
    assert_int_equal(len, sizeof(want) - 1);
    assert_memory_equal(got, want, len);
    SAYS("SETRANGE k -1 x", "-ERR offset is out of range\r\n");
    SAYS("SETRANGE k 536870912 x",
         "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n");
    SAYS("SETRANGE k 9223372036854775807 x",
         "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n");
    SAYS("SETRANGE no 5 \"\"", ":0\r\n");
    SAYS("EXISTS no", ":0\r\n");
}

/* Across the limit of what an entry holds itself, and several chunks. */
static void test_large_values(void **state)
{
    static char value[50000], command[51000], want[51000];
    for (size_t i = 0; i < sizeof(value); i++)
        value[i] = (char)('a' + i % 23);
    int head = snprintf(command, sizeof(command), "*3\r\n$6\r\nAPPEND\r\n$1\r\nk\r\n$1000\r\n");
    for (size_t at = 0; at < sizeof(value); at += 1000) {
        memcpy(command + head, value + at, 1000);
        memcpy(command + head + 1000, "\r\n", 2);
        snprintf(want, sizeof(want), ":%zu\r\n", at + 1000);
        test_send(client, command, (size_t)head + 1002);
        assert_string_equal(test_replies(client, NULL), want);
    }
    memcpy(value + 16380, "0123456789", 10);
    SAYS("SETRANGE k 16380 0123456789", ":50000\r\n");
    SAYS("GETRANGE k 16383 16386", "$4\r\n3456\r\n");
    SAYS("STRLEN k", ":50000\r\n");
    head = snprintf(want, sizeof(want), "$50000\r\n");
    memcpy(want + head, value, sizeof(value));
    memcpy(want + head + sizeof(value), "\r\n", 3);
    SAYS("GET k", want);
    SAYS("COPY k c", ":1\r\n");
    SAYS("SETRANGE k 0 xyz", ":50000\r\n");
    SAYS("GET c", want);
    SAYS("GETDEL c", want);
    SAYS("INCR k", "-ERR value is not an integer or out of range\r\n");
}

static void test_many_at_once(void **state)
{
    SAYS("MSET a 1 b 2 a 3", OK);
    SAYS("MGET a b no a", "*4\r\n$1\r\n3\r\n$1\r\n2\r\n$-1\r\n$1\r\n3\r\n");
    SAYS("MSETNX c 1 a 1", ":0\r\n");
    SAYS("EXISTS c", ":0\r\n");
    SAYS("MSETNX c 1 c 2", ":1\r\n");
    SAYS("GET c", "$1\r\n2\r\n");
    SAYS("MSET a 1 b", "-ERR wrong number of arguments for 'mset' command\r\n");
    SAYS("RPUSH l 1", ":1\r\n");
    SAYS("MGET l a", "*2\r\n$-1\r\n$1\r\n3\r\n");
}

/* More keys than stand on the stack, and more slots than one section names. */
static void test_very_many_at_once(void **state)
{
    static char text[20000];
    int at = snprintf(text, sizeof(text), "MSET");
    for (int i = 0; i < 700; i++)
        at += snprintf(text + at, sizeof(text) - (size_t)at, " key%d %d", i, i);
    at += snprintf(text + at, sizeof(text) - (size_t)at, "\r\n");
    test_send(client, text, (size_t)at);
    assert_string_equal(test_replies(client, NULL), OK);
    SAYS("DBSIZE", ":700\r\n");
    SAYS("GET key699", "$3\r\n699\r\n");
}

static void test_lcs(void **state)
{
    SAYS("MSET a ohmytext b mynewtext", OK);
    SAYS("LCS a b", "$6\r\nmytext\r\n");
    SAYS("LCS a b LEN", ":6\r\n");
    SAYS("LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN",
         "*4\r\n$7\r\nmatches\r\n*1\r\n*3\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n:4\r\n"
         "$3\r\nlen\r\n:6\r\n");
    SAYS("LCS a no", "$0\r\n\r\n");
    SAYS("LCS a b LEN IDX",
         "-ERR If you want both the length and indexes, please just use IDX.\r\n");
    SAYS("RPUSH l 1", ":1\r\n");
    SAYS("LCS a l", "-ERR The specified keys must contain string values\r\n");
    test_node_config(node, "proto-max-bulk-len", "1mb");
    SAYS("SETRANGE big 20000 x", ":20001\r\n");
    SAYS("LCS big big",
         "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_set_and_get, setup, teardown),
        cmocka_unit_test_setup_teardown(test_set_conditions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_set_times, setup, teardown),
        cmocka_unit_test_setup_teardown(test_encodings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_counters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ranges, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_very_many_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lcs, setup, teardown),
    };
    return cmocka_run_group_tests_name("string", tests, NULL, NULL);
}
