/* MEMORY: what takes how much. */
#include "admin_ask.h"
#include "families.h"
#include "info.h"
#include "string_value.h"

void cmd_memory_usage(struct call *c)
{
    int64_t samples = 5;
    for (uint32_t i = 3; i < c->argc; i += 2) {
        if (i + 1 == c->argc || !slice_equal_word(c->argv[i], "samples")) {
            reply_error(c->reply, REPLY_SYNTAX);
            return;
        }
        if (!string_parse_i64(c, c->argv[i + 1], &samples))
            return;
        if (samples < 0) {
            reply_error(c->reply, REPLY_SYNTAX);
            return;
        }
    }
    const struct entry *e = ks_find(c->ks, &c->keys[0], KS_READ_NO_TOUCH | KS_READ_NO_STATS);
    if (!e) {
        reply_null(c->reply);
        return;
    }
    uint32_t limit = samples > UINT32_MAX ? UINT32_MAX : (uint32_t)samples;
    reply_i64(c->reply, (int64_t)ks_mem_usage(c->ks, e, limit));
}

static void pair_i64(struct reply *r, const char *name, uint64_t value)
{
    reply_bulk_str(r, name);
    reply_i64(r, (int64_t)value);
}

static void pair_ratio(struct reply *r, const char *name, uint64_t a, uint64_t b)
{
    reply_bulk_str(r, name);
    reply_double(r, b ? (double)a / (double)b : 0);
}

void cmd_memory_stats(struct call *c)
{
    struct reply *r = c->reply;
    struct memory_view m;
    memory_view_read(c->worker, &m);
    uint64_t keys = ks_count(c->ks->shared);
    reply_map(r, 20);
    pair_i64(r, "peak.allocated", m.heap.peak);
    pair_i64(r, "total.allocated", m.heap.used);
    pair_i64(r, "startup.allocated", m.heap.startup);
    pair_i64(r, "replication.backlog", 0);
    pair_i64(r, "clients.slaves", 0);
    pair_i64(r, "clients.normal", 0);
    pair_i64(r, "cluster.links", 0);
    pair_i64(r, "aof.buffer", 0);
    pair_i64(r, "overhead.total", m.overhead);
    pair_i64(r, "keys.count", keys);
    pair_i64(r, "keys.bytes-per-key", keys ? m.data / keys : 0);
    pair_i64(r, "dataset.bytes", m.data);
    pair_ratio(r, "peak.percentage", 100 * m.heap.used, m.heap.peak);
    pair_i64(r, "allocator.allocated", m.heap.allocated);
    pair_i64(r, "allocator.active", m.heap.active);
    pair_i64(r, "allocator.resident", m.heap.resident);
    pair_ratio(r, "allocator-fragmentation.ratio", m.heap.active, m.heap.allocated);
    pair_i64(r, "allocator-fragmentation.bytes", m.heap.active - m.heap.allocated);
    pair_ratio(r, "fragmentation", m.heap.process_resident, m.heap.used);
    pair_i64(r, "fragmentation.bytes", m.heap.process_resident - m.heap.used);
}

#define DOCTOR_SMALL_BYTES (5u << 20)

void cmd_memory_doctor(struct call *c)
{
    struct memory_view m;
    struct text t = {0};
    memory_view_read(c->worker, &m);
    bool trouble = false;
    if (m.data < DOCTOR_SMALL_BYTES) {
        text_printf(&t, "There is too little data to judge.\n");
        text_reply(&t, c->reply);
        return;
    }
    if (m.heap.peak > m.heap.used + m.heap.used / 2) {
        text_printf(&t, "Half as much memory again was in use once: the process may still hold the "
                        "memory of that time. MEMORY PURGE gives back what is free.\n");
        trouble = true;
    }
    if (m.heap.active > m.heap.allocated + m.heap.allocated * 2 / 5) {
        text_printf(&t, "More than a quarter of the allocator's active memory is unused: it is "
                        "fragmented.\n");
        trouble = true;
    }
    if (m.retired > m.data / 10) {
        text_printf(&t,
                    "More than a tenth of the data waits to be freed: a reader is late, or much "
                    "was deleted just now.\n");
        trouble = true;
    }
    if (!trouble)
        text_printf(&t, "Nothing is wrong with the use of memory.\n");
    text_reply(&t, c->reply);
}

void cmd_memory_purge(struct call *c)
{
    admin_ask(c, ADMIN_MEMORY_PURGE, NULL, 0);
}

void cmd_memory_malloc_stats(struct call *c)
{
    admin_ask(c, ADMIN_MALLOC_STATS, NULL, 0);
}

void cmd_memory_help(struct call *c)
{
    static const char *const lines[] = {
        "DOCTOR",
        "    A judgement of the use of memory.",
        "MALLOC-STATS",
        "    The allocator's own report.",
        "PURGE",
        "    Give free memory back to the system.",
        "STATS",
        "    Where memory is used.",
        "USAGE <key> [SAMPLES <count>]",
        "    Bytes that <key> and its value take; nested values are estimated from <count>",
        "    elements (default: 5, 0: all).",
        NULL};
    command_reply_help(c, lines);
}
