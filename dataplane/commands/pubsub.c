#include "cluster_view.h"
#include "families.h"
#include "follow_view.h"
#include "numbers.h"
#include "session.h"
#include "subscribe.h"

/* One confirmation; CLIENT REPLY OFF does not silence those. name.data NULL: nothing was
 * subscribed. Sharded channels are counted by themselves. */
static void confirm(struct session *s, enum channel_kind kind, const char *word, struct slice name)
{
    struct reply r = s->reply;
    r.muted = !s->stream;
    reply_push(&r, 3);
    reply_bulk_str(&r, word);
    if (name.data)
        reply_bulk(&r, name);
    else
        reply_null(&r);
    reply_i64(&r, kind == CHANNEL_SHARD ? subscriptions_count(s, CHANNEL_SHARD)
                                        : subscriptions_count(s, CHANNEL_NAME) +
                                              subscriptions_count(s, CHANNEL_PATTERN));
}

static void subscribe(struct call *c, enum channel_kind kind, const char *word)
{
    for (uint32_t i = 1; i < c->argc; i++) {
        subscriptions_add(c->session, kind, c->argv[i]);
        confirm(c->session, kind, word, c->argv[i]);
    }
}

void cmd_subscribe(struct call *c)
{
    subscribe(c, CHANNEL_NAME, "subscribe");
}

void cmd_psubscribe(struct call *c)
{
    subscribe(c, CHANNEL_PATTERN, "psubscribe");
}

struct unsubscribed {
    struct session *session;
    enum channel_kind kind;
    const char *word;
};

static void confirm_unsubscribed(void *arg, struct slice name)
{
    struct unsubscribed *u = arg;
    confirm(u->session, u->kind, u->word, name);
}

static void unsubscribe(struct call *c, enum channel_kind kind, const char *word)
{
    struct unsubscribed u = {c->session, kind, word};
    if (c->argc == 1) {
        if (subscriptions_count(c->session, kind) == 0)
            confirm(c->session, kind, word, slice_from(NULL, 0));
        else
            subscriptions_remove_all(c->session, kind, confirm_unsubscribed, &u);
        return;
    }
    for (uint32_t i = 1; i < c->argc; i++) {
        subscriptions_remove(c->session, kind, c->argv[i]);
        confirm(c->session, kind, word, c->argv[i]);
    }
}

void cmd_unsubscribe(struct call *c)
{
    unsubscribe(c, CHANNEL_NAME, "unsubscribe");
}

void cmd_punsubscribe(struct call *c)
{
    unsubscribe(c, CHANNEL_PATTERN, "punsubscribe");
}

static void publish_as(struct call *c, bool sharded)
{
    const struct publication pub = {
        .channel = c->argv[1], .message = c->argv[2], .sharded = sharded};
    uint64_t receivers;
    publish_to_cluster(c->worker, &pub);
    if (!publish(c->session, &pub, !c->in_exec, &receivers))
        reply_i64(c->reply, (int64_t)receivers);
}

void cmd_publish(struct call *c)
{
    publish_as(c, false);
}

/* ---- sharded channels ---- */

void cmd_spublish(struct call *c)
{
    publish_as(c, true);
}

void cmd_ssubscribe(struct call *c)
{
    subscribe(c, CHANNEL_SHARD, "ssubscribe");
}

void cmd_sunsubscribe(struct call *c)
{
    unsubscribe(c, CHANNEL_SHARD, "sunsubscribe");
}

static bool shard_is_lost(void *arg, struct slice name)
{
    const struct cluster_view *view = arg;
    unsigned owner = cluster_view_entry(view, key_slot(name)) & CLUSTER_VIEW_OWNER;
    return owner == CLUSTER_VIEW_NONE || owner != view->self_primary;
}

static void shard_told(struct session *s, struct slice name)
{
    confirm(s, CHANNEL_SHARD, "sunsubscribe", name);
    session_flush(s);
}

void pubsub_follow_view(struct worker *w)
{
    struct cluster_shared *shared = w->node->cluster;
    const struct cluster_view *view = shared ? cluster_view_get(shared) : NULL;
    if (!view || view->version == w->view_version)
        return;
    w->view_version = view->version;
    subscriptions_drop_topics(w, shard_is_lost, shard_told, (void *)(uintptr_t)view);
}

/* ---- PUBSUB ---- */

struct channel_walk {
    struct reply *reply;
    struct slice pattern; /* data NULL: any */
    uint64_t count;
};

static void channel_reply(void *arg, struct slice name)
{
    struct channel_walk *walk = arg;
    if (walk->pattern.data && !glob_match(walk->pattern, name, false))
        return;
    reply_bulk(walk->reply, name);
    walk->count++;
}

static void reply_channels(struct call *c, enum channel_kind kind)
{
    if (c->argc > 3) {
        command_reply_unknown_sub(c);
        return;
    }
    struct channel_walk walk = {.reply = c->reply};
    if (c->argc == 3)
        walk.pattern = c->argv[2];
    struct reply_deferred deferred;
    reply_defer_begin(c->reply, &deferred);
    channels_each(c->worker->node->channels, kind, channel_reply, &walk);
    reply_defer_end(c->reply, &deferred, '*', walk.count);
}

static void reply_subscribers(struct call *c, enum channel_kind kind)
{
    reply_array(c->reply, (uint64_t)(c->argc - 2) * 2);
    for (uint32_t i = 2; i < c->argc; i++) {
        reply_bulk(c->reply, c->argv[i]);
        reply_i64(c->reply,
                  (int64_t)channels_subscribers(c->worker->node->channels, kind, c->argv[i]));
    }
}

void cmd_pubsub_channels(struct call *c)
{
    reply_channels(c, CHANNEL_NAME);
}

void cmd_pubsub_shardchannels(struct call *c)
{
    reply_channels(c, CHANNEL_SHARD);
}

void cmd_pubsub_numsub(struct call *c)
{
    reply_subscribers(c, CHANNEL_NAME);
}

void cmd_pubsub_shardnumsub(struct call *c)
{
    reply_subscribers(c, CHANNEL_SHARD);
}

void cmd_pubsub_numpat(struct call *c)
{
    reply_i64(c->reply, (int64_t)channels_count(c->worker->node->channels, CHANNEL_PATTERN));
}

void cmd_pubsub_help(struct call *c)
{
    static const char *const lines[] = {
        "CHANNELS [<pattern>]",
        "    Channels that have subscribers, those matching <pattern> (default: all).",
        "NUMPAT",
        "    How many patterns are subscribed to.",
        "NUMSUB [<channel> ...]",
        "    How many subscribers each channel has, not counting patterns.",
        "SHARDCHANNELS [<pattern>]",
        "    Sharded channels that have subscribers, those matching <pattern> (default: all).",
        "SHARDNUMSUB [<shardchannel> ...]",
        "    How many subscribers each sharded channel has.",
        NULL,
    };
    command_reply_help(c, lines);
}
