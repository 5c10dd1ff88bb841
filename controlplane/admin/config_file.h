/* The configuration file: redis.conf syntax. One directive per line, words parted by blanks, "…"
 * with escapes
 * (\n \r \t \b \a \xHH) and '…' quotes, lines that begin with # are comments, include reads another
 * file in place.
 *
 * A file is the operator's input: whatever is wrong with it is an error with file, line, text and
 * reason, and the node refuses to start. Refused are unknown directives, values out of range, a
 * directive given twice in one file (an included file, or the command line, may override), zero
 * bytes, and lines over CONFIG_LINE_MAX. */
#pragma once
#include <stdbool.h>
#include "config.h"

#define CONFIG_LINE_MAX 65536
#define CONFIG_FILE_MAX (16 * 1024 * 1024)
#define CONFIG_INCLUDE_DEPTH_MAX 8
#define CONFIG_FILE_ERROR_SIZE 1024

/* Sets what the file says in config (booting: FIXED directives too). False: err is "path:line:
 * 'text': reason". */
bool config_file_load(struct config *config, const char *path, char err[CONFIG_FILE_ERROR_SIZE]);

/* The command line: "--name value …" pairs. False: err says what is wrong. */
bool config_args_load(struct config *config, int argc, char *const *argv,
                      char err[CONFIG_FILE_ERROR_SIZE]);

/* Splits one line; words point into storage (as large as the line). How many, -1: unbalanced
 * quotes, or more than max. Pure. */
#define CONFIG_WORDS_MAX 64
int config_line_split(struct slice line, uint8_t *storage, struct slice *words, int max);
