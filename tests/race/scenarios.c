#include "rounds.h"
#include "check.h"

#define ONE_SLOT {1, {"t"}}
#define TWO_SLOTS {2, {"t", "u"}}
#define FOUR_SLOTS {4, {"a", "b", "c", "d"}}

/* What the issue names; everything; and what long values, expiry and WATCH add. */
#define PLAIN {[GET] = 30, [MGET] = 25, [SET] = 25, [MSET] = 20}
#define ALL                                                                                       \
    {                                                                                             \
        [GET] = 14, [STRLEN] = 2, [MGET] = 14, [EXISTS] = 6, [SET] = 10, [SETNX] = 4,             \
        [GETSET] = 4, [MSET] = 10, [MSETNX] = 4, [INCR] = 8, [APPEND] = 6, [DEL] = 6,             \
        [GETDEL] = 3, [RENAME] = 6, [COPY_REPLACE] = 3                                            \
    }
#define EXPIRING {[GET] = 25, [MGET] = 20, [EXISTS] = 10, [SET] = 10, [SET_PX] = 15, [SETNX] = 5, \
                  [INCR] = 5, [APPEND] = 5, [RENAME] = 5}
#define WATCHING {[GET] = 15, [SET] = 15, [MSET] = 10, [WATCH] = 25, [DEL] = 8, [SETNX] = 8, \
                  [RENAME] = 5, [INCR] = 10}

const struct scenario scenarios[] = {
    {.name = "plain, one slot", .places = ONE_SLOT, .lanes = 2, .operations = 6, .keys = 3,
     .weights = PLAIN, .exec_percent = 20},
    {.name = "plain, across slots", .places = FOUR_SLOTS, .lanes = 3, .operations = 4, .keys = 4,
     .weights = PLAIN, .exec_percent = 20},
    {.name = "plain, across slots, one CPU", .places = FOUR_SLOTS, .lanes = 2, .operations = 6,
     .keys = 3, .one_cpu = true, .weights = PLAIN, .exec_percent = 20},
    {.name = "all commands, one slot", .places = ONE_SLOT, .lanes = 3, .operations = 4, .keys = 3,
     .weights = ALL, .exec_percent = 15, .flush_per_thousand = 2},
    {.name = "all commands, two slots", .places = TWO_SLOTS, .lanes = 2, .operations = 5, .keys = 4,
     .weights = ALL, .exec_percent = 15, .flush_per_thousand = 2},
    {.name = "all commands, two slots, one CPU", .places = TWO_SLOTS, .lanes = 3, .operations = 4,
     .keys = 4, .one_cpu = true, .weights = ALL, .exec_percent = 15, .flush_per_thousand = 2},
    {.name = "long values", .places = TWO_SLOTS, .lanes = 2, .operations = 4, .keys = 2,
     .long_values = true, .weights = ALL, .exec_percent = 15},
    {.name = "expiry", .places = TWO_SLOTS, .lanes = 2, .operations = 5, .keys = 3,
     .weights = EXPIRING, .exec_percent = 10},
    {.name = "WATCH", .places = TWO_SLOTS, .lanes = 3, .operations = 4, .keys = 3,
     .weights = WATCHING, .exec_percent = 40, .flush_per_thousand = 2},
};
const unsigned scenario_count = count_of(scenarios);
