#include "channels.h"
#include <sched.h>
#include <stdlib.h>
#include "check.h"
#include "keyhash.h"
#include "numbers.h"
#include "qsbr.h"

/* Zeroed memory that costs nothing until it is touched. */
#define BUCKETS 65536
#define SPINS_BEFORE_YIELD 200

struct channel {
    _Atomic(struct channel *) next;
    struct channel *retired_next; /* w: writers, under the lock */
    uint64_t hash;
    enum channel_kind kind;
    struct slice name;               /* behind the counts */
    _Atomic(uint32_t) subscribers[]; /* by lcore; w: that lcore, under the lock */
};

struct channels {
    unsigned lcore_count;
    _Atomic(struct channel *) *buckets;
    _Atomic(struct channel *) patterns;
    _Atomic(uint64_t) count[CHANNEL_KINDS];
    _Alignas(CACHE_LINE) _Atomic(bool) locked;
    /* Under the lock: unlinked nodes without and with a grace period that runs. */
    struct channel *retired;
    struct channel *waiting;
    struct qsbr_grace *grace;
};

struct channels *channels_new(unsigned lcore_count)
{
    struct channels *c = aligned_alloc(CACHE_LINE, sizeof(*c));
    CHECK(c);
    *c = (struct channels){.lcore_count = lcore_count};
    c->buckets = calloc(BUCKETS, sizeof(*c->buckets));
    CHECK(c->buckets);
    return c;
}

static void list_free(struct channel *node)
{
    while (node) {
        struct channel *next = node->retired_next;
        free(node);
        node = next;
    }
}

static void chain_free(struct channel *node)
{
    while (node) {
        struct channel *next = atomic_load_explicit(&node->next, memory_order_relaxed);
        free(node);
        node = next;
    }
}

void channels_free(struct channels *c)
{
    if (!c)
        return;
    if (c->grace) {
        while (!qsbr_grace_passed(c->grace))
            qsbr_synchronize();
        qsbr_grace_free(c->grace);
    }
    list_free(c->retired);
    list_free(c->waiting);
    for (size_t i = 0; i < BUCKETS; i++)
        chain_free(atomic_load_explicit(&c->buckets[i], memory_order_relaxed));
    chain_free(atomic_load_explicit(&c->patterns, memory_order_relaxed));
    free(c->buckets);
    free(c);
}

static void channels_lock(struct channels *c)
{
    unsigned spins = 0;
    while (atomic_exchange_explicit(&c->locked, true, memory_order_acquire)) {
        if (++spins % SPINS_BEFORE_YIELD == 0)
            sched_yield();
        else
            __builtin_ia32_pause();
    }
}

static void channels_unlock(struct channels *c)
{
    atomic_store_explicit(&c->locked, false, memory_order_release);
}

static _Atomic(struct channel *) *chain_of(struct channels *c, enum channel_kind kind,
                                           uint64_t hash)
{
    return kind == CHANNEL_PATTERN ? &c->patterns : &c->buckets[hash % BUCKETS];
}

static bool channel_is(const struct channel *node, enum channel_kind kind, uint64_t hash,
                       struct slice name)
{
    return node->hash == hash && node->kind == kind && slice_equal(node->name, name);
}

static struct channel *chain_find(struct channel *node, enum channel_kind kind, uint64_t hash,
                                  struct slice name)
{
    while (node && !channel_is(node, kind, hash, name))
        node = atomic_load_explicit(&node->next, memory_order_acquire);
    return node;
}

static struct channel *channel_find(const struct channels *c, enum channel_kind kind,
                                    struct slice name)
{
    uint64_t hash = key_hash(name);
    struct channel *first = atomic_load_explicit(&c->buckets[hash % BUCKETS], memory_order_acquire);
    return chain_find(first, kind, hash, name);
}

static struct channel *channel_new(const struct channels *c, enum channel_kind kind, uint64_t hash,
                                   struct slice name)
{
    size_t counts = c->lcore_count * sizeof(_Atomic(uint32_t));
    struct channel *node = calloc(1, sizeof(*node) + counts + name.len);
    CHECK(node);
    uint8_t *bytes = (uint8_t *)node->subscribers + counts;
    memcpy(bytes, name.data, name.len);
    node->hash = hash;
    node->kind = kind;
    node->name = slice_from(bytes, name.len);
    return node;
}

static void count_add(_Atomic(uint64_t) *count, int64_t delta)
{
    uint64_t value = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, value + (uint64_t)delta, memory_order_relaxed);
}

static void subscribers_add(struct channel *node, unsigned lcore, int delta)
{
    uint32_t value = atomic_load_explicit(&node->subscribers[lcore], memory_order_relaxed);
    CHECK(delta > 0 || value > 0);
    atomic_store_explicit(&node->subscribers[lcore], value + (uint32_t)delta, memory_order_relaxed);
}

static uint64_t subscribers_sum(const struct channels *c, const struct channel *node,
                                uint64_t *lcores)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < c->lcore_count; i++) {
        uint32_t value = atomic_load_explicit(&node->subscribers[i], memory_order_relaxed);
        sum += value;
        if (value)
            *lcores |= UINT64_C(1) << i;
    }
    return sum;
}

void channels_add(struct channels *c, enum channel_kind kind, struct slice name, unsigned lcore)
{
    CHECK(lcore < c->lcore_count);
    uint64_t hash = key_hash(name);
    _Atomic(struct channel *) *chain = chain_of(c, kind, hash);
    struct channel *fresh = NULL;
    channels_lock(c);
    struct channel *first = atomic_load_explicit(chain, memory_order_relaxed);
    struct channel *node = chain_find(first, kind, hash, name);
    if (!node) {
        node = fresh = channel_new(c, kind, hash, name);
        atomic_store_explicit(&node->next, first, memory_order_relaxed);
        count_add(&c->count[kind], 1);
    }
    subscribers_add(node, lcore, 1);
    if (fresh)
        atomic_store_explicit(chain, node, memory_order_release);
    channels_unlock(c);
}

/* Under the lock: frees what nobody can see any more, starts the grace period of what came since;
 * the list that the caller frees after unlocking. */
static struct channel *retired_advance(struct channels *c)
{
    struct channel *done = NULL;
    if (c->grace) {
        if (!qsbr_grace_passed(c->grace))
            return NULL;
        qsbr_grace_free(c->grace);
        c->grace = NULL;
        done = c->waiting;
        c->waiting = NULL;
    }
    if (c->retired) {
        c->waiting = c->retired;
        c->retired = NULL;
        c->grace = qsbr_grace_begin();
    }
    return done;
}

void channels_remove(struct channels *c, enum channel_kind kind, struct slice name, unsigned lcore)
{
    uint64_t hash = key_hash(name), lcores = 0;
    _Atomic(struct channel *) *place = chain_of(c, kind, hash);
    channels_lock(c);
    struct channel *node = atomic_load_explicit(place, memory_order_relaxed);
    while (node && !channel_is(node, kind, hash, name)) {
        place = &node->next;
        node = atomic_load_explicit(place, memory_order_relaxed);
    }
    CHECK(node);
    subscribers_add(node, lcore, -1);
    if (subscribers_sum(c, node, &lcores) == 0) {
        /* Readers that stand on node still find the rest of the chain. */
        atomic_store_explicit(place, atomic_load_explicit(&node->next, memory_order_relaxed),
                              memory_order_release);
        count_add(&c->count[kind], -1);
        node->retired_next = c->retired;
        c->retired = node;
    }
    struct channel *done = retired_advance(c);
    channels_unlock(c);
    list_free(done);
}

uint64_t channels_receivers(const struct channels *c, enum channel_kind kind, struct slice channel,
                            uint64_t *lcores)
{
    *lcores = 0;
    uint64_t sum = 0;
    if (channels_count(c, kind) > 0) {
        struct channel *node = channel_find(c, kind, channel);
        if (node)
            sum = subscribers_sum(c, node, lcores);
    }
    if (kind == CHANNEL_SHARD)
        return sum;
    for (struct channel *p = atomic_load_explicit(&c->patterns, memory_order_acquire); p;
         p = atomic_load_explicit(&p->next, memory_order_acquire)) {
        if (glob_match(p->name, channel, false))
            sum += subscribers_sum(c, p, lcores);
    }
    return sum;
}

uint64_t channels_subscribers(const struct channels *c, enum channel_kind kind,
                              struct slice channel)
{
    uint64_t lcores = 0;
    struct channel *node = channel_find(c, kind, channel);
    return node ? subscribers_sum(c, node, &lcores) : 0;
}

uint64_t channels_count(const struct channels *c, enum channel_kind kind)
{
    return atomic_load_explicit(&c->count[kind], memory_order_relaxed);
}

void channels_each(const struct channels *c, enum channel_kind kind,
                   void (*each)(void *arg, struct slice name), void *arg)
{
    if (channels_count(c, kind) == 0)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct channel *n = atomic_load_explicit(&c->buckets[i], memory_order_acquire); n;
             n = atomic_load_explicit(&n->next, memory_order_acquire)) {
            if (n->kind == kind)
                each(arg, n->name);
        }
    }
}
