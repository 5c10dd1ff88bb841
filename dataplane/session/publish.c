#include <stdlib.h>
#include "check.h"
#include "cluster_mail.h"
#include "delivery.h"
#include "session.h"
#include "subscribe.h"

/* A publisher that waits until its messages are delivered; touched on its own lcore only. */
struct publish_wait {
    uint64_t session_id;
    uint64_t receivers;
    unsigned left;
};

/* One message for one lcore; comes back when somebody waits for it. */
struct publish_mail {
    struct mail mail;
    struct delivery delivery;
    struct worker *to;
    struct worker *from;
    struct publish_wait *wait;
    size_t len; /* of channel and message, which follow */
    uint8_t bytes[];
};

static struct publish_mail *mail_new(struct worker *from, struct worker *to,
                                     const struct publication *pub)
{
    struct slice channel = pub->channel, message = pub->message;
    size_t len = channel.len + message.len;
    struct publish_mail *m = malloc(sizeof(*m) + len);
    CHECK(m);
    *m = (struct publish_mail){.to = to, .from = from, .len = len};
    memcpy(m->bytes, channel.data, channel.len);
    memcpy(m->bytes + channel.len, message.data, message.len);
    m->delivery.pub.sharded = pub->sharded;
    m->delivery.pub.channel = slice_from(m->bytes, channel.len);
    m->delivery.pub.message = slice_from(m->bytes + channel.len, message.len);
    return m;
}

static size_t mail_bytes(const struct publish_mail *m)
{
    return sizeof(*m) + m->len;
}

/* True: more than enough is on its way to that lcore. */
static bool mail_charge(struct publish_mail *m)
{
    size_t bytes = mail_bytes(m);
    size_t before =
        atomic_fetch_add_explicit(&m->to->publish_in_flight_bytes, bytes, memory_order_relaxed);
    return before + bytes > PUBLISH_IN_FLIGHT_MAX;
}

static void mail_discharge(const struct publish_mail *m)
{
    atomic_fetch_sub_explicit(&m->to->publish_in_flight_bytes, mail_bytes(m), memory_order_relaxed);
}

/* ---- the publisher's lcore again ---- */

static void wait_done(struct worker *w, struct publish_wait *wait)
{
    if (--wait->left > 0)
        return;
    struct session *s = w ? session_by_id(w, wait->session_id) : NULL;
    if (s && s->parked == wait) {
        reply_i64(&s->reply, (int64_t)wait->receivers);
        session_unpark(s);
        session_flush(s);
    }
    free(wait);
}

static void mail_came_back(struct mail *mail, void *receiver)
{
    struct publish_mail *m = container_from(mail, struct publish_mail, mail);
    struct publish_wait *wait = m->wait;
    free(m);
    wait_done(receiver, wait);
}

/* ---- the subscribers' lcore ---- */

static void mail_delivered(struct delivery *d, struct worker *w)
{
    struct publish_mail *m = container_from(d, struct publish_mail, delivery);
    if (w)
        mail_discharge(m);
    if (m->wait && w && m->from != w) {
        m->mail.run = mail_came_back;
        mail_post(&m->from->mailbox, &m->mail);
        return;
    }
    if (m->wait)
        wait_done(w, m->wait);
    free(m);
}

static void mail_arrived(struct mail *mail, void *receiver)
{
    struct publish_mail *m = container_from(mail, struct publish_mail, mail);
    struct worker *w = receiver;
    m->delivery.done = mail_delivered;
    if (!delivery_begin(w, &m->delivery)) {
        delivery_wait(w, &m->delivery);
        return;
    }
    publication_free(&m->delivery.pub);
    mail_delivered(&m->delivery, w);
}

/* ---- publishing ---- */

bool publish_is_behind(const struct node *node)
{
    if (atomic_load_explicit(&node->cluster_in_flight_bytes, memory_order_relaxed) >
        PUBLISH_IN_FLIGHT_MAX)
        return true;
    for (unsigned i = 0; i < node->lcore_count; i++) {
        if (atomic_load_explicit(&node->workers[i]->publish_in_flight_bytes, memory_order_relaxed) >
            PUBLISH_IN_FLIGHT_MAX)
            return true;
    }
    return false;
}

/* The publisher waits, once for all lcores that are behind. */
static void publisher_wait(struct session *publisher, struct publish_wait **wait,
                           struct publish_mail *m)
{
    if (!*wait) {
        *wait = malloc(sizeof(**wait));
        CHECK(*wait);
        **wait = (struct publish_wait){.session_id = publisher->id};
        session_park(publisher, *wait, NULL);
    }
    (*wait)->left++;
    m->wait = *wait;
}

/* To this lcore's subscribers: most often at once. The mail of what is left, else NULL. */
static struct publish_mail *publish_here(struct worker *w, const struct publication *pub)
{
    struct delivery d = {.pub = *pub};
    if (delivery_begin(w, &d)) {
        publication_free(&d.pub);
        return NULL;
    }
    struct publish_mail *m = mail_new(w, w, pub);
    struct publication own = m->delivery.pub;
    m->delivery = d;
    m->delivery.pub.channel = own.channel;
    m->delivery.pub.message = own.message;
    m->delivery.done = mail_delivered;
    (void)mail_charge(m);
    delivery_wait(w, &m->delivery);
    return m;
}

static enum channel_kind kind_of(const struct publication *pub)
{
    return pub->sharded ? CHANNEL_SHARD : CHANNEL_NAME;
}

bool publish(struct session *publisher, const struct publication *pub, bool may_park,
             uint64_t *receivers)
{
    struct worker *w = publisher->worker;
    uint64_t lcores;
    *receivers = channels_receivers(w->node->channels, kind_of(pub), pub->channel, &lcores);
    struct publish_wait *wait = NULL;
    for (unsigned i = 0; lcores >> i; i++) {
        if (!(lcores >> i & 1))
            continue;
        struct publish_mail *m;
        if (i == w->id) {
            m = publish_here(w, pub);
            if (m && may_park)
                publisher_wait(publisher, &wait, m);
            continue;
        }
        m = mail_new(w, w->node->workers[i], pub);
        m->mail.run = mail_arrived;
        if (mail_charge(m) && may_park)
            publisher_wait(publisher, &wait, m);
        mail_post(&m->to->mailbox, &m->mail);
    }
    if (wait)
        wait->receivers = *receivers;
    return wait != NULL;
}

/* ---- the cluster ---- */

void publish_to_cluster(struct worker *w, const struct publication *pub)
{
    struct node *node = w->node;
    if (node->cluster != NULL)
        cluster_publication_post(node->control, node->cluster_publish, pub->channel, pub->message,
                                 pub->sharded, &node->cluster_in_flight_bytes);
}

bool publish_from_cluster(struct node *node, const struct publication *pub)
{
    uint64_t lcores;
    bool all = true;
    (void)channels_receivers(node->channels, kind_of(pub), pub->channel, &lcores);
    for (unsigned i = 0; lcores >> i; i++) {
        if (!(lcores >> i & 1))
            continue;
        struct publish_mail *m = mail_new(NULL, node->workers[i], pub);
        m->mail.run = mail_arrived;
        if (mail_charge(m)) {
            mail_discharge(m);
            free(m);
            all = false;
            continue;
        }
        mail_post(&m->to->mailbox, &m->mail);
    }
    return all;
}
