/* The configuration file and the command line: redis.conf's syntax, read at start, by CONFIG
 * REWRITE and by nobody else. Control thread.
 *
 * One directive per line, words parted by blanks, "…" with escapes (\n \r \t \b \a \xHH) and '…'
 * quotes as in Redis; lines that begin with # are comments; include reads other files in place
 * (relative to the including file's folder, with wildcards; no match is no error then). A later
 * line overrides an earlier one, except for port, of which a second, different one in the same file
 * is refused: that is how two nodes' configurations get mixed up.
 *
 * A file is an operator's input: whatever is wrong with it refuses the start, with file, line, text
 * and reason. Directives of Redis that the node does not have are judged by redis_directives.h.
 * Nothing is read past the limits below, so loops of includes end, too. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "config.h"
#include "config_trace.h"

#define CONFIG_LINE_MAX 65536             /* bytes of one line */
#define CONFIG_FILE_MAX (4 * 1024 * 1024) /* bytes of one file */
#define CONFIG_WORDS_MAX 128              /* words of one line */
#define CONFIG_INCLUDE_DEPTH_MAX 8        /* include in include */
#define CONFIG_FILES_MAX 256              /* files in all */
#define CONFIG_FILE_ERROR_SIZE 1024

/* Reads path ("-": standard input) into config, FIXED directives too. False: err holds lines for
 * the operator, config what was read before. trace (may be NULL) learns where what was set, and
 * what was accepted without effect. */
bool config_file_load(struct config *config, const char *path, struct config_trace *trace,
                      char err[CONFIG_FILE_ERROR_SIZE]);
/* The same from memory, without a trace; name stands in errors, and relative includes start at its
 * folder. */
bool config_text_load(struct config *config, const char *name, struct slice text,
                      char err[CONFIG_FILE_ERROR_SIZE]);
/* "--port 7000 --save "" --client-output-buffer-limit normal 0 0 0": the words of one directive go
 * up to the next that begins with "--"; argv[0] is the first word. */
bool config_args_load(struct config *config, int argc, char *const *argv,
                      struct config_trace *trace, char err[CONFIG_FILE_ERROR_SIZE]);

/* A whole file, at most CONFIG_FILE_MAX bytes, NUL behind them; the caller frees it. NULL: errno
 * says why (EFBIG: larger). */
char *config_file_read(const char *path, size_t *len);

/* Takes the next line off the front of text, without its end and the blanks around it. */
struct slice config_line_take(struct slice *text);
/* Splits a line; the words point into it, or into storage, which is as large as the line. Their
 * number, -1: unbalanced quotes, or more than max. Pure. */
int config_line_split(struct slice line, uint8_t *storage, struct slice *words, int max);
