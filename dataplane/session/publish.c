#include "publish.h"
#include <stdlib.h>
#include "check.h"
#include "session.h"
#include "subscribe.h"

static void rendered_free(struct publication *pub)
{
    for (int i = 0; i < 2; i++) {
        free(pub->rendered[i]);
        pub->rendered[i] = NULL;
    }
}

void publication_pattern(struct publication *pub, struct slice pattern)
{
    rendered_free(pub);
    pub->pattern = pattern;
}

void publication_free(struct publication *pub)
{
    rendered_free(pub);
}

static void publication_render(struct publication *pub, uint8_t protocol)
{
    struct outbuf out;
    outbuf_init(&out);
    struct reply r = {.out = &out, .protocol = protocol};
    reply_push(&r, pub->pattern.data ? 4 : 3);
    reply_bulk_str(&r, pub->pattern.data ? "pmessage" : "message");
    if (pub->pattern.data)
        reply_bulk(&r, pub->pattern);
    reply_bulk(&r, pub->channel);
    reply_bulk(&r, pub->message);
    uint8_t *bytes = malloc(out.len);
    CHECK(bytes);
    struct outbuf_cursor cursor;
    outbuf_cursor_reset(&out, &cursor);
    outbuf_copy(&out, &cursor, bytes, out.len);
    pub->rendered[protocol - 2] = bytes;
    pub->rendered_len[protocol - 2] = out.len;
    outbuf_clear(&out);
}

/* CLIENT REPLY OFF does not silence messages. */
void publication_send(struct publication *pub, struct session *s)
{
    if (s->flags & SESSION_CLOSING || !s->stream)
        return;
    unsigned i = s->reply.protocol - 2u;
    if (!pub->rendered[i])
        publication_render(pub, s->reply.protocol);
    outbuf_append(&s->stream->out, pub->rendered[i], pub->rendered_len[i]);
    session_flush(s);
}

/* ---- to other lcores ---- */

/* A publisher that waits until its messages have arrived; touched on its own lcore only. */
struct publish_wait {
    uint64_t session_id;
    unsigned left;
};

/* One message for one lcore; comes back when somebody waits for it. */
struct publish_mail {
    struct mail mail;
    struct worker *to;
    struct worker *from;
    struct publish_wait *wait;
    size_t channel_len, message_len;
    uint8_t bytes[];
};

static void publish_arrived(struct mail *mail, void *receiver)
{
    struct publish_mail *m = container_from(mail, struct publish_mail, mail);
    struct publish_wait *wait = m->wait;
    struct worker *w = receiver;
    free(m);
    if (--wait->left > 0)
        return;
    struct session *s = session_by_id(w, wait->session_id);
    if (s && s->parked == wait)
        session_unpark(s);
    free(wait);
}

static size_t mail_bytes(const struct publish_mail *m)
{
    return sizeof(*m) + m->channel_len + m->message_len;
}

static void publish_receive(struct mail *mail, void *receiver)
{
    struct publish_mail *m = container_from(mail, struct publish_mail, mail);
    struct worker *w = receiver;
    pubsub_deliver(w, slice_from(m->bytes, m->channel_len),
                   slice_from(m->bytes + m->channel_len, m->message_len));
    atomic_fetch_sub_explicit(&w->publish_in_flight_bytes, mail_bytes(m), memory_order_relaxed);
    if (!m->wait) {
        free(m);
        return;
    }
    mail->run = publish_arrived;
    mail_post(&m->from->mailbox, mail);
}

/* True: more than enough is on its way to that lcore. */
static bool publish_charge(struct publish_mail *m)
{
    size_t bytes = mail_bytes(m);
    size_t before =
        atomic_fetch_add_explicit(&m->to->publish_in_flight_bytes, bytes, memory_order_relaxed);
    return before + bytes > PUBLISH_IN_FLIGHT_MAX;
}

static struct publish_mail *publish_mail_new(struct worker *from, struct worker *to,
                                             struct slice channel, struct slice message)
{
    struct publish_mail *m = malloc(sizeof(*m) + channel.len + message.len);
    CHECK(m);
    *m = (struct publish_mail){.mail.run = publish_receive,
                               .to = to,
                               .from = from,
                               .channel_len = channel.len,
                               .message_len = message.len};
    memcpy(m->bytes, channel.data, channel.len);
    memcpy(m->bytes + channel.len, message.data, message.len);
    return m;
}

/* The publisher waits, once for all lcores that are behind. */
static struct publish_wait *publisher_park(struct session *publisher, struct publish_wait *wait)
{
    if (!wait) {
        wait = malloc(sizeof(*wait));
        CHECK(wait);
        *wait = (struct publish_wait){.session_id = publisher->id};
        session_park(publisher, wait, NULL);
    }
    wait->left++;
    return wait;
}

uint64_t publish(struct worker *w, struct session *publisher, struct slice channel,
                 struct slice message, bool may_park)
{
    uint64_t lcores;
    uint64_t receivers = channels_receivers(w->node->channels, channel, &lcores);
    struct publish_wait *wait = NULL;
    for (unsigned i = 0; lcores >> i; i++) {
        if (!(lcores >> i & 1))
            continue;
        if (i == w->id) {
            pubsub_deliver(w, channel, message);
            continue;
        }
        struct publish_mail *m = publish_mail_new(w, w->node->workers[i], channel, message);
        if (publish_charge(m) && may_park)
            m->wait = wait = publisher_park(publisher, wait);
        mail_post(&m->to->mailbox, &m->mail);
    }
    return receivers;
}
