/* Two links to each node: the one that we open, on which we PING, and the one that it opens. */
#include <stdlib.h>
#include <string.h>
#include "cluster_state.h"

#define LINKS_MAX (2 * CLUSTER_NODES_MAX + 1024)
#define BACKOFF_FIRST_MS 100u
#define BACKOFF_LAST_MS 1000u

static uint32_t link_place(const struct cluster *c, cluster_link_id id)
{
    uint32_t low = 0, high = c->link_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (c->links[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct cluster_link *cluster_link_find(const struct cluster *c, cluster_link_id id)
{
    uint32_t at = link_place(c, id);
    return at < c->link_count && c->links[at]->id == id ? c->links[at] : NULL;
}

static struct cluster_link *link_add(struct cluster *c, cluster_link_id id)
{
    struct cluster_link *link = calloc(1, sizeof(*link));
    CHECK(link);
    link->id = id;
    link->created_us = c->now_us;
    link->created_wall_ms = c->wall_ms;
    if (c->link_count == c->link_size) {
        c->link_size = c->link_size ? c->link_size * 2 : 16;
        c->links = realloc(c->links, c->link_size * sizeof(*c->links));
        CHECK(c->links);
    }
    uint32_t at = link_place(c, id);
    memmove(c->links + at + 1, c->links + at, (c->link_count - at) * sizeof(*c->links));
    c->links[at] = link;
    c->link_count++;
    return link;
}

static void link_remove(struct cluster *c, struct cluster_link *link)
{
    uint32_t at = link_place(c, link->id);
    CHECK(at < c->link_count && c->links[at] == link);
    c->link_count--;
    memmove(c->links + at, c->links + at + 1, (c->link_count - at) * sizeof(*c->links));
    cluster_held_drop_link(c, link->id);
    if (link->node && link->node->link == link)
        link->node->link = NULL;
    if (link->node && link->node->inbound == link)
        link->node->inbound = NULL;
    free(link);
}

void cluster_link_open(struct cluster *c, struct cluster_node *n)
{
    CHECK(!n->link && n != c->self);
    struct cluster_link *link = link_add(c, ++c->link_next);
    link->node = n;
    n->link = link;
    /* Trying to connect asks for a sign of life as much as a PING does. */
    if (n->ping_sent_us == 0)
        n->ping_sent_us = c->now_us;
    struct cluster_action *action = cluster_emit(c, CLUSTER_ACTION_OPEN);
    action->open.link = link->id;
    memcpy(action->open.ip, n->ip, sizeof(n->ip));
    action->open.cport = n->cport;
}

void cluster_link_close(struct cluster *c, struct cluster_link *link)
{
    cluster_emit(c, CLUSTER_ACTION_CLOSE)->open.link = link->id;
    link_remove(c, link);
}

void cluster_link_close_all(struct cluster *c, struct cluster_node *n)
{
    if (n->link)
        cluster_link_close(c, n->link);
    if (n->inbound)
        cluster_link_close(c, n->inbound);
}

static void address_copy(char *to, struct slice from)
{
    if (from.len < BUS_IP_SIZE)
        memcpy(to, from.data, from.len);
}

void cluster_link_up(struct cluster *c, const struct cluster_event_link *event)
{
    struct cluster_link *link = cluster_link_find(c, event->id);
    if (event->id & CLUSTER_LINK_INBOUND) {
        if (link)
            return;
        if (c->link_count >= LINKS_MAX) {
            cluster_emit(c, CLUSTER_ACTION_CLOSE)->open.link = event->id;
            return;
        }
        link = link_add(c, event->id);
    } else if (!link || link->up) {
        return;
    }
    link->up = true;
    address_copy(link->local_ip, event->local_ip);
    address_copy(link->peer_ip, event->peer_ip);
    if (!link->node)
        return;
    link->node->open_backoff_ms = 0;
    cluster_ping(c, link->node, CLUSTER_GOSSIP_USUAL);
    if (!node_has(link->node, BUS_NODE_HANDSHAKE))
        election_on_linked(c, link->node);
}

void cluster_link_down(struct cluster *c, cluster_link_id id)
{
    struct cluster_link *link = cluster_link_find(c, id);
    if (!link)
        return;
    struct cluster_node *n = link->node;
    if (n && n->link == link) {
        if (!link->up || c->now_us - link->created_us < SECOND) {
            n->open_backoff_ms = n->open_backoff_ms ? n->open_backoff_ms * 2 : BACKOFF_FIRST_MS;
            if (n->open_backoff_ms > BACKOFF_LAST_MS)
                n->open_backoff_ms = BACKOFF_LAST_MS;
        }
        n->open_at_us = c->now_us + n->open_backoff_ms * MS;
        /* Nothing else would notice that it is gone. */
        if (n->ping_sent_us == 0)
            n->ping_sent_us = c->now_us;
    }
    link_remove(c, link);
}

void cluster_link_bind(struct cluster *c, struct cluster_link *link, struct cluster_node *n)
{
    if (!(link->id & CLUSTER_LINK_INBOUND) || link->node == n)
        return;
    if (link->node)
        link->node->inbound = NULL;
    /* A node that opens a second link has lost the first. */
    if (n->inbound)
        cluster_link_close(c, n->inbound);
    link->node = n;
    n->inbound = link;
    n->open_at_us = c->now_us; /* it lives: no need to wait any longer */
    n->open_backoff_ms = 0;
}

void cluster_links_free(struct cluster *c)
{
    for (uint32_t i = 0; i < c->link_count; i++)
        free(c->links[i]);
    free(c->links);
}
