/* Microbenchmark of the keyspace, one thread: bytes per key, and time per put, hit and miss;
 * lookups one after the other, and prefetched in bursts as an lcore does it.
 *
 *   keyspace-bench [KEYS] [VALUE_BYTES]      default 5000000 32; keys are 10 bytes
 *
 * Prints "NAME metric value unit" lines. Memory is the growth of the process's resident size, less
 * the bytes of keys and values. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "clock.h"
#include "config.h"
#include "keyspace.h"
#include "metrics.h"
#include "qsbr.h"
#include "rng.h"

#define KEY_BYTES 10
#define BURST 16
#define OPS 4000000

struct bench {
    struct keyspace *k;
    struct ks *ks;
    struct rng rng;
    uint64_t keys;
    uint8_t value[4096];
    size_t value_bytes;
};

typedef void bench_op(struct bench *b, const struct key *key);

static size_t resident_bytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%*d %ld", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void key_text(char *buf, char kind, uint64_t i)
{
    buf[0] = kind;
    for (unsigned at = KEY_BYTES - 1; at > 0; at--, i /= 10)
        buf[at] = (char)('0' + i % 10);
}

static struct key key_make(char *buf, char kind, uint64_t i)
{
    key_text(buf, kind, i);
    return key_of(slice_from(buf, KEY_BYTES));
}

static void turn(struct bench *b)
{
    ks_reclaim(b->ks, false, 64);
    qsbr_quiescent();
}

static void report(const char *name, const char *metric, double value, const char *unit)
{
    printf("%s %s %.1f %s\n", name, metric, value, unit);
}

/* The thread's own time, so that neighbours on a shared machine disturb less. */
static uint64_t thread_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void report_rate(const char *name, uint64_t ns, uint64_t ops)
{
    double each = (double)ns / (double)ops;
    report(name, "time", each, "ns");
    report(name, "cycles", each * (double)clock_tsc_hz() / 1e9, "cycles");
}

static void put(struct bench *b, const struct key *key)
{
    struct entry *e =
        ks_entry_string(b->ks, key, slice_from(b->value, b->value_bytes), EXPIRY_NONE);
    CHECK(e);
    ks_lock(b->ks, key->slot);
    ks_put(b->ks, key, e);
    ks_unlock(b->ks, key->slot);
}

static void bench_fill(struct bench *b)
{
    char buf[KEY_BYTES];
    size_t before = resident_bytes();
    uint64_t begin = thread_ns();
    for (uint64_t i = 0; i < b->keys; i++) {
        struct key key = key_make(buf, 'k', i);
        put(b, &key);
        if (i % BURST == 0)
            turn(b);
    }
    report_rate("put-new", thread_ns() - begin, b->keys);
    while (ks_reclaim(b->ks, true, 1000)) {
        qsbr_offline();
        usleep(1000);
        qsbr_online();
    }
    double resident = (double)(resident_bytes() - before) / (double)b->keys;
    report("memory", "resident-overhead", resident - KEY_BYTES - (double)b->value_bytes,
           "bytes/key");
    report("memory", "accounted-overhead",
           (double)ks_used_bytes(b->k) / (double)b->keys - KEY_BYTES - (double)b->value_bytes,
           "bytes/key");
}

static void burst_run(struct bench *b, const struct key *keys, bool prefetch, bench_op *op)
{
    for (unsigned i = 0; prefetch && i < BURST; i++) {
        ks_prefetch_bucket(b->ks, &keys[i]);
        if (op == put)
            ks_prefetch_slot(b->ks, &keys[i], true);
    }
    for (unsigned i = 0; prefetch && i < BURST; i++)
        ks_prefetch_entry(b->ks, &keys[i]);
    for (unsigned i = 0; i < BURST; i++)
        op(b, &keys[i]);
    turn(b);
}

static void op_nothing(struct bench *b, const struct key *key)
{
}

/* Bursts of random keys; the time of choosing and hashing them is measured first and taken off. */
static void bench_burst(struct bench *b, const char *name, char kind, bool prefetch, bench_op *op)
{
    static char names[BURST][KEY_BYTES];
    struct key keys[BURST];
    uint64_t ns[2];
    for (unsigned pass = 0; pass < 2; pass++) {
        ns[pass] = thread_ns();
        for (uint64_t r = 0; r < OPS / BURST; r++) {
            for (unsigned i = 0; i < BURST; i++)
                keys[i] = key_make(names[i], kind, rng_below(&b->rng, b->keys));
            burst_run(b, keys, prefetch && pass, pass ? op : op_nothing);
        }
        ns[pass] = thread_ns() - ns[pass];
    }
    report_rate(name, ns[1] > ns[0] ? ns[1] - ns[0] : 0, OPS);
}

static void op_hit(struct bench *b, const struct key *key)
{
    const struct entry *e = ks_get(b->ks, key, 0);
    CHECK(e);
    CHECK(entry_string(e).len == b->value_bytes);
}

static void op_miss(struct bench *b, const struct key *key)
{
    CHECK(!ks_get(b->ks, key, 0));
}

int main(int argc, char **argv)
{
    static const struct object_ops *const no_objects[OBJ_TYPES];
    static struct bench b = {.keys = 5000000, .value_bytes = 32};
    if (argc > 1)
        b.keys = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        b.value_bytes = strtoull(argv[2], NULL, 10);
    if (b.keys == 0 || b.keys > 999999999 || b.value_bytes > sizeof(b.value)) {
        fprintf(stderr, "usage: %s [KEYS 1-999999999] [VALUE_BYTES 0-4096]\n", argv[0]);
        return 2;
    }
    memset(b.value, 'v', sizeof(b.value));
    clock_init();
    metrics_attach(0);
    qsbr_register();
    config_publish(config_new());
    key_hash_seed_set(1);
    rng_seed(&b.rng, 1);
    b.k = keyspace_new(no_objects);
    CHECK(b.k);
    b.ks = ks_new(b.k, 0, 1);
    CHECK(b.ks);
    b.ks->now_ms = clock_wall_refresh_ms();
    bench_fill(&b);
    bench_burst(&b, "get-hit", 'k', false, op_hit);
    bench_burst(&b, "get-hit-prefetched", 'k', true, op_hit);
    bench_burst(&b, "get-miss", 'm', false, op_miss);
    bench_burst(&b, "get-miss-prefetched", 'm', true, op_miss);
    bench_burst(&b, "put-over", 'k', false, put);
    bench_burst(&b, "put-over-prefetched", 'k', true, put);
    ks_free(b.ks);
    keyspace_free(b.k);
    qsbr_unregister();
    return 0;
}
