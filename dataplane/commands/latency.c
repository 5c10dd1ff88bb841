#include "latency.h"
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "check.h"
#include "command.h"
#include "latency_events.h"
#include "spin.h"
#include "watching.h"

/* ---- histograms ---- */

/* Values below 256 ns have buckets of their own; above, each power of two has 128. Up to 1 s. */
#define EXACT_BUCKETS 256
#define STEPS 128
#define VALUE_MAX_NS 1000000000u
#define EXPONENT_MIN 8 /* of the first power of two that is split: 256 */
#define EXPONENT_MAX 29
#define BUCKETS (EXACT_BUCKETS + (EXPONENT_MAX - EXPONENT_MIN + 1) * STEPS)

struct histogram {
    _Atomic(uint32_t) first, last;     /* buckets that may be used, last exclusive; w: its lcore */
    _Atomic(uint64_t) bucket[BUCKETS]; /* w: its lcore */
};

struct histograms {
    _Atomic(struct histogram *) *by_command; /* [command_id_count()]; w: its lcore (release) */
    _Atomic(uint32_t) reset_wanted;          /* generation; w: any */
    _Atomic(uint32_t) reset_done;            /* w: its lcore; behind: what it holds is forgotten */
};

struct latency {
    struct latency_events events;
    unsigned lcore_count;
    struct histograms lcores[LCORES_MAX];
};

uint32_t latency_bucket_of_ns(uint64_t ns)
{
    if (ns < EXACT_BUCKETS)
        return (uint32_t)ns;
    unsigned exponent = 63 - (unsigned)__builtin_clzll(ns);
    return EXACT_BUCKETS + (exponent - EXPONENT_MIN) * STEPS +
           (uint32_t)((ns >> (exponent - 7)) - STEPS);
}

uint64_t latency_bucket_top_ns(uint32_t i)
{
    if (i < EXACT_BUCKETS)
        return i;
    unsigned shift = (i - EXACT_BUCKETS) / STEPS + EXPONENT_MIN - 7;
    uint64_t step = (i - EXACT_BUCKETS) % STEPS + STEPS;
    return ((step + 1) << shift) - 1;
}

struct latency *latency_new(unsigned lcore_count)
{
    struct latency *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->lcore_count = lcore_count;
    for (unsigned i = 0; i < lcore_count; i++) {
        l->lcores[i].by_command = calloc(command_id_count(), sizeof(*l->lcores[i].by_command));
        if (!l->lcores[i].by_command) {
            latency_free(l);
            return NULL;
        }
    }
    return l;
}

void latency_free(struct latency *l)
{
    if (!l)
        return;
    for (unsigned i = 0; i < l->lcore_count && l->lcores[i].by_command; i++) {
        for (unsigned id = 0; id < command_id_count(); id++)
            free(atomic_load_explicit(&l->lcores[i].by_command[id], memory_order_relaxed));
        free(l->lcores[i].by_command);
    }
    free(l);
}

/* Owner only. */
static void histogram_clear(struct histogram *g)
{
    uint32_t last = atomic_load_explicit(&g->last, memory_order_relaxed);
    for (uint32_t i = atomic_load_explicit(&g->first, memory_order_relaxed); i < last; i++)
        atomic_store_explicit(&g->bucket[i], 0, memory_order_relaxed);
    atomic_store_explicit(&g->first, BUCKETS, memory_order_relaxed);
    atomic_store_explicit(&g->last, 0, memory_order_relaxed);
}

static void histograms_clear(struct histograms *h)
{
    for (unsigned id = 0; id < command_id_count(); id++) {
        struct histogram *g = atomic_load_explicit(&h->by_command[id], memory_order_relaxed);
        if (g)
            histogram_clear(g);
    }
}

static struct histogram *histogram_of(struct histograms *h, unsigned id)
{
    struct histogram *g = atomic_load_explicit(&h->by_command[id], memory_order_relaxed);
    if (likely_true(g != NULL))
        return g;
    g = calloc(1, sizeof(*g));
    if (g) {
        atomic_init(&g->first, BUCKETS);
        atomic_store_explicit(&h->by_command[id], g, memory_order_release);
    }
    return g;
}

/* A reader that sees the old range misses the newest sample, no more. */
static void histogram_widen(struct histogram *g, uint32_t at)
{
    if (likely_false(at < atomic_load_explicit(&g->first, memory_order_relaxed)))
        atomic_store_explicit(&g->first, at, memory_order_relaxed);
    if (likely_false(at >= atomic_load_explicit(&g->last, memory_order_relaxed)))
        atomic_store_explicit(&g->last, at + 1, memory_order_relaxed);
}

void latency_sample(struct worker *w, const struct command *cmd, uint64_t duration_us)
{
    if (likely_false(!w->latency))
        return;
    struct histograms *h = &w->latency->lcores[w->id];
    uint32_t wanted = atomic_load_explicit(&h->reset_wanted, memory_order_relaxed);
    if (likely_false(wanted != atomic_load_explicit(&h->reset_done, memory_order_relaxed))) {
        histograms_clear(h);
        atomic_store_explicit(&h->reset_done, wanted, memory_order_release);
    }
    struct histogram *g = histogram_of(h, cmd->id);
    if (likely_false(!g))
        return;
    uint64_t ns = duration_us < VALUE_MAX_NS / 1000 ? duration_us * 1000 : VALUE_MAX_NS;
    uint32_t at = latency_bucket_of_ns(ns ? ns : 1);
    histogram_widen(g, at);
    _Atomic(uint64_t) *bucket = &g->bucket[at];
    atomic_store_explicit(bucket, atomic_load_explicit(bucket, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

void latency_histograms_reset(struct latency *l)
{
    for (unsigned i = 0; i < l->lcore_count; i++)
        atomic_fetch_add_explicit(&l->lcores[i].reset_wanted, 1, memory_order_relaxed);
}

/* NULL: nothing of it counts. */
static const struct histogram *histogram_seen(const struct histograms *h, unsigned id)
{
    if (atomic_load_explicit(&h->reset_done, memory_order_acquire) !=
        atomic_load_explicit(&h->reset_wanted, memory_order_relaxed))
        return NULL;
    return atomic_load_explicit(&h->by_command[id], memory_order_acquire);
}

/* Only the range that is used: most commands take about as long every time. */
static void summary_widen(struct latency_summary *s, const struct histogram *g)
{
    uint32_t first = atomic_load_explicit(&g->first, memory_order_relaxed);
    uint32_t last = atomic_load_explicit(&g->last, memory_order_relaxed);
    if (first >= last)
        return;
    if (s->size == 0 || first < s->first)
        s->first = first;
    if (last > s->size)
        s->size = last;
}

/* Samples that widened the range meanwhile are left to the next time. */
static void summary_add(struct latency_summary *s, const struct histogram *g)
{
    for (uint32_t b = s->first; b < s->size; b++) {
        uint64_t n = atomic_load_explicit(&g->bucket[b], memory_order_relaxed);
        s->bucket[b - s->first] += n;
        s->count += n;
    }
}

bool latency_summarise(struct latency *l, const struct command *cmd, struct latency_summary *out)
{
    const struct histogram *seen[LCORES_MAX];
    *out = (struct latency_summary){0};
    for (unsigned i = 0; i < l->lcore_count; i++) {
        seen[i] = histogram_seen(&l->lcores[i], cmd->id);
        if (seen[i])
            summary_widen(out, seen[i]);
    }
    if (out->size == 0 || !(out->bucket = calloc(out->size - out->first, sizeof(uint64_t))))
        return false;
    for (unsigned i = 0; i < l->lcore_count; i++) {
        if (seen[i])
            summary_add(out, seen[i]);
    }
    if (out->count == 0)
        latency_summary_free(out);
    return out->count > 0;
}

void latency_summary_free(struct latency_summary *s)
{
    free(s->bucket);
    s->bucket = NULL;
}

uint64_t latency_percentile_ns(const struct latency_summary *s, double percent)
{
    uint64_t wanted = (uint64_t)(percent / 100.0 * (double)s->count + 0.5);
    uint64_t seen = 0;
    if (wanted == 0)
        wanted = 1;
    for (uint32_t i = s->first; i < s->size; i++) {
        seen += s->bucket[i - s->first];
        if (seen >= wanted)
            return latency_bucket_top_ns(i);
    }
    return 0;
}

/* ---- events ---- */

void latency_note(struct worker *w, const char *event, uint64_t duration_ms)
{
    if (w->latency)
        latency_events_add(&w->latency->events, event, w->now_ms / 1000, duration_ms);
}

struct latency_events *latency_events_of(struct latency *l)
{
    return &l->events;
}
