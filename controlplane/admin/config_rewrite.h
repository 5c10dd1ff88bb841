/* CONFIG REWRITE: the file gets the values in force, and keeps its comments, order and blank lines.
 *
 * A directive's line is replaced by its value now; a second line of it is dropped; directives that
 * are not in the file and not at their default are added at the end, under a comment. include lines
 * stay; what an included file sets is not written twice unless it has changed. The new file is
 * written beside the old one, synced, renamed over it, and its directory synced: a crash leaves one
 * or the other. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "config.h"

#define CONFIG_REWRITE_ERROR_SIZE 512

/* False: err says why, and the file is as it was. */
bool config_rewrite(const struct config *config, const char *path,
                    char err[CONFIG_REWRITE_ERROR_SIZE]);

/* The new text of a file; NULL: out of memory. The caller frees it. Pure. */
char *config_rewrite_text(const struct config *config, const char *old, size_t old_len,
                          size_t *len);
