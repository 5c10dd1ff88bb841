/* Frames and files: what a node shows is durable, votes are single, FAIL has a quorum. */
#include "sim_check.h"
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "sim_judge.h"
#include "stock_model.h"

#define REPORT_VALIDITY 2 /* node timeouts */

static const struct bus_limits limits = {BUS_FRAME_MAX, BUS_PUBLISH_MAX, false};

struct sim_check *sim_check_new(struct sim *sim)
{
    struct sim_check *check = calloc(1, sizeof(*check));
    CHECK(check);
    if (sim->options.unchecked)
        return check;
    CHECK(sim->count <= SIM_FAULTY_MAX);
    check->nodes = calloc(sim->count, sizeof(*check->nodes));
    CHECK(check->nodes);
    check->count = sim->count;
    for (unsigned i = 0; i < sim->count; i++)
        for (unsigned shard = 0; shard < SIM_FAULTY_MAX; shard++)
            check->nodes[i].owners[shard] = -1;
    return check;
}

void sim_check_free(struct sim_check *check)
{
    if (!check)
        return;
    for (unsigned i = 0; check->nodes && i < check->count; i++)
        free(check->nodes[i].votes);
    free(check->nodes);
    free(check->claims);
    free(check);
}

/* ---- files ---- */

/* Invariants 2, 4, 11: the name stays, and what was promised is in the file. */
void sim_check_durable(struct sim_node *node)
{
    struct sim *sim = node->sim;
    const struct nodes_conf *conf = node->disk.conf;
    if (sim->options.unchecked || !conf)
        return;
    struct judge_node *j = judge_of(node);
    if (j->disk_generation == node->disk.generation)
        return;
    j->disk_generation = node->disk.generation;
    const struct nodes_conf_node *self = &conf->nodes[conf->myself];
    if (node->id[0] && memcmp(self->id, node->id, BUS_NAME_SIZE) != 0)
        sim_fail(sim, "(11) the file of node %u has another id", node->index);
    if (conf->current_epoch < j->used_epoch)
        sim_fail(sim, "(4) the file of node %u has epoch %llu, but it has used %llu", node->index,
                 (unsigned long long)conf->current_epoch, (unsigned long long)j->used_epoch);
    if (conf->last_vote_epoch < j->voted_epoch)
        sim_fail(sim, "(2) the file of node %u has forgotten its vote in epoch %llu", node->index,
                 (unsigned long long)j->voted_epoch);
    struct judge_image image;
    memset(&image, 0, sizeof(image));
    image.primary = !self->primary[0] && !(self->flags & BUS_NODE_SLAVE);
    if (image.primary)
        image.config_epoch = self->config_epoch;
    memcpy(image.primary_id, self->primary, BUS_NAME_SIZE);
    if (self->slots)
        memcpy(image.slots, self->slots, BUS_SLOTS_SIZE);
    const struct judge_image *last =
        j->image_count ? &j->images[(j->image_count - 1) % JUDGE_IMAGES] : NULL;
    if (!last || memcmp(last, &image, sizeof(image)) != 0)
        j->images[j->image_count++ % JUDGE_IMAGES] = image;
}

void sim_check_started(struct sim_node *node)
{
    struct sim *sim = node->sim;
    if (sim->options.unchecked)
        return;
    struct judge_node *j = judge_of(node);
    sim_check_durable(node);
    j->epoch = 0;
    j->known_role = false;
    j->suspected = 0;
    j->paused = false;
    j->stall_count = 0;
    j->has_shown = false;
    /* What a crash left is what counts from now on. */
    j->shown_image = j->image_count ? j->image_count - 1 : 0;
    memset(j->reported_us, 0, sizeof(j->reported_us));
    memset(j->fail_told_us, 0, sizeof(j->fail_told_us));
    for (unsigned i = 0; i < sim->count; i++)
        j->heard_us[i] = j->known_us[i] = sim->now_us;
    for (unsigned shard = 0; shard < SIM_FAULTY_MAX; shard++)
        j->owners[shard] = -1;
}

void sim_check_stopped(struct sim_node *node)
{
}

/* ---- what is shown ---- */

static void image_of(const struct bus_header *h, struct judge_image *image)
{
    memset(image, 0, sizeof(*image));
    image->primary = !h->replica_of;
    if (h->replica_of) {
        memcpy(image->primary_id, h->replica_of, BUS_NAME_SIZE);
        return;
    }
    image->config_epoch = h->config_epoch;
    memcpy(image->slots, h->slots, BUS_SLOTS_SIZE);
}

static bool image_matches(const struct judge_image *image, const struct bus_header *h)
{
    if (image->primary != !h->replica_of)
        return false;
    if (h->replica_of)
        return memcmp(image->primary_id, h->replica_of, BUS_NAME_SIZE) == 0;
    return image->config_epoch == h->config_epoch &&
           memcmp(image->slots, h->slots, BUS_SLOTS_SIZE) == 0;
}

/* Rule 23: no header shows own state that is not durable, and what is shown never goes back. */
static void check_shown(struct sim_node *node, const struct bus_header *h)
{
    struct judge_node *j = judge_of(node);
    if (j->has_shown && image_matches(&j->shown, h))
        return;
    uint64_t first = j->image_count > JUDGE_IMAGES ? j->image_count - JUDGE_IMAGES : 0;
    if (j->shown_image > first && bus_type_is_ping(h->type))
        first = j->shown_image;
    for (uint64_t i = first; i < j->image_count; i++) {
        if (!image_matches(&j->images[i % JUDGE_IMAGES], h))
            continue;
        if (!bus_type_is_ping(h->type))
            return; /* an AUTH frame may be older than what has been shown since */
        struct judge_image image;
        image_of(h, &image);
        judge_shown(node, &image);
        j->shown_image = i;
        return;
    }
    sim_fail(
        node->sim, "(23) node %u shows a role (%s), epoch (%llu) or slots that are not durable",
        node->index, h->replica_of ? "replica" : "primary", (unsigned long long)h->config_epoch);
}

/* Rule 5: the offset under PAUSED is final. */
static void check_paused(struct sim_node *node, const struct bus_header *h)
{
    struct judge_node *j = judge_of(node);
    /* An AUTH frame is as old as its decision. */
    if (!(h->mflags & BUS_MFLAG_PAUSED) || !bus_type_is_ping(h->type))
        return;
    if (j->paused && h->offset != j->paused_offset)
        sim_fail(node->sim, "(23) node %u shows offset %llu under PAUSED after %llu", node->index,
                 (unsigned long long)h->offset, (unsigned long long)j->paused_offset);
    if (!node->is_stock && h->offset != node->replica.offset)
        sim_fail(node->sim, "(23) node %u shows PAUSED with offset %llu, its log ends at %llu",
                 node->index, (unsigned long long)h->offset,
                 (unsigned long long)node->replica.offset);
    if (!j->paused)
        sim_text(node->sim, node, "shows PAUSED at offset %llu", (unsigned long long)h->offset);
    j->paused = true;
    j->paused_offset = h->offset;
    sim_probe(node->sim, PROBE_PAUSED_SHOWN);
}

void sim_check_unpaused(struct sim_node *node)
{
    if (!node->sim->options.unchecked)
        judge_of(node)->paused = false;
}

/* ---- votes ---- */

/* Invariant 2: one vote per epoch, for ever, and durable before it leaves. */
static void check_vote(struct sim_node *node, cluster_link_id link, uint64_t epoch)
{
    struct sim *sim = node->sim;
    struct judge_node *j = judge_of(node);
    const struct sim_node *candidate = sim_net_peer(node, link);
    if (!node->disk.conf || node->disk.conf->last_vote_epoch < epoch)
        sim_fail(sim, "(2) the vote of node %u in epoch %llu leaves before it is durable",
                 node->index, (unsigned long long)epoch);
    sim_probe(sim, node->is_stock ? PROBE_VOTE_STOCK : PROBE_VOTE_OURS);
    if (!node->is_stock && node->event_kind == CLUSTER_EVENT_PERSISTED)
        sim_probe(sim, PROBE_VOTE_DELAYED);
    if (!candidate)
        return;
    for (size_t i = 0; i < j->vote_count; i++)
        if (j->votes[i].epoch == epoch && j->votes[i].candidate != candidate->index)
            sim_fail(sim, "(2) node %u votes for %u in epoch %llu, and voted for %u", node->index,
                     candidate->index, (unsigned long long)epoch, j->votes[i].candidate);
    if (j->vote_count == j->vote_size) {
        j->vote_size = j->vote_size ? j->vote_size * 2 : 8;
        j->votes = realloc(j->votes, j->vote_size * sizeof(*j->votes));
        CHECK(j->votes);
    }
    j->votes[j->vote_count++] = (struct judge_vote){epoch, candidate->index};
    j->voted_epoch = epoch > j->voted_epoch ? epoch : j->voted_epoch;
    j->used_epoch = epoch > j->used_epoch ? epoch : j->used_epoch;
}

/* Invariant 5: the own epoch is durable before anyone is asked for a vote. */
static void check_request(struct sim_node *node, uint64_t epoch)
{
    struct judge_node *j = judge_of(node);
    if (!node->disk.conf || node->disk.conf->current_epoch < epoch)
        sim_fail(node->sim, "(5) node %u asks for votes in epoch %llu before it is durable",
                 node->index, (unsigned long long)epoch);
    j->used_epoch = epoch > j->used_epoch ? epoch : j->used_epoch;
    sim_probe(node->sim, PROBE_ELECTION);
    if (j->requested_epoch != 0 && epoch > j->requested_epoch &&
        j->elected_epoch != j->requested_epoch)
        sim_probe(node->sim, PROBE_ELECTION_LOST);
    j->requested_epoch = epoch;
}

/* Invariant 7: FAIL on a majority's reports younger than two timeouts, or heard from another. */
static void check_fail(struct sim_node *node, const uint8_t *name)
{
    struct sim *sim = node->sim;
    const struct judge_node *j = judge_of(node);
    const struct sim_node *subject = sim_node_by_id(sim, name);
    sim_probe(sim, PROBE_FAIL);
    if (!subject || j->fail_told_us[subject->index] != 0)
        return;
    /* A candidate tells it together with its request, while the subject is silent (rule 11). */
    if (j->following == subject->index && judge_is_silent(node, subject->index))
        return;
    uint64_t valid_us = sim_timeout_us(sim) * REPORT_VALIDITY, now_us = node->event_us;
    unsigned count = sim_node_is_primary(node);
    for (unsigned by = 0; by < sim->count; by++) {
        uint64_t at_us = j->reported_us[subject->index][by];
        count += at_us != 0 && now_us <= at_us + valid_us;
    }
    if (count < judge_quorum(node))
        sim_fail(sim, "(7) node %u declares %u failed on the word of %u of %u", node->index,
                 subject->index, count, judge_quorum(node));
}

void sim_check_sent(struct sim_node *node, cluster_link_id link, struct slice frame)
{
    struct sim *sim = node->sim;
    struct bus_message m;
    enum bus_reason why;
    if (sim->options.unchecked)
        return;
    if (bus_decode(frame, &limits, &m, &why) != BUS_OK)
        sim_fail(sim, "node %u says what is not valid: %s", node->index, bus_reason_text(why));
    const struct bus_header *h = &m.header;
    if (memcmp(h->sender, node->id, BUS_NAME_SIZE) != 0)
        sim_fail(sim, "(11) node %u uses another name", node->index);
    check_shown(node, h);
    check_paused(node, h);
    if (!h->replica_of && h->current_epoch < h->config_epoch)
        sim_fail(sim, "(4) node %u shows epoch %llu below its own %llu", node->index,
                 (unsigned long long)h->current_epoch, (unsigned long long)h->config_epoch);
    if (h->type == BUS_AUTH_ACK)
        check_vote(node, link, h->current_epoch);
    else if (h->type == BUS_AUTH_REQUEST)
        check_request(node, h->current_epoch);
    else if (h->type == BUS_FAIL)
        check_fail(node, m.fail.name);
    else if (h->type == BUS_UPDATE)
        sim_probe(sim, PROBE_UPDATE);
    else if (node->is_stock)
        judge_suspects(node, &m);
}

/* Before what follows it is sent: the same as if it were sent now. */
void sim_check_pong(struct sim_node *node, const struct cluster_pong *pong)
{
    struct bus_message m;
    enum bus_reason why;
    if (node->sim->options.unchecked)
        return;
    CHECK(bus_decode(slice_from(pong->plain, pong->plain_len), &limits, &m, &why) == BUS_OK);
    check_shown(node, &m.header);
    judge_suspects(node, &m);
}

/* ---- what arrives ---- */

static void reports_take(struct sim *sim, struct judge_node *j, const struct sim_node *by,
                         const struct bus_message *m)
{
    const uint8_t *at = m->gossip.data;
    for (unsigned i = 0; i < m->gossip_count; i++, at += BUS_GOSSIP_SIZE) {
        unsigned flags = bus_load16(at + BUS_GOSSIP_FLAGS);
        if (!(flags & (BUS_NODE_PFAIL | BUS_NODE_FAIL)))
            continue; /* taken back: to have it a little longer is no harm */
        const struct sim_node *subject = sim_node_by_id(sim, at + BUS_GOSSIP_NAME);
        if (subject)
            j->reported_us[subject->index][by->index] = sim->now_us;
    }
}

static void ack_take(struct judge_node *j, const struct sim_node *by, uint64_t epoch)
{
    for (unsigned i = 0; i < JUDGE_ACKS; i++)
        if (j->acks[i].epoch == epoch) {
            j->acks[i].voters |= 1u << by->index;
            return;
        }
    j->acks[j->ack_count++ % JUDGE_ACKS] = (struct judge_acks){epoch, 1u << by->index};
}

void sim_check_received(struct sim_node *node, cluster_link_id link, const struct bus_message *m)
{
    struct sim *sim = node->sim;
    if (sim->options.unchecked)
        return;
    struct judge_node *j = judge_of(node);
    const struct sim_node *by = sim_node_by_id(sim, m->header.sender);
    if (!by)
        return;
    j->heard_us[by->index] = sim->now_us;
    if (m->header.type == BUS_AUTH_ACK) {
        ack_take(j, by, m->header.current_epoch);
    } else if (m->header.type == BUS_FAIL) {
        const struct sim_node *subject = sim_node_by_id(sim, m->fail.name);
        if (subject)
            j->fail_told_us[subject->index] = sim->now_us;
    } else if (bus_type_is_ping(m->header.type) && !m->header.replica_of) {
        reports_take(sim, j, by, m);
    }
}
