#include "ks_memory.h"
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "metrics.h"

#ifdef SW_SANITIZE

void ks_mem_init(void)
{
}

void ks_mem_attach(unsigned index)
{
    CHECK(index < LCORES_MAX);
}

void *ks_mem_alloc(size_t size)
{
    return malloc(size);
}

void *ks_mem_alloc_lines(size_t size)
{
    void *memory = aligned_alloc(CACHE_LINE, (size + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1));
    if (memory)
        memset(memory, 0, size);
    return memory;
}

void ks_mem_free(void *memory, size_t size)
{
    free(memory);
}

size_t ks_mem_usable(size_t size)
{
    return (size + 15) & ~(size_t)15;
}

#else
#include <jemalloc/jemalloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

/* How long freed pages are kept: long, since what is evicted or overwritten now is allocated again
 * soon, and giving pages back costs system calls and page faults. */
#define DECAY_MS 30000

void ks_mem_init(void)
{
    /* Pages go back on jemalloc's own threads, never on an lcore. Where that is not to be had,
     * lcores do it: slower, not wrong. */
    bool on = true;
    (void)mallctl("background_thread", NULL, NULL, &on, sizeof(on));
}

static void arena_decay_set(unsigned arena)
{
    char name[64];
    ssize_t decay_ms = DECAY_MS;
    snprintf(name, sizeof(name), "arena.%u.dirty_decay_ms", arena);
    (void)mallctl(name, NULL, NULL, &decay_ms, sizeof(decay_ms));
}

void ks_mem_attach(unsigned index)
{
    /* Arenas outlive their lcore: a later handle of the same index takes the old one up again. */
    static _Atomic(unsigned) arena_of[LCORES_MAX];
    CHECK(index < LCORES_MAX);
    unsigned arena = atomic_load_explicit(&arena_of[index], memory_order_relaxed);
    size_t size = sizeof(arena);
    if (arena == 0) {
        if (mallctl("arenas.create", &arena, &size, NULL, 0) != 0)
            return; /* the arenas that jemalloc hands out itself do as well */
        arena_decay_set(arena);
        atomic_store_explicit(&arena_of[index], arena, memory_order_relaxed);
    }
    (void)mallctl("thread.arena", NULL, NULL, &arena, sizeof(arena));
}

void *ks_mem_alloc(size_t size)
{
    return mallocx(size, 0);
}

void *ks_mem_alloc_lines(size_t size)
{
    return mallocx(size, MALLOCX_ALIGN(CACHE_LINE) | MALLOCX_ZERO);
}

void ks_mem_free(void *memory, size_t size)
{
    /* Lines are whole powers of two, so that their class is the same with and without alignment. */
    if (memory)
        sdallocx(memory, size, 0);
}

size_t ks_mem_usable(size_t size)
{
    return nallocx(size, 0);
}

#endif
