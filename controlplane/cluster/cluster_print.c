#include "cluster_print.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRINT_MAX 512
#define CHAIN_MAX 16

void cluster_print(struct nodes_text *text, const char *format, ...)
{
    if (text->size - text->len < PRINT_MAX) {
        text->size = text->size ? text->size * 2 : 2 * PRINT_MAX;
        text->data = realloc(text->data, text->size);
        CHECK(text->data);
    }
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text->data + text->len, PRINT_MAX, format, args);
    va_end(args);
    CHECK(len >= 0 && len < PRINT_MAX);
    text->len += (size_t)len;
}

/* Every node's slots in one pass over the table: place[handle] counts from 1 in bits. */
struct slot_sets {
    uint16_t *place;
    uint8_t *bits;
};

static struct slot_sets slot_sets_make(const struct cluster *c)
{
    struct slot_sets sets;
    size_t owners = 0;
    sets.place = calloc(c->handle_size, sizeof(*sets.place));
    CHECK(sets.place);
    for (uint32_t i = 0; i < c->node_count; i++)
        if (c->nodes[i]->slot_count > 0)
            sets.place[c->nodes[i]->handle] = (uint16_t)++owners;
    sets.bits = calloc(owners + 1, BUS_SLOTS_SIZE);
    CHECK(sets.bits);
    for (unsigned slot = 0; slot < SLOTS; slot++)
        if (c->slots[slot])
            bus_slot_set(sets.bits + (size_t)sets.place[c->slots[slot]] * BUS_SLOTS_SIZE, slot,
                         true);
    return sets;
}

static void slot_sets_free(struct slot_sets *sets)
{
    free(sets->place);
    free(sets->bits);
}

static uint64_t wall_ms(const struct cluster *c, uint64_t at_us)
{
    if (at_us == 0)
        return 0;
    uint64_t ago_ms = (c->now_us - at_us) / MS;
    return ago_ms > c->wall_ms ? 0 : c->wall_ms - ago_ms;
}

/* Our own moves, malloc; NULL: none. */
static struct nodes_conf_move *moves_make(const struct cluster *c, uint32_t *count)
{
    *count = 0;
    if (c->moving_count == 0)
        return NULL;
    struct nodes_conf_move *moves = calloc(c->moving_count, sizeof(*moves));
    CHECK(moves);
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        const struct cluster_node *to = cluster_slot_migrating(c, slot);
        const struct cluster_node *from = cluster_slot_importing(c, slot);
        if (!to && !from)
            continue;
        struct nodes_conf_move *move = &moves[(*count)++];
        CHECK(*count <= c->moving_count);
        move->slot = (uint16_t)slot;
        move->importing = !to;
        memcpy(move->id, to ? to->id : from->id, sizeof(move->id));
    }
    return moves;
}

/* A replica may not have told its new primary's shard yet, so its primary's is taken, at the top of
 * a chain of replicas; where they go round in a ring for a moment, that of the smallest id in it.
 */
static const struct cluster_node *shard_of(const struct cluster_node *n)
{
    for (unsigned i = 0; i < CHAIN_MAX; i++) {
        if (!n->primary)
            return n;
        n = n->primary;
    }
    const struct cluster_node *first = n;
    for (unsigned i = 0; i < CHAIN_MAX; i++) {
        n = n->primary;
        if (memcmp(n->id, first->id, BUS_NAME_SIZE) < 0)
            first = n;
    }
    return first;
}

static void line_fill(const struct cluster *c, const struct cluster_node *n,
                      const struct slot_sets *sets, struct nodes_conf_node *line)
{
    memset(line, 0, sizeof(*line));
    memcpy(line->id, n->id, sizeof(line->id));
    memcpy(line->ip, n->ip, sizeof(line->ip));
    line->port = n->port;
    line->cport = n->cport;
    if (n->hostname)
        snprintf(line->hostname, sizeof(line->hostname), "%s", n->hostname);
    memcpy(line->shard_id, shard_of(n)->shard_id, sizeof(line->shard_id));
    line->flags = n->flags;
    if (n->primary)
        memcpy(line->primary, n->primary->id, sizeof(line->primary));
    line->ping_sent_ms = wall_ms(c, n->ping_sent_us);
    line->pong_received_ms = wall_ms(c, n->pong_received_us);
    line->config_epoch = n->primary ? n->primary->config_epoch : n->config_epoch;
    line->connected = n == c->self || (n->link && n->link->up);
    if (n->slot_count > 0)
        line->slots = sets->bits + (size_t)sets->place[n->handle] * BUS_SLOTS_SIZE;
}

static void line_print(const struct cluster *c, const struct cluster_node *n,
                       const struct slot_sets *sets, struct nodes_text *text)
{
    struct nodes_conf_node line;
    struct nodes_conf_move *moves = NULL;
    line_fill(c, n, sets, &line);
    if (n == c->self)
        line.moves = moves = moves_make(c, &line.move_count);
    nodes_conf_print_node(text, &line, false);
    free(moves);
}

void cluster_print_nodes(const struct cluster *c, struct nodes_text *text)
{
    struct slot_sets sets = slot_sets_make(c);
    for (uint32_t i = 0; i < c->node_count; i++)
        line_print(c, c->nodes[i], &sets, text);
    slot_sets_free(&sets);
}

void cluster_print_replicas(const struct cluster *c, const struct cluster_node *primary,
                            void (*line)(void *ctx, struct slice text), void *ctx)
{
    struct slot_sets sets = slot_sets_make(c);
    const struct cluster_node *n;
    uint32_t i = 0;
    while ((n = cluster_replica_next(c, primary, &i))) {
        struct nodes_text text = {0};
        line_print(c, n, &sets, &text);
        line(ctx, slice_from(text.data, text.len - 1));
        free(text.data);
    }
    slot_sets_free(&sets);
}

void cluster_print_file(const struct cluster *c, struct nodes_text *text)
{
    struct slot_sets sets = slot_sets_make(c);
    struct nodes_conf_node line;
    for (uint32_t i = 0; i < c->node_count; i++)
        if (!node_has(c->nodes[i], BUS_NODE_HANDSHAKE))
            line_print(c, c->nodes[i], &sets, text);
    for (uint32_t i = 0; i < c->node_count; i++) {
        if (node_has(c->nodes[i], BUS_NODE_HANDSHAKE))
            continue;
        line_fill(c, c->nodes[i], &sets, &line);
        nodes_conf_print_shard(text, &line);
    }
    nodes_conf_print_vars(text, election_saved_epoch(c), c->last_vote_epoch, true);
    slot_sets_free(&sets);
}

struct slot_counts {
    unsigned assigned, ok, pfail, fail;
};

static struct slot_counts slot_counts_make(const struct cluster *c)
{
    struct slot_counts counts = {0};
    for (uint32_t i = 0; i < c->node_count; i++) {
        const struct cluster_node *n = c->nodes[i];
        counts.assigned += n->slot_count;
        if (node_has(n, BUS_NODE_FAIL))
            counts.fail += n->slot_count;
        else if (node_has(n, BUS_NODE_PFAIL))
            counts.pfail += n->slot_count;
        else
            counts.ok += n->slot_count;
    }
    return counts;
}

static void messages_print(struct nodes_text *text, const uint64_t *counts, const char *direction)
{
    uint64_t total = 0;
    for (unsigned type = 0; type < BUS_TYPE_COUNT; type++) {
        total += counts[type];
        if (counts[type] > 0)
            cluster_print(text, "cluster_stats_messages_%s_%s:%llu\r\n", bus_type_text(type),
                          direction, (unsigned long long)counts[type]);
    }
    cluster_print(text, "cluster_stats_messages_%s:%llu\r\n", direction, (unsigned long long)total);
}

void cluster_print_info(const struct cluster *c, struct nodes_text *text)
{
    struct slot_counts slots = slot_counts_make(c);
    cluster_print(text,
                  "cluster_state:%s\r\n"
                  "cluster_slots_assigned:%u\r\n"
                  "cluster_slots_ok:%u\r\n"
                  "cluster_slots_pfail:%u\r\n"
                  "cluster_slots_fail:%u\r\n"
                  "cluster_known_nodes:%u\r\n"
                  "cluster_size:%u\r\n"
                  "cluster_current_epoch:%llu\r\n"
                  "cluster_my_epoch:%llu\r\n",
                  c->ok ? "ok" : "fail", slots.assigned, slots.ok, slots.pfail, slots.fail,
                  c->node_count, cluster_size(c), (unsigned long long)c->current_epoch,
                  (unsigned long long)cluster_config_epoch(c));
    messages_print(text, c->counts.sent, "sent");
    messages_print(text, c->counts.received, "received");
    cluster_print(text, "total_cluster_links_buffer_limit_exceeded:0\r\n");
}
