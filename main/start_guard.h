/* SIGTERM and SIGINT while the node starts, which may take seconds (packet buffers): a thread of
 * its own ends the process at once. Both signals are blocked in every thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* leave(arg, "SIGTERM") runs on the guard's thread, while the start goes on, and removes what the
 * process leaves behind otherwise; the exit code is 0, as for an orderly end. False: err. */
bool start_guard_begin(void (*leave)(void *arg, const char *why), void *arg, char *err,
                       size_t err_size);
/* From now on signals wait for the control thread. Not begun: nothing. */
void start_guard_end(void);
