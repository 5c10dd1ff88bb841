/* Writers when maxmemory is lowered, or begins to evict, while grace periods lag behind. */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "metrics.h"
#include "qsbr.h"
#include "test_node.h"

#define LCORES 2
#define WRITERS 3
#define VALUE_BYTES 10000
#define KEYS 4000
#define WRITES 200

static struct test_node *node;
static struct test_client *writers[WRITERS + 1]; /* and one more that a test may connect */

/* Another lcore that is in the middle of something, as far as grace periods are concerned. */
struct reader {
    pthread_t thread;
    sem_t online, leave;
};

static void *reader_main(void *arg)
{
    struct reader *r = arg;
    qsbr_register();
    sem_post(&r->online);
    sem_wait(&r->leave);
    qsbr_unregister();
    return NULL;
}

static void reader_begin(struct reader *r)
{
    sem_init(&r->online, 0, 0);
    sem_init(&r->leave, 0, 0);
    assert_int_equal(pthread_create(&r->thread, NULL, reader_main, r), 0);
    sem_wait(&r->online);
}

static void reader_end(struct reader *r)
{
    sem_post(&r->leave);
    pthread_join(r->thread, NULL);
}

static int setup(void **state)
{
    node = test_node_new(LCORES);
    for (unsigned i = 0; i < WRITERS; i++)
        writers[i] = test_connect(node, i % LCORES);
    writers[WRITERS] = NULL;
    metrics_reset();
    return 0;
}

static int teardown(void **state)
{
    test_node_free(node);
    return 0;
}

static void push_set(struct test_client *c, const char *prefix, unsigned i)
{
    static char value[VALUE_BYTES + 1];
    char text[VALUE_BYTES + 100], key[32];
    memset(value, 'v', VALUE_BYTES);
    int key_len = snprintf(key, sizeof(key), "%s%u", prefix, i);
    int len = snprintf(text, sizeof(text), "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", key_len,
                       key, VALUE_BYTES, value);
    test_stream_push(c->stream, text, (size_t)len);
}

static void fill(void)
{
    for (unsigned i = 0; i < KEYS; i++) {
        push_set(writers[i % WRITERS], "k", i);
        test_node_run(node);
    }
    for (unsigned i = 0; i < WRITERS; i++)
        test_replies(writers[i], NULL);
}

static void all_write(void)
{
    for (unsigned i = 0; i < WRITES; i++)
        push_set(writers[i % WRITERS], "new", i);
}

static void rounds(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        for (unsigned lcore = 0; lcore < LCORES; lcore++)
            test_lcore_run(node, lcore);
}

static bool somebody_waits(void)
{
    bool waits = false;
    for (unsigned i = 0; i <= WRITERS; i++) {
        const struct test_client *c = writers[i];
        const struct session *s = c ? c->stream->stream.user : NULL;
        if (s && !test_is_closed(c))
            waits |= session_input_pending(s) || s->flags & SESSION_PAUSED;
    }
    return waits;
}

/* Grace periods take what the machine lets them. */
static void all_go_on(void)
{
    for (unsigned i = 0; i < 60000 && somebody_waits(); i++) {
        rounds(20);
        usleep(1000);
    }
    test_node_run(node);
}

/* Everything was written, nothing refused. */
static void all_written(void)
{
    unsigned ok = 0;
    for (unsigned i = 0; i < WRITERS; i++) {
        const char *at = test_replies(writers[i], NULL);
        for (; strncmp(at, "+OK\r\n", 5) == 0; at += 5)
            ok++;
        assert_string_equal(at, "");
    }
    assert_int_equal(ok, WRITES);
    assert_int_equal(metric_sum(METRIC_retire_limit_hits), 0);
    assert_true(metric_sum(METRIC_writes_held) > 0);
}

static void write_behind_a_reader(void)
{
    struct reader reader;
    struct ks *ks = test_worker(node, 0)->ks;
    uint64_t before = ks_used_bytes(ks->shared);
    reader_begin(&reader);
    all_write();
    rounds(300);
    /* Half of 16 MB, and each lcore's share of the half besides. */
    assert_true(ks_retired_bytes(ks->shared) <= 13 << 20);
    assert_true(ks_used_bytes(ks->shared) + ks_retired_bytes(ks->shared) < before + (1 << 20));
    reader_end(&reader);
    all_go_on();
    all_written();
    test_node_config(node, "maxmemory", "0");
}

static void a_lower_limit_refuses_nobody(void **state)
{
    test_node_config(node, "maxmemory-policy", "allkeys-lru");
    fill();
    test_node_config(node, "maxmemory", "3mb");
    write_behind_a_reader();
}

static void a_policy_that_evicts_refuses_nobody(void **state)
{
    fill();
    test_node_config(node, "maxmemory", "3mb");
    TEST_SAYS(writers[0], "SET a b\r\n",
              "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    test_node_config(node, "maxmemory-policy", "allkeys-lru");
    write_behind_a_reader();
}

/* A client that ends while its command is held back. */
static void held_clients_may_leave(void **state)
{
    struct reader reader;
    test_node_config(node, "maxmemory-policy", "allkeys-lru");
    fill();
    test_node_config(node, "maxmemory", "3mb");
    reader_begin(&reader);
    all_write();
    rounds(100);
    test_stream_reset(writers[0]->stream);
    test_stream_eof(writers[1]->stream);
    rounds(3);
    reader_end(&reader);
    all_go_on();
    assert_true(test_is_closed(writers[0]));
    struct test_client *next = writers[WRITERS] = test_connect(node, 0);
    static const char text[] = "SET a b\r\nGET a\r\n";
    test_stream_push(next->stream, text, sizeof(text) - 1);
    all_go_on();
    assert_string_equal(test_replies(next, NULL), "+OK\r\n$1\r\nb\r\n");
}

/* Commands that only replace or delete wait too, rather than being refused. */
static void commands_that_do_not_grow_wait_too(void **state)
{
    struct reader reader;
    test_node_config(node, "maxmemory-policy", "allkeys-lru");
    fill();
    test_node_config(node, "maxmemory", "3mb");
    reader_begin(&reader);
    all_write();
    rounds(100);
    struct test_client *c = writers[WRITERS] = test_connect(node, 0);
    static const char text[] = "EXPIRE k1 100\r\nGET nosuch\r\n";
    test_stream_push(c->stream, text, sizeof(text) - 1);
    rounds(3);
    assert_string_equal(test_replies(c, NULL), "");
    reader_end(&reader);
    all_go_on();
    const char *said = test_replies(c, NULL);
    assert_true(said[0] == ':');
    assert_non_null(strstr(said, "$-1\r\n"));
}

int main(void)
{
#define WITH_NODE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_NODE(a_lower_limit_refuses_nobody),
        WITH_NODE(a_policy_that_evicts_refuses_nobody),
        WITH_NODE(held_clients_may_leave),
        WITH_NODE(commands_that_do_not_grow_wait_too),
    };
    return cmocka_run_group_tests_name("maxmemory", tests, NULL, NULL);
}
