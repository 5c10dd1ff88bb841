/* LATENCY: recorded delays of events, and histograms of commands. */
#include <stdio.h>
#include <stdlib.h>
#include "check.h"
#include "families.h"
#include "introspect.h"
#include "job.h"
#include "latency.h"
#include "latency_events.h"
#include "text.h"

/* ---- events ---- */

static struct latency_events *events_of(const struct call *c)
{
    return latency_events_of(c->worker->latency);
}

void cmd_latency_latest(struct call *c)
{
    struct latency_event e;
    struct reply_deferred list;
    uint64_t count = 0;
    reply_defer_begin(c->reply, &list);
    for (unsigned i = 0; i < LATENCY_EVENTS_MAX; i++) {
        if (!latency_events_get(events_of(c), i, &e))
            continue;
        const struct latency_sample_row *last = latency_event_last(&e);
        reply_array(c->reply, 4);
        reply_bulk_str(c->reply, e.name);
        reply_i64(c->reply, last->time_s);
        reply_i64(c->reply, (int64_t)last->delay_ms);
        reply_i64(c->reply, (int64_t)e.max_ms);
        count++;
    }
    reply_defer_end(c->reply, &list, '*', count);
}

static uint64_t row_count(const struct latency_event *e)
{
    unsigned n = 0;
    while (latency_event_row(e, n))
        n++;
    return n;
}

void cmd_latency_history(struct call *c)
{
    struct latency_event e;
    if (!latency_events_find(events_of(c), c->argv[2], &e)) {
        reply_array(c->reply, 0);
        return;
    }
    const struct latency_sample_row *row;
    reply_array(c->reply, row_count(&e));
    for (unsigned i = 0; (row = latency_event_row(&e, i)); i++) {
        reply_array(c->reply, 2);
        reply_i64(c->reply, row->time_s);
        reply_i64(c->reply, (int64_t)row->delay_ms);
    }
}

void cmd_latency_reset(struct call *c)
{
    int64_t count = 0;
    struct latency_event e;
    for (unsigned i = 0; c->argc == 2 && i < LATENCY_EVENTS_MAX; i++) {
        if (latency_events_get(events_of(c), i, &e))
            count += latency_events_reset(events_of(c), slice_str(e.name));
    }
    for (uint32_t i = 2; i < c->argc; i++)
        count += latency_events_reset(events_of(c), c->argv[i]);
    reply_i64(c->reply, count);
}

/* One line per sample, newest last, with a bar in proportion to the worst. */
void cmd_latency_graph(struct call *c)
{
    struct latency_event e;
    if (!latency_events_find(events_of(c), c->argv[2], &e)) {
        int shown = c->argv[2].len > 128 ? 128 : (int)c->argv[2].len;
        reply_errorf(c->reply, "ERR No samples available for event '%.*s'", shown,
                     (const char *)c->argv[2].data);
        return;
    }
    static const char bar[] = "########################################";
    struct text t = {0};
    const struct latency_sample_row *row;
    text_printf(&t, "%s - worst ever %llu ms\n", e.name, (unsigned long long)e.max_ms);
    for (unsigned i = 0; (row = latency_event_row(&e, i)); i++) {
        uint64_t width = e.max_ms ? row->delay_ms * (sizeof(bar) - 1) / e.max_ms : 0;
        text_printf(&t, "%6llds ago %8llu ms %.*s\n",
                    (long long)(c->worker->now_ms / 1000 - row->time_s),
                    (unsigned long long)row->delay_ms, (int)width, bar);
    }
    text_reply(&t, c->reply);
}

static void doctor_event(struct text *t, const struct latency_event *e)
{
    const struct latency_sample_row *row;
    uint64_t sum = 0, worst = 0;
    unsigned n = 0;
    for (; (row = latency_event_row(e, n)); n++) {
        sum += row->delay_ms;
        worst = row->delay_ms > worst ? row->delay_ms : worst;
    }
    text_printf(
        t, "%s: %u delays recorded, mean %llu ms, worst of these %llu ms, worst ever %llu ms\n",
        e->name, n, (unsigned long long)(n ? sum / n : 0), (unsigned long long)worst,
        (unsigned long long)e->max_ms);
}

void cmd_latency_doctor(struct call *c)
{
    struct text t = {0};
    struct latency_event e;
    unsigned seen = 0;
    if (c->worker->config->latency_monitor_threshold_ms == 0) {
        text_printf(&t,
                    "Nothing is recorded: set latency-monitor-threshold to the milliseconds from "
                    "which on a delay matters.\n");
        text_reply(&t, c->reply);
        return;
    }
    for (unsigned i = 0; i < LATENCY_EVENTS_MAX; i++) {
        if (latency_events_get(events_of(c), i, &e)) {
            doctor_event(&t, &e);
            seen++;
        }
    }
    if (seen == 0)
        text_printf(&t, "No delay of %lld ms or more has been seen.\n",
                    (long long)c->worker->config->latency_monitor_threshold_ms);
    else
        text_printf(&t,
                    "SLOWLOG GET names slow commands; INFO slotwire shows where the lcores spend "
                    "their cycles.\n");
    text_reply(&t, c->reply);
}

/* ---- histograms ---- */

/* Cumulative counts at powers of two of microseconds; only those where the count grows. */
static void histogram_reply(struct reply *r, const struct latency_summary *s)
{
    struct reply_deferred map;
    uint64_t count = 0, seen = 0, shown = 0;
    uint32_t at = s->first;
    reply_map(r, 2);
    reply_bulk_str(r, "calls");
    reply_i64(r, (int64_t)s->count);
    reply_bulk_str(r, "histogram_usec");
    reply_defer_begin(r, &map);
    for (uint64_t edge_ns = 1024; seen < s->count; edge_ns *= 2) {
        uint64_t top_ns = latency_bucket_top_ns(latency_bucket_of_ns(edge_ns));
        for (; at < s->size && latency_bucket_top_ns(at) <= top_ns; at++)
            seen += s->bucket[at - s->first];
        if (seen == shown)
            continue;
        reply_i64(r, (int64_t)(top_ns / 1000));
        reply_i64(r, (int64_t)seen);
        shown = seen;
        count++;
    }
    reply_defer_end(r, &map, '%', count);
}

/* All commands, or those asked for, in pieces: each of up to a hundred has thousands of buckets. */
#define HISTOGRAMS_PER_STEP 4

struct histograms_job {
    struct job job;
    struct outbuf text; /* the histograms so far */
    uint64_t found;
    bool all;
    struct command_walk walk;
    uint32_t asked_next, asked_count;
    const struct command *asked[];
};

static void histograms_free(struct job *j)
{
    struct histograms_job *h = container_from(j, struct histograms_job, job);
    outbuf_clear(&h->text);
    free(h);
}

/* Those that were asked for come with their subcommands. */
static const struct command *histograms_next(struct histograms_job *h)
{
    if (h->all)
        return command_walk_next(&h->walk);
    if (h->asked_next == h->asked_count)
        return NULL;
    const struct command *parent = h->asked[h->asked_next];
    const struct command *cmd = h->walk.sub ? &parent->subcommands[h->walk.sub - 1] : parent;
    if (h->walk.sub++ == subcommand_count(parent)) {
        h->walk.sub = 0;
        h->asked_next++;
    }
    return cmd;
}

static bool histograms_step(struct job *j)
{
    struct histograms_job *h = container_from(j, struct histograms_job, job);
    struct reply r = {.out = &h->text, .protocol = j->reply->protocol};
    const struct command *cmd;
    for (unsigned i = 0; i < HISTOGRAMS_PER_STEP && (cmd = histograms_next(h)); i++) {
        struct latency_summary s;
        if (!latency_summarise(j->worker->latency, cmd, &s))
            continue;
        reply_bulk_str(&r, cmd->full_name);
        histogram_reply(&r, &s);
        latency_summary_free(&s);
        h->found++;
    }
    if (cmd)
        return false;
    reply_map(j->reply, h->found);
    if (!j->reply->muted)
        outbuf_splice(j->reply->out, &h->text);
    return true;
}

void cmd_latency_histogram(struct call *c)
{
    struct histograms_job *h = calloc(1, sizeof(*h) + (c->argc - 2) * sizeof(h->asked[0]));
    CHECK(h);
    h->all = c->argc == 2;
    for (uint32_t i = 2; i < c->argc; i++) {
        const struct command *cmd = command_lookup_full(c->argv[i]);
        if (cmd)
            h->asked[h->asked_count++] = cmd;
    }
    outbuf_init(&h->text);
    h->job.step = histograms_step;
    h->job.free = histograms_free;
    job_start(c, &h->job);
}

void cmd_latency_help(struct call *c)
{
    static const char *const lines[] = {
        "DOCTOR",
        "    A judgement of the recorded delays.",
        "GRAPH <event>",
        "    The delays of <event>, drawn.",
        "HISTORY <event>",
        "    Time and delay of each sample of <event>.",
        "LATEST",
        "    The last and the worst delay of each event.",
        "RESET [<event> ...]",
        "    Forget the samples of the given events, or of all.",
        "HISTOGRAM [<command> ...]",
        "    Cumulative distribution of the durations of the given commands, or of all.",
        NULL};
    command_reply_help(c, lines);
}
