/* What a node with one client at a time would do: a few string keys, their expiry left to chance,
 * and what each client watches. Sequential and pure; the checker of histories runs it.
 *
 * Replies are in a short form, one line each: "$text", "_" (nothing), ":1", "+OK", "-ERR …", "*2".
 * Long values end in FILL_BYTES letters x, which the short form writes as one #. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_KEYS 6
#define MODEL_CLIENTS 4
#define MODEL_VALUE_MAX 250
#define COMMAND_KEYS_MAX 3
#define OPERATION_COMMANDS_MAX 3
#define REPLY_MAX 2560
#define FILL_BYTES 5000

enum command_kind {
    GET,
    STRLEN,
    MGET,
    EXISTS,
    SET,
    SET_PX, /* in a millisecond it is gone, or later */
    SETNX,
    GETSET,
    MSET,
    MSETNX,
    INCR,
    APPEND,
    DEL,
    GETDEL,
    RENAME,
    COPY_REPLACE,
    WATCH,
    FLUSHALL,
    COMMAND_KINDS
};

struct command_call {
    enum command_kind kind;
    uint8_t key_count; /* distinct ones */
    uint8_t keys[COMMAND_KEYS_MAX];
    char values[COMMAND_KEYS_MAX][12]; /* one per key that is set; short form */
};

/* One step of a client: a command, or what stands between MULTI and EXEC. */
struct operation {
    bool exec;
    uint8_t command_count;
    struct command_call commands[OPERATION_COMMANDS_MAX];
    /* What happened. */
    uint64_t began_ns, ended_ns;
    char reply[REPLY_MAX];
};

struct model_value {
    bool exists, expires;
    uint8_t len;
    char text[MODEL_VALUE_MAX + 1]; /* zeros behind its end: states are compared as bytes */
};

struct model_client {
    uint8_t watches; /* a bit per key */
    bool dirty;
};

struct model {
    struct model_value keys[MODEL_KEYS];
    struct model_client clients[MODEL_CLIENTS];
};

struct model_reply {
    size_t len;
    char text[REPLY_MAX];
};

void model_value_set(struct model_value *v, const char *text, bool expires);
/* A key's time has come. */
void model_expire(struct model *m, unsigned key);
/* Executes the operation of a client; the whole reply goes to *reply. */
void model_apply(struct model *m, unsigned client, const struct operation *o,
                 struct model_reply *reply);
void model_reply_begin(struct model_reply *reply);
void model_reply_add(struct model_reply *reply, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The bytes that a value in short form stands for. */
size_t model_text_bytes(const char *text);
const char *command_kind_name(enum command_kind kind);
