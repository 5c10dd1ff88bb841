/* Values as RDB carries them: from our types to bytes as Redis 7.0 writes them, and back from every
 * encoding that Redis 2.x to 7.2 wrote. DUMP and RESTORE, full syncs and RDB files use the same.
 *
 * Both directions go in steps, so that a caller keeps its pauses short whatever the value is.
 * Decoding trusts nothing: every length, count and structure is checked, memory is taken for what
 * has arrived only, and the value is built aside; an invalid one is thrown away. Owner: one thread;
 * a value that is encoded must not change until that has ended. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "bigstr.h"
#include "dict.h"
#include "entry.h"
#include "object.h"
#include "quicklist.h"
#include "rdb_read.h"
#include "rdb_walk.h"
#include "rdb_write.h"

/* One value outside the keyspace. */
struct rdb_value {
    enum obj_type type;
    struct slice text;  /* strings up to ENTRY_EMBED_MAX */
    struct bigstr *big; /* longer ones */
    void *object;       /* aggregates */
};
/* That of an entry, borrowed. */
struct rdb_value rdb_value_of(const struct entry *e);

/* ---- encoding ---- */

/* The type byte that goes before it (and, in files, before the key). */
uint8_t rdb_value_type(const struct rdb_value *v);

/* A string to be written: its bytes, those of a large string, or a listpack's frame around them. */
struct rdb_text {
    struct slice body;
    const struct bigstr *big;
    struct listpack_frame frame;
    bool framed;
};

struct rdb_encoder {
    struct rdb_value value;
    struct rdb_text texts[2]; /* due next */
    unsigned text_count, text_at;
    bool started, in_long;
    struct rdb_long_string text;
    const struct quicklist_node *node;
    struct dict_iter items;
};

void rdb_encoder_init(struct rdb_encoder *e, const struct rdb_value *v);
/* About budget bytes of the value; true: it is written. */
bool rdb_encoder_step(struct rdb_encoder *e, struct rdb_writer *w, int64_t budget);
/* Ends it at any time. */
void rdb_encoder_fini(struct rdb_encoder *e);

/* ---- decoding ---- */

struct rdb_row;

struct rdb_decoder {
    const struct rdb_row *row; /* how its type is read */
    struct type_limits limits;
    struct rdb_string first, second; /* element or field, value */
    struct slice field;              /* of a pair whose value is still to come */
    struct slice text;
    struct bigstr *big;
    void *object;
    uint64_t left; /* elements, pairs or nodes still to come */
    uint64_t container;
    uint8_t *blob; /* a compact container that is walked over */
    struct rdb_walk walk;
    bool counted, has_field, has_container, is_long, adopt;
};

/* type: the type byte, whatever it is. */
void rdb_decoder_init(struct rdb_decoder *d, uint8_t type, const struct type_limits *limits);
/* Goes on until the value is complete (RDB_DONE) or cannot go on; the reader's budget bounds one
 * call. After RDB_INVALID, RDB_UNSUPPORTED and RDB_NO_MEMORY only fini() may follow. */
enum rdb_result rdb_decoder_step(struct rdb_decoder *d, struct rdb_reader *r);
/* Once, after RDB_DONE: the caller owns big or object; text lives in the decoder or the window. */
void rdb_decoder_take(struct rdb_decoder *d, struct rdb_value *v);
/* Frees all that was not taken. */
void rdb_decoder_fini(struct rdb_decoder *d);
/* What the type byte stands for: "a list as a ziplist", "a stream" …; for messages. */
const char *rdb_decoder_what(const struct rdb_decoder *d);
