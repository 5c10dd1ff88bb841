#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "check.h"
#include "nodes_conf_words.h"

#define PIECE_SIZE 512 /* what one text_add() adds at most */

__attribute__((format(printf, 2, 3))) static void text_add(struct nodes_text *out,
                                                           const char *format, ...)
{
    if (out->size - out->len < PIECE_SIZE) {
        out->size = out->size * 2 + PIECE_SIZE;
        out->data = realloc(out->data, out->size);
        CHECK(out->data);
    }
    va_list args;
    va_start(args, format);
    int len = vsnprintf(out->data + out->len, PIECE_SIZE, format, args);
    va_end(args);
    CHECK(len >= 0 && len < PIECE_SIZE);
    out->len += (size_t)len;
}

static void print_address(struct nodes_text *out, const struct nodes_conf_node *node, bool aux)
{
    bool has_aux = aux && (node->shard_id[0] != '\0' || node->human_name[0] != '\0');
    text_add(out, "%s:%u@%u", node->ip, node->port, node->cport);
    if (node->hostname[0] != '\0' || has_aux)
        text_add(out, ",%s", node->hostname);
    if (has_aux && node->human_name[0] != '\0')
        text_add(out, ",nodename=%s", node->human_name);
    if (has_aux && node->shard_id[0] != '\0')
        text_add(out, ",shard-id=%s", node->shard_id);
}

static void print_flags(struct nodes_text *out, uint16_t flags)
{
    const char *before = " ";
    for (size_t i = 0; i < count_of(nodes_conf_flags); i++) {
        if (!(flags & nodes_conf_flags[i].flag))
            continue;
        text_add(out, "%s%s", before, nodes_conf_flags[i].word);
        before = ",";
    }
    if (*before == ' ')
        text_add(out, " " NODES_CONF_NO_FLAGS);
}

static void print_slots(struct nodes_text *out, const uint8_t *slots)
{
    unsigned slot = 0;
    while (slot < BUS_SLOTS) {
        if (!bus_slot_get(slots, slot)) {
            slot += slots[slot / 8] == 0 ? 8 - slot % 8 : 1;
            continue;
        }
        unsigned first = slot;
        while (slot < BUS_SLOTS && bus_slot_get(slots, slot))
            slot++;
        if (slot - first > 1)
            text_add(out, " %u-%u", first, slot - 1);
        else
            text_add(out, " %u", first);
    }
}

void nodes_conf_print_node(struct nodes_text *out, const struct nodes_conf_node *node, bool aux)
{
    text_add(out, "%s ", node->id);
    print_address(out, node, aux);
    print_flags(out, node->flags);
    text_add(out, " %s %" PRIu64 " %" PRIu64 " %" PRIu64 " %s",
             node->primary[0] != '\0' ? node->primary : "-", node->ping_sent_ms,
             node->pong_received_ms, node->config_epoch,
             node->connected ? "connected" : "disconnected");
    if (node->slots)
        print_slots(out, node->slots);
    for (uint32_t i = 0; i < node->move_count; i++) {
        const struct nodes_conf_move *move = &node->moves[i];
        text_add(out, " [%u-%c-%s]", move->slot, move->importing ? '<' : '>', move->id);
    }
    text_add(out, "\n");
}

void nodes_conf_print_shard(struct nodes_text *out, const struct nodes_conf_node *node)
{
    if (node->shard_id[0] != '\0')
        text_add(out, "vars " NODES_CONF_SHARD_VAR "%s %s\n", node->id, node->shard_id);
}

uint64_t nodes_conf_checksum(struct slice text)
{
    return XXH64(text.data, text.len, 0);
}

void nodes_conf_print_vars(struct nodes_text *out, uint64_t current_epoch, uint64_t last_vote_epoch,
                           bool checksum)
{
    text_add(out, "vars currentEpoch %" PRIu64 " lastVoteEpoch %" PRIu64, current_epoch,
             last_vote_epoch);
    if (checksum) {
        text_add(out, " checksum ");
        uint64_t sum = nodes_conf_checksum(slice_from(out->data, out->len));
        text_add(out, "%0*" PRIx64, NODES_CONF_CHECKSUM_DIGITS, sum);
    }
    text_add(out, "\n");
}

void nodes_conf_print(struct nodes_text *out, const struct nodes_conf *conf)
{
    for (uint32_t i = 0; i < conf->node_count; i++)
        nodes_conf_print_node(out, &conf->nodes[i], conf->has_aux);
    for (uint32_t i = 0; i < conf->node_count && !conf->has_aux; i++)
        nodes_conf_print_shard(out, &conf->nodes[i]);
    nodes_conf_print_vars(out, conf->current_epoch, conf->last_vote_epoch, conf->has_checksum);
}
