#include "slowlog.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "check.h"
#include "families.h"
#include "session.h"
#include "spin.h"
#include "string_value.h"
#include "watching.h"

#define SLOWLOG_ARGS_MAX 32
#define SLOWLOG_ARG_BYTES_MAX 128
#define SLOWLOG_ARG_ROOM (SLOWLOG_ARG_BYTES_MAX + 40) /* and "... (N more bytes)" */
#define SLOWLOG_TRIM_MAX 16                           /* entries dropped per new one, at most */

struct slow_entry {
    struct slow_entry *older, *newer;
    _Atomic(uint32_t) references;
    uint64_t id, duration_us;
    int64_t time_s;
    char peer[STREAM_NAME_SIZE];
    char *name; /* in the same memory, as are the arguments */
    uint32_t argc;
    struct slice argv[];
};

struct slowlog {
    struct spin lock;
    struct slow_entry *newest, *oldest;
    uint64_t len, next_id;
};

struct slowlog *slowlog_new(void)
{
    return calloc(1, sizeof(struct slowlog));
}

static void entry_put(struct slow_entry *e)
{
    if (atomic_fetch_sub_explicit(&e->references, 1, memory_order_acq_rel) == 1)
        free(e);
}

/* [lock held] The oldest entry, no longer in the log; NULL: none. */
static struct slow_entry *take_oldest(struct slowlog *log)
{
    struct slow_entry *e = log->oldest;
    if (!e)
        return NULL;
    log->oldest = e->newer;
    if (log->oldest)
        log->oldest->older = NULL;
    else
        log->newest = NULL;
    log->len--;
    return e;
}

void slowlog_free(struct slowlog *log)
{
    struct slow_entry *e;
    if (!log)
        return;
    while ((e = take_oldest(log)))
        entry_put(e);
    free(log);
}

/* ---- making an entry ---- */

/* An argument as it is shown: cut with the number of bytes left out. */
static size_t arg_write(char *to, struct slice arg)
{
    if (arg.len <= SLOWLOG_ARG_BYTES_MAX) {
        if (arg.len > 0)
            memcpy(to, arg.data, arg.len);
        return arg.len;
    }
    memcpy(to, arg.data, SLOWLOG_ARG_BYTES_MAX);
    int note = snprintf(to + SLOWLOG_ARG_BYTES_MAX, SLOWLOG_ARG_ROOM - SLOWLOG_ARG_BYTES_MAX,
                        "... (%zu more bytes)", arg.len - SLOWLOG_ARG_BYTES_MAX);
    return SLOWLOG_ARG_BYTES_MAX + (size_t)note;
}

static struct slow_entry *entry_new(const struct session *s, const struct slice *argv,
                                    uint32_t argc)
{
    uint32_t shown = argc > SLOWLOG_ARGS_MAX ? SLOWLOG_ARGS_MAX : argc;
    size_t name_len = s->name ? strlen(s->name) : 0;
    size_t bytes = name_len + 1;
    for (uint32_t i = 0; i < shown; i++)
        bytes += argv[i].len < SLOWLOG_ARG_ROOM ? argv[i].len : SLOWLOG_ARG_ROOM;
    /* The last one may be replaced by a note on how many were left out. */
    struct slow_entry *e =
        malloc(sizeof(*e) + shown * sizeof(struct slice) + bytes + SLOWLOG_ARG_ROOM);
    if (!e)
        return NULL;
    char *at = (char *)(e->argv + shown);
    for (uint32_t i = 0; i < shown; i++) {
        bool note = argc > shown && i == shown - 1;
        size_t len = note ? (size_t)snprintf(at, SLOWLOG_ARG_ROOM, "... (%u more arguments)",
                                             argc - shown + 1)
                          : arg_write(at, argv[i]);
        e->argv[i] = slice_from(at, len);
        at += len;
    }
    e->argc = shown;
    e->name = at;
    memcpy(at, s->name ? s->name : "", name_len + 1);
    atomic_init(&e->references, 1);
    return e;
}

void slowlog_note(struct worker *w, struct session *s, const struct slice *argv, uint32_t argc,
                  uint64_t duration_us)
{
    struct slowlog *log = w->slowlog;
    struct slow_entry *e = log ? entry_new(s, argv, argc) : NULL;
    struct slow_entry *dropped[SLOWLOG_TRIM_MAX];
    uint64_t max = (uint64_t)w->config->slowlog_max_len;
    unsigned drops = 0;
    if (!e)
        return;
    e->duration_us = duration_us;
    e->time_s = w->now_ms / 1000;
    e->peer[0] = '\0';
    if (s->stream)
        s->stream->ops->name_peer(s->stream, e->peer);
    spin_lock(&log->lock);
    e->id = log->next_id++;
    e->newer = NULL;
    e->older = log->newest;
    if (log->newest)
        log->newest->newer = e;
    else
        log->oldest = e;
    log->newest = e;
    log->len++;
    while (log->len > max && drops < SLOWLOG_TRIM_MAX)
        dropped[drops++] = take_oldest(log);
    spin_unlock(&log->lock);
    while (drops > 0)
        entry_put(dropped[--drops]);
}

/* ---- SLOWLOG ---- */

static void entry_reply(struct reply *r, const struct slow_entry *e)
{
    reply_array(r, 6);
    reply_i64(r, (int64_t)e->id);
    reply_i64(r, e->time_s);
    reply_i64(r, (int64_t)e->duration_us);
    reply_array(r, e->argc);
    for (uint32_t i = 0; i < e->argc; i++)
        reply_bulk(r, e->argv[i]);
    reply_bulk_str(r, e->peer);
    reply_bulk_str(r, e->name);
}

static uint64_t log_len(struct slowlog *log)
{
    spin_lock(&log->lock);
    uint64_t len = log->len;
    spin_unlock(&log->lock);
    return len;
}

/* References to the newest entries, at most max; how many. */
static uint64_t log_newest(struct slowlog *log, struct slow_entry **out, uint64_t max)
{
    uint64_t n = 0;
    spin_lock(&log->lock);
    for (struct slow_entry *e = log->newest; e && n < max; e = e->older) {
        atomic_fetch_add_explicit(&e->references, 1, memory_order_relaxed);
        out[n++] = e;
    }
    spin_unlock(&log->lock);
    return n;
}

void cmd_slowlog_get(struct call *c)
{
    struct slowlog *log = c->worker->slowlog;
    int64_t count = 10;
    if (c->argc > 3) {
        command_reply_arity(c);
        return;
    }
    if (c->argc == 3 && !string_parse_i64(c, c->argv[2], &count))
        return;
    if (count < -1) {
        reply_error(c->reply, "ERR count should be greater than or equal to -1");
        return;
    }
    uint64_t max = log_len(log);
    if (count >= 0 && (uint64_t)count < max)
        max = (uint64_t)count;
    struct slow_entry **entries = malloc((max + 1) * sizeof(struct slow_entry *));
    if (!entries) {
        reply_error(c->reply, REPLY_OOM);
        return;
    }
    uint64_t n = log_newest(log, entries, max);
    reply_array(c->reply, n);
    for (uint64_t i = 0; i < n; i++) {
        entry_reply(c->reply, entries[i]);
        entry_put(entries[i]);
    }
    free(entries);
}

void cmd_slowlog_len(struct call *c)
{
    reply_i64(c->reply, (int64_t)log_len(c->worker->slowlog));
}

void cmd_slowlog_reset(struct call *c)
{
    struct slowlog *log = c->worker->slowlog;
    spin_lock(&log->lock);
    struct slow_entry *e = log->newest;
    log->newest = log->oldest = NULL;
    log->len = 0;
    spin_unlock(&log->lock);
    while (e) {
        struct slow_entry *older = e->older;
        entry_put(e);
        e = older;
    }
    reply_ok(c->reply);
}

void cmd_slowlog_help(struct call *c)
{
    static const char *const lines[] = {
        "GET [<count>]",
        "    The newest <count> entries (default: 10, -1: all). An entry is: id, Unix time,",
        "    microseconds, arguments, address of the client, name of the client.",
        "LEN",
        "    How many entries there are.",
        "RESET",
        "    Forget all entries.",
        NULL};
    command_reply_help(c, lines);
}
