#include <string.h>
#include "cluster_state.h"

#define FUTURE_MS 500 /* how far ahead another clock may be */

static void gossip_report(struct cluster *c, struct cluster_node *sender, struct cluster_node *n,
                          unsigned flags)
{
    if (!node_is_primary(sender) || n == c->self)
        return;
    if (flags & (BUS_NODE_PFAIL | BUS_NODE_FAIL)) {
        if (cluster_report_add(c, n, sender))
            cluster_log(c, LOG_LEVEL_VERBOSE, "Node %s reported node %s as not reachable.",
                        sender->id, n->id);
        cluster_fail_if_majority(c, n);
    } else if (cluster_report_remove(n, sender)) {
        cluster_log(c, LOG_LEVEL_VERBOSE, "Node %s reported node %s is back online.", sender->id,
                    n->id);
    }
}

/* Others hear from a node that we have no reason to doubt: spares our own PING. */
static void gossip_pong_time(struct cluster *c, struct cluster_node *n,
                             const struct bus_gossip *entry)
{
    if (entry->flags & (BUS_NODE_PFAIL | BUS_NODE_FAIL) || n->ping_sent_us != 0 ||
        cluster_report_count(c, n) > 0)
        return;
    uint64_t pong_ms = entry->pong_received_s * 1000ull;
    if (pong_ms > c->wall_ms + FUTURE_MS)
        return;
    uint64_t ago_us = pong_ms >= c->wall_ms ? 0 : (c->wall_ms - pong_ms) * MS;
    if (ago_us < c->now_us && c->now_us - ago_us > n->pong_received_us)
        n->pong_received_us = c->now_us - ago_us;
}

static bool gossip_address_valid(const struct bus_gossip *entry)
{
    uint8_t address[BUS_ADDRESS_SIZE];
    return entry->port != 0 && entry->cport != 0 && bus_address_parse(entry->ip, address);
}

static void address_take(struct cluster_node *n, const struct bus_gossip *entry)
{
    memset(n->ip, 0, sizeof(n->ip));
    memcpy(n->ip, entry->ip.data, entry->ip.len);
    n->port = entry->port;
    n->pport = entry->pport;
    n->cport = entry->cport;
    n->flags &= (uint16_t)~BUS_NODE_NOADDR;
}

/* We cannot reach a node that the sender can: it may have moved. */
static void gossip_address(struct cluster *c, struct cluster_node *n,
                           const struct bus_gossip *entry)
{
    if (!node_has(n, BUS_NODE_PFAIL | BUS_NODE_FAIL) ||
        entry->flags & (BUS_NODE_NOADDR | BUS_NODE_PFAIL | BUS_NODE_FAIL))
        return;
    if (n->port == entry->port && n->cport == entry->cport &&
        slice_equal(slice_str(n->ip), entry->ip))
        return;
    char ip[BUS_IP_SIZE] = {0};
    if (!gossip_address_valid(entry)) {
        c->counts.gossip_refused++;
        return;
    }
    memcpy(ip, entry->ip.data, entry->ip.len);
    if (!cluster_address_allowed(c, ip)) {
        c->counts.address_alarms++;
        return;
    }
    if (n->link)
        cluster_link_close(c, n->link);
    address_take(n, entry);
    c->counts.address_alarms++;
    cluster_alarm(c, "Node %s moved to %s:%u, others say", n->id, n->ip, n->port);
    cluster_persist_soon(c);
    c->view_want = CLUSTER_WANT_NOW;
}

static void gossip_new_node(struct cluster *c, const struct bus_gossip *entry)
{
    if (entry->flags & BUS_NODE_NOADDR || cluster_forgotten_has(c, entry->name))
        return;
    char ip[BUS_IP_SIZE] = {0};
    memcpy(ip, entry->ip.data, entry->ip.len);
    if (!gossip_address_valid(entry) || !cluster_address_allowed(c, ip)) {
        c->counts.gossip_refused++;
        return;
    }
    /* Role and failure are what it says itself, and what we find. */
    unsigned role = entry->flags & BUS_NODE_SLAVE ? BUS_NODE_SLAVE : BUS_NODE_MASTER;
    struct cluster_node *n = cluster_node_add(c, entry->name, role);
    if (!n) {
        c->counts.gossip_refused++;
        return;
    }
    address_take(n, entry);
    cluster_persist_soon(c);
}

void cluster_gossip_take(struct cluster *c, struct cluster_node *sender,
                         const struct bus_message *m)
{
    struct bus_gossip_iter i;
    struct bus_gossip entry;
    bus_gossip_first(m, &i);
    while (bus_gossip_next(&i, &entry)) {
        struct cluster_node *n = cluster_node_find(c, entry.name);
        if (!n) {
            gossip_new_node(c, &entry);
            continue;
        }
        if (n == c->self || n == sender || node_has(n, BUS_NODE_HANDSHAKE))
            continue;
        gossip_report(c, sender, n, entry.flags);
        gossip_pong_time(c, n, &entry);
        gossip_address(c, n, &entry);
    }
    c->counts.gossip_refused += i.rejected;
}
