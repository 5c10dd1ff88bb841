/* The process as its surroundings see it: background, pid file. Main thread, before and after
 * everything else. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Goes to the background. The parent waits there until process_ready() or the child's end, so its
 * exit code tells whether the node runs; it does not return from here. False: err. */
bool process_background(char *err, size_t err_size);
/* The node runs: a waiting parent exits with 0, the terminal is let go. */
void process_ready(void);

/* Room for that many open files, or as many as the hard limit allows. */
void process_files_limit(unsigned files);

/* Writes the pid; path "": nothing. Its place is remembered as it is now, for the removal. False:
 * err. */
bool process_pidfile_write(const char *path, char *err, size_t err_size);
void process_pidfile_remove(void);
