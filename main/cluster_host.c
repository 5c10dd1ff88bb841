#include "cluster_host.h"
#include "control.h"
#include "metrics.h"
#include "slot_drop.h"
#include "subscribe.h"

static uint64_t slot_key_count(void *arg, unsigned slot)
{
    const struct cluster_seat *seat = arg;
    return ks_slot_count(seat->machine->keyspace, (uint16_t)slot);
}

static uint64_t key_count(void *arg)
{
    const struct cluster_seat *seat = arg;
    return ks_count(seat->machine->keyspace);
}

/* Slots are shared out, so that losing many is no burden for one lcore. */
static void delete_slot(void *arg, unsigned slot)
{
    const struct cluster_seat *seat = arg;
    slot_drop_order(&seat->machine->lcores[slot % seat->machine->lcore_count]->worker, slot);
}

static void delete_all(void *arg)
{
    const struct cluster_seat *seat = arg;
    slot_drop_order(&seat->machine->lcores[0]->worker, SLOTS);
}

static void deliver(void *arg, const struct cluster_publish *message)
{
    const struct cluster_seat *seat = arg;
    const struct publication pub = {
        .channel = message->channel, .message = message->message, .sharded = message->sharded};
    if (!publish_from_cluster(&seat->machine->node, &pub))
        metric_inc(bus_publish_drops);
}

static void fatal(void *arg, const char *why)
{
    struct cluster_seat *seat = arg;
    control_stop(seat->control, why);
}

struct cluster_host cluster_host_make(struct cluster_seat *seat)
{
    seat->machine->node.cluster = &seat->shared;
    seat->machine->node.cluster_publish = control_cluster_publish;
    return (struct cluster_host){.arg = seat,
                                 .shared = &seat->shared,
                                 .slot_key_count = slot_key_count,
                                 .key_count = key_count,
                                 .delete_slot = delete_slot,
                                 .delete_all = delete_all,
                                 .deliver = deliver,
                                 .fatal = fatal};
}

void cluster_seat_connect(struct cluster_seat *seat, struct control *control)
{
    seat->control = control;
    seat->machine->bus_port = control_bus_port(control);
    for (unsigned i = 0; i < LCORES_MAX; i++)
        seat->machine->bus_paths[i] = control_bus_path(control, i);
}
