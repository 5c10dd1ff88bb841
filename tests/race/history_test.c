/* The checker itself: histories made by hand, of sound nodes and of broken ones. */
#include "history.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define BEFORE(key, text) model_value_set(&h->start.keys[(key) - 'a'], text, false)
/* One command of a thread, from … to in time. Keys: "ab"; values: one of "1", "2" for each. */
#define DID(thread, from, to, kind, keys, values, reply) \
    add(h, thread, from, to, call_of(kind, keys, values), reply)

static struct command_call call_of(enum command_kind kind, const char *keys, const char *values)
{
    struct command_call c = {.kind = kind, .key_count = (uint8_t)strlen(keys)};
    for (unsigned i = 0; i < c.key_count; i++) {
        c.keys[i] = (uint8_t)(keys[i] - 'a');
        if (i < strlen(values))
            c.values[i][0] = values[i];
    }
    return c;
}

static struct operation *add(struct history *h, unsigned thread, uint64_t from, uint64_t to,
                             struct command_call c, const char *reply)
{
    struct operation *o = &h->operations[thread][h->counts[thread]++];
    if (thread >= h->thread_count)
        h->thread_count = thread + 1;
    *o = (struct operation){.command_count = 1, .commands = {c}, .began_ns = from, .ended_ns = to};
    strcpy(o->reply, reply);
    return o;
}

/* Two commands between MULTI and EXEC. */
static void did_exec(struct history *h, unsigned thread, const uint64_t *times,
                     struct command_call one, struct command_call two, const char *reply)
{
    struct operation *o = add(h, thread, times[0], times[1], one, reply);
    o->exec = true;
    o->commands[o->command_count++] = two;
}

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct history));
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void test_one_after_the_other(void **state)
{
    struct history *h = *state;
    BEFORE('a', "1");
    DID(0, 10, 20, GET, "a", "", "$1\n");
    DID(0, 30, 40, SET, "a", "2", "+OK\n");
    DID(1, 50, 60, GET, "a", "", "$2\n");
    assert_true(history_is_linearisable(h));
}

static void test_stale_read(void **state)
{
    struct history *h = *state;
    BEFORE('a', "1");
    DID(0, 30, 40, SET, "a", "2", "+OK\n");
    DID(1, 50, 60, GET, "a", "", "$1\n");
    assert_false(history_is_linearisable(h));
    /* Had they overlapped, it would be sound: even to see the new value and then … */
    h->operations[1][0].began_ns = 35;
    assert_true(history_is_linearisable(h));
    /* … but not the old one again. */
    strcpy(h->operations[1][0].reply, "$2\n");
    DID(1, 70, 80, GET, "a", "", "$1\n");
    assert_false(history_is_linearisable(h));
}

static void test_equal_times_overlap(void **state)
{
    struct history *h = *state;
    DID(0, 10, 20, SET, "a", "1", "+OK\n");
    DID(1, 20, 30, GET, "a", "", "_\n");
    assert_true(history_is_linearisable(h));
}

static void test_half_an_mset(void **state)
{
    struct history *h = *state;
    BEFORE('a', "1");
    BEFORE('b', "1");
    DID(0, 10, 100, MSET, "ab", "22", "+OK\n");
    DID(1, 20, 30, MGET, "ab", "", "*2\n$2\n$1\n");
    assert_false(history_is_linearisable(h));
    strcpy(h->operations[1][0].reply, "*2\n$2\n$2\n");
    assert_true(history_is_linearisable(h));
}

/* Both keys read one by one while an MSET is under way: new, then old. */
static void test_half_an_mset_by_single_reads(void **state)
{
    struct history *h = *state;
    BEFORE('b', "1");
    DID(0, 10, 100, MSET, "ab", "22", "+OK\n");
    DID(1, 20, 30, GET, "a", "", "$2\n");
    DID(2, 40, 50, GET, "b", "", "$1\n");
    assert_false(history_is_linearisable(h));
    h->operations[2][0].began_ns = 25;
    assert_true(history_is_linearisable(h));
}

/* Each of the threads sees a sound order, but they differ. */
static void test_orders_that_differ(void **state)
{
    struct history *h = *state;
    DID(0, 10, 100, SET, "a", "1", "+OK\n");
    DID(1, 10, 100, SET, "b", "1", "+OK\n");
    DID(2, 10, 100, MGET, "ab", "", "*2\n$1\n_\n");
    DID(3, 10, 100, MGET, "ab", "", "*2\n_\n$1\n");
    assert_false(history_is_linearisable(h));
    strcpy(h->operations[3][0].reply, "*2\n$1\n$1\n");
    assert_true(history_is_linearisable(h));
}

static void test_lost_increment(void **state)
{
    struct history *h = *state;
    BEFORE('a', "5");
    DID(0, 10, 30, INCR, "a", "", ":6\n");
    DID(1, 20, 40, INCR, "a", "", ":6\n");
    assert_false(history_is_linearisable(h));
    strcpy(h->operations[1][0].reply, ":7\n");
    assert_true(history_is_linearisable(h));
}

static void test_lost_write_shows_in_the_end(void **state)
{
    struct history *h = *state;
    DID(0, 10, 30, APPEND, "a", "1", ":1\n");
    DID(1, 20, 40, APPEND, "a", "2", ":2\n");
    DID(2, 50, 60, GET, "a", "", "$2\n");
    assert_false(history_is_linearisable(h));
    strcpy(h->operations[2][0].reply, "$12\n");
    assert_true(history_is_linearisable(h));
}

static void test_exec_is_one_step(void **state)
{
    struct history *h = *state;
    const uint64_t times[] = {10, 100};
    BEFORE('a', "1");
    did_exec(h, 0, times, call_of(GET, "a", ""), call_of(GET, "a", ""), "*2\n$1\n$2\n");
    DID(1, 20, 30, SET, "a", "2", "+OK\n");
    assert_false(history_is_linearisable(h));
    strcpy(h->operations[0][0].reply, "*2\n$2\n$2\n");
    assert_true(history_is_linearisable(h));
}

static void test_rename_has_no_gap(void **state)
{
    struct history *h = *state;
    BEFORE('a', "1");
    DID(0, 10, 100, RENAME, "ab", "", "+OK\n");
    DID(1, 20, 30, EXISTS, "ab", "", ":0\n");
    assert_false(history_is_linearisable(h));
    strcpy(h->operations[1][0].reply, ":2\n");
    assert_false(history_is_linearisable(h));
    strcpy(h->operations[1][0].reply, ":1\n");
    assert_true(history_is_linearisable(h));
}

static void test_watch(void **state)
{
    struct history *h = *state;
    const uint64_t times[] = {70, 80};
    BEFORE('a', "1");
    DID(0, 10, 20, WATCH, "a", "", "+OK\n");
    DID(1, 30, 60, SET, "a", "2", "+OK\n");
    did_exec(h, 0, times, call_of(SET, "a", "3"), call_of(GET, "a", ""), "*2\n+OK\n$3\n");
    assert_false(history_is_linearisable(h));
    strcpy(h->operations[0][1].reply, "_\n");
    assert_true(history_is_linearisable(h));
    /* Aborted though nothing had changed. */
    h->operations[1][0].commands[0].kind = SETNX;
    strcpy(h->operations[1][0].reply, ":0\n");
    assert_false(history_is_linearisable(h));
    /* A transaction ends the watch. */
    strcpy(h->operations[0][1].reply, "*2\n+OK\n$3\n");
    assert_true(history_is_linearisable(h));
}

static void test_expiry_comes_when_it_will(void **state)
{
    struct history *h = *state;
    DID(0, 10, 20, SET_PX, "a", "1", "+OK\n");
    DID(0, 30, 40, GET, "a", "", "$1\n");
    DID(0, 50, 60, GET, "a", "", "_\n");
    assert_true(history_is_linearisable(h));
    /* But it does not undo itself, and spares what was stored without an expiry. */
    DID(0, 70, 80, GET, "a", "", "$1\n");
    assert_false(history_is_linearisable(h));
    h->operations[0][0].commands[0].kind = SET;
    h->counts[0] = 3;
    assert_false(history_is_linearisable(h));
}

static void test_flush(void **state)
{
    struct history *h = *state;
    BEFORE('a', "1");
    BEFORE('b', "1");
    DID(0, 10, 100, FLUSHALL, "", "", "+OK\n");
    DID(1, 20, 30, MGET, "ab", "", "*2\n_\n$1\n");
    assert_false(history_is_linearisable(h));
    strcpy(h->operations[1][0].reply, "*2\n_\n_\n");
    assert_true(history_is_linearisable(h));
}

/* Values that are half of one write and half of another have no short form; see lane_short(). */
static void test_long_values_count(void **state)
{
    struct history *h = *state;
    BEFORE('a', "1#");
    DID(0, 10, 20, APPEND, "a", "2", ":5002\n");
    DID(0, 30, 40, GET, "a", "", "$1#2\n");
    assert_true(history_is_linearisable(h));
}

int main(void)
{
#define WITH_HISTORY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_HISTORY(test_one_after_the_other),
        WITH_HISTORY(test_stale_read),
        WITH_HISTORY(test_equal_times_overlap),
        WITH_HISTORY(test_half_an_mset),
        WITH_HISTORY(test_half_an_mset_by_single_reads),
        WITH_HISTORY(test_orders_that_differ),
        WITH_HISTORY(test_lost_increment),
        WITH_HISTORY(test_lost_write_shows_in_the_end),
        WITH_HISTORY(test_exec_is_one_step),
        WITH_HISTORY(test_rename_has_no_gap),
        WITH_HISTORY(test_watch),
        WITH_HISTORY(test_expiry_comes_when_it_will),
        WITH_HISTORY(test_flush),
        WITH_HISTORY(test_long_values_count),
    };
    return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
