/* The configuration file and the command line: redis.conf's syntax, read once at start.
 *
 * Control thread. A directive that is unknown, malformed or out of range refuses the start: the error says file,
 * line, the line's text and the reason. Nothing is read past the limits below. */
#pragma once
#include <stdbool.h>
#include "config.h"

#define CONFIG_LINE_MAX 65536    /* bytes of one line */
#define CONFIG_FILE_MAX 4194304  /* bytes of one file */
#define CONFIG_INCLUDE_DEPTH 8   /* include in include */
#define CONFIG_FILE_ERROR_SIZE 1024

/* Reads path into config; relative includes start at the including file's folder. */
bool config_file_load(struct config *config, const char *path, char err[CONFIG_FILE_ERROR_SIZE]);
/* "--port 7000 --save "" --client-output-buffer-limit normal 0 0 0": words of one directive up to the next
 * "--"; argv[0] is the first word. */
bool config_args_load(struct config *config, int argc, char **argv, char err[CONFIG_FILE_ERROR_SIZE]);
