#include "job.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "check.h"
#include "test_node.h"

struct counted_job {
    struct job job;
    char name;
    int left;
};

static char trace[64];
static size_t trace_len;
static int live;

static bool counted_step(struct job *j)
{
    struct counted_job *k = container_from(j, struct counted_job, job);
    assert_true(trace_len < sizeof(trace) - 1);
    trace[trace_len++] = k->name;
    trace[trace_len] = '\0';
    if (--k->left > 0)
        return false;
    reply_ok(j->reply);
    return true;
}

static void counted_free(struct job *j)
{
    free(container_from(j, struct counted_job, job));
    live--;
}

static void start(struct test_client *client, char name, int steps, uint64_t due_us)
{
    struct session *s = client->stream->stream.user;
    struct call c = {.worker = s->worker, .session = s, .ks = s->worker->ks, .reply = &s->reply};
    struct counted_job *k = calloc(1, sizeof(*k));
    k->job = (struct job){.step = counted_step, .free = counted_free, .due_us = due_us};
    k->name = name;
    k->left = steps;
    live++;
    job_start(&c, &k->job);
}

static int setup(void **state)
{
    *state = test_node_new(1);
    trace_len = 0;
    trace[0] = '\0';
    return 0;
}

static int teardown(void **state)
{
    test_node_free(*state);
    assert_int_equal(live, 0);
    return 0;
}

static void test_short_work_is_done_at_once(void **state)
{
    struct test_client *a = test_connect(*state, 0);
    start(a, 'a', 1, 0);
    assert_string_equal(trace, "a");
    assert_int_equal(live, 0);
    assert_int_equal(jobs_next_us(test_worker(*state, 0)), UINT64_MAX);
    assert_string_equal(test_replies(a, NULL), "+OK\r\n");
}

static void test_jobs_take_turns(void **state)
{
    struct test_client *a = test_connect(*state, 0), *b = test_connect(*state, 0);
    start(a, 'a', 4, 0);
    start(b, 'b', 3, 0);
    assert_string_equal(trace, "ab");
    test_node_run(*state);
    assert_string_equal(trace, "abababa");
    assert_string_equal(test_replies(a, NULL), "+OK\r\n");
    assert_string_equal(test_replies(b, NULL), "+OK\r\n");
}

static void test_a_wait_holds_up_nobody(void **state)
{
    struct test_client *a = test_connect(*state, 0), *b = test_connect(*state, 0);
    struct worker *w = test_worker(*state, 0);
    start(a, 'a', 1, w->now_us + 5000);
    start(b, 'b', 3, 0);
    test_node_run(*state);
    assert_string_equal(trace, "bbb");
    assert_int_equal(jobs_next_us(w), w->now_us + 5000);
    test_node_advance(*state, 5);
    test_node_run(*state);
    assert_string_equal(trace, "bbba");
}

static void test_abandoned_jobs_are_freed(void **state)
{
    struct test_client *a = test_connect(*state, 0), *b = test_connect(*state, 0);
    start(a, 'a', 1, test_worker(*state, 0)->now_us + 5000);
    start(b, 'b', 10, 0);
    test_stream_reset(a->stream);
    test_stream_reset(b->stream);
    session_reap(test_worker(*state, 0));
    test_node_run(*state);
    assert_string_equal(trace, "b");
    assert_int_equal(live, 0);
}

/* What is left at the end of the node is freed by jobs_free(). */
static void test_unfinished_at_the_end(void **state)
{
    struct test_client *a = test_connect(*state, 0);
    start(a, 'a', 1, UINT64_MAX);
    test_node_run(*state);
    assert_int_equal(live, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_short_work_is_done_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_jobs_take_turns, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_wait_holds_up_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(test_abandoned_jobs_are_freed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unfinished_at_the_end, setup, teardown),
    };
    return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
