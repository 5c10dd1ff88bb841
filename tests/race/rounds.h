/* Rounds: the lanes meet, each does a few random operations at the same time as the others, then
 * the history and what is stored in the end are checked, and all meet again. Short histories keep
 * the search for an order small; what a round leaves behind is where the next one starts. */
#pragma once
#include "disturb.h"
#include "faulty.h"
#include "lane.h"

struct scenario {
    const char *name;
    const struct places *places;
    unsigned lanes;      /* that are checked; one more churns the slots */
    unsigned operations; /* of each in a round */
    unsigned keys;
    bool one_cpu;
    bool long_values;           /* most values are over FILL_BYTES */
    const uint8_t *weights;     /* of COMMAND_KINDS: how often, against the others */
    uint8_t exec_percent;       /* of operations are transactions */
    uint8_t flush_per_thousand; /* rounds have a FLUSHALL */
};

extern const struct scenario scenarios[];
extern const unsigned scenario_count;

struct rounds {
    uint64_t seed;
    uint64_t operations_wanted;
    enum fault fault; /* the clients break what the node keeps, to see that it is found */
};

struct rounds_result {
    uint64_t operations, rounds;
    struct disturb_counts hits;
    bool violated;
};

/* Stops at the first history that is not linearisable, which it prints unless a fault was wanted.
 */
void rounds_run(const struct scenario *s, const struct rounds *r, struct rounds_result *result);
