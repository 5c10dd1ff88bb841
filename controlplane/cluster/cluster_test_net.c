#include "cluster_test_net.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cluster_test_inside.h"

#define RETRY_US (20 * MS) /* of a held-up link */
#define SETTLE_US 100
#define PAUSE_US 1000
#define START_US (1000 * 1000 * MS) /* so that 0 is never a time */
#define WALL_OFFSET_MS 1700000000000ull
#define COMMAND_LIMIT_MS 10000
#define WORDS_MAX 64
#define VALIDATE_EVERY 16 /* steps: a whole one takes longer than a step */

/* ---- what a shell does ---- */

/* Rule: nothing of our own state is shown that is not durable. */
static void send_check(const struct box *box, const struct bus_message *m)
{
    const struct nodes_conf *conf = box->disk.conf;
    CHECK(conf);
    const struct nodes_conf_node *self = &conf->nodes[conf->myself];
    CHECK(memcmp(m->header.sender, self->id, BUS_NAME_SIZE) == 0);
    /* A primary may show the replica that it was until every lcore knows better. */
    if (m->header.replica_of)
        return;
    CHECK(m->header.config_epoch <= self->config_epoch);
    for (unsigned i = 0; i < BUS_SLOTS_SIZE && !self->primary[0]; i++)
        CHECK((m->header.slots[i] & ~(self->slots ? self->slots[i] : 0)) == 0);
    if (m->header.type == BUS_AUTH_ACK)
        CHECK(conf->last_vote_epoch >= m->header.current_epoch);
    if (m->header.type == BUS_AUTH_REQUEST)
        CHECK(conf->current_epoch >= m->header.current_epoch);
}

/* From node i into a pipe, towards its end to. */
static void frame_send(struct test_net *net, unsigned i, struct pipe *p, unsigned to,
                       struct slice frame)
{
    static const struct bus_limits limits = {BUS_FRAME_MAX, BUS_PUBLISH_MAX, false};
    struct bus_message m;
    enum bus_reason why;
    CHECK(bus_decode(frame, &limits, &m, &why) == BUS_OK);
    send_check(&net->boxes[i], &m);
    if (net->pass && !net->pass(net->pass_ctx, i, p->ends[to], &m))
        test_pipe_cut(net, p);
    else
        test_pipe_push(net, p, to, frame.data, (uint32_t)frame.len);
}

static void do_send(struct test_net *net, unsigned i, const struct cluster_action *action)
{
    const struct cluster_frame *frame = action->send.frame;
    unsigned end;
    struct pipe *p = test_pipe_find(net, i, action->send.link, &end);
    if (p && !p->cut)
        frame_send(net, i, p, 1 - end, slice_from(frame->bytes, frame->len));
}

static void do_close(struct test_net *net, unsigned i, const struct cluster_action *action)
{
    unsigned end;
    struct pipe *p = test_pipe_find(net, i, action->open.link, &end);
    if (!p)
        return;
    p->open[end] = false;
    p->lives[end] = UINT64_MAX; /* the state has forgotten it */
    test_pipe_cut(net, p);
}

static void do_persist(struct test_net *net, unsigned i, struct cluster_action *action)
{
    struct disk *disk = &net->boxes[i].disk;
    CHECK(!disk->writing);
    disk->writing = action->persist.text;
    disk->writing_len = action->persist.len;
    action->persist.text = NULL;
    test_later(net, i, WHAT_DURABLE, disk->delay_us, action->persist.ticket);
}

static void do_reply(struct test_net *net, const struct cluster_action *action)
{
    if (action->reply.id != net->reply_id)
        return;
    free(net->reply);
    net->reply = calloc(1, action->reply.len + 1);
    CHECK(net->reply);
    memcpy(net->reply, action->reply.text, action->reply.len);
}

static void act(struct test_net *net, unsigned i, struct cluster_action *action)
{
    struct box *box = &net->boxes[i];
    if (net->seen)
        net->seen(net->seen_ctx, i, action);
    switch (action->kind) {
    case CLUSTER_ACTION_SEND:
        do_send(net, i, action);
        break;
    case CLUSTER_ACTION_OPEN:
        test_pipe_open(net, i, action);
        break;
    case CLUSTER_ACTION_CLOSE:
        do_close(net, i, action);
        break;
    case CLUSTER_ACTION_PERSIST:
        do_persist(net, i, action);
        break;
    case CLUSTER_ACTION_VIEW:
        CHECK(!box->view || action->view->version > box->view->version);
        free(box->view);
        box->view = action->view;
        action->view = NULL;
        test_later(net, i, WHAT_SETTLED, SETTLE_US, box->view->version);
        break;
    case CLUSTER_ACTION_PONG:
        free(box->pong);
        box->pong = action->pong;
        action->pong = NULL;
        break;
    case CLUSTER_ACTION_REPLY:
        do_reply(net, action);
        break;
    case CLUSTER_ACTION_REPLICATE:
        memcpy(box->following, action->replicate.id, sizeof(box->following));
        break;
    case CLUSTER_ACTION_REPLICATE_STOP:
        box->following[0] = 0;
        break;
    case CLUSTER_ACTION_PAUSE:
        box->writes_paused = true;
        test_later(net, i, WHAT_PAUSED, PAUSE_US, 0);
        break;
    case CLUSTER_ACTION_UNPAUSE:
        box->writes_paused = false;
        break;
    case CLUSTER_ACTION_DELETE_SLOT:
        box->keys[action->slot] = 0;
        net->deleted++;
        break;
    case CLUSTER_ACTION_LOG:
        net->alarms += action->log.alarm;
        if (getenv("TEST_NET_LOG"))
            printf("[%6llu] %u %s\n", (unsigned long long)test_net_now_ms(net), i,
                   action->log.text);
        break;
    default:
        break;
    }
}

static void step(struct test_net *net, unsigned i, struct cluster_event *event)
{
    struct box *box = &net->boxes[i];
    struct cluster_actions actions;
    uint64_t life = box->life;
    event->now_us = net->now_us;
    event->wall_ms = WALL_OFFSET_MS + net->now_us / MS;
    cluster_actions_init(&actions);
    cluster_step(box->c, event, &actions);
    if (++net->steps % VALIDATE_EVERY == 0)
        cluster_validate(box->c);
    for (size_t a = 0; a < actions.count; a++)
        act(net, i, &actions.items[a]);
    cluster_actions_free(&actions);
    CHECK(box->life == life);
    uint64_t next_us = cluster_next_us(box->c);
    if (next_us < net->now_us + 1)
        next_us = net->now_us + 1;
    if (next_us != box->tick_at_us) {
        box->tick_at_us = next_us;
        test_later(net, i, WHAT_TICK, next_us - net->now_us, 0);
    }
}

/* ---- events ---- */

static struct slice ip_of(const struct test_net *net, unsigned i)
{
    return slice_str(net->boxes[i].config.ip);
}

static void link_event(struct test_net *net, const struct item *item, enum cluster_event_kind kind)
{
    struct pipe *p = item->pipe;
    unsigned end = (unsigned)item->value;
    if (p->lives[end] != item->life)
        return;
    if (kind == CLUSTER_EVENT_LINK_UP) {
        if (p->cut)
            kind = CLUSTER_EVENT_LINK_FAILED;
        else
            p->open[end] = true;
    }
    if (kind != CLUSTER_EVENT_LINK_UP) {
        p->open[end] = false;
        p->lives[end] = UINT64_MAX;
    }
    struct cluster_event event = {.kind = kind,
                                  .link = {.id = p->ids[end],
                                           .local_ip = ip_of(net, p->ends[end]),
                                           .peer_ip = ip_of(net, p->ends[1 - end])}};
    step(net, item->node, &event);
}

/* What an lcore does: every other node has one, the others' states answer themselves. */
static bool lcore_answers(struct test_net *net, struct pipe *p, unsigned end,
                          const struct bus_message *m)
{
    unsigned i = p->ends[end];
    const struct box *box = &net->boxes[i];
    if (!box->pong || i % 2 == 0 || (m->header.type != BUS_PING && m->header.type != BUS_MEET))
        return false;
    struct slice answer = cluster_pong_for(box->pong, m);
    uint8_t *frame = malloc(answer.len);
    CHECK(frame);
    memcpy(frame, answer.data, answer.len);
    bus_patch_offset(frame, box->offset);
    frame_send(net, i, p, 1 - end, slice_from(frame, answer.len));
    free(frame);
    return true;
}

static void deliver(struct test_net *net, const struct item *item)
{
    static const struct bus_limits limits = {BUS_FRAME_MAX, BUS_PUBLISH_MAX, false};
    struct pipe *p = item->pipe;
    unsigned end = (unsigned)item->value;
    p->scheduled[end] = false;
    if (p->cut || !p->head[end])
        return;
    if (test_pipe_blocked(net, p) || !p->open[end]) {
        p->scheduled[end] = true;
        test_pipe_schedule(net, p, end, WHAT_DELIVER, RETRY_US);
        return;
    }
    struct parcel *parcel = p->head[end];
    p->head[end] = parcel->next;
    if (!p->head[end])
        p->tail[end] = &p->head[end];
    else {
        p->scheduled[end] = true;
        test_pipe_schedule(net, p, end, WHAT_DELIVER, 1);
    }
    struct bus_message m;
    enum bus_reason why;
    if (bus_decode(slice_from(parcel->frame->bytes, parcel->frame->len), &limits, &m, &why) ==
        BUS_OK) {
        struct cluster_event event = {.kind = CLUSTER_EVENT_FRAME,
                                      .frame = {.link = p->ids[end],
                                                .message = &m,
                                                .answered = lcore_answers(net, p, end, &m)}};
        step(net, item->node, &event);
    }
    free(parcel->frame);
    free(parcel);
}

static void durable(struct test_net *net, const struct item *item)
{
    struct disk *disk = &net->boxes[item->node].disk;
    bool ok = disk->works;
    if (ok) {
        char err[NODES_CONF_ERROR_SIZE];
        free(disk->text);
        disk->text = disk->writing;
        disk->len = disk->writing_len;
        if (disk->conf)
            nodes_conf_free(disk->conf);
        disk->conf = nodes_conf_parse(slice_from(disk->text, disk->len), err);
        if (!disk->conf)
            fprintf(stderr, "%s: %.*s", err, (int)disk->len, disk->text);
        CHECK(disk->conf);
    } else {
        free(disk->writing);
    }
    disk->writing = NULL;
    struct cluster_event event = {.kind = CLUSTER_EVENT_PERSISTED,
                                  .persisted = {.ticket = item->value, .ok = ok}};
    step(net, item->node, &event);
}

/* A replica that can reach its primary has what the primary has. */
static bool replication_follow(struct test_net *net, unsigned i)
{
    struct box *box = &net->boxes[i];
    for (unsigned j = 0; j < net->count; j++) {
        const struct box *other = &net->boxes[j];
        if (!other->c || strcmp(cluster_self_id(other->c), box->following) != 0 ||
            (net->side >> i & 1) != (net->side >> j & 1))
            continue;
        box->offset = other->offset;
        box->contact_us = net->now_us;
        return true;
    }
    return false;
}

static void replication(struct test_net *net, const struct item *item)
{
    struct box *box = &net->boxes[item->node];
    struct cluster_event event = {.kind = CLUSTER_EVENT_REPLICATION};
    bool linked = false;
    if (box->following[0])
        linked = !box->replica_stopped && replication_follow(net, item->node);
    else if (!box->writes_paused)
        box->offset++;
    event.replication = (struct cluster_replication){.offset = box->offset,
                                                     .link_up = linked,
                                                     .synced = !box->unsynced,
                                                     .contact_us = box->contact_us};
    step(net, item->node, &event);
    test_later(net, item->node, WHAT_REPLICATION, 100 * MS, 0);
}

static void run_item(struct test_net *net, const struct item *item)
{
    struct box *box = &net->boxes[item->node];
    if (!box->c || item->life != box->life)
        return;
    if (net->now_us < box->paused_until_us) {
        struct item again = *item;
        again.at_us = box->paused_until_us;
        /* A stopped node finds its timer first or its frames first: its shell takes frames first.
         */
        if (item->what == WHAT_TICK)
            again.at_us++;
        test_heap_push(net, again);
        return;
    }
    struct cluster_event event = {.kind = CLUSTER_EVENT_TICK};
    switch (item->what) {
    case WHAT_TICK:
        if (item->at_us >= box->tick_at_us)
            step(net, item->node, &event);
        break;
    case WHAT_DELIVER:
        deliver(net, item);
        break;
    case WHAT_UP:
        link_event(net, item, CLUSTER_EVENT_LINK_UP);
        break;
    case WHAT_FAILED:
        link_event(net, item, CLUSTER_EVENT_LINK_FAILED);
        break;
    case WHAT_DOWN:
        link_event(net, item, CLUSTER_EVENT_LINK_DOWN);
        break;
    case WHAT_DURABLE:
        durable(net, item);
        break;
    case WHAT_SETTLED:
        event.kind = CLUSTER_EVENT_SETTLED;
        event.settled.version = item->value;
        step(net, item->node, &event);
        break;
    case WHAT_REPLICATION:
        replication(net, item);
        break;
    case WHAT_PAUSED:
        if (!box->writes_paused)
            break;
        event.kind = CLUSTER_EVENT_PAUSED;
        event.paused_offset = box->offset;
        step(net, item->node, &event);
        break;
    }
}

/* Until at_us or until stop() says so; false: at_us was reached. */
static bool run_to(struct test_net *net, uint64_t at_us, bool (*stop)(struct test_net *net))
{
    uint64_t asked_us = 0; /* once per millisecond: asking may cost more than an event */
    for (;;) {
        if (stop && net->now_us - asked_us >= MS) {
            asked_us = net->now_us;
            if (stop(net))
                return true;
        }
        if (net->heap_count == 0 || net->heap[0].at_us > at_us)
            break;
        struct item item = test_heap_pop(net);
        net->now_us = item.at_us;
        run_item(net, &item);
    }
    net->now_us = at_us;
    return stop && stop(net);
}

/* ---- the outside ---- */

static uint64_t slot_key_count(void *ctx, unsigned slot)
{
    return ((struct box *)ctx)->keys[slot];
}

static uint64_t key_count(void *ctx)
{
    uint64_t count = 0;
    for (unsigned slot = 0; slot < SLOTS; slot++)
        count += ((struct box *)ctx)->keys[slot];
    return count;
}

static void box_start(struct test_net *net, unsigned i)
{
    struct box *box = &net->boxes[i];
    const struct cluster_env env = {
        .ctx = box, .slot_key_count = slot_key_count, .key_count = key_count};
    CHECK(!box->c);
    box->life++;
    box->tick_at_us = 0;
    box->following[0] = 0;
    box->writes_paused = false;
    box->c = cluster_new(&box->config, &env, box->disk.conf, rng_next(&net->rng));
    CHECK(box->c);
    struct cluster_event event = {.kind = CLUSTER_EVENT_TICK};
    step(net, i, &event);
    test_later(net, i, WHAT_REPLICATION, 10 * MS, 0);
}

struct test_net *test_net_new(unsigned count, uint64_t seed)
{
    CHECK(count <= TEST_NET_NODES_MAX);
    struct test_net *net = calloc(1, sizeof(*net));
    CHECK(net);
    net->count = count;
    net->now_us = START_US;
    rng_seed(&net->rng, seed);
    for (unsigned i = 0; i < count; i++) {
        struct box *box = &net->boxes[i];
        cluster_config_defaults(&box->config);
        box->config.node_timeout_ms = 1000;
        snprintf(box->config.ip, sizeof(box->config.ip), "10.0.0.%u", i + 1);
        box->disk.delay_us = 2 * MS;
        box->disk.works = true;
        box->net = net;
        box_start(net, i);
    }
    return net;
}

void test_net_crash(struct test_net *net, unsigned i)
{
    struct box *box = &net->boxes[i];
    CHECK(box->c);
    for (struct pipe *p = net->pipes; p; p = p->next)
        for (unsigned end = 0; end < 2; end++)
            if (p->ends[end] == i && p->lives[end] == box->life) {
                p->open[end] = false;
                p->lives[end] = UINT64_MAX;
                test_pipe_cut(net, p);
            }
    cluster_free(box->c);
    box->c = NULL;
    box->life++;
    free(box->disk.writing);
    box->disk.writing = NULL;
    free(box->view);
    free(box->pong);
    box->view = NULL;
    box->pong = NULL;
}

void test_net_restart(struct test_net *net, unsigned i)
{
    box_start(net, i);
}

void test_net_restart_empty(struct test_net *net, unsigned i)
{
    struct disk *disk = &net->boxes[i].disk;
    free(disk->text);
    disk->text = NULL;
    if (disk->conf)
        nodes_conf_free(disk->conf);
    disk->conf = NULL;
    memset(net->boxes[i].keys, 0, sizeof(net->boxes[i].keys));
    box_start(net, i);
}

void test_net_move(struct test_net *net, unsigned i, const char *ip)
{
    test_net_crash(net, i);
    snprintf(net->boxes[i].config.ip, BUS_IP_SIZE, "%s", ip);
    box_start(net, i);
}

void test_net_free(struct test_net *net)
{
    for (unsigned i = 0; i < net->count; i++) {
        if (net->boxes[i].c)
            test_net_crash(net, i);
        if (net->boxes[i].disk.conf)
            nodes_conf_free(net->boxes[i].disk.conf);
        free(net->boxes[i].disk.text);
    }
    while (net->pipes) {
        struct pipe *p = net->pipes;
        net->pipes = p->next;
        test_pipe_empty(p, 0);
        test_pipe_empty(p, 1);
        free(p);
    }
    free(net->heap);
    free(net->reply);
    free(net);
}

struct cluster *test_net_node(struct test_net *net, unsigned i)
{
    CHECK(net->boxes[i].c);
    return net->boxes[i].c;
}

uint64_t test_net_now_ms(const struct test_net *net)
{
    return (net->now_us - START_US) / MS;
}

const struct cluster_config *test_net_config(const struct test_net *net, unsigned i)
{
    return &net->boxes[i].config;
}

void test_net_configure(struct test_net *net, unsigned i, const struct cluster_config *config)
{
    net->boxes[i].config = *config;
    struct cluster_event event = {.kind = CLUSTER_EVENT_CONFIG, .config = &net->boxes[i].config};
    if (net->boxes[i].c)
        step(net, i, &event);
}

void test_net_run(struct test_net *net, uint64_t ms)
{
    run_to(net, net->now_us + ms * MS, NULL);
}

uint64_t test_net_until(struct test_net *net, uint64_t ms, bool (*done)(struct test_net *net))
{
    uint64_t start_us = net->now_us;
    if (!run_to(net, net->now_us + ms * MS, done))
        return UINT64_MAX;
    return (net->now_us - start_us) / MS;
}

static bool replied(struct test_net *net)
{
    return net->reply != NULL;
}

const char *test_net_command(struct test_net *net, unsigned i, const char *format, ...)
{
    char line[2048];
    struct slice argv[WORDS_MAX];
    uint32_t argc = 0;
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    for (char *save, *word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        CHECK(argc < WORDS_MAX);
        argv[argc++] = slice_str(word);
    }
    free(net->reply);
    net->reply = NULL;
    net->reply_id = ++net->reply_next;
    struct cluster_event event = {
        .kind = CLUSTER_EVENT_ADMIN,
        .admin = {.id = net->reply_id, .argv = argv, .argc = argc, .resp3 = false}};
    step(net, i, &event);
    test_net_until(net, COMMAND_LIMIT_MS, replied);
    return net->reply ? net->reply : "(no reply)";
}

/* ---- faults ---- */

void test_net_pause(struct test_net *net, unsigned i, uint64_t ms)
{
    net->boxes[i].paused_until_us = net->now_us + ms * MS;
}

void test_net_partition(struct test_net *net, uint32_t side)
{
    net->side = side;
}

void test_net_loss(struct test_net *net, unsigned per_mille)
{
    net->loss_per_mille = per_mille;
}

void test_net_disk(struct test_net *net, unsigned i, uint64_t delay_ms, bool works)
{
    net->boxes[i].disk.delay_us = delay_ms * MS;
    net->boxes[i].disk.works = works;
}

void test_net_watch(struct test_net *net,
                    bool (*pass)(void *ctx, unsigned from, unsigned to,
                                 const struct bus_message *m),
                    void *ctx)
{
    net->pass = pass;
    net->pass_ctx = ctx;
}

void test_net_watch_actions(struct test_net *net,
                            void (*seen)(void *ctx, unsigned node,
                                         const struct cluster_action *action),
                            void *ctx)
{
    net->seen = seen;
    net->seen_ctx = ctx;
}

void test_net_replica_stop(struct test_net *net, unsigned i, bool stopped)
{
    net->boxes[i].replica_stopped = stopped;
}

void test_net_unsynced(struct test_net *net, unsigned i, bool unsynced)
{
    net->boxes[i].unsynced = unsynced;
}

void test_net_write(struct test_net *net, unsigned i, uint64_t bytes)
{
    CHECK(!net->boxes[i].writes_paused);
    net->boxes[i].offset += bytes;
}

uint64_t test_net_offset(const struct test_net *net, unsigned i)
{
    return net->boxes[i].offset;
}

void test_net_keys(struct test_net *net, unsigned i, unsigned slot, uint64_t count)
{
    net->boxes[i].keys[slot] = count;
}
