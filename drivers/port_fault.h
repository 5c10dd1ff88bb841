/* Faults on both directions of a port queue: loss, duplication, reordering, delay, corruption,
 * stalls. Decisions come from one seeded generator per direction, time from the caller's clock, so
 * that a run can be repeated. Belongs to the queue's lcore.
 *
 * Frames are segmented and summed in software before a fault meets them: each fault is one on the
 * wire, and a flipped bit is never summed over. Delayed frames wait in a bounded queue per
 * direction; when it is full a frame is lost and counted, as in a router. */
#pragma once
#include <stdint.h>
#include "fault_spec.h"
#include "port.h"

#define PORT_FAULT_QUEUE_MAX 2048
/* An overtaken frame waits for this many later ones at most, or this long. */
#define PORT_FAULT_REORDER_MAX 4
#define PORT_FAULT_REORDER_US 5000

struct port_fault_clock {
    uint64_t (*now_us)(void *arg); /* never goes back */
    void *arg;
};

struct port_fault_stats {
    uint64_t frames; /* that came to this direction */
    uint64_t lost;
    uint64_t duplicated;
    uint64_t reordered;
    uint64_t corrupted;
    uint64_t overflowed; /* lost because too many waited */
    uint64_t passed;     /* that left it, duplicates included */
};

enum port_fault_direction { PORT_FAULT_RX, PORT_FAULT_TX };

/* Wraps inner, which stays the caller's. */
struct port_queue *port_fault_new(struct port_queue *inner, const struct fault_spec *spec,
                                  struct port_fault_clock clock);
/* Any thread, values may be a little old. */
struct port_fault_stats port_fault_stats_get(const struct port_queue *fault,
                                             enum port_fault_direction direction);
/* Frees the frames that wait, and the wrapper. */
void port_fault_free(struct port_queue *fault);
