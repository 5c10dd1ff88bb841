#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "chain_table.h"
#include "check.h"
#include "rng.h"
#include "session.h"
#include "test_stream.h"

static struct node shared;
static struct config *config;
static struct worker *worker;
static unsigned wakes;

static void count_wake(struct session *s)
{
    wakes++;
}

static int setup(void **state)
{
    memset(&shared, 0, sizeof(shared));
    shared.lcore_count = 1;
    config = config_new();
    worker = aligned_alloc(64, sizeof(*worker));
    memset(worker, 0, sizeof(*worker));
    worker->node = &shared;
    worker->config = config;
    worker->sessions = session_list_new();
    worker->now_us = 1;
    session_wake = count_wake;
    wakes = 0;
    return 0;
}

static int teardown(void **state)
{
    session_reap(worker);
    session_list_free(worker->sessions);
    assert_int_equal(shared.client_count, 0);
    config_free(config);
    free(worker);
    return 0;
}

static struct session *connect_to(struct test_stream **stream)
{
    *stream = test_stream_new("10.0.0.1:1");
    return session_new(worker, &(*stream)->stream);
}

/* Parses what is there; how many whole commands. */
static unsigned parse_all(struct session *s, unsigned at_most)
{
    struct slice in = session_input_begin(s), room[4];
    struct resp_limits limits = session_parse_limits(s);
    size_t used = 0;
    unsigned count = 0;
    while (count < at_most && used < in.len) {
        struct resp_command cmd;
        enum resp_result r = resp_parse(&s->parser, slice_from(in.data + used, in.len - used),
                                        &limits, room, 4, &cmd);
        if (r == RESP_MORE)
            break;
        assert_int_equal(r, RESP_COMMAND);
        assert_int_equal(cmd.argc, 2);
        assert_int_equal(cmd.argv[0].len, 4);
        used += cmd.consumed;
        count++;
    }
    assert_true(session_input_done(s, used));
    return count;
}

#define COMMAND "*2\r\n$4\r\nECHO\r\n$3\r\nabc\r\n"
#define COMMAND_LEN (sizeof(COMMAND) - 1)

static void whole_commands_are_parsed_in_place(void **state)
{
    struct test_stream *t;
    struct session *s = connect_to(&t);
    test_stream_push(t, COMMAND COMMAND, 2 * COMMAND_LEN);
    assert_int_equal(wakes, 1);
    assert_true(session_input_pending(s));
    assert_int_equal(parse_all(s, 1), 1);
    assert_null(s->query);
    assert_true(session_input_pending(s));
    assert_int_equal(parse_all(s, 9), 1);
    assert_null(s->query);
    assert_false(session_input_pending(s));
    session_close(s, false);
    session_reap(worker);
    test_stream_free(t);
}

static void unfinished_commands_wait_in_a_buffer(void **state)
{
    struct test_stream *t;
    struct session *s = connect_to(&t);
    test_stream_push(t, COMMAND "*2\r\n$4\r", COMMAND_LEN + 7);
    assert_int_equal(parse_all(s, 9), 1);
    assert_int_equal(s->query_len, 7);
    assert_null(t->first);
    assert_false(session_input_pending(s));
    /* The rest, two more commands, and the start of another; a round takes one command only. */
    test_stream_push(t, COMMAND COMMAND COMMAND "*2", 3 * COMMAND_LEN + 2);
    t->first_used = 7; /* those bytes came before */
    assert_true(session_input_pending(s));
    assert_int_equal(parse_all(s, 1), 1);
    assert_true(session_input_pending(s));
    assert_int_equal(parse_all(s, 1), 1);
    assert_int_equal(parse_all(s, 9), 1);
    assert_false(session_input_pending(s));
    test_stream_push(t, COMMAND + 2, COMMAND_LEN - 2);
    assert_int_equal(parse_all(s, 9), 1);
    assert_null(s->query);
    session_close(s, false);
    session_reap(worker);
    test_stream_free(t);
}

static void any_split_and_any_budget_give_all_commands(void **state)
{
    struct rng rng;
    rng_seed(&rng, 3);
    for (int round = 0; round < 500; round++) {
        struct test_stream *t;
        struct session *s = connect_to(&t);
        unsigned sent = 50, got = 0;
        char text[50 * COMMAND_LEN + 1];
        for (unsigned i = 0; i < sent; i++)
            memcpy(text + i * COMMAND_LEN, COMMAND, COMMAND_LEN);
        for (size_t at = 0; at < sent * COMMAND_LEN;) {
            size_t n = 1 + rng_below(&rng, rng_below(&rng, 2) ? 9 : 200);
            n = n < sent * COMMAND_LEN - at ? n : sent * COMMAND_LEN - at;
            test_stream_push(t, text + at, n);
            at += n;
            if (rng_below(&rng, 3) > 0)
                got += parse_all(s, 1 + (unsigned)rng_below(&rng, 6));
        }
        while (session_input_pending(s))
            got += parse_all(s, 1 + (unsigned)rng_below(&rng, 6));
        assert_int_equal(got, sent);
        assert_null(s->query);
        session_close(s, false);
        session_reap(worker);
        test_stream_free(t);
    }
}

static void sessions_are_found_by_id(void **state)
{
    enum { COUNT = 500 };
    static struct test_stream *streams[COUNT];
    struct session *sessions[COUNT];
    uint64_t ids[COUNT];
    for (int i = 0; i < COUNT; i++) {
        sessions[i] = connect_to(&streams[i]);
        ids[i] = sessions[i]->id;
    }
    for (int i = 0; i < COUNT; i++)
        assert_ptr_equal(session_by_id(worker, ids[i]), sessions[i]);
    for (int i = 0; i < COUNT; i += 2)
        session_close(sessions[i], i % 4 == 0);
    assert_null(session_by_id(worker, ids[0])); /* closing ones are gone for others */
    assert_int_equal(session_count(worker), COUNT);
    session_reap(worker);
    assert_int_equal(session_count(worker), COUNT / 2);
    for (int i = 0; i < COUNT; i++) {
        assert_ptr_equal(session_by_id(worker, ids[i]), i % 2 ? sessions[i] : NULL);
        assert_int_equal(streams[i]->closed, i % 4 == 0);
        assert_int_equal(streams[i]->aborted, i % 4 == 2);
        test_stream_reset(streams[i]);
    }
    session_reap(worker);
    for (int i = 0; i < COUNT; i++)
        test_stream_free(streams[i]);
}

static unsigned cancelled;

static void count_cancel(struct session *s)
{
    cancelled++;
}

static void waiting_sessions_are_woken_in_the_end(void **state)
{
    struct test_stream *t;
    struct session *s = connect_to(&t);
    session_park(s, &t, count_cancel);
    test_stream_push(t, COMMAND, COMMAND_LEN);
    assert_int_equal(wakes, 0);
    session_unpark(s);
    assert_int_equal(wakes, 1);
    assert_int_equal(parse_all(s, 9), 1);
    session_park(s, &t, count_cancel);
    session_unpark(s);
    assert_int_equal(wakes, 1); /* nothing to parse */
    session_park(s, &t, count_cancel);
    cancelled = 0;
    test_stream_reset(t);
    session_reap(worker);
    assert_int_equal(cancelled, 1);
    test_stream_free(t);
}

static void sessions_in_the_parse_list_are_reaped_later(void **state)
{
    struct test_stream *t;
    struct session *s = connect_to(&t);
    s->flags |= SESSION_READABLE;
    test_stream_reset(t);
    session_reap(worker);
    assert_int_equal(session_count(worker), 1);
    s->flags &= ~(uint32_t)SESSION_READABLE;
    session_reap(worker);
    assert_int_equal(session_count(worker), 0);
    test_stream_free(t);
}

struct item {
    struct chain_node node;
    bool in;
};

static void tables_hold_what_was_put_in(void **state)
{
    enum { COUNT = 300 };
    static struct item items[COUNT];
    struct chain_table t = {0};
    struct rng rng;
    rng_seed(&rng, 5);
    for (int i = 0; i < COUNT; i++)
        items[i].node.hash = rng_next(&rng) % 100; /* collisions */
    for (int round = 0; round < 20000; round++) {
        struct item *item = &items[rng_below(&rng, COUNT)];
        if (item->in)
            chain_table_remove(&t, &item->node);
        else
            chain_table_add(&t, &item->node);
        item->in = !item->in;
        item = &items[rng_below(&rng, COUNT)];
        bool found = false;
        for (struct chain_node *n = chain_first(&t, item->node.hash); n; n = chain_next(n)) {
            assert_int_equal(n->hash, item->node.hash);
            found |= n == &item->node;
        }
        assert_int_equal(found, item->in);
    }
    for (int i = 0; i < COUNT; i++) {
        if (items[i].in)
            chain_table_remove(&t, &items[i].node);
    }
    assert_null(t.buckets);
}

int main(void)
{
#define WITH_WORKER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_WORKER(whole_commands_are_parsed_in_place),
        WITH_WORKER(unfinished_commands_wait_in_a_buffer),
        WITH_WORKER(any_split_and_any_budget_give_all_commands),
        WITH_WORKER(sessions_are_found_by_id),
        WITH_WORKER(waiting_sessions_are_woken_in_the_end),
        WITH_WORKER(sessions_in_the_parse_list_are_reaped_later),
        cmocka_unit_test(tables_hold_what_was_put_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
