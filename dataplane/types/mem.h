/* What an allocation really takes: the size classes of jemalloc (8, multiples of 16 up to 128, then
 * four classes per doubling). The objects of types/ add these up as they change, so that their size
 * is known without a walk and without asking the allocator. Pure; any thread. */
#pragma once
#include <stddef.h>

static inline size_t mem_class_bytes(size_t size)
{
    if (size <= 8)
        return 8;
    if (size <= 128)
        return (size + 15) & ~(size_t)15;
    size_t step = (size_t)1 << (61 - __builtin_clzll(size - 1));
    return (size + step - 1) & ~(step - 1);
}
