#include "channels.h"
#include <stdlib.h>
#include "error_counts.h"
#include "job.h"
#include "latency.h"
#include "migrate_link.h"
#include "session.h"
#include "slowlog.h"
#include "stats.h"
#include "subscribe.h"
#include "unix_stream.h"

static bool shared_tables_new(struct worker *w)
{
    struct node *node = w->node;
    if (node->tables_users++ == 0) {
        node->channels = channels_new(node->lcore_count);
        node->slowlog = slowlog_new();
        node->latency = latency_new(node->lcore_count);
    }
    w->slowlog = node->slowlog;
    w->latency = node->latency;
    return node->channels && node->slowlog && node->latency;
}

static void shared_tables_free(struct node *node)
{
    if (--node->tables_users > 0)
        return;
    channels_free(node->channels);
    slowlog_free(node->slowlog);
    latency_free(node->latency);
}

bool worker_tables_new(struct worker *w)
{
    w->sessions = session_list_new();
    w->pubsub = pubsub_new(w);
    w->jobs = jobs_new();
    w->errors = calloc(1, sizeof(*w->errors));
    w->command_stats = command_stats_new();
    return shared_tables_new(w) && w->jobs && w->errors;
}

void worker_tables_free(struct worker *w)
{
    if (!w->sessions)
        return; /* never made */
    jobs_finish(w);
    session_list_free(w->sessions);
    unix_streams_free(w);
    jobs_free(w->jobs);
    migrate_links_free(w);
    pubsub_free(w->pubsub);
    free(w->errors);
    command_stats_free(w->command_stats);
    shared_tables_free(w->node);
}
