/* The neighbour table of one lcore, for both families: who has which MAC.
 *
 * Entries are made only by our own packets, so strangers cannot fill it. NEIGHBOURS_MAX entries;
 * when full, the least recently used of a few is replaced. At most NEIGHBOURS_PENDING_MAX are being
 * asked for at a time, each holding at most three packets. A changed MAC is believed only in answer
 * to a request of ours: an unsolicited one (gratuitous ARP) makes us ask.
 *
 *   INCOMPLETE  asked (1 s apart, three times), packets wait      -> REACHABLE | FAILED
 *   REACHABLE   answered less than 30 s ago                       -> STALE
 *   STALE       still used; the next use asks                     -> PROBE | gone after 300 s
 * unused PROBE       asked, the old MAC serves meanwhile (three times) -> REACHABLE | INCOMPLETE
 *   FAILED      nobody answered: packets are dropped for 3 s      -> gone
 *
 * Owner: the netif's lcore. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "ip_addr.h"

struct netif;
struct rte_mbuf;

#define NEIGHBOURS_MAX 4096
#define NEIGHBOURS_PENDING_MAX 256
#define NEIGHBOUR_QUEUE_MAX 3
#define NEIGHBOUR_TRIES_MAX 3
#define NEIGHBOUR_ASK_INTERVAL_US 1000000
#define NEIGHBOUR_REACHABLE_US 30000000
#define NEIGHBOUR_UNUSED_US 300000000
#define NEIGHBOUR_FAILED_US 3000000
#define NEIGHBOUR_SWEEP_US 1000000
#define NEIGHBOUR_SWEEP_STEP 512 /* entries looked at per sweep */

enum neighbour_state {
    NEIGHBOUR_FREE,
    NEIGHBOUR_INCOMPLETE,
    NEIGHBOUR_REACHABLE,
    NEIGHBOUR_STALE,
    NEIGHBOUR_PROBE,
    NEIGHBOUR_FAILED,
};

struct neighbour {
    struct ip_addr addr;
    uint8_t mac[6];
    uint8_t state; /* enum neighbour_state */
    uint8_t tries;
    bool asked; /* a request is out that no answer was taken for */
    uint8_t queued;
    uint16_t next;       /* in its hash chain or the free list */
    uint16_t pending_at; /* place in pending[], while INCOMPLETE or PROBE */
    uint64_t asked_us, confirmed_us, used_us;
    struct rte_mbuf *queue[NEIGHBOUR_QUEUE_MAX];
};

#define NEIGHBOUR_BUCKETS 4096
#define NEIGHBOUR_NONE UINT16_MAX

struct neighbours {
    uint32_t generation; /* moves on whenever a net_path may have become wrong; never 0 */
    uint16_t count, pending_count;
    uint16_t free_head, fresh_at; /* freed entries; entries from fresh_at on were never used */
    uint16_t sweep_at, evict_at;
    uint64_t hash_seed;
    uint64_t ask_due_us, sweep_due_us;
    uint16_t pending[NEIGHBOURS_PENDING_MAX];
    uint16_t bucket[NEIGHBOUR_BUCKETS];
    struct neighbour entry[NEIGHBOURS_MAX];
};

struct neighbours *neigh_new(uint64_t seed);
/* Frees the packets that wait. */
void neigh_free(struct neighbours *nb);

struct neighbour *neigh_find(struct neighbours *nb, const struct ip_addr *a);
/* Finds or makes the entry and asks where that is due; NULL (counted): no room. */
struct neighbour *neigh_use(struct netif *n, const struct ip_addr *a);
static inline bool neigh_has_mac(const struct neighbour *e)
{
    return e->state == NEIGHBOUR_REACHABLE || e->state == NEIGHBOUR_STALE ||
           e->state == NEIGHBOUR_PROBE;
}
/* A frame complete but for its destination MAC waits for the answer, or is dropped (FAILED). */
void neigh_queue(struct netif *n, struct neighbour *e, struct rte_mbuf *m);

/* Somebody says that a has this MAC; solicited: in a message to us alone that answers a request. */
void neigh_heard(struct netif *n, const struct ip_addr *a, const uint8_t mac[6], bool solicited);

void neigh_tick(struct netif *n);
uint64_t neigh_deadline_us(const struct neighbours *nb);
/* Walks all invariants; aborts on a broken one. For tests and fuzzers. */
void neigh_validate(const struct neighbours *nb);
