/* A client's PUBLISH on its way to the other nodes of the cluster: from its lcore to the control
 * thread, which sends it on and frees it.
 *
 * Bound: what is under way is counted; publishers are held back beyond it (session/subscribe.h).
 * Memory ordering: mail_post() and its receiver's acquire; the count is relaxed. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mailbox.h"
#include "slice.h"

struct cluster_publication {
    struct mail mail; /* first */
    bool sharded;
    struct slice channel, message; /* in bytes */
    _Atomic(size_t) *in_flight_bytes;
    uint8_t bytes[];
};

/* Counts it. run: on the control thread, with its mailbox's receiver. */
void cluster_publication_post(struct mailbox *control, void (*run)(struct mail *, void *),
                              struct slice channel, struct slice message, bool sharded,
                              _Atomic(size_t) *in_flight_bytes);
/* Control thread: counts it off. */
void cluster_publication_free(struct cluster_publication *p);
