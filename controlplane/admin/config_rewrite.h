/* CONFIG REWRITE: the file gets the values in force, and keeps its comments, order and blank lines.
 *
 * What loading the file would already give is left as it stands. A directive that would come out
 * differently is replaced where it first stands, further lines of it are dropped; one that is not
 * there, or that an included file overrides, is added at the end, under one comment. include lines
 * stay, included files are not touched; lines that could not be loaded become comments, "# ??? …",
 * as in Redis. So loading the new file gives exactly the configuration that was written.
 *
 * The new file is written beside the old one, synced, renamed over it, and its folder synced: a
 * crash leaves one or the other. Blocks on the disk. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "config.h"

#define CONFIG_REWRITE_ERROR_SIZE 512

/* path: of the file that was loaded; made anew when it is gone. False: err is the error reply, as
 * Redis words it, and the file is as it was. */
bool config_rewrite(const struct config *config, const char *path,
                    char err[CONFIG_REWRITE_ERROR_SIZE]);

/* The new text of a file, allocated: the caller frees it. path is where relative includes, which
 * are read, start. */
char *config_rewrite_text(const struct config *config, const char *path, struct slice old,
                          size_t *len);
