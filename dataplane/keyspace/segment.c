#include "segment.h"
#include "keyhash.h"
#include "stock.h"

uint32_t segment_count(const struct bucket *segment, unsigned bits)
{
    uint32_t count = 0;
    for (unsigned i = 0; i < 1u << bits; i++)
        for (const struct bucket *b = segment + i; b; b = bucket_next(b))
            for (unsigned w = 0; w < BUCKET_WORDS; w++)
                count += word_is_entry(atomic_load_explicit(&b->words[w], memory_order_relaxed));
    return count;
}

uint32_t segment_chained(const struct bucket *segment, unsigned bits)
{
    uint32_t chained = 0;
    for (unsigned i = 0; i < 1u << bits; i++)
        for (const struct bucket *b = bucket_next(segment + i); b; b = bucket_next(b))
            chained++;
    return chained;
}

static void word_put(struct bucket *b, unsigned i, uint64_t word)
{
    atomic_store_explicit(&b->words[i], word, memory_order_relaxed);
}

bool segment_append(struct bucket *head, uint64_t word, struct stock *stock)
{
    struct bucket *b = head;
    for (struct bucket *next; (next = bucket_next(b));)
        b = next;
    for (unsigned i = 0; i < BUCKET_WORDS; i++) {
        if (bucket_word(b, i) == 0) {
            word_put(b, i, word);
            return true;
        }
    }
    struct bucket *added = stock_take(stock, 0);
    if (!added)
        return false;
    word_put(added, 0, bucket_word(b, BUCKET_LAST));
    word_put(added, 1, word);
    word_put(b, BUCKET_LAST, (uint64_t)(uintptr_t)added | WORD_CHAIN);
    return true;
}

void segment_unchain(struct bucket *segment, unsigned bits, struct stock *stock)
{
    for (unsigned i = 0; i < 1u << bits; i++) {
        struct bucket *b = bucket_next(segment + i);
        while (b) {
            struct bucket *next = bucket_next(b);
            stock_give(stock, b, 0);
            b = next;
        }
        word_put(segment + i, BUCKET_LAST, 0);
    }
}

static uint64_t word_with_window(uint64_t word, uint64_t window)
{
    return (word & ~(UINT64_C(255) << WORD_WINDOW_SHIFT)) | window << WORD_WINDOW_SHIFT;
}

/* The windows are used up at every eighth depth: then the keys are hashed again, all of them
 * fetched before the first is looked at. */
static void segment_prefetch_keys(const struct bucket *from, unsigned bits)
{
    for (unsigned i = 0; i < 1u << bits; i++)
        for (const struct bucket *b = from + i; b; b = bucket_next(b))
            for (unsigned w = 0; w < BUCKET_WORDS; w++)
                if (word_is_entry(bucket_word(b, w)))
                    __builtin_prefetch(word_entry(bucket_word(b, w)));
}

/* Moves one source bucket into its two targets. */
static bool divide_bucket(const struct bucket *from, unsigned depth, struct bucket *const pair[2],
                          struct stock *stock)
{
    bool renew = (depth + 1) % 8 == 0;
    for (const struct bucket *b = from; b; b = bucket_next(b)) {
        for (unsigned w = 0; w < BUCKET_WORDS; w++) {
            uint64_t word = bucket_word(b, w);
            if (!word_is_entry(word))
                continue;
            unsigned bit = (unsigned)(word >> (WORD_WINDOW_SHIFT + 7 - depth % 8)) & 1;
            if (renew) {
                uint64_t hash = key_hash(entry_key(word_entry(word)));
                word = word_with_window(word, hash_window(hash, depth + 1));
            }
            if (!segment_append(pair[bit], word, stock))
                return false;
        }
    }
    return true;
}

bool segment_divide(const struct bucket *from, unsigned bits, unsigned depth,
                    struct bucket *targets[2], struct stock *stock)
{
    unsigned half = 1u << bits;
    if ((depth + 1) % 8 == 0)
        segment_prefetch_keys(from, bits);
    for (unsigned i = 0; i < half; i++) {
        unsigned j = i << 1;
        struct bucket *to = j < half ? targets[0] + j : targets[1] + (j - half);
        struct bucket *pair[2] = {to, to + 1}; /* a bucket's pair lies together */
        if (!divide_bucket(from + i, depth, pair, stock)) {
            segment_unchain(targets[0], bits, stock);
            segment_unchain(targets[1], bits, stock);
            return false;
        }
    }
    return true;
}

static bool unite_bucket(const struct bucket *from, const uint64_t *window, struct bucket *to,
                         struct stock *stock)
{
    for (const struct bucket *b = from; b; b = bucket_next(b)) {
        for (unsigned w = 0; w < BUCKET_WORDS; w++) {
            uint64_t word = bucket_word(b, w);
            if (!word_is_entry(word))
                continue;
            if (window)
                word = word_with_window(word, *window);
            if (!segment_append(to, word, stock))
                return false;
        }
    }
    return true;
}

bool segment_unite(struct bucket *const from[2], unsigned bits, unsigned depth, uint64_t path,
                   struct bucket *to, struct stock *stock)
{
    unsigned half = 1u << bits;
    for (unsigned j = 0; j < half << 1; j++) {
        const struct bucket *source = j < half ? from[0] + j : from[1] + (j - half);
        /* Back in the window before: all its bits are the bucket's own. */
        uint64_t window = (path << (bits + 1) | j) & 255;
        if (!unite_bucket(source, depth % 8 == 0 ? &window : NULL, to + (j >> 1), stock)) {
            segment_unchain(to, bits, stock);
            return false;
        }
    }
    return true;
}
