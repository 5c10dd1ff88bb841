#include "cluster_shell.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bus_port.h"
#include "check.h"
#include "clock.h"
#include "cluster_settings.h"
#include "config.h"
#include "log.h"
#include "metrics.h"
#include "nodes_conf.h"
#include "nodes_writer.h"
#include "qsbr.h"
#include "rng.h"

#define GRACE_POLL_US 500
#define STOP_WAIT_US 200000 /* for the disk, at the end */

/* What was published before and may still be read. */
struct retired {
    struct retired *next;
    struct qsbr_grace *grace;
    struct cluster_view *view;
    struct cluster_pong *pong;
    uint64_t version; /* of the view that took its place; 0: only a PONG was exchanged */
};

struct cluster_shell {
    struct cluster_host host;
    struct mailbox *control;
    struct cluster *cluster;
    struct cluster_actions actions;
    struct cluster_config settings;
    const struct config *config; /* settings are of this one */
    struct nodes_file *file;
    struct nodes_writer *writer;
    struct bus_port *port;
    struct retired *retired, **retired_end; /* oldest first */
    struct admin_request *waiting;          /* requests that the state has not answered */
    uint64_t request_id;
    uint64_t tick_due_us;
    uint64_t published_version, settled_version; /* of views */
    uint64_t lease_until_us;
    bool lapsed; /* the lease ran out, and lcores may still hold the view of before */
    bool stepping;
};

/* ---- actions ---- */

static void retire(struct cluster_shell *s, struct cluster_view *view, struct cluster_pong *pong,
                   uint64_t version)
{
    struct retired *r = calloc(1, sizeof(*r));
    CHECK(r);
    *r = (struct retired){
        .grace = qsbr_grace_begin(), .view = view, .pong = pong, .version = version};
    *s->retired_end = r;
    s->retired_end = &r->next;
}

static void publish_view(struct cluster_shell *s, struct cluster_action *a)
{
    uint64_t version = s->published_version = a->view->version;
    struct cluster_view *old = cluster_view_publish(s->host.shared, a->view);
    a->view = NULL;
    retire(s, old, NULL, version);
}

static void publish_pong(struct cluster_shell *s, struct cluster_action *a)
{
    struct cluster_pong *old = cluster_pong_publish(s->host.shared, a->pong);
    a->pong = NULL;
    if (old != NULL)
        retire(s, NULL, old, 0);
}

static struct admin_request **request_place(struct cluster_shell *s, uint64_t id)
{
    struct admin_request **at = &s->waiting;
    while (*at != NULL && (*at)->server_id != id)
        at = &(*at)->next;
    return at;
}

static void answer(struct cluster_shell *s, struct cluster_action *a)
{
    struct admin_request **at = request_place(s, a->reply.id), *request = *at;
    CHECK(request != NULL);
    *at = request->next;
    request->text = a->reply.text;
    request->text_len = a->reply.len;
    a->reply.text = NULL;
    admin_request_answer(request);
}

static void tell(const struct cluster_action *a)
{
    if (a->log.alarm)
        metric_inc(cluster_alarms);
    log_line(a->log.level, "%s", a->log.text);
}

static void end_node(struct cluster_shell *s, const struct cluster_action *a)
{
    tell(a);
    s->host.fatal(s->host.arg, "cluster");
}

static void act(struct cluster_shell *s, struct cluster_action *a, uint64_t now_us)
{
    switch (a->kind) {
    case CLUSTER_ACTION_SEND:
        bus_port_send(s->port, a->send.link, a->send.frame);
        return;
    case CLUSTER_ACTION_OPEN:
        bus_port_open(s->port, a->open.link, a->open.ip, a->open.cport);
        return;
    case CLUSTER_ACTION_CLOSE:
        bus_port_close(s->port, a->open.link);
        return;
    case CLUSTER_ACTION_PERSIST:
        nodes_writer_save(s->writer, a->persist.ticket, a->persist.text, a->persist.len, now_us);
        a->persist.text = NULL;
        return;
    case CLUSTER_ACTION_VIEW:
        publish_view(s, a);
        return;
    case CLUSTER_ACTION_PONG:
        publish_pong(s, a);
        return;
    case CLUSTER_ACTION_REPLY:
        answer(s, a);
        return;
    case CLUSTER_ACTION_DELETE_SLOT:
        s->host.delete_slot(s->host.arg, a->slot);
        return;
    case CLUSTER_ACTION_FLUSH:
        s->host.delete_all(s->host.arg);
        return;
    case CLUSTER_ACTION_DELIVER:
        s->host.deliver(s->host.arg, &a->deliver);
        return;
    case CLUSTER_ACTION_LOG:
        tell(a);
        return;
    case CLUSTER_ACTION_FATAL:
        end_node(s, a);
        return;
    case CLUSTER_ACTION_REPLICATE:
    case CLUSTER_ACTION_REPLICATE_STOP:
    case CLUSTER_ACTION_PAUSE:
    case CLUSTER_ACTION_UNPAUSE:
        return; /* there is no replication: a replica keeps no data and never stands */
    }
}

/* ---- events ---- */

/* From the start of a completed step on, half a node timeout. One that ran out is only renewed when
 * all lcores have seen what the state made of it: a node that stood still serves nobody by a view
 * from before. */
static void lease_renew(struct cluster_shell *s, uint64_t start_us)
{
    s->lapsed |= s->lease_until_us != 0 && start_us >= s->lease_until_us;
    if (s->lapsed && s->settled_version < s->published_version)
        return;
    s->lapsed = false;
    s->lease_until_us = start_us + (uint64_t)s->settings.node_timeout_ms * 500;
    atomic_store_explicit(&s->host.shared->lease_until_us, s->lease_until_us, memory_order_relaxed);
}

static void step(struct cluster_shell *s, struct cluster_event *event)
{
    uint64_t now_us = clock_now_us();
    if (event->now_us == 0)
        event->now_us = now_us;
    event->wall_ms = (uint64_t)clock_wall_refresh_ms();
    CHECK(!s->stepping);
    s->stepping = true;
    cluster_step(s->cluster, event, &s->actions);
    for (size_t i = 0; i < s->actions.count; i++)
        act(s, &s->actions.items[i], now_us);
    cluster_actions_clear(&s->actions);
    s->stepping = false;
    lease_renew(s, now_us);
}

static void on_up(void *arg, cluster_link_id id, struct slice local_ip, struct slice peer_ip)
{
    struct cluster_event event = {.kind = CLUSTER_EVENT_LINK_UP,
                                  .link = {.id = id, .local_ip = local_ip, .peer_ip = peer_ip}};
    step(arg, &event);
}

static void on_failed(void *arg, cluster_link_id id)
{
    struct cluster_event event = {.kind = CLUSTER_EVENT_LINK_FAILED, .link = {.id = id}};
    step(arg, &event);
}

static void on_down(void *arg, cluster_link_id id)
{
    struct cluster_event event = {.kind = CLUSTER_EVENT_LINK_DOWN, .link = {.id = id}};
    step(arg, &event);
}

static bool on_frame(void *arg, cluster_link_id id, const struct bus_frame *frame)
{
    struct cluster_shell *s = arg;
    struct cluster_event event = {
        .kind = CLUSTER_EVENT_FRAME,
        .now_us = frame->arrived_us,
        .frame = {.link = id, .message = &frame->message, .answered = frame->answered}};
    step(s, &event);
    struct cluster_peer peer;
    const uint8_t *sender = frame->message.header.sender;
    return sender == NULL || (cluster_peer_get(s->cluster, (const char *)sender, &peer) &&
                              !(peer.flags & BUS_NODE_HANDSHAKE));
}

static const struct bus_port_user bus_user = {on_up, on_failed, on_down, on_frame};

static void on_saved(void *arg, uint64_t ticket, bool ok, const char *error)
{
    struct cluster_shell *s = arg;
    if (!ok)
        log_warning("The cluster's state cannot be saved: %s", error);
    struct cluster_event event = {.kind = CLUSTER_EVENT_PERSISTED,
                                  .persisted = {.ticket = ticket, .ok = ok}};
    step(s, &event);
}

static uint64_t env_slot_key_count(void *ctx, unsigned slot)
{
    struct cluster_shell *s = ctx;
    return s->host.slot_key_count(s->host.arg, slot);
}

static uint64_t env_key_count(void *ctx)
{
    struct cluster_shell *s = ctx;
    return s->host.key_count(s->host.arg);
}

static void env_buffer(void *ctx, cluster_link_id link, uint64_t *allocated, uint64_t *used)
{
    const struct cluster_shell *s = ctx;
    *allocated = *used = bus_port_queued(s->port, link);
}

enum admin_outcome cluster_shell_serve(struct cluster_shell *s, struct admin_request *request)
{
    request->server_id = ++s->request_id;
    request->next = s->waiting;
    s->waiting = request;
    struct cluster_event event = {.kind = CLUSTER_EVENT_ADMIN,
                                  .admin = {.id = request->server_id,
                                            .argv = request->words,
                                            .argc = request->word_count,
                                            .resp3 = request->resp3}};
    step(s, &event);
    return ADMIN_LATER;
}

void cluster_shell_publish(struct cluster_shell *s, struct slice channel, struct slice message,
                           bool sharded)
{
    struct cluster_event event = {
        .kind = CLUSTER_EVENT_PUBLISH,
        .publish = {.channel = channel, .message = message, .sharded = sharded}};
    step(s, &event);
}

/* ---- rounds ---- */

/* Frees what no lcore reads any more, and tells the state which view all have seen. */
static void collect(struct cluster_shell *s)
{
    uint64_t settled = 0;
    while (s->retired != NULL && qsbr_grace_passed(s->retired->grace)) {
        struct retired *r = s->retired;
        s->retired = r->next;
        if (s->retired == NULL)
            s->retired_end = &s->retired;
        if (r->version > settled)
            settled = r->version;
        qsbr_grace_free(r->grace);
        free(r->view);
        free(r->pong);
        free(r);
    }
    if (settled == 0)
        return;
    s->settled_version = settled;
    struct cluster_event event = {.kind = CLUSTER_EVENT_SETTLED, .settled = {.version = settled}};
    step(s, &event);
}

static void follow_config(struct cluster_shell *s)
{
    char err[CLUSTER_SHELL_ERROR_SIZE];
    struct cluster_config settings;
    if (s->config == config_get())
        return;
    s->config = config_get();
    if (!cluster_settings_from(s->config, &settings, err) ||
        memcmp(&settings, &s->settings, sizeof(settings)) == 0)
        return;
    s->settings = settings;
    struct cluster_event event = {.kind = CLUSTER_EVENT_CONFIG, .config = &s->settings};
    step(s, &event);
}

void cluster_shell_round(struct cluster_shell *s, uint64_t now_us)
{
    bus_port_tick(s->port);
    collect(s);
    if (now_us < s->tick_due_us)
        return;
    follow_config(s);
    struct cluster_event event = {.kind = CLUSTER_EVENT_TICK};
    step(s, &event);
    s->tick_due_us = cluster_next_us(s->cluster);
}

uint64_t cluster_shell_next_us(const struct cluster_shell *s)
{
    uint64_t poll_us = s->retired != NULL ? clock_now_us() + GRACE_POLL_US : UINT64_MAX;
    uint64_t next_us = cluster_next_us(s->cluster);
    return poll_us < next_us ? poll_us : next_us;
}

/* ---- life ---- */

/* NULL with *ok: there is no file yet. */
static struct nodes_conf *conf_read(struct nodes_file *file, bool *ok,
                                    char err[CLUSTER_SHELL_ERROR_SIZE])
{
    char why[NODES_FILE_ERROR_SIZE > NODES_CONF_ERROR_SIZE ? NODES_FILE_ERROR_SIZE
                                                           : NODES_CONF_ERROR_SIZE];
    char *text;
    size_t len;
    *ok = nodes_file_read(file, &text, &len, why);
    if (!*ok)
        snprintf(err, CLUSTER_SHELL_ERROR_SIZE, "cluster-config-file: %s", why);
    if (!*ok || text == NULL)
        return NULL;
    struct nodes_conf *conf = nodes_conf_parse(slice_from(text, len), why);
    free(text);
    *ok = conf != NULL;
    if (!*ok)
        snprintf(err, CLUSTER_SHELL_ERROR_SIZE,
                 "cluster-config-file '%s' is damaged: %s. It is left as it is; restore it, or "
                 "remove it to start as a new node",
                 config_get()->cluster_config_file, why);
    return conf;
}

static bool state_build(struct cluster_shell *s, char err[CLUSTER_SHELL_ERROR_SIZE])
{
    bool ok;
    uint64_t seed;
    struct nodes_conf *saved = conf_read(s->file, &ok, err);
    if (!ok)
        return false;
    const struct cluster_env env = {.ctx = s,
                                    .slot_key_count = env_slot_key_count,
                                    .key_count = env_key_count,
                                    .link_buffer = env_buffer};
    random_secret(&seed, sizeof(seed));
    s->cluster = cluster_new(&s->settings, &env, saved, seed);
    if (saved != NULL)
        nodes_conf_free(saved);
    if (s->cluster == NULL)
        snprintf(err, CLUSTER_SHELL_ERROR_SIZE, "cluster-config-file does not name this node");
    return s->cluster != NULL;
}

static bool shell_build(struct cluster_shell *s, char err[CLUSTER_SHELL_ERROR_SIZE])
{
    char why[NODES_FILE_ERROR_SIZE];
    s->config = config_get();
    if (!cluster_settings_from(s->config, &s->settings, err))
        return false;
    s->file = nodes_file_open(s->config->cluster_config_file, why);
    if (s->file == NULL) {
        snprintf(err, CLUSTER_SHELL_ERROR_SIZE, "cluster-config-file: %s", why);
        return false;
    }
    if (!state_build(s, err))
        return false;
    s->writer = nodes_writer_start(s->file, s->control, on_saved, s);
    if (s->writer == NULL)
        snprintf(err, CLUSTER_SHELL_ERROR_SIZE, "no thread can be made for cluster-config-file");
    return s->writer != NULL;
}

struct cluster_shell *cluster_shell_new(const struct cluster_host *host, struct mailbox *control,
                                        char err[CLUSTER_SHELL_ERROR_SIZE])
{
    struct cluster_shell *s = calloc(1, sizeof(*s));
    CHECK(s);
    s->host = *host;
    s->control = control;
    s->retired_end = &s->retired;
    cluster_actions_init(&s->actions);
    s->port = bus_port_new(control, &bus_user, s);
    if (shell_build(s, err))
        return s;
    cluster_shell_stop(s);
    cluster_shell_free(s);
    return NULL;
}

struct bus_path *cluster_shell_path(struct cluster_shell *s, unsigned lcore)
{
    return bus_port_path(s->port, lcore);
}

uint16_t cluster_shell_bus_port(const struct cluster_shell *s)
{
    return s->settings.cport;
}

void cluster_shell_start(struct cluster_shell *s, unsigned lcore_count, uint64_t now_us)
{
    bus_port_start(s->port, lcore_count);
    cluster_shell_round(s, now_us);
}

void cluster_shell_stop(struct cluster_shell *s)
{
    bus_port_stop(s->port);
    if (s->writer != NULL)
        nodes_writer_stop(s->writer);
    struct admin_request *request;
    while ((request = s->waiting) != NULL) {
        s->waiting = request->next;
        admin_request_free(request);
    }
}

/* False: the disk does not answer; the thread keeps what it has. */
static bool writer_ended(struct cluster_shell *s)
{
    uint64_t until_us = clock_now_us() + STOP_WAIT_US;
    while (!nodes_writer_stopped(s->writer)) {
        if (clock_now_us() > until_us)
            return false;
        usleep(1000);
    }
    nodes_writer_free(s->writer);
    return true;
}

void cluster_shell_free(struct cluster_shell *s)
{
    bool ended = s->writer == NULL || writer_ended(s);
    bus_port_free(s->port);
    if (s->file != NULL && ended)
        nodes_file_close(s->file);
    while (s->retired != NULL) {
        struct retired *r = s->retired;
        s->retired = r->next;
        while (!qsbr_grace_passed(r->grace))
            qsbr_quiescent();
        qsbr_grace_free(r->grace);
        free(r->view);
        free(r->pong);
        free(r);
    }
    free(cluster_view_publish(s->host.shared, NULL));
    free(cluster_pong_publish(s->host.shared, NULL));
    if (s->cluster != NULL)
        cluster_free(s->cluster);
    cluster_actions_free(&s->actions);
    free(s);
}
