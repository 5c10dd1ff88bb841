/* A thread per lcore, each with clients of its own that run transactions on the same keys, publish
 * to and kill each other: transactions stay atomic and isolated, no increment is lost, and nothing
 * of the clients is left. For the thread sanitizer too. */
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
#include "metrics.h"
#include "qsbr.h"
#include "rng.h"
#include "test_node.h"

#define LCORES 3
#define ROUNDS 8000
#define CLIENTS 4

struct racer {
    pthread_t thread;
    struct test_node *node;
    unsigned lcore;
    struct test_client *clients[CLIENTS];
    struct test_client *counter; /* its transactions are counted and checked */
    uint64_t increments;
    atomic_uint *finished;
};

static void push(struct test_client *c, const char *text)
{
    test_stream_push(c->stream, text, strlen(text));
}

/* Runs until the client's reply ends in "+DONE"; frees nothing of the reply. */
static char *ask(struct racer *r, const char *text)
{
    push(r->counter, text);
    push(r->counter, "ECHO DONE\r\n");
    char *all = calloc(1, 1);
    CHECK(all);
    size_t len = 0;
    while (len < 10 || strcmp(all + len - 10, "$4\r\nDONE\r\n") != 0) {
        test_lcore_run(r->node, r->lcore);
        size_t more;
        char *piece = test_stream_take(r->counter->stream, &more);
        all = realloc(all, len + more + 1);
        CHECK(all);
        memcpy(all + len, piece, more + 1);
        len += more;
        free(piece);
    }
    all[len - 10] = '\0';
    return all;
}

/* a and b change together only, so every look that is not torn finds them equal. */
static void check_pair(struct racer *r, struct rng *rng)
{
    static const char *const looks[] = {
        "MGET a b\r\n",
        "MULTI\r\nGET a\r\nGET b\r\nEXEC\r\n",
    };
    char *got;
    if (rng_below(rng, 2)) {
        got = ask(r, "MULTI\r\nINCR a\r\nINCR b\r\nEXEC\r\n");
        r->increments++;
    } else {
        got = ask(r, looks[rng_below(rng, 2)]);
    }
    const char *pair = strstr(got, "*2\r\n");
    CHECK(pair);
    pair += 4;
    size_t half = strlen(pair) / 2;
    CHECK(strlen(pair) % 2 == 0);
    CHECK(memcmp(pair, pair + half, half) == 0);
    free(got);
}

static void disturb(struct racer *r, struct rng *rng)
{
    static const char *const words[] = {
        "SUBSCRIBE x y\r\n",
        "PSUBSCRIBE x*\r\n",
        "UNSUBSCRIBE\r\n",
        "PUBLISH x hello\r\n",
        "PUBLISH y hello\r\n",
        "CLIENT LIST\r\n",
        "PUBSUB CHANNELS\r\n",
        "PUBSUB NUMSUB x y\r\n",
        "WATCH a\r\n",
        "MULTI\r\nSET c 1\r\nPUBLISH x in\r\nEXEC\r\n",
        "RESET\r\n",
        "CLIENT KILL TYPE pubsub\r\n",
        "DEL c\r\n",
        "SET c 1 PX 1\r\n",
        "CLIENT KILL ID 7 SKIPME no\r\n",
        "GET c\r\n",
    };
    struct test_client *c = r->clients[rng_below(rng, CLIENTS)];
    push(c, words[rng_below(rng, sizeof(words) / sizeof(words[0]))]);
    free(test_stream_take(c->stream, NULL));
    /* A new session on the stream of one that has gone. */
    if (test_is_closed(c)) {
        test_stream_reopen(c->stream);
        CHECK(session_new(test_worker(r->node, r->lcore), &c->stream->stream));
    }
}

static void *racer_run(void *arg)
{
    struct racer *r = arg;
    struct rng rng;
    rng_seed(&rng, 40 + r->lcore);
    qsbr_register();
    metrics_attach((int)r->lcore);
    for (int round = 0; round < ROUNDS; round++) {
        disturb(r, &rng);
        check_pair(r, &rng);
    }
    for (int i = 0; i < CLIENTS; i++)
        test_stream_reset(r->clients[i]->stream);
    atomic_fetch_add(r->finished, 1);
    while (atomic_load(r->finished) < LCORES || test_lcore_run(r->node, r->lcore))
        test_lcore_run(r->node, r->lcore);
    qsbr_unregister();
    return NULL;
}

static void lcores_share_everything_safely(void **state)
{
    struct test_node *node = test_node_new(LCORES);
    struct racer racers[LCORES] = {0};
    atomic_uint finished = 0;
    for (unsigned i = 0; i < LCORES; i++) {
        racers[i] = (struct racer){.node = node, .lcore = i, .finished = &finished};
        racers[i].counter = test_connect(node, i);
        for (int k = 0; k < CLIENTS; k++)
            racers[i].clients[k] = test_connect(node, i);
    }
    TEST_SAYS(racers[0].counter, "MSET a 0 b 0\r\n", "+OK\r\n");
    qsbr_offline();
    for (unsigned i = 0; i < LCORES; i++)
        assert_int_equal(pthread_create(&racers[i].thread, NULL, racer_run, &racers[i]), 0);
    uint64_t increments = 0;
    for (unsigned i = 0; i < LCORES; i++) {
        pthread_join(racers[i].thread, NULL);
        increments += racers[i].increments;
    }
    qsbr_online();
    char want[64], number[32];
    int len = snprintf(number, sizeof(number), "%llu", (unsigned long long)increments);
    snprintf(want, sizeof(want), "$%d\r\n%s\r\n", len, number);
    TEST_SAYS(racers[0].counter, "GET a\r\n", want);
    test_node_free(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lcores_share_everything_safely)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
