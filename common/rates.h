/* How fast counters grow, over the last second or so: the control thread samples some ten times a
 * second, anyone reads (relaxed: each rate stands alone). */
#pragma once
#include <stdint.h>
#include "metrics.h"

enum rate { RATE_COMMANDS, RATE_INPUT_BYTES, RATE_OUTPUT_BYTES, RATES };

/* Control thread only. */
void rates_sample(uint64_t now_us);
/* Per second, the mean of the last RATE_SAMPLES samples. */
#define RATE_SAMPLES 16
uint64_t rate_per_second(enum rate rate);
