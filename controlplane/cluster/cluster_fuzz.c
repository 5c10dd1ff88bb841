/* A sequence of events out of the fuzzer's bytes, for one state among five nodes that it knows:
 * whatever they say, in whatever order, the state stays whole. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "cluster.h"
#include "nodes_conf.h"

#define NODES 6 /* the last is a stranger */
#define LINKS 16
#define WORDS_MAX 6
#define VALIDATE_EVERY 8

struct input {
    const uint8_t *data;
    size_t len;
};

struct world {
    struct cluster *c;
    struct cluster_actions actions;
    struct input in;
    uint64_t now_us, ticket, version;
    cluster_link_id links[LINKS];
    unsigned link_count, inbound, steps;
    bool keys;
};

static char ids[NODES][BUS_NAME_SIZE + 1];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static unsigned take(struct input *in)
{
    if (in->len == 0)
        return 0;
    in->len--;
    return *in->data++;
}

static uint64_t slot_key_count(void *ctx, unsigned slot)
{
    return ((struct world *)ctx)->keys && slot % 3 == 0;
}

static uint64_t key_count(void *ctx)
{
    return ((struct world *)ctx)->keys;
}

static void link_add(struct world *w, cluster_link_id id)
{
    w->links[w->link_count++ % LINKS] = id;
}

static cluster_link_id link_take(struct world *w)
{
    unsigned count = w->link_count < LINKS ? w->link_count : LINKS;
    return count ? w->links[take(&w->in) % count] : 1;
}

static void step(struct world *w, struct cluster_event event)
{
    event.now_us = w->now_us;
    event.wall_ms = 1700000000000 + w->now_us / 1000;
    cluster_step(w->c, &event, &w->actions);
    if (++w->steps % VALIDATE_EVERY == 0)
        cluster_validate(w->c);
    for (size_t i = 0; i < w->actions.count; i++) {
        const struct cluster_action *a = &w->actions.items[i];
        if (a->kind == CLUSTER_ACTION_OPEN)
            link_add(w, a->open.link);
        else if (a->kind == CLUSTER_ACTION_VIEW)
            w->version = a->view->version;
        else if (a->kind == CLUSTER_ACTION_PERSIST) {
            char err[NODES_CONF_ERROR_SIZE];
            struct nodes_conf *conf =
                nodes_conf_parse(slice_from(a->persist.text, a->persist.len), err);
            if (!conf)
                fprintf(stderr, "%s in\n%.*s", err, (int)a->persist.len, a->persist.text);
            CHECK(conf);
            nodes_conf_free(conf);
            w->ticket = a->persist.ticket;
        }
    }
    cluster_actions_clear(&w->actions);
}

static void slots_fill(struct input *in, uint8_t *slots)
{
    unsigned first = take(in) * 64, count = take(in) * 8;
    memset(slots, 0, BUS_SLOTS_SIZE);
    for (unsigned i = 0; i < count; i++)
        bus_slot_set(slots, (first + i) % SLOTS, true);
}

static void frame_body(struct world *w, struct bus_writer *writer, unsigned type)
{
    uint8_t slots[BUS_SLOTS_SIZE];
    if (bus_type_is_ping(type)) {
        for (unsigned count = take(&w->in) % 4; count > 0; count--) {
            unsigned flags = take(&w->in);
            struct bus_gossip entry = {.name = (const uint8_t *)ids[take(&w->in) % NODES],
                                       .ip = slice_str(flags & 128 ? "10.0.0.9" : "10.0.0.3"),
                                       .pong_received_s = 1700000000 + take(&w->in),
                                       .port = 6379,
                                       .cport = 16379,
                                       .flags = (uint16_t)(flags & 0x4f)};
            bus_write_gossip(writer, &entry);
        }
    } else if (type == BUS_FAIL) {
        bus_write_fail(writer, (const uint8_t *)ids[take(&w->in) % NODES]);
    } else if (type == BUS_UPDATE) {
        unsigned about = take(&w->in) % NODES;
        slots_fill(&w->in, slots);
        bus_write_update(writer, take(&w->in), (const uint8_t *)ids[about], slots);
    } else if (type == BUS_PUBLISH || type == BUS_PUBLISHSHARD) {
        bus_write_publish(writer, slice_str("c"), slice_str("m"));
    } else if (type == BUS_MODULE) {
        bus_write_module(writer, 1, 2, slice_str("x"));
    }
}

static void frame(struct world *w)
{
    static const struct bus_limits limits = {BUS_FRAME_MAX, BUS_PUBLISH_MAX, false};
    static uint8_t buf[8192];
    uint8_t slots[BUS_SLOTS_SIZE];
    cluster_link_id link = link_take(w);
    unsigned type = take(&w->in) % BUS_TYPE_COUNT, bits = take(&w->in);
    unsigned primary = take(&w->in);
    struct bus_header h = {.type = (uint16_t)type,
                           .port = 6379,
                           .cport = 16379,
                           .mflags = bits & 7,
                           .current_epoch = take(&w->in),
                           .config_epoch = take(&w->in),
                           .offset = take(&w->in),
                           .sender = (const uint8_t *)ids[take(&w->in) % NODES],
                           .slots = slots,
                           .ip = slice_str(bits & 8 ? "10.0.0.8" : "")};
    slots_fill(&w->in, slots);
    if (primary & 128)
        h.replica_of = (const uint8_t *)ids[primary % NODES];
    h.flags = h.replica_of ? BUS_NODE_SLAVE : BUS_NODE_MASTER;
    struct bus_writer writer;
    bus_write_begin(&writer, buf, sizeof(buf), &h);
    frame_body(w, &writer, type);
    struct bus_message m;
    enum bus_reason why;
    CHECK(bus_decode(slice_from(buf, bus_write_end(&writer)), &limits, &m, &why) == BUS_OK);
    struct cluster_event event = {.kind = CLUSTER_EVENT_FRAME};
    event.frame = (struct cluster_event_frame){link, &m, bits & 16};
    step(w, event);
}

/* # is a node, @ a slot. */
static const char *const commands[] = {
    "addslots @",
    "delslots @",
    "setslot @ node #",
    "setslot @ migrating #",
    "setslot @ stable",
    "setslot @ importing #",
    "replicate #",
    "forget #",
    "failover",
    "failover force",
    "failover takeover",
    "reset soft",
    "reset hard",
    "bumpepoch",
    "set-config-epoch 3",
    "meet 10.0.0.7 6379",
    "nodes",
    "slots",
    "shards",
    "links",
    "info",
    "replicas #",
    "flushslots",
    "addslotsrange 0 16383",
};

static void command(struct world *w)
{
    char text[128], slot[16];
    struct slice argv[WORDS_MAX];
    uint32_t argc = 0;
    snprintf(text, sizeof(text), "%s", commands[take(&w->in) % count_of(commands)]);
    for (char *at, *word = strtok_r(text, " ", &at); word; word = strtok_r(NULL, " ", &at)) {
        if (strcmp(word, "#") == 0)
            word = ids[take(&w->in) % NODES];
        else if (strcmp(word, "@") == 0) {
            snprintf(slot, sizeof(slot), "%u", take(&w->in) * 64);
            word = slot;
        }
        argv[argc++] = slice_str(word);
    }
    struct cluster_event event = {.kind = CLUSTER_EVENT_ADMIN};
    event.admin = (struct cluster_admin){.id = 1, .argv = argv, .argc = argc};
    step(w, event);
    memcpy(ids[0], cluster_self_id(w->c), sizeof(ids[0]));
}

static void link_event(struct world *w, cluster_link_id id, enum cluster_event_kind kind)
{
    struct cluster_event event = {.kind = kind};
    event.link = (struct cluster_event_link){id, slice_str("10.0.0.1"), slice_str("10.0.0.2")};
    step(w, event);
}

static void operation(struct world *w)
{
    struct cluster_event event = {.kind = CLUSTER_EVENT_TICK};
    unsigned what = take(&w->in);
    switch (what % 12) {
    case 0:
        w->now_us += 1000ull * (1 + take(&w->in));
        step(w, event);
        break;
    case 1:
        link_event(w, link_take(w), CLUSTER_EVENT_LINK_UP);
        break;
    case 2:
        link_event(w, link_take(w), CLUSTER_EVENT_LINK_DOWN);
        break;
    case 3:
        link_add(w, CLUSTER_LINK_INBOUND | ++w->inbound);
        link_event(w, CLUSTER_LINK_INBOUND | w->inbound, CLUSTER_EVENT_LINK_UP);
        break;
    case 4:
        command(w);
        break;
    case 5:
        event.kind = CLUSTER_EVENT_PERSISTED;
        event.persisted = (struct cluster_event_persisted){w->ticket, what < 200};
        step(w, event);
        break;
    case 6:
        event.kind = CLUSTER_EVENT_SETTLED;
        event.settled.version = w->version;
        step(w, event);
        break;
    case 7:
        event.kind = CLUSTER_EVENT_REPLICATION;
        event.replication = (struct cluster_replication){.offset = take(&w->in),
                                                         .link_up = what & 16,
                                                         .synced = what & 32,
                                                         .contact_us = w->now_us};
        step(w, event);
        break;
    case 8:
        event.kind = what & 16 ? CLUSTER_EVENT_PAUSED : CLUSTER_EVENT_LOADED;
        w->keys = what & 32;
        step(w, event);
        break;
    default:
        frame(w);
    }
}

static void world_init(struct world *w)
{
    static const char *const addresses[NODES] = {"10.0.0.1", "10.0.0.2", "10.0.0.3",
                                                 "10.0.0.4", "10.0.0.5", ""};
    static uint8_t slots[NODES][BUS_SLOTS_SIZE];
    struct nodes_conf_node nodes[NODES - 1];
    struct nodes_conf conf = {.nodes = nodes, .node_count = NODES - 1, .current_epoch = 5};
    struct cluster_env env = {.ctx = w, .slot_key_count = slot_key_count, .key_count = key_count};
    struct cluster_config config;
    cluster_config_defaults(&config);
    config.node_timeout_ms = 500;
    memcpy(config.ip, addresses[0], strlen(addresses[0]));
    memset(nodes, 0, sizeof(nodes));
    unsigned role = take(&w->in);
    for (unsigned i = 0; i < NODES; i++) {
        snprintf(ids[i], sizeof(ids[i]), "%040x", 0x1000 + i);
        if (i == NODES - 1)
            break;
        struct nodes_conf_node *n = &nodes[i];
        memcpy(n->id, ids[i], sizeof(n->id));
        snprintf(n->ip, sizeof(n->ip), "%s", addresses[i]);
        n->port = 6379;
        n->cport = 16379;
        n->flags = i == 0 ? BUS_NODE_MYSELF : 0;
        n->config_epoch = i < 3 ? i + 1 : 0;
        bool primary = role & 1 ? i > 0 && i < 4 : i < 3;
        n->flags |= primary ? BUS_NODE_MASTER : BUS_NODE_SLAVE;
        if (!primary)
            memcpy(n->primary, role & 1 ? nodes[1].id : nodes[0].id, sizeof(n->primary));
        for (unsigned slot = 0; primary && slot < SLOTS; slot++)
            bus_slot_set(slots[i], slot, slot * 3 / SLOTS == i % 3);
        n->slots = primary ? slots[i] : NULL;
    }
    if (role & 1)
        snprintf(nodes[0].primary, sizeof(nodes[0].primary), "%s", ids[1]);
    w->now_us = 1000000;
    cluster_actions_init(&w->actions);
    w->c = cluster_new(&config, &env, &conf, role);
    CHECK(w->c);
    step(w, (struct cluster_event){.kind = CLUSTER_EVENT_TICK});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct world *w = calloc(1, sizeof(*w));
    CHECK(w);
    w->in = (struct input){data, len < 4096 ? len : 4096};
    world_init(w);
    while (w->in.len > 0)
        operation(w);
    cluster_validate(w->c);
    cluster_actions_free(&w->actions);
    cluster_free(w->c);
    free(w);
    return 0;
}
