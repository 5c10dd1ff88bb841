/* For race tests of bus links: an lcore in a thread of its own whose peers connect, send, read and
 * end at random. Each peer's messages have rising epochs, beginning at 1. */
#pragma once
#include "bus_link.h"

#define BUS_PEERS 24
#define BUS_PEERS_SENDER "89abcdef0123456789abcdef0123456789abcdef"

struct bus_peers;

/* box: the lcore's mailbox; shared gets a PONG and a lease without end. */
struct bus_peers *bus_peers_new(struct bus_path *path, struct mailbox *box,
                                struct cluster_shared *shared, uint64_t seed);
/* Starts the thread; the peers act for so many rounds, then all links are reset. */
void bus_peers_start(struct bus_peers *p, unsigned rounds);
bool bus_peers_quiet(struct bus_peers *p);
/* When no link is left: ends the thread. */
void bus_peers_stop(struct bus_peers *p);
void bus_peers_free(struct bus_peers *p);
