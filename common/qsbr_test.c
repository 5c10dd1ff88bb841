#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#include "qsbr.h"
#include "check.h"

/* One step of the reader per step of the test: no timing. */
struct reader {
    pthread_t thread;
    pthread_barrier_t barrier;
    int *shared;
    int seen;
};

static void step(struct reader *reader)
{
    pthread_barrier_wait(&reader->barrier);
}

static void *reader_main(void *arg)
{
    struct reader *reader = arg;
    qsbr_register();
    int *kept = reader->shared;
    step(reader); /* holds the pointer */
    step(reader); /* the grace period has begun, and not passed */
    reader->seen = *kept;
    qsbr_quiescent();
    /* Offline, so that the barrier's waits block no grace period. */
    qsbr_offline();
    step(reader);
    step(reader);
    qsbr_online();
    qsbr_unregister();
    return NULL;
}

static void wait_passed(const struct qsbr_grace *grace)
{
    while (!qsbr_grace_passed(grace))
        usleep(1000);
}

static void test_grace_waits_for_reader(void **state)
{
    struct reader reader = {.shared = malloc(sizeof(int))};
    *reader.shared = 42;
    pthread_barrier_init(&reader.barrier, NULL, 2);
    assert_int_equal(pthread_create(&reader.thread, NULL, reader_main, &reader), 0);
    step(&reader);
    struct qsbr_grace *grace = qsbr_grace_begin();
    /* Time for the helper to pass it wrongly; waiting longer can only make the test stricter. */
    usleep(50000);
    assert_false(qsbr_grace_passed(grace));
    step(&reader);
    step(&reader);
    wait_passed(grace);
    assert_int_equal(reader.seen, 42);
    free(reader.shared);
    qsbr_grace_free(grace);
    step(&reader);
    pthread_join(reader.thread, NULL);
    pthread_barrier_destroy(&reader.barrier);
}

static void test_grace_passes_without_readers(void **state)
{
    struct qsbr_grace *first = qsbr_grace_begin();
    struct qsbr_grace *second = qsbr_grace_begin();
    wait_passed(second);
    wait_passed(first);
    qsbr_grace_free(first);
    qsbr_grace_free(second);
}

static void test_registered_caller_does_not_wait_for_itself(void **state)
{
    qsbr_register();
    qsbr_synchronize();
    qsbr_unregister();
}

#define ROUNDS 200
#define READERS 2

struct node {
    uint64_t a;
    uint64_t b; /* always ~a while published */
};

static _Atomic(struct node *) published;
static _Atomic(int) stop;

static void *race_reader(void *arg)
{
    uint64_t reads = 0;
    qsbr_register();
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        struct node *node = atomic_load_explicit(&published, memory_order_acquire);
        CHECK(node->b == ~node->a);
        reads++;
        qsbr_quiescent();
    }
    qsbr_unregister();
    *(uint64_t *)arg = reads;
    return NULL;
}

static struct node *node_new(uint64_t a)
{
    struct node *node = malloc(sizeof(*node));
    CHECK(node);
    *node = (struct node){a, ~a};
    return node;
}

/* Readers use what they found until they are quiescent while a writer replaces and frees it: the
 * sanitizers report a grace period that ends too early. */
static void test_race_of_replacing_and_reading(void **state)
{
    pthread_t threads[READERS];
    uint64_t reads[READERS];
    atomic_store(&published, node_new(0));
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race_reader, &reads[i]), 0);
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        struct node *old = atomic_exchange_explicit(&published, node_new(i), memory_order_acq_rel);
        if (i % 2) {
            qsbr_synchronize();
        } else {
            struct qsbr_grace *grace = qsbr_grace_begin();
            wait_passed(grace);
            qsbr_grace_free(grace);
        }
        *old = (struct node){1, 1};
        free(old);
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    free(atomic_load(&published));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grace_waits_for_reader),
        cmocka_unit_test(test_grace_passes_without_readers),
        cmocka_unit_test(test_registered_caller_does_not_wait_for_itself),
        cmocka_unit_test(test_race_of_replacing_and_reading),
    };
    return cmocka_run_group_tests_name("qsbr", tests, NULL, NULL);
}
