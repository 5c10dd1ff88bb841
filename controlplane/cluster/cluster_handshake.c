/* How nodes become known, and how a known one changes its address. A MEET is repeated in place of
 * PING until the other node has opened a link to us, which shows that it knows us: a MEET that is
 * lost leaves no half-known node. */
#include <stdio.h>
#include <string.h>
#include "cluster_state.h"

#define HANDSHAKE_SHORTEST_US SECOND

/* The form that we compare addresses in. */
static bool ip_copy(char to[BUS_IP_SIZE], struct slice ip)
{
    uint8_t address[BUS_ADDRESS_SIZE];
    memset(to, 0, BUS_IP_SIZE);
    if (ip.len >= BUS_IP_SIZE || !bus_address_parse(ip, address))
        return false;
    memcpy(to, ip.data, ip.len);
    return true;
}

enum cluster_meet cluster_meet_start(struct cluster *c, struct slice ip, uint16_t port,
                                     uint16_t cport, bool meet)
{
    char text[BUS_IP_SIZE], id[BUS_NAME_SIZE + 1];
    if (!ip_copy(text, ip) || port == 0 || cport == 0)
        return CLUSTER_MEET_BAD;
    for (uint32_t i = 0; i < c->node_count; i++) {
        const struct cluster_node *n = c->nodes[i];
        if (node_has(n, BUS_NODE_HANDSHAKE) && n->cport == cport && strcmp(n->ip, text) == 0)
            return CLUSTER_MEET_AGAIN;
    }
    if (c->handshake_count >= CLUSTER_HANDSHAKES_MAX)
        return CLUSTER_MEET_FULL;
    cluster_id_random(c, id);
    struct cluster_node *n =
        cluster_node_add(c, id, BUS_NODE_HANDSHAKE | (meet ? BUS_NODE_MEET : 0));
    if (!n)
        return CLUSTER_MEET_FULL;
    memcpy(n->ip, text, sizeof(text));
    n->port = port;
    n->cport = cport;
    return CLUSTER_MEET_STARTED;
}

/* Where a peer is: as it announces, else where its link comes from. */
static bool sender_ip(const struct cluster_link *link, const struct bus_message *m,
                      char ip[BUS_IP_SIZE])
{
    if (m->header.ip.len > 0)
        return ip_copy(ip, m->header.ip);
    return ip_copy(ip, slice_str(link->peer_ip));
}

void cluster_meet_take(struct cluster *c, struct cluster_link *link, const struct bus_message *m)
{
    char ip[BUS_IP_SIZE];
    if (!sender_ip(link, m, ip) || !cluster_address_allowed(c, ip) ||
        c->handshake_count >= CLUSTER_HANDSHAKES_MAX / 2) {
        c->counts.frames_refused++;
        return;
    }
    if (cluster_meet_start(c, slice_str(ip), m->header.port, m->header.cport, false) ==
        CLUSTER_MEET_FULL)
        c->counts.frames_refused++;
}

bool cluster_address_allowed(const struct cluster *c, const char *ip)
{
    uint8_t address[BUS_ADDRESS_SIZE];
    if (c->config.allow_count == 0)
        return true;
    if (!bus_address_parse(slice_str(ip), address))
        return false;
    for (uint32_t i = 0; i < c->config.allow_count; i++) {
        const struct cluster_network *net = &c->config.allow[i];
        unsigned bytes = net->prefix / 8, rest = net->prefix % 8;
        if (memcmp(address, net->address, bytes) != 0)
            continue;
        if (rest == 0 || ((address[bytes] ^ net->address[bytes]) >> (8 - rest)) == 0)
            return true;
    }
    return false;
}

/* True: it is somewhere else than we thought, and we believe it. */
static bool address_update(struct cluster *c, struct cluster_node *n,
                           const struct cluster_link *link, const struct bus_message *m,
                           bool *refused)
{
    char ip[BUS_IP_SIZE];
    const struct bus_header *h = &m->header;
    *refused = false;
    if (link == n->link || !sender_ip(link, m, ip) || h->port == 0 || h->cport == 0)
        return false;
    if (n->port == h->port && n->cport == h->cport && n->pport == h->pport &&
        strcmp(n->ip, ip) == 0)
        return false;
    c->counts.address_alarms++;
    if (!cluster_address_allowed(c, ip)) {
        *refused = true;
        cluster_alarm(c, "Node %s says that it is at %s:%u, which cluster-bus-allow does not have",
                      n->id, ip, h->port);
        return false;
    }
    memcpy(n->ip, ip, sizeof(ip));
    n->port = h->port;
    n->pport = h->pport;
    n->cport = h->cport;
    n->flags &= (uint16_t)~BUS_NODE_NOADDR;
    n->open_at_us = c->now_us;
    if (n->link)
        cluster_link_close(c, n->link);
    cluster_alarm(c, "Address updated for node %s, now %s:%u", n->id, n->ip, n->port);
    cluster_persist_soon(c);
    c->view_want = CLUSTER_WANT_NOW;
    c->health_want = true;
    return true;
}

bool cluster_address_follow(struct cluster *c, struct cluster_node *sender,
                            const struct cluster_link *link, const struct bus_message *m)
{
    bool refused;
    address_update(c, sender, link, m, &refused);
    return !refused;
}

static void handshake_done(struct cluster *c, struct cluster_node *n, const struct bus_message *m)
{
    cluster_node_rename(c, n, m->header.sender);
    n->flags &= (uint16_t)~BUS_NODE_HANDSHAKE;
    n->flags |= m->header.replica_of ? BUS_NODE_SLAVE : BUS_NODE_MASTER;
    c->handshake_count--;
    cluster_log(c, LOG_LEVEL_DEBUG, "Handshake with node %s completed.", n->id);
    cluster_persist_soon(c);
    c->view_want = CLUSTER_WANT_NOW;
    c->health_want = true;
    election_on_linked(c, n);
}

bool cluster_handshake_take(struct cluster *c, struct cluster_link *link,
                            struct cluster_node *sender, const struct bus_message *m)
{
    struct cluster_node *n = link->node;
    if (node_has(n, BUS_NODE_HANDSHAKE)) {
        bool refused;
        if (sender) {
            /* We know it already: by this it may only have told us that it moved. */
            if (sender != c->self)
                address_update(c, sender, link, m, &refused);
            cluster_node_remove(c, n);
            return false;
        }
        handshake_done(c, n, m);
        return true;
    }
    if (memcmp(n->id, m->header.sender, BUS_NAME_SIZE) == 0)
        return true;
    /* Another node is at this address now; of the old one we do not know any more where it is. */
    cluster_log(c, LOG_LEVEL_DEBUG, "PONG contains mismatching sender ID. About node %s", n->id);
    n->flags |= BUS_NODE_NOADDR;
    memset(n->ip, 0, sizeof(n->ip));
    n->port = n->pport = n->cport = 0;
    cluster_link_close(c, link);
    cluster_persist_soon(c);
    c->view_want = CLUSTER_WANT_NOW;
    return false;
}

void cluster_handshake_expire(struct cluster *c)
{
    uint64_t timeout_us = cluster_timeout_us(c);
    if (timeout_us < HANDSHAKE_SHORTEST_US)
        timeout_us = HANDSHAKE_SHORTEST_US;
    for (uint32_t i = 0; c->handshake_count > 0 && i < c->node_count;) {
        struct cluster_node *n = c->nodes[i];
        if (node_has(n, BUS_NODE_HANDSHAKE) && c->now_us - n->created_us > timeout_us)
            cluster_node_remove(c, n);
        else
            i++;
    }
}

void cluster_own_ip_learn(struct cluster *c, const struct cluster_link *link, bool meet)
{
    char ip[BUS_IP_SIZE];
    if (c->config.announce_ip[0] || c->config.ip[0] || (!meet && c->self->ip[0]))
        return;
    if (!ip_copy(ip, slice_str(link->local_ip)) || strcmp(ip, c->self->ip) == 0)
        return;
    memcpy(c->self->ip, ip, sizeof(ip));
    cluster_log(c, LOG_LEVEL_WARNING, "IP address for this node updated to %s", ip);
    cluster_persist_soon(c);
    c->view_want = CLUSTER_WANT_NOW;
}

void cluster_extensions_take(struct cluster *c, struct cluster_node *sender,
                             const struct bus_message *m)
{
    struct bus_extension_iter i;
    struct bus_extension extension;
    struct slice hostname = slice_from(NULL, 0);
    sender->extends = cluster_peer_extends(m);
    bus_extension_first(m, &i);
    while (bus_extension_next(&i, &extension)) {
        if (extension.type == BUS_EXT_HOSTNAME) {
            hostname = extension.text;
        } else if (extension.type == BUS_EXT_SHARD_ID) {
            cluster_node_set_shard_id(c, sender, extension.name);
            if (c->self->primary == sender)
                cluster_node_set_shard_id(c, c->self, extension.name);
        } else if (extension.type == BUS_EXT_FORGOTTEN) {
            struct cluster_node *n = cluster_node_find(c, extension.name);
            if (n && n != c->self && n != sender && n != c->self->primary && extension.ttl_s > 0) {
                cluster_forgotten_add(c, extension.name);
                cluster_node_remove(c, n);
            }
        }
    }
    /* A header without a hostname takes it away. */
    cluster_node_set_hostname(c, sender, hostname);
}

void cluster_announce(struct cluster *c)
{
    struct cluster_node *self = c->self;
    const struct cluster_config *config = &c->config;
    const char *ip = config->announce_ip[0] ? config->announce_ip : config->ip;
    if (*ip)
        memcpy(self->ip, ip, BUS_IP_SIZE);
    self->port = config->announce_port ? config->announce_port : config->port;
    self->cport = config->announce_cport ? config->announce_cport : config->cport;
    self->flags &= (uint16_t)~BUS_NODE_NOFAILOVER;
    if (config->replica_no_failover)
        self->flags |= BUS_NODE_NOFAILOVER;
    cluster_node_set_hostname(c, self, slice_str(config->announce_hostname));
    c->view_want = CLUSTER_WANT_NOW;
    c->pong_want = CLUSTER_WANT_NOW;
    c->broadcast_want = true;
    c->health_want = true;
}
