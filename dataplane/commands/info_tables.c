/* INFO's sections that have a line per command, error or lcore. */
#include <stdlib.h>
#include "clock.h"
#include "info.h"
#include "latency.h"
#include "stats.h"

/* A piece: so many lines, or so many commands without one. */
#define LINES_PER_PIECE 4
#define COMMANDS_PER_PIECE 64

/* write: true when the command has a line. */
static bool some_commands(const struct worker *w, struct text *t, struct info_place *at,
                          bool (*write)(const struct worker *w, struct text *t,
                                        const struct command *cmd))
{
    const struct command *cmd = NULL;
    unsigned lines = 0;
    for (unsigned i = 0; i < COMMANDS_PER_PIECE && lines < LINES_PER_PIECE; i++) {
        cmd = command_walk_next(&at->walk);
        if (!cmd)
            return true;
        lines += write(w, t, cmd);
    }
    return false;
}

static bool command_line(const struct worker *w, struct text *t, const struct command *cmd)
{
    struct command_totals n = command_stats_sum(w->node, cmd);
    if (n.calls == 0 && n.rejected == 0 && n.failed == 0)
        return false;
    text_printf(t,
                "cmdstat_%s:calls=%llu,usec=%llu,usec_per_call=%.2f,rejected_calls=%llu,"
                "failed_calls=%llu\r\n",
                cmd->full_name, (unsigned long long)n.calls, (unsigned long long)n.usec,
                n.calls ? (double)n.usec / (double)n.calls : 0.0, (unsigned long long)n.rejected,
                (unsigned long long)n.failed);
    return true;
}

bool info_commandstats(const struct worker *w, struct text *t, struct info_place *at)
{
    return some_commands(w, t, at, command_line);
}

void info_errorstats(const struct worker *w, struct text *t)
{
    struct error_total *totals = calloc(ERROR_TOTALS_MAX, sizeof(*totals));
    if (!totals)
        return;
    unsigned n = error_totals(w->node, totals, ERROR_TOTALS_MAX);
    for (unsigned i = 0; i < n; i++)
        text_printf(t, "errorstat_%s:count=%llu\r\n", totals[i].code,
                    (unsigned long long)totals[i].count);
    free(totals);
}

static bool latency_line(const struct worker *w, struct text *t, const struct command *cmd)
{
    struct latency_summary s;
    if (!latency_summarise(w->latency, cmd, &s))
        return false;
    text_printf(t, "latency_percentiles_usec_%s:p50=%.3f,p99=%.3f,p99.9=%.3f\r\n", cmd->full_name,
                (double)latency_percentile_ns(&s, 50) / 1000,
                (double)latency_percentile_ns(&s, 99) / 1000,
                (double)latency_percentile_ns(&s, 99.9) / 1000);
    latency_summary_free(&s);
    return true;
}

bool info_latencystats(const struct worker *w, struct text *t, struct info_place *at)
{
    return !w->config->latency_tracking || some_commands(w, t, at, latency_line);
}

static unsigned long long of_lcore(const _Atomic(uint64_t) *counter)
{
    return (unsigned long long)atomic_load_explicit(counter, memory_order_relaxed);
}

static void lcore_line(struct text *t, unsigned i)
{
    const struct metrics *m = &metrics_lcore[i];
    text_printf(t,
                "lcore%u:commands=%llu,loops=%llu,sleeps=%llu,busy_cycles=%llu,cycles_rx=%llu,"
                "cycles_tcp_in=%llu,cycles_commands=%llu,cycles_tcp_out=%llu,cycles_tx=%llu,"
                "cycles_reclaim=%llu,rx_packets=%llu,tx_packets=%llu\r\n",
                i, of_lcore(&m->commands_processed), of_lcore(&m->lcore_loops),
                of_lcore(&m->lcore_sleeps), of_lcore(&m->lcore_busy_cycles),
                of_lcore(&m->cycles_rx), of_lcore(&m->cycles_tcp_in), of_lcore(&m->cycles_commands),
                of_lcore(&m->cycles_tcp_out), of_lcore(&m->cycles_tx), of_lcore(&m->cycles_reclaim),
                of_lcore(&m->rx_packets), of_lcore(&m->tx_packets));
}

static void metric_lines(const struct node *node, struct text *t)
{
    text_printf(t, "lcores:%u\r\ntsc_hz:%llu\r\n", node->lcore_count,
                (unsigned long long)clock_tsc_hz());
    for (int id = 0; id < METRIC_COUNT; id++)
        text_printf(t, "%s:%llu\r\n", metric_name((enum metric_id)id),
                    (unsigned long long)metric_sum((enum metric_id)id));
}

static void network_lines(struct node *node, struct text *t)
{
    char *network = NULL;
    size_t len = 0;
    if (!node->info_network)
        return;
    node->info_network(node, &network, &len);
    text_append(t, network ? network : "", len);
    free(network);
}

bool info_slotwire(const struct worker *w, struct text *t, struct info_place *at)
{
    struct node *node = w->node;
    if (at->lcore == 0)
        metric_lines(node, t);
    for (unsigned i = 0; i < LINES_PER_PIECE && at->lcore < node->lcore_count; i++)
        lcore_line(t, at->lcore++);
    if (at->lcore < node->lcore_count || !at->last) {
        at->last = at->lcore == node->lcore_count;
        return false;
    }
    network_lines(node, t);
    return true;
}
