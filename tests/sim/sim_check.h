/* The judge: what must hold at every moment, looked at after every step, whoever the nodes are. It
 * sees frames on the wire, files on the disk, views of lcores, and the questions that cluster.h
 * answers; not the inside of a state. Each check names the invariant that it is about. */
#pragma once
#include "sim.h"

struct sim_check *sim_check_new(struct sim *sim);
void sim_check_free(struct sim_check *check);

void sim_check_started(struct sim_node *node);
void sim_check_stopped(struct sim_node *node);
void sim_check_thawed(struct sim_node *node);
/* A frame leaves. */
void sim_check_sent(struct sim_node *node, cluster_link_id link, struct slice frame);
/* A frame arrives, before the node knows of it. */
void sim_check_received(struct sim_node *node, cluster_link_id link, const struct bus_message *m);
void sim_check_pong(struct sim_node *node, const struct cluster_pong *pong);
void sim_check_view(struct sim_node *node, const struct cluster_view *view);
void sim_check_durable(struct sim_node *node);
void sim_check_stepped(struct sim_node *node, const struct cluster_event *event);
void sim_check_unpaused(struct sim_node *node);
/* A write is about to be executed. */
void sim_check_write(struct sim_node *node, unsigned slot);
/* Everything that takes longer. */
void sim_check_full(struct sim *sim);

/* Shards (bits) that were claimed twice in one epoch, which the protocol cannot exclude: once by an
 * election, and once by an epoch that nobody was asked for (BUMPEPOCH, an import, a collision), the
 * smaller id wins then, whoever it is; or taken by TAKEOVER. */
uint32_t sim_check_contested(const struct sim *sim);
/* For how long at most a primary serves that hears no majority. */
uint64_t sim_check_minority_us(const struct sim_node *node);
