/* What surrounds a state machine in a process: carries out actions, models the lcores. A stock
 * node's model takes and gives the same events and actions; of its process only the disk is here,
 * which it waits for. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "check.h"
#include "sim.h"
#include "sim_check.h"
#include "sim_data.h"
#include "sim_mutant.h"
#include "sim_probe.h"
#include "stock_model.h"

#define SETTLE_US 50
#define PARK_LONGEST_US (3 * MS)
#define LATE_VIEW_US (10 * MS)

/* What an lcore has queued for a control plane that does not run. */
struct ring_entry {
    struct cluster_event event;
    struct cluster_frame *frame; /* NULL: a link's event */
    const struct sim_node *peer;
};

static const struct bus_limits limits = {BUS_FRAME_MAX, BUS_PUBLISH_MAX, false};

/* ---- views ---- */

static void view_put(struct sim_view *view)
{
    if (view && --view->refs == 0) {
        free(view->view);
        free(view);
    }
}

static void item_later(struct sim_node *node, struct sim_item item, uint64_t at_us)
{
    item.at_us = at_us;
    item.life = node->life;
    item.node = (uint16_t)node->index;
    sim_heap_push(&node->sim->heap, item);
}

static void settled_later(struct sim_node *node, uint64_t version)
{
    sim_later(node->sim, node, SIM_SETTLED, SETTLE_US, version);
}

static void views_push(struct sim_node *node, struct sim_view *view)
{
    struct sim_published *views = &node->views;
    if (views->count == views->size) {
        views->size = views->size ? views->size * 2 : 8;
        views->items = realloc(views->items, views->size * sizeof(*views->items));
        CHECK(views->items);
    }
    views->items[views->count++] = view;
}

static void do_view(struct sim_node *node, struct cluster_action *action)
{
    struct sim *sim = node->sim;
    uint64_t version = action->view->version;
    sim_note(
        sim, node,
        (struct sim_note){
            .kind = NOTE_VIEW, .a = version, .b = action->view->ok, .c = action->view->primary});
    if (version <= node->version)
        sim_fail(sim, "node %u publishes view %llu after %llu", node->index,
                 (unsigned long long)version, (unsigned long long)node->version);
    node->version = version;
    if (sim->options.unchecked) {
        settled_later(node, version);
        return;
    }
    sim_check_view(node, action->view);
    bool lost = sim_mutant(sim, MUTANT_VIEW_LOST) && !action->view->primary &&
                node->lcores[0].view && node->lcores[0].view->view->primary;
    if (sim_mutant(sim, MUTANT_SETTLED_EARLY) || lost)
        settled_later(node, version);
    if (lost)
        return;
    struct sim_view *view = malloc(sizeof(*view));
    CHECK(view);
    view->view = action->view;
    view->refs = 1; /* of the list */
    action->view = NULL;
    views_push(node, view);
    for (uint8_t i = 0; i < SIM_LCORES; i++) {
        struct sim_lcore *lcore = &node->lcores[i];
        uint64_t at_us = sim->now_us + rng_below(&sim->rng, node->lcore_lag_us + 1);
        if (at_us < lcore->busy_until_us)
            at_us = lcore->busy_until_us;
        lcore->busy_until_us = at_us;
        if (at_us - sim->now_us > LATE_VIEW_US)
            sim_probe(sim, PROBE_VIEW_LATE);
        item_later(node, (struct sim_item){.what = SIM_SEEN, .end = i, .value = version}, at_us);
    }
}

/* An lcore is between two commands and sees the newest view; the older ones, once all have. */
static void seen(struct sim_node *node, unsigned index, uint64_t version)
{
    struct sim_lcore *lcore = &node->lcores[index];
    struct sim_published *views = &node->views;
    for (uint32_t i = 0; i < views->count; i++)
        if (views->items[i]->view->version == version && version > lcore->seen) {
            view_put(lcore->view);
            lcore->view = views->items[i];
            lcore->view->refs++;
            lcore->seen = version;
        }
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < SIM_LCORES; i++)
        if (node->lcores[i].seen < least)
            least = node->lcores[i].seen;
    uint32_t gone = 0;
    while (gone < views->count && views->items[gone]->view->version <= least)
        view_put(views->items[gone++]);
    views->count -= gone;
    memmove(views->items, views->items + gone, views->count * sizeof(*views->items));
    if (least > node->settled) {
        node->settled = least;
        settled_later(node, least);
    }
}

bool sim_shell_serves(const struct sim_node *node, unsigned lcore, unsigned slot)
{
    const struct sim *sim = node->sim;
    if (!node->running || node->freeze == SIM_PAUSED)
        return false;
    if (node->is_stock)
        return stock_serves(node->stock, slot);
    if (sim->now_us >= node->lease_until_us && !sim_mutant(sim, MUTANT_LEASE_FOREVER))
        return false;
    if (node->parked && !sim_mutant(sim, MUTANT_PAUSE_LEAKS))
        return false;
    const struct sim_view *view = node->lcores[lcore].view;
    return view && view->view->ok && view->view->primary &&
           cluster_entry_is_ours(cluster_view_entry(view->view, slot));
}

/* ---- actions ---- */

static void do_persist(struct sim_node *node, struct cluster_action *action)
{
    struct sim *sim = node->sim;
    char *text = action->persist.text;
    action->persist.text = NULL;
    sim_note(sim, node, (struct sim_note){.kind = NOTE_PERSIST, .a = action->persist.ticket});
    if (sim->options.unchecked) {
        free(text);
        sim_later(sim, node, SIM_DURABLE, MS, action->persist.ticket);
        return;
    }
    if (node->is_stock) {
        sim_disk_put(node, text, action->persist.len);
        sim_check_durable(node);
        return;
    }
    sim_disk_write(node, action->persist.ticket, text, action->persist.len);
    if (sim_mutant(sim, MUTANT_PERSIST_EARLY))
        item_later(
            node, (struct sim_item){.what = SIM_DURABLE, .end = 1, .value = action->persist.ticket},
            sim->now_us + 1);
}

static void do_send(struct sim_node *node, const struct cluster_action *action)
{
    struct cluster_frame *frame = action->send.frame, *other = NULL;
    if (node->sim->options.mutant != MUTANT_NONE && !node->is_stock)
        other = sim_mutant_send(node, action->send.link, frame);
    if (other)
        frame = other;
    sim_check_sent(node, action->send.link, slice_from(frame->bytes, frame->len));
    sim_net_send(node, action->send.link, frame);
    if (other)
        sim_frame_put(other);
}

static void do_reply(struct sim_node *node, struct cluster_action *action)
{
    free(node->reply);
    node->reply_id = action->reply.id;
    node->reply = calloc(1, action->reply.len + 1);
    CHECK(node->reply);
    memcpy(node->reply, action->reply.text, action->reply.len);
    sim_text(node->sim, node, "reply %s", node->reply);
}

static void do_pause(struct sim_node *node, bool on)
{
    sim_text(node->sim, node, on ? "pause" : "unpause");
    node->pausing = on;
    node->parked = false;
    if (!on)
        sim_check_unpaused(node);
    else
        sim_later(node->sim, node, SIM_PARKED, rng_below(&node->sim->rng, PARK_LONGEST_US), 0);
}

static void act(struct sim_node *node, struct cluster_action *action)
{
    switch (action->kind) {
    case CLUSTER_ACTION_SEND:
        do_send(node, action);
        break;
    case CLUSTER_ACTION_OPEN:
        sim_net_open(node, action->open.link, action->open.ip, action->open.cport);
        break;
    case CLUSTER_ACTION_CLOSE:
        sim_net_close(node, action->open.link);
        break;
    case CLUSTER_ACTION_PERSIST:
        do_persist(node, action);
        break;
    case CLUSTER_ACTION_VIEW:
        do_view(node, action);
        break;
    case CLUSTER_ACTION_PONG:
        sim_check_pong(node, action->pong);
        free(node->pong);
        node->pong = action->pong;
        action->pong = NULL;
        break;
    case CLUSTER_ACTION_REPLY:
        do_reply(node, action);
        break;
    case CLUSTER_ACTION_REPLICATE:
        sim_data_follow(node, action->replicate.id);
        sim_later(node->sim, node, SIM_REPLICATION, 0, 1);
        break;
    case CLUSTER_ACTION_REPLICATE_STOP:
        sim_data_follow(node, "");
        sim_later(node->sim, node, SIM_REPLICATION, 0, 1);
        break;
    case CLUSTER_ACTION_DELETE_SLOT:
        sim_data_delete(node, action->slot);
        break;
    case CLUSTER_ACTION_FLUSH:
        sim_data_flush(node);
        break;
    case CLUSTER_ACTION_PAUSE:
    case CLUSTER_ACTION_UNPAUSE:
        do_pause(node, action->kind == CLUSTER_ACTION_PAUSE);
        break;
    case CLUSTER_ACTION_DELIVER:
        break;
    case CLUSTER_ACTION_LOG: /* told before */
        break;
    case CLUSTER_ACTION_FATAL:
        sim_fail(node->sim, "node %u ends itself: %s", node->index, action->log.text);
    }
}

static void tick_plan(struct sim_node *node)
{
    struct sim *sim = node->sim;
    uint64_t next_us = node->is_stock ? stock_next_us(node->stock) : cluster_next_us(node->c);
    if (next_us <= sim->now_us)
        next_us = sim->now_us + 1;
    if (next_us >= node->tick_at_us)
        return;
    node->tick_at_us = next_us;
    item_later(node, (struct sim_item){.what = SIM_TICK}, next_us);
}

static uint64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* One that has ended is given again when every lcore has seen the newest view: the step may have
 * found out that this node is not to serve any more. */
static void lease_renew(struct sim_node *node)
{
    const struct sim *sim = node->sim;
    if (sim->now_us < node->lease_until_us || node->settled == node->version ||
        sim->options.unchecked)
        node->lease_until_us = sim->now_us + sim_timeout_us(sim) / 2;
}

static void step(struct sim_node *node, struct cluster_event *event)
{
    struct sim *sim = node->sim;
    struct cluster_actions actions = node->actions; /* a step may lead to another one's */
    cluster_actions_init(&node->actions);
    if (event->now_us == 0)
        event->now_us = sim->now_us;
    event->wall_ms = (uint64_t)((int64_t)(SIM_WALL_MS + event->now_us / MS) + node->wall_skew_ms);
    node->event_us = event->now_us;
    node->event_kind = event->kind;
    node->steps++;
    uint64_t start_ns = sim->options.unchecked ? cpu_ns() : 0;
    if (node->is_stock)
        stock_step(node->stock, event, &actions);
    else
        cluster_step(node->c, event, &actions);
    if (sim->options.unchecked) {
        uint64_t spent_ns = cpu_ns() - start_ns;
        node->steps_ns += spent_ns;
        node->frames_ns += event->kind == CLUSTER_EVENT_FRAME ? spent_ns : 0;
    }
    for (size_t i = 0; sim->options.trace && i < actions.count; i++)
        if (actions.items[i].kind == CLUSTER_ACTION_LOG)
            sim_text(sim, node, "%s", actions.items[i].log.text);
    for (size_t i = 0; i < actions.count; i++)
        act(node, &actions.items[i]);
    cluster_actions_clear(&actions);
    cluster_actions_free(&node->actions);
    node->actions = actions;
    lease_renew(node);
    if (!sim->options.unchecked)
        sim_check_stepped(node, event);
    tick_plan(node);
}

/* ---- the ring to the control plane ---- */

static void ring_push(struct sim_node *node, const struct cluster_event *event,
                      struct cluster_frame *frame)
{
    struct ring_entry *entry = malloc(sizeof(*entry));
    CHECK(entry);
    *entry = (struct ring_entry){*event, frame, NULL};
    entry->event.now_us = node->sim->now_us;
    sim_probe(node->sim, PROBE_RING_WAITED);
    item_later(node, (struct sim_item){.what = SIM_RING, .ptr = entry}, node->sim->now_us);
}

static void ring_take(struct sim_node *node, struct ring_entry *entry, bool alive)
{
    struct bus_message m;
    enum bus_reason why;
    if (alive && entry->frame) {
        CHECK(bus_decode(slice_from(entry->frame->bytes, entry->frame->len), &limits, &m, &why) ==
              BUS_OK);
        entry->event.frame.message = &m;
    }
    if (alive)
        step(node, &entry->event);
    if (entry->frame)
        sim_frame_put(entry->frame);
    free(entry);
}

void sim_shell_step(struct sim_node *node, struct cluster_event *event)
{
    if (node->freeze == SIM_STALLED)
        ring_push(node, event, NULL);
    else
        step(node, event);
}

/* ---- frames ---- */

/* The lcore's answer to PING and MEET. */
static bool lcore_answers(struct sim_node *node, cluster_link_id id, const struct bus_message *m)
{
    struct sim *sim = node->sim;
    if (m->light || m->header.type == BUS_PONG || !bus_type_is_ping(m->header.type) || !node->pong)
        return false;
    if (sim->now_us >= node->lease_until_us) {
        sim_probe(sim, PROBE_LEASE_OVER);
        if (!sim_mutant(sim, MUTANT_LEASE_FOREVER))
            return false;
    }
    struct slice pong = cluster_pong_for(node->pong, m);
    struct cluster_frame *frame = sim_frame_copy(pong.data, pong.len);
    bus_patch_offset(frame->bytes,
                     node->replica.synced || sim_node_is_primary(node) ? node->replica.offset : 0);
    sim_check_sent(node, id, slice_from(frame->bytes, frame->len));
    sim_net_send(node, id, frame);
    sim_frame_put(frame);
    return true;
}

void sim_shell_frame(struct sim_node *node, cluster_link_id id, struct slice frame,
                     const struct bus_message *m)
{
    struct sim *sim = node->sim;
    struct bus_message changed;
    enum bus_reason why;
    uint8_t memory[SIM_MUTANT_MEMORY];
    sim_check_received(node, id, m);
    if (sim->options.mutant != MUTANT_NONE && !node->is_stock) {
        struct slice other = frame;
        if (!sim_mutant_frame(node, id, &other, memory))
            return;
        if (other.data != frame.data) {
            CHECK(bus_decode(other, &limits, &changed, &why) == BUS_OK);
            m = &changed;
            frame = other;
        }
    }
    bool answered = !node->is_stock && lcore_answers(node, id, m);
    struct cluster_event event = {.kind = CLUSTER_EVENT_FRAME,
                                  .frame = {.link = id, .message = m, .answered = answered}};
    if (node->freeze == SIM_STALLED)
        ring_push(node, &event, sim_frame_copy(frame.data, frame.len));
    else
        step(node, &event);
}

void sim_shell_inject(struct sim_node *node, cluster_link_id id, struct slice frame)
{
    struct bus_message m;
    enum bus_reason why;
    CHECK(bus_decode(frame, &limits, &m, &why) == BUS_OK);
    struct cluster_event event = {.kind = CLUSTER_EVENT_FRAME,
                                  .frame = {.link = id, .message = &m}};
    if (node->freeze == SIM_AWAKE)
        step(node, &event);
}

/* ---- other events ---- */

static void durable(struct sim_node *node, const struct sim_item *item)
{
    struct sim *sim = node->sim;
    struct cluster_event event = {.kind = CLUSTER_EVENT_PERSISTED,
                                  .persisted = {.ticket = item->value, .ok = true}};
    if (!sim->options.unchecked && item->end == 0) {
        if (node->disk.ticket != item->value)
            return;
        event.persisted.ok = sim_disk_written(node);
        sim_note(
            sim, node,
            (struct sim_note){.kind = NOTE_DURABLE, .a = item->value, .b = event.persisted.ok});
        sim_check_durable(node);
        if (sim_mutant(sim, MUTANT_PERSIST_EARLY))
            return; /* it was told before */
    }
    step(node, &event);
}

static void tick(struct sim_node *node, const struct sim_item *item)
{
    struct sim *sim = node->sim;
    if (item->at_us != node->tick_at_us)
        return; /* another one was planned since */
    node->tick_at_us = UINT64_MAX;
    uint64_t next_us = node->is_stock ? stock_next_us(node->stock) : cluster_next_us(node->c);
    if (next_us > sim->now_us) {
        tick_plan(node);
        return;
    }
    struct cluster_event event = {.kind = CLUSTER_EVENT_TICK};
    sim_note(sim, node, (struct sim_note){.kind = NOTE_TICK});
    step(node, &event);
}

void sim_shell_item(struct sim_node *node, const struct sim_item *item)
{
    struct cluster_event event = {.kind = CLUSTER_EVENT_SETTLED};
    switch (item->what) {
    case SIM_TICK:
        tick(node, item);
        break;
    case SIM_RING:
        ring_take(node, item->ptr, node->running && item->life == node->life);
        break;
    case SIM_DURABLE:
        durable(node, item);
        break;
    case SIM_SEEN:
        seen(node, item->end, item->value);
        break;
    case SIM_SETTLED:
        event.settled.version = item->value;
        if (item->end == 1) {
            if (!node->parked)
                break;
            event.kind = CLUSTER_EVENT_PAUSED;
            event.paused_offset = item->value;
        } else {
            sim_note(node->sim, node, (struct sim_note){.kind = NOTE_SETTLED, .a = item->value});
        }
        step(node, &event);
        break;
    case SIM_PARKED:
        if (!node->pausing || node->parked)
            break;
        node->parked = true;
        item_later(node,
                   (struct sim_item){.what = SIM_SETTLED, .end = 1, .value = node->replica.offset},
                   node->sim->now_us + 1);
        break;
    default:
        CHECK(false);
    }
}

/* ---- start and end ---- */

static uint64_t slot_key_count(void *ctx, unsigned slot)
{
    const struct sim_node *node = ctx;
    return node->keys ? node->keys[slot] : 0;
}

static uint64_t key_count(void *ctx)
{
    const struct sim_node *node = ctx;
    uint64_t count = 0;
    for (unsigned slot = 0; node->keys && slot < SLOTS; slot++)
        count += node->keys[slot];
    return count;
}

void sim_shell_start(struct sim_node *node, const struct nodes_conf *saved)
{
    struct sim *sim = node->sim;
    struct cluster_env env = {
        .ctx = node, .slot_key_count = slot_key_count, .key_count = key_count};
    uint64_t seed = sim->options.seed * 1000003 + node->index * 4099 + node->life + 1;
    const char *id;
    if (node->is_stock) {
        node->stock = stock_new(&node->config, saved, seed);
        id = stock_self_id(node->stock);
    } else {
        node->c = cluster_new(&node->config, &env, saved, seed);
        if (!node->c)
            sim_fail(sim, "node %u does not start from its own file", node->index);
        id = cluster_self_id(node->c);
    }
    memcpy(node->id, id, sizeof(node->id));
    node->version = node->settled = 0;
    node->pausing = node->parked = false;
    struct cluster_event event = {.kind = CLUSTER_EVENT_TICK};
    step(node, &event);
}

void sim_shell_stop(struct sim_node *node)
{
    for (uint32_t i = 0; i < node->late_count; i++)
        if (node->late[i].what == SIM_RING)
            ring_take(node, node->late[i].ptr, false);
    free(node->late);
    node->late = NULL;
    node->late_count = node->late_size = 0;
    for (unsigned i = 0; i < SIM_LCORES; i++) {
        view_put(node->lcores[i].view);
        node->lcores[i] = (struct sim_lcore){0};
    }
    for (uint32_t i = 0; i < node->views.count; i++)
        view_put(node->views.items[i]);
    free(node->views.items);
    node->views = (struct sim_published){0};
    free(node->pong);
    node->pong = NULL;
    cluster_free(node->c);
    stock_free(node->stock);
    node->c = NULL;
    node->stock = NULL;
}
