/* A set: an intset while all members are integers and few (set-max-intset-entries), else a dict. A
 * set never goes back to an intset.
 *
 * Owner: whoever holds the key's lock. Slices and iterators are void after a change. */
#pragma once
#include "dict.h"
#include "numbers.h"
#include "object.h"

struct set {
    void *body; /* an intset or a struct dict */
    uint8_t encoding;
};

/* NULL: no memory. Starts as an intset. */
struct set *set_new(void);
/* Over bytes that were validated (intset_validate); takes them over. NULL: no memory, is is kept.
 */
struct set *set_from_intset(uint8_t *is);
void set_free(struct set *s);
bool set_free_some(struct set *s, uint32_t budget);

enum obj_encoding set_encoding(const struct set *s);
size_t set_count(const struct set *s);
size_t set_mem_bytes(const struct set *s);

enum set_result { SET_ADDED, SET_PRESENT, SET_NO_MEMORY };
enum set_result set_add(struct set *s, struct slice member, const struct type_limits *limits);
/* False: no member. */
bool set_remove(struct set *s, struct slice member);
bool set_contains(const struct set *s, struct slice member);
/* Becomes a dict (nothing to do when it is one). False: no memory. */
bool set_convert(struct set *s);
/* A copy; NULL: no memory. */
struct set *set_copy(const struct set *s, const struct pace *pace);

/* All members, ascending in an intset; the member lives until the next call or change. */
struct set_iter {
    const struct set *set;
    uint32_t index;
    struct dict_iter dict;
    char text[NUMBER_TEXT_SIZE];
};
void set_iter_init(struct set_iter *it, const struct set *s);
bool set_iter_next(struct set_iter *it, struct slice *member);

/* A member, each as likely as any other; in the set or in text. Not empty. */
struct slice set_random(const struct set *s, struct rng *rng, char text[NUMBER_TEXT_SIZE]);
/* As dict_scan(); an intset is passed over whole in one call. */
uint64_t set_scan(const struct set *s, uint64_t cursor,
                  void (*each)(void *arg, const struct dict_item *item), void *arg);

/* Invariants, for tests and fuzzers. */
void set_validate(const struct set *s);
