/* Passwords do not go into the slow log: what AUTH, HELLO and CONFIG SET were given reads
 * "(redacted)". */
#pragma once
#include "command.h"

#define REDACT_ARGS_MAX 32 /* as many as the slow log keeps */

/* argv itself when there is nothing to hide, else a copy of its first REDACT_ARGS_MAX slices in
 * room. */
const struct slice *redact_secrets(const struct command *cmd, const struct slice *argv,
                                   uint32_t argc, struct slice room[REDACT_ARGS_MAX]);
