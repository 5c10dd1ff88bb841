/* Microbenchmark of the cluster view, one thread: what an lcore does to find out whether a slot is
 * its own, for slots in random order, with views exchanged meanwhile.
 *
 *   view-bench [LOOKUPS]      default 200 million
 *
 * Prints "NAME metric value unit" lines. */
#include <stdio.h>
#include <stdlib.h>
#include "clock.h"
#include "cluster_view.h"
#include "rng.h"

#define ORDER_SIZE 65536

static struct cluster_shared shared;
static uint16_t order[ORDER_SIZE];

static void view_exchange(uint64_t version)
{
    char *text;
    struct cluster_view *view = cluster_view_alloc(3, 0, 0, &text);
    view->version = version;
    view->ok = true;
    for (unsigned slot = 0; slot < SLOTS; slot++)
        view->slots[slot] = slot % 3 == 0 ? CLUSTER_VIEW_SELF : 2;
    free(cluster_view_publish(&shared, view));
}

/* Not inlined into the loop, as commands are not: the view is loaded for each lookup. */
__attribute__((noinline)) static bool slot_is_ours(uint16_t slot)
{
    const struct cluster_view *view = cluster_view_get(&shared);
    return cluster_entry_is_ours(cluster_view_entry(view, slot)) && view->ok;
}

int main(int argc, char **argv)
{
    uint64_t lookups = argc > 1 ? strtoull(argv[1], NULL, 10) : 200000000;
    struct rng rng;
    clock_init();
    rng_seed(&rng, 1);
    for (unsigned i = 0; i < ORDER_SIZE; i++)
        order[i] = (uint16_t)rng_below(&rng, SLOTS);
    view_exchange(1);
    uint64_t ours = 0, start = clock_tsc();
    for (uint64_t i = 0; i < lookups; i++) {
        ours += slot_is_ours(order[i % ORDER_SIZE]);
        if (i % (lookups / 16 + 1) == 0)
            view_exchange(i);
    }
    double cycles = (double)(clock_tsc() - start) / (double)lookups;
    printf("view lookup %.2f ns\n", cycles * 1e9 / (double)clock_tsc_hz());
    printf("view lookup %.1f cycles\n", cycles);
    printf("view ours %.1f %%\n", 100.0 * (double)ours / (double)lookups);
    free(cluster_view_publish(&shared, NULL));
    return 0;
}
