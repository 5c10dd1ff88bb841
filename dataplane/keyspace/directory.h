/* A slot's index: nothing, one segment that doubles, or a directory of full-grown segments
 * (extendible hashing; inside keyspace/ only).
 *
 *   root word 0: empty. Bits 48-55 directory bits d.
 *     d = 0: bits 0-2 segment bits s, pointer to the segment; bucket = top s bits of the hash.
 *     d > 0: pointer to 2^d directory words, chosen by the top d bits of the hash.
 *   directory word: bits 48-55 local depth l, pointer to a segment of SEGMENT_BITS_MAX bits that
 * holds all hashes with its l bits; bucket = the bits after those.
 *
 * Depth of a bucket = hash bits that lead to it. Buckets in the order of their hash prefix are the
 * order of SCAN (reversed bucket index): growing splits a bucket's range in place.
 *
 * Memory ordering: everything is built aside and published by a release store of root or of the
 * directory's words; the old parts keep their contents and are retired. While a split stores
 * several directory words, readers find the old segment by some and the new by others; no change
 * happens before the last, so both say the same. */
#pragma once
#include "bucket.h"
#include "segment.h"

#define DIRECTORY_BITS_MAX 22
#define ROOT_POINTER UINT64_C(0x0000fffffffffff0)
#define ROOT_SEGMENT_BITS UINT64_C(7)
#define SEGMENT_POINTER UINT64_C(0x0000ffffffffffc0)

struct ks;

static inline unsigned root_directory_bits(uint64_t root)
{
    return (unsigned)(root >> 48);
}

static inline unsigned root_segment_bits(uint64_t root)
{
    return (unsigned)(root & ROOT_SEGMENT_BITS);
}

static inline struct bucket *segment_pointer(uint64_t word)
{
    return (struct bucket *)(uintptr_t)(word &
                                        SEGMENT_POINTER); // NOLINT(performance-no-int-to-ptr)
}

static inline _Atomic(uint64_t) *root_directory(uint64_t root)
{
    return (_Atomic(uint64_t) *)(uintptr_t)(root &
                                            ROOT_POINTER); // NOLINT(performance-no-int-to-ptr)
}

static inline uint64_t directory_word(const _Atomic(uint64_t) *directory, uint64_t i)
{
    return atomic_load_explicit(&directory[i], memory_order_acquire);
}

static inline unsigned directory_word_depth(uint64_t word)
{
    return (unsigned)(word >> 48);
}

static inline uint64_t root_of_segment(const struct bucket *segment, unsigned bits)
{
    return (uint64_t)(uintptr_t)segment | bits;
}

static inline uint64_t root_of_directory(const _Atomic(uint64_t) *directory, unsigned bits)
{
    return (uint64_t)(uintptr_t)directory | (uint64_t)bits << 48;
}

static inline uint64_t directory_word_make(const struct bucket *segment, unsigned depth)
{
    return (uint64_t)(uintptr_t)segment | (uint64_t)depth << 48;
}

/* The first bits of the hash as a number; 0 bits: 0. */
static inline uint64_t hash_prefix(uint64_t hash, unsigned bits)
{
    return bits ? hash >> (64 - bits) : 0;
}

/* The chain where hash belongs; root is not 0. */
static inline struct bucket *index_locate(uint64_t root, uint64_t hash, unsigned *depth)
{
    unsigned d = root_directory_bits(root);
    if (d == 0) {
        unsigned bits = root_segment_bits(root);
        *depth = bits;
        return segment_pointer(root) + hash_prefix(hash, bits);
    }
    uint64_t word = directory_word(root_directory(root), hash >> (64 - d));
    unsigned local = directory_word_depth(word);
    *depth = local + SEGMENT_BITS_MAX;
    return segment_pointer(word) + (hash << local >> (64 - SEGMENT_BITS_MAX));
}

/* Any reader. NULL: absent; place->head is NULL then when the index is empty. */
static inline struct entry *index_find(uint64_t root, uint64_t hash, struct slice name,
                                       struct place *place)
{
    place->head = NULL;
    if (root == 0)
        return NULL;
    place->head = index_locate(root, hash, &place->depth);
    return bucket_find(place, hash, name);
}

/* ---- the lock's holder ---- */
/* Before a new entry of hash goes in: grows the index when the bucket is full and the load high, as
 * far as the stock allows. */
void index_make_room(struct ks *ks, uint16_t slot, uint64_t hash);
/* Puts e, whose key is not there; the caller released its promised bucket just before. */
void index_insert(struct ks *ks, uint16_t slot, uint64_t hash, struct entry *e);
/* Another entry in the same place. */
void index_replace(const struct place *place, uint64_t hash, struct entry *e);
/* Takes the entry at place out of the index; frees or shrinks what became empty. */
void index_remove(struct ks *ks, uint16_t slot, uint64_t hash, const struct place *place);

/* ---- shared by directory.c and directory_shrink.c ---- */
/* Chains included. */
size_t segment_held_bytes(const struct bucket *segment, unsigned bits);
/* Account for a segment that goes in and one that is replaced. */
void segment_published(struct ks *ks, uint16_t slot, const struct bucket *segment, unsigned bits);
void segment_retire(struct ks *ks, uint16_t slot, struct bucket *segment, unsigned bits);
void directory_retire(struct ks *ks, _Atomic(uint64_t) *directory, unsigned bits);
/* Stores word for every hash that begins with the bits of prefix. */
void directory_fill(_Atomic(uint64_t) *directory, unsigned bits, uint64_t prefix, uint64_t word);

/* Entries in a segment at a load. */
static inline uint32_t capacity_percent(unsigned bits, uint32_t percent)
{
    return (BUCKET_WORDS * percent << bits) / 100;
}

/* Frees index memory bit by bit (of a detached index, after its grace period): takes any one
 * segment apart. Entries are handed to each(); false once nothing is left. */
struct index_walk {
    uint64_t root;
    uint64_t next; /* directory word */
};
bool index_free_some(struct index_walk *walk, void (*each)(void *arg, struct entry *e), void *arg,
                     size_t *freed_bytes);
