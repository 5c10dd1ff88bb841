/* A whole node without network for tests: lcores, run in turn by one thread, a keyspace, and
 * clients over memory streams. Time stands still but for test_node_advance().
 *
 *   struct test_node *n = test_node_new(1);
 *   struct test_client *c = test_connect(n, 0);
 *   TEST_SAYS(c, "PING\r\n", "+PONG\r\n");
 *   test_node_free(n); */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "session.h"
#include "test_stream.h"
#include "worker.h"

struct test_client {
    struct test_node *node;
    struct test_stream *stream;
    struct test_client *next;
    unsigned lcore;
};

struct test_node *test_node_new(unsigned lcore_count);
void test_node_free(struct test_node *n);
/* Ends and frees all clients; checks that nothing of them is left. */
void test_node_disconnect(struct test_node *n);
struct worker *test_worker(struct test_node *n, unsigned lcore);
struct node *test_node_shared(struct test_node *n);
/* CONFIG SET name value, at once. */
void test_node_config(struct test_node *n, const char *name, const char *value);
void test_node_advance(struct test_node *n, int64_t ms);
/* How long jobs run per loop (1000 us); 0: a piece. */
void test_node_job_budget(struct test_node *n, uint32_t budget_us);
/* One loop of one lcore: for tests with a thread per lcore, which must be QSBR-registered. True: it
 * had work. clients of that lcore are touched by its thread only, by test_stream_push() and
 * test_stream_take(). */
bool test_lcore_run(struct test_node *n, unsigned lcore);
/* Loops of all lcores until nothing is left to do; runs jobs, mail, cron. */
void test_node_run(struct test_node *n);

/* Never NULL; refused clients have a closed stream. Freed with the node. */
struct test_client *test_connect(struct test_node *n, unsigned lcore);
bool test_is_closed(const struct test_client *c);
/* Its command is parked: for another lcore, perhaps. */
bool test_is_waiting(const struct test_client *c);
/* Bytes arrive in one piece, or in pieces of at most step bytes, with loops in between. */
void test_send(struct test_client *c, const void *data, size_t len);
void test_send_pieces(struct test_client *c, const void *data, size_t len, size_t step);
/* What was replied since the last call; valid until the next call of any client of this node. */
const char *test_replies(struct test_client *c, size_t *len);

/* Sends a literal, without its NUL. */
#define TEST_SEND(client, text) test_send(client, text, sizeof(text) - 1)
/* Sends a literal and checks the whole reply. */
#define TEST_SAYS(client, text, want)                          \
    do {                                                       \
        TEST_SEND(client, text);                               \
        assert_string_equal(test_replies(client, NULL), want); \
    } while (0)
