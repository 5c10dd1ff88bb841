/* The delays that the latency monitor recorded, by event. Any lcore, under the lock inside. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "latency.h"
#include "slice.h"
#include "spin.h"

struct latency_sample_row {
    int64_t time_s;
    uint64_t delay_ms;
};

struct latency_event {
    const char *name; /* a constant; NULL: free */
    uint32_t next;    /* row that is written next */
    uint64_t max_ms;
    struct latency_sample_row rows[LATENCY_SAMPLES]; /* a ring; time 0: empty */
};

struct latency_events {
    struct spin lock;
    struct latency_event event[LATENCY_EVENTS_MAX];
};

struct latency_events *latency_events_of(struct latency *l);

/* Several delays within one second count as one: the worst. */
void latency_events_add(struct latency_events *l, const char *name, int64_t now_s,
                        uint64_t delay_ms);
/* Copies event i; false: there is none. */
bool latency_events_get(struct latency_events *l, unsigned i, struct latency_event *out);
/* False: no such event. Names are compared without case. */
bool latency_events_find(struct latency_events *l, struct slice name, struct latency_event *out);
/* Forgets one event; false: no such event. */
bool latency_events_reset(struct latency_events *l, struct slice name);
/* The newest row; NULL: none. */
const struct latency_sample_row *latency_event_last(const struct latency_event *e);
/* Row i in order of time, 0 the oldest; NULL: no more. */
const struct latency_sample_row *latency_event_row(const struct latency_event *e, unsigned i);
