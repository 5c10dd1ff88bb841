/* The entry that libFuzzer calls; net_fuzz_replay.c calls it too. */
#pragma once
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
