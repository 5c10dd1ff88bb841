#include "directory.h"
#include "ks_internal.h"

/* Load at which a full bucket makes its segment grow. */
#define GROW_PERCENT 80u

size_t segment_held_bytes(const struct bucket *segment, unsigned bits)
{
    return segment_bytes(bits) + segment_chained(segment, bits) * sizeof(struct bucket);
}

void segment_published(struct ks *ks, uint16_t slot, const struct bucket *segment, unsigned bits)
{
    ks_used_add(ks, (int64_t)segment_held_bytes(segment, bits));
    ks->shared->writes[slot].buckets += 1u << bits;
}

void segment_retire(struct ks *ks, uint16_t slot, struct bucket *segment, unsigned bits)
{
    ks->shared->writes[slot].buckets -= 1u << bits;
    retire_item(ks, RETIRE_SEGMENT, (uint64_t)(uintptr_t)segment, bits,
                segment_held_bytes(segment, bits));
}

void directory_retire(struct ks *ks, _Atomic(uint64_t) *directory, unsigned bits)
{
    size_t size = sizeof(uint64_t) << bits;
    retire_item(ks, RETIRE_MEMORY, (uint64_t)(uintptr_t)directory, size, ks_mem_usable(size));
}

void directory_fill(_Atomic(uint64_t) *directory, unsigned bits, uint64_t prefix, uint64_t word)
{
    unsigned local = directory_word_depth(word);
    uint64_t first = prefix << (bits - local);
    for (uint64_t i = 0; i < UINT64_C(1) << (bits - local); i++)
        atomic_store_explicit(&directory[first + i], word, memory_order_release);
}

/* The single segment, twice as long. */
static bool segment_double(struct ks *ks, uint16_t slot, uint64_t root)
{
    struct stock *stock = &ks->p->stock;
    unsigned bits = root_segment_bits(root);
    struct bucket *old = segment_pointer(root);
    struct bucket *grown = stock_take(stock, bits + 1);
    if (!grown)
        return false;
    struct bucket *targets[2] = {grown, grown + (1u << bits)};
    if (!segment_divide(old, bits, bits, targets, stock)) {
        stock_give(stock, grown, bits + 1);
        return false;
    }
    segment_published(ks, slot, grown, bits + 1);
    slot_root_set(ks->shared, slot, root_of_segment(grown, bits + 1));
    segment_retire(ks, slot, old, bits);
    return true;
}

/* A directory with one bit more, every word twice. */
static _Atomic(uint64_t) *directory_double(struct ks *ks, uint64_t root)
{
    unsigned bits = root_directory_bits(root);
    if (bits >= DIRECTORY_BITS_MAX)
        return NULL;
    _Atomic(uint64_t) *doubled = stock_take_directory(&ks->p->stock, bits + 1);
    if (!doubled)
        return NULL;
    const _Atomic(uint64_t) *old = root_directory(root);
    for (uint64_t i = 0; i < UINT64_C(1) << (bits + 1); i++) {
        uint64_t word = bits ? atomic_load_explicit(&old[i >> 1], memory_order_relaxed)
                             : directory_word_make(segment_pointer(root), 0);
        atomic_init(&doubled[i], word);
    }
    ks_used_add(ks, (int64_t)ks_mem_usable(sizeof(uint64_t) << (bits + 1)));
    return doubled;
}

/* Publishes the halves of the segment at local depth l, in a larger directory when it needs one. */
static bool split_publish(struct ks *ks, uint16_t slot, uint64_t hash, unsigned local,
                          struct bucket *const halves[2])
{
    struct keyspace *k = ks->shared;
    uint64_t root = slot_root(k, slot);
    unsigned bits = root_directory_bits(root);
    _Atomic(uint64_t) *directory = bits ? root_directory(root) : NULL;
    bool larger = local == bits;
    if (larger) {
        _Atomic(uint64_t) *doubled = directory_double(ks, root);
        if (!doubled)
            return false;
        directory = doubled;
    }
    unsigned new_bits = bits + larger;
    uint64_t prefix = hash_prefix(hash, local) << 1;
    directory_fill(directory, new_bits, prefix, directory_word_make(halves[0], local + 1));
    directory_fill(directory, new_bits, prefix | 1, directory_word_make(halves[1], local + 1));
    if (larger) {
        slot_root_set(k, slot, root_of_directory(directory, new_bits));
        if (bits)
            directory_retire(ks, root_directory(root), bits);
    }
    return true;
}

static bool segment_split(struct ks *ks, uint16_t slot, uint64_t hash, struct bucket *old,
                          unsigned local)
{
    struct stock *stock = &ks->p->stock;
    struct bucket *halves[2] = {stock_take(stock, SEGMENT_BITS_MAX), NULL};
    halves[1] = halves[0] ? stock_take(stock, SEGMENT_BITS_MAX) : NULL;
    bool built =
        halves[1] && segment_divide(old, SEGMENT_BITS_MAX, local + SEGMENT_BITS_MAX, halves, stock);
    if (!built || !split_publish(ks, slot, hash, local, halves)) {
        for (unsigned i = 0; i < 2; i++) {
            if (built)
                segment_unchain(halves[i], SEGMENT_BITS_MAX, stock);
            if (halves[i])
                stock_give(stock, halves[i], SEGMENT_BITS_MAX);
        }
        return false;
    }
    segment_published(ks, slot, halves[0], SEGMENT_BITS_MAX);
    segment_published(ks, slot, halves[1], SEGMENT_BITS_MAX);
    segment_retire(ks, slot, old, SEGMENT_BITS_MAX);
    return true;
}

static bool chain_full(const struct bucket *b)
{
    for (; b; b = bucket_next(b))
        for (unsigned i = 0; i < BUCKET_WORDS; i++)
            if (bucket_word(b, i) == 0)
                return false;
    return true;
}

static bool index_grow(struct ks *ks, uint16_t slot, uint64_t hash)
{
    struct keyspace *k = ks->shared;
    uint64_t root = slot_root(k, slot);
    if (root_directory_bits(root) == 0 && root_segment_bits(root) < SEGMENT_BITS_MAX) {
        uint32_t count = atomic_load_explicit(&k->writes[slot].count, memory_order_relaxed);
        return count >= capacity_percent(root_segment_bits(root), GROW_PERCENT) &&
               segment_double(ks, slot, root);
    }
    unsigned local = 0;
    struct bucket *segment = segment_pointer(root);
    if (root_directory_bits(root)) {
        uint64_t word =
            directory_word(root_directory(root), hash_prefix(hash, root_directory_bits(root)));
        local = directory_word_depth(word);
        segment = segment_pointer(word);
    }
    return segment_count(segment, SEGMENT_BITS_MAX) >=
               capacity_percent(SEGMENT_BITS_MAX, GROW_PERCENT) &&
           segment_split(ks, slot, hash, segment, local);
}

void index_make_room(struct ks *ks, uint16_t slot, uint64_t hash)
{
    for (;;) {
        uint64_t root = slot_root(ks->shared, slot);
        unsigned depth;
        if (root == 0 || !chain_full(index_locate(root, hash, &depth)))
            return;
        if (!index_grow(ks, slot, hash))
            return;
    }
}

static void index_begin(struct ks *ks, uint16_t slot, uint64_t hash, struct entry *e)
{
    struct bucket *b = stock_take(&ks->p->stock, 0);
    CHECK(b);
    atomic_store_explicit(&b->words[0], word_make(e, hash, 0), memory_order_relaxed);
    segment_published(ks, slot, b, 0);
    slot_root_set(ks->shared, slot, root_of_segment(b, 0));
}

void index_insert(struct ks *ks, uint16_t slot, uint64_t hash, struct entry *e)
{
    uint64_t root = slot_root(ks->shared, slot);
    if (root == 0) {
        index_begin(ks, slot, hash, e);
        return;
    }
    unsigned depth;
    struct bucket *head = index_locate(root, hash, &depth);
    uint64_t word = word_make(e, hash, depth);
    struct bucket *last = head;
    for (struct bucket *b = head; b; last = b, b = bucket_next(b)) {
        for (unsigned i = 0; i < BUCKET_WORDS; i++) {
            if (bucket_word(b, i) == 0) {
                bucket_store(head, b, i, word);
                return;
            }
        }
    }
    struct bucket *added = stock_take(&ks->p->stock, 0);
    CHECK(added);
    ks_used_add(ks, sizeof(*added));
    atomic_store_explicit(&added->words[0], bucket_word(last, BUCKET_LAST), memory_order_relaxed);
    atomic_store_explicit(&added->words[1], word, memory_order_relaxed);
    bucket_store(head, last, BUCKET_LAST, (uint64_t)(uintptr_t)added | WORD_CHAIN);
}

void index_replace(const struct place *place, uint64_t hash, struct entry *e)
{
    bucket_store(place->head, place->at, place->index, word_make(e, hash, place->depth));
}
