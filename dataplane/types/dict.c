#include "dict.h"
#include <stdlib.h>
#include "check.h"
#include "keyhash.h"
#include "mem.h"

#define BUCKETS_MIN 4
#define BUCKETS_MIN_LOG2 2
#define POINTER_BITS 48
#define POINTER_MASK (((uint64_t)1 << POINTER_BITS) - 1)
#define MERGES_PER_DELETE 2
#define LENGTH_MAX_BYTES 5

/* 16 bits of the target's hash, 48 bits of pointer; 0: the end of a chain. */
typedef uint64_t chain_link;

struct element {
    chain_link next;
    uint8_t bytes[]; /* key length, value length (if there are values), key, value */
};

/* Bucket b of n: with 2^level <= n < 2^(level + 1), hashes use level + 1 bits, or level bits where
 * that bucket does not exist yet. Segment 0 holds the first BUCKETS_MIN buckets, each later one as
 * many as all before it. */
struct dict {
    size_t count, mem_bytes;
    uint64_t bucket_count;
    chain_link **segments;
    uint32_t chain_max; /* no chain is longer: dict_random() */
    uint8_t segment_count;
    bool with_values;
    uint64_t free_bucket; /* dict_free_some(): the next to empty */
};

static struct element *link_target(chain_link l)
{
    return (struct element *)(uintptr_t)(l & POINTER_MASK);
}

static uint64_t hash_tag(uint64_t hash)
{
    return hash & ~POINTER_MASK;
}

static chain_link link_make(const struct element *e, uint64_t hash)
{
    return (uint64_t)(uintptr_t)e | hash_tag(hash);
}

static unsigned length_size(uint64_t len)
{
    unsigned size = 1;
    for (; len > 127; len >>= 7)
        size++;
    return size;
}

static uint8_t *length_write(uint8_t *p, uint64_t len)
{
    for (; len > 127; len >>= 7)
        *p++ = (uint8_t)(len | 128);
    *p++ = (uint8_t)len;
    return p;
}

static const uint8_t *length_read(const uint8_t *p, size_t *len)
{
    unsigned shift = 0;
    *len = 0;
    for (; *p & 128; shift += 7)
        *len |= (size_t)(*p++ & 127) << shift;
    *len |= (size_t)*p++ << shift;
    return p;
}

static struct dict_item element_item(const struct dict *d, const struct element *e)
{
    struct dict_item item = {.value = slice_from(NULL, 0)};
    size_t key_len, value_len = 0;
    const uint8_t *p = length_read(e->bytes, &key_len);
    if (d->with_values)
        p = length_read(p, &value_len);
    item.key = slice_from(p, key_len);
    if (d->with_values)
        item.value = slice_from(p + key_len, value_len);
    return item;
}

static struct slice element_key(const struct dict *d, const struct element *e)
{
    return element_item(d, e).key;
}

static size_t element_size(bool with_values, size_t key_len, size_t value_len)
{
    size_t size = sizeof(struct element) + length_size(key_len) + key_len;
    return with_values ? size + length_size(value_len) + value_len : size;
}

static size_t element_mem(const struct dict *d, const struct element *e)
{
    struct dict_item item = element_item(d, e);
    return mem_class_bytes(element_size(d->with_values, item.key.len, item.value.len));
}

static struct element *element_new(const struct dict *d, struct slice key, struct slice value)
{
    CHECK(key.len <= DICT_SLICE_MAX);
    CHECK(value.len <= DICT_SLICE_MAX);
    struct element *e = malloc(element_size(d->with_values, key.len, value.len));
    if (!e)
        return NULL;
    CHECK_DEBUG(((uintptr_t)e & ~POINTER_MASK) == 0);
    uint8_t *p = length_write(e->bytes, key.len);
    if (d->with_values)
        p = length_write(p, value.len);
    if (key.len > 0)
        memcpy(p, key.data, key.len);
    if (d->with_values && value.len > 0)
        memcpy(p + key.len, value.data, value.len);
    return e;
}

static unsigned log2_floor(uint64_t n)
{
    return 63 - (unsigned)__builtin_clzll(n);
}

static size_t segment_size(unsigned segment)
{
    return segment == 0 ? BUCKETS_MIN : (size_t)BUCKETS_MIN << (segment - 1);
}

static chain_link *bucket_at(const struct dict *d, uint64_t bucket)
{
    if (bucket < BUCKETS_MIN)
        return &d->segments[0][bucket];
    unsigned level = log2_floor(bucket);
    return &d->segments[level - BUCKETS_MIN_LOG2 + 1][bucket - ((uint64_t)1 << level)];
}

static uint64_t bucket_of(const struct dict *d, uint64_t hash)
{
    uint64_t low = (uint64_t)1 << log2_floor(d->bucket_count);
    uint64_t bucket = hash & (2 * low - 1);
    return bucket < d->bucket_count ? bucket : bucket & (low - 1);
}

/* One more segment at the end; false: no memory. */
static bool segment_add(struct dict *d)
{
    size_t bytes = segment_size(d->segment_count) * sizeof(chain_link);
    chain_link *segment = malloc(bytes);
    if (!segment)
        return false;
    chain_link **segments = realloc(d->segments, (d->segment_count + 1u) * sizeof(*segments));
    if (!segments) {
        free(segment);
        return false;
    }
    d->mem_bytes -= d->segment_count ? mem_class_bytes(d->segment_count * sizeof(*segments)) : 0;
    d->segments = segments;
    d->segments[d->segment_count++] = segment;
    d->mem_bytes += mem_class_bytes(d->segment_count * sizeof(*segments)) + mem_class_bytes(bytes);
    return true;
}

/* The table of segment pointers keeps its size: it is a few words. */
static void segment_drop_last(struct dict *d)
{
    d->segment_count--;
    free(d->segments[d->segment_count]);
    d->mem_bytes -= mem_class_bytes(segment_size(d->segment_count) * sizeof(chain_link));
    d->mem_bytes -= mem_class_bytes((d->segment_count + 1u) * sizeof(*d->segments));
    d->mem_bytes += mem_class_bytes(d->segment_count * sizeof(*d->segments));
}

struct dict *dict_new(bool with_values)
{
    struct dict *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->with_values = with_values;
    d->mem_bytes = mem_class_bytes(sizeof(*d));
    if (!segment_add(d)) {
        free(d);
        return NULL;
    }
    d->bucket_count = BUCKETS_MIN;
    memset(d->segments[0], 0, BUCKETS_MIN * sizeof(chain_link));
    return d;
}

static void dict_dispose(struct dict *d)
{
    for (unsigned i = 0; i < d->segment_count; i++)
        free(d->segments[i]);
    free(d->segments);
    free(d);
}

bool dict_free_some(struct dict *d, uint32_t budget)
{
    uint32_t done = 0;
    for (; d->free_bucket < d->bucket_count; d->free_bucket++) {
        chain_link *head = bucket_at(d, d->free_bucket);
        while (*head) {
            if (done >= budget)
                return false;
            struct element *e = link_target(*head);
            *head = e->next;
            free(e);
            done++;
        }
        /* Empty buckets cost a little, too. */
        if (d->free_bucket % 8 == 0)
            done++;
    }
    dict_dispose(d);
    return true;
}

void dict_free(struct dict *d)
{
    CHECK(dict_free_some(d, UINT32_MAX));
}

size_t dict_count(const struct dict *d)
{
    return d->count;
}

size_t dict_mem_bytes(const struct dict *d)
{
    return d->mem_bytes;
}

/* The link that points at key's element, or NULL. */
static chain_link *find_link(const struct dict *d, struct slice key, uint64_t hash)
{
    chain_link *at = bucket_at(d, bucket_of(d, hash));
    while (*at) {
        struct element *e = link_target(*at);
        if ((*at & ~POINTER_MASK) == hash_tag(hash) && slice_equal(element_key(d, e), key))
            return at;
        at = &e->next;
    }
    return NULL;
}

bool dict_find(const struct dict *d, struct slice key, struct dict_item *item)
{
    chain_link *at = find_link(d, key, key_hash(key));
    if (!at)
        return false;
    if (item)
        *item = element_item(d, link_target(*at));
    return true;
}

/* Chains grow only by insertion and by merging. */
static void chain_measure(struct dict *d, chain_link head)
{
    uint32_t length = 0;
    for (; head; head = link_target(head)->next)
        length++;
    if (length > d->chain_max)
        d->chain_max = length;
}

/* One more bucket: takes its share from the one that it splits off. Without memory for a new
 * segment chains just stay longer. */
static void bucket_split(struct dict *d)
{
    uint64_t added = d->bucket_count;
    unsigned level = log2_floor(added);
    if (level - BUCKETS_MIN_LOG2 + 1 >= d->segment_count && !segment_add(d))
        return;
    chain_link *from = bucket_at(d, added - ((uint64_t)1 << level));
    chain_link *to = bucket_at(d, added);
    d->bucket_count++;
    *to = 0;
    while (*from) {
        struct element *e = link_target(*from);
        if (bucket_of(d, key_hash(element_key(d, e))) == added) {
            *to = *from;
            *from = e->next;
            to = &e->next;
            *to = 0;
        } else {
            from = &e->next;
        }
    }
}

/* One bucket less: the last one's chain joins the bucket that it was split from. */
static void bucket_merge(struct dict *d)
{
    uint64_t last = d->bucket_count - 1;
    unsigned level = log2_floor(last);
    chain_link *first = bucket_at(d, last - ((uint64_t)1 << level));
    chain_link *end = first;
    while (*end)
        end = &link_target(*end)->next;
    *end = *bucket_at(d, last);
    d->bucket_count--;
    chain_measure(d, *first);
    if (last == (uint64_t)1 << level)
        segment_drop_last(d);
}

/* A value of the same length, or none at all, needs no new element. */
static bool value_overwrite(const struct dict *d, struct element *e, struct slice value)
{
    if (!d->with_values)
        return true;
    struct dict_item item = element_item(d, e);
    if (item.value.len != value.len)
        return false;
    if (value.len > 0)
        memcpy(e->bytes + (item.value.data - e->bytes), value.data, value.len);
    return true;
}

enum dict_result dict_put(struct dict *d, struct slice key, struct slice value)
{
    uint64_t hash = key_hash(key);
    chain_link *at = find_link(d, key, hash);
    if (at && value_overwrite(d, link_target(*at), value))
        return DICT_UPDATED;
    struct element *e = element_new(d, key, value);
    if (!e)
        return DICT_NO_MEMORY;
    d->mem_bytes += element_mem(d, e);
    if (at) {
        struct element *old = link_target(*at);
        d->mem_bytes -= element_mem(d, old);
        e->next = old->next;
        *at = link_make(e, hash);
        free(old);
        return DICT_UPDATED;
    }
    if (d->count >= d->bucket_count)
        bucket_split(d);
    at = bucket_at(d, bucket_of(d, hash));
    e->next = *at;
    *at = link_make(e, hash);
    d->count++;
    chain_measure(d, *at);
    return DICT_ADDED;
}

bool dict_delete(struct dict *d, struct slice key)
{
    chain_link *at = find_link(d, key, key_hash(key));
    if (!at)
        return false;
    struct element *e = link_target(*at);
    *at = e->next;
    d->mem_bytes -= element_mem(d, e);
    d->count--;
    free(e);
    for (unsigned i = 0; i < MERGES_PER_DELETE; i++) {
        if (d->bucket_count > BUCKETS_MIN && d->count < d->bucket_count / 2)
            bucket_merge(d);
    }
    return true;
}

/* Buckets looked at together, so that their cache misses overlap. */
#define PROBES 8

/* The element at a depth of a chain, or NULL. */
static const struct element *chain_at(chain_link head, uint64_t depth)
{
    for (; head && depth > 0; depth--)
        head = link_target(head)->next;
    return link_target(head);
}

struct dict_item dict_random(const struct dict *d, struct rng *rng)
{
    CHECK(d->count > 0);
    CHECK(d->chain_max > 0);
    /* A bucket and a depth at random, until there is an element: each has the same chance, where
     * picking a bucket and then one of its elements would favour those in short chains. */
    for (;;) {
        const chain_link *heads[PROBES];
        for (unsigned i = 0; i < PROBES; i++) {
            heads[i] = bucket_at(d, rng_below(rng, d->bucket_count));
            __builtin_prefetch(heads[i]);
        }
        for (unsigned i = 0; i < PROBES; i++) {
            const struct element *e = chain_at(*heads[i], rng_below(rng, d->chain_max));
            if (e)
                return element_item(d, e);
        }
    }
}

static uint64_t reverse_bits(uint64_t v)
{
    v = (v >> 1 & 0x5555555555555555u) | (v & 0x5555555555555555u) << 1;
    v = (v >> 2 & 0x3333333333333333u) | (v & 0x3333333333333333u) << 2;
    v = (v >> 4 & 0x0F0F0F0F0F0F0F0Fu) | (v & 0x0F0F0F0F0F0F0F0Fu) << 4;
    return __builtin_bswap64(v);
}

/* The cursor counts in reversed bits. A bucket is the set of hashes that share its low bits, one
 * range of reversed cursors, and splitting or merging buckets splits or joins ranges; the next
 * cursor is the start of the range that follows, so nothing before it was missed. */
uint64_t dict_scan(const struct dict *d, uint64_t cursor,
                   void (*each)(void *arg, const struct dict_item *item), void *arg)
{
    uint64_t bucket = bucket_of(d, cursor);
    uint64_t low = (uint64_t)1 << log2_floor(d->bucket_count);
    /* Buckets that exist at the higher level, and those that were split already, use one bit more.
     */
    bool split = (bucket & (low - 1)) + low < d->bucket_count;
    uint64_t mask = split ? 2 * low - 1 : low - 1;
    for (chain_link l = *bucket_at(d, bucket); l; l = link_target(l)->next) {
        struct dict_item item = element_item(d, link_target(l));
        each(arg, &item);
    }
    return reverse_bits(reverse_bits(cursor | ~mask) + 1);
}

void dict_iter_init(struct dict_iter *it, const struct dict *d)
{
    *it = (struct dict_iter){.dict = d};
}

bool dict_iter_next(struct dict_iter *it, struct dict_item *item)
{
    const struct element *e = it->element;
    e = e ? link_target(e->next) : NULL;
    while (!e && it->bucket < it->dict->bucket_count)
        e = link_target(*bucket_at(it->dict, it->bucket++));
    it->element = e;
    if (!e)
        return false;
    *item = element_item(it->dict, e);
    return true;
}

void dict_validate(const struct dict *d)
{
    size_t count = 0, mem = mem_class_bytes(sizeof(*d));
    mem += mem_class_bytes(d->segment_count * sizeof(*d->segments));
    for (unsigned i = 0; i < d->segment_count; i++)
        mem += mem_class_bytes(segment_size(i) * sizeof(chain_link));
    for (uint64_t b = 0; b < d->bucket_count; b++) {
        uint32_t length = 0;
        for (chain_link l = *bucket_at(d, b); l; l = link_target(l)->next) {
            const struct element *e = link_target(l);
            uint64_t hash = key_hash(element_key(d, e));
            CHECK(bucket_of(d, hash) == b);
            CHECK(hash_tag(hash) == (l & ~POINTER_MASK));
            mem += element_mem(d, e);
            length++;
        }
        CHECK(length <= d->chain_max);
        count += length;
    }
    CHECK(count == d->count);
    CHECK(mem == d->mem_bytes);
    CHECK(d->bucket_count >= BUCKETS_MIN);
    CHECK(d->segment_count >= 1);
}
