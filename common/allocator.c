#include "allocator.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static size_t process_resident(void)
{
    size_t pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f)
        return 0;
    if (fscanf(f, "%*s %zu", &pages) != 1)
        pages = 0;
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void system_stats(struct allocator_stats *out)
{
    *out = (struct allocator_stats){0};
    out->process_resident = process_resident();
    out->system_total = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
}

static void stats_ask(struct allocator_stats *out);

/* The last sample; w: the sampling thread, r: any (relaxed). */
static struct {
    _Atomic(uint64_t) due_us;
    _Atomic(size_t) allocated, active, resident, process_resident, system_total;
    _Atomic(size_t) data, peak, startup;
} sampled;

static size_t of(const _Atomic(size_t) *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static void set(_Atomic(size_t) *value, size_t to)
{
    atomic_store_explicit(value, to, memory_order_relaxed);
}

void allocator_stats_sample(uint64_t now_us, size_t data)
{
    struct allocator_stats now;
    uint64_t due_us = atomic_load_explicit(&sampled.due_us, memory_order_relaxed);
    if (now_us < due_us)
        return;
    atomic_store_explicit(&sampled.due_us, now_us + ALLOCATOR_STATS_AGE_US, memory_order_relaxed);
    stats_ask(&now);
    if (due_us == 0)
        set(&sampled.startup, now.allocated > data ? now.allocated - data : 0);
    if (now.allocated > of(&sampled.peak))
        set(&sampled.peak, now.allocated);
    set(&sampled.data, data);
    set(&sampled.allocated, now.allocated);
    set(&sampled.active, now.active);
    set(&sampled.resident, now.resident);
    set(&sampled.process_resident, now.process_resident);
    set(&sampled.system_total, now.system_total);
}

void allocator_stats_read(struct allocator_stats *out, size_t data)
{
    int64_t grown = (int64_t)(data - of(&sampled.data));
    int64_t used = (int64_t)of(&sampled.allocated) + grown;
    *out = (struct allocator_stats){
        .used = used > (int64_t)data ? (size_t)used : data,
        .startup = of(&sampled.startup),
        .allocated = of(&sampled.allocated),
        .active = of(&sampled.active),
        .resident = of(&sampled.resident),
        .process_resident = of(&sampled.process_resident),
        .system_total = of(&sampled.system_total),
    };
    out->peak = of(&sampled.peak) > out->used ? of(&sampled.peak) : out->used;
}

#ifdef SW_SANITIZE

static void stats_ask(struct allocator_stats *out)
{
    system_stats(out);
    out->allocated = out->active = out->resident = out->process_resident;
}

const char *allocator_name(void)
{
    return "libc";
}

void allocator_purge(void)
{
}

char *allocator_report(size_t *len)
{
    *len = 0;
    return NULL;
}

#else

#include <jemalloc/jemalloc.h>

static size_t stat_of(const char *name)
{
    size_t value = 0, size = sizeof(value);
    return mallctl(name, &value, &size, NULL, 0) == 0 ? value : 0;
}

static void stats_ask(struct allocator_stats *out)
{
    uint64_t epoch = 1;
    size_t size = sizeof(epoch);
    system_stats(out);
    mallctl("epoch", &epoch, &size, &epoch, size);
    out->allocated = stat_of("stats.allocated");
    out->active = stat_of("stats.active");
    out->resident = stat_of("stats.resident");
}

#define TEXT_OF(x) #x
#define NUMBER_TEXT(x) TEXT_OF(x)

const char *allocator_name(void)
{
    return "jemalloc-" NUMBER_TEXT(JEMALLOC_VERSION_MAJOR) "." NUMBER_TEXT(
        JEMALLOC_VERSION_MINOR) "." NUMBER_TEXT(JEMALLOC_VERSION_BUGFIX);
}

void allocator_purge(void)
{
    mallctl("arena." NUMBER_TEXT(MALLCTL_ARENAS_ALL) ".purge", NULL, NULL, NULL, 0);
}

struct report {
    char *data;
    size_t len;
};

static void report_add(void *arg, const char *text)
{
    struct report *r = arg;
    size_t len = strlen(text);
    char *more = realloc(r->data, r->len + len + 1);
    if (!more)
        return;
    memcpy(more + r->len, text, len + 1);
    r->data = more;
    r->len += len;
}

char *allocator_report(size_t *len)
{
    struct report r = {0};
    malloc_stats_print(report_add, &r, NULL);
    *len = r.len;
    return r.data;
}

#endif
