#include "delivery.h"
#include <stdlib.h>
#include "check.h"
#include "session.h"
#include "session_private.h"

/* ---- one message ---- */

void publication_free(struct publication *pub)
{
    for (int i = 0; i < 2; i++) {
        free(pub->rendered[i]);
        pub->rendered[i] = NULL;
    }
}

void publication_pattern(struct publication *pub, struct slice pattern)
{
    publication_free(pub);
    pub->pattern = pattern;
}

static void publication_render(struct publication *pub, uint8_t protocol)
{
    struct outbuf out;
    outbuf_init(&out);
    struct reply r = {.out = &out, .protocol = protocol};
    reply_push(&r, pub->pattern.data ? 4 : 3);
    reply_bulk_str(&r, pub->pattern.data ? "pmessage" : pub->sharded ? "smessage" : "message");
    if (pub->pattern.data)
        reply_bulk(&r, pub->pattern);
    reply_bulk(&r, pub->channel);
    reply_bulk(&r, pub->message);
    uint8_t *bytes = malloc(out.len);
    CHECK(bytes);
    pub->rendered[protocol - 2] = bytes;
    pub->rendered_len[protocol - 2] = outbuf_take(&out, bytes, out.len);
}

/* CLIENT REPLY OFF does not silence messages. */
uint32_t publication_send(struct publication *pub, struct session *s)
{
    if (s->flags & SESSION_CLOSING || !s->stream)
        return 1;
    unsigned i = s->reply.protocol - 2u;
    if (!pub->rendered[i])
        publication_render(pub, s->reply.protocol);
    outbuf_append(&s->stream->out, pub->rendered[i], pub->rendered_len[i]);
    session_flush(s);
    return 1 + (uint32_t)(pub->rendered_len[i] / DELIVERY_UNIT_BYTES);
}

/* ---- a round's share ---- */

/* True: all of d is delivered. */
static bool delivery_go_on(struct worker *w, struct deliveries *all, struct delivery *d)
{
    while (all->units_left > 0) {
        uint32_t units = cursor_step(w, d);
        if (units == 0)
            return true;
        all->units_left -= units < all->units_left ? units : all->units_left;
    }
    return false;
}

static void round_begin(struct worker *w, struct deliveries *all)
{
    if (all->round == w->sessions->rounds)
        return;
    all->round = w->sessions->rounds;
    all->units_left = DELIVERY_PIECE;
}

bool delivery_begin(struct worker *w, struct delivery *d)
{
    struct deliveries *all = deliveries_of(w);
    d->sequence = all->sequence + 1;
    if (all->first)
        return false;
    round_begin(w, all);
    if (all->units_left == 0)
        return false;
    cursor_begin(w, &d->pub);
    all->begun = !delivery_go_on(w, all, d);
    return !all->begun;
}

/* ---- those that wait ---- */

static void deliveries_turn(struct mail *mail, void *receiver);

static void turn_post(struct worker *w, struct deliveries *all)
{
    all->turn.run = deliveries_turn;
    mail_post(&w->mailbox, &all->turn);
}

static void first_done(struct worker *w, struct deliveries *all)
{
    struct delivery *d = all->first;
    all->first = d->next;
    all->begun = false;
    publication_free(&d->pub);
    d->done(d, w);
}

/* One piece per round; the mail keeps the lcore awake until then. */
static void deliveries_turn(struct mail *mail, void *receiver)
{
    struct deliveries *all = container_from(mail, struct deliveries, turn);
    struct worker *w = receiver;
    round_begin(w, all);
    while (all->first && all->units_left > 0) {
        if (!all->begun)
            cursor_begin(w, &all->first->pub);
        all->begun = true;
        if (delivery_go_on(w, all, all->first))
            first_done(w, all);
    }
    if (all->first)
        turn_post(w, all);
}

void delivery_wait(struct worker *w, struct delivery *d)
{
    struct deliveries *all = deliveries_of(w);
    all->sequence = d->sequence;
    d->next = NULL;
    if (all->first) {
        all->last->next = d;
    } else {
        all->first = d;
        turn_post(w, all);
    }
    all->last = d;
}

void deliveries_init(struct deliveries *all)
{
    *all = (struct deliveries){.round = UINT64_MAX};
}

void deliveries_end(struct deliveries *all)
{
    while (all->first)
        first_done(NULL, all);
}
