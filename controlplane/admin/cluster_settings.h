/* The cluster's directives as its state wants them. Pure. */
#pragma once
#include <stdbool.h>
#include "cluster.h"
#include "config.h"

#define CLUSTER_SETTINGS_ERROR_SIZE 256

/* All bytes of settings are set, so that two can be compared. False: err says which directive is
 * wrong. */
bool cluster_settings_from(const struct config *config, struct cluster_config *settings, char *err);
