#include "keyspace.h"
#include <stdlib.h>
#include <sys/mman.h>
#include "ks_internal.h"

#define RETIRED_CAP_BYTES (UINT64_C(1) << 30)

/* Pages that are not touched cost nothing: slots without keys are free. */
static void *pages_new(size_t size)
{
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

struct keyspace *keyspace_new(const struct object_ops *const ops[OBJ_TYPES])
{
    ks_mem_init();
    struct keyspace *k = pages_new(sizeof(*k));
    if (!k)
        return NULL;
    k->reads = pages_new(SLOTS * sizeof(*k->reads));
    k->writes = pages_new(SLOTS * sizeof(*k->writes));
    if (!k->reads || !k->writes) {
        keyspace_free(k);
        return NULL;
    }
    memcpy(k->ops, ops, sizeof(k->ops));
    k->retired_cap_bytes = RETIRED_CAP_BYTES;
    return k;
}

void keyspace_free(struct keyspace *k)
{
    if (!k)
        return;
    if (k->reads && k->writes)
        for (uint32_t slot = 0; slot < SLOTS; slot++)
            retire_index_now(k, slot_root(k, (uint16_t)slot));
    if (k->reads)
        munmap(k->reads, SLOTS * sizeof(*k->reads));
    if (k->writes)
        munmap(k->writes, SLOTS * sizeof(*k->writes));
    munmap(k, sizeof(*k));
}

static void lcores_raise(struct keyspace *k, uint32_t lcores)
{
    uint32_t now = atomic_load_explicit(&k->lcores, memory_order_relaxed);
    while (now < lcores &&
           !atomic_compare_exchange_weak_explicit(&k->lcores, &now, lcores, memory_order_release,
                                                  memory_order_relaxed)) {
    }
}

struct ks *ks_new(struct keyspace *k, unsigned index, uint64_t seed)
{
    CHECK(index < LCORES_MAX);
    struct ks *ks = calloc(1, sizeof(*ks));
    struct ks_private *p = calloc(1, sizeof(*p));
    if (!ks || !p) {
        free(ks);
        free(p);
        return NULL;
    }
    ks_mem_attach(index);
    ks->shared = k;
    ks->master = true;
    ks->p = p;
    p->k = k;
    p->share = &k->shares[index];
    p->index = index;
    p->held = NO_SLOT;
    rng_seed(&p->rng, seed);
    stock_init(&p->stock);
    retire_init(&p->retire);
    lcores_raise(k, index + 1);
    return ks;
}

void ks_free(struct ks *ks)
{
    if (!ks)
        return;
    struct ks_private *p = ks->p;
    CHECK(p->held == NO_SLOT);
    CHECK(!p->many);
    while (flush_walk(ks, SLOTS)) {
    }
    retire_fini(ks);
    stock_fini(&p->stock);
    free(p->versions);
    free(p);
    free(ks);
}

void ks_freeze_time(struct ks *ks, bool frozen)
{
    ks->p->frozen = frozen;
    ks->p->frozen_ms = ks->now_ms;
}
