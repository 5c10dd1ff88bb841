#include "stats.h"
#include <stdlib.h>
#include "check.h"
#include "clock.h"

/* Where sums count from, by command id; and by error code. w: command_stats_reset(), r: any. */
#define COMMAND_IDS_MAX 1024
static struct command_stats stats_base[COMMAND_IDS_MAX];
static struct error_counts errors_base;

struct command_stats *command_stats_new(void)
{
    CHECK(command_id_count() <= COMMAND_IDS_MAX);
    struct command_stats *stats = calloc(command_id_count(), sizeof(*stats));
    CHECK(stats);
    return stats;
}

void command_stats_free(struct command_stats *stats)
{
    free(stats);
}

static uint64_t load(const _Atomic(uint64_t) *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

struct raw_totals {
    uint64_t calls, cycles, rejected, failed;
};

static struct raw_totals raw_sum(const struct node *node, unsigned id)
{
    struct raw_totals sum = {0};
    for (unsigned i = 0; i < node->lcore_count; i++) {
        const struct command_stats *row = &node->workers[i]->command_stats[id];
        sum.calls += load(&row->calls);
        sum.cycles += load(&row->cycles);
        sum.rejected += load(&row->rejected);
        sum.failed += load(&row->failed);
    }
    return sum;
}

struct command_totals command_stats_sum(const struct node *node, const struct command *cmd)
{
    const struct command_stats *base = &stats_base[cmd->id];
    struct raw_totals sum = raw_sum(node, cmd->id);
    double cycles = (double)(sum.cycles - load(&base->cycles));
    return (struct command_totals){
        .calls = sum.calls - load(&base->calls),
        .usec = (uint64_t)(cycles * 1e6 / (double)clock_tsc_hz()),
        .rejected = sum.rejected - load(&base->rejected),
        .failed = sum.failed - load(&base->failed),
    };
}

/* ---- errors ---- */

static int compare_codes(const void *a, const void *b)
{
    return strcmp(((const struct error_total *)a)->code, ((const struct error_total *)b)->code);
}

/* Adds sign * the counts of one block. */
static unsigned errors_add(const struct error_counts *errors, int sign, struct error_total *out,
                           unsigned used, unsigned max)
{
    uint32_t rows = atomic_load_explicit(&errors->used, memory_order_acquire);
    for (uint32_t row = 0; row < rows; row++) {
        unsigned at = 0;
        while (at < used && strcmp(out[at].code, errors->rows[row].code) != 0)
            at++;
        if (at == max)
            continue;
        if (at == used) {
            memcpy(out[used].code, errors->rows[row].code, ERROR_CODE_SIZE);
            out[used++].count = 0;
        }
        uint64_t count = load(&errors->rows[row].count);
        out[at].count += sign > 0 ? count : 0 - count;
    }
    return used;
}

static unsigned errors_sum(const struct node *node, struct error_total *out, unsigned max)
{
    unsigned used = 0;
    for (unsigned i = 0; i < node->lcore_count; i++)
        used = errors_add(node->workers[i]->errors, 1, out, used, max);
    return used;
}

unsigned error_totals(const struct node *node, struct error_total *out, unsigned max)
{
    unsigned used = errors_add(&errors_base, -1, out, errors_sum(node, out, max), max), kept = 0;
    for (unsigned i = 0; i < used; i++) {
        if (out[i].count > 0)
            out[kept++] = out[i];
    }
    qsort(out, kept, sizeof(*out), compare_codes);
    return kept;
}

static void errors_reset(const struct node *node)
{
    struct error_total totals[ERROR_COUNTS_MAX];
    unsigned used = errors_sum(node, totals, ERROR_COUNTS_MAX);
    atomic_store_explicit(&errors_base.used, 0, memory_order_relaxed);
    for (unsigned i = 0; i < used; i++) {
        memcpy(errors_base.rows[i].code, totals[i].code, ERROR_CODE_SIZE);
        atomic_store_explicit(&errors_base.rows[i].count, totals[i].count, memory_order_relaxed);
    }
    atomic_store_explicit(&errors_base.used, used, memory_order_release);
}

void command_stats_reset(const struct node *node)
{
    for (unsigned id = 0; id < command_id_count(); id++) {
        struct raw_totals sum = raw_sum(node, id);
        atomic_store_explicit(&stats_base[id].calls, sum.calls, memory_order_relaxed);
        atomic_store_explicit(&stats_base[id].cycles, sum.cycles, memory_order_relaxed);
        atomic_store_explicit(&stats_base[id].rejected, sum.rejected, memory_order_relaxed);
        atomic_store_explicit(&stats_base[id].failed, sum.failed, memory_order_relaxed);
    }
    errors_reset(node);
}
