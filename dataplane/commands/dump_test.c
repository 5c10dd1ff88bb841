#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "rdb_crc.h"
#include "rng.h"
#include "slice.h"
#include "test_node.h"

static struct test_node *node;
static struct test_client *client;

static int setup(void **state)
{
    node = test_node_new(1);
    client = test_connect(node, 0);
    test_node_config(node, "enable-debug-command", "yes");
    return 0;
}

static int teardown(void **state)
{
    test_node_free(node);
    return 0;
}

#define SAYS(text, want) TEST_SAYS(client, text "\r\n", want)
#define OK "+OK\r\n"
#define NIL "$-1\r\n"
#define BAD "-ERR Bad data format\r\n"
#define WRONG "-ERR DUMP payload version or checksum are wrong\r\n"
#define BUSY "-BUSYKEY Target key name already exists.\r\n"

/* ---- commands with any bytes ---- */

struct text {
    uint8_t *data;
    size_t len;
};

static void text_put(struct text *t, const void *data, size_t len)
{
    t->data = realloc(t->data, t->len + len + 1);
    if (len > 0)
        memcpy(t->data + t->len, data, len);
    t->len += len;
}

static void put_argument(struct text *t, struct slice word)
{
    char head[32];
    text_put(t, head, (size_t)snprintf(head, sizeof(head), "$%zu\r\n", word.len));
    text_put(t, word.data, word.len);
    text_put(t, "\r\n", 2);
}

/* RESTORE key ttl payload options…; options are words joined by blanks, or "". */
static struct text restore_command(const char *key, const char *ttl, struct slice payload,
                                   const char *options)
{
    struct text t = {0};
    char head[32], words[200];
    unsigned n = 4;
    snprintf(words, sizeof(words), "%s", options);
    for (const char *p = words; *p; p++)
        n += p == words || p[-1] == ' ';
    text_put(&t, head, (size_t)snprintf(head, sizeof(head), "*%u\r\n", n));
    put_argument(&t, slice_str("RESTORE"));
    put_argument(&t, slice_str(key));
    put_argument(&t, slice_str(ttl));
    put_argument(&t, payload);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        put_argument(&t, slice_str(word));
    return t;
}

static void restore_says(const char *key, const char *ttl, struct slice payload,
                         const char *options, const char *want)
{
    struct text t = restore_command(key, ttl, payload, options);
    test_send(client, t.data, t.len);
    assert_string_equal(test_replies(client, NULL), want);
    free(t.data);
}

/* What DUMP gives. */
static struct text dump(const char *key)
{
    char command[200];
    struct text t = {0};
    size_t len;
    test_send(client, command, (size_t)snprintf(command, sizeof(command), "DUMP %s\r\n", key));
    const char *reply = test_replies(client, &len);
    assert_int_equal(reply[0], '$');
    const char *body = strchr(reply, '\n') + 1;
    size_t body_len = strtoul(reply + 1, NULL, 10);
    assert_int_equal((size_t)(body - reply) + body_len + 2, len);
    text_put(&t, body, body_len);
    return t;
}

static struct slice text_slice(const struct text *t)
{
    return slice_from(t->data, t->len);
}

/* Version and checksum behind what is there. */
static void seal(struct text *t, unsigned version)
{
    uint8_t footer[10] = {(uint8_t)version, (uint8_t)(version >> 8)};
    text_put(t, footer, 2);
    uint64_t crc = rdb_crc(0, t->data, t->len);
    for (unsigned i = 0; i < 8; i++)
        footer[i] = (uint8_t)(crc >> 8 * i);
    text_put(t, footer, 8);
}

/* ---- the bytes of redis-server 7.0.15 ---- */

static const struct {
    const char *key, *make, *hex, *kind;
} golden[] = {
    {"s", "SET s hello\r\n", "000568656c6c6f0a006372df766534200a", "embstr"},
    {"i", "SET i -12345\r\n", "00c1c7cf0a0067eda236b4db26d0", "int"},
    {"z", "SET z aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
     "00c3091e016161e011000161610a0045737cbb2b647bbb", "embstr"},
    {"l", "RPUSH l a 1 300 \"hello world\"\r\n",
     "1201021c1c00000004008161020101c12c028b68656c6c6f20776f726c640cff0a009922f9646c632180",
     "quicklist"},
    {"is", "SADD is 1 2 300000\r\n",
     "0b1404000000030000000100000002000000e09304000a00742f3348486c6a39", "intset"},
    {"ht", "SADD ht member\r\n", "0201066d656d6265720a00782717cf5e5d03c4", "hashtable"},
    {"h", "HSET h f v n 7\r\n", "1012120000000400816602817602816e020701ff0a00b82adea8407ffaa8",
     "listpack"},
};

static struct text from_hex(const char *hex)
{
    struct text t = {0};
    for (; *hex; hex += 2) {
        unsigned byte;
        assert_int_equal(sscanf(hex, "%2x", &byte), 1);
        text_put(&t, (uint8_t[]){(uint8_t)byte}, 1);
    }
    return t;
}

static void test_payloads_are_those_of_redis(void **state)
{
    char command[200], want[200];
    for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
        struct text theirs = from_hex(golden[i].hex);
        test_send(client, golden[i].make, strlen(golden[i].make));
        test_replies(client, NULL);
        struct text ours = dump(golden[i].key);
        assert_int_equal(ours.len, theirs.len);
        assert_memory_equal(ours.data, theirs.data, ours.len);
        restore_says("copy", "0", text_slice(&theirs), "", OK);
        struct text again = dump("copy");
        assert_int_equal(again.len, theirs.len);
        assert_memory_equal(again.data, theirs.data, again.len);
        snprintf(want, sizeof(want), "$%zu\r\n%s\r\n", strlen(golden[i].kind), golden[i].kind);
        test_send(client, command,
                  (size_t)snprintf(command, sizeof(command), "OBJECT ENCODING copy\r\n"));
        assert_string_equal(test_replies(client, NULL), want);
        SAYS("DEL copy", ":1\r\n");
        free(theirs.data);
        free(ours.data);
        free(again.data);
    }
    SAYS("DUMP no", NIL);
}

static void test_rdbcompression_is_obeyed(void **state)
{
    SAYS("SET z aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", OK);
    test_node_config(node, "rdbcompression", "no");
    struct text plain = dump("z");
    assert_int_equal(plain.len, 1 + 1 + 30 + 10);
    restore_says("c", "0", text_slice(&plain), "", OK);
    SAYS("GET c", "$30\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
    free(plain.data);
}

/* ---- options ---- */

static void test_keys_that_are_there(void **state)
{
    struct text hello = from_hex(golden[0].hex);
    SAYS("RPUSH k x", ":1\r\n");
    restore_says("k", "0", text_slice(&hello), "", BUSY);
    restore_says("k", "no number", slice_str("junk"), "", BUSY);
    restore_says("k", "0", text_slice(&hello), "replace", OK);
    SAYS("GET k", "$5\r\nhello\r\n");
    restore_says("k", "0", slice_str("junk"), "REPLACE", WRONG);
    SAYS("GET k", "$5\r\nhello\r\n");
    free(hello.data);
}

static void test_times(void **state)
{
    struct text hello = from_hex(golden[0].hex);
    struct slice payload = text_slice(&hello);
    restore_says("a", "1500", payload, "", OK);
    SAYS("PTTL a", ":1500\r\n");
    restore_says("b", "1700000002500", payload, "ABSTTL", OK);
    SAYS("PTTL b", ":2500\r\n");
    restore_says("c", "-1", payload, "", "-ERR Invalid TTL value, must be >= 0\r\n");
    restore_says("c", "x", payload, "", "-ERR value is not an integer or out of range\r\n");
    restore_says("c", "9223372036854775807", payload, "",
                 "-ERR invalid expire time in 'restore' command\r\n");
    restore_says("c", "9223372036854775807", payload, "ABSTTL", OK);
    SAYS("PEXPIRETIME c", ":9223372036854775807\r\n");
    /* A time that has passed: nothing is made, what was there goes. */
    restore_says("d", "1", payload, "ABSTTL", OK);
    SAYS("EXISTS d", ":0\r\n");
    restore_says("a", "1", payload, "ABSTTL REPLACE", OK);
    SAYS("EXISTS a", ":0\r\n");
    free(hello.data);
}

static void test_idle_time_and_frequency(void **state)
{
    struct text hello = from_hex(golden[0].hex), list = from_hex(golden[3].hex);
    restore_says("a", "0", text_slice(&hello), "IDLETIME 1000", OK);
    SAYS("OBJECT IDLETIME a", ":1000\r\n");
    restore_says("l", "0", text_slice(&list), "IDLETIME 99 REPLACE", OK);
    SAYS("OBJECT IDLETIME l", ":99\r\n");
    restore_says("b", "0", text_slice(&hello), "FREQ 200", OK);
    SAYS("OBJECT IDLETIME b", ":0\r\n");
    restore_says("x", "0", text_slice(&hello), "IDLETIME -1",
                 "-ERR Invalid IDLETIME value, must be >= 0\r\n");
    restore_says("x", "0", text_slice(&hello), "FREQ 256",
                 "-ERR Invalid FREQ value, must be >= 0 and <= 255\r\n");
    restore_says("x", "0", text_slice(&hello), "FREQ x",
                 "-ERR value is not an integer or out of range\r\n");
    restore_says("x", "0", text_slice(&hello), "FREQ 1 IDLETIME 1", "-ERR syntax error\r\n");
    restore_says("x", "0", text_slice(&hello), "FREQ", "-ERR syntax error\r\n");
    restore_says("x", "0", text_slice(&hello), "BAD", "-ERR syntax error\r\n");
    SAYS("EXISTS x", ":0\r\n");
    test_node_config(node, "maxmemory-policy", "allkeys-lfu");
    restore_says("b", "0", text_slice(&hello), "FREQ 200 REPLACE", OK);
    SAYS("OBJECT FREQ b", ":200\r\n");
    restore_says("c", "0", text_slice(&hello), "IDLETIME 1000", OK);
    SAYS("OBJECT FREQ c", ":5\r\n");
    free(hello.data);
    free(list.data);
}

/* ---- payloads that are wrong ---- */

static void test_footers(void **state)
{
    struct text hello = from_hex(golden[0].hex);
    restore_says("k", "0", slice_str(""), "", WRONG);
    restore_says("k", "0", slice_str("123456789"), "", WRONG);
    for (size_t len = 0; len < hello.len; len++)
        restore_says("k", "0", slice_from(hello.data, len), "", WRONG);
    for (size_t bit = 0; bit < 8 * hello.len; bit++) {
        hello.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        restore_says("k", "0", text_slice(&hello), "", WRONG);
        hello.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (unsigned version = 1; version < 14; version++) {
        struct text t = {0};
        text_put(&t, "\0\5hello", 7);
        seal(&t, version);
        restore_says("k", "0", text_slice(&t), "REPLACE", version <= 11 ? OK : WRONG);
        free(t.data);
    }
    free(hello.data);
}

static void sealed_says(struct slice body, const char *want)
{
    struct text t = {0};
    text_put(&t, body.data, body.len);
    seal(&t, 10);
    restore_says("k", "0", text_slice(&t), "REPLACE", want);
    free(t.data);
}

#define SEALED_SAYS(body, want) sealed_says(slice_from(body, sizeof(body) - 1), want)

static void test_values_that_are_wrong(void **state)
{
    SAYS("SET k old", OK);
    SEALED_SAYS("", BAD);
    SEALED_SAYS("\x08\x01\x01", BAD);
    SEALED_SAYS("\xff\x01\x01", BAD);
    SEALED_SAYS("\x00\x05hell", BAD);
    SEALED_SAYS("\x00\x05helloX", BAD);
    SEALED_SAYS("\x01\x00", BAD);
    SEALED_SAYS("\x02\x02\x01"
                "a\x01"
                "a",
                BAD);
    SEALED_SAYS("\x00\xc3\x03\x81\x00\x00\x00\x01\x00\x00\x00\x00"
                "abc",
                BAD);
    SEALED_SAYS("\x03\x01\x01"
                "a\x01"
                "1",
                "-ERR Bad data format: this node cannot hold a sorted set\r\n");
    SEALED_SAYS("\x07\x01\x01", "-ERR Bad data format: this node cannot hold a module's value\r\n");
    SAYS("GET k", "$3\r\nold\r\n");
}

/* A string longer than proto-max-bulk-len could not be sent back. */
static void test_limits_of_one_string(void **state)
{
    struct text t = {0};
    uint8_t token[3] = {0xe0, 255, 0};
    unsigned tokens = 4200; /* 264 bytes each: more than 1 MB */
    uint8_t head[] = {0x00, 0xc3, 0x80, 0, 0, 0, 0, 0x80, 0, 0, 0, 0};
    uint32_t packed = 2 + 3 * tokens, len = 1 + 264 * tokens;
    for (unsigned i = 0; i < 4; i++) {
        head[3 + i] = (uint8_t)(packed >> 8 * (3 - i));
        head[8 + i] = (uint8_t)(len >> 8 * (3 - i));
    }
    text_put(&t, head, sizeof(head));
    text_put(&t, "\0a", 2);
    for (unsigned i = 0; i < tokens; i++)
        text_put(&t, token, 3);
    seal(&t, 10);
    restore_says("k", "0", text_slice(&t), "", OK);
    SAYS("STRLEN k", ":1108801\r\n");
    test_node_config(node, "proto-max-bulk-len", "1mb");
    restore_says("k", "0", text_slice(&t), "REPLACE", BAD);
    test_node_config(node, "proto-max-bulk-len", "512mb");
    SAYS("FLUSHALL", OK);
    test_node_config(node, "maxmemory", "1mb");
    restore_says("k", "0", text_slice(&t), "",
                 "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    SAYS("EXISTS k", ":0\r\n");
    free(t.data);
}

/* ---- large values ---- */

static char *digest_of(const char *key)
{
    char command[100];
    test_send(client, command,
              (size_t)snprintf(command, sizeof(command), "DEBUG DIGEST-VALUE %s\r\n", key));
    return strdup(test_replies(client, NULL));
}

static void dump_and_restore(const char *key)
{
    struct text t = dump(key);
    restore_says("copy", "0", text_slice(&t), "REPLACE", OK);
    char *want = digest_of(key), *got = digest_of("copy");
    assert_string_equal(got, want);
    free(want);
    free(got);
    free(t.data);
}

static void test_large_values(void **state)
{
    char command[200];
    struct rng rng;
    rng_seed(&rng, 3);
    for (unsigned i = 0; i < 3000; i++) {
        unsigned long a = rng_next(&rng), b = i;
        int len = snprintf(command, sizeof(command),
                           "RPUSH l %lu\r\nSADD s m:%lu\r\nHSET h f:%lu v:%lu\r\nSADD n %lu\r\n", a,
                           b, b, a, a >> 40);
        test_send(client, command, (size_t)len);
        test_replies(client, NULL);
    }
    SAYS("SETRANGE big 300000 end", ":300003\r\n");
    SAYS("SETRANGE big 100000 middle", ":300003\r\n");
    static const char *const keys[] = {"l", "s", "h", "n", "big"};
    for (unsigned i = 0; i < 5; i++)
        dump_and_restore(keys[i]);
    struct text random = {0};
    for (unsigned i = 0; i < 40000; i++) {
        uint64_t bits = rng_next(&rng);
        text_put(&random, &bits, 8);
    }
    struct text set = {0};
    text_put(&set, "*3\r\n", 4);
    put_argument(&set, slice_str("SET"));
    put_argument(&set, slice_str("random"));
    put_argument(&set, text_slice(&random));
    test_send(client, set.data, set.len);
    assert_string_equal(test_replies(client, NULL), OK);
    dump_and_restore("random");
    free(random.data);
    free(set.data);
}

static void test_inside_a_transaction(void **state)
{
    struct text hello = from_hex(golden[0].hex);
    SAYS("SETRANGE big 200000 x", ":200001\r\n");
    struct text big = dump("big");
    SAYS("MULTI", OK);
    restore_says("k", "0", text_slice(&hello), "", "+QUEUED\r\n");
    restore_says("k", "0", text_slice(&hello), "", "+QUEUED\r\n");
    restore_says("b", "0", text_slice(&big), "", "+QUEUED\r\n");
    SAYS("EXEC", "*3\r\n" OK BUSY OK);
    SAYS("STRLEN b", ":200001\r\n");
    SAYS("MULTI", OK);
    SAYS("DUMP k", "+QUEUED\r\n");
    TEST_SEND(client, "EXEC\r\n");
    size_t len;
    const char *reply = test_replies(client, &len);
    assert_int_equal(len, strlen("*1\r\n$17\r\n") + 17 + 2);
    assert_memory_equal(reply + 9, hello.data, hello.len);
    free(hello.data);
    free(big.data);
}

/* More than a loop has time for. */
static void make_huge(void)
{
    SAYS("SETRANGE big 64000000 x", ":64000001\r\n");
}

/* What has begun goes on to its end, but for a DUMP that nobody reads. */
static void test_a_client_vanishes(void **state)
{
    make_huge();
    struct text big = dump("big");
    struct text command = restore_command("k", "0", text_slice(&big), "");
    struct test_client *other = test_connect(node, 0);
    test_stream_push(other->stream, command.data, command.len);
    test_lcore_run(node, 0); /* one turn of many */
    test_stream_reset(other->stream);
    test_node_run(node);
    SAYS("STRLEN k", ":64000001\r\n");
    other = test_connect(node, 0);
    test_stream_push(other->stream, "DUMP big\r\n", 10);
    test_lcore_run(node, 0);
    test_stream_reset(other->stream);
    test_node_run(node);
    free(big.data);
    free(command.data);
}

/* Other clients are served meanwhile, but those that want the key wait. */
static void test_others_during_a_long_restore(void **state)
{
    make_huge();
    struct text big = dump("big");
    struct text command = restore_command("k", "0", text_slice(&big), "");
    struct test_client *other = test_connect(node, 0), *third = test_connect(node, 0);
    test_stream_push(other->stream, command.data, command.len);
    test_lcore_run(node, 0);
    test_stream_push(client->stream, "GETSET k mine\r\n", 15);
    test_stream_push(third->stream, "STRLEN big\r\n", 12);
    test_lcore_run(node, 0);
    assert_string_equal(test_replies(third, NULL), ":64000001\r\n");
    assert_string_equal(test_replies(client, NULL), "");
    test_node_run(node);
    assert_string_equal(test_replies(other, NULL), OK);
    size_t len;
    test_replies(client, &len);
    assert_int_equal(len, strlen("$64000001\r\n") + 64000001 + 2);
    SAYS("GET k", "$4\r\nmine\r\n");
    free(big.data);
    free(command.data);
}

/* The decoder has begun before it shows how long it will take; then all is thrown away once. */
static void test_a_small_payload_with_a_large_value(void **state)
{
    char command[64];
    for (unsigned i = 0; i < 5000; i++) {
        test_send(client, command,
                  (size_t)snprintf(command, sizeof(command), "SADD s a:%u\r\n", i));
        test_replies(client, NULL);
    }
    dump_and_restore("s");
    SAYS("SET copy x", OK);
    SAYS("RENAME s copy", OK);
    SAYS("SCARD copy", ":5000\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_payloads_are_those_of_redis, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rdbcompression_is_obeyed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keys_that_are_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_times, setup, teardown),
        cmocka_unit_test_setup_teardown(test_idle_time_and_frequency, setup, teardown),
        cmocka_unit_test_setup_teardown(test_footers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_values_that_are_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits_of_one_string, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_inside_a_transaction, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_client_vanishes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_others_during_a_long_restore, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_small_payload_with_a_large_value, setup, teardown),
    };
    return cmocka_run_group_tests_name("dump", tests, NULL, NULL);
}
