#include "model.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "check.h"
#include "numbers.h"

void model_reply_begin(struct model_reply *reply)
{
    reply->len = 0;
    reply->text[0] = '\0';
}

void model_reply_add(struct model_reply *reply, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(reply->text + reply->len, sizeof(reply->text) - reply->len, format, args);
    va_end(args);
    CHECK(len >= 0);
    CHECK((size_t)len < sizeof(reply->text) - reply->len);
    reply->len += (size_t)len;
}

size_t model_text_bytes(const char *text)
{
    size_t bytes = 0;
    for (; *text; text++)
        bytes += *text == '#' ? FILL_BYTES : 1;
    return bytes;
}

const char *command_kind_name(enum command_kind kind)
{
    static const char *const names[COMMAND_KINDS] = {
        [GET] = "GET",     [STRLEN] = "STRLEN",     [MGET] = "MGET",     [EXISTS] = "EXISTS",
        [SET] = "SET",     [SET_PX] = "SET",        [SETNX] = "SETNX",   [GETSET] = "GETSET",
        [MSET] = "MSET",   [MSETNX] = "MSETNX",     [INCR] = "INCR",     [APPEND] = "APPEND",
        [DEL] = "DEL",     [GETDEL] = "GETDEL",     [RENAME] = "RENAME", [COPY_REPLACE] = "COPY",
        [WATCH] = "WATCH", [FLUSHALL] = "FLUSHALL",
    };
    return names[kind];
}

/* ---- changing ---- */

void model_value_set(struct model_value *v, const char *text, bool expires)
{
    size_t len = strlen(text);
    CHECK(len <= MODEL_VALUE_MAX);
    v->exists = true;
    v->expires = expires;
    v->len = (uint8_t)len;
    memset(v->text, 0, sizeof(v->text));
    memcpy(v->text, text, len);
}

static void touch(struct model *m, unsigned key)
{
    for (unsigned i = 0; i < MODEL_CLIENTS; i++)
        if (m->clients[i].watches >> key & 1)
            m->clients[i].dirty = true;
}

static void store(struct model *m, unsigned key, const char *text, bool expires)
{
    model_value_set(&m->keys[key], text, expires);
    touch(m, key);
}

static bool drop(struct model *m, unsigned key)
{
    if (!m->keys[key].exists)
        return false;
    memset(&m->keys[key], 0, sizeof(m->keys[key]));
    touch(m, key);
    return true;
}

void model_expire(struct model *m, unsigned key)
{
    CHECK(m->keys[key].expires);
    drop(m, key);
}

static void append(struct model *m, unsigned key, const char *text)
{
    struct model_value *v = &m->keys[key];
    char longer[2 * MODEL_VALUE_MAX];
    snprintf(longer, sizeof(longer), "%s%s", v->text, text);
    store(m, key, longer, v->expires);
}

static void copy(struct model *m, unsigned from, unsigned to)
{
    struct model_value v = m->keys[from];
    store(m, to, v.text, v.expires);
}

static void unwatch(struct model_client *c)
{
    c->watches = 0;
    c->dirty = false;
}

/* ---- commands ---- */

static void reply_value(struct model_reply *r, const struct model_value *v)
{
    if (v->exists)
        model_reply_add(r, "$%s\n", v->text);
    else
        model_reply_add(r, "_\n");
}

static unsigned count_existing(const struct model *m, const struct command_call *c)
{
    unsigned n = 0;
    for (unsigned i = 0; i < c->key_count; i++)
        n += m->keys[c->keys[i]].exists;
    return n;
}

static void apply_read(const struct model *m, const struct command_call *c, struct model_reply *r)
{
    const struct model_value *v = &m->keys[c->keys[0]];
    if (c->kind == GET) {
        reply_value(r, v);
    } else if (c->kind == STRLEN) {
        model_reply_add(r, ":%zu\n", model_text_bytes(v->text));
    } else if (c->kind == EXISTS) {
        model_reply_add(r, ":%u\n", count_existing(m, c));
    } else {
        model_reply_add(r, "*%u\n", c->key_count);
        for (unsigned i = 0; i < c->key_count; i++)
            reply_value(r, &m->keys[c->keys[i]]);
    }
}

static void store_all(struct model *m, const struct command_call *c)
{
    for (unsigned i = 0; i < c->key_count; i++)
        store(m, c->keys[i], c->values[i], false);
}

static void apply_store(struct model *m, const struct command_call *c, struct model_reply *r)
{
    unsigned key = c->keys[0];
    bool free = count_existing(m, c) == 0;
    switch (c->kind) {
    case SET_PX:
        store(m, key, c->values[0], true);
        model_reply_add(r, "+OK\n");
        break;
    case GETSET:
        reply_value(r, &m->keys[key]);
        store(m, key, c->values[0], false);
        break;
    case SETNX:
    case MSETNX:
        if (free)
            store_all(m, c);
        model_reply_add(r, ":%d\n", free);
        break;
    default: /* SET, MSET */
        store_all(m, c);
        model_reply_add(r, "+OK\n");
    }
}

static void apply_edit(struct model *m, const struct command_call *c, struct model_reply *r)
{
    unsigned key = c->keys[0];
    struct model_value *v = &m->keys[key];
    int64_t number = 0;
    char text[NUMBER_TEXT_SIZE + 1];
    if (c->kind == APPEND) {
        append(m, key, c->values[0]);
        model_reply_add(r, ":%zu\n", model_text_bytes(v->text));
    } else if (v->exists && !parse_i64(slice_from(v->text, v->len), &number)) {
        model_reply_add(r, "-ERR value is not an integer or out of range\n");
    } else {
        text[format_i64(text, number + 1)] = '\0';
        store(m, key, text, v->expires);
        model_reply_add(r, ":%s\n", text);
    }
}

static void apply_removal(struct model *m, const struct command_call *c, struct model_reply *r)
{
    unsigned removed = 0;
    if (c->kind == GETDEL)
        reply_value(r, &m->keys[c->keys[0]]);
    for (unsigned i = 0; i < c->key_count; i++)
        removed += drop(m, c->keys[i]);
    if (c->kind == DEL)
        model_reply_add(r, ":%u\n", removed);
}

static void apply_move(struct model *m, const struct command_call *c, struct model_reply *r)
{
    bool exists = m->keys[c->keys[0]].exists;
    if (exists)
        copy(m, c->keys[0], c->keys[1]);
    if (c->kind == COPY_REPLACE) {
        model_reply_add(r, ":%d\n", exists);
    } else if (exists) {
        drop(m, c->keys[0]);
        model_reply_add(r, "+OK\n");
    } else {
        model_reply_add(r, "-ERR no such key\n");
    }
}

static void apply_command(struct model *m, unsigned client, const struct command_call *c,
                          struct model_reply *r)
{
    if (c->kind <= EXISTS) {
        apply_read(m, c, r);
    } else if (c->kind <= MSETNX) {
        apply_store(m, c, r);
    } else if (c->kind <= APPEND) {
        apply_edit(m, c, r);
    } else if (c->kind <= GETDEL) {
        apply_removal(m, c, r);
    } else if (c->kind <= COPY_REPLACE) {
        apply_move(m, c, r);
    } else if (c->kind == WATCH) {
        m->clients[client].watches |= (uint8_t)(1u << c->keys[0]);
        model_reply_add(r, "+OK\n");
    } else {
        for (unsigned i = 0; i < MODEL_KEYS; i++)
            drop(m, i);
        model_reply_add(r, "+OK\n");
    }
}

void model_apply(struct model *m, unsigned client, const struct operation *o,
                 struct model_reply *reply)
{
    model_reply_begin(reply);
    if (!o->exec) {
        apply_command(m, client, &o->commands[0], reply);
        return;
    }
    bool dirty = m->clients[client].dirty;
    unwatch(&m->clients[client]);
    if (dirty) {
        model_reply_add(reply, "_\n");
        return;
    }
    model_reply_add(reply, "*%u\n", o->command_count);
    for (unsigned i = 0; i < o->command_count; i++)
        apply_command(m, client, &o->commands[i], reply);
}
