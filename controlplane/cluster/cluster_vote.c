/* Votes. A primary with slots gives one vote per epoch, durable before it is told, to a replica
 * whose primary is FAIL and whose claims are not older than what is known. Redis 7.0's rules and
 * their order, but for four that are stricter: no vote where it could not be told at once; none by
 * a primary that may have lost its slots unheard, since its successor votes too; none to a replica
 * that shows another primary than we know; none to one without data while a sibling has some. */
#include <string.h>
#include "cluster_state.h"

#define VOTE_PAUSE 2 /* node timeouts between two votes for replicas of one primary */
#define START_US (2 * SECOND)

/* We have just started, stood still, or were in a minority until now. */
static bool may_be_succeeded(const struct cluster *c)
{
    return c->stalled || c->first_us == 0 || c->now_us - c->first_us < START_US ||
           (c->minority_us != 0 && c->now_us - c->minority_us < cluster_rejoin_us(c));
}

/* A sibling of the candidate lives and has data, which the candidate has not. */
static bool sibling_has_data(const struct cluster *c, const struct cluster_node *candidate)
{
    uint32_t i = 0;
    const struct cluster_node *n;
    while ((n = cluster_replica_next(c, candidate->primary, &i)))
        if (n != candidate && n->offset > 0 &&
            !node_has(n, BUS_NODE_FAIL | BUS_NODE_PFAIL | BUS_NODE_NOFAILOVER))
            return true;
    return false;
}

/* NULL: none of the claimed slots has an owner with a newer epoch. */
static const struct cluster_node *newer_owner(const struct cluster *c, const struct bus_header *h)
{
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (!bus_slot_get(h->slots, slot))
            continue;
        const struct cluster_node *owner = cluster_slot_node(c, slot);
        if (owner && owner->config_epoch > h->config_epoch)
            return owner;
    }
    return NULL;
}

/* Why not; NULL: it gets the vote. */
static const char *vote_obstacle(const struct cluster *c, const struct cluster_node *sender,
                                 const struct bus_header *h)
{
    const struct cluster_node *primary = sender->primary;
    bool forced = h->mflags & BUS_MFLAG_FORCEACK;
    if (h->current_epoch < c->current_epoch)
        return "its epoch is older than ours";
    if (c->last_vote_epoch >= c->current_epoch)
        return "already voted in this epoch";
    if (may_be_succeeded(c))
        return "we may have a successor that we have not heard of";
    if (node_is_primary(sender))
        return "it is a master";
    if (!primary || !h->replica_of || memcmp(primary->id, h->replica_of, BUS_NAME_SIZE) != 0)
        return "its master is not known";
    if (!node_has(primary, BUS_NODE_FAIL) && !forced)
        return "its master is up";
    if (primary->election.voted_us != 0 &&
        c->now_us - primary->election.voted_us < VOTE_PAUSE * cluster_timeout_us(c))
        return "voted for a replica of its master not long ago";
    if (h->offset == 0 && !forced && sibling_has_data(c, sender))
        return "it has no data, another replica has";
    return NULL;
}

static void vote_send(struct cluster *c, const struct cluster_node *candidate)
{
    struct election_vote *vote = &c->election.vote;
    vote->link = candidate->link->id;
    cluster_send_durable(c, vote->link, vote->frame, vote->ticket);
}

static void vote_give(struct cluster *c, struct cluster_node *sender)
{
    struct election_vote *vote = &c->election.vote;
    c->last_vote_epoch = c->current_epoch;
    sender->primary->election.voted_us = c->now_us;
    c->counts.votes_given++;
    if (vote->frame)
        cluster_frame_put(vote->frame);
    vote->frame = cluster_build_plain(c, BUS_AUTH_ACK, 0);
    vote->epoch = c->current_epoch;
    vote->ticket = cluster_persist_now(c);
    memcpy(vote->candidate, sender->id, sizeof(vote->candidate));
    vote_send(c, sender);
    cluster_log(c, LOG_LEVEL_WARNING, "Failover auth granted to %s for epoch %llu", sender->id,
                (unsigned long long)vote->epoch);
}

/* The candidate asks again for the vote that it has: the frame or its link was lost. */
static bool vote_repeat(struct cluster *c, const struct cluster_node *sender,
                        const struct bus_header *h)
{
    const struct election_vote *vote = &c->election.vote;
    if (!vote->frame || vote->epoch != h->current_epoch ||
        memcmp(vote->candidate, sender->id, BUS_NAME_SIZE) != 0)
        return false;
    bool held =
        vote->ticket > c->ticket_durable && vote->link == sender->link->id && c->held_count > 0;
    if (!held)
        vote_send(c, sender);
    return true;
}

void election_on_auth_request(struct cluster *c, struct cluster_node *sender,
                              const struct bus_message *m)
{
    const struct bus_header *h = &m->header;
    election_rival_note(c, sender, h);
    if (!node_votes(c->self) || !c->shown.primary || !sender->link || !sender->link->up)
        return;
    manual_on_auth_request(c, sender);
    if (vote_repeat(c, sender, h))
        return;
    const char *obstacle = vote_obstacle(c, sender, h);
    if (!obstacle) {
        const struct cluster_node *owner = newer_owner(c, h);
        if (!owner) {
            vote_give(c, sender);
            return;
        }
        obstacle = "it claims slots by an older epoch than their owner's";
        /* Its primary may have told only us of its last epoch: the next request can have it. */
        if (owner != c->self) {
            struct cluster_frame *frame = cluster_build_update(c, owner);
            cluster_send(c, sender->link->id, frame);
            cluster_frame_put(frame);
        }
    }
    cluster_log(c, LOG_LEVEL_VERBOSE, "Failover auth denied to %s for epoch %llu: %s", sender->id,
                (unsigned long long)h->current_epoch, obstacle);
}
