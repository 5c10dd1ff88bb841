/* INFO's sections about the node as it stands. */
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "channels.h"
#include "clock.h"
#include "info.h"
#include "rates.h"

void info_server(const struct worker *w, struct text *t)
{
    const struct node *node = w->node;
    struct utsname os = {0};
    int64_t up_s = (w->now_ms - node->start_ms) / 1000;
    uname(&os);
    text_printf(t,
                "redis_version:7.0.15\r\n"
                "slotwire_version:" SLOTWIRE_VERSION "\r\n"
                "redis_git_sha1:00000000\r\n"
                "redis_git_dirty:0\r\n"
                "redis_build_id:0\r\n"
                "redis_mode:%s\r\n"
                "os:%s %s %s\r\n"
                "arch_bits:%zu\r\n"
                "monotonic_clock:TSC @ %llu ticks/us\r\n"
                "multiplexing_api:dpdk\r\n"
                "atomicvar_api:c11-builtin\r\n",
                node->cluster != NULL ? "cluster" : "standalone", os.sysname, os.release,
                os.machine, sizeof(void *) * 8,
                (unsigned long long)(clock_tsc_hz() / 1000000));
    text_printf(t,
                "gcc_version:%d.%d.%d\r\n"
                "process_id:%d\r\n"
                "process_supervised:no\r\n"
                "run_id:%s\r\n"
                "tcp_port:%d\r\n"
                "server_time_usec:%lld\r\n"
                "uptime_in_seconds:%lld\r\n"
                "uptime_in_days:%lld\r\n",
                __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__, (int)getpid(), node->run_id,
                node->tcp_port, (long long)clock_wall_us(), (long long)up_s,
                (long long)(up_s / 86400));
    text_printf(t,
                "hz:%lld\r\n"
                "configured_hz:%lld\r\n"
                "lru_clock:%lld\r\n"
                "executable:%s\r\n"
                "config_file:%s\r\n"
                "io_threads_active:0\r\n",
                (long long)w->config->hz, (long long)w->config->hz,
                (long long)(w->now_ms / 1000 & 0xffffff), node->executable, node->config_file);
}

void info_clients(const struct worker *w, struct text *t)
{
    const struct node *node = w->node;
    text_printf(t,
                "connected_clients:%u\r\n"
                "cluster_connections:0\r\n"
                "maxclients:%lld\r\n"
                "client_recent_max_input_buffer:0\r\n"
                "client_recent_max_output_buffer:0\r\n"
                "blocked_clients:0\r\n"
                "tracking_clients:0\r\n"
                "clients_in_timeout_table:0\r\n",
                atomic_load_explicit(&node->client_count, memory_order_relaxed),
                (long long)w->config->maxclients);
}

void memory_view_read(const struct worker *w, struct memory_view *out)
{
    uint64_t data = ks_used_bytes(w->ks->shared), retired = ks_retired_bytes(w->ks->shared);
    *out = (struct memory_view){.data = data, .retired = retired};
    allocator_stats_read(&out->heap, data + retired);
    out->overhead = out->heap.used - data - retired;
}

static double ratio(uint64_t a, uint64_t b)
{
    return b ? (double)a / (double)b : 0;
}

static void memory_line(struct text *t, const char *name, uint64_t bytes)
{
    char human[TEXT_SIZE_ROOM];
    text_printf(t, "%s:%llu\r\n%s_human:%s\r\n", name, (unsigned long long)bytes, name,
                text_size(human, bytes));
}

static void memory_use(struct text *t, const struct memory_view *m)
{
    uint64_t besides = m->heap.used > m->heap.startup ? m->heap.used - m->heap.startup : 0;
    memory_line(t, "used_memory", m->heap.used);
    memory_line(t, "used_memory_rss", m->heap.process_resident);
    memory_line(t, "used_memory_peak", m->heap.peak);
    text_printf(t,
                "used_memory_peak_perc:%.2f%%\r\n"
                "used_memory_overhead:%llu\r\n"
                "used_memory_startup:%llu\r\n"
                "used_memory_dataset:%llu\r\n"
                "used_memory_dataset_perc:%.2f%%\r\n"
                "allocator_allocated:%zu\r\n"
                "allocator_active:%zu\r\n"
                "allocator_resident:%zu\r\n",
                100 * ratio(m->heap.used, m->heap.peak), (unsigned long long)m->overhead,
                (unsigned long long)m->heap.startup, (unsigned long long)m->data,
                m->data < besides ? 100 * ratio(m->data, besides)
                : m->data         ? 100.0
                                  : 0.0,
                m->heap.allocated, m->heap.active, m->heap.resident);
    memory_line(t, "total_system_memory", m->heap.system_total);
}

static void memory_ratios(struct text *t, const struct memory_view *m)
{
    const struct allocator_stats *h = &m->heap;
    text_printf(t,
                "allocator_frag_ratio:%.2f\r\n"
                "allocator_frag_bytes:%lld\r\n"
                "allocator_rss_ratio:%.2f\r\n"
                "allocator_rss_bytes:%lld\r\n"
                "rss_overhead_ratio:%.2f\r\n"
                "rss_overhead_bytes:%lld\r\n"
                "mem_fragmentation_ratio:%.2f\r\n"
                "mem_fragmentation_bytes:%lld\r\n",
                ratio(h->active, h->allocated), (long long)(h->active - h->allocated),
                ratio(h->resident, h->active), (long long)(h->resident - h->active),
                ratio(h->process_resident, h->resident),
                (long long)(h->process_resident - h->resident), ratio(h->process_resident, h->used),
                (long long)(h->process_resident - h->used));
}

void info_memory(const struct worker *w, struct text *t)
{
    struct memory_view m;
    memory_view_read(w, &m);
    memory_use(t, &m);
    memory_line(t, "maxmemory", w->config->maxmemory_bytes);
    int policy = config_option_find(slice_str("maxmemory-policy"));
    char *policy_name = config_option_print(w->config, policy);
    text_printf(t, "maxmemory_policy:%s\r\n", policy_name);
    free(policy_name);
    memory_ratios(t, &m);
    text_printf(t,
                "mem_not_counted_for_evict:%llu\r\n"
                "mem_replication_backlog:0\r\n"
                "mem_total_replication_buffers:0\r\n"
                "mem_clients_slaves:0\r\n"
                "mem_clients_normal:0\r\n"
                "mem_cluster_links:0\r\n"
                "mem_aof_buffer:0\r\n"
                "mem_allocator:%s\r\n"
                "active_defrag_running:0\r\n"
                "lazyfree_pending_objects:0\r\n"
                "lazyfreed_objects:0\r\n",
                (unsigned long long)(m.heap.used - m.data), allocator_name());
}

/* No snapshots and no append-only file yet. */
void info_persistence(const struct worker *w, struct text *t)
{
    text_printf(t,
                "loading:0\r\n"
                "async_loading:0\r\n"
                "rdb_changes_since_last_save:0\r\n"
                "rdb_bgsave_in_progress:0\r\n"
                "rdb_last_save_time:%lld\r\n"
                "rdb_last_bgsave_status:ok\r\n"
                "rdb_last_bgsave_time_sec:-1\r\n"
                "rdb_current_bgsave_time_sec:-1\r\n"
                "rdb_saves:0\r\n"
                "aof_enabled:0\r\n"
                "aof_rewrite_in_progress:0\r\n"
                "aof_rewrite_scheduled:0\r\n"
                "aof_last_rewrite_time_sec:-1\r\n"
                "aof_current_rewrite_time_sec:-1\r\n"
                "aof_last_bgrewrite_status:ok\r\n"
                "aof_last_write_status:ok\r\n",
                (long long)(w->node->start_ms / 1000));
}

static unsigned long long sum(enum metric_id id)
{
    return (unsigned long long)metric_sum(id);
}

void info_stats(const struct worker *w, struct text *t)
{
    const struct node *node = w->node;
    text_printf(t,
                "total_connections_received:%llu\r\n"
                "total_commands_processed:%llu\r\n"
                "instantaneous_ops_per_sec:%llu\r\n"
                "total_net_input_bytes:%llu\r\n"
                "total_net_output_bytes:%llu\r\n"
                "instantaneous_input_kbps:%.2f\r\n"
                "instantaneous_output_kbps:%.2f\r\n"
                "rejected_connections:%llu\r\n",
                sum(METRIC_connections_received), sum(METRIC_commands_processed),
                (unsigned long long)rate_per_second(RATE_COMMANDS), sum(METRIC_net_input_bytes),
                sum(METRIC_net_output_bytes), (double)rate_per_second(RATE_INPUT_BYTES) / 1024,
                (double)rate_per_second(RATE_OUTPUT_BYTES) / 1024,
                sum(METRIC_connections_rejected));
    text_printf(t,
                "sync_full:0\r\n"
                "sync_partial_ok:0\r\n"
                "sync_partial_err:0\r\n"
                "expired_keys:%llu\r\n"
                "evicted_keys:%llu\r\n"
                "evicted_clients:0\r\n"
                "keyspace_hits:%llu\r\n"
                "keyspace_misses:%llu\r\n"
                "pubsub_channels:%llu\r\n"
                "pubsub_patterns:%llu\r\n"
                "pubsubshard_channels:0\r\n"
                "latest_fork_usec:0\r\n"
                "total_forks:0\r\n"
                "migrate_cached_sockets:%u\r\n"
                "tracking_total_keys:0\r\n"
                "tracking_total_items:0\r\n"
                "tracking_total_prefixes:0\r\n"
                "unexpected_error_replies:0\r\n"
                "total_error_replies:%llu\r\n",
                sum(METRIC_expired_keys), sum(METRIC_evicted_keys), sum(METRIC_keyspace_hits),
                sum(METRIC_keyspace_misses),
                (unsigned long long)channels_count(node->channels, CHANNEL_NAME),
                (unsigned long long)channels_count(node->channels, CHANNEL_PATTERN),
                atomic_load_explicit(&node->migrate_links_idle, memory_order_relaxed),
                sum(METRIC_errors_replied));
}

/* No replication yet: a master alone. */
void info_replication(const struct worker *w, struct text *t)
{
    text_printf(t,
                "role:master\r\n"
                "connected_slaves:0\r\n"
                "master_failover_state:no-failover\r\n"
                "master_replid:%s\r\n"
                "master_replid2:0000000000000000000000000000000000000000\r\n"
                "master_repl_offset:0\r\n"
                "second_repl_offset:-1\r\n"
                "repl_backlog_active:0\r\n"
                "repl_backlog_size:0\r\n"
                "repl_backlog_first_byte_offset:0\r\n"
                "repl_backlog_histlen:0\r\n",
                w->node->run_id);
}

static void cpu_lines(struct text *t, int who, const char *suffix)
{
    struct rusage usage = {0};
    getrusage(who, &usage);
    text_printf(t, "used_cpu_sys%s:%lld.%06lld\r\nused_cpu_user%s:%lld.%06lld\r\n", suffix,
                (long long)usage.ru_stime.tv_sec, (long long)usage.ru_stime.tv_usec, suffix,
                (long long)usage.ru_utime.tv_sec, (long long)usage.ru_utime.tv_usec);
}

void info_cpu(const struct worker *w, struct text *t)
{
    cpu_lines(t, RUSAGE_SELF, "");
    cpu_lines(t, RUSAGE_CHILDREN, "_children");
}

void info_modules(const struct worker *w, struct text *t)
{
}

void info_cluster(const struct worker *w, struct text *t)
{
    text_printf(t, "cluster_enabled:%d\r\n", w->node->cluster != NULL);
}

void info_keyspace(const struct worker *w, struct text *t)
{
    uint64_t keys = ks_count(w->ks->shared);
    if (keys > 0)
        text_printf(t, "db0:keys=%llu,expires=%llu,avg_ttl=0\r\n", (unsigned long long)keys,
                    (unsigned long long)ks_expiring_count(w->ks->shared));
}
