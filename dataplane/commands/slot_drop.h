/* Deletes the keys of a slot that another node serves now, or all keys, when the control thread
 * says so: on an lcore, in bounded pieces, one per round of the loop.
 *
 * Owner: the lcore that the order was posted to. One order is one allocation, freed when done. */
#pragma once
#include <stdint.h>
#include "worker.h"

/* Any thread. slot SLOTS: all keys at once. Keys that come into the slot meanwhile go, too: it is
 * not served here. */
void slot_drop_order(struct worker *w, unsigned slot);
