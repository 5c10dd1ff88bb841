#include "test_stream.h"
#include <stdio.h>
#include <stdlib.h>
#include "check.h"

struct test_piece {
    struct test_piece *next;
    uint8_t *data;
    size_t len;
};

static struct test_stream *test_of(const struct stream *s)
{
    return container_from((struct stream *)(uintptr_t)s, struct test_stream, stream);
}

static void ops_kick(struct stream *s)
{
}

static struct slice ops_peek(struct stream *s)
{
    struct test_stream *t = test_of(s);
    CHECK(!t->closed && !t->aborted);
    if (!t->first)
        return slice_from(NULL, 0);
    return slice_from(t->first->data + t->first_used, t->first->len - t->first_used);
}

static void piece_drop(struct test_stream *t)
{
    struct test_piece *piece = t->first;
    t->first = piece->next;
    t->first_used = 0;
    free(piece->data);
    free(piece);
}

static void ops_consume(struct stream *s, size_t len)
{
    struct test_stream *t = test_of(s);
    CHECK(!t->closed && !t->aborted);
    CHECK(len <= t->first->len - t->first_used);
    t->first_used += len;
    if (t->first_used == t->first->len)
        piece_drop(t);
}

static void ops_close(struct stream *s)
{
    struct test_stream *t = test_of(s);
    CHECK(!t->closed && !t->aborted);
    t->closed = true;
}

static void ops_abort(struct stream *s)
{
    struct test_stream *t = test_of(s);
    CHECK(!t->closed && !t->aborted);
    t->aborted = true;
    outbuf_clear(&s->out);
}

static void ops_name_peer(const struct stream *s, char *buf)
{
    snprintf(buf, STREAM_NAME_SIZE, "%s", test_of(s)->peer);
}

static void ops_name_local(const struct stream *s, char *buf)
{
    snprintf(buf, STREAM_NAME_SIZE, "%s", test_of(s)->local);
}

static const struct stream_ops test_stream_ops = {
    .kick = ops_kick,
    .peek = ops_peek,
    .consume = ops_consume,
    .close = ops_close,
    .abort = ops_abort,
    .name_peer = ops_name_peer,
    .name_local = ops_name_local,
};

struct test_stream *test_stream_new(const char *peer)
{
    struct test_stream *t = calloc(1, sizeof(*t));
    CHECK(t);
    t->stream.ops = &test_stream_ops;
    t->stream.kind = STREAM_MEMORY;
    outbuf_init(&t->stream.out);
    snprintf(t->peer, sizeof(t->peer), "%s", peer);
    snprintf(t->local, sizeof(t->local), "10.77.0.1:6379");
    return t;
}

void test_stream_free(struct test_stream *t)
{
    while (t->first)
        piece_drop(t);
    outbuf_clear(&t->stream.out);
    free(t);
}

static bool is_over(const struct test_stream *t)
{
    return t->closed || t->aborted || !t->stream.user;
}

void test_stream_push(struct test_stream *t, const void *data, size_t len)
{
    if (is_over(t) || len == 0)
        return;
    struct test_piece *piece = calloc(1, sizeof(*piece));
    CHECK(piece);
    piece->data = malloc(len);
    CHECK(piece->data);
    memcpy(piece->data, data, len);
    piece->len = len;
    if (t->first)
        t->last->next = piece;
    else
        t->first = piece;
    t->last = piece;
    t->stream.user_ops->readable(&t->stream);
}

void test_stream_reopen(struct test_stream *t)
{
    CHECK(t->closed || t->aborted);
    while (t->first)
        piece_drop(t);
    outbuf_clear(&t->stream.out);
    t->closed = t->aborted = false;
    t->stream.user = NULL;
}

void test_stream_eof(struct test_stream *t)
{
    if (!is_over(t))
        t->stream.user_ops->eof(&t->stream);
}

void test_stream_reset(struct test_stream *t)
{
    if (is_over(t))
        return;
    t->aborted = true;
    t->stream.user_ops->ended(&t->stream, STREAM_END_RESET);
    t->stream.user = NULL;
}

char *test_stream_take(struct test_stream *t, size_t *len)
{
    struct outbuf *out = &t->stream.out;
    size_t n = out->len;
    char *text = malloc(n + 1);
    CHECK(text);
    outbuf_take(out, (uint8_t *)text, n);
    text[n] = '\0';
    if (!is_over(t))
        t->stream.user_ops->drained(&t->stream);
    if (len)
        *len = n;
    return text;
}
