/* The candidate: a replica whose primary is FAIL, or whose operator said so. Votes count by voter:
 * ACKs of distinct primaries with slots whose header has exactly the election's epoch.
 *
 * When: at once if every sibling that works has told its offset since the primary went down and
 * none has a better claim; see start_time(). What stock nodes do by chance (500 to 1000 ms of
 * delay), is done here by order: greater offsets first, then smaller ids; and of several failed
 * primaries the one with the smallest id first, for a voter has one vote in each epoch. */
#include <string.h>
#include "cluster_state.h"

#define OFFSETS_WAIT_US (500 * MS)
#define RANK_US SECOND          /* per sibling with a greater offset */
#define TIE_US (100 * MS)       /* per sibling with the same offset and a smaller id */
#define SHARD_US (100 * MS)     /* per other failed primary with a smaller id */
#define SHARD_LOOK_US (10 * MS) /* whether those ahead have done */
#define SIBLING_ASKS_US SECOND  /* a sibling that asked first has so much time to win */
#define REPEAT_US (200 * MS)
#define TIMEOUT_SHORTEST_US (2 * SECOND)
#define TIMEOUTS 2 /* node timeouts to get the votes in */
#define RETRY_SPREAD_US (500 * MS)

/* ---- the epoch of the next election ---- */

void election_epoch_reserve(struct cluster *c)
{
    struct election *e = &c->election;
    if (e->reserved_epoch > c->current_epoch)
        return;
    e->reserved_epoch = c->current_epoch + 1;
    e->reserved_ticket = cluster_persist_now(c);
}

static bool epoch_is_durable(const struct cluster *c)
{
    const struct election *e = &c->election;
    return e->reserved_epoch > c->current_epoch && e->reserved_ticket <= c->ticket_durable;
}

uint64_t election_saved_epoch(const struct cluster *c)
{
    uint64_t reserved = c->election.reserved_epoch;
    return reserved > c->current_epoch ? reserved : c->current_epoch;
}

/* ---- whether, and when ---- */

/* How long ago the data was up to date, less the time that a failure takes to be seen. */
static bool data_is_old(const struct cluster *c)
{
    const struct cluster_config *config = &c->config;
    uint64_t timeout_us = cluster_timeout_us(c);
    uint64_t contact_us = c->replication.contact_us;
    uint64_t age_us = c->now_us > contact_us ? c->now_us - contact_us : 0;
    uint64_t most_us =
        config->repl_ping_period_s * SECOND + timeout_us * config->replica_validity_factor;
    return config->replica_validity_factor != 0 && age_us > timeout_us &&
           age_us - timeout_us > most_us;
}

/* Why this node cannot be elected in its primary's place; NULL: it can. */
static const char *obstacle(const struct cluster *c)
{
    const struct cluster_node *primary = c->self->primary;
    if (primary->slot_count == 0)
        return "its master has no slots";
    if (c->config.replica_no_failover)
        return "replica-no-failover is set";
    if (!c->replication.synced)
        return "it never completed a synchronisation with its master";
    if (data_is_old(c))
        return "it was disconnected from its master for longer than "
               "cluster-replica-validity-factor allows";
    return NULL;
}

static bool stands(struct cluster *c)
{
    const char *now = obstacle(c);
    if (now && now != c->election.obstacle)
        cluster_log(c, LOG_LEVEL_WARNING, "Currently unable to failover: %s", now);
    c->election.obstacle = now;
    return !now;
}

static void siblings_ping(struct cluster *c)
{
    uint32_t i = 0;
    struct cluster_node *n;
    while ((n = cluster_replica_next(c, c->self->primary, &i)))
        if (n != c->self && n->offset_us < c->election.down_us)
            cluster_ping(c, n, 0);
}

static bool siblings_have_told(const struct cluster *c)
{
    uint32_t i = 0;
    const struct cluster_node *n;
    while ((n = cluster_replica_next(c, c->self->primary, &i)))
        if (n != c->self && !node_has(n, BUS_NODE_FAIL | BUS_NODE_PFAIL) &&
            n->offset_us < c->election.down_us)
            return false;
    return true;
}

struct rank {
    unsigned ahead, ties, shards;
};

static struct rank rank_of(struct cluster *c)
{
    const struct cluster_node *primary = c->self->primary;
    struct rank rank = {0, 0, 0};
    replicas_count(c);
    for (uint32_t i = 0; i < c->node_count; i++) {
        const struct cluster_node *n = c->nodes[i];
        bool smaller = memcmp(n->id, c->self->id, BUS_NAME_SIZE) < 0;
        if (n->primary == primary && n != c->self &&
            !node_has(n, BUS_NODE_FAIL | BUS_NODE_NOFAILOVER)) {
            rank.ahead += n->offset > c->replication.offset;
            rank.ties += n->offset == c->replication.offset && smaller;
        }
        rank.shards += node_votes(n) && node_has(n, BUS_NODE_FAIL | BUS_NODE_PFAIL) &&
                       n->election.working_replicas > 0 &&
                       memcmp(n->id, primary->id, BUS_NAME_SIZE) < 0;
    }
    return rank;
}

/* Of the earliest AUTH_REQUEST, as things are now; UINT64_MAX: when siblings have told. */
static uint64_t start_time(struct cluster *c, struct rank *rank)
{
    struct election *e = &c->election;
    *rank = (struct rank){0, 0, 0};
    if (e->ready_us == 0) {
        if (!siblings_have_told(c) && c->now_us < e->waiting_us + OFFSETS_WAIT_US)
            return e->waiting_us + OFFSETS_WAIT_US;
        e->ready_us = c->now_us;
    }
    *rank = rank_of(c);
    uint64_t start_us =
        e->ready_us + rank->ahead * RANK_US + rank->ties * TIE_US + rank->shards * SHARD_US;
    if (e->sibling_us != 0 && start_us < e->sibling_us + SIBLING_ASKS_US)
        start_us = e->sibling_us + SIBLING_ASKS_US;
    return start_us;
}

/* ---- asking ---- */

static uint64_t attempt_us(const struct cluster *c)
{
    uint64_t us = TIMEOUTS * cluster_timeout_us(c);
    return us > TIMEOUT_SHORTEST_US ? us : TIMEOUT_SHORTEST_US;
}

void election_abandon(struct cluster *c)
{
    struct election *e = &c->election;
    if (e->request)
        cluster_frame_put(e->request);
    e->request = NULL;
    e->state = ELECTION_IDLE;
    e->forced = e->rival = false;
    e->ready_us = e->sibling_us = e->start_us = 0;
}

/* Our own PING to the primary is unanswered: we may tell that it is FAIL. Otherwise it may have
 * recovered, and would be failed again. */
static bool primary_is_silent(const struct cluster *c)
{
    const struct cluster_node *n = c->self->primary;
    if (!node_has(n, BUS_NODE_FAIL) || n->ping_sent_us == 0)
        return false;
    uint64_t life_us =
        n->ping_sent_us > n->data_received_us ? n->ping_sent_us : n->data_received_us;
    return c->now_us - life_us > cluster_timeout_us(c) / 2;
}

/* On each link FAIL first: a voter that has not heard of it would refuse. */
static void ask(struct cluster *c, const struct cluster_node *n, struct cluster_frame *fail)
{
    if (fail)
        cluster_send(c, n->link->id, fail);
    cluster_send(c, n->link->id, c->election.request);
}

static bool can_ask(const struct cluster *c, const struct cluster_node *n)
{
    if (n == c->self || !n->link || !n->link->up || node_has(n, BUS_NODE_HANDSHAKE))
        return false;
    return c->election.forced || n != c->self->primary;
}

static bool owes_vote(const struct cluster *c, const struct cluster_node *n)
{
    return node_votes(n) && n->election.acked_epoch != c->election.epoch;
}

/* all: those without a vote too, as the first time; they learn the epoch. */
static void ask_round(struct cluster *c, bool all)
{
    struct cluster_frame *fail =
        primary_is_silent(c) ? cluster_build_fail(c, c->self->primary) : NULL;
    for (uint32_t i = 0; i < c->node_count; i++) {
        const struct cluster_node *n = c->nodes[i];
        if (can_ask(c, n) && (all || (owes_vote(c, n) && !node_has(n, BUS_NODE_FAIL))))
            ask(c, n, fail);
    }
    if (fail)
        cluster_frame_put(fail);
    c->election.repeat_us = c->now_us + REPEAT_US;
}

static void election_begin(struct cluster *c, bool forced)
{
    struct election *e = &c->election;
    CHECK(epoch_is_durable(c));
    e->state = ELECTION_ASKING;
    e->forced = forced;
    e->rival = false;
    e->epoch = ++c->current_epoch;
    e->claim_epoch = c->self->primary->config_epoch;
    e->asked_us = c->now_us;
    e->request = cluster_build_plain(c, BUS_AUTH_REQUEST, forced ? BUS_MFLAG_FORCEACK : 0);
    c->pong_want = CLUSTER_WANT_NOW;
    c->counts.elections_started++;
    cluster_log(c, LOG_LEVEL_WARNING, "Starting a failover election for epoch %llu.",
                (unsigned long long)e->epoch);
    ask_round(c, true);
}

/* What can still come in this election. */
struct votes {
    uint32_t given, owed, hopeless; /* hopeless: the voter has gone on to a later epoch */
};

static struct votes votes_count(const struct cluster *c)
{
    struct votes votes = {0, 0, 0};
    for (uint32_t i = 0; i < c->node_count; i++) {
        const struct cluster_node *n = c->nodes[i];
        if (!node_votes(n) || n == c->self)
            continue;
        if (!owes_vote(c, n))
            votes.given++;
        else if (!can_ask(c, n) || node_has(n, BUS_NODE_FAIL))
            continue;
        else if (n->election.epoch > c->election.epoch)
            votes.hopeless++;
        else
            votes.owed++;
    }
    return votes;
}

/* Somebody was elected in this epoch, or in a later one. */
static bool epoch_is_taken(const struct cluster *c)
{
    for (uint32_t i = 0; i < c->node_count; i++)
        if (c->nodes[i]->config_epoch >= c->election.epoch)
            return true;
    return false;
}

/* This election cannot be won any more, but another one could, by those who have not voted in it:
 * the others would refuse us for two node timeouts. */
static bool another_is_better(const struct cluster *c)
{
    const struct election *e = &c->election;
    struct votes votes = votes_count(c);
    uint32_t quorum = cluster_quorum(c);
    bool lost = e->rival || epoch_is_taken(c) || votes.given + votes.owed < quorum ||
                e->claim_epoch != c->self->primary->config_epoch;
    return lost && votes.owed + votes.hopeless >= quorum;
}

static void election_win(struct cluster *c)
{
    uint64_t epoch = c->election.epoch;
    c->counts.elections_won++;
    cluster_log(c, LOG_LEVEL_WARNING, "Failover election won: I'm the new master.");
    cluster_log(c, LOG_LEVEL_WARNING, "configEpoch set to %llu after successful failover",
                (unsigned long long)epoch);
    /* As a primary it could vote for another in the epoch that is its own. */
    if (c->last_vote_epoch < epoch)
        c->last_vote_epoch = epoch;
    cluster_self_win(c, epoch);
}

/* Another attempt, in an epoch of its own. */
static void election_again(struct cluster *c, uint64_t delay_us)
{
    struct election *e = &c->election;
    bool forced = e->forced;
    election_abandon(c);
    election_epoch_reserve(c);
    if (forced)
        return; /* MANUAL_READY begins it */
    e->state = ELECTION_WAITING;
    e->waiting_us = c->now_us;
    e->ready_us = c->now_us + delay_us;
}

static void asking_advance(struct cluster *c)
{
    struct election *e = &c->election;
    const struct cluster_node *primary = c->self->primary;
    if (!e->forced && !node_has(primary, BUS_NODE_FAIL)) {
        cluster_log(c, LOG_LEVEL_NOTICE, "The master is back: the election ends.");
        election_abandon(c);
        return;
    }
    if (votes_count(c).given >= cluster_quorum(c)) {
        election_win(c);
        return;
    }
    if (!e->forced && c->now_us >= e->asked_us + attempt_us(c)) {
        cluster_log(c, LOG_LEVEL_WARNING, "Failover attempt expired.");
        election_again(c, rng_below(&c->rng, RETRY_SPREAD_US));
        return;
    }
    if (c->now_us < e->repeat_us)
        return;
    if (another_is_better(c))
        election_again(c, 0);
    else
        ask_round(c, false);
}

/* Others must see us as a replica of this primary before they can vote for us. */
static bool role_is_shown(const struct cluster *c)
{
    return !c->shown.primary &&
           memcmp(c->shown.primary_id, c->self->primary->id, BUS_NAME_SIZE) == 0;
}

static void waiting_advance(struct cluster *c)
{
    struct election *e = &c->election;
    struct rank rank;
    if (!stands(c)) {
        e->start_us = 0;
        return;
    }
    election_epoch_reserve(c);
    uint64_t start_us = start_time(c, &rank);
    if (start_us > c->now_us && start_us != e->start_us)
        cluster_log(c, LOG_LEVEL_WARNING,
                    "Start of election delayed for %llu milliseconds (rank #%u, offset %llu).",
                    (unsigned long long)((start_us - c->now_us) / MS), rank.ahead + rank.ties,
                    (unsigned long long)c->replication.offset);
    e->start_us = start_us;
    if (rank.shards > 0 && start_us > c->now_us + SHARD_LOOK_US)
        e->start_us = c->now_us + SHARD_LOOK_US;
    if (start_us <= c->now_us && epoch_is_durable(c) && role_is_shown(c))
        election_begin(c, false);
}

/* The primary's failure, from the first doubt on. */
static void failure_advance(struct cluster *c)
{
    struct election *e = &c->election;
    const struct cluster_node *primary = c->self->primary;
    if (!node_has(primary, BUS_NODE_PFAIL | BUS_NODE_FAIL)) {
        election_abandon(c);
        e->down_us = 0;
        e->obstacle = NULL;
        return;
    }
    if (e->down_us == 0) {
        e->down_us = c->now_us;
        if (!stands(c))
            return;
        election_epoch_reserve(c);
        siblings_ping(c);
    }
    if (!node_has(primary, BUS_NODE_FAIL)) {
        election_abandon(c);
        return;
    }
    if (e->state == ELECTION_IDLE) {
        e->state = ELECTION_WAITING;
        e->waiting_us = c->now_us;
        siblings_ping(c);
    }
    waiting_advance(c);
}

void election_advance(struct cluster *c)
{
    struct election *e = &c->election;
    if (!c->self->primary)
        return;
    manual_catch_up(c);
    if (e->manual == MANUAL_READY && !e->forced) {
        election_abandon(c);
        election_epoch_reserve(c);
        if (epoch_is_durable(c) && role_is_shown(c) && c->self->primary->slot_count > 0)
            election_begin(c, true);
    }
    if (e->state == ELECTION_ASKING)
        asking_advance(c);
    else if (e->manual != MANUAL_READY)
        failure_advance(c);
}

/* ---- what the core calls ---- */

void election_init(struct cluster *c)
{
    c->election.reserved_epoch = c->current_epoch;
}

void election_fini(struct cluster *c)
{
    struct election *e = &c->election;
    if (e->request)
        cluster_frame_put(e->request);
    if (e->vote.frame)
        cluster_frame_put(e->vote.frame);
    memset(e, 0, sizeof(*e));
}

void election_tick(struct cluster *c)
{
    manual_tick(c);
    election_advance(c);
    migration_tick(c);
}

uint64_t election_next_us(const struct cluster *c)
{
    const struct election *e = &c->election;
    uint64_t next_us = manual_next_us(c);
    if (e->state == ELECTION_WAITING && e->start_us > c->now_us && e->start_us < next_us)
        next_us = e->start_us;
    if (e->state == ELECTION_ASKING && e->repeat_us < next_us)
        next_us = e->repeat_us;
    return next_us;
}

void election_on_header(struct cluster *c, struct cluster_node *sender, const struct bus_message *m)
{
    const struct election *e = &c->election;
    sender->election.epoch = m->header.current_epoch;
    manual_on_header(c, sender, &m->header);
    if (e->state == ELECTION_WAITING && e->ready_us == 0 && sender->primary == c->self->primary)
        election_advance(c);
}

void election_on_auth_ack(struct cluster *c, struct cluster_node *sender,
                          const struct bus_message *m)
{
    struct election *e = &c->election;
    if (e->state != ELECTION_ASKING || m->header.current_epoch != e->epoch || !node_votes(sender))
        return;
    sender->election.acked_epoch = e->epoch;
    election_advance(c);
}

void election_rival_note(struct cluster *c, const struct cluster_node *sender,
                         const struct bus_header *h)
{
    struct election *e = &c->election;
    if (e->state == ELECTION_ASKING && h->current_epoch == e->epoch)
        e->rival = true;
    if (e->state == ELECTION_WAITING && sender->primary == c->self->primary &&
        h->offset >= c->replication.offset)
        e->sibling_us = c->now_us;
}

void election_on_suspected(struct cluster *c, struct cluster_node *node)
{
    if (node == c->self->primary)
        election_advance(c);
}

void election_on_failed(struct cluster *c, struct cluster_node *node)
{
    if (node == c->self->primary)
        election_advance(c);
}

void election_on_linked(struct cluster *c, struct cluster_node *node)
{
    const struct election *e = &c->election;
    manual_on_linked(c, node);
    if (e->state != ELECTION_ASKING || !can_ask(c, node) || !owes_vote(c, node))
        return;
    struct cluster_frame *fail =
        primary_is_silent(c) ? cluster_build_fail(c, c->self->primary) : NULL;
    ask(c, node, fail);
    if (fail)
        cluster_frame_put(fail);
}

void election_on_gone(struct cluster *c, struct cluster_node *node)
{
    manual_on_gone(c, node);
    if (node == c->self->primary) {
        election_abandon(c);
        c->election.down_us = 0;
    }
}

void election_on_role(struct cluster *c)
{
    manual_on_role(c);
    election_abandon(c);
    c->election.down_us = 0;
    c->election.obstacle = NULL;
}

void election_on_shown(struct cluster *c)
{
    election_advance(c);
}

void election_on_settled(struct cluster *c)
{
    manual_on_settled(c);
}

void election_on_persisted(struct cluster *c, uint64_t ticket, bool ok)
{
    (void)ticket;
    if (ok)
        election_advance(c);
}

void election_on_replication(struct cluster *c)
{
    if (c->election.manual == MANUAL_CATCHING)
        election_advance(c);
}

void election_reset(struct cluster *c)
{
    struct election *e = &c->election;
    election_on_role(c);
    if (e->vote.frame)
        cluster_frame_put(e->vote.frame);
    memset(&e->vote, 0, sizeof(e->vote));
    e->reserved_epoch = e->reserved_ticket = 0;
}

void election_validate(const struct cluster *c)
{
    const struct election *e = &c->election;
    bool asking = e->state == ELECTION_ASKING;
    CHECK(!node_is_primary(c->self) || (e->state == ELECTION_IDLE && e->manual == MANUAL_NONE));
    CHECK(c->self->primary || e->state == ELECTION_IDLE);
    CHECK(asking == (e->request != NULL));
    CHECK(!asking || e->epoch <= c->current_epoch);
    CHECK(!asking || bus_load64(e->request->bytes + BUS_AT_CURRENT_EPOCH) == e->epoch);
    CHECK(!e->forced || (asking && e->manual == MANUAL_READY));
    CHECK(!c->paused_shown || e->pause == PAUSE_STOPPED);
    CHECK(!e->vote.frame || e->vote.epoch <= c->last_vote_epoch);
}
