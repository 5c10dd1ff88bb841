/* A client: its stream, protocol state, name and flags, transaction, subscriptions.
 *
 * Owner: the lcore that its stream lives on; other lcores reach it by mail and id only. An idle session
 * is at most 256 bytes; what a client rarely needs (transaction, subscriptions, name, query buffer)
 * hangs off it and is freed when empty. A session that ends during a burst is marked closing and freed by
 * session_reap() after the burst, so that handlers may end any session at any time. */
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
    SESSION_PAUSED = 1 << 4,            /* CLIENT PAUSE holds its command back */
    SESSION_REPLY_OFF = 1 << 5,
    SESSION_REPLY_SKIP_NEXT = 1 << 6,
    SESSION_REPLY_SKIP = 1 << 7,
    SESSION_NO_EVICT = 1 << 8,
    SESSION_MULTI = 1 << 9,
    SESSION_MULTI_FAILED = 1 << 10, /* a queued command was refused: EXEC aborts */
    SESSION_PUBSUB = 1 << 11,       /* RESP2 subscriber: few commands allowed */
    SESSION_READABLE = 1 << 12,     /* in the lcore's list of streams with bytes to parse */
    SESSION_UNIX = 1 << 13,
    SESSION_EOF = 1 << 14,
    SESSION_NO_TOUCH = 1 << 15,
};

struct session {
    struct stream *stream; /* NULL once it has ended */
    struct worker *worker;
    struct reply reply;
    struct resp_parser parser;
    uint32_t flags; /* enum session_flags */
    uint32_t output_soft_since_s;
    uint64_t id;
    /* Query buffer: only while a command is unfinished, or its bytes lie in several pieces. */
    uint8_t *query;
    size_t query_len, query_size;
    size_t pending_consume; /* bytes of the stream's first piece that were parsed */
    struct session *next, *prev;           /* all sessions of the worker */
    struct session *ready_next;            /* in the list of sessions to parse */
    struct session *closing_next;
    int64_t created_ms;
    uint64_t last_active_us;
    const void *last_command;              /* struct command * */
    char *name;                            /* CLIENT SETNAME */
    struct transaction *transaction;
    struct subscriptions *subscriptions;
    void *parked;                          /* what it waits for: owned by the command that parked it */
    void (*parked_cancel)(struct session *s); /* the session ends first */
};

/* ---- session.c ---- */
struct session_list; /* all sessions of a worker */
struct session_list *session_list_new(void);
void session_list_free(struct session_list *l);

/* For an accepted stream: sets its user and user_ops (given by lcore/, whose readable() puts the session
 * into the parse list). NULL: maxclients is reached ("-ERR max number of clients reached" was queued and
 * the stream closed) or memory is short. */
struct session *session_new(struct worker *w, struct stream *stream);
/* The stream ended (user_ops->ended): the session is reaped later. */
void session_stream_ended(struct session *s);
/* Ends it: after what is queued was sent (after_reply) or at once. Any time, also on itself. */
void session_close(struct session *s, bool after_reply);
/* Frees sessions that are closing; once per loop, after the burst. */
void session_reap(struct worker *w);
/* Sends what replies have queued; checks output limits (soft and hard): a client over them is closed,
 * counted and logged. After each burst for every session that executed. */
void session_flush(struct session *s);
/* Idle timeout, soft limits, query buffers that shrank, paused clients whose time has come: a bounded number
 * of sessions per call, round robin. */
void session_cron(struct worker *w, uint32_t budget);
/* Ends its wait: the reply is complete, parsing goes on. Sets SESSION_READABLE by wake(). */
void session_park(struct session *s, void *what, void (*cancel)(struct session *s));
void session_unpark(struct session *s);
/* Set by lcore/: puts s into the parse list of this loop. */
extern void (*session_wake)(struct session *s);
struct session *session_by_id(struct worker *w, uint64_t id);
void session_each(struct worker *w, void (*each)(void *arg, struct session *s), void *arg);
uint32_t session_count(const struct worker *w);
/* Memory of one client as CLIENT LIST's tot-mem counts it. */
size_t session_mem_bytes(const struct session *s);
enum client_class session_class(const struct session *s);
/* One line of CLIENT LIST / INFO, without the newline, allocated. */
char *session_describe(const struct session *s);

/* ---- input: what lcore/'s batch uses ---- */
/* Before parsing: makes the unparsed bytes contiguous where a command is split. The bytes to parse, or an
 * empty slice. Stable until session_input_done(). */
struct slice session_input_begin(struct session *s);
/* used bytes were parsed (and their commands executed); the rest is kept for the next piece. False: the query
 * buffer limit is exceeded or memory short: the session was closed. */
bool session_input_done(struct session *s, size_t used);
/* True when bytes that were not parsed yet are waiting. */
bool session_input_pending(const struct session *s);
