/* In a cluster: who answers for the keys of a command. The order of the checks, and the words, are
 * those of Redis 7.0: slot not served, keys in different slots, cluster down, keys of a slot that
 * moves (ASK, TRYAGAIN), ASKING, reads on a replica, MOVED.
 *
 * Owner: the calling lcore. The view is read without a lock (common/cluster_view.h); what was
 * decided holds until the lcore is quiescent. */
#pragma once
#include <stdbool.h>
#include "command.h"

#define REDIRECT_TEXT_SIZE 128

/* False: another node must be asked, or nobody can be: text is the error reply. EXEC answers for
 * all commands of its transaction. Commands without keys, and nodes without a cluster, pass. */
bool redirect_check(struct call *c, char text[REDIRECT_TEXT_SIZE]);
