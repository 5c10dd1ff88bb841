#include "admit.h"
#include <stdio.h>
#include <stdlib.h>
#include "check.h"
#include "log.h"
#include "metrics.h"
#include "redirect.h"
#include "session.h"
#include "stats.h"
#include "subscribe.h"
#include "transaction.h"

#define ERROR_ARGS_MAX 128

/* ---- refusing ---- */

/* A refused command inside MULTI makes EXEC fail; a refused EXEC ends the transaction, even when
 * there is none, and says so. */
static enum admit_result refuse(struct call *c, const char *text)
{
    struct session *s = c->session;
    if (s->flags & SESSION_MULTI)
        s->flags |= SESSION_MULTI_FAILED;
    if (c->command)
        stat_add(&c->worker->command_stats[c->command->id].rejected, 1);
    if (c->command && c->command->flags & CMD_EXEC) {
        transaction_discard(s);
        reply_errorf(c->reply, "EXECABORT Transaction discarded because of: %s",
                     strncmp(text, "ERR ", 4) == 0 ? text + 4 : text);
    } else {
        reply_error(c->reply, text);
    }
    return ADMIT_DONE;
}

/* Arguments as text, cut at a NUL as C strings are, and at what is left of max bytes. */
static int text_length(struct slice s, size_t max)
{
    size_t len = s.len < max ? s.len : max;
    const uint8_t *nul = len ? memchr(s.data, '\0', len) : NULL;
    return (int)(nul ? (size_t)(nul - s.data) : len);
}

static enum admit_result refuse_unknown(struct call *c)
{
    char args[ERROR_ARGS_MAX + 8] = "", text[2 * ERROR_ARGS_MAX + 128];
    size_t used = 0;
    for (uint32_t i = 1; i < c->argc && used < ERROR_ARGS_MAX; i++)
        used += (size_t)snprintf(args + used, sizeof(args) - used, "'%.*s' ",
                                 text_length(c->argv[i], ERROR_ARGS_MAX - used),
                                 (const char *)c->argv[i].data);
    snprintf(text, sizeof(text), "ERR unknown command '%.*s', with args beginning with: %s",
             text_length(c->argv[0], ERROR_ARGS_MAX), (const char *)c->argv[0].data, args);
    return refuse(c, text);
}

/* A browser was tricked into talking to this port: nothing of the rest may be executed. */
static enum admit_result refuse_http(struct call *c)
{
    log_warning(
        "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: "
        "commands to this node: an attempt at cross protocol scripting. Connection closed.");
    session_protocol_error(c->session, "POST and Host: are not commands");
    return ADMIT_DONE;
}

static void upper_case(const char *name, char *to, size_t size)
{
    size_t i = 0;
    for (; name[i] && name[i] != '|' && i + 1 < size; i++)
        to[i] = name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - 'a' + 'A') : name[i];
    to[i] = '\0';
}

static enum admit_result refuse_unknown_sub(struct call *c)
{
    char name[32], text[2 * ERROR_ARGS_MAX];
    upper_case(c->command->name, name, sizeof(name));
    snprintf(text, sizeof(text), "ERR unknown subcommand '%.*s'. Try %s HELP.",
             text_length(c->argv[1], ERROR_ARGS_MAX), (const char *)c->argv[1].data, name);
    c->command = NULL;
    return refuse(c, text);
}

void command_reply_arity(struct call *c)
{
    reply_errorf(c->reply, "ERR wrong number of arguments for '%s' command", c->command->full_name);
}

void command_reply_unknown_sub(struct call *c)
{
    char name[32];
    upper_case(c->command->full_name, name, sizeof(name));
    reply_errorf(c->reply,
                 "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try %s HELP.",
                 text_length(c->argv[1], ERROR_ARGS_MAX), (const char *)c->argv[1].data, name);
}

void command_reply_help(struct call *c, const char *const *lines)
{
    char name[32], first[96];
    uint64_t count = 0;
    while (lines[count])
        count++;
    upper_case(c->command->full_name, name, sizeof(name));
    snprintf(first, sizeof(first),
             "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", name);
    reply_array(c->reply, count + 3);
    reply_status(c->reply, first);
    for (uint64_t i = 0; i < count; i++)
        reply_status(c->reply, lines[i]);
    reply_status(c->reply, "HELP");
    reply_status(c->reply, "    Prints this help.");
}

/* ---- the checks ---- */

static bool arity_fits(const struct command *cmd, uint32_t argc)
{
    return cmd->arity >= 0 ? argc == (uint32_t)cmd->arity : argc >= (uint32_t)-cmd->arity;
}

static enum admit_result refuse_arity(struct call *c)
{
    char text[128];
    snprintf(text, sizeof(text), "ERR wrong number of arguments for '%s' command",
             c->command->full_name);
    return refuse(c, text);
}

/* Finds the subcommand; ADMIT_RUN: c->command is what is to run. */
static enum admit_result resolve(struct call *c)
{
    if (!c->command) {
        if (slice_equal_word(c->argv[0], "post") || slice_equal_word(c->argv[0], "host:"))
            return refuse_http(c);
        return refuse_unknown(c);
    }
    if (!c->command->subcommands || c->argc == 1)
        return ADMIT_RUN;
    const struct command *sub = command_sub_lookup(c->command, c->argv[1]);
    if (!sub)
        return refuse_unknown_sub(c);
    c->command = sub;
    return ADMIT_RUN;
}

static bool is_local(const struct session *s)
{
    char peer[STREAM_NAME_SIZE] = "";
    if (s->flags & SESSION_UNIX)
        return true;
    if (s->stream)
        s->stream->ops->name_peer(s->stream, peer);
    return strncmp(peer, "127.", 4) == 0 || strncmp(peer, "[::1]", 5) == 0;
}

static enum admit_result check_protected(struct call *c)
{
    enum { PROTECTED_NO, PROTECTED_YES, PROTECTED_LOCAL };
    int mode = c->worker->config->enable_debug_command;
    if (mode == PROTECTED_YES || (mode == PROTECTED_LOCAL && is_local(c->session)))
        return ADMIT_RUN;
    return refuse(c, "ERR DEBUG command not allowed. If the enable-debug-command option is set to "
                     "\"local\", you can run it from a local connection, otherwise you need to set "
                     "this option in the configuration file, and then restart the server.");
}

/* Unlike other refusals this one leaves no EXECABORT behind: EXEC itself is redirected. */
static enum admit_result check_redirect(struct call *c)
{
    char text[REDIRECT_TEXT_SIZE];
    if (redirect_check(c, text))
        return ADMIT_RUN;
    stat_add(&c->worker->command_stats[c->command->id].rejected, 1);
    if (c->command->flags & CMD_EXEC)
        transaction_discard(c->session);
    else if (c->session->flags & SESSION_MULTI)
        c->session->flags |= SESSION_MULTI_FAILED;
    reply_error(c->reply, text);
    return ADMIT_DONE;
}

/* The transaction's commands count for EXEC itself. */
static uint32_t effective_flags(const struct call *c)
{
    const struct session *s = c->session;
    uint32_t flags = c->command->flags;
    if (flags & CMD_EXEC && s->flags & SESSION_MULTI)
        flags |= s->transaction->command_flags & (CMD_WRITE | CMD_DENYOOM | CMD_MAY_REPLICATE);
    return flags;
}

/* About what the command adds. */
static size_t request_bytes(const struct call *c)
{
    const struct session *s = c->session;
    size_t bytes = 0;
    if (c->command->flags & CMD_EXEC && s->flags & SESSION_MULTI)
        return s->transaction->queue_bytes;
    for (uint32_t i = 1; i < c->argc; i++)
        bytes += c->argv[i].len;
    return bytes;
}

static enum admit_result hold(struct call *c)
{
    metric_inc(writes_held);
    session_hold(c->session);
    return ADMIT_DONE;
}

/* Messages pile up faster than they are delivered. */
static enum admit_result check_publish(struct call *c)
{
    if (effective_flags(c) & CMD_MAY_REPLICATE && publish_is_behind(c->worker->node)) {
        session_hold(c->session);
        return ADMIT_DONE;
    }
    return ADMIT_RUN;
}

static enum admit_result check_memory(struct call *c)
{
    uint32_t flags = effective_flags(c);
    /* A queue may grow without end, so inside MULTI everything that would be queued is refused. */
    bool grows = flags & CMD_DENYOOM ||
                 (c->session->flags & SESSION_MULTI && !(flags & (CMD_EXEC | CMD_ENDS_MULTI)));
    if (flags & CMD_WRITE && ks_crowded(c->ks))
        return hold(c);
    if (!grows || !c->worker->config->maxmemory_bytes)
        return ADMIT_RUN;
    switch (ks_make_room(c->ks, request_bytes(c))) {
    case KS_ROOM_LATER:
        return hold(c);
    case KS_ROOM_NONE:
        return refuse(c, REPLY_OOM);
    default:
        return ADMIT_RUN;
    }
}

static enum admit_result check_subscriber(struct call *c)
{
    char text[192];
    if (c->session->reply.protocol != 2 || c->command->flags & CMD_SUBSCRIBER)
        return ADMIT_RUN;
    snprintf(
        text, sizeof(text),
        "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are "
        "allowed in this context",
        c->command->full_name);
    return refuse(c, text);
}

static enum admit_result check_pause(struct call *c)
{
    struct node *node = c->worker->node;
    if (atomic_load_explicit(&node->pause_until_ms, memory_order_relaxed) <= c->worker->now_ms)
        return ADMIT_RUN;
    if (!atomic_load_explicit(&node->pause_all, memory_order_relaxed) &&
        !(effective_flags(c) & (CMD_WRITE | CMD_MAY_REPLICATE)))
        return ADMIT_RUN;
    session_pause(c->session);
    return ADMIT_DONE;
}

static enum admit_result enqueue(struct call *c)
{
    if (c->command->flags & (CMD_EXEC | CMD_ENDS_MULTI | CMD_NOT_QUEUED))
        return ADMIT_RUN;
    if (transaction_queue(c->session, c->command, c->command->flags, c->argv, c->argc))
        reply_status(c->reply, "QUEUED");
    return ADMIT_DONE;
}

#define TRY(check)                           \
    do {                                     \
        enum admit_result result_ = (check); \
        if (result_ != ADMIT_RUN)            \
            return result_;                  \
    } while (0)

enum admit_result admit(struct call *c)
{
    struct session *s = c->session;
    struct node *node = c->worker->node;
    if (likely_false(!c->command || c->command->subcommands))
        TRY(resolve(c));
    s->last_command = c->command->full_name;
    if (likely_false(!arity_fits(c->command, c->argc)))
        return refuse_arity(c);
    if (likely_false(c->command->flags & CMD_PROTECTED))
        TRY(check_protected(c));
    if (likely_false(!(s->flags & SESSION_AUTHENTICATED)) && session_needs_auth(s) &&
        !(c->command->flags & CMD_NO_AUTH))
        return refuse(c, REPLY_NOAUTH);
    if (likely_false(s->flags & SESSION_MULTI) && c->command->flags & (CMD_NO_MULTI | CMD_PARKS))
        return refuse(c, "ERR Command not allowed inside a transaction");
    if (likely_false(node->cluster != NULL))
        TRY(check_redirect(c));
    if (c->worker->config->maxmemory_bytes || likely_false(c->ks->crowded))
        TRY(check_memory(c));
    if (likely_false(s->flags & SESSION_PUBSUB))
        TRY(check_subscriber(c));
    if (likely_false(c->command->flags & (CMD_MAY_REPLICATE | CMD_EXEC)))
        TRY(check_publish(c));
    if (likely_false(atomic_load_explicit(&node->pause_until_ms, memory_order_relaxed) != 0))
        TRY(check_pause(c));
    if (likely_false(s->flags & SESSION_MULTI))
        return enqueue(c);
    return ADMIT_RUN;
}
