#include "session.h"
#include <stdlib.h>
#include "check.h"
#include "metrics.h"
#include "log.h"

/* Bytes moved into the query buffer in one go, so that one client cannot hold the loop. */
#define INPUT_BURST_BYTES (256 * 1024)
#define QUERY_SIZE_FIRST 512

static void query_append(struct session *s, struct slice piece)
{
    if (s->query_len + piece.len > s->query_size) {
        size_t size = s->query_size ? s->query_size : QUERY_SIZE_FIRST;
        while (size < s->query_len + piece.len)
            size *= 2;
        uint8_t *query = realloc(s->query, size);
        CHECK(query);
        s->query = query;
        s->query_size = size;
    }
    memcpy(s->query + s->query_len, piece.data, piece.len);
    s->query_len += piece.len;
}

static void query_drop(struct session *s)
{
    if (!(s->flags & SESSION_QUERY_KEPT))
        free(s->query);
    s->flags &= ~(uint32_t)SESSION_QUERY_KEPT;
    s->query = NULL;
    s->query_len = s->query_size = s->query_pos = 0;
}

static struct slice query_rest(const struct session *s)
{
    return slice_from(s->query + s->query_pos, s->query_len - s->query_pos);
}

/* An unfinished command goes on in the next pieces. */
static void query_fill(struct session *s)
{
    if (!resp_parser_idle(&s->parser) && s->query_pos > 0) {
        /* Offsets count from the unfinished command, and it is the only one left. */
        s->query_len -= s->query_pos;
        memmove(s->query, s->query + s->query_pos, s->query_len);
        s->query_pos = 0;
    }
    size_t moved = 0;
    while (moved < INPUT_BURST_BYTES) {
        struct slice piece = s->stream->ops->peek(s->stream);
        if (piece.len == 0)
            break;
        query_append(s, piece);
        s->stream->ops->consume(s->stream, piece.len);
        metric_add(net_input_bytes, piece.len);
        moved += piece.len;
    }
}

struct slice session_input_begin(struct session *s)
{
    if (!s->stream)
        return slice_from(NULL, 0);
    s->last_active_us = s->worker->now_us;
    if (likely_true(!s->query))
        return s->stream->ops->peek(s->stream);
    /* Whole commands that wait in the buffer come first; pieces follow once one is unfinished. */
    if (!resp_parser_idle(&s->parser) || s->query_pos == s->query_len)
        query_fill(s);
    return query_rest(s);
}

static bool query_within_limit(struct session *s)
{
    size_t bytes = s->query_len + resp_parser_mem_bytes(&s->parser);
    if (likely_true(bytes <= s->worker->config->client_query_buffer_limit_bytes))
        return true;
    metric_inc(clients_query_limit);
    log_warning("Closing client id=%llu that reached max query buffer length: %zu bytes",
                (unsigned long long)s->id, bytes);
    session_close(s, false);
    return false;
}

/* The peer sends nothing more: what is left can never become a command. */
static bool input_may_go_on(struct session *s)
{
    if (likely_true(!(s->flags & SESSION_EOF)))
        return true;
    if (s->flags & (SESSION_PARKED | SESSION_PAUSED) || session_input_pending(s))
        return true;
    session_close(s, true);
    return false;
}

static void query_done(struct session *s, size_t used)
{
    s->query_pos += used;
    CHECK(s->query_pos <= s->query_len);
    struct slice rest = query_rest(s);
    if (rest.len == 0) {
        query_drop(s);
    } else if (likely_false(s->flags & SESSION_QUERY_KEPT)) {
        query_drop(s);
        query_append(s, rest);
    }
}

/* The parser worked on the stream's first piece: an unfinished command moves to the query buffer.
 */
static void piece_done(struct session *s, size_t used)
{
    struct slice piece = s->stream->ops->peek(s->stream);
    CHECK(used <= piece.len);
    if (!resp_parser_idle(&s->parser)) {
        query_append(s, slice_from(piece.data + used, piece.len - used));
        used = piece.len;
    }
    if (used == 0)
        return;
    s->stream->ops->consume(s->stream, used);
    metric_add(net_input_bytes, used);
}

bool session_input_done(struct session *s, size_t used)
{
    if (s->flags & SESSION_CLOSING || !s->stream)
        return false;
    resp_parser_trim(&s->parser);
    if (s->query)
        query_done(s, used);
    else
        piece_done(s, used);
    return query_within_limit(s) && input_may_go_on(s);
}

/* The bytes stay where they are and the buffer changes hands; what stands behind them in it moves
 * to a new one in session_input_done(). */
static bool args_take(struct session *s, const struct slice *argv, struct kept_args *kept)
{
    struct resp_parser *p = &s->parser;
    if (!p->table_busy || argv != &p->table[0].slice || !s->query ||
        s->flags & SESSION_QUERY_KEPT || argv[0].data < s->query ||
        argv[0].data >= s->query + s->query_len)
        return false;
    kept->argv = &p->table[0].slice;
    kept->bytes = s->query;
    kept->size = s->query_size + p->table_size * sizeof(*p->table);
    p->table = NULL;
    p->table_size = 0;
    p->table_busy = false;
    s->flags |= SESSION_QUERY_KEPT;
    return true;
}

/* Slices and bytes in one allocation. */
bool kept_args_copy(const struct slice *argv, uint32_t argc, struct kept_args *kept)
{
    kept->size = argc * sizeof(*argv);
    for (uint32_t i = 0; i < argc; i++)
        kept->size += argv[i].len;
    kept->argv = malloc(kept->size);
    kept->bytes = NULL;
    if (!kept->argv)
        return false;
    uint8_t *bytes = (uint8_t *)(kept->argv + argc);
    for (uint32_t i = 0; i < argc; i++) {
        if (argv[i].len > 0)
            memcpy(bytes, argv[i].data, argv[i].len);
        kept->argv[i] = slice_from(bytes, argv[i].len);
        bytes += argv[i].len;
    }
    return true;
}

bool session_args_keep(struct session *s, const struct slice *argv, uint32_t argc,
                       struct kept_args *kept)
{
    return args_take(s, argv, kept) || kept_args_copy(argv, argc, kept);
}

void session_args_return(struct session *s, struct kept_args *kept)
{
    if (kept->bytes) {
        CHECK(s->query == kept->bytes);
        s->flags &= ~(uint32_t)SESSION_QUERY_KEPT;
        kept->bytes = NULL;
    }
    kept_args_free(kept);
}

void kept_args_free(struct kept_args *kept)
{
    free(kept->argv);
    free(kept->bytes);
    *kept = (struct kept_args){0};
}

bool session_input_pending(const struct session *s)
{
    if (!s->stream)
        return false;
    if (s->query_pos < s->query_len && resp_parser_idle(&s->parser))
        return true;
    return s->stream->ops->peek(s->stream).len > 0;
}
