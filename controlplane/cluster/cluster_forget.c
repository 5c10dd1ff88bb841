/* Nodes that CLUSTER FORGET removed: gossip does not bring them back within a minute. */
#include <stdlib.h>
#include <string.h>
#include "cluster_state.h"

#define FORGOTTEN_US (60 * SECOND)

static struct cluster_forgotten *forgotten_find(const struct cluster *c, const void *id)
{
    for (uint32_t i = 0; i < c->forgotten_count; i++)
        if (memcmp(c->forgotten[i].id, id, BUS_NAME_SIZE) == 0)
            return &c->forgotten[i];
    return NULL;
}

void cluster_forgotten_add(struct cluster *c, const void *id)
{
    struct cluster_forgotten *f = forgotten_find(c, id);
    if (!f) {
        /* Only a known node is forgotten, so the list is as bounded as the table in a minute. */
        if (c->forgotten_count == c->forgotten_size) {
            c->forgotten_size = c->forgotten_size ? c->forgotten_size * 2 : 8;
            c->forgotten = realloc(c->forgotten, c->forgotten_size * sizeof(*c->forgotten));
            CHECK(c->forgotten);
        }
        f = &c->forgotten[c->forgotten_count++];
        memset(f, 0, sizeof(*f));
        memcpy(f->id, id, BUS_NAME_SIZE);
    }
    f->until_us = c->now_us + FORGOTTEN_US;
}

bool cluster_forgotten_has(const struct cluster *c, const void *id)
{
    const struct cluster_forgotten *f = forgotten_find(c, id);
    return f && c->now_us < f->until_us;
}

void cluster_forgotten_expire(struct cluster *c)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->forgotten_count; i++)
        if (c->now_us < c->forgotten[i].until_us)
            c->forgotten[kept++] = c->forgotten[i];
    c->forgotten_count = kept;
}
