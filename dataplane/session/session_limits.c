#include "session.h"
#include <stdlib.h>
#include "check.h"
#include "log.h"
#include "session_private.h"

/* What a client may leave unread before it has given the password. */
#define UNAUTHENTICATED_OUTPUT_MAX (17 * 1024)

bool session_needs_auth(const struct session *s)
{
    return !(s->flags & SESSION_AUTHENTICATED) && s->worker->config->requirepass[0] != '\0';
}

struct resp_limits session_parse_limits(const struct session *s)
{
    return (struct resp_limits){
        .bulk_max_bytes = s->worker->config->proto_max_bulk_len,
        .inline_max_bytes = RESP_INLINE_MAX,
        .authenticated = !session_needs_auth(s),
    };
}

void session_protocol_error(struct session *s, const char *what)
{
    char peer[STREAM_NAME_SIZE] = "?";
    metric_inc(protocol_errors);
    if (s->stream)
        s->stream->ops->name_peer(s->stream, peer);
    log_verbose("Protocol error (%s) from client id=%llu addr=%s", what, (unsigned long long)s->id,
                peer);
    s->reply.muted = !s->stream;
    reply_errorf(&s->reply, "ERR Protocol error: %s", what);
    session_close(s, true);
}

enum client_class session_class(const struct session *s)
{
    return s->flags & SESSION_PUBSUB ? CLIENT_PUBSUB : CLIENT_NORMAL;
}

static void output_limit_close(struct session *s, const char *kind)
{
    char *text = session_describe(s);
    metric_inc(clients_output_limit);
    log_warning("Client %s closed for overcoming of its output buffer limit (%s).", text, kind);
    free(text);
    session_close(s, false);
}

/* Seconds that start at 1, so that 0 can mean never. */
static uint32_t soft_clock_s(const struct worker *w)
{
    return (uint32_t)(w->now_us / 1000000) + 1;
}

void session_check_output(struct session *s)
{
    if (s->flags & SESSION_CLOSING || !s->stream)
        return;
    size_t bytes = s->stream->out.mem_bytes;
    const struct output_limit *limit = &s->worker->config->client_output_limit[session_class(s)];
    if (limit->hard_bytes && bytes >= limit->hard_bytes) {
        output_limit_close(s, "hard");
        return;
    }
    if (s->stream->out.len > UNAUTHENTICATED_OUTPUT_MAX && session_needs_auth(s)) {
        output_limit_close(s, "not authenticated");
        return;
    }
    if (!limit->soft_bytes || bytes < limit->soft_bytes) {
        s->output_soft_since_s = 0;
        return;
    }
    uint32_t now_s = soft_clock_s(s->worker);
    if (!s->output_soft_since_s)
        s->output_soft_since_s = now_s;
    else if (now_s - s->output_soft_since_s > (uint64_t)limit->soft_s)
        output_limit_close(s, "soft");
}
