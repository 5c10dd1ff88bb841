/* A frame came: what Redis 7.0 does with each type, in its order. The decoder has checked its form;
 * here is decided whom we believe what. */
#include <string.h>
#include "cluster_state.h"

static void answer(struct cluster *c, const struct cluster_event_frame *event)
{
    if (event->answered) {
        c->pong_used++;
        return;
    }
    struct cluster_frame *frame =
        cluster_build_ping(c, BUS_PONG, cluster_peer_extends(event->message), CLUSTER_GOSSIP_USUAL);
    cluster_send(c, event->link, frame);
    cluster_frame_put(frame);
}

/* A sign of life is as old as its arrival. */
static void life_take(const struct cluster *c, struct cluster_node *n)
{
    if (c->event_us > n->data_received_us)
        n->data_received_us = c->event_us;
    n->heard = true;
}

static void pong_take(struct cluster *c, struct cluster_node *n)
{
    n->pong_received_us = c->event_us;
    n->ping_sent_us = 0;
    cluster_failure_clear(c, n);
}

/* A node is what its newest header says. */
static void role_take(struct cluster *c, struct cluster_node *sender, const struct bus_header *h)
{
    if (!h->replica_of) {
        cluster_node_set_primary(c, sender);
        return;
    }
    struct cluster_node *primary = cluster_node_find(c, h->replica_of);
    cluster_node_set_replica(c, sender, primary == sender ? NULL : primary);
}

/* Two links carry a node's headers, with no order between them: an old one may come after a newer
 * one, and would turn its role back and set its slots free. What it shows now has no smaller
 * currentEpoch, and no smaller config epoch as a primary, or where it gives up slots. One that goes
 * on to show less, for a node timeout, means it: it was reset, or an operator moved its slots. */
static bool header_is_late(struct cluster *c, struct cluster_node *sender,
                           const struct bus_header *h)
{
    bool old = h->config_epoch < sender->config_epoch && (!h->replica_of || node_votes(sender));
    if (h->current_epoch >= sender->current_epoch && !old) {
        sender->doubt_us = 0;
        return false;
    }
    if (sender->doubt_us == 0)
        sender->doubt_us = c->now_us;
    if (c->now_us - sender->doubt_us <= cluster_timeout_us(c)) {
        c->counts.headers_late++;
        return true;
    }
    sender->current_epoch = h->current_epoch;
    if (!h->replica_of && !node_is_primary(sender))
        sender->config_epoch = h->config_epoch; /* the other was its primary's */
    return false;
}

static void header_take(struct cluster *c, struct cluster_node *sender, const struct bus_message *m)
{
    const struct bus_header *h = &m->header;
    bool late = header_is_late(c, sender, h);
    if (h->current_epoch > sender->current_epoch)
        sender->current_epoch = h->current_epoch;
    if (!late) {
        sender->flags &= (uint16_t)~BUS_NODE_NOFAILOVER;
        sender->flags |= h->flags & BUS_NODE_NOFAILOVER;
        role_take(c, sender, h);
        if (node_is_primary(sender))
            cluster_claim(c, sender, h->config_epoch, h->slots);
    }
    cluster_claim_correct(c, sender, h);
    if (late)
        return; /* what it tells of others is old, too, and was told in another role */
    cluster_epoch_collision(c, sender);
    cluster_gossip_take(c, sender, m);
    cluster_extensions_take(c, sender, m);
}

static void ping_take(struct cluster *c, struct cluster_link *link, struct cluster_node *sender,
                      const struct cluster_event_frame *event)
{
    const struct bus_message *m = event->message;
    unsigned type = m->header.type;
    bool ours = !(link->id & CLUSTER_LINK_INBOUND);
    if (type != BUS_PONG) {
        cluster_own_ip_learn(c, link, type == BUS_MEET);
        if (!sender && type == BUS_MEET)
            cluster_meet_take(c, link, m);
        answer(c, event);
    }
    if (ours && type == BUS_PONG) {
        if (!cluster_handshake_take(c, link, sender, m))
            return;
        if (!sender) {
            sender = link->node; /* it has its name now */
            life_take(c, sender);
            cluster_epoch_adopt(c, sender, &m->header);
        }
        pong_take(c, sender);
    }
    if (!sender)
        return;
    if (type == BUS_PING && !ours && !cluster_address_follow(c, sender, link, m)) {
        c->counts.frames_refused++;
        return;
    }
    header_take(c, sender, m);
}

static void update_take(struct cluster *c, const struct bus_message *m)
{
    struct cluster_node *n = cluster_node_find(c, m->update.name);
    if (!n || n->config_epoch >= m->update.config_epoch)
        return;
    if (n == c->self) {
        cluster_log(c, LOG_LEVEL_WARNING, "Discarding UPDATE message about myself.");
        return;
    }
    cluster_node_set_primary(c, n);
    n->config_epoch = m->update.config_epoch;
    cluster_persist_soon(c);
    cluster_claim(c, n, m->update.config_epoch, m->update.slots);
}

static void fail_take(struct cluster *c, const struct cluster_node *sender,
                      const struct bus_message *m)
{
    struct cluster_node *n = cluster_node_find(c, m->fail.name);
    if (n)
        cluster_fail_learnt(c, n, sender);
    else
        cluster_log(c, LOG_LEVEL_NOTICE,
                    "Ignoring FAIL message from unknown node about a node unknown to us");
}

static void publish_take(struct cluster *c, const struct bus_message *m)
{
    struct cluster_action *action = cluster_emit(c, CLUSTER_ACTION_DELIVER);
    action->deliver.channel = m->publish.channel;
    action->deliver.message = m->publish.message;
    action->deliver.sharded = m->header.type == BUS_PUBLISHSHARD;
}

static void type_take(struct cluster *c, struct cluster_node *sender,
                      const struct cluster_event_frame *event)
{
    const struct bus_message *m = event->message;
    switch (m->header.type) {
    case BUS_FAIL:
        fail_take(c, sender, m);
        break;
    case BUS_PUBLISH:
    case BUS_PUBLISHSHARD:
        publish_take(c, m);
        break;
    case BUS_AUTH_REQUEST:
        /* Of the time when we stood still: it is repeated if it still counts. */
        if (!cluster_stall_pending(c))
            election_on_auth_request(c, sender, m);
        break;
    case BUS_AUTH_ACK:
        election_on_auth_ack(c, sender, m);
        break;
    case BUS_UPDATE:
        update_take(c, m);
        break;
    case BUS_MFSTART:
        election_on_mfstart(c, sender, event->link);
        break;
    default:
        break; /* MODULE: there are none */
    }
}

/* The node that the link is bound to, or that the header names; NULL: a stranger. */
static struct cluster_node *frame_sender(const struct cluster *c, const struct cluster_link *link,
                                         const struct bus_message *m)
{
    if (m->light)
        return link->node && !node_has(link->node, BUS_NODE_HANDSHAKE) ? link->node : NULL;
    return cluster_node_find(c, m->header.sender);
}

/* Another node than we connected to answers there: only a PONG tells us, the rest is not for us. */
static bool frame_is_mixed_up(const struct cluster_link *link, const struct cluster_node *sender,
                              const struct bus_message *m)
{
    return !(link->id & CLUSTER_LINK_INBOUND) && sender && link->node != sender &&
           m->header.type != BUS_PONG;
}

void cluster_frame_take(struct cluster *c, const struct cluster_event_frame *event)
{
    const struct bus_message *m = event->message;
    struct cluster_link *link = cluster_link_find(c, event->link);
    if (!link || !c->identity_durable)
        return;
    c->counts.received[m->header.type]++;
    c->counts.bytes_received += m->frame.len;
    struct cluster_node *sender = frame_sender(c, link, m);
    if ((sender == c->self && link->id & CLUSTER_LINK_INBOUND) ||
        frame_is_mixed_up(link, sender, m)) {
        c->counts.frames_refused++;
        return; /* our own words, or not the node that we called */
    }
    bool known = sender && sender != c->self && !node_has(sender, BUS_NODE_HANDSHAKE);
    bool ping = !m->light && bus_type_is_ping(m->header.type);
    bool expected = known && ((link->id & CLUSTER_LINK_INBOUND) || link->node == sender);
    if (known && expected) {
        life_take(c, sender);
        if (link->id & CLUSTER_LINK_INBOUND) {
            cluster_link_bind(c, link, sender);
            sender->flags &= (uint16_t)~BUS_NODE_MEET;
        }
        if (!m->light) {
            cluster_epoch_adopt(c, sender, &m->header);
            election_on_header(c, sender, m);
        }
    }
    if (ping)
        ping_take(c, link, sender, event);
    else if (known)
        type_take(c, sender, event);
    else
        c->counts.frames_from_strangers++;
}
