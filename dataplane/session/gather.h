/* A question about all clients of the node (CLIENT LIST, CLIENT KILL): one mail that visits the
 * lcores in turn, ending where it began, while the asking session is parked. On each lcore it walks
 * the sessions in bounded pieces, one per round of the loop.
 *
 * One lcore works on it at a time, so its fields need no atomics: mail hands them over (mailbox.h).
 * The session is found again by its id: it may have ended meanwhile. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "mailbox.h"
#include "session.h"
#include "worker.h"

#define GATHER_PIECE 64 /* sessions per round */

/* A place in an lcore's list of sessions that outlives the sessions around it. */
struct session_walk {
    struct session_walk *link;
    struct session *next;
};

struct gather {
    struct mail mail;
    /* Every session that was there when the question was asked and is not closing. */
    void (*each)(struct gather *g, struct session *s);
    /* On the asker's lcore after all visits: writes the reply. Not called when the session has
     * ended. */
    void (*reply)(struct gather *g, struct session *s);
    /* Always last: frees g and what it holds. */
    void (*free)(struct gather *g);
    /* Set by gather_start(). */
    struct worker *home, *at;
    uint64_t session_id;
    uint64_t id_end; /* clients from this id on came later */
    uint64_t round;  /* of the loop that did the last piece */
    struct session_walk walk;
    bool walking;
};

/* Takes g over. at_once (one lcore only): the reply is written before it returns; otherwise s may
 * be parked. */
void gather_start(struct gather *g, struct session *s, bool at_once);
