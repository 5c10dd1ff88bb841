#include "rounds.h"
#include "check.h"

static const struct places one_slot = {1, {"t"}};
static const struct places two_slots = {2, {"t", "u"}};
static const struct places four_slots = {4, {"a", "b", "c", "d"}};

/* Reads and writes of whole values; everything; and what expiry and WATCH add. */
static const uint8_t plain[COMMAND_KINDS] = {[GET] = 30, [MGET] = 25, [SET] = 25, [MSET] = 20};
static const uint8_t all[COMMAND_KINDS] = {
    [GET] = 14,   [STRLEN] = 2, [MGET] = 14,  [EXISTS] = 6, [SET] = 10,
    [SETNX] = 4,  [GETSET] = 4, [MSET] = 10,  [MSETNX] = 4, [INCR] = 8,
    [APPEND] = 6, [DEL] = 6,    [GETDEL] = 3, [RENAME] = 6, [COPY_REPLACE] = 3,
};
static const uint8_t expiring[COMMAND_KINDS] = {
    [GET] = 25,  [MGET] = 20, [EXISTS] = 10, [SET] = 10,   [SET_PX] = 15,
    [SETNX] = 5, [INCR] = 5,  [APPEND] = 5,  [RENAME] = 5,
};
static const uint8_t watching[COMMAND_KINDS] = {
    [GET] = 15, [SET] = 15,  [MSET] = 10,  [WATCH] = 25,
    [DEL] = 8,  [SETNX] = 8, [RENAME] = 5, [INCR] = 10,
};

const struct scenario scenarios[] = {
    {.name = "plain, one slot",
     .places = &one_slot,
     .lanes = 2,
     .operations = 6,
     .keys = 3,
     .weights = plain,
     .exec_percent = 20},
    {.name = "plain, across slots",
     .places = &four_slots,
     .lanes = 3,
     .operations = 4,
     .keys = 4,
     .weights = plain,
     .exec_percent = 20},
    {.name = "plain, across slots, one CPU",
     .places = &four_slots,
     .lanes = 2,
     .operations = 6,
     .keys = 3,
     .one_cpu = true,
     .weights = plain,
     .exec_percent = 20},
    {.name = "all commands, one slot",
     .places = &one_slot,
     .lanes = 3,
     .operations = 4,
     .keys = 3,
     .weights = all,
     .exec_percent = 15,
     .flush_per_thousand = 2},
    {.name = "all commands, two slots",
     .places = &two_slots,
     .lanes = 2,
     .operations = 5,
     .keys = 4,
     .weights = all,
     .exec_percent = 15,
     .flush_per_thousand = 2},
    {.name = "all commands, two slots, one CPU",
     .places = &two_slots,
     .lanes = 3,
     .operations = 4,
     .keys = 4,
     .one_cpu = true,
     .weights = all,
     .exec_percent = 15,
     .flush_per_thousand = 2},
    {.name = "long values",
     .places = &two_slots,
     .lanes = 2,
     .operations = 4,
     .keys = 2,
     .long_values = true,
     .weights = all,
     .exec_percent = 15},
    {.name = "expiry",
     .places = &two_slots,
     .lanes = 2,
     .operations = 5,
     .keys = 3,
     .weights = expiring,
     .exec_percent = 10},
    {.name = "WATCH",
     .places = &two_slots,
     .lanes = 3,
     .operations = 4,
     .keys = 3,
     .weights = watching,
     .exec_percent = 40,
     .flush_per_thousand = 2},
};
const unsigned scenario_count = count_of(scenarios);
