/* Several lcores change the same strings at once: nothing may be lost, whether the new value was
 * built without the lock or under it. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "clock.h"
#include "families.h"
#include "object.h"
#include "qsbr.h"

#define LCORES 3
#define ROUNDS 2000
#define APPEND_BYTES 7

static struct keyspace *keyspace;

struct lcore {
    unsigned id;
    struct worker worker;
    struct ks *ks;
    struct outbuf out;
    struct reply reply;
    bool failed;
};

static void run(struct lcore *l, void (*handler)(struct call *), struct slice *argv, uint32_t argc)
{
    struct key key = key_of(argv[1]);
    struct call call = {
        .worker = &l->worker,
        .ks = l->ks,
        .reply = &l->reply,
        .command = command_lookup(argv[0]),
        .argv = argv,
        .argc = argc,
        .keys = &key,
        .key_count = 1,
    };
    handler(&call);
    l->failed |= l->reply.failed;
    outbuf_clear(&l->out);
}

static void lcore_begin(struct lcore *l)
{
    qsbr_register();
    l->ks = ks_new(keyspace, l->id, l->id + 1);
    l->ks->master = true;
    l->ks->now_ms = 1700000000000;
    l->worker = (struct worker){.id = l->id, .ks = l->ks, .config = config_get()};
    outbuf_init(&l->out);
    l->reply = (struct reply){.out = &l->out, .protocol = 2};
}

static void lcore_end(struct lcore *l)
{
    ks_free(l->ks);
    qsbr_unregister();
}

static void *lcore_main(void *arg)
{
    struct lcore *l = arg;
    struct slice incr[] = {slice_str("incr"), slice_str("counter")};
    struct slice append[] = {slice_str("append"), slice_str("text"), slice_from("abcdefg", 7)};
    struct slice set_nx[] = {slice_str("set"), slice_str("token"), slice_str("x"), slice_str("nx")};
    lcore_begin(l);
    for (int i = 0; i < ROUNDS; i++) {
        run(l, cmd_incr, incr, 2);
        run(l, cmd_append, append, 3);
        run(l, cmd_set, set_nx, 4);
        ks_reclaim(l->ks, false, 100);
        qsbr_quiescent();
    }
    lcore_end(l);
    return NULL;
}

static void expect_text(struct lcore *l, const char *name, size_t len)
{
    struct key key = key_of(slice_str(name));
    const struct entry *e = ks_get(l->ks, &key, 0);
    assert_non_null(e);
    assert_int_equal(entry_string_len(e), len);
}

static void test_nothing_is_lost(void **state)
{
    static struct lcore lcores[LCORES + 1];
    pthread_t threads[LCORES];
    clock_init();
    commands_init();
    config_publish(config_new());
    keyspace = keyspace_new(object_ops);
    for (unsigned i = 0; i < LCORES; i++) {
        lcores[i].id = i;
        assert_int_equal(pthread_create(&threads[i], NULL, lcore_main, &lcores[i]), 0);
    }
    for (unsigned i = 0; i < LCORES; i++) {
        pthread_join(threads[i], NULL);
        assert_false(lcores[i].failed);
    }
    lcores[LCORES].id = LCORES;
    lcore_begin(&lcores[LCORES]);
    struct key counter = key_of(slice_str("counter"));
    const struct entry *e = ks_get(lcores[LCORES].ks, &counter, 0);
    assert_non_null(e);
    char text[16];
    int len = snprintf(text, sizeof(text), "%d", LCORES * ROUNDS);
    assert_true(slice_equal(entry_string(e), slice_from(text, (size_t)len)));
    expect_text(&lcores[LCORES], "text", (size_t)LCORES * ROUNDS * APPEND_BYTES);
    expect_text(&lcores[LCORES], "token", 1);
    lcore_end(&lcores[LCORES]);
    keyspace_free(keyspace);
    config_unpublish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_lost),
    };
    return cmocka_run_group_tests_name("string_race", tests, NULL, NULL);
}
