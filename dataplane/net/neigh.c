#include "neigh.h"
#include <stdlib.h>
#include <string.h>
#include <rte_mbuf.h>
#include "check.h"
#include "net_output.h"

#define EVICT_LOOKS 16

struct neighbours *neigh_new(uint64_t seed)
{
    struct neighbours *nb = calloc(1, sizeof *nb);
    if (nb == NULL)
        return NULL;
    nb->generation = 1;
    nb->free_head = NEIGHBOUR_NONE;
    nb->hash_seed = seed | 1;
    nb->ask_due_us = nb->sweep_due_us = UINT64_MAX;
    memset(nb->bucket, 0xff, sizeof nb->bucket);
    return nb;
}

void neigh_free(struct neighbours *nb)
{
    for (unsigned i = 0; i < nb->fresh_at; i++) {
        for (unsigned k = 0; k < nb->entry[i].queued; k++)
            rte_pktmbuf_free(nb->entry[i].queue[k]);
    }
    free(nb);
}

static void generation_move(struct neighbours *nb)
{
    if (++nb->generation == 0)
        nb->generation = 1;
}

static uint16_t *bucket_of(struct neighbours *nb, const struct ip_addr *a)
{
    uint64_t h = (a->d[0] * 0x9e3779b97f4a7c15ull ^ a->d[1]) * nb->hash_seed;
    h = (h ^ h >> 32) * 0xd6e8feb86659fd93ull;
    return &nb->bucket[h >> 32 & (NEIGHBOUR_BUCKETS - 1)];
}

static uint16_t index_of(const struct neighbours *nb, const struct neighbour *e)
{
    return (uint16_t)(e - nb->entry);
}

struct neighbour *neigh_find(struct neighbours *nb, const struct ip_addr *a)
{
    for (uint16_t i = *bucket_of(nb, a); i != NEIGHBOUR_NONE; i = nb->entry[i].next) {
        if (ip_addr_equal(&nb->entry[i].addr, a))
            return &nb->entry[i];
    }
    return NULL;
}

static void queue_drop(struct netif *n, struct neighbour *e)
{
    n->stats->tx_unresolved_drops += e->queued;
    for (unsigned k = 0; k < e->queued; k++)
        rte_pktmbuf_free(e->queue[k]);
    e->queued = 0;
}

static void pending_leave(struct neighbours *nb, struct neighbour *e)
{
    uint16_t last = nb->pending[--nb->pending_count];
    nb->pending[e->pending_at] = last;
    nb->entry[last].pending_at = e->pending_at;
    if (nb->pending_count == 0)
        nb->ask_due_us = UINT64_MAX;
}

static void entry_remove(struct netif *n, struct neighbour *e)
{
    struct neighbours *nb = n->neighbours;
    uint16_t index = index_of(nb, e);
    uint16_t *link = bucket_of(nb, &e->addr);
    if (e->state == NEIGHBOUR_INCOMPLETE || e->state == NEIGHBOUR_PROBE)
        pending_leave(nb, e);
    queue_drop(n, e);
    while (*link != index)
        link = &nb->entry[*link].next;
    *link = e->next;
    e->state = NEIGHBOUR_FREE;
    e->next = nb->free_head;
    nb->free_head = index;
    if (--nb->count == 0)
        nb->sweep_due_us = UINT64_MAX;
    generation_move(nb);
}

/* The least recently used of the next few that nothing waits for; the gateways stay. */
static bool evict_one(struct netif *n)
{
    struct neighbours *nb = n->neighbours;
    struct neighbour *victim = NULL;
    for (unsigned looked = 0; looked < EVICT_LOOKS; looked++) {
        struct neighbour *e = &nb->entry[nb->evict_at];
        nb->evict_at = (uint16_t)((nb->evict_at + 1) % NEIGHBOURS_MAX);
        if (e->state == NEIGHBOUR_FREE || e->state == NEIGHBOUR_INCOMPLETE ||
            e->state == NEIGHBOUR_PROBE || ip_addr_equal(&e->addr, &n->config.gateway4) ||
            ip_addr_equal(&e->addr, &n->config.gateway6))
            continue;
        if (victim == NULL || e->used_us < victim->used_us)
            victim = e;
    }
    if (victim == NULL)
        return false;
    entry_remove(n, victim);
    return true;
}

static struct neighbour *entry_add(struct netif *n, const struct ip_addr *a)
{
    struct neighbours *nb = n->neighbours;
    uint16_t index;
    if (nb->count == NEIGHBOURS_MAX && !evict_one(n))
        return NULL;
    if (nb->free_head != NEIGHBOUR_NONE) {
        index = nb->free_head;
        nb->free_head = nb->entry[index].next;
    } else {
        index = nb->fresh_at++;
    }
    uint16_t *bucket = bucket_of(nb, a);
    nb->entry[index] = (struct neighbour){.addr = *a, .next = *bucket};
    *bucket = index;
    if (nb->count++ == 0)
        nb->sweep_due_us = n->now_us + NEIGHBOUR_SWEEP_US;
    return &nb->entry[index];
}

/* mac NULL asks everybody. */
static void ask(struct netif *n, struct neighbour *e, const uint8_t *mac)
{
    e->asked = true;
    e->asked_us = n->now_us;
    if (e->tries < NEIGHBOUR_TRIES_MAX)
        e->tries++;
    if (ip_addr_is4(&e->addr))
        arp_ask(n, e->addr.w[3], mac);
    else
        ndp_ask(n, &e->addr, mac);
}

/* INCOMPLETE or PROBE begins; the caller knows that there is room. */
static void pending_enter(struct netif *n, struct neighbour *e, enum neighbour_state state)
{
    struct neighbours *nb = n->neighbours;
    e->state = (uint8_t)state;
    e->tries = 0;
    e->pending_at = nb->pending_count;
    nb->pending[nb->pending_count++] = index_of(nb, e);
    if (nb->ask_due_us > n->now_us + NEIGHBOUR_ASK_INTERVAL_US)
        nb->ask_due_us = n->now_us + NEIGHBOUR_ASK_INTERVAL_US;
    ask(n, e, state == NEIGHBOUR_PROBE ? e->mac : NULL);
}

struct neighbour *neigh_use(struct netif *n, const struct ip_addr *a)
{
    struct neighbours *nb = n->neighbours;
    struct neighbour *e = neigh_find(nb, a);
    bool may_ask = nb->pending_count < NEIGHBOURS_PENDING_MAX;
    if (e == NULL) {
        e = may_ask ? entry_add(n, a) : NULL;
        if (e == NULL) {
            n->stats->neighbour_full++;
            return NULL;
        }
        pending_enter(n, e, NEIGHBOUR_INCOMPLETE);
    } else if (e->state == NEIGHBOUR_STALE && may_ask) {
        pending_enter(n, e, NEIGHBOUR_PROBE);
    } else if (e->state == NEIGHBOUR_FAILED && may_ask &&
               n->now_us - e->asked_us >= NEIGHBOUR_FAILED_US) {
        pending_enter(n, e, NEIGHBOUR_INCOMPLETE);
    }
    e->used_us = n->now_us;
    return e;
}

void neigh_queue(struct netif *n, struct neighbour *e, struct rte_mbuf *m)
{
    if (e->state != NEIGHBOUR_INCOMPLETE) {
        n->stats->tx_unresolved_drops++;
        rte_pktmbuf_free(m);
        return;
    }
    if (e->queued == NEIGHBOUR_QUEUE_MAX) {
        n->stats->tx_unresolved_drops++;
        rte_pktmbuf_free(e->queue[0]);
        e->queued--;
        memmove(e->queue, e->queue + 1, e->queued * sizeof e->queue[0]);
    }
    e->queue[e->queued++] = m;
}

static void entry_confirm(struct netif *n, struct neighbour *e, const uint8_t mac[6])
{
    bool changed = !neigh_has_mac(e) || memcmp(e->mac, mac, 6) != 0;
    if (e->state == NEIGHBOUR_INCOMPLETE || e->state == NEIGHBOUR_PROBE)
        pending_leave(n->neighbours, e);
    memcpy(e->mac, mac, 6);
    e->state = NEIGHBOUR_REACHABLE;
    e->asked = false;
    e->confirmed_us = n->now_us;
    if (changed)
        generation_move(n->neighbours);
    for (unsigned k = 0; k < e->queued; k++) {
        memcpy(rte_pktmbuf_mtod(e->queue[k], uint8_t *), mac, 6);
        net_send(n, e->queue[k]);
    }
    e->queued = 0;
}

void neigh_heard(struct netif *n, const struct ip_addr *a, const uint8_t mac[6], bool solicited)
{
    struct neighbours *nb = n->neighbours;
    struct neighbour *e = neigh_find(nb, a);
    if (e == NULL)
        return;
    bool answer = solicited && e->asked &&
                  n->now_us - e->asked_us < NEIGHBOUR_TRIES_MAX * NEIGHBOUR_ASK_INTERVAL_US;
    if (!neigh_has_mac(e) || answer) {
        entry_confirm(n, e, mac);
    } else if (memcmp(e->mac, mac, 6) != 0 &&
               n->now_us - e->asked_us >= NEIGHBOUR_ASK_INTERVAL_US) {
        /* Moved, or a lie: everybody is asked, and whoever really has the address answers. */
        if (e->state != NEIGHBOUR_PROBE)
            e->tries = 0;
        ask(n, e, NULL);
    }
}

/* A request stayed unanswered for an interval. */
static void pending_step(struct netif *n, struct neighbour *e)
{
    if (e->tries < NEIGHBOUR_TRIES_MAX) {
        ask(n, e, e->state == NEIGHBOUR_PROBE ? e->mac : NULL);
        return;
    }
    if (e->state == NEIGHBOUR_PROBE) {
        e->state = NEIGHBOUR_INCOMPLETE;
        e->tries = 0;
        generation_move(n->neighbours);
        ask(n, e, NULL);
        return;
    }
    pending_leave(n->neighbours, e);
    e->state = NEIGHBOUR_FAILED;
    e->asked_us = n->now_us;
    queue_drop(n, e);
}

static void pending_run(struct netif *n)
{
    struct neighbours *nb = n->neighbours;
    uint64_t next_us = UINT64_MAX;
    for (unsigned i = nb->pending_count; i-- > 0;) {
        struct neighbour *e = &nb->entry[nb->pending[i]];
        if (n->now_us - e->asked_us >= NEIGHBOUR_ASK_INTERVAL_US) {
            pending_step(n, e);
            if (e->state == NEIGHBOUR_FAILED)
                continue;
        }
        if (e->asked_us + NEIGHBOUR_ASK_INTERVAL_US < next_us)
            next_us = e->asked_us + NEIGHBOUR_ASK_INTERVAL_US;
    }
    nb->ask_due_us = next_us;
}

static void age(struct netif *n, struct neighbour *e)
{
    if (e->state == NEIGHBOUR_REACHABLE && n->now_us - e->confirmed_us >= NEIGHBOUR_REACHABLE_US) {
        e->state = NEIGHBOUR_STALE;
        /* So that paths in use come by and ask again. */
        generation_move(n->neighbours);
    } else if (e->state == NEIGHBOUR_STALE && n->now_us - e->used_us >= NEIGHBOUR_UNUSED_US) {
        entry_remove(n, e);
    } else if (e->state == NEIGHBOUR_FAILED && n->now_us - e->asked_us >= NEIGHBOUR_FAILED_US) {
        entry_remove(n, e);
    }
}

static void sweep(struct netif *n)
{
    struct neighbours *nb = n->neighbours;
    for (unsigned step = 0; step < NEIGHBOUR_SWEEP_STEP && step < nb->fresh_at; step++) {
        nb->sweep_at = (uint16_t)((nb->sweep_at + 1u) % nb->fresh_at);
        age(n, &nb->entry[nb->sweep_at]);
    }
    nb->sweep_due_us = nb->count > 0 ? n->now_us + NEIGHBOUR_SWEEP_US : UINT64_MAX;
}

void neigh_tick(struct netif *n)
{
    if (n->now_us >= n->neighbours->ask_due_us)
        pending_run(n);
    if (n->now_us >= n->neighbours->sweep_due_us)
        sweep(n);
}

uint64_t neigh_deadline_us(const struct neighbours *nb)
{
    return nb->ask_due_us < nb->sweep_due_us ? nb->ask_due_us : nb->sweep_due_us;
}

void neigh_validate(const struct neighbours *nb)
{
    unsigned count = 0, chained = 0;
    CHECK(nb->generation != 0 && nb->pending_count <= NEIGHBOURS_PENDING_MAX);
    for (unsigned i = 0; i < nb->fresh_at; i++) {
        const struct neighbour *e = &nb->entry[i];
        bool pending = e->state == NEIGHBOUR_INCOMPLETE || e->state == NEIGHBOUR_PROBE;
        CHECK(e->queued <= NEIGHBOUR_QUEUE_MAX);
        CHECK(e->queued == 0 || e->state == NEIGHBOUR_INCOMPLETE);
        CHECK(!pending || (e->pending_at < nb->pending_count && nb->pending[e->pending_at] == i));
        CHECK(e->tries <= NEIGHBOUR_TRIES_MAX);
        count += e->state != NEIGHBOUR_FREE;
    }
    for (unsigned b = 0; b < NEIGHBOUR_BUCKETS; b++) {
        for (uint16_t i = nb->bucket[b]; i != NEIGHBOUR_NONE; i = nb->entry[i].next, chained++)
            CHECK(nb->entry[i].state != NEIGHBOUR_FREE && chained <= NEIGHBOURS_MAX);
    }
    CHECK(count == nb->count && chained == count);
    CHECK(nb->pending_count > 0 || nb->ask_due_us == UINT64_MAX);
}
