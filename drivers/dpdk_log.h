/* DPDK's own messages: into the node's log, or collected while a set-up step runs, so that its
 * failure becomes one line of ours. Messages may come from any thread of the process. */
#pragma once
#include <stddef.h>

/* Once, before rte_eal_init. From then on errors are logged as warnings, the rest as debug lines.
 */
void dpdk_log_start(void);
/* Collects instead: errors and warnings are kept, not logged. Control thread. */
void dpdk_log_collect(void);
/* Ends the collecting; copies the most telling message (the first error, else the last warning),
 * "" when there was none. */
void dpdk_log_collected(char *text, size_t size);
