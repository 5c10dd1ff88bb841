/* What the files of session/ share. */
#pragma once
#include "session.h"

struct session_list {
    struct session *first, *last; /* by age */
    struct session *closing;      /* linked by closing_next */
    struct session *held;         /* linked by held_next; empty between rounds */
    struct session **held_end;    /* where the next one goes */
    struct session *cron_next;    /* where the round robin goes on; NULL: at the first */
    struct session **by_id;       /* chains linked by id_next */
    uint32_t by_id_size;          /* a power of two */
    uint32_t count;
    uint32_t paused;
    uint64_t rounds;            /* of the loop */
    struct session_walk *walks; /* gather.h */
};

/* session_limits.c: closes s when its output is over a limit. */
void session_check_output(struct session *s);
