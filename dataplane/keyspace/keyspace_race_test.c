/* Readers without locks against writers, on real threads. What must hold is said at each test; a
 * thread that sees it broken aborts. Run under ThreadSanitizer, too. */
#include "ks_test.h"
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <unistd.h>
#include "numbers.h"

#define THREADS_MAX 6
#define ROUNDS 20000
#define NEVER_SEEN 999999999999

struct race {
    struct keyspace *k;
    pthread_barrier_t start;
    _Atomic(uint32_t) writers; /* still at work */
    _Atomic(uint32_t) next_index;
    bool one_cpu;
    uint32_t rounds;
};

struct racer {
    pthread_t thread;
    struct race *race;
    void (*run)(struct racer *racer, struct ks *ks, struct rng *rng);
    bool writes;
    unsigned index;
};

static void *racer_main(void *arg)
{
    struct racer *racer = arg;
    struct race *race = racer->race;
    struct rng rng;
    if (race->one_cpu) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(0, &set);
        sched_setaffinity(0, sizeof(set), &set);
    }
    metrics_attach((int)racer->index);
    qsbr_register();
    struct ks *ks = ks_new(race->k, racer->index, racer->index);
    ks->now_ms = 1000000;
    rng_seed(&rng, racer->index + 100);
    qsbr_offline();
    pthread_barrier_wait(&race->start);
    qsbr_online();
    racer->run(racer, ks, &rng);
    if (racer->writes)
        atomic_fetch_sub(&race->writers, 1);
    ks_free(ks);
    qsbr_unregister();
    return NULL;
}

/* Runs the threads to their end. */
static void race_run(struct ks_fixture *f, struct racer *racers, unsigned n, bool one_cpu)
{
    struct race race = {.k = f->k, .one_cpu = one_cpu, .rounds = ROUNDS};
    pthread_barrier_init(&race.start, NULL, n);
    for (unsigned i = 0; i < n; i++)
        race.writers += racers[i].writes;
    qsbr_offline();
    for (unsigned i = 0; i < n; i++) {
        racers[i].race = &race;
        racers[i].index = i + 1;
        assert_int_equal(pthread_create(&racers[i].thread, NULL, racer_main, &racers[i]), 0);
    }
    for (unsigned i = 0; i < n; i++)
        pthread_join(racers[i].thread, NULL);
    qsbr_online();
    pthread_barrier_destroy(&race.start);
}

static bool writers_left(struct racer *racer)
{
    return atomic_load(&racer->race->writers) > 0;
}

/* One turn of an lcore's loop. */
static void turn(struct ks *ks)
{
    ks_reclaim(ks, true, 64);
    qsbr_quiescent();
}

static struct key key_in(char *buf, uint16_t slot, const char *kind, unsigned i)
{
    int len = snprintf(buf, 32, "%s:%u", kind, i);
    struct slice name = slice_from(buf, (size_t)len);
    return (struct key){name, key_hash(name), slot};
}

static void store(struct ks *ks, const struct key *key, uint64_t value)
{
    char text[NUMBER_TEXT_SIZE];
    struct entry *e =
        ks_entry_string(ks, key, slice_from(text, format_u64(text, value)), EXPIRY_NONE);
    CHECK(e);
    ks_put(ks, key, e);
}

static uint64_t number_of(const struct entry *e)
{
    uint64_t value = 0;
    CHECK(e);
    CHECK(parse_u64(entry_string(e), &value));
    CHECK(value != NEVER_SEEN);
    return value;
}

#define PAIRS 4
#define PAIR_SLOT_A 7
#define PAIR_SLOT_B 9

static void pair_keys(char (*buf)[32], unsigned pair, struct key keys[2])
{
    keys[0] = key_in(buf[0], PAIR_SLOT_A, "a", pair);
    keys[1] = key_in(buf[1], pair % 2 ? PAIR_SLOT_A : PAIR_SLOT_B, "b", pair);
}

static void pairs_begin(struct ks *ks)
{
    char buf[2][32];
    struct key keys[2];
    for (unsigned i = 0; i < PAIRS; i++) {
        pair_keys(buf, i, keys);
        for (unsigned j = 0; j < 2; j++) {
            ks_lock(ks, keys[j].slot);
            store(ks, &keys[j], 1);
            ks_unlock(ks, keys[j].slot);
        }
    }
}

static void pair_writer(struct racer *racer, struct ks *ks, struct rng *rng)
{
    char buf[2][32];
    struct key keys[2];
    const uint16_t slots[2] = {PAIR_SLOT_B, PAIR_SLOT_A};
    for (uint32_t i = 0; i < racer->race->rounds; i++) {
        pair_keys(buf, (unsigned)rng_below(rng, PAIRS), keys);
        ks_lock_many(ks, slots, 2, false);
        uint64_t value = number_of(ks_find(ks, &keys[0], 0)) + 1;
        unsigned first = (unsigned)rng_below(rng, 2);
        /* What a transaction overwrites itself is never seen, not even that it was gone. */
        store(ks, &keys[first], NEVER_SEEN);
        ks_delete(ks, &keys[first]);
        store(ks, &keys[first], value);
        store(ks, &keys[!first], value);
        ks_unlock_many(ks);
        turn(ks);
    }
}

/* Other keys of the same slots come and go, so that the index grows, splits and shrinks under the
 * readers. */
static void churner(struct racer *racer, struct ks *ks, struct rng *rng)
{
    char buf[32];
    for (uint32_t i = 0; i < racer->race->rounds; i++) {
        uint16_t slot = rng_below(rng, 2) ? PAIR_SLOT_A : PAIR_SLOT_B;
        /* Waves of a thousand keys, up and down. */
        bool up = i / 2000 % 2 == 0;
        struct key key = key_in(buf, slot, "churn", i % 2000);
        ks_lock(ks, slot);
        if (up)
            store(ks, &key, i);
        else
            ks_delete(ks, &key);
        ks_unlock(ks, slot);
        turn(ks);
    }
}

/* MGET sees both keys of a pair at one instant: they are equal, and never go back. */
static void pair_reader_many(struct racer *racer, struct ks *ks, struct rng *rng)
{
    uint64_t last[PAIRS] = {0};
    char buf[2][32];
    struct key keys[2];
    while (writers_left(racer)) {
        unsigned pair = (unsigned)rng_below(rng, PAIRS);
        const struct entry *out[2];
        pair_keys(buf, pair, keys);
        ks_get_many(ks, keys, 2, out, 0);
        uint64_t a = number_of(out[0]);
        CHECK(a == number_of(out[1]));
        CHECK(a >= last[pair]);
        last[pair] = a;
        turn(ks);
    }
}

/* Single reads in either order: who saw the new value of one key sees no older one of the other. */
static void pair_reader_single(struct racer *racer, struct ks *ks, struct rng *rng)
{
    uint64_t last[PAIRS] = {0};
    char buf[2][32];
    struct key keys[2];
    while (writers_left(racer)) {
        unsigned pair = (unsigned)rng_below(rng, PAIRS);
        pair_keys(buf, pair, keys);
        unsigned first = (unsigned)rng_below(rng, 2);
        uint64_t one = number_of(ks_get(ks, &keys[first], 0));
        uint64_t two = number_of(ks_get(ks, &keys[!first], 0));
        CHECK(two >= one);
        CHECK(one >= last[pair]);
        last[pair] = two;
        turn(ks);
    }
}

static void pairs_race(void **state, bool one_cpu)
{
    struct ks_fixture *f = *state;
    pairs_begin(f->ks);
    struct racer racers[] = {
        {.run = pair_writer, .writes = true}, {.run = churner, .writes = true},
        {.run = pair_writer, .writes = true}, {.run = pair_reader_many},
        {.run = pair_reader_single},
    };
    race_run(f, racers, count_of(racers), one_cpu);
    test_validate(f->ks, PAIR_SLOT_A);
    test_validate(f->ks, PAIR_SLOT_B);
}

static void test_pairs(void **state)
{
    pairs_race(state, false);
}

static void test_pairs_on_one_cpu(void **state)
{
    pairs_race(state, true);
}

/* No increment is lost, and each thread reads its own writes. */
static void incrementer(struct racer *racer, struct ks *ks, struct rng *rng)
{
    char buf[32];
    struct key key = key_in(buf, 3, "counter", 0);
    for (uint32_t i = 0; i < racer->race->rounds; i++) {
        ks_lock(ks, key.slot);
        struct entry *e = ks_find(ks, &key, 0);
        uint64_t value = e ? number_of(e) + 1 : 1;
        store(ks, &key, value);
        ks_unlock(ks, key.slot);
        CHECK(number_of(ks_get(ks, &key, 0)) >= value);
        turn(ks);
    }
}

static void counter_race(void **state, bool one_cpu)
{
    struct ks_fixture *f = *state;
    struct racer racers[] = {
        {.run = incrementer, .writes = true},
        {.run = incrementer, .writes = true},
        {.run = incrementer, .writes = true},
    };
    race_run(f, racers, count_of(racers), one_cpu);
    char buf[32];
    struct key key = key_in(buf, 3, "counter", 0);
    assert_int_equal(number_of(ks_get(f->ks, &key, 0)), 3 * ROUNDS);
}

static void test_increments(void **state)
{
    counter_race(state, false);
}

static void test_increments_on_one_cpu(void **state)
{
    counter_race(state, true);
}

#define STEADY 400

/* Keys that are always there are found by every lookup and by every full scan, whatever the index
 * does meanwhile. */
static void count_steady(void *arg, const struct entry *e)
{
    uint8_t *seen = arg;
    struct slice name = entry_key(e);
    if (name.data[0] != 's')
        return;
    uint64_t i = 0;
    CHECK(parse_u64(slice_from(name.data + 7, name.len - 7), &i));
    CHECK(i < STEADY);
    seen[i] = 1;
}

static void steady_reader(struct racer *racer, struct ks *ks, struct rng *rng)
{
    char buf[32];
    while (writers_left(racer)) {
        for (unsigned i = 0; i < 50; i++) {
            struct key key = key_in(buf, PAIR_SLOT_A, "steady", (unsigned)rng_below(rng, STEADY));
            CHECK(ks_get(ks, &key, 0));
            turn(ks);
        }
    }
}

static void steady_scanner(struct racer *racer, struct ks *ks, struct rng *rng)
{
    while (writers_left(racer)) {
        uint8_t seen[STEADY] = {0};
        uint64_t cursor = 0;
        do {
            cursor = ks_scan(ks, cursor, 1 + (uint32_t)rng_below(rng, 8), count_steady, seen);
            turn(ks);
        } while (cursor);
        for (unsigned i = 0; i < STEADY; i++)
            CHECK(seen[i]);
    }
}

static void test_scan_and_growth(void **state)
{
    struct ks_fixture *f = *state;
    char buf[32];
    for (unsigned i = 0; i < STEADY; i++) {
        struct key key = key_in(buf, PAIR_SLOT_A, "steady", i);
        ks_lock(f->ks, key.slot);
        store(f->ks, &key, i);
        ks_unlock(f->ks, key.slot);
    }
    struct racer racers[] = {
        {.run = churner, .writes = true},
        {.run = steady_reader},
        {.run = steady_scanner},
    };
    race_run(f, racers, count_of(racers), false);
    test_validate(f->ks, PAIR_SLOT_A);
}

/* FLUSHALL against writers of pairs: a pair is there as a whole or not at all. */
static void flush_pair_writer(struct racer *racer, struct ks *ks, struct rng *rng)
{
    char buf[2][32];
    struct key keys[2];
    const uint16_t slots[2] = {PAIR_SLOT_A, PAIR_SLOT_B};
    for (uint32_t i = 0; i < racer->race->rounds / 4; i++) {
        pair_keys(buf, 0, keys);
        ks_lock_many(ks, slots, 2, false);
        store(ks, &keys[0], i);
        store(ks, &keys[1], i);
        ks_unlock_many(ks);
        turn(ks);
    }
}

static void flusher(struct racer *racer, struct ks *ks, struct rng *rng)
{
    while (writers_left(racer)) {
        bool locked = rng_below(rng, 2);
        if (locked)
            ks_lock_many(ks, NULL, 0, true);
        ks_flush_all(ks);
        if (locked) {
            CHECK(ks_slot_count(ks->shared, PAIR_SLOT_A) == 0);
            ks_unlock_many(ks);
        }
        for (uint64_t i = rng_below(rng, 200); i > 0; i--)
            turn(ks);
    }
}

static void flush_pair_reader(struct racer *racer, struct ks *ks, struct rng *rng)
{
    char buf[2][32];
    struct key keys[2];
    const struct entry *out[2];
    pair_keys(buf, 0, keys);
    while (writers_left(racer)) {
        ks_get_many(ks, keys, 2, out, 0);
        CHECK(!out[0] == !out[1]);
        CHECK(!out[0] || number_of(out[0]) == number_of(out[1]));
        turn(ks);
    }
}

static void test_flush(void **state)
{
    struct ks_fixture *f = *state;
    struct racer racers[] = {
        {.run = flush_pair_writer, .writes = true},
        {.run = flusher},
        {.run = flush_pair_reader},
    };
    race_run(f, racers, count_of(racers), false);
    ks_flush_all(f->ks);
    test_drain(f->ks);
    assert_int_equal(ks_count(f->k), 0);
    assert_int_equal(ks_used_bytes(f->k), 0);
}

/* Keys that expire under readers, the active cycle and writers. */
static void expiring_writer(struct racer *racer, struct ks *ks, struct rng *rng)
{
    char buf[32];
    for (uint32_t i = 0; i < racer->race->rounds; i++) {
        ks->now_ms = 1000000 + i / 10;
        struct key key = key_in(buf, PAIR_SLOT_A, "volatile", (unsigned)rng_below(rng, 300));
        struct entry *e =
            ks_entry_string(ks, &key, slice_str("x"), ks->now_ms + (int64_t)rng_below(rng, 20));
        CHECK(e);
        ks_lock(ks, key.slot);
        ks_put(ks, &key, e);
        ks_unlock(ks, key.slot);
        ks_expire_cycle(ks, 4);
        turn(ks);
    }
}

static void expiring_reader(struct racer *racer, struct ks *ks, struct rng *rng)
{
    char buf[32];
    while (writers_left(racer)) {
        struct key key = key_in(buf, PAIR_SLOT_A, "volatile", (unsigned)rng_below(rng, 300));
        const struct entry *e = ks_get(ks, &key, 0);
        CHECK(!e || entry_expiry_ms(e) >= ks->now_ms);
        ks->now_ms += 1;
        turn(ks);
    }
}

static void test_expiry(void **state)
{
    struct ks_fixture *f = *state;
    struct racer racers[] = {
        {.run = expiring_writer, .writes = true},
        {.run = expiring_writer, .writes = true},
        {.run = expiring_reader},
    };
    race_run(f, racers, count_of(racers), false);
    test_validate(f->ks, PAIR_SLOT_A);
}

/* A holder that the scheduler took away, here stopped by a signal: the others sleep instead of
 * spinning, and go on when it comes back. Lock-free readers do not notice. */
static sem_t stopped, go_on;
static _Atomic(unsigned) readers_done;

static void stop_here(int signal)
{
    sem_post(&stopped);
    while (sem_wait(&go_on) != 0) {
    }
}

static void stopped_holder(struct racer *racer, struct ks *ks, struct rng *rng)
{
    char buf[32];
    struct key key = key_in(buf, 3, "held", 0);
    ks_lock(ks, key.slot);
    raise(SIGUSR1);
    store(ks, &key, 2);
    ks_unlock(ks, key.slot);
}

static void waiting_writer(struct racer *racer, struct ks *ks, struct rng *rng)
{
    char buf[32];
    struct key key = key_in(buf, 3, "held", 0);
    sem_wait(&stopped);
    CHECK(number_of(ks_get(ks, &key, 0)) == 1);
    atomic_fetch_add(&readers_done, 1);
    sem_post(&stopped);
    ks_lock(ks, key.slot);
    CHECK(number_of(ks_find(ks, &key, 0)) == 2);
    ks_unlock(ks, key.slot);
}

static void releaser(struct racer *racer, struct ks *ks, struct rng *rng)
{
    /* Until both have read and a writer sleeps on the lock. */
    while (atomic_load(&readers_done) < 2 || metric_sum(METRIC_slot_lock_sleeps) == 0)
        usleep(1000);
    sem_post(&go_on);
}

static void test_stopped_holder(void **state)
{
    struct ks_fixture *f = *state;
    sem_init(&stopped, 0, 0);
    sem_init(&go_on, 0, 0);
    atomic_store(&readers_done, 0);
    signal(SIGUSR1, stop_here);
    char buf[32];
    struct key key = key_in(buf, 3, "held", 0);
    ks_lock(f->ks, 3);
    store(f->ks, &key, 1);
    ks_unlock(f->ks, 3);
    struct racer racers[] = {
        {.run = stopped_holder},
        {.run = waiting_writer},
        {.run = waiting_writer},
        {.run = releaser},
    };
    metrics_reset();
    race_run(f, racers, count_of(racers), false);
    signal(SIGUSR1, SIG_DFL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pairs, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_pairs_on_one_cpu, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_increments, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_increments_on_one_cpu, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_scan_and_growth, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_flush, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_expiry, ks_setup, ks_teardown),
        cmocka_unit_test_setup_teardown(test_stopped_holder, ks_setup, ks_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
