/* nodes.conf: what a node remembers of its cluster, in Redis's own format, so that a node can be
 * exchanged for a stock one and back: the lines of CLUSTER NODES, then
 * "vars currentEpoch N lastVoteEpoch N". Pure: text in, structure out, and back.
 *
 * Ours adds what stock nodes read over, since they skip variables that they do not know (and say so
 * in their log): lines "vars shard-id:<node> <shard>" before the last, where the rest of the file
 * comes from 7.0 (7.2 writes ",shard-id=" behind the hostname, which 7.0 would take for a part of
 * it), and in the last line "checksum <16 hex digits>", XXH64 over everything before the digits. A
 * file with a checksum is refused after any change; a stock file has none, and only what no stock
 * node writes is refused.
 *
 * Strict where stock nodes are not: what they would ignore or round may be a damaged file, and a
 * node that starts with less than it had promised breaks its votes. Nothing is repaired.
 *
 * Limits: NODES_CONF_SIZE_MAX bytes, NODES_CONF_NODES_MAX nodes. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "bus_wire.h"
#include "slice.h"

#define NODES_CONF_SIZE_MAX (64u << 20)
#define NODES_CONF_NODES_MAX 4096

/* A slot on its way: "[slot->-id]" leaves to id, "[slot-<-id]" comes from it. */
struct nodes_conf_move {
    uint16_t slot;
    bool importing;
    char id[BUS_NAME_SIZE + 1];
};

/* One line. Texts are NUL-terminated, empty: none. */
struct nodes_conf_node {
    char id[BUS_NAME_SIZE + 1];
    char ip[BUS_IP_SIZE]; /* empty: not known */
    uint16_t port, cport;
    char hostname[BUS_EXT_TEXT_MAX + 1];
    char shard_id[BUS_NAME_SIZE + 1];
    char human_name[BUS_EXT_TEXT_MAX + 1]; /* 7.2's nodename= */
    uint16_t flags;                        /* enum bus_node_flags: those that have a word */
    char primary[BUS_NAME_SIZE + 1];
    uint64_t ping_sent_ms, pong_received_ms; /* wall clock */
    uint64_t config_epoch; /* as the line says: a replica's is its primary's, not its own */
    bool connected;
    const uint8_t *slots;                /* BUS_SLOTS_SIZE; NULL: none */
    const struct nodes_conf_move *moves; /* of ourselves; ascending slots */
    uint32_t move_count;
};

struct nodes_conf {
    struct nodes_conf_node *nodes; /* in the file's order; what they point at is freed with them */
    uint32_t node_count, myself;   /* index */
    uint64_t current_epoch, last_vote_epoch;
    bool has_checksum;
    bool has_aux; /* shard ids and names were in the lines, as 7.2 writes them */
};

/* ---- reading ---- */

#define NODES_CONF_ERROR_SIZE 256

/* NULL: refused, err says "line 3: slot 16384 is out of range" or the like. */
struct nodes_conf *nodes_conf_parse(struct slice text, char err[NODES_CONF_ERROR_SIZE]);
void nodes_conf_free(struct nodes_conf *conf);

/* ---- writing ---- */

/* Text that grows. Start with {0}; the text is malloc's (NULL while len is 0), not
 * NUL-terminated. */
struct nodes_text {
    char *data;
    size_t len, size;
};

/* One line with its newline, as CLUSTER NODES shows it; aux: as 7.2 writes it to its file. */
void nodes_conf_print_node(struct nodes_text *out, const struct nodes_conf_node *node, bool aux);
/* What follows the nodes' lines when they were printed without aux: the shard of one of them (none:
 * nothing is printed). */
void nodes_conf_print_shard(struct nodes_text *out, const struct nodes_conf_node *node);
/* The last line; out holds the whole file before it. */
void nodes_conf_print_vars(struct nodes_text *out, uint64_t current_epoch, uint64_t last_vote_epoch,
                           bool checksum);
/* All of it, in the form that it was read in: the text that was parsed, but for blank lines,
 * variables unknown to us, and numbers and ranges that no node writes so. */
void nodes_conf_print(struct nodes_text *out, const struct nodes_conf *conf);
