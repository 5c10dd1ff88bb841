/* String values as handlers use them: inside the entry, or in chunks. Owner: the calling lcore;
 * entries live until the next quiescent state. */
#pragma once
#include "command.h"

/* The value as a bulk reply; chunks of large values are queued by reference. */
void string_reply(struct reply *r, const struct entry *e);
/* The len bytes from offset on, which must be there. */
void string_reply_range(struct reply *r, const struct entry *e, size_t offset, size_t len);
/* Copies the whole value. */
void string_copy(const struct entry *e, uint8_t *dst);
/* The value in one piece: borrowed from the entry, or copied into *owned (free() it; NULL
 * otherwise). False: out of memory. */
bool string_flat(const struct entry *e, struct slice *value, uint8_t **owned);

/* True when e is NULL or a string; else replies WRONGTYPE. */
bool string_check_type(struct call *c, const struct entry *e);
/* The whole number in e, 0 for NULL. False: an error was replied. */
bool string_parse_i64(struct call *c, struct slice text, int64_t *out);

/* What a read-modify-write command makes of the old entry (NULL: none), outside any lock where
 * possible: the new entry, or NULL to store nothing after it has replied. It may run several times,
 * and must reply only when it returns NULL or when called for the last time: so replies wait for
 * the caller. */
typedef struct entry *(*string_build)(struct call *c, const struct entry *old, void *arg);
/* Builds without a lock, then stores under it if the key has not changed meanwhile; after a few
 * tries builds under the lock. False: build() returned NULL, or the call was put off (work.h). The
 * old entry stays readable until the end of the command. */
bool string_update(struct call *c, const struct key *key, string_build build, void *arg);
