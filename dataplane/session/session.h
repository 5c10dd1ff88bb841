/* A client: its stream, protocol state, name and flags, transaction, subscriptions.
 *
 * Owner: the lcore that its stream lives on; other lcores reach it by mail and id only. An idle
 * session is at most 256 bytes; what a client rarely needs (transaction, subscriptions, name, query
 * buffer) hangs off it and is freed when empty. A session that ends during a burst is marked
 * closing and freed by session_reap() after the burst, so that handlers may end any session at any
 * time. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "parse.h"
#include "reply.h"
#include "stream.h"
#include "worker.h"

struct transaction;
struct subscriptions;

enum session_flags {
    SESSION_AUTHENTICATED = 1 << 0,
    SESSION_CLOSE_AFTER_REPLY = 1 << 1, /* QUIT, protocol errors: flush, then close */
    SESSION_CLOSING = 1 << 2,           /* the stream is gone or going: execute nothing more */
    SESSION_PARKED = 1 << 3,            /* waits for mail: its next commands stay unparsed */
    SESSION_PAUSED = 1 << 4,            /* CLIENT PAUSE or session_hold() holds its command back */
    SESSION_REPLY_OFF = 1 << 5,
    SESSION_REPLY_SKIP_NEXT = 1 << 6,
    SESSION_REPLY_SKIP = 1 << 7,
    SESSION_NO_EVICT = 1 << 8,
    SESSION_MULTI = 1 << 9,
    SESSION_MULTI_FAILED = 1 << 10, /* a queued command was refused: EXEC aborts */
    SESSION_PUBSUB = 1 << 11,       /* has subscriptions: with RESP2 few commands are allowed */
    SESSION_READABLE = 1 << 12,     /* in the lcore's list of streams with bytes to parse */
    SESSION_UNIX = 1 << 13,
    SESSION_EOF = 1 << 14,
    SESSION_NO_TOUCH = 1 << 15,
    SESSION_BUSY = 1 << 16, /* a command of it has begun and goes on in pieces: not freed before */
    SESSION_QUERY_KEPT = 1 << 19, /* the query buffer belongs to kept_args, till input_done() */
    SESSION_ASKING = 1 << 17,   /* ASKING was the last command, or came before MULTI */
    SESSION_READONLY = 1 << 18, /* READONLY: reads of our primary's slots are served here */
};

struct session {
    struct stream *stream; /* NULL once it has ended */
    struct worker *worker;
    struct reply reply;
    struct resp_parser parser;
    uint32_t flags;               /* enum session_flags */
    uint32_t output_soft_since_s; /* monotonic; 0: below the soft limit */
    uint64_t id;
    /* Query buffer: only while a command is unfinished, or its bytes lie in several pieces. */
    uint8_t *query;
    size_t query_len, query_size;
    size_t query_pos;            /* bytes at its front that were parsed already */
    struct session *next, *prev; /* all sessions of the worker */
    struct session *ready_next;  /* in the list of sessions to parse */
    struct session *closing_next;
    struct session *id_next; /* in the table of ids */
    int64_t created_ms;
    uint64_t last_active_us;
    const char *last_command; /* its full name: "get", "client|list" */
    char *name;               /* CLIENT SETNAME */
    struct transaction *transaction;
    struct subscriptions *subscriptions;
    union {
        void *parked; /* what it waits for: owned by the command that parked it */
        struct session *held_next;
    };
    void (*parked_cancel)(struct session *s); /* the session ends first */
};

/* ---- session.c ---- */
struct session_list; /* all sessions of a worker */
struct session_list *session_list_new(void);
/* The transport is gone: frees what is left of the sessions without touching their streams. */
void session_list_free(struct session_list *l);

/* For an accepted stream: sets its user and user_ops. When bytes arrive, or a wait ends with bytes
 * unparsed, session_wake() is called, which puts the session into the lcore's parse list. NULL:
 * maxclients is reached
 * ("-ERR max number of clients reached" was queued and the stream closed). */
struct session *session_new(struct worker *w, struct stream *stream);
/* Ends it: after what is queued was sent (after_reply) or at once. Any time, also on itself:
 * nothing more is executed or replied, the stream itself is closed or aborted by session_reap(). */
void session_close(struct session *s, bool after_reply);
/* Lets go on who was held in this round. Frees sessions that are closing, but for those in the
 * lcore's parse list (SESSION_READABLE), which come later; once per loop, after the burst. */
void session_reap(struct worker *w);
/* Sends what replies have queued; checks output limits (soft and hard): a client over them is
 * closed, counted and logged. After each burst for every session that executed. */
void session_flush(struct session *s);
/* Idle timeout, soft limits, paused clients whose time has come: some sessions per call, round
 * robin, at least budget, more when there are many; hz times a second. */
void session_cron(struct worker *w, uint32_t budget);
/* A command of this session waits for mail or a job: its next commands stay unparsed. cancel (may
 * be NULL) is called when the session ends first. */
void session_park(struct session *s, void *what, void (*cancel)(struct session *s));
/* Ends the wait: the reply is complete, parsing goes on; flush it afterwards. */
void session_unpark(struct session *s);
/* After SESSION_REPLY_OFF or _SKIP changed. */
void session_reply_mode_apply(struct session *s);
/* A command's reply is complete: CLIENT REPLY SKIP silences the one after it. Not for commands that
 * are parked (session_unpark() does it) or held back. */
void session_reply_mode_advance(struct session *s);
/* CLIENT PAUSE holds the command back that is being executed: SESSION_PAUSED is set, the caller
 * leaves its bytes unconsumed and it comes again once session_cron() has seen the end of the pause.
 */
void session_pause(struct session *s);
/* The same, until the next round of the loop: memory must be freed first. */
void session_hold(struct session *s);
/* Set by lcore/ before the first session: puts s into the parse list, unless it is in it already
 * (SESSION_READABLE is lcore/'s mark for that). */
extern void (*session_wake)(struct session *s);
struct session *session_by_id(struct worker *w, uint64_t id);
void session_each(struct worker *w, void (*each)(void *arg, struct session *s), void *arg);
uint32_t session_count(const struct worker *w);
/* Memory of one client as CLIENT LIST's tot-mem counts it. */
size_t session_mem_bytes(const struct session *s);
enum client_class session_class(const struct session *s);
/* One line of CLIENT LIST / INFO, without the newline, allocated. */
char *session_describe(const struct session *s);

/* Everything a client can set goes back to what it was when it connected (RESET), but for its
 * name's memory and authentication, which the caller sets. */
void session_reset(struct session *s);

/* Invariants of all sessions of a worker, for tests and fuzzers: between bursts. */
void session_validate(const struct worker *w);

/* ---- session_limits.c ---- */
/* A password is set and this client has not given it. */
bool session_needs_auth(const struct session *s);
/* What the parser must refuse. */
struct resp_limits session_parse_limits(const struct session *s);
/* "-ERR Protocol error: what", then closes; counted and logged. */
void session_protocol_error(struct session *s, const char *what);

/* ---- session_input.c: what lcore/'s batch uses ---- */
/* Before parsing: makes the unparsed bytes contiguous where a command is split. The bytes to parse,
 * or an empty slice. Stable until session_input_done(). */
struct slice session_input_begin(struct session *s);
/* used bytes were parsed (and their commands executed); the rest is kept for the next piece. False:
 * the session is closing: its query buffer limit is exceeded, or the peer has sent everything. */
bool session_input_done(struct session *s, size_t used);
/* Arguments that outlive the execution of their command: queued, or run in pieces. Those of a long
 * command are not copied: they take the query buffer and the parser's table along. */
struct kept_args {
    struct slice *argv;
    uint8_t *bytes; /* NULL: they lie behind argv */
    size_t size;    /* memory held */
};
/* A copy. False: out of memory. */
bool kept_args_copy(const struct slice *argv, uint32_t argc, struct kept_args *kept);
void kept_args_free(struct kept_args *kept);
/* The same for the command being executed, which parks the session: what is kept may be the query
 * buffer, so it must not be freed before session_input_done() but by args_return(). */
bool session_args_keep(struct session *s, const struct slice *argv, uint32_t argc,
                       struct kept_args *kept);
/* The command is not parked after all. */
void session_args_return(struct session *s, struct kept_args *kept);
/* True when bytes that were not parsed yet are waiting. */
bool session_input_pending(const struct session *s);
