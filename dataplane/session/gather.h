/* A question that every lcore must answer before a client gets its reply (CLIENT LIST, CLIENT
 * KILL): one mail that visits the lcores in turn, ending where it began, while the asking session
 * is parked.
 *
 * One lcore works on it at a time, so its fields need no atomics: mail hands them over (mailbox.h).
 * The session is found again by its id: it may have ended meanwhile. */
#pragma once
#include <stdint.h>
#include "mailbox.h"
#include "session.h"
#include "worker.h"

struct gather {
    struct mail mail;
    /* Runs on each lcore, first on the asker's own. */
    void (*visit)(struct gather *g, struct worker *w);
    /* On the asker's lcore after all visits: writes the reply. Not called when the session has
     * ended. */
    void (*reply)(struct gather *g, struct session *s);
    /* Always last: frees g and what it holds. */
    void (*free)(struct gather *g);
    /* Set by gather_start(). */
    struct worker *home;
    uint64_t session_id;
    unsigned next; /* lcore that it visits next, modulo lcore_count */
};

/* Takes g over. With one lcore the reply is written at once, otherwise s is parked. */
void gather_start(struct gather *g, struct session *s);
