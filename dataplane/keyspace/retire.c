#include "retire.h"
#include <stdlib.h>
#include <time.h>
#include "bigstr.h"
#include "bucket.h"
#include "ks_internal.h"
#include "qsbr.h"

#define BATCH_ITEMS 256
#define BATCH_BYTES_MAX (256u << 10) /* a batch this heavy does not wait until it is full */
#define BATCH_AGE_MAX_MS 100
#define SPARE_KEPT 2
#define SPARE_MOST 16

struct retired_item {
    uint64_t pointer;
    uint64_t size;
};

struct retire_batch {
    struct retire_batch *next;
    struct qsbr_grace *grace; /* NULL: not handed over */
    uint32_t count;
    uint32_t done; /* items freed */
    size_t bytes;
    int64_t opened_ms;
    uint8_t kinds[BATCH_ITEMS];
    struct retired_item items[BATCH_ITEMS];
};

void retire_init(struct retire *retire)
{
    *retire = (struct retire){0};
}

bool retire_refill(struct retire *retire)
{
    while (retire->spare_count < SPARE_KEPT) {
        struct retire_batch *batch = malloc(sizeof(*batch));
        if (!batch)
            break;
        batch->next = retire->spare;
        retire->spare = batch;
        retire->spare_count++;
    }
    return retire->spare_count > 0;
}

static struct retire_batch *batch_open(struct retire *retire, int64_t now_ms)
{
    if (!retire->spare && !retire_refill(retire))
        return NULL;
    struct retire_batch *batch = retire->spare;
    retire->spare = batch->next;
    retire->spare_count--;
    batch->next = NULL;
    batch->grace = NULL;
    batch->count = batch->done = 0;
    batch->bytes = 0;
    batch->opened_ms = now_ms;
    return batch;
}

static void batch_close(struct retire *retire)
{
    if (retire->last)
        retire->last->next = retire->open;
    else
        retire->first = retire->open;
    retire->last = retire->open;
    if (!retire->fresh)
        retire->fresh = retire->open;
    retire->open = NULL;
}

void retire_item(struct ks *ks, enum retire_kind kind, uint64_t pointer, uint64_t size,
                 size_t bytes)
{
    struct retire *retire = &ks->p->retire;
    ks_used_add(ks, -(int64_t)bytes);
    if (!retire->open)
        retire->open = batch_open(retire, ks->now_ms);
    struct retire_batch *batch = retire->open;
    if (!batch) {
        /* Without memory to remember it by, the item is lost; readers may still be in it. */
        metric_inc(retire_limit_hits);
        return;
    }
    share_add(&ks->p->share->retired_bytes, (int64_t)bytes);
    batch->kinds[batch->count] = (uint8_t)kind;
    batch->items[batch->count] = (struct retired_item){pointer, size};
    batch->bytes += bytes;
    if (++batch->count == BATCH_ITEMS)
        batch_close(retire);
}

static void *pointer_of(uint64_t bits)
{
    return (void *)(uintptr_t)bits; // NOLINT(performance-no-int-to-ptr)
}

/* The value leaves the entry, to be freed in pieces. */
static void value_detach(struct ks *ks, struct entry *e)
{
    struct retire *retire = &ks->p->retire;
    uint32_t head = entry_head(e);
    retire->value_head = head & HEAD_FLAGS;
    retire->value = entry_big(e);
    if (!retire->value) {
        retire->value = entry_object(e);
        retire->value_left = ks->shared->ops[head_type(head)]->count(
            retire->value, (enum obj_encoding)head_enc(head));
    }
    entry_free(e);
}

static bool value_free_some(struct ks *ks, uint32_t *budget)
{
    struct retire *retire = &ks->p->retire;
    unsigned type = head_type(retire->value_head);
    bool gone;
    if (type == OBJ_STRING) {
        gone = bigstr_put_some(retire->value, budget);
    } else {
        gone = ks->shared->ops[type]->free_some(
            retire->value, (enum obj_encoding)head_enc(retire->value_head), *budget);
        uint32_t freed =
            gone && retire->value_left < *budget ? (uint32_t)retire->value_left : *budget;
        retire->value_left -= freed;
        *budget -= freed;
    }
    if (gone)
        retire->value = NULL;
    return gone;
}

static void stale_freed(struct ks *ks, int64_t bytes)
{
    ks_used_add(ks, -bytes);
    atomic_fetch_sub_explicit(&ks->shared->stale_bytes, bytes, memory_order_relaxed);
}

struct flush_free {
    struct ks *ks;
    uint32_t entries;
    int64_t bytes;
};

static void flushed_entry_free(void *arg, struct entry *e)
{
    struct flush_free *f = arg;
    f->entries++;
    f->bytes += (int64_t)entry_mem_bytes(e) + entry_value_bytes(e);
    if (head_is_inline(entry_head(e)))
        entry_free(e);
    else
        retire_item(f->ks, RETIRE_ENTRY_VALUE, (uint64_t)(uintptr_t)e, 0, 0);
}

static bool index_walk_some(struct ks *ks, uint32_t *budget)
{
    struct retire *retire = &ks->p->retire;
    struct index_walk walk = {retire->walk_root, retire->walk_next};
    struct flush_free f = {.ks = ks};
    size_t freed;
    index_free_some(&walk, flushed_entry_free, &f, &freed);
    stale_freed(ks, f.bytes + (int64_t)freed);
    retire->walk_root = walk.root;
    retire->walk_next = walk.next;
    *budget -= f.entries < *budget ? f.entries : *budget;
    if (walk.root == 0)
        flush_part_done(ks->shared);
    return walk.root == 0;
}

static void segment_free(struct bucket *segment, unsigned bits)
{
    for (unsigned i = 0; i < 1u << bits; i++) {
        struct bucket *b = bucket_next(segment + i);
        while (b) {
            struct bucket *next = bucket_next(b);
            ks_mem_free(b, sizeof(*b));
            b = next;
        }
    }
    ks_mem_free(segment, segment_bytes(bits));
}

static void item_free(struct ks *ks, enum retire_kind kind, const struct retired_item *item)
{
    struct retire *retire = &ks->p->retire;
    void (*destroy)(void *memory);
    switch (kind) {
    case RETIRE_ENTRY_VALUE:
        value_detach(ks, pointer_of(item->pointer));
        break;
    case RETIRE_SEGMENT:
        segment_free(pointer_of(item->pointer), (unsigned)item->size);
        break;
    case RETIRE_ENTRY: /* its size is known: the line has gone cold and need not be fetched */
    case RETIRE_MEMORY:
        ks_mem_free(pointer_of(item->pointer), item->size);
        break;
    case RETIRE_CALL:
        memcpy(&destroy, &item->size, sizeof(destroy));
        destroy(pointer_of(item->pointer));
        break;
    case RETIRE_INDEX:
        retire->walk_root = item->pointer;
        retire->walk_next = 0;
        break;
    }
}

/* Frees what the head of the FIFO holds; true when it is empty. */
static bool batch_free_some(struct ks *ks, struct retire_batch *batch, uint32_t *budget)
{
    struct retire *retire = &ks->p->retire;
    while (*budget > 0) {
        if (retire->value) {
            if (!value_free_some(ks, budget))
                return false;
            continue;
        }
        if (retire->walk_root) {
            index_walk_some(ks, budget);
            continue;
        }
        if (batch->done == batch->count)
            return true;
        item_free(ks, batch->kinds[batch->done], &batch->items[batch->done]);
        batch->done++;
        --*budget;
    }
    return batch->done == batch->count && !retire->value && !retire->walk_root;
}

static void batch_finish(struct ks *ks)
{
    struct retire *retire = &ks->p->retire;
    struct retire_batch *batch = retire->first;
    share_add(&ks->p->share->retired_bytes, -(int64_t)batch->bytes);
    qsbr_grace_free(batch->grace);
    retire->first = batch->next;
    if (!retire->first)
        retire->last = NULL;
    if (retire->spare_count >= SPARE_MOST) {
        free(batch);
        return;
    }
    batch->next = retire->spare;
    retire->spare = batch;
    retire->spare_count++;
}

static void batches_hand_over(struct ks *ks, bool idle)
{
    struct retire *retire = &ks->p->retire;
    struct retire_batch *open = retire->open;
    if (open && (idle || open->bytes >= BATCH_BYTES_MAX ||
                 ks->now_ms - open->opened_ms >= BATCH_AGE_MAX_MS))
        batch_close(retire);
    for (; retire->fresh; retire->fresh = retire->fresh->next)
        retire->fresh->grace = qsbr_grace_begin();
}

enum ks_reclaimed retire_run(struct ks *ks, bool idle, uint32_t budget)
{
    struct retire *retire = &ks->p->retire;
    batches_hand_over(ks, idle);
    while (retire->first) {
        struct retire_batch *batch = retire->first;
        if (!batch->grace || !qsbr_grace_passed(batch->grace))
            return KS_RECLAIM_WAITS;
        if (budget == 0 || !batch_free_some(ks, batch, &budget))
            return KS_RECLAIM_MORE;
        batch_finish(ks);
    }
    return retire->open ? KS_RECLAIM_WAITS : KS_RECLAIM_DONE;
}

void retire_fini(struct ks *ks)
{
    struct retire *retire = &ks->p->retire;
    while (retire_run(ks, true, UINT32_MAX)) {
        qsbr_offline();
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        qsbr_online();
    }
    while (retire->spare) {
        struct retire_batch *batch = retire->spare;
        retire->spare = batch->next;
        free(batch);
    }
    retire->spare_count = 0;
}

void ks_retire(struct ks *ks, void *memory, void (*destroy)(void *memory))
{
    uint64_t call = 0;
    _Static_assert(sizeof(destroy) == sizeof(call), "a function pointer fits");
    memcpy(&call, &destroy, sizeof(call));
    retire_item(ks, RETIRE_CALL, (uint64_t)(uintptr_t)memory, call, 0);
}

enum ks_reclaimed ks_reclaim(struct ks *ks, bool idle, uint32_t budget)
{
    bool flushing = flush_walk(ks, budget);
    enum ks_reclaimed retired = retire_run(ks, idle, budget);
    ks->crowded = retired_over(ks, RETIRED_HALF);
    return flushing ? KS_RECLAIM_MORE : retired;
}

static void entry_free_now(void *arg, struct entry *e)
{
    const struct keyspace *k = arg;
    uint32_t head = entry_head(e);
    if (entry_big(e))
        bigstr_put(entry_big(e));
    else if (!head_is_inline(head))
        while (!k->ops[head_type(head)]->free_some(entry_object(e),
                                                   (enum obj_encoding)head_enc(head), UINT32_MAX)) {
        }
    entry_free(e);
}

void retire_index_now(struct keyspace *k, uint64_t root)
{
    struct index_walk walk = {.root = root};
    size_t freed;
    while (index_free_some(&walk, entry_free_now, k, &freed)) {
    }
}
