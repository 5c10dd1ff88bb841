/* Where a key lives: its cluster slot (CRC16/XMODEM of the hash tag, as the Redis Cluster
 * specification says) and its 64-bit table hash (XXH3 with a per-process secret seed). */
#pragma once
#include <stdint.h>
#include "slice.h"

#define SLOTS 16384

uint16_t crc16(const uint8_t *data, size_t len);
/* The bytes between the first '{' and the next '}' when there are any, else the whole key. */
uint16_t key_slot(struct slice key);

/* seed: one per process, set before any lcore starts. */
void key_hash_seed_set(uint64_t seed);
uint64_t key_hash(struct slice key);
