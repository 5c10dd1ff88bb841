/* Walks over the compact containers that RDB carries as one string, in bytes that nobody vouches
 * for: listpacks, and what came before them. Each element is checked when it is reached, the whole
 * at the end; so a caller builds aside and throws away what turns out to be invalid.
 *
 *   ziplist   bytes (4, LE), offset of the last entry (4), entries (2; 65535: unknown), entries,
 *             0xFF; entry = size of the one before it (1, or 0xFE and 4), encoding, data
 *   zipmap    pairs (1; 254: unknown), pairs, 0xFF; pair = length (1, or 254 and 4), field, length,
 *             unused bytes behind the value (1), value (Redis before 2.6)
 *   listpack, intset: listpack.h, intset.h
 *
 * Pure; the blob must live as long as the walk. */
#pragma once
#include "numbers.h"
#include "slice.h"

enum rdb_walk_kind { RDB_WALK_LISTPACK, RDB_WALK_ZIPLIST, RDB_WALK_ZIPMAP, RDB_WALK_INTSET };

struct rdb_walk {
    struct slice blob;
    size_t at;        /* the next element; for an intset its index */
    size_t last_at;   /* the one before it */
    size_t last_size; /* its size; 0: there is none */
    uint64_t count;   /* elements so far */
    int64_t last_member;
    enum rdb_walk_kind kind;
};

/* False: the head is invalid. */
bool rdb_walk_init(struct rdb_walk *w, enum rdb_walk_kind kind, struct slice blob);

enum rdb_walk_result { RDB_WALK_ELEMENT, RDB_WALK_END, RDB_WALK_INVALID };
/* The element lies in the blob, or in text when it is an integer. */
enum rdb_walk_result rdb_walk_next(struct rdb_walk *w, struct slice *element,
                                   char text[NUMBER_TEXT_SIZE]);
