/* Manual failover. CLUSTER FAILOVER on a replica sends MFSTART; the primary stops its writes behind
 * a barrier, and only then shows PAUSED and its final offset, in PINGs on the link that MFSTART
 * came on; the replica waits until it has all of it and asks for votes with FORCEACK. FORCE asks at
 * once, TAKEOVER does not ask.
 *
 * The replica gives up after 5 s. The primary then goes on by itself, unless the replica has asked
 * for votes meanwhile: it may have won and not been heard yet, so the primary waits for it, but
 * 10 s at most. One that was failed over resumes its clients when every lcore knows the new owner.
 */
#include "cluster_state.h"

#define MANUAL_US (5 * SECOND)
#define PAUSE_LONGEST_US (10 * SECOND)
#define PAUSE_PING_US (100 * MS)

/* ---- the replica ---- */

enum failover { FAILOVER_USUAL, FAILOVER_FORCE, FAILOVER_TAKEOVER };

static void mfstart_send(struct cluster *c)
{
    const struct cluster_node *primary = c->self->primary;
    if (!primary || !primary->link)
        return;
    struct cluster_frame *frame = cluster_build_plain(c, BUS_MFSTART, 0);
    cluster_send(c, primary->link->id, frame);
    cluster_frame_put(frame);
}

static void manual_begin(struct cluster *c, enum manual_state state)
{
    c->election.manual = state;
    c->election.manual_end_us = c->now_us + MANUAL_US;
    election_epoch_reserve(c);
}

static void manual_end(struct cluster *c)
{
    c->election.manual = MANUAL_NONE;
    c->election.manual_offset = 0;
    if (c->election.forced)
        election_abandon(c);
}

static bool failover_mode(const struct cluster_admin *admin, enum failover *mode)
{
    *mode = FAILOVER_USUAL;
    if (admin->argc < 2)
        return true;
    if (slice_equal_word(admin->argv[1], "force"))
        *mode = FAILOVER_FORCE;
    else if (slice_equal_word(admin->argv[1], "takeover"))
        *mode = FAILOVER_TAKEOVER;
    return *mode != FAILOVER_USUAL;
}

/* Why not; NULL: it can begin. */
static const char *failover_obstacle(const struct cluster *c, enum failover mode)
{
    const struct cluster_node *primary = c->self->primary;
    if (node_is_primary(c->self))
        return "You should send CLUSTER FAILOVER to a replica";
    if (!primary)
        return "I'm a replica but my master is unknown to me";
    if (mode == FAILOVER_USUAL &&
        (node_has(primary, BUS_NODE_FAIL) || !primary->link || !primary->link->up))
        return "Master is down or failed, please use CLUSTER FAILOVER FORCE";
    if (mode != FAILOVER_TAKEOVER && !c->replication.synced)
        return "This replica has no data of its master yet, please use CLUSTER FAILOVER TAKEOVER";
    return NULL;
}

static void takeover(struct cluster *c)
{
    cluster_log(c, LOG_LEVEL_WARNING, "Taking over the master (user request).");
    c->current_epoch = cluster_epoch_max(c) + 1;
    cluster_self_promote(c, c->current_epoch);
}

void election_admin_failover(struct cluster *c, const struct cluster_admin *admin)
{
    enum failover mode;
    if (!failover_mode(admin, &mode)) {
        cluster_admin_error(c, admin, "syntax error");
        return;
    }
    const char *obstacle = failover_obstacle(c, mode);
    if (obstacle) {
        cluster_admin_error(c, admin, "%s", obstacle);
        return;
    }
    manual_end(c);
    if (mode == FAILOVER_TAKEOVER) {
        takeover(c);
        cluster_admin_ok_settled(c, admin);
        return;
    }
    if (mode == FAILOVER_FORCE) {
        cluster_log(c, LOG_LEVEL_WARNING, "Forced failover user request accepted.");
        manual_begin(c, MANUAL_READY);
        election_advance(c);
    } else {
        cluster_log(c, LOG_LEVEL_WARNING, "Manual failover user request accepted.");
        manual_begin(c, MANUAL_STOPPING);
        mfstart_send(c);
    }
    cluster_admin_ok(c, admin);
}

void manual_on_header(struct cluster *c, const struct cluster_node *sender,
                      const struct bus_header *h)
{
    struct election *e = &c->election;
    if ((e->manual != MANUAL_STOPPING && e->manual != MANUAL_CATCHING) ||
        sender != c->self->primary || !(h->mflags & BUS_MFLAG_PAUSED))
        return;
    if (e->manual == MANUAL_STOPPING)
        cluster_log(c, LOG_LEVEL_WARNING,
                    "Received replication offset for paused master manual failover: %llu",
                    (unsigned long long)h->offset);
    e->manual = MANUAL_CATCHING;
    e->manual_offset = h->offset;
    election_advance(c);
}

void manual_catch_up(struct cluster *c)
{
    struct election *e = &c->election;
    if (e->manual != MANUAL_CATCHING || !c->replication.synced ||
        c->replication.offset != e->manual_offset)
        return;
    e->manual = MANUAL_READY;
    cluster_log(c, LOG_LEVEL_WARNING,
                "All master replication stream processed, manual failover can start.");
}

void manual_on_linked(struct cluster *c, const struct cluster_node *node)
{
    if (c->election.manual == MANUAL_STOPPING && node == c->self->primary)
        mfstart_send(c);
}

/* ---- the primary ---- */

/* On the link that MFSTART came on, or on our own when that is gone. */
static void pause_ping(struct cluster *c)
{
    struct election *e = &c->election;
    const struct cluster_node *replica = e->pause_replica;
    e->pause_ping_us = c->now_us + PAUSE_PING_US;
    const struct cluster_link *link = cluster_link_find(c, e->pause_link);
    if (!link || !link->up)
        link = replica->link;
    if (!link)
        return;
    struct cluster_frame *frame = cluster_build_ping(c, BUS_PING, replica->extends, 0);
    cluster_send(c, link->id, frame);
    cluster_frame_put(frame);
}

/* PAUSED is shown no more; writes go on with unpause, or when the view of this step is settled. */
static void pause_end(struct cluster *c, bool unpause)
{
    struct election *e = &c->election;
    if (e->pause == PAUSE_NONE || e->pause == PAUSE_ENDING)
        return;
    e->pause_replica = NULL;
    c->pong_want = CLUSTER_WANT_NOW;
    c->paused_shown = false;
    e->pause = unpause ? PAUSE_NONE : PAUSE_ENDING;
    e->pause_version = c->view_version + 1;
    if (unpause)
        cluster_emit(c, CLUSTER_ACTION_UNPAUSE);
}

void election_on_mfstart(struct cluster *c, struct cluster_node *sender, cluster_link_id link)
{
    struct election *e = &c->election;
    if (!node_is_primary(c->self) || sender->primary != c->self || e->pause == PAUSE_ENDING) {
        c->counts.frames_refused++;
        return;
    }
    cluster_log(c, LOG_LEVEL_WARNING, "Manual failover requested by replica %s.", sender->id);
    if (e->pause == PAUSE_NONE) {
        cluster_emit(c, CLUSTER_ACTION_PAUSE);
        e->pause = PAUSE_STOPPING;
        e->pause_begin_us = c->now_us;
    }
    e->pause_replica = sender;
    e->pause_link = link;
    e->pause_end_us = c->now_us + MANUAL_US;
    if (e->pause_end_us > e->pause_begin_us + PAUSE_LONGEST_US)
        e->pause_end_us = e->pause_begin_us + PAUSE_LONGEST_US;
    if (e->pause == PAUSE_STOPPED)
        pause_ping(c);
}

void election_on_paused(struct cluster *c, uint64_t offset)
{
    struct election *e = &c->election;
    if (e->pause != PAUSE_STOPPING)
        return;
    e->pause = PAUSE_STOPPED;
    c->replication.offset = offset;
    c->self->offset = offset;
    c->paused_shown = true;
    c->pong_want = CLUSTER_WANT_NOW;
    pause_ping(c);
}

void manual_on_auth_request(struct cluster *c, const struct cluster_node *sender)
{
    struct election *e = &c->election;
    if (e->pause == PAUSE_STOPPED && sender == e->pause_replica)
        e->pause_end_us = e->pause_begin_us + PAUSE_LONGEST_US;
}

/* ---- both ---- */

void manual_on_gone(struct cluster *c, const struct cluster_node *node)
{
    if (node == c->self->primary)
        manual_end(c);
    if (node == c->election.pause_replica)
        pause_end(c, true);
}

void manual_on_role(struct cluster *c)
{
    manual_end(c);
    pause_end(c, false);
}

void manual_on_settled(struct cluster *c)
{
    struct election *e = &c->election;
    if (e->pause != PAUSE_ENDING || c->view_settled < e->pause_version)
        return;
    e->pause = PAUSE_NONE;
    cluster_emit(c, CLUSTER_ACTION_UNPAUSE);
}

void manual_tick(struct cluster *c)
{
    struct election *e = &c->election;
    bool pausing = e->pause == PAUSE_STOPPING || e->pause == PAUSE_STOPPED;
    if (e->manual != MANUAL_NONE && c->now_us >= e->manual_end_us) {
        cluster_log(c, LOG_LEVEL_WARNING, "Manual failover timed out.");
        manual_end(c);
    }
    if (pausing && c->now_us >= e->pause_end_us) {
        cluster_log(c, LOG_LEVEL_WARNING, "Manual failover timed out.");
        pause_end(c, true);
    }
    if (e->pause == PAUSE_STOPPED && c->now_us >= e->pause_ping_us)
        pause_ping(c);
}

uint64_t manual_next_us(const struct cluster *c)
{
    const struct election *e = &c->election;
    uint64_t next_us = UINT64_MAX;
    if (e->manual != MANUAL_NONE)
        next_us = e->manual_end_us;
    if ((e->pause == PAUSE_STOPPING || e->pause == PAUSE_STOPPED) && e->pause_end_us < next_us)
        next_us = e->pause_end_us;
    if (e->pause == PAUSE_STOPPED && e->pause_ping_us < next_us)
        next_us = e->pause_ping_us;
    return next_us;
}
