/* Clients that do in several steps what one operation should, as a node without the rules would:
 * a checker that does not find them is worth nothing. */
#pragma once
#include "lane.h"

enum fault {
    FAULT_NONE,
    FAULT_MSET_IN_STEPS,
    FAULT_MGET_IN_STEPS,
    FAULT_EXEC_IN_STEPS,
    FAULT_RENAME_IN_STEPS,
    FAULT_INCR_IN_STEPS,
    FAULT_STALE_GET, /* replies what an earlier GET of the round has seen */
    FAULT_LOST_SET,  /* one in twenty is not stored */
    FAULTS
};

const char *fault_name(enum fault fault);
/* As lane_do() of one operation, where the fault concerns it. False: it does not. */
bool faulty_do(struct lane *l, enum fault fault, struct operation *o);
