/* One declarative table of commands: COMMAND, dispatch, key extraction, help and docs are generated
 * from it. Rows stand in one *.def file per family, handlers in the file of the same name.
 *
 *   COMMAND(.name = "get", .handler = cmd_get, .arity = 2,
 *           .flags = CMD_READONLY | CMD_FAST | CMD_LOCK_NONE, .acl = ACL_READ | ACL_STRING |
 * ACL_FAST, .keys = {{.flags = KEY_RO | KEY_ACCESS, .begin = 1}}, .group = "string", .since =
 * "1.0.0", .complexity = "O(1)", .summary = "Get the value of a key", .args = ARGS(ARG("key",
 * "key", .key_spec = 1)))
 *
 * and where needed .subcommands = SUBCOMMANDS(SUB(.name = "list", …) SUB(…)) (no commas between),
 * .tips = TIPS("nondeterministic_output"), ARG("x", "block", .children = ARGS(…)). A key range with
 * step 0 means step 1. families.h, generated, declares every handler that a row names: <family>.c
 * includes it. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "keyspace.h"
#include "reply.h"
#include "slice.h"
#include "worker.h"

struct session;
struct command;
struct work;

/* What a handler leaves to dispatch. */
enum call_verdict {
    CALL_DONE,
    CALL_LONG,    /* nothing done yet: run it in pieces (work.h) */
    CALL_WHOLE,   /* the same, and nothing may change meanwhile, whichever key it has */
    CALL_BLOCKED, /* nothing done: somebody works under a claim on one of its keys */
};

/* One command being executed. Everything in it is borrowed for the time of the call. */
struct call {
    struct worker *worker;
    struct session *session;
    struct ks *ks;
    struct reply *reply;
    const struct command *command; /* the subcommand where there is one */
    const struct slice *argv;
    uint32_t argc;
    bool asking; /* ASKING came before it; remembered, since the command may have to wait */
    const struct key *first_key; /* hashed already; NULL: not known before keys are */
    struct key *keys; /* hashed keys in order of appearance */
    uint32_t key_count;
    bool in_exec;               /* locks, or a claim, are held by EXEC */
    bool paced;                 /* runs in pieces: call_pace() may let others run */
    uint8_t verdict;            /* enum call_verdict */
    struct work *work;          /* under a claim: nothing to lock around the handler */
    const struct key *wait_for; /* CALL_BLOCKED by a key that is none of keys */
};

typedef void (*command_fn)(struct call *c);

enum command_flags {
    /* Redis' flags, as COMMAND INFO shows them. */
    CMD_WRITE = 1 << 0,
    CMD_READONLY = 1 << 1,
    CMD_DENYOOM = 1 << 2,
    CMD_ADMIN = 1 << 3,
    CMD_PUBSUB = 1 << 4,
    CMD_NOSCRIPT = 1 << 5,
    CMD_BLOCKING = 1 << 6,
    CMD_LOADING = 1 << 7,
    CMD_STALE = 1 << 8,
    CMD_SKIP_MONITOR = 1 << 9,
    CMD_SKIP_SLOWLOG = 1 << 10,
    CMD_ASKING = 1 << 11,
    CMD_FAST = 1 << 12,
    CMD_NO_AUTH = 1 << 13,
    CMD_MAY_REPLICATE = 1 << 14,
    CMD_NO_MANDATORY_KEYS = 1 << 15,
    CMD_PROTECTED = 1 << 16,
    CMD_NO_ASYNC_LOADING = 1 << 17,
    CMD_NO_MULTI = 1 << 18,
    CMD_MOVABLE_KEYS = 1 << 19,
    CMD_ALLOW_BUSY = 1 << 20,
    /* How dispatch locks around the handler (outside EXEC, which holds everything already). Exactly
     * one of these for commands with keys. */
    CMD_LOCK_NONE = 1 << 24, /* lock-free reader: ks_get(), ks_get_many() */
    CMD_LOCK_KEYS =
        1 << 25, /* all slots of its keys, by dispatch: one ks_lock() or ks_lock_many() */
    CMD_LOCK_SELF = 1 << 26, /* the handler calls ks_lock() itself, after preparing (hot writes) */
    CMD_LOCK_ALL = 1 << 27,  /* the whole keyspace */
    /* Answered by the control thread, or by all lcores: the connection is parked until the reply
     * comes by mail. Not allowed inside MULTI. */
    CMD_PARKS = 1 << 28,
    /* For dispatch alone. */
    CMD_ONE_KEY = 1 << 29,    /* set at start: exactly one key, at a fixed index */
    CMD_EXEC = 1 << 30,       /* EXEC */
    CMD_NOT_QUEUED = 1 << 21, /* runs inside MULTI at once: MULTI, WATCH */
    CMD_ENDS_MULTI = 1 << 22, /* and so do DISCARD, QUIT and RESET, even when memory is short */
    CMD_SUBSCRIBER = 1 << 23, /* allowed to RESP2 clients that have subscriptions */
};

enum acl_category {
    ACL_KEYSPACE = 1 << 0,
    ACL_READ = 1 << 1,
    ACL_WRITE = 1 << 2,
    ACL_SET = 1 << 3,
    ACL_SORTEDSET = 1 << 4,
    ACL_LIST = 1 << 5,
    ACL_HASH = 1 << 6,
    ACL_STRING = 1 << 7,
    ACL_BITMAP = 1 << 8,
    ACL_HYPERLOGLOG = 1 << 9,
    ACL_GEO = 1 << 10,
    ACL_STREAM = 1 << 11,
    ACL_PUBSUB = 1 << 12,
    ACL_ADMIN = 1 << 13,
    ACL_FAST = 1 << 14,
    ACL_SLOW = 1 << 15,
    ACL_BLOCKING = 1 << 16,
    ACL_DANGEROUS = 1 << 17,
    ACL_CONNECTION = 1 << 18,
    ACL_TRANSACTION = 1 << 19,
    ACL_SCRIPTING = 1 << 20,
};

enum key_spec_flags {
    KEY_RO = 1 << 0,
    KEY_RW = 1 << 1,
    KEY_OW = 1 << 2,
    KEY_RM = 1 << 3,
    KEY_ACCESS = 1 << 4,
    KEY_UPDATE = 1 << 5,
    KEY_INSERT = 1 << 6,
    KEY_DELETE = 1 << 7,
    KEY_NOT_KEY = 1 << 8,
    KEY_INCOMPLETE = 1 << 9,
    KEY_VARIABLE = 1 << 10,
};

/* Where keys stand: begin_search by index or keyword, find_keys by range or key count (as Redis 7's
 * key specifications). An unused spec has begin 0. */
struct key_spec {
    uint16_t flags;
    int16_t begin; /* index of the first key (or of the first argument to look for keyword at) */
    const char *keyword;       /* NULL: by index */
    int16_t last, step, limit; /* range: last relative to the first (negative: from the end) */
    int16_t keynum_index, keynum_first, keynum_step; /* used instead when keynum_step > 0 */
    const char *notes;
};
#define KEY_SPECS_MAX 3

/* What COMMAND DOCS says of an argument; arguments end with .name NULL. */
struct command_arg {
    const char *name;
    const char *type; /* "key", "string", "integer", "double", "pattern", "unix-time", "pure-token",
                         "oneof", "block" */
    const char *token, *since;
    uint8_t flags;    /* enum command_arg_flags */
    uint8_t key_spec; /* 1 + index of the key spec, 0: none */
    const struct command_arg *children;
};
enum command_arg_flags { ARG_OPTIONAL = 1, ARG_MULTIPLE = 2, ARG_MULTIPLE_TOKEN = 4 };

struct command_stats;

struct command {
    const char *name;
    command_fn handler; /* NULL for containers without one of their own */
    int16_t arity;      /* as Redis counts: the name included, negative: at least */
    uint32_t flags;
    uint32_t acl;
    struct key_spec keys[KEY_SPECS_MAX];
    /* As command_keys(), where the specifications cannot describe it; NULL: they can. All keys are
     * then written. */
    int (*find_keys)(const struct slice *argv, uint32_t argc, uint32_t *out, uint32_t max);
    const char *group, *since, *complexity, *summary;
    const char *const *tips; /* NULL-terminated */
    const struct command_arg *args;
    const struct command *subcommands; /* ends with .name NULL */
    uint16_t id;                       /* set at start: index of its statistics */
    const char *full_name;             /* set at start: "get", "client|list" */
};

/* ---- table.c ---- */
/* Case-insensitive; NULL: unknown. Safe on every lcore after commands_init(). */
const struct command *command_lookup(struct slice name);
const struct command *command_sub_lookup(const struct command *parent, struct slice name);
/* All top-level commands, in the order of the table; how many. */
const struct command *command_at(unsigned index);
unsigned command_count(void);
/* Ids in use, subcommands included: how many statistics there are. After commands_init(). */
unsigned command_id_count(void);
/* Numbers the table and builds the lookup; once, before the lcores start. */
void commands_init(void);

/* ---- keys.c ---- */
#define COMMAND_KEYS_INLINE 16
/* Indexes into argv of the command's keys; how many, -1: the arguments are malformed ("numkeys" out
 * of range). Writes at most max; call again with more room when the result is larger. */
int command_keys(const struct command *cmd, const struct slice *argv, uint32_t argc, uint32_t *out,
                 uint32_t max);
int command_keys_migrate(const struct slice *argv, uint32_t argc, uint32_t *out, uint32_t max);
/* For the first count of them, in the same order: whether the command may change the key. */
void command_keys_written(const struct command *cmd, const struct slice *argv, uint32_t argc,
                          bool *written, uint32_t count);

/* ---- dispatch.c ---- */
/* What is known of a parsed command before it executes: looked up and hashed once, and used twice.
 */
struct command_hint {
    const struct command *command; /* NULL: unknown, or not looked up */
    struct key key;                /* the first key, when has_key */
    bool has_key;
};
/* Before a burst executes, each for all of its commands: looks the command up, hashes its first key
 * and prefetches the slot; then the bucket; then the entry. Results of the prefetches are hints
 * only (design-dataplane, rule 11). */
void command_prefetch_slot(struct worker *w, const struct slice *argv, uint32_t argc,
                           struct command_hint *hint);
void command_prefetch_bucket(struct worker *w, const struct command_hint *hint);
void command_prefetch_entry(struct worker *w, const struct command_hint *hint);
/* Executes one parsed command of a session: arity, authentication, MULTI queue, maxmemory, pause,
 * locks, statistics, slow log; the reply goes to the session's stream. hint may be NULL. When it
 * leaves SESSION_PAUSED set, the command was not executed: its bytes stay unconsumed and come
 * again. */
void command_execute(struct session *s, const struct slice *argv, uint32_t argc,
                     const struct command_hint *hint);
/* Locks, runs and unlocks for one call whose command is known; verdict may be left. */
void command_run(struct call *c);
/* Hashes the keys of a call; *allocated is to be freed after its end. */
void command_keys_find(struct call *c, struct key room[COMMAND_KEYS_INLINE],
                       struct key **allocated);
/* Counts a call that took so many cycles of the lcore in all: statistics, slow log, latency. */
void command_account(struct call *c, uint64_t cycles);
/* The same with statistics, slow log and latency: for one of EXEC's commands, whose keys it
 * extracts. */
void command_call_queued(struct call *c);

/* "ERR wrong number of arguments for 'get' command", "ERR unknown subcommand …" and the like. */
void command_reply_arity(struct call *c);
void command_reply_unknown_sub(struct call *c);
/* Replies to X HELP from the table's subcommands. */
void command_reply_help(struct call *c, const char *const *lines);
