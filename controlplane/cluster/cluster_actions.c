#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cluster_state.h"

void cluster_actions_init(struct cluster_actions *actions)
{
    memset(actions, 0, sizeof(*actions));
}

void cluster_actions_clear(struct cluster_actions *actions)
{
    for (size_t i = 0; i < actions->count; i++) {
        struct cluster_action *a = &actions->items[i];
        if (a->kind == CLUSTER_ACTION_SEND)
            cluster_frame_put(a->send.frame);
        else if (a->kind == CLUSTER_ACTION_PERSIST)
            free(a->persist.text);
        else if (a->kind == CLUSTER_ACTION_VIEW)
            free(a->view);
        else if (a->kind == CLUSTER_ACTION_PONG)
            free(a->pong);
        else if (a->kind == CLUSTER_ACTION_REPLY)
            free(a->reply.text);
    }
    actions->count = 0;
}

void cluster_actions_free(struct cluster_actions *actions)
{
    cluster_actions_clear(actions);
    free(actions->items);
    memset(actions, 0, sizeof(*actions));
}

struct cluster_action *cluster_emit(struct cluster *c, enum cluster_action_kind kind)
{
    struct cluster_actions *out = c->out;
    if (out->count == out->size) {
        out->size = out->size ? out->size * 2 : 16;
        out->items = realloc(out->items, out->size * sizeof(*out->items));
        CHECK(out->items);
    }
    struct cluster_action *action = &out->items[out->count++];
    memset(action, 0, sizeof(*action));
    action->kind = kind;
    return action;
}

static void log_emit(struct cluster *c, enum log_level level, bool alarm, const char *format,
                     va_list args)
{
    struct cluster_action *action = cluster_emit(c, CLUSTER_ACTION_LOG);
    action->log.level = level;
    action->log.alarm = alarm;
    vsnprintf(action->log.text, sizeof(action->log.text), format, args);
}

void cluster_log(struct cluster *c, enum log_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_emit(c, level, false, format, args);
    va_end(args);
}

void cluster_alarm(struct cluster *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_emit(c, LOG_LEVEL_WARNING, true, format, args);
    va_end(args);
}

void cluster_frame_put(struct cluster_frame *frame)
{
    CHECK(frame->refs > 0);
    if (--frame->refs == 0)
        free(frame);
}

void cluster_send(struct cluster *c, cluster_link_id link, struct cluster_frame *frame)
{
    const struct cluster_link *l = cluster_link_find(c, link);
    if (!l || !l->up)
        return;
    unsigned type = bus_load16(frame->bytes + BUS_AT_TYPE);
    CHECK(type < BUS_TYPE_COUNT);
    c->counts.sent[type]++;
    c->counts.bytes_sent += frame->len;
    struct cluster_action *action = cluster_emit(c, CLUSTER_ACTION_SEND);
    action->send.link = link;
    action->send.frame = frame;
    frame->refs++;
}

void cluster_send_durable(struct cluster *c, cluster_link_id link, struct cluster_frame *frame,
                          uint64_t ticket)
{
    if (ticket <= c->ticket_durable) {
        cluster_send(c, link, frame);
        return;
    }
    if (c->held_count == CLUSTER_HELD_MAX)
        return; /* as if it were lost: the other side asks again */
    if (c->held_count == c->held_size) {
        c->held_size = c->held_size ? c->held_size * 2 : 16;
        c->held = realloc(c->held, c->held_size * sizeof(*c->held));
        CHECK(c->held);
    }
    c->held[c->held_count++] = (struct cluster_held){ticket, link, frame};
    frame->refs++;
}

void cluster_held_release(struct cluster *c)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->held_count; i++) {
        if (c->held[i].ticket > c->ticket_durable) {
            c->held[kept++] = c->held[i];
            continue;
        }
        cluster_send(c, c->held[i].link, c->held[i].frame);
        cluster_frame_put(c->held[i].frame);
    }
    c->held_count = kept;
}

void cluster_held_drop(struct cluster *c)
{
    for (uint32_t i = 0; i < c->held_count; i++)
        cluster_frame_put(c->held[i].frame);
    c->held_count = 0;
}

void cluster_held_drop_link(struct cluster *c, cluster_link_id link)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->held_count; i++) {
        if (c->held[i].link == link)
            cluster_frame_put(c->held[i].frame);
        else
            c->held[kept++] = c->held[i];
    }
    c->held_count = kept;
}
