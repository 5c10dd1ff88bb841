/* When we PING whom. Every node is asked again as soon as its last PONG is older than the probe
 * interval P; beside that the next one in the order of ids every ring interval, so that every pair
 * compares what it knows within nodes × interval whatever gossip spares. The oldest unanswered PING
 * counts: later ones never make a dead node look alive. */
#include <string.h>
#include "cluster_state.h"

#define TICK_LONGEST_US (100 * MS)
#define TICK_SHORTEST_US (10 * MS)
#define PROBE_NODE_US (10 * MS) /* P for each node known */
#define PROBE_SHORTEST_US (50 * MS)
#define RING_SHORTEST_US (100 * MS)
#define RING_ROUND_US (60 * SECOND)
#define SUSPICION_US (100 * MS) /* at least; and 1 ms per primary */
#define SUSPICION_TIMEOUTS 2    /* node timeouts for which a suspicion is repeated */
#define OPENS_PER_TICK 128
#define MEET_US SECOND /* between two to one node: stock nodes start a handshake for each */

static uint64_t probe_us(const struct cluster *c)
{
    uint64_t us = c->node_count * PROBE_NODE_US, most = cluster_timeout_us(c) / 2;
    if (us < PROBE_SHORTEST_US)
        us = PROBE_SHORTEST_US;
    return us < most ? us : most;
}

static void due(struct cluster *c, uint64_t at_us)
{
    if (at_us < c->tick_next_us)
        c->tick_next_us = at_us;
}

void cluster_ping(struct cluster *c, struct cluster_node *n, uint32_t random)
{
    if (!n->link || !n->link->up)
        return;
    unsigned type = BUS_PING;
    if (node_has(n, BUS_NODE_MEET) && (n->meet_us == 0 || c->now_us - n->meet_us >= MEET_US)) {
        type = BUS_MEET;
        n->meet_us = c->now_us;
    }
    struct cluster_frame *frame = cluster_build_ping(c, type, n->extends, random);
    cluster_send(c, n->link->id, frame);
    cluster_frame_put(frame);
    if (n->ping_sent_us == 0)
        n->ping_sent_us = c->now_us;
}

void cluster_broadcast(struct cluster *c, struct cluster_frame *frame)
{
    for (uint32_t i = 0; i < c->node_count; i++) {
        const struct cluster_node *n = c->nodes[i];
        if (n->link && n->link->up && !node_has(n, BUS_NODE_HANDSHAKE))
            cluster_send(c, n->link->id, frame);
    }
}

void cluster_broadcast_pong(struct cluster *c)
{
    if (c->config.spread == CLUSTER_SPREAD_RING)
        return;
    struct cluster_frame *frames[2] = {NULL, NULL};
    for (uint32_t i = 0; i < c->node_count; i++) {
        const struct cluster_node *n = c->nodes[i];
        if (!n->link || !n->link->up || node_has(n, BUS_NODE_HANDSHAKE))
            continue;
        if (!frames[n->extends])
            frames[n->extends] = cluster_build_ping(c, BUS_PONG, n->extends, CLUSTER_GOSSIP_USUAL);
        cluster_send(c, n->link->id, frames[n->extends]);
    }
    for (unsigned i = 0; i < count_of(frames); i++)
        if (frames[i])
            cluster_frame_put(frames[i]);
}

/* Our word counts, or we wait for the others' (a replica of the suspect). */
static bool suspicion_is_ours(const struct cluster *c)
{
    if (node_votes(c->self))
        return true;
    return c->self->primary && node_has(c->self->primary, BUS_NODE_PFAIL);
}

void cluster_spread_suspicion(struct cluster *c)
{
    if (c->config.spread == CLUSTER_SPREAD_RING)
        return;
    c->suspicion_us = c->now_us;
    c->suspicion_due_us = c->now_us;
}

/* PINGs that hold only the nodes in PFAIL, to every primary. */
static void suspicion_tick(struct cluster *c)
{
    if (c->suspicion_us == 0)
        return;
    if (c->pfail_count == 0 ||
        c->now_us - c->suspicion_us > SUSPICION_TIMEOUTS * cluster_timeout_us(c)) {
        c->suspicion_us = 0;
        return;
    }
    if (c->now_us < c->suspicion_due_us) {
        due(c, c->suspicion_due_us);
        return;
    }
    uint64_t primaries = 0;
    for (uint32_t i = 0; i < c->node_count; i++) {
        struct cluster_node *n = c->nodes[i];
        if (!node_votes(n) || n == c->self)
            continue;
        primaries++;
        if (suspicion_is_ours(c) && !node_has(n, BUS_NODE_HANDSHAKE))
            cluster_ping(c, n, 0);
    }
    c->suspicion_due_us = c->now_us + (primaries > 100 ? primaries * MS : SUSPICION_US);
    due(c, c->suspicion_due_us);
}

/* The first linked node after ring_id in the order of ids. */
static void ring_tick(struct cluster *c)
{
    if (c->config.spread == CLUSTER_SPREAD_RUMOUR || c->now_us < c->ring_due_us)
        return;
    uint64_t interval_us = RING_ROUND_US / c->node_count;
    c->ring_due_us = c->now_us + (interval_us > RING_SHORTEST_US ? interval_us : RING_SHORTEST_US);
    uint32_t start = 0;
    while (start < c->node_count && memcmp(c->nodes[start]->id, c->ring_id, BUS_NAME_SIZE) <= 0)
        start++;
    for (uint32_t i = 0; i < c->node_count; i++) {
        struct cluster_node *n = c->nodes[(start + i) % c->node_count];
        if (n == c->self || !n->link || !n->link->up || node_has(n, BUS_NODE_HANDSHAKE))
            continue;
        memcpy(c->ring_id, n->id, sizeof(c->ring_id));
        cluster_ping(c, n, CLUSTER_GOSSIP_USUAL);
        return;
    }
}

static void open_tick(struct cluster *c)
{
    uint32_t opens = 0;
    for (uint32_t i = 0; i < c->node_count && opens < OPENS_PER_TICK; i++) {
        struct cluster_node *n = c->nodes[i];
        if (n == c->self || n->link || node_has(n, BUS_NODE_NOADDR) || !n->ip[0] ||
            c->now_us < n->open_at_us)
            continue;
        cluster_link_open(c, n);
        opens++;
    }
}

/* A link on which a PING is not answered for half a timeout may be dead: a new one may not be. What
 * comes in on the other link says nothing of this one. */
static void link_check(struct cluster *c, struct cluster_node *n)
{
    uint64_t timeout_us = cluster_timeout_us(c);
    if (n->link && n->ping_sent_us != 0 && c->now_us - n->ping_sent_us > timeout_us / 2 &&
        c->now_us - n->link->created_us > timeout_us)
        cluster_link_close(c, n->link);
}

static void node_tick(struct cluster *c, struct cluster_node *n, uint64_t interval_us)
{
    uint64_t timeout_us = cluster_timeout_us(c);
    if (n->ping_sent_us == 0) {
        uint64_t next_us = n->pong_received_us + interval_us;
        if (c->now_us >= next_us)
            cluster_ping(c, n, CLUSTER_GOSSIP_USUAL);
        else
            due(c, next_us);
    }
    if (n->ping_sent_us == 0 || node_has(n, BUS_NODE_PFAIL | BUS_NODE_FAIL))
        return;
    uint64_t life_us =
        n->ping_sent_us > n->data_received_us ? n->ping_sent_us : n->data_received_us;
    if (c->now_us - life_us > timeout_us)
        cluster_suspect(c, n);
    else
        due(c, life_us + timeout_us + 1);
}

static void nodes_tick(struct cluster *c)
{
    uint64_t interval_us = probe_us(c);
    for (uint32_t i = 0; i < c->node_count; i++) {
        struct cluster_node *n = c->nodes[i];
        if (n == c->self || node_has(n, BUS_NODE_HANDSHAKE))
            continue;
        node_tick(c, n, interval_us);
        link_check(c, n);
    }
}

static void time_move(uint64_t *at_us, uint64_t by_us, uint64_t now_us)
{
    if (*at_us != 0)
        *at_us = *at_us + by_us < now_us ? *at_us + by_us : now_us;
}

/* The others may have elected somebody else meanwhile: as one who comes back from a minority, and
 * what was heard so far does not count. */
static void stalled(struct cluster *c)
{
    for (uint32_t i = 0; i < c->node_count; i++)
        c->nodes[i]->heard = false;
    c->stalled = true;
    c->health_want = true;
}

bool cluster_stall_pending(const struct cluster *c)
{
    return c->tick_due_us != 0 && c->stall_noticed_us == c->tick_due_us;
}

void cluster_stall_notice(struct cluster *c)
{
    if (c->tick_due_us == 0 || cluster_stall_pending(c) ||
        c->event_us <= c->tick_due_us + cluster_timeout_us(c) / 2)
        return;
    c->stall_noticed_us = c->tick_due_us;
    stalled(c);
    cluster_health_update(c);
}

/* A node that slept (a stalled process, a paused machine) must not accuse the others of it. */
static void stall_forgive(struct cluster *c)
{
    if (c->tick_due_us == 0 || c->now_us <= c->tick_due_us)
        return;
    uint64_t late_us = c->now_us - c->tick_due_us;
    if (late_us <= cluster_timeout_us(c) / 4)
        return;
    cluster_log(c, LOG_LEVEL_WARNING, "The cluster's clock stood still for %llu ms",
                (unsigned long long)(late_us / MS));
    for (uint32_t i = 0; i < c->node_count; i++) {
        time_move(&c->nodes[i]->ping_sent_us, late_us, c->now_us);
        time_move(&c->nodes[i]->data_received_us, late_us, c->now_us);
    }
    if (late_us > cluster_timeout_us(c) / 2)
        stalled(c);
}

/* Our primary is a replica itself, for a node timeout: no slot's new owner will ever tell us whom
 * to follow. */
static void chain_tick(struct cluster *c)
{
    struct cluster_node *primary = c->self->primary;
    if (!primary || !primary->primary || primary->primary == primary) {
        c->chain_us = 0;
        return;
    }
    if (c->chain_us == 0)
        c->chain_us = c->now_us;
    if (c->now_us - c->chain_us <= cluster_timeout_us(c))
        return;
    c->chain_us = 0;
    if (primary->primary != c->self) {
        cluster_log(c, LOG_LEVEL_WARNING, "Following %s instead of the replica %s",
                    primary->primary->id, primary->id);
        cluster_self_follow(c, primary->primary);
    } else if (memcmp(c->self->id, primary->id, BUS_NAME_SIZE) < 0) {
        cluster_log(c, LOG_LEVEL_WARNING, "%s and this node follow each other: being a master",
                    primary->id);
        cluster_self_promote(c, 0);
    }
}

void cluster_tick(struct cluster *c)
{
    stall_forgive(c);
    bool stalled_now = cluster_stall_pending(c);
    c->stall_noticed_us = 0;
    c->tick_next_us = c->now_us + TICK_LONGEST_US;
    cluster_forgotten_expire(c);
    cluster_handshake_expire(c);
    if (c->identity_durable)
        open_tick(c);
    nodes_tick(c);
    for (uint32_t i = 0; stalled_now && i < c->node_count; i++)
        cluster_fail_if_majority(c, c->nodes[i]);
    suspicion_tick(c);
    ring_tick(c);
    chain_tick(c);
    cluster_self_tick(c);
    election_tick(c);
    due(c, election_next_us(c));
    cluster_health_update(c);
    if (c->view_want == CLUSTER_WANT_TICK)
        c->view_want = CLUSTER_WANT_NOW;
    /* Other nodes in the next answers, if there were any since. */
    if (c->pong_used > 0)
        c->pong_want = CLUSTER_WANT_NOW;
    c->pong_used = 0;
    if (c->tick_next_us < c->now_us + TICK_SHORTEST_US)
        c->tick_next_us = c->now_us + TICK_SHORTEST_US;
    c->tick_due_us = c->tick_next_us;
}
