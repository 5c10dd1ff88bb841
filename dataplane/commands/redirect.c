#include "redirect.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "cluster_view.h"
#include "families.h"
#include "session.h"
#include "transaction.h"

/* What has been found out about the keys so far. */
struct route {
    struct call *call;
    const struct cluster_view *view;
    const char *refused;    /* an error without place holders; NULL: none */
    struct slice first_key; /* data NULL: no key yet */
    uint16_t slot;
    unsigned entry; /* of the view */
    bool several;   /* different keys */
    bool sharded;   /* they are names of sharded channels */
    uint32_t missing, existing;
};

static bool slot_moves(unsigned entry)
{
    return entry & (CLUSTER_VIEW_MIGRATING | CLUSTER_VIEW_IMPORTING);
}

static void route_first(struct route *r, struct slice key, uint16_t slot)
{
    r->first_key = key;
    r->slot = slot;
    r->entry = cluster_view_entry(r->view, slot);
    if (cluster_view_owner(r->view, r->entry) == NULL)
        r->refused = "CLUSTERDOWN Hash slot not served";
}

static void route_key(struct route *r, struct slice name, const struct key *known)
{
    uint16_t slot = known != NULL ? known->slot : key_slot(name);
    if (r->first_key.data == NULL)
        route_first(r, name, slot);
    else if (slot != r->slot)
        r->refused = "CROSSSLOT Keys in request don't hash to the same slot";
    else if (!r->several)
        r->several = !slice_equal(r->first_key, name);
    if (r->refused != NULL || likely_true(!slot_moves(r->entry)) || r->sharded)
        return;
    struct key key = known != NULL ? *known : key_of(name);
    if (ks_get(r->call->ks, &key, KS_READ_NO_TOUCH | KS_READ_NO_STATS) != NULL)
        r->existing++;
    else
        r->missing++;
}

static void route_command(struct route *r, const struct command *command, const struct slice *argv,
                          uint32_t argc)
{
    uint32_t inline_at[COMMAND_KEYS_INLINE], *at = inline_at;
    if (command->keys[0].begin == 0)
        return;
    int count = command_keys(command, argv, argc, at, COMMAND_KEYS_INLINE);
    if (count > COMMAND_KEYS_INLINE) {
        at = malloc((size_t)count * sizeof(*at));
        CHECK(at != NULL);
        count = command_keys(command, argv, argc, at, (uint32_t)count);
    }
    for (int i = 0; i < count && r->refused == NULL; i++)
        route_key(r, argv[at[i]], NULL);
    if (at != inline_at)
        free(at);
}

/* Names of sharded channels, which command_keys() does not take for keys. */
static void route_channels(struct route *r, const struct call *c)
{
    uint32_t end = c->command->keys[0].last < 0 ? c->argc : 2;
    for (uint32_t i = 1; i < end && r->refused == NULL; i++)
        route_key(r, c->argv[i], NULL);
}

static void route_transaction(struct route *r)
{
    const struct transaction *t = r->call->session->transaction;
    for (uint32_t i = 0; t != NULL && i < t->count && r->refused == NULL; i++)
        route_command(r, t->queue[i].command, t->queue[i].argv, t->queue[i].argc);
}

static bool is_write(const struct call *c)
{
    uint32_t flags = c->command->flags;
    const struct transaction *t = c->session->transaction;
    if (flags & CMD_EXEC && t != NULL)
        flags |= t->command_flags;
    return flags & CMD_WRITE;
}

/* NULL: it may go on although the cluster is down. */
static const char *refuse_when_down(const struct route *r)
{
    const struct config *config = r->call->worker->config;
    if (r->sharded)
        return config->cluster_allow_pubsubshard_when_down ? NULL
                                                           : "CLUSTERDOWN The cluster is down";
    if (!config->cluster_allow_reads_when_down)
        return "CLUSTERDOWN The cluster is down";
    return is_write(r->call) ? "CLUSTERDOWN The cluster is down and only accepts read commands"
                             : NULL;
}

static bool point_to(const struct route *r, const char *word, const struct cluster_view_node *node,
                     char text[REDIRECT_TEXT_SIZE])
{
    snprintf(text, REDIRECT_TEXT_SIZE, "%s %u %.*s", word, r->slot, (int)node->redirect.len,
             (const char *)node->redirect.data);
    return false;
}

static bool try_again(char text[REDIRECT_TEXT_SIZE])
{
    snprintf(text, REDIRECT_TEXT_SIZE, "TRYAGAIN Multiple keys request during rehashing of slot");
    return false;
}

/* A slot that leaves or comes: what is missing here may be at the other end. True: decided. */
static bool route_moving(const struct route *r, char text[REDIRECT_TEXT_SIZE], bool *ours)
{
    *ours = true;
    if (strcmp(r->call->command->name, "migrate") == 0)
        return true;
    if (r->entry & CLUSTER_VIEW_MIGRATING) {
        if (r->missing == 0)
            return false;
        *ours = r->existing > 0
                    ? try_again(text)
                    : point_to(r, "ASK", cluster_view_move_peer(r->view, r->slot), text);
        return true;
    }
    if (!r->call->asking && !(r->call->command->flags & CMD_ASKING))
        return false;
    if (r->several && r->missing > 0)
        *ours = try_again(text);
    return true;
}

static bool route_decide(const struct route *r, bool down, char text[REDIRECT_TEXT_SIZE])
{
    const char *refused = r->refused;
    if (refused == NULL && likely_false(down))
        refused = refuse_when_down(r);
    if (refused != NULL) {
        snprintf(text, REDIRECT_TEXT_SIZE, "%s", refused);
        return false;
    }
    bool ours;
    if (likely_false(slot_moves(r->entry)) && route_moving(r, text, &ours))
        return ours;
    if (likely_true(cluster_entry_is_ours(r->entry)))
        return true;
    bool may_read = r->call->session->flags & SESSION_READONLY || r->sharded;
    if (may_read && !is_write(r->call) && !r->view->primary &&
        r->view->self_primary == (r->entry & CLUSTER_VIEW_OWNER))
        return true;
    return point_to(r, "MOVED", cluster_view_owner(r->view, r->entry), text);
}

bool redirect_check(struct call *c, char text[REDIRECT_TEXT_SIZE])
{
    struct cluster_shared *shared = c->worker->node->cluster;
    if (shared == NULL || (c->command->keys[0].begin == 0 && !(c->command->flags & CMD_EXEC)))
        return true;
    struct route r = {.call = c, .view = cluster_view_get(shared)};
    if (r.view == NULL) {
        snprintf(text, REDIRECT_TEXT_SIZE, "CLUSTERDOWN The cluster is down");
        return false;
    }
    r.sharded = c->command->flags & CMD_PUBSUB;
    if (likely_false(r.sharded))
        route_channels(&r, c);
    else if (likely_true(c->command->flags & CMD_ONE_KEY) && c->first_key != NULL)
        route_key(&r, c->first_key->name, c->first_key);
    else if (c->command->flags & CMD_EXEC)
        route_transaction(&r);
    else
        route_command(&r, c->command, c->argv, c->argc);
    if (r.first_key.data == NULL && r.refused == NULL)
        return true;
    bool down = !r.view->ok || !cluster_lease_holds(shared, c->worker->now_us);
    return route_decide(&r, down, text);
}
