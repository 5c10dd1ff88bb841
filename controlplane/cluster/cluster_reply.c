#include "cluster_reply.h"
#include <stdlib.h>
#include <string.h>

void cluster_reply_array(struct cluster_reply *r, size_t count)
{
    cluster_print(&r->text, "*%zu\r\n", count);
}

void cluster_reply_map(struct cluster_reply *r, size_t pairs)
{
    if (r->resp3)
        cluster_print(&r->text, "%%%zu\r\n", pairs);
    else
        cluster_reply_array(r, 2 * pairs);
}

void cluster_reply_integer(struct cluster_reply *r, int64_t value)
{
    cluster_print(&r->text, ":%lld\r\n", (long long)value);
}

static void append(struct nodes_text *text, struct slice bytes)
{
    if (text->size - text->len < bytes.len) {
        text->size = (text->size + bytes.len) * 2;
        text->data = realloc(text->data, text->size);
        CHECK(text->data);
    }
    if (bytes.len > 0)
        memcpy(text->data + text->len, bytes.data, bytes.len);
    text->len += bytes.len;
}

void cluster_reply_bulk(struct cluster_reply *r, struct slice text)
{
    cluster_print(&r->text, "$%zu\r\n", text.len);
    append(&r->text, text);
    append(&r->text, slice_str("\r\n"));
}

void cluster_reply_word(struct cluster_reply *r, const char *text)
{
    cluster_reply_bulk(r, slice_str(text));
}

void cluster_reply_null(struct cluster_reply *r)
{
    append(&r->text, slice_str(r->resp3 ? "_\r\n" : "$-1\r\n"));
}

void cluster_reply_verbatim(struct cluster_reply *r, struct slice text)
{
    if (!r->resp3) {
        cluster_reply_bulk(r, text);
        return;
    }
    cluster_print(&r->text, "=%zu\r\ntxt:", text.len + 4);
    append(&r->text, text);
    append(&r->text, slice_str("\r\n"));
}

/* ---- SLOTS ---- */

static const char *hostname_of(const struct cluster_node *n)
{
    return n->hostname ? n->hostname : "";
}

static void slots_node(const struct cluster *c, struct cluster_reply *r,
                       const struct cluster_node *n)
{
    enum cluster_endpoint endpoint = c->config.endpoint;
    bool named = *hostname_of(n);
    cluster_reply_array(r, 4);
    if (endpoint == CLUSTER_ENDPOINT_IP)
        cluster_reply_word(r, n->ip);
    else if (endpoint == CLUSTER_ENDPOINT_HOSTNAME)
        cluster_reply_word(r, named ? n->hostname : "?");
    else
        cluster_reply_null(r);
    cluster_reply_integer(r, n->port);
    cluster_reply_word(r, n->id);
    /* What else is known of where it is. */
    bool show_ip = endpoint != CLUSTER_ENDPOINT_IP;
    bool show_name = endpoint != CLUSTER_ENDPOINT_HOSTNAME && named;
    cluster_reply_map(r, (size_t)show_ip + show_name);
    if (show_ip) {
        cluster_reply_word(r, "ip");
        cluster_reply_word(r, n->ip);
    }
    if (show_name) {
        cluster_reply_word(r, "hostname");
        cluster_reply_word(r, n->hostname);
    }
}

static uint64_t node_offset(const struct cluster *c, const struct cluster_node *n)
{
    return n == c->self ? c->replication.offset : n->offset;
}

/* A replica that clients may be sent to. */
static bool replica_is_useful(const struct cluster *c, const struct cluster_node *n)
{
    return !node_has(n, BUS_NODE_FAIL) && node_offset(c, n) != 0;
}

static void slots_range(const struct cluster *c, struct cluster_reply *r,
                        const struct cluster_node *owner, unsigned first, unsigned last)
{
    const struct cluster_node *replica;
    size_t count = 0;
    uint32_t i = 0;
    while (owner->replica_count > 0 && (replica = cluster_replica_next(c, owner, &i)))
        count += replica_is_useful(c, replica);
    cluster_reply_array(r, 3 + count);
    cluster_reply_integer(r, first);
    cluster_reply_integer(r, last);
    slots_node(c, r, owner);
    i = 0;
    while (count > 0 && (replica = cluster_replica_next(c, owner, &i)))
        if (replica_is_useful(c, replica))
            slots_node(c, r, replica);
}

void cluster_reply_slots(const struct cluster *c, struct cluster_reply *r)
{
    size_t ranges = 0;
    for (unsigned slot = 0; slot < SLOTS; slot++)
        ranges += c->slots[slot] && (slot == 0 || c->slots[slot] != c->slots[slot - 1]);
    cluster_reply_array(r, ranges);
    for (unsigned first = 0, slot = 1; slot <= SLOTS; slot++) {
        if (slot < SLOTS && c->slots[slot] == c->slots[first])
            continue;
        if (c->slots[first])
            slots_range(c, r, cluster_slot_node(c, first), first, slot - 1);
        first = slot;
    }
}

/* ---- SHARDS ---- */

static const char *shard_endpoint(const struct cluster *c, const struct cluster_node *n)
{
    if (c->config.endpoint == CLUSTER_ENDPOINT_IP)
        return n->ip;
    if (c->config.endpoint == CLUSTER_ENDPOINT_HOSTNAME)
        return n->hostname ? n->hostname : "?";
    return "";
}

static void shards_node(const struct cluster *c, struct cluster_reply *r,
                        const struct cluster_node *n)
{
    bool named = *hostname_of(n), replica = !node_is_primary(n);
    uint64_t offset = node_offset(c, n);
    cluster_reply_map(r, 6u + (n->port != 0) + named);
    cluster_reply_word(r, "id");
    cluster_reply_word(r, n->id);
    if (n->port) {
        cluster_reply_word(r, "port");
        cluster_reply_integer(r, n->port);
    }
    cluster_reply_word(r, "ip");
    cluster_reply_word(r, n->ip);
    cluster_reply_word(r, "endpoint");
    cluster_reply_word(r, shard_endpoint(c, n));
    if (named) {
        cluster_reply_word(r, "hostname");
        cluster_reply_word(r, n->hostname);
    }
    cluster_reply_word(r, "role");
    cluster_reply_word(r, replica ? "replica" : "master");
    cluster_reply_word(r, "replication-offset");
    cluster_reply_integer(r, (int64_t)offset);
    cluster_reply_word(r, "health");
    cluster_reply_word(r, node_has(n, BUS_NODE_FAIL) ? "fail"
                  : (replica && offset == 0) ? "loading"
                                             : "online");
}

static void shards_slots(const struct cluster *c, struct cluster_reply *r,
                         const struct cluster_node *n)
{
    size_t ranges = 0;
    for (unsigned slot = 0; n->slot_count > 0 && slot < SLOTS; slot++)
        ranges += c->slots[slot] == n->handle && (slot == 0 || c->slots[slot - 1] != n->handle);
    cluster_reply_array(r, 2 * ranges);
    for (unsigned slot = 0; ranges > 0 && slot < SLOTS; slot++) {
        if (c->slots[slot] != n->handle)
            continue;
        if (slot == 0 || c->slots[slot - 1] != n->handle)
            cluster_reply_integer(r, slot);
        if (slot == SLOTS - 1 || c->slots[slot + 1] != n->handle)
            cluster_reply_integer(r, slot);
    }
}

void cluster_reply_shards(const struct cluster *c, struct cluster_reply *r)
{
    size_t shards = 0;
    for (uint32_t i = 0; i < c->node_count; i++)
        shards += node_is_primary(c->nodes[i]) != 0;
    cluster_reply_array(r, shards);
    for (uint32_t i = 0; i < c->node_count; i++) {
        const struct cluster_node *n = c->nodes[i], *replica;
        if (!node_is_primary(n))
            continue;
        uint32_t at = 0;
        cluster_reply_map(r, 2);
        cluster_reply_word(r, "slots");
        shards_slots(c, r, n);
        cluster_reply_word(r, "nodes");
        cluster_reply_array(r, 1 + (size_t)n->replica_count);
        shards_node(c, r, n);
        while (n->replica_count > 0 && (replica = cluster_replica_next(c, n, &at)))
            shards_node(c, r, replica);
    }
}

/* ---- LINKS ---- */

static void links_one(const struct cluster *c, struct cluster_reply *r,
                      const struct cluster_link *link)
{
    uint64_t allocated = 0, used = 0;
    if (c->env.link_buffer)
        c->env.link_buffer(c->env.ctx, link->id, &allocated, &used);
    cluster_reply_map(r, 6);
    cluster_reply_word(r, "direction");
    cluster_reply_word(r, link->id & CLUSTER_LINK_INBOUND ? "from" : "to");
    cluster_reply_word(r, "node");
    cluster_reply_word(r, link->node->id);
    cluster_reply_word(r, "create-time");
    cluster_reply_integer(r, (int64_t)link->created_wall_ms);
    cluster_reply_word(r, "events");
    cluster_reply_word(r, used > 0 ? "rw" : "r");
    cluster_reply_word(r, "send-buffer-allocated");
    cluster_reply_integer(r, (int64_t)allocated);
    cluster_reply_word(r, "send-buffer-used");
    cluster_reply_integer(r, (int64_t)used);
}

void cluster_reply_links(const struct cluster *c, struct cluster_reply *r)
{
    size_t count = 0;
    for (uint32_t i = 0; i < c->link_count; i++)
        count += c->links[i]->node != NULL;
    cluster_reply_array(r, count);
    for (uint32_t i = 0; i < c->link_count; i++)
        if (c->links[i]->node)
            links_one(c, r, c->links[i]);
}

void cluster_reply_send(struct cluster *c, const struct cluster_admin *admin,
                        struct cluster_reply *r)
{
    struct cluster_action *action = cluster_emit(c, CLUSTER_ACTION_REPLY);
    action->reply.id = admin->id;
    action->reply.text = r->text.data;
    action->reply.len = r->text.len;
}
