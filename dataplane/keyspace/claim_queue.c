#include "claim_queue.h"
#include <stddef.h>
#include "check.h"

#define MODE_BIT(mode) (1u << (mode))

/* What must not stand before a part of each mode. */
static const unsigned conflicts[CLAIM_MODES] = {
    [CLAIM_READ_PART] = MODE_BIT(CLAIM_CHANGE),
    [CLAIM_CHANGE_PART] = MODE_BIT(CLAIM_READ) | MODE_BIT(CLAIM_CHANGE),
    [CLAIM_READ] = MODE_BIT(CLAIM_CHANGE_PART) | MODE_BIT(CLAIM_CHANGE),
    [CLAIM_CHANGE] = MODE_BIT(CLAIM_MODES) - 1,
};

static unsigned modes_present(const uint32_t counts[CLAIM_MODES])
{
    unsigned present = 0;
    for (unsigned mode = 0; mode < CLAIM_MODES; mode++)
        present |= counts[mode] ? MODE_BIT(mode) : 0;
    return present;
}

static bool same_place(const struct claim_part *a, const struct claim_part *b)
{
    return a->scope == b->scope && a->slot == b->slot && a->hash == b->hash;
}

/* The link to the first part of the queue, or to NULL at the end of the bucket. */
static struct claim_part **queue_find(struct claim_queues *q, const struct claim_part *part)
{
    uint64_t mixed = (part->hash ^ part->slot) * UINT64_C(0x9e3779b97f4a7c15);
    struct claim_part **link = &q->buckets[(mixed >> 32) % CLAIM_BUCKETS];
    while (*link && !same_place(*link, part))
        link = &(*link)->chain;
    return link;
}

void claim_queue_add(struct claim_queues *q, struct claim_part *part)
{
    struct claim_part **link = queue_find(q, part), *first = *link;
    part->next = NULL;
    if (!first) {
        part->chain = NULL;
        part->prev = part;
        part->open = true;
        for (unsigned mode = 0; mode < CLAIM_MODES; mode++)
            part->counts[mode] = mode == part->mode;
        *link = part;
        return;
    }
    part->open = !(modes_present(first->counts) & conflicts[part->mode]);
    part->prev = first->prev;
    part->prev->next = part;
    first->prev = part;
    first->counts[part->mode]++;
}

/* Opens what nothing stands before any more. */
static void queue_open(struct claim_part *first, struct claim **granted)
{
    unsigned before = 0;
    for (struct claim_part *part = first; part; part = part->next) {
        if (!part->open && !(before & conflicts[part->mode])) {
            part->open = true;
            struct claim *claim = part->claim;
            if (--claim->closed_parts == 0) {
                claim->granted_next = *granted;
                *granted = claim;
            }
        }
        before |= MODE_BIT(part->mode);
        if (before & MODE_BIT(CLAIM_CHANGE))
            return;
    }
}

void claim_queue_remove(struct claim_queues *q, struct claim_part *part, struct claim **granted)
{
    struct claim_part **link = queue_find(q, part), *first = *link;
    CHECK(first);
    if (part == first) {
        first = part->next;
        if (!first) {
            *link = part->chain;
            return;
        }
        first->chain = part->chain;
        first->prev = part->prev;
        for (unsigned mode = 0; mode < CLAIM_MODES; mode++)
            first->counts[mode] = part->counts[mode];
        *link = first;
    } else {
        part->prev->next = part->next;
        if (part->next)
            part->next->prev = part->prev;
        else
            first->prev = part->prev;
    }
    first->counts[part->mode]--;
    /* Conflicts go both ways: nobody waited for this part unless one that it conflicts with is
     * there. */
    if (modes_present(first->counts) & conflicts[part->mode])
        queue_open(first, granted);
}

static bool mode_reads(unsigned mode)
{
    return mode == CLAIM_READ || mode == CLAIM_READ_PART;
}

bool claim_queue_blocks(struct claim_queues *q, const struct claim_part *like,
                        const struct claim *but)
{
    const struct claim_part *first = *queue_find(q, like);
    if (!first || !(modes_present(first->counts) & conflicts[like->mode]))
        return false;
    for (const struct claim_part *part = first; part; part = part->next) {
        if (part->claim->state == CLAIM_GRANTED && part->claim != but &&
            !(part->claim->lets_in && mode_reads(like->mode)) &&
            conflicts[like->mode] & MODE_BIT(part->mode))
            return true;
    }
    return false;
}

static unsigned queue_validate(const struct claim_part *first)
{
    unsigned before = 0, count = 0;
    uint32_t counts[CLAIM_MODES] = {0};
    const struct claim_part *last = first;
    for (const struct claim_part *part = first; part; last = part, part = part->next) {
        CHECK(same_place(part, first));
        CHECK(part == first || part->prev == last);
        CHECK(part->open == !(before & conflicts[part->mode]));
        CHECK(part->claim->state != CLAIM_IDLE);
        CHECK(part->open || part->claim->state == CLAIM_QUEUED);
        before |= MODE_BIT(part->mode);
        counts[part->mode]++;
        count++;
    }
    CHECK(first->prev == last);
    for (unsigned mode = 0; mode < CLAIM_MODES; mode++)
        CHECK(counts[mode] == first->counts[mode]);
    return count;
}

unsigned claim_queues_validate(const struct claim_queues *q)
{
    unsigned count = 0;
    for (unsigned i = 0; i < CLAIM_BUCKETS; i++)
        for (const struct claim_part *first = q->buckets[i]; first; first = first->chain)
            count += queue_validate(first);
    return count;
}
