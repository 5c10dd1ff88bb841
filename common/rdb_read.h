/* Reads what RDB values are made of: lengths, strings, doubles, from bytes that nobody vouches for.
 *
 * The reader looks at a window: a whole DUMP payload, or a piece of a file or stream. A function
 * that finds the window too short says RDB_MORE and has taken only what it keeps itself; the caller
 * presents another window, which begins with what was left unread of the old one (less than
 * RDB_ATOM_MAX bytes), and calls again with the same arguments. So values of any size pass through
 * a small buffer, and nothing is allocated ahead of the data. With last set nothing comes after the
 * window, and what is too short is invalid at once.
 *
 * Work is bounded by a budget in bytes, which the caller renews; RDB_PAUSE asks for it. Owner: one
 * thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "numbers.h"
#include "rdb_lzf.h"
#include "slice.h"

enum rdb_result {
    RDB_DONE,
    RDB_MORE,        /* the window is used up */
    RDB_PAUSE,       /* the budget is */
    RDB_INVALID,     /* not RDB, or it contradicts itself */
    RDB_UNSUPPORTED, /* valid as far as one can see, but unknown here */
    RDB_NO_MEMORY,
};

/* No number, and no head of a string, is longer. */
#define RDB_ATOM_MAX 32
/* Longer strings are invalid, whatever string_max says. */
#define RDB_STRING_MAX UINT32_MAX

struct rdb_reader {
    struct slice in; /* the unread part of the window */
    bool last;
    int64_t budget;
    uint64_t string_max; /* longer strings are invalid */
    uint64_t expanded;   /* bytes that compressed strings have become, for the caller's limits */
};

/* A window over all there is. */
void rdb_reader_init(struct rdb_reader *r, struct slice whole);

enum rdb_result rdb_read_byte(struct rdb_reader *r, uint8_t *value);
/* Never the mark of an encoded string. */
enum rdb_result rdb_read_length(struct rdb_reader *r, uint64_t *value);
/* Eight bytes, little-endian (RDB_ZSET_2). May be any double, NaN too. */
enum rdb_result rdb_read_double(struct rdb_reader *r, double *value);
/* As text behind a length byte, of which three values stand for what is not finite (RDB_ZSET). */
enum rdb_result rdb_read_double_text(struct rdb_reader *r, double *value);

/* A string being read: raw, an integer, or compressed. All zero at first; used for one string after
 * the other, it keeps its buffer. */
struct rdb_string {
    uint8_t kind;
    size_t len;  /* of the value; known after rdb_read_string_begin() */
    size_t left; /* encoded bytes still to be read */
    uint8_t *bytes;
    size_t filled, size;
    size_t part_len; /* bytes of bytes that were handed out as a part */
    struct rdb_unlzf unlzf;
    char text[NUMBER_TEXT_SIZE]; /* where an integer is spelled */
};
void rdb_string_fini(struct rdb_string *s);

/* Reads the head, so that the length is known; then one of the two below. */
enum rdb_result rdb_read_string_begin(struct rdb_reader *r, struct rdb_string *s);
/* The whole string (its head too, if it was not read yet). *value lies in the window where it can,
 * else in s; until the next string is read with s or the window goes. */
enum rdb_result rdb_read_string(struct rdb_reader *r, struct rdb_string *s, struct slice *value);
/* The next part of at most RDB_LZF_PIECE bytes, *part as above; empty at the end. Not for integers,
 * which are never long. */
enum rdb_result rdb_read_string_part(struct rdb_reader *r, struct rdb_string *s,
                                     struct slice *part);

/* Moves *value, just read with s, out of the window. False: no memory. */
bool rdb_string_keep(struct rdb_string *s, struct slice *value);
/* The whole string as a block of its own (malloc) of exactly its length; the caller's after
 * RDB_DONE. Empty strings are invalid here. */
enum rdb_result rdb_read_block(struct rdb_reader *r, struct rdb_string *s, uint8_t **block,
                               size_t *len);
