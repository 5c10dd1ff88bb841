#include <stdio.h>
#include <stdlib.h>
#include "batch.h"
#include "check.h"
#include "command.h"
#include "config.h"
#include "metrics.h"
#include "session.h"

/* A session whose input is being parsed in this batch. */
struct batch_input {
    struct session *session;
    struct slice data; /* what session_input_begin() gave */
    size_t parsed;     /* bytes of data that are parsed */
    char error[64];    /* not "": the protocol was broken behind the parsed commands */
    bool held;         /* parked or paused: parsed commands behind that point were taken back */
    bool starved;      /* parsed to the end, or to an unfinished command */
};

struct batch_item {
    struct batch_input *input;
    size_t start; /* where in its input the command begins */
    const struct slice *argv;
    uint32_t argc;
    struct command_hint hint;
};

struct batch {
    struct batch_item items[BATCH_COMMANDS];
    struct slice slices[BATCH_SLICES];
    struct batch_input inputs[BATCH_SESSIONS];
    uint32_t item_count, slice_count, input_count;
};

struct batch *batch_new(void)
{
    return calloc(1, sizeof(struct batch));
}

void batch_free(struct batch *b)
{
    free(b);
}

void batch_ready(struct lcore *l, struct session *s)
{
    if (s->flags & SESSION_READABLE)
        return;
    s->flags |= SESSION_READABLE;
    s->ready_next = NULL;
    if (l->ready_tail != NULL)
        l->ready_tail->ready_next = s;
    else
        l->ready_head = s;
    l->ready_tail = s;
}

static struct session *batch_next_ready(struct lcore *l)
{
    struct session *s = l->ready_head;
    if (s == NULL)
        return NULL;
    l->ready_head = s->ready_next;
    if (l->ready_head == NULL)
        l->ready_tail = NULL;
    s->ready_next = NULL;
    s->flags &= ~(uint32_t)SESSION_READABLE;
    return s;
}

void batch_drop_closing(struct lcore *l)
{
    struct session *s = l->ready_head;
    l->ready_head = l->ready_tail = NULL;
    while (s != NULL) {
        struct session *next = s->ready_next;
        s->flags &= ~(uint32_t)SESSION_READABLE;
        if (!(s->flags & SESSION_CLOSING))
            batch_ready(l, s);
        s = next;
    }
}

/* Commands that were parsed behind a parking or paused one go back: they are parsed again later. */
static void batch_hold(struct batch_input *in, size_t from)
{
    in->held = true;
    in->starved = false;
    in->parsed = from;
    in->error[0] = 0;
    resp_parser_free(&in->session->parser);
    resp_parser_init(&in->session->parser);
}

static uint32_t batch_execute(struct lcore *l, struct batch *b)
{
    for (uint32_t i = 0; i < b->item_count; i++)
        command_prefetch_slot(&l->worker, b->items[i].argv, b->items[i].argc, &b->items[i].hint);
    for (uint32_t i = 0; i < b->item_count; i++)
        command_prefetch_bucket(&l->worker, &b->items[i].hint);
    for (uint32_t i = 0; i < b->item_count; i++)
        command_prefetch_entry(&l->worker, &b->items[i].hint);
    uint32_t executed = 0;
    for (uint32_t i = 0; i < b->item_count; i++) {
        struct batch_item *item = &b->items[i];
        struct session *s = item->input->session;
        if (item->input->held || (s->flags & (SESSION_CLOSING | SESSION_CLOSE_AFTER_REPLY)))
            continue;
        if (s->flags & (SESSION_PARKED | SESSION_PAUSED)) {
            batch_hold(item->input, item->start);
            continue;
        }
        command_execute(s, item->argv, item->argc, &item->hint);
        if (s->flags & SESSION_PAUSED)
            batch_hold(item->input, item->start); /* it was not executed */
        else
            executed++;
    }
    b->item_count = 0;
    b->slice_count = 0;
    return executed;
}

/* One more command of an input; false: nothing more is to be had from it in this batch. */
static bool batch_parse_one(struct batch *b, struct batch_input *in,
                            const struct resp_limits *limits, bool *table_borrowed)
{
    struct session *s = in->session;
    struct slice rest = slice_from(in->data.data + in->parsed, in->data.len - in->parsed);
    if (rest.len == 0) {
        in->starved = true;
        return false;
    }
    struct resp_command cmd;
    struct slice *room = &b->slices[b->slice_count];
    switch (resp_parse(&s->parser, rest, limits, room, BATCH_SLICES - b->slice_count, &cmd)) {
    case RESP_COMMAND: {
        struct batch_item *item = &b->items[b->item_count++];
        item->input = in;
        item->start = in->parsed;
        item->argv = cmd.argv;
        item->argc = cmd.argc;
        in->parsed += cmd.consumed;
        if (cmd.argv == room)
            b->slice_count += cmd.argc;
        /* The parser's own table or unquoted bytes: valid until the next parse. */
        *table_borrowed = resp_parser_lends(&s->parser);
        return true;
    }
    case RESP_NOTHING:
        in->parsed += cmd.consumed;
        return true;
    case RESP_INVALID:
        snprintf(in->error, sizeof(in->error), "%s", cmd.error);
        return false;
    case RESP_MORE:
        in->starved = true;
        break;
    }
    return false;
}

static uint32_t batch_parse_session(struct lcore *l, struct batch *b, struct batch_input *in)
{
    struct session *s = in->session;
    uint32_t executed = 0, parsed = 0;
    bool more = true;
    while (more && !in->held && parsed < BATCH_SESSION_COMMANDS &&
           !(s->flags & (SESSION_CLOSING | SESSION_CLOSE_AFTER_REPLY))) {
        struct resp_limits limits = session_parse_limits(s);
        bool table_borrowed = false;
        more = batch_parse_one(b, in, &limits, &table_borrowed);
        parsed++;
        /* AUTH changes the limits of what follows it, so strangers get one command at a time. */
        if (b->item_count == BATCH_COMMANDS || b->slice_count > BATCH_SLICES - 16 ||
            table_borrowed || !limits.authenticated)
            executed += batch_execute(l, b);
    }
    return executed;
}

static void batch_finish_input(struct lcore *l, struct batch_input *in)
{
    struct session *s = in->session;
    if (s->flags & SESSION_CLOSING)
        return;
    if (in->error[0] != 0 && !(s->flags & SESSION_CLOSE_AFTER_REPLY))
        session_protocol_error(s, in->error);
    bool alive = session_input_done(s, in->parsed);
    session_flush(s);
    if (!alive || (s->flags &
                   (SESSION_CLOSING | SESSION_CLOSE_AFTER_REPLY | SESSION_PARKED | SESSION_PAUSED)))
        return;
    if (!in->starved || s->stream->ops->peek(s->stream).len > 0)
        batch_ready(l, s);
    else if (s->flags & SESSION_EOF)
        session_close(s, true);
}

static uint32_t batch_finish(struct lcore *l, struct batch *b)
{
    uint32_t executed = batch_execute(l, b);
    for (uint32_t i = 0; i < b->input_count; i++)
        batch_finish_input(l, &b->inputs[i]);
    b->input_count = 0;
    return executed;
}

uint32_t batch_run(struct lcore *l)
{
    struct batch *b = l->batch;
    struct session *last = l->ready_tail; /* sessions that become ready meanwhile wait a round */
    uint32_t executed = 0;
    for (bool more = last != NULL; more && executed < BATCH_ROUND_COMMANDS;) {
        struct session *s = batch_next_ready(l);
        if (s == NULL)
            break;
        more = s != last;
        if (s->flags & (SESSION_CLOSING | SESSION_PARKED | SESSION_PAUSED))
            continue;
        struct batch_input *in = &b->inputs[b->input_count++];
        *in = (struct batch_input){.session = s, .data = session_input_begin(s)};
        executed += batch_parse_session(l, b, in);
        if (b->input_count == BATCH_SESSIONS)
            executed += batch_finish(l, b);
    }
    return executed + batch_finish(l, b);
}
