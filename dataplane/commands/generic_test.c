#include "one_client.h"

static void test_counting_and_deleting(void **state)
{
    SAYS("MSET a 1 b 2 c 3", OK);
    SAYS("EXISTS a a no b", ":3\r\n");
    SAYS("TOUCH a no", ":1\r\n");
    SAYS("DEL a a b", ":2\r\n");
    SAYS("UNLINK c no", ":1\r\n");
    SAYS("DBSIZE", ":0\r\n");
    SAYS("TYPE a", "+none\r\n");
    SAYS("RANDOMKEY", NIL);
    SAYS("RPUSH l 1", ":1\r\n");
    SAYS("TYPE l", "+list\r\n");
    SAYS("RANDOMKEY", "$1\r\nl\r\n");
    SAYS("FLUSHALL now", "-ERR syntax error\r\n");
    SAYS("FLUSHALL ASYNC", OK);
    SAYS("EXISTS l", ":0\r\n");
    SAYS("FLUSHDB", OK);
}

static void test_expire_conditions(void **state)
{
    SAYS("EXPIRE k 10", ":0\r\n");
    SAYS("SET k v", OK);
    SAYS("EXPIRE k 10 XX", ":0\r\n");
    SAYS("EXPIRE k 10 GT", ":0\r\n");
    SAYS("EXPIRE k 10 NX", ":1\r\n");
    SAYS("EXPIRE k 20 NX", ":0\r\n");
    SAYS("EXPIRE k 5 GT", ":0\r\n");
    SAYS("EXPIRE k 20 GT", ":1\r\n");
    SAYS("EXPIRE k 30 LT", ":0\r\n");
    SAYS("TTL k", ":20\r\n");
    SAYS("PERSIST k", ":1\r\n");
    SAYS("PERSIST k", ":0\r\n");
    SAYS("EXPIRE k 30 LT", ":1\r\n");
    SAYS("EXPIRE k 1 NX GT",
         "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n");
    SAYS("EXPIRE k 1 GT LT", "-ERR GT and LT options at the same time are not compatible\r\n");
    SAYS("EXPIRE k 1 foo", "-ERR Unsupported option foo\r\n");
    SAYS("EXPIRE k x", "-ERR value is not an integer or out of range\r\n");
    SAYS("EXPIRE k 9223372036854775807", "-ERR invalid expire time in 'expire' command\r\n");
    SAYS("PEXPIRE k 9223372036854775807", "-ERR invalid expire time in 'pexpire' command\r\n");
    SAYS("EXPIRE k -1", ":1\r\n");
    SAYS("EXISTS k", ":0\r\n");
}

static void test_time_passes(void **state)
{
    SAYS("SET k v", OK);
    SAYS("PEXPIREAT k 1700000001500", ":1\r\n");
    SAYS("PTTL k", ":1500\r\n");
    SAYS("TTL k", ":2\r\n");
    SAYS("PEXPIRETIME k", ":1700000001500\r\n");
    SAYS("EXPIRETIME k", ":1700000002\r\n");
    test_node_advance(node, 1500); /* the last millisecond counts, as in Redis */
    SAYS("EXISTS k", ":1\r\n");
    test_node_advance(node, 1);
    SAYS("EXISTS k", ":0\r\n");
    SAYS("TTL k", ":-2\r\n");
    SAYS("RPUSH l a b", ":2\r\n");
    SAYS("EXPIRE l 1", ":1\r\n");
    test_node_advance(node, 1001);
    SAYS("LLEN l", ":0\r\n");
}

static void test_rename(void **state)
{
    SAYS("RENAME a b", "-ERR no such key\r\n");
    SAYS("MSET a 1 b 2", OK);
    SAYS("RENAMENX a b", ":0\r\n");
    SAYS("RENAMENX a a", ":0\r\n");
    SAYS("RENAME a a", OK);
    SAYS("EXPIRE a 100", ":1\r\n");
    SAYS("RENAME a b", OK);
    SAYS("GET b", "$1\r\n1\r\n");
    SAYS("TTL b", ":100\r\n");
    SAYS("EXISTS a", ":0\r\n");
    SAYS("RPUSH l 1 2", ":2\r\n");
    SAYS("EXPIRE l 50", ":1\r\n");
    SAYS("RENAME l b", OK);
    SAYS("LRANGE b 0 -1", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    SAYS("TTL b", ":50\r\n");
    SAYS("DBSIZE", ":1\r\n");
}

static void test_copy(void **state)
{
    SAYS("COPY a b", ":0\r\n");
    SAYS("COPY a a", "-ERR source and destination objects are the same\r\n");
    SAYS("HSET a f v", ":1\r\n");
    SAYS("EXPIRE a 100", ":1\r\n");
    SAYS("COPY a b", ":1\r\n");
    SAYS("HSET a f w", ":0\r\n");
    SAYS("HGET b f", "$1\r\nv\r\n");
    SAYS("TTL b", ":100\r\n");
    SAYS("COPY a b", ":0\r\n");
    SAYS("COPY a b REPLACE", ":1\r\n");
    SAYS("HGET b f", "$1\r\nw\r\n");
    SAYS("COPY a b DB 0 REPLACE", ":1\r\n");
    SAYS("COPY a b DB 1", "-ERR DB index is out of range\r\n");
    SAYS("COPY a b foo", "-ERR syntax error\r\n");
}

static void test_object(void **state)
{
    SAYS("OBJECT ENCODING no", NIL);
    SAYS("SET k v", OK);
    SAYS("OBJECT IDLETIME k", ":0\r\n");
    test_node_advance(node, 30000);
    SAYS("OBJECT IDLETIME k", ":30\r\n");
    SAYS("TYPE k", "+string\r\n");
    SAYS("OBJECT IDLETIME k", ":30\r\n");
    SAYS("GET k", "$1\r\nv\r\n");
    SAYS("OBJECT IDLETIME k", ":0\r\n");
    SAYS("OBJECT FREQ k",
         "-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note "
         "that when switching between policies at runtime LRU and LFU data will take some time to "
         "adjust.\r\n");
    test_node_config(node, "maxmemory-policy", "allkeys-lfu");
    SAYS("SET f v", OK);
    SAYS("OBJECT FREQ f", ":5\r\n");
    SAYS("OBJECT foo k", "-ERR unknown subcommand 'foo'. Try OBJECT HELP.\r\n");
}

/* ---- SCAN, KEYS ---- */

static void fill(int count)
{
    char text[64];
    for (int i = 0; i < count; i++) {
        int len = snprintf(text, sizeof(text), "SET key:%d %d\r\n", i, i);
        test_send(client, text, (size_t)len);
        assert_string_equal(test_replies(client, NULL), OK);
    }
}

/* Marks the keys of a reply; how many bulks of "key:N" there were. */
static int mark(const char *reply, bool *seen, int count)
{
    int found = 0;
    for (const char *at = strstr(reply, "key:"); at; at = strstr(at + 1, "key:")) {
        int n = atoi(at + 4);
        assert_true(n >= 0 && n < count);
        seen[n] = true;
        found++;
    }
    return found;
}

static void test_scan_returns_all(void **state)
{
    enum { COUNT = 500 };
    bool seen[COUNT] = {false};
    char cursor[32] = "0", text[128];
    int calls = 0;
    fill(COUNT);
    do {
        int len = snprintf(text, sizeof(text), "SCAN %s COUNT 7\r\n", cursor);
        test_send(client, text, (size_t)len);
        const char *reply = test_replies(client, NULL);
        assert_int_equal(sscanf(reply, "*2\r\n$%*d\r\n%31[0-9]\r\n", cursor), 1);
        mark(reply, seen, COUNT);
        assert_true(++calls < 2 * COUNT);
    } while (strcmp(cursor, "0") != 0);
    assert_true(calls > 10);
    for (int i = 0; i < COUNT; i++)
        assert_true(seen[i]);
}

static void test_scan_filters(void **state)
{
    SAYS("MSET aa 1 ab 2", OK);
    SAYS("RPUSH ac 1", ":1\r\n");
    SAYS("SCAN 0 MATCH ?c COUNT 1000", "*2\r\n$1\r\n0\r\n*1\r\n$2\r\nac\r\n");
    SAYS("SCAN 0 TYPE list COUNT 1000", "*2\r\n$1\r\n0\r\n*1\r\n$2\r\nac\r\n");
    SAYS("SCAN 0 TYPE nosuch COUNT 1000", "*2\r\n$1\r\n0\r\n*0\r\n");
    SAYS("SCAN 0 COUNT 0", "-ERR syntax error\r\n");
    SAYS("SCAN 0 COUNT x", "-ERR value is not an integer or out of range\r\n");
    SAYS("SCAN 0 foo", "-ERR syntax error\r\n");
    SAYS("SCAN x", "-ERR invalid cursor\r\n");
    SAYS("SCAN 18446744073709551616", "-ERR invalid cursor\r\n");
    SAYS("KEYS a[ab]x", "*0\r\n");
    SAYS("KEYS ?c", "*1\r\n$2\r\nac\r\n");
}

/* KEYS runs in pieces; what the same client sends behind it waits for its turn. */
static void test_keys_of_many(void **state)
{
    enum { COUNT = 3000 };
    static bool seen[COUNT];
    fill(COUNT);
    test_send(client, "KEYS *\r\nPING\r\n", 14);
    const char *reply = test_replies(client, NULL);
    assert_int_equal(strncmp(reply, "*3000\r\n", 7), 0);
    assert_int_equal(mark(reply, seen, COUNT), COUNT);
    assert_string_equal(reply + strlen(reply) - 7, "+PONG\r\n");
    for (int i = 0; i < COUNT; i++)
        assert_true(seen[i]);
    test_send(client, "MULTI\r\nKEYS key:17\r\nEXEC\r\n", 26);
    assert_string_equal(test_replies(client, NULL),
                        "+OK\r\n+QUEUED\r\n*1\r\n*1\r\n$6\r\nkey:17\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_counting_and_deleting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_expire_conditions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_time_passes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rename, setup, teardown),
        cmocka_unit_test_setup_teardown(test_copy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_object, setup, teardown),
        cmocka_unit_test_setup_teardown(test_scan_returns_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_scan_filters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keys_of_many, setup, teardown),
    };
    return cmocka_run_group_tests_name("generic", tests, NULL, NULL);
}
