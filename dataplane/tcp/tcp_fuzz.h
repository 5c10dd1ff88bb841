/* One run of the stateful fuzzer: bytes become a sequence of segments, user calls, ICMP errors and
 * time. */
#pragma once
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
