#include "latency_events.h"
#include <string.h>

/* [lock held] NULL: unknown. */
static struct latency_event *event_named(struct latency_events *l, struct slice name)
{
    for (unsigned i = 0; i < LATENCY_EVENTS_MAX && l->event[i].name; i++) {
        if (slice_equal_word(name, l->event[i].name))
            return &l->event[i];
    }
    return NULL;
}

/* [lock held] NULL: the table is full. */
static struct latency_event *event_make(struct latency_events *l, const char *name)
{
    struct latency_event *e = event_named(l, slice_str(name));
    for (unsigned i = 0; !e && i < LATENCY_EVENTS_MAX; i++) {
        if (!l->event[i].name) {
            e = &l->event[i];
            e->name = name;
        }
    }
    return e;
}

void latency_events_add(struct latency_events *l, const char *name, int64_t now_s,
                        uint64_t delay_ms)
{
    spin_lock(&l->lock);
    struct latency_event *e = event_make(l, name);
    if (e) {
        struct latency_sample_row *last =
            &e->rows[(e->next + LATENCY_SAMPLES - 1) % LATENCY_SAMPLES];
        if (delay_ms > e->max_ms)
            e->max_ms = delay_ms;
        if (last->time_s == now_s) {
            if (delay_ms > last->delay_ms)
                last->delay_ms = delay_ms;
        } else {
            e->rows[e->next] = (struct latency_sample_row){now_s, delay_ms};
            e->next = (e->next + 1) % LATENCY_SAMPLES;
        }
    }
    spin_unlock(&l->lock);
}

static bool has_rows(const struct latency_event *e)
{
    return e->name && latency_event_last(e);
}

bool latency_events_get(struct latency_events *l, unsigned i, struct latency_event *out)
{
    if (i >= LATENCY_EVENTS_MAX)
        return false;
    spin_lock(&l->lock);
    *out = l->event[i];
    spin_unlock(&l->lock);
    return has_rows(out);
}

bool latency_events_find(struct latency_events *l, struct slice name, struct latency_event *out)
{
    spin_lock(&l->lock);
    const struct latency_event *e = event_named(l, name);
    if (e)
        *out = *e;
    spin_unlock(&l->lock);
    return e && has_rows(out);
}

bool latency_events_reset(struct latency_events *l, struct slice name)
{
    spin_lock(&l->lock);
    struct latency_event *e = event_named(l, name);
    bool had = e && has_rows(e);
    if (e) {
        memset(e->rows, 0, sizeof(e->rows));
        e->max_ms = 0;
        e->next = 0;
    }
    spin_unlock(&l->lock);
    return had;
}

const struct latency_sample_row *latency_event_last(const struct latency_event *e)
{
    const struct latency_sample_row *last =
        &e->rows[(e->next + LATENCY_SAMPLES - 1) % LATENCY_SAMPLES];
    return last->time_s ? last : NULL;
}

const struct latency_sample_row *latency_event_row(const struct latency_event *e, unsigned i)
{
    unsigned full = e->rows[e->next].time_s != 0;
    unsigned count = full ? LATENCY_SAMPLES : e->next;
    if (i >= count)
        return NULL;
    return &e->rows[full ? (e->next + i) % LATENCY_SAMPLES : i];
}
