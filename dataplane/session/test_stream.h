/* A stream in memory (STREAM_MEMORY) for tests: bytes go in as pieces of exactly their size, so
 * that the address sanitizer sees a read past them; replies stay in out until they are taken. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "stream.h"

struct test_piece;

struct test_stream {
    struct stream stream;
    struct test_piece *first, *last;
    size_t first_used; /* bytes of the first piece that are consumed */
    bool closed;       /* by the user, in order: what is queued counts as sent */
    bool aborted;
    char peer[STREAM_NAME_SIZE], local[STREAM_NAME_SIZE];
};

/* peer: "10.0.0.1:1001" or the like. */
struct test_stream *test_stream_new(const char *peer);
void test_stream_free(struct test_stream *t);
/* Bytes arrive; tells the user. Nothing happens on a closed stream. */
void test_stream_push(struct test_stream *t, const void *data, size_t len);
/* A stream that was closed or aborted starts anew, without bytes or user. */
void test_stream_reopen(struct test_stream *t);
void test_stream_eof(struct test_stream *t);
/* The peer has gone: the user's last call. */
void test_stream_reset(struct test_stream *t);
/* Everything that was queued for the peer, NUL-terminated; *len may be NULL. The caller frees it.
 */
char *test_stream_take(struct test_stream *t, size_t *len);
