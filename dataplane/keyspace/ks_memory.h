/* Memory of keys, values and indexes: jemalloc with sizes known to both sides (no size lookup on
 * free), plain malloc in sanitizer builds, which do not see jemalloc's own calls.
 *
 * Any thread; each lcore's allocations come from an arena of its own (ks_mem_attach). */
#pragma once
#include <stddef.h>

/* Once, before any lcore starts, on a thread whose CPUs helpers may use. */
void ks_mem_init(void);
/* The calling thread allocates from lcore index's arena from now on. */
void ks_mem_attach(unsigned index);

/* 8-byte aligned, from 16 bytes on 16-byte; not zeroed; NULL when there is none. */
void *ks_mem_alloc(size_t size);
/* 64-byte aligned and zeroed; NULL when there is none. */
void *ks_mem_alloc_lines(size_t size);
/* size as given to the allocation. NULL is ignored. */
void ks_mem_free(void *memory, size_t size);
/* What an allocation of size takes from the heap. */
size_t ks_mem_usable(size_t size);
