/* Memory on its way out (rule 15): unlinked, waiting until no reader can look at it, then freed in
 * pieces by the lcore that unlinked it. Inside keyspace/ only.
 *
 * Items collect in a batch. A full batch, or on idle a partial one, gets a grace period of its own
 * (common/qsbr.h) and joins a FIFO; batches whose period has passed are freed item by item. Nothing
 * here is shared between lcores but the sum of bytes. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ks;
struct retire_batch;

enum retire_kind {
    RETIRE_ENTRY,       /* size: bytes; an entry alone */
    RETIRE_ENTRY_VALUE, /* with its object or large string */
    RETIRE_SEGMENT,     /* size: segment bits; with chained buckets */
    RETIRE_MEMORY,      /* size: bytes */
    RETIRE_CALL,        /* size: the function that destroys it */
    RETIRE_INDEX,       /* pointer: a root word; a whole index with its entries */
};

struct retire {
    struct retire_batch *open;         /* collecting */
    struct retire_batch *first, *last; /* full or handed over, oldest first */
    struct retire_batch *fresh;        /* the first that is not handed over */
    struct retire_batch *spare;        /* empty ones */
    uint32_t spare_count;
    void *value;                   /* being freed in pieces: a detached value … */
    size_t value_left;             /* … elements of an aggregate … */
    uint32_t value_head;           /* … type and encoding of its entry */
    uint64_t walk_root, walk_next; /* … or an index */
};

void retire_init(struct retire *retire);
/* Waits for the grace periods and frees everything. */
void retire_fini(struct ks *ks);
/* Keeps an empty batch ready; false: out of memory. Outside locks. */
bool retire_refill(struct retire *retire);

/* bytes: what leaves the used bytes for the retired ones. */
void retire_item(struct ks *ks, enum retire_kind kind, uint64_t pointer, uint64_t size,
                 size_t bytes);
/* As ks_reclaim(), without the walk after FLUSHALL. */
enum ks_reclaimed retire_run(struct ks *ks, bool idle, uint32_t budget);
/* Frees a whole index without a grace period (shutdown). */
struct keyspace;
void retire_index_now(struct keyspace *k, uint64_t root);
