/* A model of a stock Redis Cluster node, version 7.0.15, written from the facts of the protocol and
 * independent of our own state machine: simplified, but it speaks real frames. It takes the events
 * and gives the actions of cluster.h. What it persists is durable at once, before what it sends in
 * the same step, as a stock node's one thread does it.
 *
 * Not modelled: replica migration, hostnames, modules, publish, RESET. */
#pragma once
#include "cluster.h"
#include "nodes_conf.h"

struct stock;

/* saved NULL: a new node. */
struct stock *stock_new(const struct cluster_config *config, const struct nodes_conf *saved,
                        uint64_t seed);
void stock_free(struct stock *s);
void stock_step(struct stock *s, const struct cluster_event *event,
                struct cluster_actions *actions);
uint64_t stock_next_us(const struct stock *s);

const char *stock_self_id(const struct stock *s);
bool stock_is_primary(const struct stock *s);
bool stock_state_ok(const struct stock *s);
/* It would execute a write to this slot now. */
bool stock_serves(const struct stock *s, unsigned slot);
uint64_t stock_current_epoch(const struct stock *s);
uint64_t stock_config_epoch(const struct stock *s);
uint32_t stock_node_count(const struct stock *s);
const char *stock_slot_owner(const struct stock *s, unsigned slot);
const char *stock_primary_id(const struct stock *s);
bool stock_peer_get(const struct stock *s, const char *id, struct cluster_peer *peer);
void stock_validate(const struct stock *s);
