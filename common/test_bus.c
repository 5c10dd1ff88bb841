#include "test_bus.h"
#include <stdlib.h>
#include "check.h"

static void write_ping(struct bus_writer *w, const struct bus_message *m)
{
    struct bus_gossip_iter gossip_iter;
    struct bus_gossip gossip;
    bus_gossip_first(m, &gossip_iter);
    while (bus_gossip_next(&gossip_iter, &gossip))
        bus_write_gossip(w, &gossip);
    struct bus_extension_iter extension_iter;
    struct bus_extension extension;
    bus_extension_first(m, &extension_iter);
    while (bus_extension_next(&extension_iter, &extension))
        bus_write_extension(w, &extension);
}

static void write_body(struct bus_writer *w, const struct bus_message *m)
{
    switch (m->header.type) {
    case BUS_PING:
    case BUS_PONG:
    case BUS_MEET:
        write_ping(w, m);
        break;
    case BUS_FAIL:
        bus_write_fail(w, m->fail.name);
        break;
    case BUS_UPDATE:
        bus_write_update(w, m->update.config_epoch, m->update.name, m->update.slots);
        break;
    case BUS_PUBLISH:
    case BUS_PUBLISHSHARD:
        bus_write_publish(w, m->publish.channel, m->publish.message);
        break;
    case BUS_MODULE:
        bus_write_module(w, m->module.id, m->module.type, m->module.payload);
        break;
    default:
        break;
    }
}

size_t test_bus_rebuild(const struct bus_message *m, uint8_t **frame)
{
    struct bus_writer w;
    *frame = malloc(m->frame.len);
    CHECK(*frame);
    if (m->light)
        bus_write_light(&w, *frame, m->frame.len, m->header.type);
    else
        bus_write_begin(&w, *frame, m->frame.len, &m->header);
    write_body(&w, m);
    return bus_write_end(&w);
}

static uint64_t sum(struct slice bytes)
{
    uint64_t total = bytes.len;
    for (size_t i = 0; i < bytes.len; i++)
        total += bytes.data[i];
    return total;
}

static uint64_t touch_body(const struct bus_message *m)
{
    switch (m->header.type) {
    case BUS_FAIL:
        return sum(slice_from(m->fail.name, BUS_NAME_SIZE));
    case BUS_UPDATE:
        return sum(slice_from(m->update.name, BUS_NAME_SIZE)) +
               sum(slice_from(m->update.slots, BUS_SLOTS_SIZE));
    case BUS_PUBLISH:
    case BUS_PUBLISHSHARD:
        return sum(m->publish.channel) + sum(m->publish.message);
    case BUS_MODULE:
        return sum(m->module.payload);
    default:
        return sum(m->gossip) + sum(m->extensions);
    }
}

uint64_t test_bus_touch(const struct bus_message *m)
{
    const struct bus_header *h = &m->header;
    uint64_t total = sum(m->frame) + touch_body(m);
    if (m->light)
        return total;
    total += sum(slice_from(h->sender, BUS_NAME_SIZE)) + sum(slice_from(h->slots, BUS_SLOTS_SIZE)) +
             sum(h->ip);
    return h->replica_of ? total + sum(slice_from(h->replica_of, BUS_NAME_SIZE)) : total;
}
