#include "rdb_crc.h"
#include <isa-l/crc64.h>

/* isa-l inverts the register before and after; Redis does not. */
uint64_t rdb_crc(uint64_t crc, const void *data, size_t len)
{
    return len ? ~crc64_jones_refl(~crc, data, len) : crc;
}
