/* From bytes to executed commands, many connections at a time: parse everything that has arrived,
 * look commands up and hash their keys, prefetch index buckets, then entries, then execute in
 * order.
 *
 * Owner: one lcore. Arguments are slices into received packets or query buffers, which stay put
 * until session_input_done(). A session gets at most BATCH_SESSION_COMMANDS per round; what is left
 * waits behind the others. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lcore.h"

#define BATCH_COMMANDS 64
#define BATCH_SLICES 1024
#define BATCH_SESSIONS 64
#define BATCH_SESSION_COMMANDS 128
#define BATCH_ROUND_COMMANDS \
    1024 /* per round of the loop, all sessions: then packets are looked at */

struct batch *batch_new(void);
void batch_free(struct batch *b);
/* Serves the lcore's list of ready sessions; how many commands were executed. */
uint32_t batch_run(struct lcore *l);
/* Puts s at the end of the list, once. */
void batch_ready(struct lcore *l, struct session *s);
/* Takes sessions that are closing out of the list, before they are reaped. What is in the list here
 * was left over by batch_run(): little. */
void batch_drop_closing(struct lcore *l);
