/* What SLOWLOG shows is in server_test.c; here: lcores that add while others read and reset. */
#include "slowlog.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "families.h"
#include "session.h"
#include "watching.h"

#define RACE_NOTES 3000
#define RACE_LEN 40

static struct slowlog *slowlog;
static struct config config = {.slowlog_max_len = RACE_LEN};
static _Atomic(int) running;

struct lcore {
    struct worker worker;
    struct session session;
};

static void lcore_init(struct lcore *l)
{
    *l = (struct lcore){.worker = {.config = &config, .slowlog = slowlog}};
}

static void *race_notes(void *arg)
{
    struct lcore *l = arg;
    struct slice argv[2] = {slice_str("get"), slice_str("some-key")};
    for (uint64_t i = 0; i < RACE_NOTES; i++)
        slowlog_note(&l->worker, &l->session, argv, 2, i);
    atomic_fetch_sub(&running, 1);
    return NULL;
}

/* Replies into nothing but a queue; the length of what came. */
static size_t run(struct lcore *l, void (*handler)(struct call *), struct slice *argv,
                  uint32_t argc)
{
    struct outbuf out;
    struct reply reply = {.out = &out, .protocol = 2};
    struct call call = {.worker = &l->worker, .reply = &reply, .argv = argv, .argc = argc};
    outbuf_init(&out);
    handler(&call);
    size_t len = out.len;
    outbuf_clear(&out);
    return len;
}

static void test_race(void **state)
{
    static struct lcore lcores[3];
    pthread_t threads[2];
    struct slice argv[3] = {slice_str("slowlog"), slice_str("get"), slice_str("-1")};
    unsigned rounds = 0;
    slowlog = slowlog_new();
    for (int i = 0; i < 3; i++)
        lcore_init(&lcores[i]);
    atomic_store(&running, 2);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race_notes, &lcores[i]), 0);
    while (atomic_load(&running) > 0) {
        assert_true(run(&lcores[2], cmd_slowlog_get, argv, 3) < RACE_LEN * 100);
        if (++rounds % 64 == 0)
            run(&lcores[2], cmd_slowlog_reset, argv, 2);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    slowlog_free(slowlog);
}

/* A lower limit takes effect in pieces: each new entry drops some of the old ones. */
static void test_trims_after_the_limit_was_lowered(void **state)
{
    static struct lcore l;
    struct slice argv[3] = {slice_str("slowlog"), slice_str("get"), slice_str("-1")};
    slowlog = slowlog_new();
    lcore_init(&l);
    for (int i = 0; i < RACE_LEN; i++)
        slowlog_note(&l.worker, &l.session, argv, 2, 1);
    size_t before = run(&l, cmd_slowlog_get, argv, 3);
    config.slowlog_max_len = 2;
    for (int i = 0; i < 3; i++)
        slowlog_note(&l.worker, &l.session, argv, 2, 1);
    assert_true(run(&l, cmd_slowlog_get, argv, 3) < before / 10);
    config.slowlog_max_len = RACE_LEN;
    slowlog_free(slowlog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_race),
        cmocka_unit_test(test_trims_after_the_limit_was_lowered),
    };
    return cmocka_run_group_tests_name("slowlog", tests, NULL, NULL);
}
