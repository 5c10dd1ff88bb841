#include "check.h"
#include "session_private.h"
#include "subscribe.h"
#include "transaction.h"

static void session_validate_one(const struct worker *w, const struct session *s)
{
    CHECK(s->worker == w);
    CHECK(!s->stream || s->stream->user == s);
    CHECK(s->stream || s->flags & SESSION_CLOSING);
    CHECK(s->query_pos <= s->query_len);
    CHECK(s->query_len <= s->query_size);
    CHECK((s->query == NULL) == (s->query_size == 0));
    CHECK(!(s->flags & SESSION_MULTI) || s->transaction);
    CHECK(!(s->flags & SESSION_MULTI_FAILED) || s->flags & SESSION_MULTI);
    CHECK(!(s->flags & SESSION_PUBSUB) == !s->subscriptions);
    CHECK(!s->subscriptions || subscriptions_count(s, CHANNEL_NAME) +
                                       subscriptions_count(s, CHANNEL_PATTERN) +
                                       subscriptions_count(s, CHANNEL_SHARD) >
                                   0);
    CHECK(s->flags & SESSION_PARKED || (!s->parked && !s->parked_cancel));
    CHECK(s->reply.protocol == 2 || s->reply.protocol == 3);
}

void session_validate(const struct worker *w)
{
    const struct session_list *l = w->sessions;
    uint32_t count = 0, paused = 0, closing = 0, listed = 0;
    const struct session *before = NULL;
    for (const struct session *s = l->first; s; s = s->next) {
        CHECK(s->prev == before);
        CHECK(!before || before->id < s->id);
        session_validate_one(w, s);
        count++;
        paused += !!(s->flags & SESSION_PAUSED);
        closing += !!(s->flags & SESSION_CLOSING);
        before = s;
    }
    CHECK(l->last == before);
    CHECK(l->held == NULL);
    CHECK(l->count == count);
    CHECK(l->paused == paused);
    for (const struct session *s = l->closing; s; s = s->closing_next)
        listed++;
    CHECK(closing == listed);
}
