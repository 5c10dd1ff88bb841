/* For tests and fuzzers of the cluster bus. */
#pragma once
#include "bus_codec.h"

/* Builds what was decoded once more: the same bytes, if the sender left none behind the ends of its
 * texts and sent nothing that decoding skips. The length; the caller frees *frame. */
size_t test_bus_rebuild(const struct bus_message *m, uint8_t **frame);
/* Reads every byte that the message's views show, for the address sanitizer; their sum. */
uint64_t test_bus_touch(const struct bus_message *m);
