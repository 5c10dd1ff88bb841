#include "stock.h"
#include "ks_memory.h"

#define BUCKETS_KEPT 16u  /* chains of one split, and a few inserts */
#define BUCKETS_MOST 256u /* more are given back to the heap */
#define SEGMENTS_MOST 4u

void stock_init(struct stock *stock)
{
    *stock = (struct stock){.low = true};
}

static void stock_drop(struct stock *stock, unsigned bits)
{
    struct spare *spare = stock->spare[bits];
    stock->spare[bits] = spare->next;
    stock->count[bits]--;
    ks_mem_free(spare, segment_bytes(bits));
}

void stock_fini(struct stock *stock)
{
    for (unsigned bits = 0; bits <= SEGMENT_BITS_MAX; bits++)
        while (stock->count[bits])
            stock_drop(stock, bits);
    if (stock->directory)
        ks_mem_free(stock->directory, sizeof(uint64_t) << stock->directory_bits);
    stock->directory = NULL;
}

static bool stock_fill(struct stock *stock, unsigned bits, uint32_t kept)
{
    while (stock->count[bits] < kept) {
        struct spare *spare = ks_mem_alloc_lines(segment_bytes(bits));
        if (!spare)
            return false;
        spare->next = stock->spare[bits];
        stock->spare[bits] = spare;
        stock->count[bits]++;
    }
    return true;
}

bool stock_refill(struct stock *stock)
{
    if (likely_true(!stock->low))
        return true;
    stock->low = false;
    for (unsigned bits = 1; bits <= SEGMENT_BITS_MAX; bits++)
        if (!stock_fill(stock, bits, bits == SEGMENT_BITS_MAX ? 2 : 1))
            stock->low = true;
    if (stock->directory_bits && !stock->directory) {
        stock->directory = ks_mem_alloc(sizeof(uint64_t) << stock->directory_bits);
        if (!stock->directory)
            stock->low = true;
    }
    if (!stock_fill(stock, 0, stock->promised + BUCKETS_KEPT))
        stock->low = true;
    return stock->count[0] > stock->promised;
}

struct bucket *stock_take(struct stock *stock, unsigned bits)
{
    /* Growing must not use up the buckets that are promised to entries. */
    uint32_t reserved = bits == 0 ? stock->promised : 0;
    stock->low = true;
    if (stock->count[bits] <= reserved) {
        if (!stock->may_allocate || !stock_fill(stock, bits, reserved + 1))
            return NULL;
    }
    struct spare *spare = stock->spare[bits];
    stock->spare[bits] = spare->next;
    stock->count[bits]--;
    spare->next = NULL;
    return (struct bucket *)spare;
}

void stock_give(struct stock *stock, struct bucket *segment, unsigned bits)
{
    if (stock->count[bits] >= (bits == 0 ? stock->promised + BUCKETS_MOST : SEGMENTS_MOST)) {
        ks_mem_free(segment, segment_bytes(bits));
        return;
    }
    memset(segment, 0, segment_bytes(bits));
    struct spare *spare = (struct spare *)segment;
    spare->next = stock->spare[bits];
    stock->spare[bits] = spare;
    stock->count[bits]++;
}

_Atomic(uint64_t) *stock_take_directory(struct stock *stock, unsigned bits)
{
    size_t size = sizeof(uint64_t) << bits;
    _Atomic(uint64_t) *directory = stock->directory;
    stock->low = true;
    if (directory && stock->directory_bits == bits) {
        stock->directory = NULL;
        stock->directory_bits = 0;
        return directory;
    }
    if (directory) {
        ks_mem_free(directory, sizeof(uint64_t) << stock->directory_bits);
        stock->directory = NULL;
    }
    stock->directory_bits = (uint8_t)bits;
    if (!stock->may_allocate)
        return NULL;
    stock->directory_bits = 0;
    return ks_mem_alloc(size);
}

bool stock_promise(struct stock *stock)
{
    if (stock->count[0] <= stock->promised) {
        stock->low = true;
        if (!stock_refill(stock))
            return false;
    }
    stock->promised++;
    return true;
}

void stock_release(struct stock *stock)
{
    CHECK(stock->promised > 0);
    stock->promised--;
}
