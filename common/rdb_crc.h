/* The checksum of RDB files and DUMP payloads: CRC-64 "Jones" (polynomial 0xad93d23594c935a9,
 * reflected), starting at 0, without a final inversion; "123456789" gives 0xe9c6d914c4b8d9ca. Pure;
 * some 10 GB/s. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* The checksum of what crc stands for (0: nothing) followed by len bytes. */
uint64_t rdb_crc(uint64_t crc, const void *data, size_t len);
