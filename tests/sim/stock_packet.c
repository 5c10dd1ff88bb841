/* What a stock node makes of a frame. */
#include <string.h>
#include "stock_state.h"

#define REPORT_VALIDITY 2
#define FAIL_UNDO 2

/* ---- failure reports ---- */

static void report_remove(struct stock_peer *n, const struct stock_peer *by)
{
    for (uint32_t i = 0; i < n->report_count; i++)
        if (n->reports[i].by == by) {
            n->reports[i] = n->reports[--n->report_count];
            return;
        }
}

static void report_add(struct stock *s, struct stock_peer *n, struct stock_peer *by)
{
    report_remove(n, by);
    CHECK(n->report_count < STOCK_NODES_MAX);
    n->reports[n->report_count++] = (struct stock_report){by, s->now_ms};
}

static uint32_t report_count(struct stock *s, struct stock_peer *n)
{
    uint64_t valid_ms = (uint64_t)s->config.node_timeout_ms * REPORT_VALIDITY;
    for (uint32_t i = n->report_count; i > 0; i--)
        if (s->now_ms - n->reports[i - 1].at_ms > valid_ms)
            n->reports[i - 1] = n->reports[--n->report_count];
    return n->report_count;
}

bool stock_mark_failing(struct stock *s, struct stock_peer *n)
{
    uint32_t needed = stock_size(s) / 2 + 1;
    if (!stock_has(n, BUS_NODE_PFAIL) || stock_has(n, BUS_NODE_FAIL))
        return false;
    uint32_t failures = report_count(s, n) + (stock_has(s->self, BUS_NODE_MASTER) ? 1 : 0);
    if (failures < needed)
        return false;
    n->flags &= (uint16_t)~BUS_NODE_PFAIL;
    n->flags |= BUS_NODE_FAIL;
    n->fail_ms = s->now_ms;
    stock_send_fail(s, n);
    s->save = s->update = true;
    return true;
}

static void clear_failure(struct stock *s, struct stock_peer *n)
{
    if (!stock_votes(n) ||
        s->now_ms - n->fail_ms > (uint64_t)s->config.node_timeout_ms * FAIL_UNDO) {
        n->flags &= (uint16_t)~BUS_NODE_FAIL;
        s->save = s->update = true;
    }
}

/* ---- gossip ---- */

static struct stock_peer *peer_add(struct stock *s, const void *id, const struct bus_gossip *g)
{
    struct stock_peer *n = stock_peer_new(s);
    if (!n)
        return NULL;
    memcpy(n->id, id, BUS_NAME_SIZE);
    memcpy(n->ip, g->ip.data, g->ip.len < BUS_IP_SIZE ? g->ip.len : 0);
    n->port = g->port;
    n->cport = g->cport;
    n->flags = g->flags & (BUS_NODE_MASTER | BUS_NODE_SLAVE);
    s->save = true;
    return n;
}

static void gossip_entry(struct stock *s, struct stock_peer *sender, const struct bus_gossip *g)
{
    struct stock_peer *n = stock_find(s, g->name);
    if (!n) {
        if (!(g->flags & (BUS_NODE_NOADDR | BUS_NODE_HANDSHAKE)) && g->ip.len > 0)
            peer_add(s, g->name, g);
        return;
    }
    if (n == s->self)
        return;
    bool failing = g->flags & (BUS_NODE_FAIL | BUS_NODE_PFAIL);
    if (stock_has(sender, BUS_NODE_MASTER)) {
        if (failing) {
            report_add(s, n, sender);
            stock_mark_failing(s, n);
        } else {
            report_remove(n, sender);
        }
    }
    if (!failing && n->ping_sent_ms == 0 && report_count(s, n) == 0) {
        uint64_t pong_ms = g->pong_received_s * 1000ull;
        uint64_t ago_ms = pong_ms >= s->wall_ms ? 0 : s->wall_ms - pong_ms;
        if (pong_ms <= s->wall_ms + 500 && s->now_ms - ago_ms > n->pong_ms)
            n->pong_ms = s->now_ms - ago_ms;
    }
    if (stock_has(n, BUS_NODE_FAIL | BUS_NODE_PFAIL) && !failing && !(g->flags & BUS_NODE_NOADDR) &&
        g->ip.len > 0 && (!slice_equal(slice_str(n->ip), g->ip) || n->cport != g->cport)) {
        if (n->link)
            stock_emit(s, CLUSTER_ACTION_CLOSE)->open.link = n->link;
        n->link = 0;
        n->link_up = false;
        memset(n->ip, 0, sizeof(n->ip));
        memcpy(n->ip, g->ip.data, g->ip.len);
        n->port = g->port;
        n->cport = g->cport;
        n->flags &= (uint16_t)~BUS_NODE_NOADDR;
    }
}

static void gossip(struct stock *s, struct stock_peer *sender, const struct bus_message *m)
{
    struct bus_gossip_iter i;
    struct bus_gossip entry;
    bus_gossip_first(m, &i);
    while (bus_gossip_next(&i, &entry))
        gossip_entry(s, sender, &entry);
}

/* ---- slots ---- */

static void claim(struct stock *s, struct stock_peer *claimant, uint64_t epoch,
                  const uint8_t *slots)
{
    struct stock_peer *ours = s->self->primary ? s->self->primary : s->self, *follow = NULL;
    uint32_t claimed = 0, taken = 0;
    if (claimant == s->self)
        return;
    /* Nearly always: what is known already. */
    if (s->unclaimed_count == 0 && memcmp(slots, claimant->slots, BUS_SLOTS_SIZE) == 0)
        return;
    for (unsigned slot = 0; slot < BUS_SLOTS; slot++) {
        struct stock_peer *owner = s->slots[slot];
        if (!bus_slot_get(slots, slot)) {
            if (owner == claimant)
                stock_set_unclaimed(s, slot, true);
            continue;
        }
        claimed++;
        if (owner == claimant)
            stock_set_unclaimed(s, slot, false);
        if (owner == claimant || s->importing[slot])
            continue;
        if (owner && owner->config_epoch >= epoch && !bus_slot_get(s->unclaimed, slot))
            continue;
        if (owner == ours) {
            taken++;
            follow = claimant;
        }
        stock_set_slot(s, slot, claimant);
        s->save = s->update = true;
    }
    if (follow && ours->slot_count == 0 && (s->config.allow_replica_migration || claimed == taken))
        stock_replicate(s, follow);
}

static void correct_stale(struct stock *s, const struct stock_peer *sender,
                          const struct bus_header *h)
{
    const struct stock_peer *shown = sender->primary ? sender->primary : sender;
    if (shown->config_epoch <= h->config_epoch &&
        memcmp(h->slots, shown->slots, BUS_SLOTS_SIZE) == 0)
        return;
    for (unsigned slot = 0; slot < BUS_SLOTS; slot++) {
        const struct stock_peer *owner = s->slots[slot];
        if (!bus_slot_get(h->slots, slot) || !owner || owner == sender ||
            owner->config_epoch <= h->config_epoch)
            continue;
        stock_send_update(s, sender, owner);
        return;
    }
}

/* ---- roles, epochs ---- */

static void role(struct stock *s, struct stock_peer *sender, const struct bus_header *h)
{
    if (!h->replica_of) {
        if (!stock_has(sender, BUS_NODE_MASTER))
            s->save = s->update = true;
        stock_set_primary_role(sender);
        return;
    }
    if (stock_has(sender, BUS_NODE_MASTER)) {
        for (unsigned slot = 0; sender->slot_count > 0 && slot < BUS_SLOTS; slot++)
            if (s->slots[slot] == sender)
                stock_set_slot(s, slot, NULL);
        sender->flags &= (uint16_t) ~(BUS_NODE_MASTER | BUS_NODE_MIGRATE_TO);
        sender->flags |= BUS_NODE_SLAVE;
        s->save = s->update = true;
    }
    struct stock_peer *primary = stock_find(s, h->replica_of);
    if (primary && primary != sender)
        sender->primary = primary;
}

static void collision(struct stock *s, const struct stock_peer *sender)
{
    if (!stock_has(s->self, BUS_NODE_MASTER) || !stock_has(sender, BUS_NODE_MASTER) ||
        sender->config_epoch != s->self->config_epoch ||
        memcmp(sender->id, s->self->id, BUS_NAME_SIZE) <= 0)
        return;
    s->self->config_epoch = ++s->current_epoch;
    s->save = true;
}

static void epochs(struct stock *s, struct stock_peer *sender, const struct bus_header *h)
{
    if (h->current_epoch > s->current_epoch) {
        s->current_epoch = h->current_epoch;
        s->save = true;
    }
    if (h->config_epoch > sender->config_epoch) {
        sender->config_epoch = h->config_epoch;
        s->save = true;
    }
    sender->offset = h->offset;
    stock_mf_header(s, sender, h);
}

/* ---- PING, PONG, MEET ---- */

static struct stock_peer *link_owner(const struct stock *s, cluster_link_id id)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->nodes[i]->link == id)
            return s->nodes[i];
    return NULL;
}

/* The PONG that answers ours; false: no more is to be made of it. */
static bool pong_on_ours(struct stock *s, struct stock_peer *n, struct stock_peer **sender,
                         const struct bus_header *h)
{
    if (stock_has(n, BUS_NODE_HANDSHAKE)) {
        if (*sender) {
            stock_emit(s, CLUSTER_ACTION_CLOSE)->open.link = n->link;
            n->link = 0;
            n->created_ms = 0; /* it expires */
            return false;
        }
        memcpy(n->id, h->sender, BUS_NAME_SIZE);
        n->flags &= (uint16_t) ~(BUS_NODE_HANDSHAKE | BUS_NODE_MEET);
        n->flags |= h->replica_of ? BUS_NODE_SLAVE : BUS_NODE_MASTER;
        *sender = n;
        s->save = true;
    } else if (memcmp(n->id, h->sender, BUS_NAME_SIZE) != 0) {
        stock_emit(s, CLUSTER_ACTION_CLOSE)->open.link = n->link;
        n->link = 0;
        n->link_up = false;
        n->flags |= BUS_NODE_NOADDR;
        n->ip[0] = 0;
        return false;
    }
    n->pong_ms = s->now_ms;
    n->ping_sent_ms = 0;
    if (stock_has(n, BUS_NODE_PFAIL)) {
        n->flags &= (uint16_t)~BUS_NODE_PFAIL;
        s->save = s->update = true;
    } else if (stock_has(n, BUS_NODE_FAIL)) {
        clear_failure(s, n);
    }
    return true;
}

static void meet(struct stock *s, const struct bus_header *h, struct slice peer_ip)
{
    struct bus_gossip g = {.ip = peer_ip, .port = h->port, .cport = h->cport};
    char id[BUS_NAME_SIZE];
    for (unsigned i = 0; i < BUS_NAME_SIZE; i++)
        id[i] = "0123456789abcdef"[rng_below(&s->rng, 16)];
    for (uint32_t i = 0; i < s->count; i++)
        if (stock_has(s->nodes[i], BUS_NODE_HANDSHAKE) &&
            slice_equal(slice_str(s->nodes[i]->ip), peer_ip))
            return;
    struct stock_peer *n = peer_add(s, id, &g);
    if (n)
        n->flags = BUS_NODE_HANDSHAKE;
}

/* Where a sender is: stock nodes look at the connection, this model at the address that it
 * announces or (ours announce none) at the one that the world keeps for it. */
static void address(struct stock *s, struct stock_peer *sender, const struct stock_inbound *in,
                    const struct bus_header *h)
{
    if (!in || in->ip[0] == 0 || (strcmp(sender->ip, in->ip) == 0 && sender->cport == h->cport))
        return;
    memcpy(sender->ip, in->ip, sizeof(sender->ip));
    sender->port = h->port;
    sender->cport = h->cport;
    if (sender->link)
        stock_emit(s, CLUSTER_ACTION_CLOSE)->open.link = sender->link;
    sender->link = 0;
    sender->link_up = false;
    sender->flags &= (uint16_t)~BUS_NODE_NOADDR;
    s->save = true;
}

static void ping(struct stock *s, const struct cluster_event_frame *event,
                 struct stock_peer *sender)
{
    const struct bus_message *m = event->message;
    const struct bus_header *h = &m->header;
    const struct stock_inbound *in = stock_inbound(s, event->link);
    if (h->type != BUS_PONG) {
        if (h->type == BUS_MEET && !sender && in)
            meet(s, h, slice_str(in->ip));
        stock_send_ping(s, event->link, NULL, BUS_PONG);
    }
    struct stock_peer *n = event->link & CLUSTER_LINK_INBOUND ? NULL : link_owner(s, event->link);
    if (h->type == BUS_PING && sender)
        address(s, sender, in, h);
    if (n && h->type == BUS_PONG && !pong_on_ours(s, n, &sender, h))
        return;
    if (!sender)
        return;
    role(s, sender, h);
    if (stock_has(sender, BUS_NODE_MASTER))
        claim(s, sender, h->config_epoch, h->slots);
    correct_stale(s, sender, h);
    collision(s, sender);
    gossip(s, sender, m);
}

static void update(struct stock *s, const struct bus_message *m)
{
    struct stock_peer *n = stock_find(s, m->update.name);
    if (!n || n->config_epoch >= m->update.config_epoch || n == s->self)
        return;
    if (stock_has(n, BUS_NODE_SLAVE))
        stock_set_primary_role(n);
    n->config_epoch = m->update.config_epoch;
    s->save = true;
    claim(s, n, m->update.config_epoch, m->update.slots);
}

static void fail(struct stock *s, const struct bus_message *m)
{
    struct stock_peer *n = stock_find(s, m->fail.name);
    if (!n || stock_has(n, BUS_NODE_FAIL) || n == s->self)
        return;
    n->flags |= BUS_NODE_FAIL;
    n->flags &= (uint16_t)~BUS_NODE_PFAIL;
    n->fail_ms = s->now_ms;
    s->save = s->update = true;
}

void stock_packet(struct stock *s, const struct cluster_event_frame *event)
{
    const struct bus_message *m = event->message;
    struct stock_peer *sender = stock_find(s, m->header.sender);
    if (sender == s->self)
        sender = NULL;
    if (sender && stock_has(sender, BUS_NODE_HANDSHAKE))
        sender = NULL;
    if (sender) {
        sender->data_ms = s->now_ms;
        epochs(s, sender, &m->header);
    }
    if (bus_type_is_ping(m->header.type)) {
        ping(s, event, sender);
        return;
    }
    if (!sender)
        return;
    switch (m->header.type) {
    case BUS_FAIL:
        fail(s, m);
        break;
    case BUS_UPDATE:
        update(s, m);
        break;
    case BUS_AUTH_REQUEST:
        stock_vote(s, sender, m);
        break;
    case BUS_AUTH_ACK:
        stock_ack(s, sender, m);
        break;
    case BUS_MFSTART:
        stock_mfstart(s, sender, event->link);
        break;
    default:
        break;
    }
}
