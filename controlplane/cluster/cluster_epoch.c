#include <string.h>
#include "cluster_state.h"

/* The decoder has refused epochs of 2^63 and above. */
void cluster_epoch_adopt(struct cluster *c, struct cluster_node *sender, const struct bus_header *h)
{
    if (h->current_epoch > c->current_epoch) {
        c->current_epoch = h->current_epoch;
        c->pong_want = CLUSTER_WANT_NOW;
        cluster_persist_soon(c);
    }
    if (h->config_epoch > sender->config_epoch) {
        sender->config_epoch = h->config_epoch;
        cluster_persist_soon(c);
    }
    /* Also when it is smaller: it is what the sender has now. */
    sender->offset = h->offset;
    sender->offset_us = c->now_us;
}

uint64_t cluster_epoch_max(const struct cluster *c)
{
    uint64_t max = c->current_epoch;
    for (uint32_t i = 0; i < c->node_count; i++)
        if (c->nodes[i]->config_epoch > max)
            max = c->nodes[i]->config_epoch;
    return max;
}

bool cluster_epoch_bump(struct cluster *c)
{
    if (c->self->config_epoch != 0 && c->self->config_epoch == cluster_epoch_max(c))
        return false;
    c->current_epoch++;
    c->self->config_epoch = c->current_epoch;
    cluster_self_changed(c);
    cluster_log(c, LOG_LEVEL_WARNING, "New configEpoch set to %llu",
                (unsigned long long)c->self->config_epoch);
    return true;
}

void cluster_epoch_collision(struct cluster *c, const struct cluster_node *sender)
{
    if (!node_is_primary(c->self) || !node_is_primary(sender) ||
        sender->config_epoch != c->self->config_epoch)
        return;
    if (memcmp(sender->id, c->self->id, BUS_NAME_SIZE) <= 0)
        return; /* the one with the smaller id moves on */
    c->current_epoch++;
    c->self->config_epoch = c->current_epoch;
    cluster_self_changed(c);
    cluster_log(c, LOG_LEVEL_VERBOSE,
                "WARNING: configEpoch collision with node %s. configEpoch set to %llu", sender->id,
                (unsigned long long)c->self->config_epoch);
}
