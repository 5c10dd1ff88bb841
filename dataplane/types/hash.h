/* A hash: fields with values, as a listpack of pairs in insertion order while small, else as a
 * dict. The limits are Redis' (hash-max-listpack-entries, hash-max-listpack-value); a hash never
 * goes back to a listpack.
 *
 * Owner: whoever holds the key's lock. Slices and iterators are void after a change. */
#pragma once
#include "dict.h"
#include "numbers.h"
#include "object.h"

struct hash {
    void *body; /* a listpack or a struct dict */
    uint8_t encoding;
};

struct hash_item {
    struct slice field, value;
    char field_text[NUMBER_TEXT_SIZE],
        value_text[NUMBER_TEXT_SIZE]; /* where integers are spelled */
};

/* NULL: no memory. */
struct hash *hash_new(void);
/* Over bytes that were validated (hash_listpack_validate); takes lp over. NULL: no memory, lp is
 * kept. */
struct hash *hash_from_listpack(uint8_t *lp);
void hash_free(struct hash *h);
bool hash_free_some(struct hash *h, uint32_t budget);

enum obj_encoding hash_encoding(const struct hash *h);
size_t hash_count(const struct hash *h);
size_t hash_mem_bytes(const struct hash *h);

enum hash_result { HASH_ADDED, HASH_UPDATED, HASH_NO_MEMORY };
/* Without memory the field keeps what it had. */
enum hash_result hash_set(struct hash *h, struct slice field, struct slice value,
                          const struct type_limits *limits);
/* False: no such field. value may lie in text. */
bool hash_get(const struct hash *h, struct slice field, struct slice *value,
              char text[NUMBER_TEXT_SIZE]);
bool hash_delete(struct hash *h, struct slice field);
/* Becomes a dict (nothing to do when it is one). False: no memory. */
bool hash_convert(struct hash *h);
/* A copy; NULL: no memory. */
struct hash *hash_copy(const struct hash *h, const struct pace *pace);

/* All pairs; item lives until the next call or change. */
struct hash_iter {
    const struct hash *hash;
    const uint8_t *p;
    struct dict_iter dict;
};
void hash_iter_init(struct hash_iter *it, const struct hash *h);
bool hash_iter_next(struct hash_iter *it, struct hash_item *item);

/* One pair, each as likely as any other. Not empty. */
void hash_random(const struct hash *h, struct rng *rng, struct hash_item *item);
/* As dict_scan(); a listpack is passed over whole in one call. */
uint64_t hash_scan(const struct hash *h, uint64_t cursor,
                   void (*each)(void *arg, const struct dict_item *item), void *arg);

/* Untrusted bytes: a listpack of pairs without a field twice. */
bool hash_listpack_validate(struct slice blob);
/* Invariants, for tests and fuzzers. */
void hash_validate(const struct hash *h);
