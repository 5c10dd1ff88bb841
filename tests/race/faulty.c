#include "faulty.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *fault_name(enum fault fault)
{
    static const char *const names[FAULTS] = {
        [FAULT_NONE] = "none",
        [FAULT_MSET_IN_STEPS] = "MSET key by key",
        [FAULT_MGET_IN_STEPS] = "MGET key by key",
        [FAULT_EXEC_IN_STEPS] = "EXEC command by command",
        [FAULT_RENAME_IN_STEPS] = "RENAME by GETDEL and SET",
        [FAULT_INCR_IN_STEPS] = "INCR by GET and SET",
        [FAULT_STALE_GET] = "GET of an earlier value",
        [FAULT_LOST_SET] = "SET that is not stored",
    };
    return names[fault];
}

/* One command; its reply is added to *all. */
static void step(struct lane *l, const struct command_call *c, struct operation *part,
                 struct model_reply *all)
{
    part->exec = false;
    part->command_count = 1;
    part->commands[0] = *c;
    lane_do(l, part, 1);
    model_reply_add(all, "%s", part->reply);
    disturb_sleep_us(rng_below(&l->noise, 20));
}

/* The call with only its key number i, as another kind of command. */
static struct command_call with_key(const struct command_call *c, enum command_kind kind,
                                    unsigned i)
{
    struct command_call one = {.kind = kind, .key_count = 1, .keys = {c->keys[i]}};
    memcpy(one.values[0], c->values[i], sizeof(one.values[0]));
    return one;
}

static void keys_in_steps(struct lane *l, const struct command_call *c, struct operation *part,
                          struct model_reply *all)
{
    if (c->kind == MGET)
        model_reply_add(all, "*%u\n", c->key_count);
    for (unsigned i = 0; i < c->key_count; i++) {
        struct command_call one = with_key(c, c->kind == MGET ? GET : SET, i);
        step(l, &one, part, all);
    }
    if (c->kind == MSET) {
        model_reply_begin(all);
        model_reply_add(all, "+OK\n");
    }
}

static void commands_in_steps(struct lane *l, const struct operation *o, struct operation *part,
                              struct model_reply *all)
{
    model_reply_add(all, "*%u\n", o->command_count);
    for (unsigned i = 0; i < o->command_count; i++)
        step(l, &o->commands[i], part, all);
}

static void rename_in_steps(struct lane *l, const struct command_call *c, struct operation *part,
                            struct model_reply *all)
{
    struct command_call take = with_key(c, GETDEL, 0), put = with_key(c, SET, 1);
    step(l, &take, part, all);
    bool exists = part->reply[0] == '$';
    if (exists && strlen(part->reply) < sizeof(put.values[0])) {
        sscanf(part->reply, "$%11s", put.values[0]);
        step(l, &put, part, all);
    }
    model_reply_begin(all);
    model_reply_add(all, exists ? "+OK\n" : "-ERR no such key\n");
}

static void incr_in_steps(struct lane *l, const struct command_call *c, struct operation *part,
                          struct model_reply *all)
{
    struct command_call get = with_key(c, GET, 0), put = with_key(c, SET, 0);
    step(l, &get, part, all);
    if (strlen(part->reply) < sizeof(put.values[0]) && !strchr(part->reply, '#')) {
        int number = part->reply[0] == '$' ? atoi(part->reply + 1) + 1 : 1;
        snprintf(put.values[0], sizeof(put.values[0]), "%d", number);
        step(l, &put, part, all);
        model_reply_begin(all);
        model_reply_add(all, ":%d\n", number);
    } else {
        step(l, c, part, all);
        model_reply_begin(all);
        model_reply_add(all, "%s", part->reply);
    }
}

/* True: the reply stays as it was when this lane last looked. */
static void stale_get(struct lane *l, const struct command_call *c, struct operation *part,
                      struct model_reply *all)
{
    static _Thread_local char seen[MODEL_KEYS][REPLY_MAX];
    char *old = seen[c->keys[0]];
    step(l, c, part, all);
    if (*old) {
        model_reply_begin(all);
        model_reply_add(all, "%s", old);
        *old = '\0';
    } else {
        strcpy(old, part->reply);
    }
}

static bool lost_set(struct lane *l, struct model_reply *all)
{
    if (rng_below(&l->noise, 20) != 0)
        return false;
    model_reply_add(all, "+OK\n");
    return true;
}

static bool run(struct lane *l, enum fault fault, const struct operation *o, struct operation *part,
                struct model_reply *all)
{
    const struct command_call *c = &o->commands[0];
    if (o->exec) {
        if (fault != FAULT_EXEC_IN_STEPS)
            return false;
        commands_in_steps(l, o, part, all);
    } else if (fault == FAULT_MSET_IN_STEPS && c->kind == MSET) {
        keys_in_steps(l, c, part, all);
    } else if (fault == FAULT_MGET_IN_STEPS && c->kind == MGET) {
        keys_in_steps(l, c, part, all);
    } else if (fault == FAULT_RENAME_IN_STEPS && c->kind == RENAME) {
        rename_in_steps(l, c, part, all);
    } else if (fault == FAULT_INCR_IN_STEPS && c->kind == INCR) {
        incr_in_steps(l, c, part, all);
    } else if (fault == FAULT_STALE_GET && c->kind == GET) {
        stale_get(l, c, part, all);
    } else {
        return fault == FAULT_LOST_SET && c->kind == SET && lost_set(l, all);
    }
    return true;
}

bool faulty_do(struct lane *l, enum fault fault, struct operation *o)
{
    struct operation part;
    struct model_reply all;
    uint64_t began_ns = lane_now_ns();
    model_reply_begin(&all);
    if (fault == FAULT_NONE || !run(l, fault, o, &part, &all))
        return false;
    o->began_ns = began_ns;
    o->ended_ns = lane_now_ns();
    strcpy(o->reply, all.text);
    return true;
}
