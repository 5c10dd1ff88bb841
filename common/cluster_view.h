/* The cluster as an lcore sees it: immutable views that the control plane publishes by RCU.
 *
 * Owner: the control thread builds, publishes and (after a grace period) frees; lcores read. A
 * view or PONG that a reader loaded lives until its next qsbr_quiescent() or qsbr_offline().
 *
 * Memory ordering: the pointers are stored with release and loaded with acquire, which is a plain
 * load on x86: a lookup is two dependent loads and no atomic instruction. The lease is relaxed: it
 * orders nothing. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "bus_codec.h"
#include "keyhash.h"
#include "slice.h"

/* What slots[] holds: the owner's index in nodes[], and whether we move the slot. So an entry of
 * exactly CLUSTER_VIEW_SELF is the common case, ours and at rest. */
#define CLUSTER_VIEW_NONE 0u /* nobody serves it */
#define CLUSTER_VIEW_SELF 1u
#define CLUSTER_VIEW_OWNER 0x3fffu
#define CLUSTER_VIEW_IMPORTING 0x4000u /* the owner is another node */
#define CLUSTER_VIEW_MIGRATING 0x8000u /* the owner is this node */

struct cluster_view_node {
    char id[BUS_NAME_SIZE + 1];
    struct slice redirect; /* "endpoint:port", as MOVED and ASK name it; in the view's memory */
    struct slice ip;       /* as the bus knows it; may be empty */
    uint16_t port;
    uint16_t flags; /* enum bus_node_flags */
};

/* A slot that leaves (owner self) or comes (owner other), and the node at its other end. */
struct cluster_view_move {
    uint16_t slot;
    uint16_t node;
};

struct cluster_view {
    uint64_t version;
    uint16_t slots[SLOTS];
    bool ok;      /* cluster_state; false: -CLUSTERDOWN, by the options about reads when down */
    bool primary; /* our role */
    uint16_t self_primary; /* a replica: the index of its primary, or NONE; a primary: SELF */
    uint32_t node_count;   /* nodes[1 … node_count - 1]; [CLUSTER_VIEW_SELF] is this node */
    uint32_t move_count;   /* moves[], ascending by slot */
    struct cluster_view_node *nodes;
    struct cluster_view_move *moves;
    char shard_id[BUS_NAME_SIZE + 1];
};

/* What answers PING and MEET: two complete PONG frames, to patch with bus_patch_offset() in a copy.
 * The second has every extension, for peers whose own frames show that they know more types than
 * HOSTNAME; stock 7.0 nodes, which warn of each, get the first. */
struct cluster_pong {
    uint64_t version;
    uint32_t plain_len, full_len;
    uint8_t *plain, *full; /* in this object's memory */
};

/* One per process, in the control thread's hands. */
struct cluster_shared {
    _Atomic(struct cluster_view *) view; /* w: control (release), r: lcores (acquire); NULL: none */
    _Atomic(struct cluster_pong *) pong; /* the same; NULL: nothing is answered */
    /* Past it the control plane counts as dead: no PONG, and clients see the cluster as down.
     * w: control, r: lcores; relaxed, monotonic µs. */
    _Atomic(uint64_t) lease_until_us;
};

static inline const struct cluster_view *cluster_view_get(struct cluster_shared *shared)
{
    return atomic_load_explicit(&shared->view, memory_order_acquire);
}

static inline const struct cluster_pong *cluster_pong_get(struct cluster_shared *shared)
{
    return atomic_load_explicit(&shared->pong, memory_order_acquire);
}

static inline bool cluster_lease_holds(struct cluster_shared *shared, uint64_t now_us)
{
    return now_us < atomic_load_explicit(&shared->lease_until_us, memory_order_relaxed);
}

/* slot < SLOTS. */
static inline unsigned cluster_view_entry(const struct cluster_view *view, unsigned slot)
{
    return view->slots[slot];
}

static inline bool cluster_entry_is_ours(unsigned entry)
{
    return (entry & CLUSTER_VIEW_OWNER) == CLUSTER_VIEW_SELF;
}

/* NULL: nobody serves the slot. */
static inline const struct cluster_view_node *cluster_view_owner(const struct cluster_view *view,
                                                                 unsigned entry)
{
    unsigned owner = entry & CLUSTER_VIEW_OWNER;
    return owner == CLUSTER_VIEW_NONE ? NULL : &view->nodes[owner];
}

/* The node at the other end of a slot that moves; NULL: it does not. O(log moves). */
const struct cluster_view_node *cluster_view_move_peer(const struct cluster_view *view,
                                                       unsigned slot);

/* The peer understands extension types other than HOSTNAME: it says EXT_DATA and sends none, or
 * sends another type. m: PING, PONG or MEET. */
bool cluster_peer_extends(const struct bus_message *m);
/* The PONG that answers m. */
struct slice cluster_pong_for(const struct cluster_pong *pong, const struct bus_message *m);

/* One allocation each; plain free() ends them. */
struct cluster_view *cluster_view_alloc(uint32_t node_count, uint32_t move_count, size_t text_size,
                                        char **text);
struct cluster_pong *cluster_pong_alloc(uint32_t plain_len, uint32_t full_len);

/* Exchange what is published; return the old one, to be freed after a grace period (NULL: none).
 * Control thread. */
struct cluster_view *cluster_view_publish(struct cluster_shared *shared, struct cluster_view *view);
struct cluster_pong *cluster_pong_publish(struct cluster_shared *shared, struct cluster_pong *pong);
