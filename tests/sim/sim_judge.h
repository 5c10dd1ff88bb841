/* What the judge remembers; shared by the files of sim_check.h. */
#pragma once
#include "sim.h"
#include "sim_check.h"
#include "sim_data.h"
#include "sim_probe.h"

#define JUDGE_IMAGES 16
#define JUDGE_STALLS 32
#define JUDGE_ACKS 16

/* What a file says of its own node. */
struct judge_image {
    uint64_t config_epoch;
    bool primary;
    char primary_id[BUS_NAME_SIZE];
    uint8_t slots[BUS_SLOTS_SIZE];
};

struct judge_vote {
    uint64_t epoch;
    unsigned candidate;
};

struct judge_acks {
    uint64_t epoch;
    uint32_t voters;
};

struct judge_node {
    /* durable, newest at (image_count - 1) % JUDGE_IMAGES */
    struct judge_image images[JUDGE_IMAGES];
    uint64_t image_count, disk_generation;
    /* shown: what the last header said, and the image that it came from */
    struct judge_image shown;
    uint64_t shown_image;
    bool has_shown;
    uint64_t used_epoch, voted_epoch; /* in a vote, request or claim; in a vote */
    struct judge_vote *votes;
    size_t vote_count, vote_size;
    struct judge_acks acks[JUDGE_ACKS];
    uint64_t ack_count;
    uint64_t elected_epoch; /* the last that it was voted for */
    uint64_t requested_epoch;
    uint64_t heard_us[SIM_FAULTY_MAX];     /* the last frame of each other node */
    uint64_t known_us[SIM_FAULTY_MAX];     /* and of those, what the state was told */
    uint64_t fail_told_us[SIM_FAULTY_MAX]; /* FAIL about it arrived */
    uint64_t reported_us[SIM_FAULTY_MAX][SIM_FAULTY_MAX]; /* [subject][by] */
    uint32_t suspected;                                   /* bits: PFAIL in its PONG */
    struct {
        uint64_t from_us, to_us;
    } stalls[JUDGE_STALLS];
    uint64_t stall_count;
    bool primary, known_role;
    unsigned following; /* index of its primary; SIM_FAULTY_MAX: nobody */
    uint64_t epoch;     /* currentEpoch after the last step of this life */
    bool paused;
    uint64_t paused_offset;
    int16_t owners[SIM_FAULTY_MAX]; /* of each shard, as its views have it; -1 */
    uint64_t owner_epochs[SIM_FAULTY_MAX];
};

struct judge_claim {
    uint64_t epoch;
    unsigned node;
    uint32_t shards; /* bits: whose client slots it claims */
    bool elected;    /* it was voted for */
};

struct sim_check {
    struct judge_node *nodes;
    unsigned count;
    uint32_t contested;
    struct judge_claim *claims;
    size_t claim_count, claim_size;
};

static inline struct judge_node *judge_of(const struct sim_node *node)
{
    return &node->sim->check->nodes[node->index];
}

/* ---- sim_judge.c ---- */
void judge_shown(struct sim_node *node, const struct judge_image *image);
void judge_suspects(struct sim_node *node, const struct bus_message *m);
/* Nothing was heard of it for half a node timeout. */
bool judge_is_silent(const struct sim_node *node, unsigned subject);
/* Primaries with slots in the node's own table, half of them and one. */
unsigned judge_quorum(const struct sim_node *node);
