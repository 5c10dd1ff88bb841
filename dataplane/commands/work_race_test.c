/* Lcores run long commands on the same keys beside short ones: whatever anybody sees is a state
 * that some order of whole commands leads to, and nothing of claims is left behind. For the thread
 * sanitizer too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <pthread.h>
#include "check.h"
#include "claim.h"
#include "metrics.h"
#include "qsbr.h"
#include "rng.h"
#include "test_node.h"

#define LCORES 3
#define ROUNDS 60
#define SIZE 1300 /* elements: long, whatever is done with them */
#define KEYS 300  /* more than a claim names */

struct racer {
    pthread_t thread;
    struct test_node *node;
    unsigned lcore;
    struct test_client *client, *fickle; /* one that comes and goes */
    atomic_uint *finished;
};

/* The reply to what was pushed, up to and without that of ECHO DONE; free it. */
static char *answer(struct racer *r)
{
    static const char end[] = "$4\r\nDONE\r\n";
    static const char echo[] = "ECHO DONE\r\n";
    test_stream_push(r->client->stream, echo, sizeof(echo) - 1);
    char *all = calloc(1, 1);
    size_t len = 0;
    CHECK(all);
    while (len < sizeof(end) - 1 || strcmp(all + len - (sizeof(end) - 1), end) != 0) {
        test_lcore_run(r->node, r->lcore);
        size_t more;
        char *piece = test_stream_take(r->client->stream, &more);
        all = realloc(all, len + more + 1);
        CHECK(all);
        memcpy(all + len, piece, more + 1);
        len += more;
        free(piece);
    }
    all[len - (sizeof(end) - 1)] = '\0';
    return all;
}

static char *ask(struct racer *r, const char *text)
{
    test_stream_push(r->client->stream, text, strlen(text));
    return answer(r);
}

static void ask_for(struct racer *r, const char *text, const char *want)
{
    char *got = ask(r, text);
    if (strcmp(got, want) != 0) {
        fprintf(stderr, "%.60s -> %.200s, not %s\n", text, got, want);
        abort();
    }
    free(got);
}

/* command followed by count times format, with the index and a number. */
static void push_many(struct racer *r, const char *command, const char *format, int count,
                      int number)
{
    size_t size = strlen(command) + (size_t)count * 32 + 3, len;
    char *text = malloc(size);
    CHECK(text);
    len = (size_t)snprintf(text, size, "%s", command);
    for (int i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, size - len, format, i, number);
    len += (size_t)snprintf(text + len, size - len, "\r\n");
    test_stream_push(r->client->stream, text, len);
    free(text);
}

/* All bulk strings of the reply that begin with prefix are equal; how many there are. */
static int all_equal(const char *got, const char *prefix)
{
    int count = 0;
    const char *first = NULL;
    for (const char *at = got; (at = strstr(at, prefix)); at += strlen(prefix), count++) {
        if (!first)
            first = at;
        CHECK(strncmp(at, first, strcspn(first + 2, "\r") + 2) == 0);
    }
    return count;
}

/* Every field is set to the same number at once, so all are equal at any instant. */
static void hash_game(struct racer *r, struct rng *rng)
{
    if (rng_below(rng, 2)) {
        push_many(r, "HSET h", " f%d v%d", SIZE, (int)rng_below(rng, 100));
        char *got = answer(r);
        CHECK(strcmp(got, ":0\r\n") == 0);
        free(got);
    } else {
        char *got = ask(r, rng_below(rng, 2) ? "HGETALL h\r\n" : "HVALS h\r\n");
        CHECK(all_equal(got, "\r\nv") == SIZE);
        free(got);
    }
}

/* A store is there whole or not at all; its sources do not change. */
static void set_game(struct racer *r, struct rng *rng)
{
    char *got;
    switch (rng_below(rng, 4)) {
    case 0:
        ask_for(r, "SUNIONSTORE d s t\r\n", ":1950\r\n");
        break;
    case 1:
        ask_for(r, "SDIFFSTORE d s t\r\n", ":650\r\n");
        break;
    case 2:
        free(ask(r, "DEL d\r\n"));
        break;
    default:
        got = ask(r, "SCARD d\r\n");
        CHECK(!strcmp(got, ":0\r\n") || !strcmp(got, ":650\r\n") || !strcmp(got, ":1950\r\n"));
        free(got);
        got = ask(r, "SMEMBERS d\r\n");
        CHECK(!strncmp(got, "*0", 2) || !strncmp(got, "*650", 4) || !strncmp(got, "*1950", 5));
        free(got);
    }
}

/* The list keeps its length: what is removed comes back in the same transaction. */
static void list_game(struct racer *r, struct rng *rng)
{
    char text[200];
    int e = (int)rng_below(rng, 10);
    if (rng_below(rng, 2)) {
        snprintf(text, sizeof(text), "MULTI\r\nLREM l 1 e%d\r\nRPUSH l e%d\r\nEXEC\r\n", e, e);
        ask_for(r, text, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:1300\r\n");
    } else if (rng_below(rng, 2)) {
        ask_for(r, "LLEN l\r\n", ":1300\r\n");
    } else {
        char *got = ask(r, "LRANGE l 0 -1\r\n");
        CHECK(strncmp(got, "*1300\r\n", 7) == 0);
        free(got);
    }
}

/* Many keys are set to the same number at once. */
static void string_game(struct racer *r, struct rng *rng)
{
    char *got;
    switch (rng_below(rng, 4)) {
    case 0:
        push_many(r, "MSET", " k%d v%d", KEYS, (int)rng_below(rng, 100));
        got = answer(r);
        CHECK(strcmp(got, "+OK\r\n") == 0);
        free(got);
        break;
    case 1:
        push_many(r, "MGET", " k%d", KEYS, 0);
        got = answer(r);
        CHECK(all_equal(got, "\r\nv") == KEYS);
        free(got);
        break;
    case 2:
        got = ask(r, "MGET k1 k50 k299\r\n");
        CHECK(all_equal(got, "\r\nv") == 3);
        free(got);
        break;
    default:
        got = ask(r, "GET k0\r\nGET beside\r\nINCR beside\r\n");
        CHECK(all_equal(got, "\r\nv") == 1);
        free(got);
    }
}

/* Begins something long and goes away, or waits for a while. */
static void disturb(struct racer *r, struct rng *rng)
{
    static const char *const words[] = {
        "HGETALL h\r\n",           "LREM l 0 none\r\n",
        "SUNIONSTORE e s t\r\n",   "SCAN 0 COUNT 500\r\n",
        "DEBUG DIGEST\r\n",        "LRANGE l 0 -1\r\nSMEMBERS s\r\n",
        "COPY h g REPLACE\r\n",    "WATCH h l\r\nMULTI\r\nHKEYS h\r\nEXEC\r\n",
        "SET volatile 1 PX 1\r\n", "RENAME e s2\r\n",
    };
    const char *text = words[rng_below(rng, sizeof(words) / sizeof(words[0]))];
    test_stream_push(r->fickle->stream, text, strlen(text));
    if (rng_below(rng, 3) == 0) {
        test_lcore_run(r->node, r->lcore);
        test_stream_reset(r->fickle->stream);
    }
    free(test_stream_take(r->fickle->stream, NULL));
    if (test_is_closed(r->fickle)) {
        test_stream_reopen(r->fickle->stream);
        CHECK(session_new(test_worker(r->node, r->lcore), &r->fickle->stream->stream));
    }
}

static void *racer_run(void *arg)
{
    struct racer *r = arg;
    struct rng rng;
    rng_seed(&rng, 400 + r->lcore);
    qsbr_register();
    metrics_attach((int)r->lcore);
    for (int round = 0; round < ROUNDS; round++) {
        disturb(r, &rng);
        hash_game(r, &rng);
        set_game(r, &rng);
        list_game(r, &rng);
        string_game(r, &rng);
    }
    test_stream_reset(r->fickle->stream);
    atomic_fetch_add(r->finished, 1);
    while (atomic_load(r->finished) < LCORES || test_lcore_run(r->node, r->lcore))
        test_lcore_run(r->node, r->lcore);
    /* What others let in may come by mail until all have nothing left. */
    atomic_fetch_add(r->finished, 1);
    while (atomic_load(r->finished) < 2 * LCORES)
        test_lcore_run(r->node, r->lcore);
    qsbr_unregister();
    return NULL;
}

static void prepare(struct racer *r)
{
    push_many(r, "HSET h", " f%d v%d", SIZE, 7);
    push_many(r, "SADD s", " m%d", SIZE, 0);
    push_many(r, "SADD t", " m%d", SIZE / 2, 0);
    push_many(r, "SADD t", " n%d", SIZE / 2, 0);
    push_many(r, "MSET", " k%d v%d", KEYS, 7);
    for (int i = 0; i < SIZE; i++) {
        char text[32];
        int len = snprintf(text, sizeof(text), "RPUSH l e%d\r\n", i % 10);
        test_stream_push(r->client->stream, text, (size_t)len);
    }
    free(answer(r));
}

static void long_commands_are_atomic(void **state)
{
    struct test_node *node = test_node_new(LCORES);
    struct racer racers[LCORES] = {0};
    atomic_uint finished = 0;
    test_node_config(node, "enable-debug-command", "yes");
    test_node_job_budget(node, 0);
    for (unsigned i = 0; i < LCORES; i++) {
        racers[i] = (struct racer){.node = node, .lcore = i, .finished = &finished};
        racers[i].client = test_connect(node, i);
        racers[i].fickle = test_connect(node, i);
    }
    prepare(&racers[0]);
    qsbr_offline();
    for (unsigned i = 0; i < LCORES; i++)
        assert_int_equal(pthread_create(&racers[i].thread, NULL, racer_run, &racers[i]), 0);
    for (unsigned i = 0; i < LCORES; i++)
        pthread_join(racers[i].thread, NULL);
    qsbr_online();
    test_node_run(node);
    ks_claims_validate(test_worker(node, 0)->ks->shared);
    TEST_SAYS(racers[0].client, "LLEN l\r\nHLEN h\r\nSCARD s\r\n", ":1300\r\n:1300\r\n:1300\r\n");
    test_node_free(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(long_commands_are_atomic)};
    return cmocka_run_group_tests_name("work_race", tests, NULL, NULL);
}
