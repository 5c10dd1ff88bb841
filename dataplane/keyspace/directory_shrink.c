#include "directory.h"
#include "ks_internal.h"

/* Load below which two segments become one. */
#define SHRINK_PERCENT 35u

/* A chained bucket without entries leaves the chain; whoever is in it still finds its way on. */
static void chain_unlink_empty(struct ks *ks, const struct place *place)
{
    uint64_t rest = bucket_word(place->at, BUCKET_LAST);
    for (unsigned i = 0; i < BUCKET_LAST; i++)
        if (bucket_word(place->at, i) != 0)
            return;
    if (word_is_entry(rest))
        return;
    struct bucket *before = place->head;
    while (bucket_next(before) != place->at)
        before = bucket_next(before);
    bucket_store(place->head, before, BUCKET_LAST, rest);
    retire_item(ks, RETIRE_MEMORY, (uint64_t)(uintptr_t)place->at, sizeof(struct bucket),
                sizeof(struct bucket));
}

static void index_end(struct ks *ks, uint16_t slot)
{
    struct keyspace *k = ks->shared;
    uint64_t root = slot_root(k, slot);
    slot_root_set(k, slot, 0);
    unsigned bits = root_directory_bits(root);
    if (bits == 0) {
        segment_retire(ks, slot, segment_pointer(root), root_segment_bits(root));
        return;
    }
    for (uint64_t i = 0; i < UINT64_C(1) << bits;) {
        uint64_t word = directory_word(root_directory(root), i);
        segment_retire(ks, slot, segment_pointer(word), SEGMENT_BITS_MAX);
        i += UINT64_C(1) << (bits - directory_word_depth(word));
    }
    directory_retire(ks, root_directory(root), bits);
}

static void segment_halve(struct ks *ks, uint16_t slot, uint64_t root)
{
    struct stock *stock = &ks->p->stock;
    unsigned bits = root_segment_bits(root) - 1;
    struct bucket *old = segment_pointer(root);
    struct bucket *from[2] = {old, old + (1u << bits)};
    struct bucket *halved = stock_take(stock, bits);
    if (!halved)
        return;
    if (!segment_unite(from, bits, bits + 1, 0, halved, stock)) {
        stock_give(stock, halved, bits);
        return;
    }
    segment_published(ks, slot, halved, bits);
    slot_root_set(ks->shared, slot, root_of_segment(halved, bits));
    segment_retire(ks, slot, old, bits + 1);
}

/* Drops the directory bits that no segment needs; a lone segment stands without directory. */
static void directory_shrink(struct ks *ks, uint16_t slot)
{
    struct keyspace *k = ks->shared;
    uint64_t root = slot_root(k, slot);
    unsigned bits = root_directory_bits(root);
    _Atomic(uint64_t) *old = root_directory(root);
    unsigned needed = 0;
    for (uint64_t i = 0; i < UINT64_C(1) << bits && needed < bits; i++) {
        unsigned local = directory_word_depth(directory_word(old, i));
        needed = local > needed ? local : needed;
    }
    if (needed == bits)
        return;
    uint64_t shrunk_root;
    if (needed == 0) {
        shrunk_root = root_of_segment(segment_pointer(directory_word(old, 0)), SEGMENT_BITS_MAX);
    } else {
        _Atomic(uint64_t) *shrunk = stock_take_directory(&ks->p->stock, needed);
        if (!shrunk)
            return; /* readers do not mind; the next merge tries again */
        for (uint64_t i = 0; i < UINT64_C(1) << needed; i++)
            atomic_init(&shrunk[i], directory_word(old, i << (bits - needed)));
        ks_used_add(ks, (int64_t)ks_mem_usable(sizeof(uint64_t) << needed));
        shrunk_root = root_of_directory(shrunk, needed);
    }
    slot_root_set(k, slot, shrunk_root);
    directory_retire(ks, old, bits);
}

static void segments_merge(struct ks *ks, uint16_t slot, uint64_t hash)
{
    struct stock *stock = &ks->p->stock;
    uint64_t root = slot_root(ks->shared, slot);
    unsigned bits = root_directory_bits(root);
    _Atomic(uint64_t) *directory = root_directory(root);
    unsigned local = directory_word_depth(directory_word(directory, hash_prefix(hash, bits)));
    uint64_t path = hash_prefix(hash, local - 1);
    uint64_t words[2];
    for (unsigned i = 0; i < 2; i++) {
        words[i] = directory_word(directory, (path << 1 | i) << (bits - local));
        if (directory_word_depth(words[i]) != local)
            return;
    }
    struct bucket *from[2] = {segment_pointer(words[0]), segment_pointer(words[1])};
    if (segment_count(from[0], SEGMENT_BITS_MAX) + segment_count(from[1], SEGMENT_BITS_MAX) >
        capacity_percent(SEGMENT_BITS_MAX, SHRINK_PERCENT))
        return;
    struct bucket *merged = stock_take(stock, SEGMENT_BITS_MAX);
    if (!merged)
        return;
    if (!segment_unite(from, SEGMENT_BITS_MAX, local + SEGMENT_BITS_MAX, path, merged, stock)) {
        stock_give(stock, merged, SEGMENT_BITS_MAX);
        return;
    }
    segment_published(ks, slot, merged, SEGMENT_BITS_MAX);
    directory_fill(directory, bits, path, directory_word_make(merged, local - 1));
    segment_retire(ks, slot, from[0], SEGMENT_BITS_MAX);
    segment_retire(ks, slot, from[1], SEGMENT_BITS_MAX);
    directory_shrink(ks, slot);
}

void index_remove(struct ks *ks, uint16_t slot, uint64_t hash, const struct place *place)
{
    struct slot_write *write = &ks->shared->writes[slot];
    bucket_store(place->head, place->at, place->index, 0);
    if (place->at != place->head)
        chain_unlink_empty(ks, place);
    uint32_t count = atomic_load_explicit(&write->count, memory_order_relaxed);
    if (count == 0) {
        index_end(ks, slot);
        return;
    }
    /* Sparse: below a sixth. */
    if (write->buckets < 2 || count * 6 > write->buckets * BUCKET_WORDS)
        return;
    uint64_t root = slot_root(ks->shared, slot);
    if (root_directory_bits(root) == 0)
        segment_halve(ks, slot, root);
    else
        segments_merge(ks, slot, hash);
}

static size_t segment_free_entries(struct bucket *segment, unsigned bits,
                                   void (*each)(void *arg, struct entry *e), void *arg)
{
    size_t bytes = segment_held_bytes(segment, bits);
    for (unsigned i = 0; i < 1u << bits; i++) {
        for (struct bucket *b = segment + i, *next; b; b = next) {
            next = bucket_next(b);
            for (unsigned w = 0; w < BUCKET_WORDS; w++)
                if (word_is_entry(bucket_word(b, w)))
                    each(arg, word_entry(bucket_word(b, w)));
            if (b != segment + i)
                ks_mem_free(b, sizeof(*b));
        }
    }
    ks_mem_free(segment, segment_bytes(bits));
    return bytes;
}

bool index_free_some(struct index_walk *walk, void (*each)(void *arg, struct entry *e), void *arg,
                     size_t *freed_bytes)
{
    *freed_bytes = 0;
    if (walk->root == 0)
        return false;
    unsigned bits = root_directory_bits(walk->root);
    if (bits == 0) {
        *freed_bytes = segment_free_entries(segment_pointer(walk->root),
                                            root_segment_bits(walk->root), each, arg);
        walk->root = 0;
        return true;
    }
    _Atomic(uint64_t) *directory = root_directory(walk->root);
    uint64_t word = directory_word(directory, walk->next);
    walk->next += UINT64_C(1) << (bits - directory_word_depth(word));
    *freed_bytes = segment_free_entries(segment_pointer(word), SEGMENT_BITS_MAX, each, arg);
    if (walk->next == UINT64_C(1) << bits) {
        size_t size = sizeof(uint64_t) << bits;
        *freed_bytes += ks_mem_usable(size);
        ks_mem_free(directory, size);
        walk->root = 0;
    }
    return true;
}
