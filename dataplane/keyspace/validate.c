#include "ks_internal.h"

struct validation {
    uint32_t count, expiring, buckets;
};

static void word_validate(const struct bucket *head, uint64_t word, uint64_t prefix, unsigned depth)
{
    const struct entry *e = word_entry(word);
    struct slice name = entry_key(e);
    uint64_t hash = key_hash(name);
    CHECK(word >> WORD_TAG_SHIFT == hash_tag(hash));
    CHECK((word >> WORD_WINDOW_SHIFT & 255) == hash_window(hash, depth));
    CHECK(hash_prefix(hash, depth) == prefix);
    CHECK(!(word & WORD_VOLATILE) == !entry_has_expiry(e));
    unsigned same = 0;
    for (const struct bucket *b = head; b; b = bucket_next(b))
        for (unsigned i = 0; i < BUCKET_WORDS; i++)
            same += word_is_entry(bucket_word(b, i)) &&
                    entry_has_key(word_entry(bucket_word(b, i)), name);
    CHECK(same == 1);
}

static void chain_validate(struct validation *v, const struct bucket *head, uint64_t prefix,
                           unsigned depth)
{
    for (const struct bucket *b = head; b; b = bucket_next(b)) {
        uint32_t before = v->count;
        for (unsigned i = 0; i < BUCKET_WORDS; i++) {
            uint64_t word = bucket_word(b, i);
            CHECK(!word_is_chain(word) || i == BUCKET_LAST);
            if (!word_is_entry(word))
                continue;
            word_validate(head, word, prefix, depth);
            v->count++;
            v->expiring += (word & WORD_VOLATILE) != 0;
        }
        CHECK(b == head || v->count > before); /* no empty bucket hangs on */
    }
}

static void segment_validate(struct validation *v, const struct bucket *segment, unsigned bits,
                             uint64_t path, unsigned depth)
{
    for (uint64_t i = 0; i < UINT64_C(1) << bits; i++)
        chain_validate(v, segment + i, path << bits | i, depth);
    v->buckets += 1u << bits;
}

static void directory_validate(struct validation *v, uint64_t root)
{
    unsigned bits = root_directory_bits(root);
    const _Atomic(uint64_t) *directory = root_directory(root);
    CHECK(bits <= DIRECTORY_BITS_MAX);
    for (uint64_t i = 0; i < UINT64_C(1) << bits;) {
        uint64_t word = directory_word(directory, i);
        unsigned local = directory_word_depth(word);
        CHECK(local >= 1);
        CHECK(local <= bits);
        uint64_t span = UINT64_C(1) << (bits - local);
        CHECK(i % span == 0);
        for (uint64_t j = 1; j < span; j++)
            CHECK(directory_word(directory, i + j) == word);
        segment_validate(v, segment_pointer(word), SEGMENT_BITS_MAX, i / span,
                         local + SEGMENT_BITS_MAX);
        i += span;
    }
}

void ks_validate_slot(struct ks *ks, uint16_t slot)
{
    struct keyspace *k = ks->shared;
    CHECK(ks_holds(ks, slot));
    const struct slot_write *write = &k->writes[slot];
    uint64_t root = section_root(ks, slot);
    struct validation v = {0};
    if (root && root_directory_bits(root) == 0)
        segment_validate(&v, segment_pointer(root), root_segment_bits(root), 0,
                         root_segment_bits(root));
    else if (root)
        directory_validate(&v, root);
    CHECK(v.count == atomic_load_explicit(&write->count, memory_order_relaxed));
    CHECK(v.expiring == atomic_load_explicit(&write->expiring, memory_order_relaxed));
    CHECK(v.buckets == write->buckets);
    CHECK((root != 0) == (v.count != 0)); /* empty slots hold no memory */
    CHECK(bitmap_has(k->occupied, slot) == (v.count != 0));
    CHECK(bitmap_has(k->volatiles, slot) == (v.expiring != 0));
}
