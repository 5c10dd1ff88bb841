/* Replies in RESP2 or RESP3, written straight into a connection's send queue.
 *
 * Owner: the lcore of the stream. Aggregate headers are written first, so a handler must know how
 * many elements follow; a count that is not known yet is filled in afterwards (reply_defer_*). */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "outbuf.h"
#include "slice.h"

struct error_counts;

struct reply {
    struct outbuf *out;
    uint8_t protocol; /* 2 or 3 */
    bool muted;       /* CLIENT REPLY OFF or SKIP: everything is swallowed */
    bool failed;      /* an error was replied since this was cleared: for statistics and EXEC */
    struct error_counts *errors; /* of the lcore, by error code; NULL: not counted */
};

void reply_status(struct reply *r, const char *text); /* "+text" */
void reply_ok(struct reply *r);
/* "-text": text begins with the code ("ERR …", "WRONGTYPE …"); line breaks inside become blanks. */
void reply_error(struct reply *r, const char *text);
void reply_errorf(struct reply *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void reply_i64(struct reply *r, int64_t value);
void reply_bulk(struct reply *r, struct slice value);
void reply_bulk_str(struct reply *r, const char *value);
void reply_bulk_i64(struct reply *r, int64_t value);
/* Queues value by reference when it is large; release(arg) once it is no longer needed (or at once
 * when it was copied). */
void reply_bulk_ref(struct reply *r, struct slice value, void (*release)(void *), void *arg);
/* The parts of a bulk whose bytes come in pieces: header, pieces by reply_raw(), end. */
void reply_bulk_begin(struct reply *r, size_t len);
void reply_raw(struct reply *r, struct slice bytes);
void reply_bulk_end(struct reply *r);
void reply_verbatim(struct reply *r, struct slice text); /* RESP3 "=…txt:", RESP2 bulk */
void reply_null(struct reply *r);                        /* RESP2 "$-1", RESP3 "_" */
void reply_null_array(struct reply *r);                  /* RESP2 "*-1", RESP3 "_" */
void reply_double(struct reply *r, double value);
void reply_bool(struct reply *r, bool value); /* RESP2 :1 / :0 */
void reply_array(struct reply *r, uint64_t count);
void reply_map(struct reply *r, uint64_t pairs); /* RESP2: array of 2 × pairs */
void reply_set(struct reply *r, uint64_t count);
void reply_push(struct reply *r, uint64_t count); /* RESP2: array */

/* An aggregate whose count comes later: begin notes the place, end inserts the header. kind is '*',
 * '%',
 * '~' or '>'. Elements between are kept aside, so use it where the count cannot be known. Nests. */
struct reply_deferred {
    struct outbuf *outer;
    struct outbuf inner;
};
void reply_defer_begin(struct reply *r, struct reply_deferred *d);
void reply_defer_end(struct reply *r, struct reply_deferred *d, char kind, uint64_t count);

/* The errors that many commands share, with Redis' words. */
extern const char REPLY_WRONG_TYPE[], REPLY_NOT_INTEGER[], REPLY_NOT_FLOAT[], REPLY_SYNTAX[],
    REPLY_NO_KEY[], REPLY_OUT_OF_RANGE[], REPLY_OOM[], REPLY_NOAUTH[];
