/* What the nodes hold, as far as it matters here: each shard's writes are a chain, a node's data is
 * a prefix of one; a replica follows its primary with a lag, goes on where it was when its data is
 * a prefix of the primary's, and synchronises in full when not. Clients write to slots that are
 * never moved between shards and remember what was acknowledged.
 *
 * Data survives a crash (an append-only file); so a write can only be lost by a failover. */
#pragma once
#include "sim.h"

#define SIM_MOVED_SLOTS 16 /* at each shard's end: those that are moved, and not written to */
#define SIM_OFFSET_FIRST 1000
#define SIM_WRITE_BYTES 64

struct sim_write {
    struct sim_write *parent;
    uint32_t depth, held_by; /* by nodes, a bit each: at the end */
    uint16_t slot, node;
    uint64_t at_us;
    bool unopposed; /* nobody within reach knew of another owner for longer than a moment */
};

struct sim_data *sim_data_new(struct sim *sim);
void sim_data_free(struct sim_data *data);

/* The shard's slots: first to last, those of clients before client_end. */
unsigned sim_shard_first(const struct sim *sim, unsigned shard);
unsigned sim_shard_client_end(const struct sim *sim, unsigned shard);
/* -1: the slot is one of those that move. */
int sim_slot_shard(const struct sim *sim, unsigned slot);

void sim_data_client(struct sim *sim);
void sim_data_item(struct sim_node *node, const struct sim_item *item);
/* Empty: nobody. */
void sim_data_follow(struct sim_node *node, const char *id);
void sim_data_delete(struct sim_node *node, unsigned slot);
void sim_data_flush(struct sim_node *node);
void sim_data_started(struct sim_node *node);
void sim_data_stopped(struct sim_node *node, bool silent);
/* It took over this shard. */
void sim_data_promoted(struct sim_node *node, unsigned shard);
/* All is quiet: every acknowledged write is there, or a failover may have lost it. */
void sim_data_final(struct sim *sim);
uint64_t sim_data_writes(const struct sim *sim);
