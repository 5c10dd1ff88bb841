#include "subscribe.h"
#include <stdlib.h>
#include "chain_table.h"
#include "check.h"
#include "keyhash.h"
#include "delivery.h"
#include "numbers.h"
#include "session.h"

/* A channel or pattern that clients of this lcore listen to. */
struct topic {
    struct chain_node node;    /* in pubsub->topics[kind] */
    struct topic *next, *prev; /* all of the kind: patterns are walked */
    struct subscription *first;
    struct slice name; /* behind the struct */
};

struct subscription {
    struct chain_node node; /* in pubsub->subscriptions: by topic and session */
    struct topic *topic;
    struct session *session;
    uint64_t born; /* deliveries->sequence when it was made */
    struct subscription *topic_next, *topic_prev;
    struct subscription *session_next, *session_prev;
};

struct pubsub {
    struct worker *worker;
    struct chain_table topics[CHANNEL_KINDS];
    struct topic *all[CHANNEL_KINDS];
    struct chain_table subscriptions;
    struct deliveries deliveries;
};

/* Hangs off a session that has subscriptions. */
struct subscriptions {
    struct subscription *first[CHANNEL_KINDS];
    uint32_t count[CHANNEL_KINDS];
};

struct pubsub *pubsub_new(struct worker *w)
{
    struct pubsub *p = calloc(1, sizeof(*p));
    CHECK(p);
    p->worker = w;
    deliveries_init(&p->deliveries);
    return p;
}

void pubsub_free(struct pubsub *p)
{
    if (!p)
        return;
    CHECK(p->subscriptions.count == 0);
    deliveries_end(&p->deliveries);
    free(p);
}

static struct topic *topic_find(const struct pubsub *p, enum channel_kind kind, uint64_t hash,
                                struct slice name)
{
    for (struct chain_node *n = chain_first(&p->topics[kind], hash); n; n = chain_next(n)) {
        struct topic *t = container_from(n, struct topic, node);
        if (slice_equal(t->name, name))
            return t;
    }
    return NULL;
}

static struct topic *topic_new(struct pubsub *p, enum channel_kind kind, uint64_t hash,
                               struct slice name)
{
    struct topic *t = calloc(1, sizeof(*t) + name.len);
    CHECK(t);
    memcpy(t + 1, name.data, name.len);
    t->name = slice_from(t + 1, name.len);
    t->node.hash = hash;
    chain_table_add(&p->topics[kind], &t->node);
    t->next = p->all[kind];
    if (t->next)
        t->next->prev = t;
    p->all[kind] = t;
    return t;
}

static void topic_free(struct pubsub *p, enum channel_kind kind, struct topic *t)
{
    if (p->deliveries.pattern == t)
        p->deliveries.pattern = t->next;
    chain_table_remove(&p->topics[kind], &t->node);
    if (t->prev)
        t->prev->next = t->next;
    else
        p->all[kind] = t->next;
    if (t->next)
        t->next->prev = t->prev;
    free(t);
}

static uint64_t subscription_hash(const struct topic *t, const struct session *s)
{
    return (t->node.hash ^ s->id * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu >> 16;
}

static struct subscription *subscription_find(const struct pubsub *p, const struct topic *t,
                                              const struct session *s)
{
    uint64_t hash = subscription_hash(t, s);
    for (struct chain_node *n = chain_first(&p->subscriptions, hash); n; n = chain_next(n)) {
        struct subscription *sub = container_from(n, struct subscription, node);
        if (sub->topic == t && sub->session == s)
            return sub;
    }
    return NULL;
}

static void subscription_link(struct subscription *sub, enum channel_kind kind)
{
    struct subscriptions *of = sub->session->subscriptions;
    sub->topic_next = sub->topic->first;
    if (sub->topic_next)
        sub->topic_next->topic_prev = sub;
    sub->topic->first = sub;
    sub->session_next = of->first[kind];
    if (sub->session_next)
        sub->session_next->session_prev = sub;
    of->first[kind] = sub;
    of->count[kind]++;
}

static void subscription_unlink(struct subscription *sub, enum channel_kind kind)
{
    struct subscriptions *of = sub->session->subscriptions;
    if (sub->topic_prev)
        sub->topic_prev->topic_next = sub->topic_next;
    else
        sub->topic->first = sub->topic_next;
    if (sub->topic_next)
        sub->topic_next->topic_prev = sub->topic_prev;
    if (sub->session_prev)
        sub->session_prev->session_next = sub->session_next;
    else
        of->first[kind] = sub->session_next;
    if (sub->session_next)
        sub->session_next->session_prev = sub->session_prev;
    of->count[kind]--;
}

bool subscriptions_add(struct session *s, enum channel_kind kind, struct slice name)
{
    struct pubsub *p = s->worker->pubsub;
    uint64_t hash = key_hash(name);
    struct topic *t = topic_find(p, kind, hash, name);
    if (t && subscription_find(p, t, s))
        return false;
    if (!t)
        t = topic_new(p, kind, hash, name);
    if (!s->subscriptions) {
        s->subscriptions = calloc(1, sizeof(*s->subscriptions));
        CHECK(s->subscriptions);
    }
    struct subscription *sub = calloc(1, sizeof(*sub));
    CHECK(sub);
    sub->topic = t;
    sub->session = s;
    sub->born = p->deliveries.sequence;
    sub->node.hash = subscription_hash(t, s);
    chain_table_add(&p->subscriptions, &sub->node);
    subscription_link(sub, kind);
    channels_add(s->worker->node->channels, kind, name, s->worker->id);
    s->flags |= SESSION_PUBSUB;
    return true;
}

/* name may lie in the topic that is freed here. */
static void subscription_remove(struct subscription *sub, enum channel_kind kind)
{
    struct session *s = sub->session;
    struct pubsub *p = s->worker->pubsub;
    struct topic *t = sub->topic;
    if (p->deliveries.at == sub)
        p->deliveries.at = sub->topic_next;
    chain_table_remove(&p->subscriptions, &sub->node);
    subscription_unlink(sub, kind);
    free(sub);
    channels_remove(s->worker->node->channels, kind, t->name, s->worker->id);
    if (!t->first)
        topic_free(p, kind, t);
    for (int k = 0; k < CHANNEL_KINDS; k++) {
        if (s->subscriptions->count[k] > 0)
            return;
    }
    free(s->subscriptions);
    s->subscriptions = NULL;
    s->flags &= ~(uint32_t)SESSION_PUBSUB;
}

bool subscriptions_remove(struct session *s, enum channel_kind kind, struct slice name)
{
    struct pubsub *p = s->worker->pubsub;
    struct topic *t = s->subscriptions ? topic_find(p, kind, key_hash(name), name) : NULL;
    struct subscription *sub = t ? subscription_find(p, t, s) : NULL;
    if (!sub)
        return false;
    subscription_remove(sub, kind);
    return true;
}

void subscriptions_remove_all(struct session *s, enum channel_kind kind,
                              void (*told)(void *arg, struct slice name), void *arg)
{
    while (s->subscriptions && s->subscriptions->first[kind]) {
        struct subscription *sub = s->subscriptions->first[kind];
        size_t len = sub->topic->name.len;
        uint8_t *name = malloc(len + 1);
        CHECK(name);
        memcpy(name, sub->topic->name.data, len);
        subscription_remove(sub, kind);
        if (told)
            told(arg, slice_from(name, len));
        free(name);
    }
}

void subscriptions_drop(struct session *s)
{
    for (int k = 0; k < CHANNEL_KINDS; k++)
        subscriptions_remove_all(s, (enum channel_kind)k, NULL, NULL);
}

void subscriptions_drop_topics(struct worker *w, bool (*lost)(void *arg, struct slice name),
                               void (*told)(struct session *s, struct slice name), void *arg)
{
    struct topic *next;
    for (struct topic *t = w->pubsub->all[CHANNEL_SHARD]; t; t = next) {
        next = t->next;
        if (!lost(arg, t->name))
            continue;
        struct slice name = slice_from(malloc(t->name.len + 1), t->name.len);
        CHECK(name.data);
        memcpy((uint8_t *)(uintptr_t)name.data, t->name.data, name.len);
        struct subscription *after;
        for (struct subscription *sub = t->first; sub; sub = after) {
            struct session *s = sub->session;
            after = sub->topic_next;
            subscription_remove(sub, CHANNEL_SHARD); /* the last one takes the topic along */
            told(s, name);
        }
        free((void *)(uintptr_t)name.data);
    }
}

uint32_t subscriptions_count(const struct session *s, enum channel_kind kind)
{
    return s->subscriptions ? s->subscriptions->count[kind] : 0;
}

size_t subscriptions_mem_bytes(const struct session *s)
{
    size_t count = 0;
    for (int k = 0; k < CHANNEL_KINDS; k++)
        count += subscriptions_count(s, (enum channel_kind)k);
    return count * sizeof(struct subscription) + (count ? sizeof(struct subscriptions) : 0);
}

/* ---- the cursor of deliveries ---- */

struct deliveries *deliveries_of(const struct worker *w)
{
    return &w->pubsub->deliveries;
}

void cursor_begin(struct worker *w, const struct publication *pub)
{
    struct pubsub *p = w->pubsub;
    enum channel_kind kind = pub->sharded ? CHANNEL_SHARD : CHANNEL_NAME;
    const struct topic *t = topic_find(p, kind, key_hash(pub->channel), pub->channel);
    p->deliveries.at = t ? t->first : NULL;
    p->deliveries.pattern = pub->sharded ? NULL : p->all[CHANNEL_PATTERN];
}

#define GLOB_UNIT_BYTES 64

uint32_t cursor_step(struct worker *w, struct delivery *d)
{
    struct deliveries *all = deliveries_of(w);
    struct subscription *sub = all->at;
    struct topic *t = all->pattern;
    if (sub) {
        all->at = sub->topic_next;
        return sub->born < d->sequence ? publication_send(&d->pub, sub->session) : 1;
    }
    if (!t)
        return 0;
    all->pattern = t->next;
    if (glob_match(t->name, d->pub.channel, false)) {
        publication_pattern(&d->pub, t->name);
        all->at = t->first;
    }
    return 1 + (uint32_t)(t->name.len / GLOB_UNIT_BYTES);
}
