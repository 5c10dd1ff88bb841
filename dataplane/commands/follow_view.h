/* What an lcore's clients are told when slots have gone to other nodes. Owner: the lcore. */
#pragma once
#include "worker.h"

/* Some times a second: subscribers of sharded channels whose slot this node's shard does not serve
 * any more get sunsubscribe. Walks all of the lcore's sharded channels, once per new view. */
void pubsub_follow_view(struct worker *w);
