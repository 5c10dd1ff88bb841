#include "slot_drop.h"
#include <stdlib.h>
#include "check.h"
#include "keyhash.h"
#include "keyspace.h"

#define PIECE_KEYS 64

struct slot_drop {
    struct mail mail; /* first */
    unsigned slot;
    uint64_t piece_us; /* the round of the last piece */
};

struct piece {
    struct ks *ks;
    struct key keys[PIECE_KEYS];
    unsigned count;
};

static void piece_add(void *arg, const struct entry *e)
{
    struct piece *p = arg;
    if (p->count < PIECE_KEYS)
        p->keys[p->count++] = key_of(entry_key(e));
}

/* Names live until the lcore is quiescent, so they outlive their entries here. True: more is left.
 */
static bool drop_piece(struct ks *ks, uint16_t slot)
{
    struct piece p = {.ks = ks};
    uint64_t cursor = 0;
    do {
        cursor = ks_scan_slot(ks, slot, cursor, 1, piece_add, &p);
    } while (cursor != 0 && p.count < PIECE_KEYS);
    ks_lock(ks, slot);
    for (unsigned i = 0; i < p.count; i++)
        (void)ks_delete(ks, &p.keys[i]);
    ks_unlock(ks, slot);
    return p.count > 0;
}

static void drop_run(struct mail *mail, void *receiver)
{
    struct slot_drop *d = (struct slot_drop *)mail;
    struct worker *w = receiver;
    bool more = true;
    if (d->slot == SLOTS) {
        ks_flush_all(w->ks);
        more = false;
    } else if (w->now_us != d->piece_us) {
        d->piece_us = w->now_us;
        more = drop_piece(w->ks, (uint16_t)d->slot);
    }
    if (more)
        mail_post(&w->mailbox, &d->mail);
    else
        free(d);
}

void slot_drop_order(struct worker *w, unsigned slot)
{
    struct slot_drop *d = calloc(1, sizeof(*d));
    CHECK(d);
    d->mail.run = drop_run;
    d->slot = slot;
    mail_post(&w->mailbox, &d->mail);
}
