/* The options of SET and GETEX, and their times. Pure but for the error reply. */
#pragma once
#include "command.h"

enum set_flags {
    SET_NX = 1 << 0,
    SET_XX = 1 << 1,
    SET_GET = 1 << 2,
    SET_KEEPTTL = 1 << 3,
    SET_PERSIST = 1 << 4, /* GETEX */
    SET_EX = 1 << 5,
    SET_PX = 1 << 6,
    SET_EXAT = 1 << 7,
    SET_PXAT = 1 << 8,
};
#define SET_TIMES (SET_EX | SET_PX | SET_EXAT | SET_PXAT)

struct set_options {
    unsigned flags;    /* enum set_flags */
    struct slice time; /* when one of SET_TIMES is set */
};

/* Reads argv[first …] of SET (getex false) or GETEX; false: not the syntax of Redis 7.0. */
bool set_options_parse(struct slice const *argv, uint32_t argc, uint32_t first, bool getex,
                       struct set_options *out);

/* The absolute time in ms of a positive time argument: relative to now_ms for SET_EX and SET_PX.
 * False: an error was replied. */
bool set_time_resolve(struct call *c, struct slice text, unsigned flags, int64_t *expiry_ms);

/* "ERR invalid expire time in 'set' command" */
void reply_bad_expire(struct call *c);
