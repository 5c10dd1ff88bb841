#include "log.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "log_ring.h"
#include "metrics.h"

/* Lines per log_pump(): keeps it well under a millisecond. */
#define PUMP_LINES 128
/* Message, date, level and newline; at most what a pipe takes in one piece. */
#define LINE_SIZE (LOG_TEXT_SIZE + 64)
_Static_assert(LINE_SIZE <= 4096, "PIPE_BUF");

static struct {
    int fd;          /* w: the thread that opens, before others log */
    bool owned;      /* fd is ours to close */
    bool poll_first; /* fd may block: ask before each write */
    _Atomic(int) level;
    _Atomic(bool) queued; /* log_start() was called */
    _Atomic(uint64_t) dropped_count;
    uint64_t dropped_reported; /* w: the pumping thread */
} log_state = {.fd = STDOUT_FILENO, .poll_first = true, .level = LOG_LEVEL_NOTICE};

static struct log_ring log_lines;
static _Thread_local bool is_pumping_thread;

static void log_count_dropped(void)
{
    metric_inc(log_lines_dropped);
    atomic_fetch_add_explicit(&log_state.dropped_count, 1, memory_order_relaxed);
}

/* A description of stdout of our own can be non-blocking without changing it for the shell that
 * shares it. Sockets and other people's terminals cannot be opened again: those are polled. */
static int stdout_reopen(void)
{
    struct stat info;
    if (fstat(STDOUT_FILENO, &info) != 0 || S_ISREG(info.st_mode))
        return -1;
    return open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

bool log_open(const char *path, enum log_level level)
{
    bool to_stdout = !path || path[0] == '\0';
    int fd = to_stdout ? stdout_reopen()
                       : open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0644);
    if (fd < 0 && !to_stdout)
        return false;
    if (log_state.owned)
        close(log_state.fd);
    log_state.owned = fd >= 0;
    log_state.poll_first = fd < 0;
    log_state.fd = fd >= 0 ? fd : STDOUT_FILENO;
    log_level_set(level);
    return true;
}

void log_level_set(enum log_level level)
{
    atomic_store_explicit(&log_state.level, (int)level, memory_order_relaxed);
}

static int64_t log_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void entry_fill(struct log_entry *entry, enum log_level level, const char *format,
                       va_list args)
{
    entry->time_ms = log_now_ms();
    entry->level = level;
    int len = vsnprintf(entry->text, sizeof(entry->text), format, args);
    if (len < 0)
        entry->text[0] = '\0';
    for (char *at = entry->text; *at; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    }
}

/* "1234:M 05 Jan 2024 10:11:12.345 * message\n"; the length. */
static size_t entry_print(const struct log_entry *entry, char line[LINE_SIZE])
{
    static const char marks[] = {'.', '-', '*', '#'};
    time_t seconds = entry->time_ms / 1000;
    struct tm parts;
    char date[32];
    localtime_r(&seconds, &parts);
    strftime(date, sizeof(date), "%d %b %Y %H:%M:%S", &parts);
    int len = snprintf(line, LINE_SIZE, "%d:M %s.%03d %c %s\n", (int)getpid(), date,
                       (int)(entry->time_ms % 1000), marks[entry->level], entry->text);
    CHECK(len > 0);
    CHECK(len < LINE_SIZE);
    return (size_t)len;
}

enum sink_result { SINK_TAKEN, SINK_FULL, SINK_FAILED };

static enum sink_result sink_write(const struct log_entry *entry)
{
    char line[LINE_SIZE];
    size_t len = entry_print(entry, line);
    struct pollfd ready = {.fd = log_state.fd, .events = POLLOUT};
    if (log_state.poll_first && poll(&ready, 1, 0) == 0)
        return SINK_FULL;
    ssize_t written;
    do {
        written = write(log_state.fd, line, len);
    } while (written < 0 && errno == EINTR);
    if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return SINK_FULL;
    /* A line cut short by a full disk is lost as well: repeating it would mix with others. */
    return written == (ssize_t)len ? SINK_TAKEN : SINK_FAILED;
}

static void __attribute__((format(printf, 3, 4)))
entry_format(struct log_entry *entry, enum log_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    entry_fill(entry, level, format, args);
    va_end(args);
}

/* After the gap, so that a reader of the log knows of it. False: the sink is still full. */
static bool dropped_report(void)
{
    uint64_t dropped = atomic_load_explicit(&log_state.dropped_count, memory_order_relaxed);
    if (dropped == log_state.dropped_reported)
        return true;
    struct log_entry entry;
    entry_format(&entry, LOG_LEVEL_WARNING,
                 "%llu log lines were lost: the log was not taken in time",
                 (unsigned long long)(dropped - log_state.dropped_reported));
    if (sink_write(&entry) != SINK_TAKEN)
        return false;
    log_state.dropped_reported = dropped;
    return true;
}

/* The number of lines that left the ring. */
static int pump_lines(int max)
{
    int count = 0;
    while (count < max) {
        const struct log_entry *entry = log_ring_first(&log_lines);
        if (!entry)
            break;
        enum sink_result result = sink_write(entry);
        if (result == SINK_FULL)
            return count;
        log_ring_pop(&log_lines);
        count++;
        if (result == SINK_FAILED)
            log_count_dropped();
    }
    if (count < max)
        dropped_report();
    return count;
}

void log_start(void)
{
    log_ring_init(&log_lines);
    is_pumping_thread = true;
    atomic_store_explicit(&log_state.queued, true, memory_order_release);
}

void log_pump(void)
{
    pump_lines(PUMP_LINES);
}

void log_close(void)
{
    if (atomic_load_explicit(&log_state.queued, memory_order_acquire)) {
        while (pump_lines(PUMP_LINES) == PUMP_LINES)
            ;
        atomic_store_explicit(&log_state.queued, false, memory_order_release);
        is_pumping_thread = false;
    }
    if (log_state.owned)
        close(log_state.fd);
    log_state.owned = false;
    log_state.poll_first = true;
    log_state.fd = STDOUT_FILENO;
}

void log_line(enum log_level level, const char *format, ...)
{
    if ((int)level < atomic_load_explicit(&log_state.level, memory_order_relaxed))
        return;
    va_list args;
    va_start(args, format);
    if (atomic_load_explicit(&log_state.queued, memory_order_acquire)) {
        struct log_cell *cell = log_ring_push_begin(&log_lines);
        if (cell) {
            entry_fill(&cell->entry, level, format, args);
            log_ring_push_end(cell);
        } else {
            log_count_dropped();
        }
        if (is_pumping_thread)
            log_pump();
    } else {
        struct log_entry entry;
        entry_fill(&entry, level, format, args);
        if (sink_write(&entry) != SINK_TAKEN)
            log_count_dropped();
    }
    va_end(args);
}

const char *log_escape(char buf[LOG_ESCAPE_SIZE], struct slice bytes)
{
    static const char hex[] = "0123456789abcdef";
    size_t at = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t c = bytes.data[i];
        bool plain = c >= ' ' && c < 0x7f && c != '\\';
        /* The dots and the NUL must still fit. */
        if (at + (plain ? 1 : 4) + 4 > LOG_ESCAPE_SIZE) {
            memcpy(buf + at, "...", 3);
            at += 3;
            break;
        }
        if (plain) {
            buf[at++] = (char)c;
        } else {
            buf[at++] = '\\';
            buf[at++] = 'x';
            buf[at++] = hex[c >> 4];
            buf[at++] = hex[c & 15];
        }
    }
    buf[at] = '\0';
    return buf;
}
