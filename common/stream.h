/* The byte stream under a session or a control-plane link: TCP, a unix socket pumped by the control
 * thread, TCP pumped by an lcore, or memory in tests. The transport embeds struct stream; the user
 * sees only this.
 *
 * Owner: the thread that the stream lives on, an lcore or, for links, the control thread; all calls
 * both ways happen there. Received bytes stay where they arrived until consumed, so that a command
 * is parsed and executed in place. */
#pragma once
#include "outbuf.h"
#include "slice.h"

struct stream;

enum stream_kind { STREAM_TCP, STREAM_UNIX, STREAM_MEMORY, STREAM_LINK };

enum stream_end {
    STREAM_END_CLOSED,      /* both sides closed in order */
    STREAM_END_RESET,       /* the peer reset it */
    STREAM_END_TIMEOUT,     /* retransmissions, keepalive or connect gave up */
    STREAM_END_REFUSED,     /* connect: no listener, or unreachable */
    STREAM_END_ABORTED,     /* we aborted it, or ran out of memory for it */
    STREAM_END_UNREACHABLE, /* links: no route, or nobody has the address */
};

/* What the transport does for the user. */
struct stream_ops {
    /* Bytes were added to stream->out: send them at the end of this loop. Cheap, may be repeated.
     */
    void (*kick)(struct stream *s);
    /* The first contiguous piece of received, unconsumed bytes (empty slice: none). Valid until
     * consumed. */
    struct slice (*peek)(struct stream *s);
    /* Releases len bytes of the first piece (len <= its length) and opens the receive window. */
    void (*consume)(struct stream *s, size_t len);
    /* Sends what is queued, then ends in order; further received bytes are dropped. The user gets
     * no call after this and must not touch the stream again. */
    void (*close)(struct stream *s);
    /* Ends at once (RST); queued bytes are dropped. The user gets no call after this. */
    void (*abort)(struct stream *s);
    /* "10.0.0.1:4711", "[::1]:80" or "/path:0"; NUL-terminated into buf[STREAM_NAME_SIZE]. */
    void (*name_peer)(const struct stream *s, char *buf);
    void (*name_local)(const struct stream *s, char *buf);
};
#define STREAM_NAME_SIZE 128

/* What the user does for the transport. A user may close or abort the stream inside any of these.
 */
struct stream_user_ops {
    /* connect succeeded (not called for accepted streams). */
    void (*connected)(struct stream *s);
    /* New bytes can be peeked. Called at most once per loop until consumed to the end. */
    void (*readable)(struct stream *s);
    /* The peer acknowledged bytes: stream->out has shrunk. */
    void (*drained)(struct stream *s);
    /* The peer will send no more; bytes before the end can still be peeked. */
    void (*eof)(struct stream *s);
    /* The stream is gone; last call. */
    void (*ended)(struct stream *s, enum stream_end why);
};

struct stream {
    const struct stream_ops *ops;
    const struct stream_user_ops *user_ops; /* set by the user on accept or connect */
    void *user;
    struct outbuf out;
    uint8_t kind; /* enum stream_kind */
};
