/* Who listens where: for each channel and pattern how many subscribers every lcore has. Shared by
 * all lcores, so that PUBLISH knows its receivers, and PUBSUB its counts, without asking anybody;
 * the subscribers themselves stand in their own lcore's tables (subscribe.h).
 *
 * Readers take no lock: they walk chains under QSBR, until their next quiescent state. Writers
 * (subscribe, unsubscribe) take one spinlock for a short walk.
 *
 * Memory ordering: a node's fields are written before it is linked with release; readers follow
 * links with acquire. Counts are relaxed: a subscriber is told only after its count was raised, so
 * whoever publishes because of that answer sees it. An unlinked node is freed after a grace period.
 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "metrics.h"
#include "slice.h"

struct channels;
/* Sharded channels have names of their own, which patterns do not match. */
enum channel_kind { CHANNEL_NAME, CHANNEL_PATTERN, CHANNEL_SHARD, CHANNEL_KINDS };

struct channels *channels_new(unsigned lcore_count);
/* No reader is left. */
void channels_free(struct channels *c);

/* One more, one less subscriber of name on lcore. */
void channels_add(struct channels *c, enum channel_kind kind, struct slice name, unsigned lcore);
void channels_remove(struct channels *c, enum channel_kind kind, struct slice name, unsigned lcore);

/* [read] Receivers of a message to channel (kind NAME or SHARD), those of matching patterns counted
 * once per pattern; sets the bits of lcores that have some. */
uint64_t channels_receivers(const struct channels *c, enum channel_kind kind, struct slice channel,
                            uint64_t *lcores);
_Static_assert(LCORES_MAX <= 64, "a bit per lcore");
/* [read] Subscribers of the channel itself. */
uint64_t channels_subscribers(const struct channels *c, enum channel_kind kind,
                              struct slice channel);
/* [read] How many different patterns, or channels. */
uint64_t channels_count(const struct channels *c, enum channel_kind kind);
/* [read] Each channel of kind NAME or SHARD. */
void channels_each(const struct channels *c, enum channel_kind kind,
                   void (*each)(void *arg, struct slice name), void *arg);
