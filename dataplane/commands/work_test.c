/* Long commands: in pieces, between which others are served, and yet at one instant. Time plays no
 * part: with a job budget of nothing a loop runs one piece. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "check.h"
#include "claim.h"
#include "metrics.h"
#include "object.h"
#include "test_node.h"
#include "work.h"

#define MANY 5000
/* Loops that so many elements take at least, and at most when each costs a few times as much. */
#define PIECES_MIN(elements) ((elements) / WORK_PIECE)
#define PIECES_MAX(elements) (8 * (elements) / WORK_PIECE + 300)

static struct test_client *a, *b;

static int setup(void **state)
{
    metrics_attach(0);
    struct test_node *n = test_node_new(1);
    a = test_connect(n, 0);
    b = test_connect(n, 0);
    *state = n;
    return 0;
}

static int teardown(void **state)
{
    struct test_node *n = *state;
    ks_claims_validate(test_worker(n, 0)->ks->shared);
    test_node_free(n);
    return 0;
}

/* ---- requests and replies of any length ---- */

struct text {
    char *bytes;
    size_t len, size;
};

static void __attribute__((format(printf, 2, 3))) text_add(struct text *t, const char *format, ...)
{
    va_list args;
    if (t->size - t->len < 256) {
        t->size = 2 * t->size + 4096;
        t->bytes = realloc(t->bytes, t->size);
        assert_non_null(t->bytes);
    }
    va_start(args, format);
    t->len += (size_t)vsnprintf(t->bytes + t->len, t->size - t->len, format, args);
    va_end(args);
}

static void send_text(struct test_client *c, struct text *t)
{
    test_send(c, t->bytes, t->len);
    free(t->bytes);
    *t = (struct text){0};
}

/* "PREFIX e0 … e(n-1)" with every element from format and its number, twice when pairs. */
static void text_list(struct text *t, const char *prefix, const char *format, int count)
{
    int words = 1;
    for (const char *p = prefix; *p; p++)
        words += *p == ' ';
    text_add(t, "*%d\r\n", words + count);
    for (const char *p = prefix; *p;) {
        int len = (int)strcspn(p, " ");
        text_add(t, "$%d\r\n%.*s\r\n", len, len, p);
        p += p[len] ? len + 1 : len;
    }
    for (int i = 0; i < count; i++) {
        char word[64];
        int len = snprintf(word, sizeof(word), format, i);
        text_add(t, "$%d\r\n%s\r\n", len, word);
    }
}

static void send_list(struct test_client *c, const char *prefix, const char *format, int count)
{
    struct text t = {0};
    text_list(&t, prefix, format, count);
    send_text(c, &t);
}

/* Adds elements first … last - 1 without a long command. */
static void fill(const char *prefix, const char *format, int first, int last)
{
    struct text t = {0};
    for (int i = first; i < last; i++) {
        if ((i - first) % 400 == 0)
            text_add(&t, "%s%s", i > first ? "\r\n" : "", prefix);
        text_add(&t, " ");
        text_add(&t, format, i, i);
    }
    text_add(&t, "\r\n");
    send_text(b, &t);
    test_replies(b, NULL);
}

static uint64_t pieces(void)
{
    return metric_sum(METRIC_long_command_pieces);
}

/* Sends a to do something long and steps until it has replied; in between b is served in every
 * loop. The reply; checks how many pieces there were. */
static const char *run_long(void **state, const char *command, uint64_t elements)
{
    struct test_node *n = *state;
    uint64_t before = pieces();
    size_t len = 0;
    test_node_job_budget(n, 0);
    test_stream_push(a->stream, command, strlen(command));
    test_stream_push(a->stream, "\r\n", 2);
    for (unsigned loops = 0; len == 0; loops++) {
        assert_true(loops < PIECES_MAX(elements) + 2);
        test_stream_push(b->stream, "PING\r\n", 6);
        test_lcore_run(n, 0);
        assert_string_equal(test_replies(b, NULL), "+PONG\r\n");
        len = a->stream->stream.out.len;
    }
    assert_in_range(pieces() - before, PIECES_MIN(elements), PIECES_MAX(elements));
    test_node_job_budget(n, 1000);
    return test_replies(a, &len);
}

#define LONG_SAYS(command, elements, want) \
    assert_string_equal(run_long(state, command, elements), want)

/* The reply is an array (or what kind says) of count elements of format, each count times n apart.
 */
static void expect_list(const char *got, char kind, int count, const char *format, int first,
                        int step)
{
    struct text t = {0};
    text_add(&t, "%c%d\r\n", kind, count);
    for (int i = 0; i < count; i++) {
        char word[64];
        int len = snprintf(word, sizeof(word), format, first + i * step);
        text_add(&t, "$%d\r\n%s\r\n", len, word);
    }
    assert_int_equal(strlen(got), t.len);
    assert_string_equal(got, t.bytes);
    free(t.bytes);
}

/* How often needle stands in the reply. */
static int occurrences(const char *got, const char *needle)
{
    int count = 0;
    while ((got = strstr(got, needle))) {
        count++;
        got += strlen(needle);
    }
    return count;
}

/* ---- lists ---- */

static void make_list(const char *key)
{
    char prefix[64];
    snprintf(prefix, sizeof(prefix), "RPUSH %s", key);
    fill(prefix, "e%d", 0, MANY);
}

static void test_lrange(void **state)
{
    make_list("l");
    expect_list(run_long(state, "LRANGE l 0 -1", MANY), '*', MANY, "e%d", 0, 1);
    expect_list(run_long(state, "LRANGE l 100 2099", 2000), '*', 2000, "e%d", 100, 1);
    uint64_t before = pieces();
    TEST_SAYS(a, "LRANGE l 4998 9999\r\n", "*2\r\n$5\r\ne4998\r\n$5\r\ne4999\r\n");
    TEST_SAYS(a, "LINDEX l 2500\r\n", "$5\r\ne2500\r\n");
    assert_int_equal(pieces(), before); /* small ones go at once */
}

static void test_lists_by_value(void **state)
{
    make_list("l");
    LONG_SAYS("LPOS l e4000", 4000, ":4000\r\n");
    LONG_SAYS("LPOS l e10 RANK -1", 4000, ":10\r\n");
    LONG_SAYS("LINSERT l AFTER e4500 new", 4500, ":5001\r\n");
    LONG_SAYS("LINSERT l BEFORE none new", MANY, ":-1\r\n");
    LONG_SAYS("LREM l -1 e10", MANY - 20, ":1\r\n");
    LONG_SAYS("LREM l 0 none", MANY, ":0\r\n");
    TEST_SAYS(a, "LINDEX l 10\r\nLINDEX l 4500\r\n", "$3\r\ne11\r\n$3\r\nnew\r\n");
}

static void test_lists_are_cut(void **state)
{
    make_list("l");
    expect_list(run_long(state, "LPOP l 1500", 1500), '*', 1500, "e%d", 0, 1);
    expect_list(run_long(state, "RPOP l 1500", 1500), '*', 1500, "e%d", MANY - 1, -1);
    expect_list(run_long(state, "LRANGE l 0 -1", 2000), '*', 2000, "e%d", 1500, 1);
    TEST_SAYS(a, "LTRIM l 10 11\r\nLRANGE l 0 -1\r\n",
              "+OK\r\n*2\r\n$5\r\ne1510\r\n$5\r\ne1511\r\n");
    make_list("m");
    const char *got = run_long(state, "LMPOP 2 none m RIGHT COUNT 2000", 2000);
    assert_memory_equal(got, "*2\r\n$1\r\nm\r\n", 11);
    expect_list(got + 11, '*', 2000, "e%d", MANY - 1, -1);
    expect_list(run_long(state, "LPOP m 99999", 3000), '*', 3000, "e%d", 0, 1);
    TEST_SAYS(a, "EXISTS m\r\n", ":0\r\n");
}

/* One element per node: what is far away is counted in nodes. */
static void test_far_away_in_a_list(void **state)
{
    test_node_config(*state, "list-max-listpack-size", "1");
    make_list("l");
    LONG_SAYS("LINDEX l 2400", 2400, "$5\r\ne2400\r\n");
    LONG_SAYS("LINDEX l -2400", 2399, "$5\r\ne2600\r\n");
    LONG_SAYS("LSET l 2500 x", 2499, "+OK\r\n");
    LONG_SAYS("LRANGE l 2499 2501", 2499, "*3\r\n$5\r\ne2499\r\n$1\r\nx\r\n$5\r\ne2501\r\n");
    LONG_SAYS("LTRIM l 2000 2001", 4 * WORK_PIECE, "+OK\r\n");
    TEST_SAYS(a, "LRANGE l 0 -1\r\n", "*2\r\n$5\r\ne2000\r\n$5\r\ne2001\r\n");
    uint64_t before = pieces();
    TEST_SAYS(a, "LINDEX l 1\r\nLINDEX l 2\r\n", "$5\r\ne2001\r\n$-1\r\n");
    assert_int_equal(pieces(), before);
}

/* ---- hashes ---- */

static void make_hash(const char *key)
{
    char prefix[64];
    snprintf(prefix, sizeof(prefix), "HSET %s", key);
    fill(prefix, "f%d v%d", 0, MANY);
}

static void test_whole_hashes(void **state)
{
    make_hash("h");
    const char *got = run_long(state, "HGETALL h", MANY);
    assert_memory_equal(got, "*10000\r\n", 8);
    assert_int_equal(occurrences(got, "\r\nf"), MANY);
    assert_int_equal(occurrences(got, "\r\nv"), MANY);
    assert_non_null(strstr(got, "$5\r\nf4321\r\n$5\r\nv4321\r\n"));
    got = run_long(state, "HKEYS h", MANY);
    assert_memory_equal(got, "*5000\r\n", 7);
    assert_int_equal(occurrences(got, "\r\nf"), MANY);
    got = run_long(state, "HVALS h", MANY);
    assert_int_equal(occurrences(got, "\r\nv"), MANY);
}

static void test_parts_of_hashes(void **state)
{
    make_hash("h");
    assert_int_equal(occurrences(run_long(state, "HRANDFIELD h -3000", 3000), "\r\nf"), 3000);
    assert_int_equal(occurrences(run_long(state, "HRANDFIELD h 1500", 1500), "\r\nf"), 1500);
    const char *got = run_long(state, "HRANDFIELD h 4999 WITHVALUES", MANY);
    assert_int_equal(occurrences(got, "\r\nf"), 4999);
    assert_int_equal(occurrences(got, "\r\nv"), 4999);
    got = run_long(state, "HSCAN h 0 COUNT 100000", MANY);
    assert_memory_equal(got, "*2\r\n$1\r\n0\r\n*10000\r\n", 19);
    assert_int_equal(occurrences(got, "\r\nf"), MANY);
}

/* ---- sets ---- */

static void test_sets(void **state)
{
    fill("SADD s", "m%d", 0, MANY);
    fill("SADD t", "m%d", 2500, 7500);
    const char *got = run_long(state, "SMEMBERS s", MANY);
    assert_memory_equal(got, "*5000\r\n", 7);
    assert_int_equal(occurrences(got, "\r\nm"), MANY);
    assert_int_equal(occurrences(run_long(state, "SINTER s t", MANY), "\r\nm"), 2500);
    assert_int_equal(occurrences(run_long(state, "SUNION s t", 2 * MANY), "\r\nm"), 7500);
    assert_int_equal(occurrences(run_long(state, "SDIFF s t", MANY), "\r\nm"), 2500);
    LONG_SAYS("SINTERCARD 2 s t", MANY, ":2500\r\n");
    LONG_SAYS("SINTERCARD 2 s t LIMIT 2000", 2000, ":2000\r\n");
    LONG_SAYS("SUNIONSTORE u s t", 2 * MANY, ":7500\r\n");
    LONG_SAYS("SINTERSTORE i s t", MANY, ":2500\r\n");
    LONG_SAYS("SDIFFSTORE d s t", MANY, ":2500\r\n");
    LONG_SAYS("SDIFFSTORE s s t", MANY, ":2500\r\n");
    TEST_SAYS(a, "SCARD u\r\nSCARD i\r\nSCARD d\r\nSCARD s\r\n",
              ":7500\r\n:2500\r\n:2500\r\n:2500\r\n");
    TEST_SAYS(a, "SISMEMBER d m2499\r\nSISMEMBER d m2500\r\n", ":1\r\n:0\r\n");
    LONG_SAYS("COPY u v", 7500, ":1\r\n");
    TEST_SAYS(a, "SCARD v\r\n", ":7500\r\n");
}

static void test_sets_at_random(void **state)
{
    fill("SADD s", "m%d", 0, MANY);
    assert_int_equal(occurrences(run_long(state, "SRANDMEMBER s -2000", 2000), "\r\nm"), 2000);
    assert_int_equal(occurrences(run_long(state, "SRANDMEMBER s 1100", 1100), "\r\nm"), 1100);
    assert_int_equal(occurrences(run_long(state, "SRANDMEMBER s 4000", MANY), "\r\nm"), 4000);
    assert_int_equal(occurrences(run_long(state, "SPOP s 1500", 1500), "\r\nm"), 1500);
    TEST_SAYS(a, "SCARD s\r\n", ":3500\r\n");
    assert_int_equal(occurrences(run_long(state, "SPOP s 3400", 3400), "\r\nm"), 3400);
    TEST_SAYS(a, "SCARD s\r\n", ":100\r\n");
    fill("SADD s", "m%d", 0, MANY);
    assert_int_equal(occurrences(run_long(state, "SPOP s 99999", MANY), "\r\nm"), MANY);
    TEST_SAYS(a, "EXISTS s\r\n", ":0\r\n");
    assert_int_equal(occurrences(run_long(state, "SSCAN s 0 COUNT 10", 0), "$1\r\n0"), 1);
}

/* ---- many arguments, many keys ---- */

static void test_many_arguments(void **state)
{
    uint64_t before = pieces();
    send_list(a, "RPUSH l", "e%d", MANY);
    assert_string_equal(test_replies(a, NULL), ":5000\r\n");
    send_list(a, "SADD s", "m%d", MANY);
    assert_string_equal(test_replies(a, NULL), ":5000\r\n");
    send_list(a, "SREM s", "m%d", MANY - 1);
    assert_string_equal(test_replies(a, NULL), ":4999\r\n");
    send_list(a, "HSET h", "f%d", MANY);
    assert_string_equal(test_replies(a, NULL), ":2500\r\n");
    send_list(a, "HMGET h", "f%d", MANY);
    assert_int_equal(occurrences(test_replies(a, NULL), "\r\nf"), 2500);
    send_list(a, "HDEL h", "f%d", MANY);
    assert_string_equal(test_replies(a, NULL), ":2500\r\n");
    assert_true(pieces() - before >= 5 * PIECES_MIN(MANY));
    TEST_SAYS(a, "EXISTS h\r\nSMEMBERS s\r\nLLEN l\r\n", ":0\r\n*1\r\n$5\r\nm4999\r\n:5000\r\n");
}

/* A command that came in pieces takes the query buffer along, but for what stands behind it. */
static void test_arguments_in_pieces(void **state)
{
    struct text t = {0};
    for (size_t step = 7000; step < 200000; step *= 3) {
        TEST_SAYS(a, "FLUSHALL\r\n", "+OK\r\n");
        text_list(&t, "RPUSH l", "e%d", MANY);
        text_add(&t, "LINDEX l 77\r\n");
        text_list(&t, "RPUSH l", "e%d", MANY);
        text_add(&t, "LLEN l\r\nPING\r\n");
        test_send_pieces(a, t.bytes, t.len, step);
        assert_string_equal(test_replies(a, NULL),
                            ":5000\r\n$3\r\ne77\r\n:10000\r\n:10000\r\n+PONG\r\n");
        t.len = 0;
    }
    /* The client goes while its command waits, and while it runs. */
    for (int waits = 0; waits < 2; waits++) {
        struct test_client *c = test_connect(*state, 0);
        test_node_job_budget(*state, 0);
        t.len = 0;
        text_list(&t, "RPUSH l", "x%d", MANY);
        text_add(&t, "PING\r\n");
        test_stream_push(c->stream, t.bytes, 7000);
        test_lcore_run(*state, 0);
        if (waits) {
            test_stream_push(a->stream, "LPOS l none\r\n", 13);
            test_lcore_run(*state, 0);
        }
        test_stream_push(c->stream, t.bytes + 7000, t.len - 7000);
        for (int i = 0; i < 3; i++)
            test_lcore_run(*state, 0);
        test_stream_reset(c->stream);
        test_node_run(*state);
        test_node_job_budget(*state, 1000);
        test_replies(a, NULL);
        TEST_SAYS(a, "LLEN l\r\n", ":15000\r\n");
    }
    free(t.bytes);
}

static void test_many_keys(void **state)
{
    uint64_t before = pieces();
    send_list(a, "MSET", "k%d", MANY);
    assert_string_equal(test_replies(a, NULL), "+OK\r\n");
    send_list(a, "MSETNX new x", "k%d", MANY);
    assert_string_equal(test_replies(a, NULL), ":0\r\n");
    send_list(a, "EXISTS", "k%d", MANY);
    assert_string_equal(test_replies(a, NULL), ":2500\r\n");
    send_list(a, "TOUCH", "k%d", MANY);
    assert_string_equal(test_replies(a, NULL), ":2500\r\n");
    send_list(a, "MGET", "k%d", MANY);
    assert_int_equal(occurrences(test_replies(a, NULL), "\r\nk"), 2500);
    TEST_SAYS(a, "DBSIZE\r\nEXISTS new\r\n", ":2500\r\n:0\r\n");
    send_list(a, "DEL", "k%d", MANY);
    assert_string_equal(test_replies(a, NULL), ":2500\r\n");
    TEST_SAYS(a, "DBSIZE\r\n", ":0\r\n");
    assert_true(pieces() - before >= 6 * PIECES_MIN(MANY));
    /* More slots than are locked at once. */
    send_list(a, "MSET", "k%d", 600);
    assert_string_equal(test_replies(a, NULL), "+OK\r\n");
    send_list(a, "UNLINK", "k%d", 600);
    assert_string_equal(test_replies(a, NULL), ":300\r\n");
}

static void test_scans(void **state)
{
    struct text t = {0};
    for (int i = 0; i < 1000; i++)
        text_add(&t, "SET k%d 1\r\n", i);
    send_text(a, &t);
    test_replies(a, NULL);
    const char *got = run_long(state, "SCAN 0 COUNT 100000", 1000);
    assert_memory_equal(got, "*2\r\n$1\r\n0\r\n*1000\r\n", 18);
    assert_int_equal(occurrences(got, "\r\nk"), 1000);
    got = run_long(state, "SCAN 0 MATCH k99* COUNT 9000000000000000000", 1000);
    assert_int_equal(occurrences(got, "\r\nk"), 11);
    size_t len;
    TEST_SEND(a, "KEYS *\r\n");
    assert_int_equal(occurrences(test_replies(a, &len), "\r\nk"), 1000);
}

static void test_digests(void **state)
{
    char whole[64], value[64];
    test_node_config(*state, "enable-debug-command", "yes");
    make_hash("h");
    make_list("l");
    snprintf(whole, sizeof(whole), "%s", run_long(state, "DEBUG DIGEST", 6 * MANY));
    assert_int_equal(whole[0], '+');
    snprintf(value, sizeof(value), "%s", run_long(state, "DEBUG DIGEST-VALUE l", MANY));
    LONG_SAYS("COPY h g", MANY, ":1\r\n");
    LONG_SAYS("DEBUG DIGEST-VALUE l", MANY, value);
    assert_true(strcmp(run_long(state, "DEBUG DIGEST", 6 * MANY), whole) != 0);
    TEST_SAYS(a, "DEL g\r\n", ":1\r\n");
    LONG_SAYS("DEBUG DIGEST", 6 * MANY, whole);
}

/* ---- between the pieces ---- */

/* a begins; b meets it in the middle. */
static void begin(void **state, const char *command)
{
    struct test_node *n = *state;
    test_node_job_budget(n, 0);
    test_stream_push(a->stream, command, strlen(command));
    test_lcore_run(n, 0);
    test_lcore_run(n, 0);
    assert_int_equal(a->stream->stream.out.len, 0);
}

static void meet(void **state, const char *command, const char *want)
{
    test_stream_push(b->stream, command, strlen(command));
    for (int i = 0; i < 3; i++)
        test_lcore_run(*state, 0);
    assert_string_equal(test_replies(b, NULL), want);
    assert_int_equal(a->stream->stream.out.len, 0);
}

static void test_readers_meet_a_reader(void **state)
{
    make_hash("h");
    begin(state, "HGETALL h\r\n");
    meet(state, "HGET h f1\r\n", "$2\r\nv1\r\n");
    meet(state, "HLEN h\r\n", ":5000\r\n");
    meet(state, "TYPE h\r\n", "+hash\r\n");
    meet(state, "SET other 1\r\n", "+OK\r\n");
    meet(state, "HSET h f1 changed\r\n", ""); /* waits */
    test_node_run(*state);
    assert_string_equal(test_replies(b, NULL), ":0\r\n");
    assert_null(strstr(test_replies(a, NULL), "changed"));
    TEST_SAYS(a, "HGET h f1\r\n", "$7\r\nchanged\r\n");
}

static void test_everybody_waits_for_a_writer(void **state)
{
    make_list("l");
    begin(state, "LREM l 0 e7\r\n");
    meet(state, "GET other\r\n", "$-1\r\n");
    meet(state, "EXISTS l\r\n", ":1\r\n");
    meet(state, "LLEN l\r\n", "");
    test_node_run(*state);
    assert_string_equal(test_replies(a, NULL), ":1\r\n");
    assert_string_equal(test_replies(b, NULL), ":4999\r\n");
    begin(state, "LREM l 0 e8\r\n");
    meet(state, "MULTI\r\nLLEN l\r\nSET x 1\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
    test_node_run(*state);
    assert_string_equal(test_replies(b, NULL), "*2\r\n:4998\r\n+OK\r\n");
    test_replies(a, NULL);
    begin(state, "LREM l 0 e9\r\n");
    meet(state, "FLUSHALL\r\n", "");
    test_node_run(*state);
    assert_string_equal(test_replies(a, NULL), ":1\r\n");
    assert_string_equal(test_replies(b, NULL), "+OK\r\n");
    TEST_SAYS(a, "DBSIZE\r\n", ":0\r\n");
}

static void test_what_waits_stays_in_order(void **state)
{
    struct test_node *n = *state;
    struct test_client *c = test_connect(n, 0), *d = test_connect(n, 0);
    make_list("l");
    begin(state, "LREM l 0 e7\r\n");
    test_stream_push(b->stream, "RPUSH l x\r\nPING\r\n", 17);
    test_lcore_run(n, 0);
    test_stream_push(c->stream, "RPUSH l y\r\n", 11);
    test_lcore_run(n, 0);
    test_stream_push(d->stream, "RPUSH l z\r\n", 11);
    test_node_run(n);
    assert_string_equal(test_replies(b, NULL), ":5000\r\n+PONG\r\n");
    assert_string_equal(test_replies(c, NULL), ":5001\r\n");
    assert_string_equal(test_replies(d, NULL), ":5002\r\n");
}

static void test_a_store_is_there_all_at_once(void **state)
{
    fill("SADD s", "m%d", 0, MANY);
    begin(state, "SUNIONSTORE d s\r\n");
    meet(state, "EXISTS d\r\n", ":0\r\n");
    meet(state, "SCARD s\r\n", ":5000\r\n");
    meet(state, "SADD s x\r\n", "");
    test_node_run(*state);
    assert_string_equal(test_replies(a, NULL), ":5000\r\n");
    assert_string_equal(test_replies(b, NULL), ":1\r\n");
    TEST_SAYS(a, "SCARD d\r\nSISMEMBER d x\r\n", ":5000\r\n:0\r\n");
}

static void test_watch(void **state)
{
    make_list("l");
    TEST_SAYS(b, "WATCH l\r\nMULTI\r\nPING\r\n", "+OK\r\n+OK\r\n+QUEUED\r\n");
    begin(state, "LREM l 0 e7\r\n");
    meet(state, "EXEC\r\n", "");
    test_node_run(*state);
    assert_string_equal(test_replies(b, NULL), "*-1\r\n");
    test_replies(a, NULL);
    begin(state, "LPOS l none\r\n");
    meet(state, "WATCH l\r\nMULTI\r\nPING\r\nEXEC\r\n", "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n");
    test_node_run(*state);
}

/* ---- transactions ---- */

static void test_exec_in_pieces(void **state)
{
    struct text t = {0};
    make_list("l");
    TEST_SAYS(a,
              "MULTI\r\nLPOS l none\r\nLINDEX l -5001\r\nLINDEX l -5000\r\nLINDEX l 5000\r\n"
              "EXEC\r\n",
              "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*4\r\n$-1\r\n$-1\r\n$2\r\n"
              "e0\r\n$-1\r\n");
    TEST_SAYS(a, "SET x 1\r\n", "+OK\r\n");
    TEST_SAYS(a, "MULTI\r\nSET x 2\r\nLREM l 0 e7\r\nSET y 2\r\nLLEN l\r\n",
              "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n");
    begin(state, "EXEC\r\n");
    meet(state, "GET z\r\n", "$-1\r\n");
    meet(state, "MGET x y\r\n", "");
    test_node_run(*state);
    assert_string_equal(test_replies(a, NULL), "*4\r\n+OK\r\n:1\r\n+OK\r\n:4999\r\n");
    assert_string_equal(test_replies(b, NULL), "*2\r\n$1\r\n2\r\n$1\r\n2\r\n");
    /* Many commands, on more keys than a claim names. */
    text_add(&t, "MULTI\r\n");
    for (int i = 0; i < 2000; i++)
        text_add(&t, "SET k%d %d\r\n", i, i);
    send_text(a, &t);
    assert_int_equal(occurrences(test_replies(a, NULL), "+QUEUED"), 2000);
    begin(state, "EXEC\r\n");
    for (int i = 0; i < 50; i++) /* until it has noted its slots */
        test_lcore_run(*state, 0);
    meet(state, "GET x\r\n", "$1\r\n2\r\n"); /* not among its keys */
    meet(state, "GET k1999\r\n", "");
    test_node_run(*state);
    assert_int_equal(occurrences(test_replies(a, NULL), "+OK"), 2000);
    assert_string_equal(test_replies(b, NULL), "$4\r\n1999\r\n");
}

static void test_exec_with_unknown_keys(void **state)
{
    test_node_config(*state, "enable-debug-command", "yes");
    make_list("l");
    TEST_SAYS(a, "MULTI\r\nDEBUG OBJECT none\r\nFLUSHALL\r\nSET a 1\r\nDBSIZE\r\nEXEC\r\n",
              "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*4\r\n-ERR no such "
              "key\r\n+OK\r\n+OK\r\n:1\r\n");
    TEST_SAYS(
        a, "MULTI\r\nDEBUG POPULATE 1000\r\nDBSIZE\r\nKEYS key:1\r\nEXEC\r\n",
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n:1001\r\n*1\r\n$5\r\nkey:1\r\n");
}

/* ---- clients that go ---- */

static void test_a_writer_that_leaves(void **state)
{
    make_list("l");
    begin(state, "LREM l 0 e7\r\n");
    test_stream_reset(a->stream);
    test_lcore_run(*state, 0);
    TEST_SAYS(b, "LLEN l\r\n", ":4999\r\n"); /* what has begun is done to its end */
}

static void test_a_reader_that_leaves(void **state)
{
    make_hash("h");
    begin(state, "HGETALL h\r\n");
    uint64_t before = pieces();
    test_stream_reset(a->stream);
    TEST_SAYS(b, "HSET h f1 x\r\n", ":0\r\n");
    assert_true(pieces() - before < PIECES_MIN(MANY) / 2);
}

static void test_a_killed_one_and_one_that_waits(void **state)
{
    struct test_node *n = *state;
    struct test_client *c = test_connect(n, 0);
    make_list("l");
    begin(state, "LREM l 0 e7\r\n");
    test_stream_push(c->stream, "LREM l 0 e8\r\n", 13);
    test_lcore_run(n, 0);
    meet(state, "CLIENT KILL ID 3\r\n", ":1\r\n");
    meet(state, "CLIENT KILL ID 1\r\n", ":1\r\n");
    test_node_run(n);
    assert_true(test_is_closed(a));
    assert_true(test_is_closed(c));
    TEST_SAYS(b, "LLEN l\r\n", ":4999\r\n"); /* the second never began */
}

static void test_silent_clients(void **state)
{
    make_list("l");
    TEST_SAYS(a, "CLIENT REPLY SKIP\r\nLREM l 0 e7\r\nPING\r\n", "+PONG\r\n");
    TEST_SAYS(a, "CLIENT REPLY OFF\r\nLREM l 0 e8\r\nCLIENT REPLY ON\r\nLLEN l\r\n",
              "+OK\r\n:4998\r\n");
}

/* Expiry does not come between the pieces, and the command's time stands still. */
static void test_expiry_waits(void **state)
{
    make_hash("h");
    TEST_SAYS(a, "PEXPIRE h 1000\r\n", ":1\r\n");
    begin(state, "HGETALL h\r\n");
    test_node_advance(*state, 5000);
    meet(state, "EXISTS h\r\n", ":0\r\n");
    test_node_run(*state);
    assert_int_equal(occurrences(test_replies(a, NULL), "\r\nf"), MANY);
    TEST_SAYS(a, "EXISTS h\r\nDBSIZE\r\n", ":0\r\n:0\r\n");
}

static void test_statistics(void **state)
{
    make_list("l");
    run_long(state, "LREM l 0 none", MANY);
    TEST_SEND(a, "INFO commandstats\r\n");
    assert_non_null(strstr(test_replies(a, NULL), "cmdstat_lrem:calls=1,"));
    TEST_SAYS(a, "LREM l 0\r\n", "-ERR wrong number of arguments for 'lrem' command\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lrange),
        TEST(test_lists_by_value),
        TEST(test_lists_are_cut),
        TEST(test_far_away_in_a_list),
        TEST(test_whole_hashes),
        TEST(test_parts_of_hashes),
        TEST(test_sets),
        TEST(test_sets_at_random),
        TEST(test_many_arguments),
        TEST(test_arguments_in_pieces),
        TEST(test_many_keys),
        TEST(test_scans),
        TEST(test_digests),
        TEST(test_readers_meet_a_reader),
        TEST(test_everybody_waits_for_a_writer),
        TEST(test_what_waits_stays_in_order),
        TEST(test_a_store_is_there_all_at_once),
        TEST(test_watch),
        TEST(test_exec_in_pieces),
        TEST(test_exec_with_unknown_keys),
        TEST(test_a_writer_that_leaves),
        TEST(test_a_reader_that_leaves),
        TEST(test_a_killed_one_and_one_that_waits),
        TEST(test_silent_clients),
        TEST(test_expiry_waits),
        TEST(test_statistics),
    };
    return cmocka_run_group_tests_name("work", tests, NULL, NULL);
}
