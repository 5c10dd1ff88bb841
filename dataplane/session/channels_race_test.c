/* Threads subscribe, unsubscribe and look at the same channels: every thread always finds at least
 * what it holds itself, nothing is left in the end, and the sanitizers see no race and no use after
 * free. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>
#include "channels.h"
#include "check.h"
#include "qsbr.h"
#include "rng.h"

#define THREADS 3
#define NAMES 6
#define ROUNDS 30000

struct racer {
    pthread_t thread;
    struct channels *channels;
    unsigned lcore;
    uint32_t held[CHANNEL_KINDS][NAMES];
};

static struct slice name_of(enum channel_kind kind, unsigned i, char room[16])
{
    snprintf(room, 16, kind == CHANNEL_PATTERN ? "n*%u" : "name%u", i);
    return slice_str(room);
}

static void racer_change(struct racer *r, struct rng *rng)
{
    char room[16];
    enum channel_kind kind = (enum channel_kind)(rng_below(rng, 4) % CHANNEL_KINDS);
    unsigned i = (unsigned)rng_below(rng, NAMES);
    struct slice name = name_of(kind, i, room);
    if (r->held[kind][i] && rng_below(rng, 2)) {
        channels_remove(r->channels, kind, name, r->lcore);
        r->held[kind][i]--;
    } else if (r->held[kind][i] < 3) {
        channels_add(r->channels, kind, name, r->lcore);
        r->held[kind][i]++;
    }
}

static void racer_look(struct racer *r, struct rng *rng)
{
    char room[16];
    unsigned i = (unsigned)rng_below(rng, NAMES);
    struct slice name = name_of(CHANNEL_NAME, i, room);
    uint64_t mine = r->held[CHANNEL_NAME][i] + r->held[CHANNEL_PATTERN][i], lcores;
    uint64_t all = channels_receivers(r->channels, CHANNEL_NAME, name, &lcores);
    CHECK(all >= mine);
    CHECK(!mine || lcores & UINT64_C(1) << r->lcore);
    CHECK(lcores < UINT64_C(1) << THREADS);
    CHECK(channels_subscribers(r->channels, CHANNEL_NAME, name) >= r->held[CHANNEL_NAME][i]);
}

static void count_name(void *arg, struct slice name)
{
    CHECK(name.len == 5 && memcmp(name.data, "name", 4) == 0);
    ++*(unsigned *)arg;
}

static void *racer_run(void *arg)
{
    struct racer *r = arg;
    struct rng rng;
    rng_seed(&rng, 100 + r->lcore);
    qsbr_register();
    for (unsigned round = 0; round < ROUNDS; round++) {
        racer_change(r, &rng);
        racer_look(r, &rng);
        if (round % 4096 == 0) {
            unsigned seen = 0;
            channels_each(r->channels, CHANNEL_NAME, count_name, &seen);
        }
        if (rng_below(&rng, 8) == 0)
            qsbr_quiescent();
    }
    char room[16];
    for (int kind = 0; kind < CHANNEL_KINDS; kind++) {
        for (unsigned i = 0; i < NAMES; i++) {
            struct slice name = name_of((enum channel_kind)kind, i, room);
            while (r->held[kind][i]-- > 0)
                channels_remove(r->channels, (enum channel_kind)kind, name, r->lcore);
        }
    }
    qsbr_unregister();
    return NULL;
}

static void counts_hold_under_contention(void **state)
{
    struct racer racers[THREADS];
    struct channels *channels = channels_new(THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        racers[i] = (struct racer){.channels = channels, .lcore = i};
        assert_int_equal(pthread_create(&racers[i].thread, NULL, racer_run, &racers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(racers[i].thread, NULL);
    assert_int_equal(channels_count(channels, CHANNEL_NAME), 0);
    assert_int_equal(channels_count(channels, CHANNEL_PATTERN), 0);
    uint64_t lcores;
    assert_int_equal(channels_receivers(channels, CHANNEL_NAME, slice_str("name1"), &lcores), 0);
    assert_int_equal(lcores, 0);
    channels_free(channels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(counts_hold_under_contention)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
