/* What a configuration does beyond being published. Control thread, or main before the lcores
 * start. */
#pragma once
#include <stdbool.h>
#include "config.h"

#define CONFIG_APPLY_ERROR_SIZE 512

/* At start, after loading: checks the relations, changes to dir (which becomes absolute in config)
 * and opens the log. False: err is a line for the operator. */
bool config_apply_boot(struct config *config, char err[CONFIG_APPLY_ERROR_SIZE]);

/* CONFIG SET: words are name, value pairs; all are set, checked, published and take effect, or
 * none. local: the client came through the unix socket. False: err is the error reply ("ERR …"),
 * worded as Redis does. */
bool config_apply_set(const struct slice *words, uint32_t word_count, bool local,
                      char err[CONFIG_APPLY_ERROR_SIZE]);
