/* The node's log: "pid:role date time level message", as Redis writes it. Never blocks an lcore: lines go
 * into a bounded ring that the control thread writes out; when it is full the line is dropped and
 * counted (metric log_lines_dropped). Before log_start() and on the control thread lines go out
 * directly. Bytes from peers are escaped (\xNN) by LOG_BYTES users, never interpreted. */
#pragma once
#include <stdarg.h>
#include <stdbool.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_VERBOSE, LOG_LEVEL_NOTICE, LOG_LEVEL_WARNING };

/* path NULL or "": stdout. False (errno set) when it cannot be opened. */
bool log_open(const char *path, enum log_level level);
void log_level_set(enum log_level level);
/* From now on lines of other threads are queued; log_pump() (control thread) writes them out. */
void log_start(void);
void log_pump(void);
void log_close(void);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_verbose(...) log_line(LOG_LEVEL_VERBOSE, __VA_ARGS__)
#define log_notice(...) log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
