/* The node's log: "pid:role date time level message", as Redis writes it. Never blocks: lines go
 * into a bounded ring that the control thread writes out; when it is full the line is dropped,
 * counted (metric log_lines_dropped), and the gap is reported in the log later. A sink that takes
 * nothing (a full pipe) fills the ring; it never holds the control thread up. Before log_start()
 * lines go out directly.
 *
 * One call is one line: longer ones than LOG_TEXT_SIZE are cut, control characters become '?'.
 * Bytes from peers go through LOG_BYTES(), which escapes them. SIGPIPE must be ignored by main. */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include "slice.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_VERBOSE, LOG_LEVEL_NOTICE, LOG_LEVEL_WARNING };

/* Bytes of a message, its NUL included. */
#define LOG_TEXT_SIZE 960

/* path NULL or "": stdout. False (errno set) when it cannot be opened; the open log stays then. */
bool log_open(const char *path, enum log_level level);
void log_level_set(enum log_level level);
/* From now on all lines are queued; log_pump() writes them out. Both belong to the calling thread
 * (control), whose own lines are pumped at once. */
void log_start(void);
/* At most a bounded number of lines; call it once per loop. */
void log_pump(void);
/* Writes out what the sink takes; later lines go to stdout directly. No other thread logs then. */
void log_close(void);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_verbose(...) log_line(LOG_LEVEL_VERBOSE, __VA_ARGS__)
#define log_notice(...) log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)

/* A peer's bytes as text for %s, printable ASCII as it is, the rest as \xNN, cut with "..." when
 * too long. Lives until the end of the enclosing block. */
#define LOG_ESCAPE_SIZE 256
const char *log_escape(char buf[LOG_ESCAPE_SIZE], struct slice bytes);
#define LOG_BYTES(bytes) log_escape((char[LOG_ESCAPE_SIZE]){0}, (bytes))
