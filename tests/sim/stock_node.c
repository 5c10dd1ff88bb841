#include "stock_model.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "numbers.h"
#include "stock_state.h"

#define TICK_MS 100
#define START_DELAY_MS 2000
#define REJOIN_SHORTEST_MS 500
#define REJOIN_LONGEST_MS 5000
#define HANDSHAKE_SHORTEST_MS 1000
#define PING_CHOICE 5 /* once a second the one of so many that was heard longest ago */

/* ---- table ---- */

struct cluster_action *stock_emit(struct stock *s, enum cluster_action_kind kind)
{
    struct cluster_actions *out = s->out;
    if (out->count == out->size) {
        out->size = out->size ? out->size * 2 : 16;
        out->items = realloc(out->items, out->size * sizeof(*out->items));
        CHECK(out->items);
    }
    struct cluster_action *action = &out->items[out->count++];
    memset(action, 0, sizeof(*action));
    action->kind = kind;
    return action;
}

struct stock_peer *stock_find(const struct stock *s, const void *id)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (memcmp(s->nodes[i]->id, id, BUS_NAME_SIZE) == 0)
            return s->nodes[i];
    return NULL;
}

struct stock_peer *stock_peer_new(struct stock *s)
{
    if (s->count == STOCK_NODES_MAX)
        return NULL;
    struct stock_peer *n = calloc(1, sizeof(*n));
    CHECK(n);
    n->created_ms = s->now_ms;
    s->nodes[s->count++] = n;
    return n;
}

static void peer_free(struct stock *s, struct stock_peer *n)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        struct stock_peer *other = s->nodes[i];
        if (other == n)
            continue;
        if (other->primary == n)
            other->primary = NULL;
        s->nodes[kept++] = other;
    }
    s->count = kept;
    if (n->link)
        stock_emit(s, CLUSTER_ACTION_CLOSE)->open.link = n->link;
    free(n);
}

const struct stock_inbound *stock_inbound(const struct stock *s, cluster_link_id id)
{
    for (unsigned i = 0; i < STOCK_INBOUND_MAX; i++)
        if (s->inbound[i].id == id)
            return &s->inbound[i];
    return NULL;
}

uint32_t stock_size(const struct stock *s)
{
    uint32_t size = 0;
    for (uint32_t i = 0; i < s->count; i++)
        size += stock_votes(s->nodes[i]);
    return size;
}

void stock_set_unclaimed(struct stock *s, unsigned slot, bool on)
{
    if (bus_slot_get(s->unclaimed, slot) == on)
        return;
    bus_slot_set(s->unclaimed, slot, on);
    s->unclaimed_count += on ? 1 : UINT32_MAX;
}

void stock_set_slot(struct stock *s, unsigned slot, struct stock_peer *n)
{
    struct stock_peer *old = s->slots[slot];
    if (old) {
        old->slot_count--;
        bus_slot_set(old->slots, slot, false);
    }
    s->slots[slot] = n;
    if (n) {
        n->slot_count++;
        bus_slot_set(n->slots, slot, true);
    }
    stock_set_unclaimed(s, slot, false);
    if (n != s->self)
        s->migrating[slot] = NULL;
    s->save = s->update = true;
}

void stock_set_primary_role(struct stock_peer *n)
{
    n->primary = NULL;
    n->flags &= (uint16_t)~BUS_NODE_SLAVE;
    n->flags |= BUS_NODE_MASTER;
}

void stock_replicate(struct stock *s, struct stock_peer *primary)
{
    struct stock_peer *self = s->self;
    for (unsigned slot = 0; self->slot_count > 0 && slot < BUS_SLOTS; slot++)
        if (s->slots[slot] == self)
            stock_set_slot(s, slot, NULL);
    memset(s->importing, 0, sizeof(s->importing));
    memset(s->migrating, 0, sizeof(s->migrating));
    self->flags &= (uint16_t) ~(BUS_NODE_MASTER | BUS_NODE_MIGRATE_TO);
    self->flags |= BUS_NODE_SLAVE;
    self->primary = primary;
    stock_mf_reset(s);
    s->save = s->update = true;
}

/* ---- the file ---- */

static void save(struct stock *s)
{
    struct nodes_conf_node *lines = calloc(s->count, sizeof(*lines));
    CHECK(lines);
    struct nodes_conf conf = {
        .nodes = lines, .current_epoch = s->current_epoch, .last_vote_epoch = s->last_vote_epoch};
    for (uint32_t i = 0; i < s->count; i++) {
        const struct stock_peer *n = s->nodes[i];
        struct nodes_conf_node *line = &lines[conf.node_count];
        if (stock_has(n, BUS_NODE_HANDSHAKE))
            continue;
        memcpy(line->id, n->id, sizeof(line->id));
        memcpy(line->ip, n->ip, sizeof(line->ip));
        line->port = n->port;
        line->cport = n->cport;
        line->flags = n->flags;
        line->config_epoch = n->primary ? n->primary->config_epoch : n->config_epoch;
        if (n->primary)
            memcpy(line->primary, n->primary->id, sizeof(line->primary));
        line->connected = n->link_up || n == s->self;
        line->slots = n->slot_count > 0 ? n->slots : NULL;
        if (n == s->self)
            conf.myself = conf.node_count;
        conf.node_count++;
    }
    struct nodes_text text = {0};
    nodes_conf_print(&text, &conf);
    struct cluster_action *action = stock_emit(s, CLUSTER_ACTION_PERSIST);
    action->persist.ticket = ++s->ticket;
    action->persist.text = text.data;
    action->persist.len = text.len;
    free(lines);
}

static void load(struct stock *s, const struct nodes_conf *saved)
{
    for (uint32_t i = 0; i < saved->node_count; i++) {
        const struct nodes_conf_node *line = &saved->nodes[i];
        struct stock_peer *n = stock_peer_new(s);
        CHECK(n);
        memcpy(n->id, line->id, sizeof(n->id));
        memcpy(n->ip, line->ip, sizeof(n->ip));
        n->port = line->port;
        n->cport = line->cport;
        n->flags =
            line->flags & (BUS_NODE_MASTER | BUS_NODE_SLAVE | BUS_NODE_FAIL | BUS_NODE_NOADDR);
        n->config_epoch = line->flags & BUS_NODE_SLAVE ? 0 : line->config_epoch;
        for (unsigned slot = 0; line->slots && slot < BUS_SLOTS; slot++)
            if (bus_slot_get(line->slots, slot))
                stock_set_slot(s, slot, n);
        if (i == saved->myself)
            s->self = n;
    }
    for (uint32_t i = 0; i < saved->node_count; i++)
        if (saved->nodes[i].primary[0])
            s->nodes[i]->primary = stock_find(s, saved->nodes[i].primary);
    s->current_epoch = saved->current_epoch;
    s->last_vote_epoch = saved->last_vote_epoch;
}

struct stock *stock_new(const struct cluster_config *config, const struct nodes_conf *saved,
                        uint64_t seed)
{
    struct stock *s = calloc(1, sizeof(*s));
    CHECK(s);
    s->config = *config;
    rng_seed(&s->rng, seed);
    if (saved) {
        load(s, saved);
    } else {
        s->self = stock_peer_new(s);
        s->self->flags = BUS_NODE_MASTER;
        for (unsigned i = 0; i < BUS_NAME_SIZE; i++)
            s->self->id[i] = "0123456789abcdef"[rng_below(&s->rng, 16)];
    }
    s->self->flags |= BUS_NODE_MYSELF;
    memcpy(s->self->ip, config->ip, sizeof(s->self->ip));
    s->self->port = config->port;
    s->self->cport = config->cport;
    s->save = true;
    return s;
}

void stock_free(struct stock *s)
{
    for (uint32_t i = 0; s && i < s->count; i++)
        free(s->nodes[i]);
    free(s);
}

/* ---- cluster_state ---- */

static void state_update(struct stock *s)
{
    uint32_t size = 0, reachable = 0;
    bool ok = true, primary = stock_has(s->self, BUS_NODE_MASTER);
    uint64_t rejoin_ms = s->config.node_timeout_ms;
    s->update = false;
    if (primary && !s->ok && s->now_ms - s->start_ms < START_DELAY_MS) {
        s->update = true;
        return;
    }
    for (unsigned slot = 0; s->config.require_full_coverage && slot < BUS_SLOTS; slot++)
        if (!s->slots[slot] || stock_has(s->slots[slot], BUS_NODE_FAIL))
            ok = false;
    for (uint32_t i = 0; i < s->count; i++) {
        if (!stock_votes(s->nodes[i]))
            continue;
        size++;
        reachable += !stock_has(s->nodes[i], BUS_NODE_FAIL | BUS_NODE_PFAIL);
    }
    if (reachable < size / 2 + 1) {
        ok = false;
        s->minority_ms = s->now_ms;
    }
    if (rejoin_ms > REJOIN_LONGEST_MS)
        rejoin_ms = REJOIN_LONGEST_MS;
    if (rejoin_ms < REJOIN_SHORTEST_MS)
        rejoin_ms = REJOIN_SHORTEST_MS;
    if (ok && !s->ok && primary && s->minority_ms && s->now_ms - s->minority_ms < rejoin_ms)
        return;
    s->ok = ok;
}

/* ---- the timer ---- */

static void links_open(struct stock *s)
{
    uint64_t handshake_ms = s->config.node_timeout_ms;
    if (handshake_ms < HANDSHAKE_SHORTEST_MS)
        handshake_ms = HANDSHAKE_SHORTEST_MS;
    for (uint32_t i = 0; i < s->count; i++) {
        struct stock_peer *n = s->nodes[i];
        if (n == s->self || stock_has(n, BUS_NODE_NOADDR))
            continue;
        if (stock_has(n, BUS_NODE_HANDSHAKE) && s->now_ms - n->created_ms > handshake_ms) {
            peer_free(s, n);
            i--;
            continue;
        }
        if (n->link || !n->ip[0])
            continue;
        n->link = ++s->link_next;
        n->link_ms = s->now_ms;
        struct cluster_action *action = stock_emit(s, CLUSTER_ACTION_OPEN);
        action->open.link = n->link;
        memcpy(action->open.ip, n->ip, sizeof(n->ip));
        action->open.cport = n->cport;
    }
}

static void ping_oldest(struct stock *s)
{
    struct stock_peer *oldest = NULL;
    for (unsigned i = 0; i < PING_CHOICE; i++) {
        struct stock_peer *n = s->nodes[rng_below(&s->rng, s->count)];
        if (n == s->self || !n->link_up || n->ping_sent_ms || stock_has(n, BUS_NODE_HANDSHAKE))
            continue;
        if (!oldest || n->pong_ms < oldest->pong_ms)
            oldest = n;
    }
    if (oldest)
        stock_send_ping(s, oldest->link, oldest, BUS_PING);
}

static void node_tick(struct stock *s, struct stock_peer *n)
{
    uint64_t timeout_ms = s->config.node_timeout_ms, now_ms = s->now_ms;
    if (n->link && now_ms - n->link_ms > timeout_ms && n->ping_sent_ms &&
        now_ms - n->ping_sent_ms > timeout_ms / 2 && now_ms - n->data_ms > timeout_ms / 2) {
        stock_emit(s, CLUSTER_ACTION_CLOSE)->open.link = n->link;
        n->link = 0;
        n->link_up = false;
    }
    if (n->link_up && n->ping_sent_ms == 0 && now_ms - n->pong_ms > timeout_ms / 2) {
        stock_send_ping(s, n->link, n, BUS_PING);
        return;
    }
    if (n->ping_sent_ms == 0)
        return;
    uint64_t ping_ms = now_ms - n->ping_sent_ms, data_ms = now_ms - n->data_ms;
    if ((ping_ms < data_ms ? ping_ms : data_ms) > timeout_ms &&
        !stock_has(n, BUS_NODE_PFAIL | BUS_NODE_FAIL)) {
        n->flags |= BUS_NODE_PFAIL;
        s->update = true;
        stock_mark_failing(s, n);
    }
}

static void follow(struct stock *s)
{
    const struct stock_peer *primary = s->self->primary;
    if (!primary || !primary->ip[0] ||
        (strcmp(s->following, primary->id) == 0 && strcmp(s->following_ip, primary->ip) == 0))
        return;
    memcpy(s->following, primary->id, sizeof(s->following));
    memcpy(s->following_ip, primary->ip, sizeof(s->following_ip));
    struct cluster_action *action = stock_emit(s, CLUSTER_ACTION_REPLICATE);
    memcpy(action->replicate.id, primary->id, sizeof(primary->id));
    memcpy(action->replicate.ip, primary->ip, sizeof(primary->ip));
    action->replicate.port = primary->port;
}

static void tick(struct stock *s)
{
    s->tick_ms = s->now_ms + TICK_MS;
    links_open(s);
    if (++s->iteration % 10 == 0)
        ping_oldest(s);
    for (uint32_t i = 0; i < s->count; i++)
        if (s->nodes[i] != s->self && !stock_has(s->nodes[i], BUS_NODE_NOADDR | BUS_NODE_HANDSHAKE))
            node_tick(s, s->nodes[i]);
    stock_mf_tick(s);
    if (s->update || !s->ok)
        state_update(s);
}

/* ---- links ---- */

static void link_up(struct stock *s, const struct cluster_event_link *event)
{
    if (event->id & CLUSTER_LINK_INBOUND) {
        for (unsigned i = 0; i < STOCK_INBOUND_MAX; i++)
            if (s->inbound[i].id == 0) {
                s->inbound[i].id = event->id;
                memset(s->inbound[i].ip, 0, sizeof(s->inbound[i].ip));
                memcpy(s->inbound[i].ip, event->peer_ip.data, event->peer_ip.len);
                return;
            }
        stock_emit(s, CLUSTER_ACTION_CLOSE)->open.link = event->id;
        return;
    }
    for (uint32_t i = 0; i < s->count; i++) {
        struct stock_peer *n = s->nodes[i];
        if (n->link != event->id)
            continue;
        uint64_t ping_ms = n->ping_sent_ms;
        n->link_up = true;
        bool is_new = stock_has(n, BUS_NODE_MEET);
        stock_send_ping(s, n->link, n, is_new ? BUS_MEET : BUS_PING);
        n->ping_sent_ms = ping_ms ? ping_ms : s->now_ms;
        n->flags &= (uint16_t)~BUS_NODE_MEET;
    }
}

static void link_down(struct stock *s, cluster_link_id id)
{
    for (unsigned i = 0; i < STOCK_INBOUND_MAX; i++)
        if (s->inbound[i].id == id)
            s->inbound[i].id = 0;
    for (uint32_t i = 0; i < s->count; i++)
        if (s->nodes[i]->link == id) {
            if (s->nodes[i]->ping_sent_ms == 0 && !s->nodes[i]->link_up)
                s->nodes[i]->ping_sent_ms = s->now_ms;
            s->nodes[i]->link = 0;
            s->nodes[i]->link_up = false;
        }
}

/* ---- commands ---- */

static bool number(const struct cluster_admin *admin, uint32_t arg, int64_t *value)
{
    return arg < admin->argc && parse_i64(admin->argv[arg], value) && *value >= 0;
}

static struct stock_peer *named(const struct stock *s, const struct cluster_admin *admin,
                                uint32_t arg)
{
    if (arg >= admin->argc || admin->argv[arg].len != BUS_NAME_SIZE)
        return NULL;
    return stock_find(s, admin->argv[arg].data);
}

static const char *add_slots(struct stock *s, const struct cluster_admin *admin)
{
    int64_t first, last;
    if (!number(admin, 1, &first) || !number(admin, 2, &last) || last >= BUS_SLOTS)
        return "Invalid or out of range slot";
    for (int64_t slot = first; slot <= last; slot++)
        if (!s->slots[slot])
            stock_set_slot(s, (unsigned)slot, s->self);
    return NULL;
}

static const char *start_meeting(struct stock *s, const struct cluster_admin *admin)
{
    int64_t port;
    if (admin->argc < 3 || !number(admin, 2, &port) || admin->argv[1].len >= BUS_IP_SIZE)
        return "Invalid node address";
    struct stock_peer *n = stock_peer_new(s);
    if (!n)
        return "Too many nodes";
    for (unsigned i = 0; i < BUS_NAME_SIZE; i++)
        n->id[i] = "0123456789abcdef"[rng_below(&s->rng, 16)];
    memcpy(n->ip, admin->argv[1].data, admin->argv[1].len);
    n->port = (uint16_t)port;
    n->cport = (uint16_t)(port + BUS_PORT_OFFSET);
    n->flags = BUS_NODE_HANDSHAKE | BUS_NODE_MEET;
    return NULL;
}

static const char *set_slot(struct stock *s, const struct cluster_admin *admin)
{
    int64_t slot;
    struct stock_peer *n = named(s, admin, 3);
    if (!stock_has(s->self, BUS_NODE_MASTER))
        return "You can use SETSLOT only with masters.";
    if (!number(admin, 1, &slot) || slot >= BUS_SLOTS || admin->argc < 3)
        return "Invalid or out of range slot";
    if (slice_equal_word(admin->argv[2], "stable")) {
        s->migrating[slot] = s->importing[slot] = NULL;
        return NULL;
    }
    if (!n || !stock_has(n, BUS_NODE_MASTER))
        return "Unknown node";
    if (slice_equal_word(admin->argv[2], "migrating")) {
        if (s->slots[slot] != s->self)
            return "I'm not the owner of hash slot";
        s->migrating[slot] = n;
    } else if (slice_equal_word(admin->argv[2], "importing")) {
        if (s->slots[slot] == s->self)
            return "I'm already the owner of hash slot";
        s->importing[slot] = n;
    } else {
        bool imported = n == s->self && s->importing[slot];
        bool ours = s->slots[slot] == s->self;
        stock_set_slot(s, (unsigned)slot, n);
        if (ours && n != s->self && s->self->slot_count == 0)
            stock_replicate(s, n);
        if (imported) {
            s->importing[slot] = NULL;
            uint64_t max = s->current_epoch;
            if (s->self->config_epoch == 0 || s->self->config_epoch != max)
                s->self->config_epoch = ++s->current_epoch;
            stock_broadcast_pong(s, false);
        }
    }
    return NULL;
}

static const char *command(struct stock *s, const struct cluster_admin *admin)
{
    int64_t epoch;
    struct slice word = admin->argv[0];
    s->save = s->update = true;
    if (slice_equal_word(word, "addslotsrange"))
        return add_slots(s, admin);
    if (slice_equal_word(word, "meet"))
        return start_meeting(s, admin);
    if (slice_equal_word(word, "setslot"))
        return set_slot(s, admin);
    if (slice_equal_word(word, "failover"))
        return stock_failover(s, admin);
    if (slice_equal_word(word, "bumpepoch")) {
        s->self->config_epoch = ++s->current_epoch;
        return NULL;
    }
    if (slice_equal_word(word, "set-config-epoch") && number(admin, 1, &epoch)) {
        s->self->config_epoch = (uint64_t)epoch;
        if (s->current_epoch < (uint64_t)epoch)
            s->current_epoch = (uint64_t)epoch;
        return NULL;
    }
    if (slice_equal_word(word, "replicate")) {
        struct stock_peer *n = named(s, admin, 1);
        if (!n || n == s->self || !stock_has(n, BUS_NODE_MASTER) || s->self->slot_count > 0)
            return "I can only replicate a master, not a replica.";
        stock_replicate(s, n);
        return NULL;
    }
    return "unknown subcommand";
}

static void command_run(struct stock *s, const struct cluster_admin *admin)
{
    char text[128];
    const char *error = command(s, admin);
    struct cluster_action *action = stock_emit(s, CLUSTER_ACTION_REPLY);
    snprintf(text, sizeof(text), error ? "-ERR %s\r\n" : "+OK\r\n", error);
    action->reply.id = admin->id;
    action->reply.text = strdup(text);
    action->reply.len = strlen(text);
}

/* ---- steps ---- */

static void take(struct stock *s, const struct cluster_event *event)
{
    switch (event->kind) {
    case CLUSTER_EVENT_TICK:
        tick(s);
        break;
    case CLUSTER_EVENT_LINK_UP:
        link_up(s, &event->link);
        break;
    case CLUSTER_EVENT_LINK_DOWN:
    case CLUSTER_EVENT_LINK_FAILED:
        link_down(s, event->link.id);
        break;
    case CLUSTER_EVENT_FRAME:
        stock_packet(s, &event->frame);
        break;
    case CLUSTER_EVENT_REPLICATION:
        s->replication = event->replication;
        if (!s->replication.synced && !stock_has(s->self, BUS_NODE_MASTER))
            s->replication.offset = 0;
        s->self->offset = s->replication.offset;
        break;
    case CLUSTER_EVENT_ADMIN:
        command_run(s, &event->admin);
        break;
    default:
        break;
    }
}

void stock_step(struct stock *s, const struct cluster_event *event, struct cluster_actions *actions)
{
    size_t first = actions->count;
    s->out = actions;
    s->now_ms = event->now_us / 1000;
    s->wall_ms = event->wall_ms;
    if (s->start_ms == 0)
        s->start_ms = s->now_ms;
    take(s, event);
    stock_election_run(s);
    follow(s);
    if (s->update && (s->ok || event->kind == CLUSTER_EVENT_TICK))
        state_update(s);
    if (s->save) {
        s->save = false;
        save(s);
        /* The file first. */
        struct cluster_action *items = actions->items, last = items[actions->count - 1];
        memmove(items + first + 1, items + first, (actions->count - 1 - first) * sizeof(*items));
        items[first] = last;
    }
    s->out = NULL;
}

uint64_t stock_next_us(const struct stock *s)
{
    return s->tick_ms * 1000;
}

/* ---- looking ---- */

const char *stock_self_id(const struct stock *s)
{
    return s->self->id;
}

bool stock_is_primary(const struct stock *s)
{
    return stock_has(s->self, BUS_NODE_MASTER);
}

bool stock_state_ok(const struct stock *s)
{
    return s->ok;
}

bool stock_serves(const struct stock *s, unsigned slot)
{
    return s->ok && stock_is_primary(s) && s->slots[slot] == s->self && !s->mf_paused;
}

uint64_t stock_current_epoch(const struct stock *s)
{
    return s->current_epoch;
}

uint64_t stock_config_epoch(const struct stock *s)
{
    return s->self->primary ? s->self->primary->config_epoch : s->self->config_epoch;
}

uint32_t stock_node_count(const struct stock *s)
{
    return s->count;
}

const char *stock_slot_owner(const struct stock *s, unsigned slot)
{
    return s->slots[slot] ? s->slots[slot]->id : NULL;
}

const char *stock_primary_id(const struct stock *s)
{
    return s->self->primary ? s->self->primary->id : NULL;
}

bool stock_peer_get(const struct stock *s, const char *id, struct cluster_peer *peer)
{
    const struct stock_peer *n = stock_find(s, id);
    if (!n)
        return false;
    memset(peer, 0, sizeof(*peer));
    peer->flags = n->flags;
    peer->config_epoch = n->config_epoch;
    peer->slot_count = n->slot_count;
    peer->report_count = n->report_count;
    peer->linked = n->link_up;
    memcpy(peer->ip, n->ip, sizeof(peer->ip));
    peer->port = n->port;
    peer->cport = n->cport;
    return true;
}

void stock_validate(const struct stock *s)
{
    uint32_t owned = 0, counted = 0;
    for (unsigned slot = 0; slot < BUS_SLOTS; slot++) {
        owned += s->slots[slot] != NULL;
        CHECK(!s->slots[slot] || bus_slot_get(s->slots[slot]->slots, slot));
    }
    for (uint32_t i = 0; i < s->count; i++)
        counted += s->nodes[i]->slot_count;
    CHECK(owned == counted);
    CHECK(!s->self->primary || stock_has(s->self, BUS_NODE_SLAVE));
}
