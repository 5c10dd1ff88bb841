/* One cache line of a slot's index: a version, seven entry words, the seventh a chain pointer when
 * the bucket is full (inside keyspace/ only).
 *
 * Entry word: tag 8 | window 8 | pointer 48, of which the low four bits are flags. The tag is the
 * low byte of the hash, never 0; the window holds the eight hash bits from which growing takes its
 * next ones, so that a split does not look into the entries (see segment.h).
 *
 * Memory ordering. One writer at a time (the slot's lock). A word is stored with release after what
 * it points to is complete, and loaded with acquire. An entry never moves inside a published
 * bucket; the one relocation (seventh word into a new chained bucket) is one store: a reader sees
 * the entry or the chain that holds it. version is stored relaxed before the release store of every
 * change, so a reader that saw a part of a change and then reads version again finds it different.
 */
#pragma once
#include <stdatomic.h>
#include "check.h"
#include "entry_layout.h"

#define BUCKET_WORDS 7
#define BUCKET_LAST (BUCKET_WORDS - 1)

struct bucket {
    _Atomic(uint32_t) version; /* w: lock holder; of the head of a chain */
    uint32_t snapshot_epoch;   /* 0: not part of a snapshot; only the snapshot's walker sets it */
    _Atomic(uint64_t) words[BUCKET_WORDS];
};
_Static_assert(sizeof(struct bucket) == CACHE_LINE, "a bucket is one cache line");

/* Entries are aligned to 8 bytes only: that is what the smallest allocation class gives. */
#define WORD_POINTER UINT64_C(0x0000fffffffffff8)
#define WORD_CHAIN UINT64_C(1)    /* points to a bucket */
#define WORD_VOLATILE UINT64_C(2) /* the entry has an expiry */
#define WORD_TAG_SHIFT 56
#define WORD_WINDOW_SHIFT 48

static inline uint64_t hash_tag(uint64_t hash)
{
    uint64_t tag = hash & 255;
    return tag ? tag : 1;
}

/* The window of an entry in a bucket at depth: hash bits, counted from the top, 8w … 8w+7. */
static inline uint64_t hash_window(uint64_t hash, unsigned depth)
{
    return hash << (depth & ~7u) >> 56;
}

static inline uint64_t word_make(const struct entry *e, uint64_t hash, unsigned depth)
{
    return hash_tag(hash) << WORD_TAG_SHIFT | hash_window(hash, depth) << WORD_WINDOW_SHIFT |
           (uint64_t)(uintptr_t)e | (entry_has_expiry(e) ? WORD_VOLATILE : 0);
}

static inline struct entry *word_entry(uint64_t word)
{
    return (struct entry *)(uintptr_t)(word & WORD_POINTER); // NOLINT(performance-no-int-to-ptr)
}

static inline bool word_is_chain(uint64_t word)
{
    return word & WORD_CHAIN;
}

static inline bool word_is_entry(uint64_t word)
{
    return word != 0 && !(word & WORD_CHAIN);
}

static inline struct bucket *word_chain(uint64_t word)
{
    return (struct bucket *)(uintptr_t)(word & WORD_POINTER); // NOLINT(performance-no-int-to-ptr)
}

static inline uint64_t bucket_word(const struct bucket *b, unsigned i)
{
    return atomic_load_explicit(&b->words[i], memory_order_acquire);
}

static inline uint32_t bucket_version(const struct bucket *b)
{
    return atomic_load_explicit(&b->version, memory_order_acquire);
}

/* NULL at the end of the chain. */
static inline struct bucket *bucket_next(const struct bucket *b)
{
    uint64_t last = bucket_word(b, BUCKET_LAST);
    return word_is_chain(last) ? word_chain(last) : NULL;
}

/* Where an entry stands. */
struct place {
    struct bucket *head; /* of the chain; NULL: the slot is empty */
    struct bucket *at;
    unsigned index;
    unsigned depth; /* hash bits that lead to head */
};

/* Any reader; place->head and depth are given. NULL: not in this chain. */
static inline struct entry *bucket_find(struct place *place, uint64_t hash, struct slice name)
{
    uint64_t tag = hash_tag(hash);
    for (struct bucket *b = place->head;;) {
        uint64_t word = 0;
        for (unsigned i = 0; i < BUCKET_WORDS; i++) {
            word = bucket_word(b, i);
            if (word >> WORD_TAG_SHIFT != tag || !entry_has_key(word_entry(word), name))
                continue;
            place->at = b;
            place->index = i;
            return word_entry(word);
        }
        if (!word_is_chain(word))
            return NULL;
        b = word_chain(word);
    }
}

/* The lock's holder. */
static inline void bucket_store(struct bucket *head, struct bucket *at, unsigned i, uint64_t word)
{
    uint32_t version = atomic_load_explicit(&head->version, memory_order_relaxed);
    atomic_store_explicit(&head->version, version + 1, memory_order_relaxed);
    atomic_store_explicit(&at->words[i], word, memory_order_release);
}
