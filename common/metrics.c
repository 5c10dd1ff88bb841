#include "metrics.h"

struct metrics metrics_lcore[LCORES_MAX];

/* A thread that never attaches counts with the control thread: its counts may be lost to a race,
 * but nothing else is. */
_Thread_local struct metrics *metrics_mine = &metrics_lcore[LCORES_MAX - 1];

static _Atomic(uint64_t) metric_base[METRIC_COUNT]; /* w: metrics_reset(), r: any */

static const struct {
    const char *name;
    const char *help;
} metric_rows[METRIC_COUNT] = {
#define METRIC(name, help) {#name, help},
#include "metrics.def"
#undef METRIC
};

/* A block is its rows in order, padded at the end. */
_Static_assert(sizeof(struct metrics) >= METRIC_COUNT * sizeof(uint64_t), "one word per row");
_Static_assert(sizeof(struct metrics) < METRIC_COUNT * sizeof(uint64_t) + 128, "nothing between");

static uint64_t metric_total(enum metric_id id)
{
    uint64_t total = 0;
    for (int i = 0; i < LCORES_MAX; i++) {
        const _Atomic(uint64_t) *row = (const _Atomic(uint64_t) *)&metrics_lcore[i];
        total += atomic_load_explicit(&row[id], memory_order_relaxed);
    }
    return total;
}

uint64_t metric_sum(enum metric_id id)
{
    CHECK((unsigned)id < METRIC_COUNT);
    return metric_total(id) - atomic_load_explicit(&metric_base[id], memory_order_relaxed);
}

const char *metric_name(enum metric_id id)
{
    CHECK((unsigned)id < METRIC_COUNT);
    return metric_rows[id].name;
}

const char *metric_help(enum metric_id id)
{
    CHECK((unsigned)id < METRIC_COUNT);
    return metric_rows[id].help;
}

void metrics_reset(void)
{
    for (int id = 0; id < METRIC_COUNT; id++) {
        uint64_t total = metric_total((enum metric_id)id);
        atomic_store_explicit(&metric_base[id], total, memory_order_relaxed);
    }
}

void metrics_attach(int index)
{
    CHECK(index >= 0);
    CHECK(index < LCORES_MAX);
    metrics_mine = &metrics_lcore[index];
}
