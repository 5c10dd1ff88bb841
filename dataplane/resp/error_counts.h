/* How many error replies of each code ("ERR", "WRONGTYPE") an lcore sent: INFO errorstats.
 *
 * Owner: the lcore; any thread may read (relaxed). Rows fill from the front and stay; a code that
 * finds no row is counted in other. */
#pragma once
#include <stdatomic.h>
#include <stdint.h>

#define ERROR_COUNTS_MAX 64
#define ERROR_CODE_SIZE 24

struct error_counts {
    _Atomic(uint32_t) used; /* rows; release, pairs with the acquire of readers: code[] is whole */
    _Atomic(uint64_t) total;
    _Atomic(uint64_t) other;
    struct {
        char code[ERROR_CODE_SIZE];
        _Atomic(uint64_t) count;
    } rows[ERROR_COUNTS_MAX];
};
