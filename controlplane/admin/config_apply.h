/* What a configuration does beyond being published. Control thread, or main before the threads
 * start. */
#pragma once
#include <stdbool.h>
#include "config.h"

#define CONFIG_APPLY_ERROR_SIZE 512

/* At start, after loading: checks the relations, changes to dir, opens the log. False: err. */
bool config_apply_boot(const struct config *config, char err[CONFIG_APPLY_ERROR_SIZE]);

/* CONFIG SET: words are name, value pairs; all are set, checked and published, or none. False: err
 * is the error reply. */
bool config_apply_set(const struct slice *words, uint32_t word_count,
                      char err[CONFIG_APPLY_ERROR_SIZE]);
