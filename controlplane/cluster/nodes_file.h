/* nodes.conf on the disk: locked, read once, replaced as a whole. Every call may wait for the disk;
 * nodes_writer.h does it on a helper thread.
 *
 * Replacing: the new text goes to "<name>.tmp", which is fsynced, renamed over the file, then the
 * folder is fsynced. So at any moment the file holds the whole old or the whole new text, whatever
 * kills the process or the machine, and true means that it stays the new one.
 *
 * Locking: "<name>.lock", which is never renamed or removed, keeps other nodes of ours away. Stock
 * nodes lock nodes.conf itself, so we do that too, and lock each new file before it gets its name.
 *
 * All paths are kept relative to the folder as it was opened: a later change of directory moves
 * nothing. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "slice.h"

struct nodes_file;

#define NODES_FILE_ERROR_SIZE 512

/* Locks it; removes what a killed save has left. NULL: err says why ("… is in use by another
 * node"). Changes nothing but the lock file and the remains. */
struct nodes_file *nodes_file_open(const char *path, char err[NODES_FILE_ERROR_SIZE]);
/* The whole file, malloc; *text = NULL with true: there is none. False: it cannot be read, err says
 * why. */
bool nodes_file_read(struct nodes_file *f, char **text, size_t *len,
                     char err[NODES_FILE_ERROR_SIZE]);
/* False: the old text is still there, or (when only the folder could not be fsynced) either; err
 * names the step that failed and why. May be tried again. */
bool nodes_file_replace(struct nodes_file *f, struct slice text, char err[NODES_FILE_ERROR_SIZE]);
/* Unlocks. */
void nodes_file_close(struct nodes_file *f);
