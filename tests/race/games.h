/* Games without rounds: the lanes run freely for a long time, and each reply must keep what the
 * game's transactions keep. What is wrong aborts, with the reply. */
#pragma once
#include "lane.h"

struct game {
    const char *name;
    struct places places;
    bool one_cpu;
    bool flushing; /* FLUSHALL and expiry now and then: only what survives them is checked */
};

extern const struct game games[];
extern const unsigned game_count;

struct game_result {
    uint64_t operations;
    struct disturb_counts hits;
};

void game_run(const struct game *g, uint64_t seed, uint64_t operations, struct game_result *result);
