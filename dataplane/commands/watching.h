/* What dispatch tells the slow log and the latency monitor, which stand apart (slowlog.c,
 * latency.c).
 *
 * Owner: the lcore of the worker. Called after a command ran, outside any lock; argv is borrowed.
 */
#pragma once
#include <stdint.h>
#include "slice.h"

struct worker;
struct session;
struct command;

/* Only called for commands that took at least slowlog-log-slower-than and may be logged. */
void slowlog_note(struct worker *w, struct session *s, const struct slice *argv, uint32_t argc,
                  uint64_t duration_us);
/* An event of latency-monitor-threshold or more: "command", "fast-command", "eviction-cycle" … */
void latency_note(struct worker *w, const char *event, uint64_t duration_ms);
/* One sample of a command's histogram (latency-tracking). */
void latency_sample(struct worker *w, const struct command *cmd, uint64_t duration_us);
