#include "admin_ask.h"
#include <stdatomic.h>
#include <stdlib.h>
#include "check.h"
#include "latency.h"
#include "session.h"
#include "stats.h"

/* The client ends first: the answer finds nobody. */
static void ask_cancel(struct session *s)
{
    s->parked = NULL;
}

/* What the lcores count is reset here, the node's counters were on the control thread. Two at a
 * time would get in each other's way, and mean the same. */
static void statistics_reset(const struct node *node)
{
    static atomic_flag busy = ATOMIC_FLAG_INIT;
    if (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire))
        return;
    command_stats_reset(node);
    latency_histograms_reset(node->latency);
    atomic_flag_clear_explicit(&busy, memory_order_release);
}

static void ask_answer(struct reply *r, const struct admin_request *request)
{
    if (request->error[0])
        reply_error(r, request->error);
    else if (request->kind == ADMIN_CLUSTER)
        reply_raw(r, slice_from(request->text, request->text_len));
    else if (request->text)
        reply_verbatim(r, slice_from(request->text, request->text_len));
    else
        reply_ok(r);
}

/* Back on the client's lcore. */
static void ask_reply(struct mail *mail, void *receiver)
{
    struct admin_request *request = container_from(mail, struct admin_request, mail);
    struct worker *w = receiver;
    struct session *s = session_by_id(w, request->session_id);
    if (request->kind == ADMIN_CONFIG_RESETSTAT)
        statistics_reset(w->node);
    if (s && s->parked == request) {
        ask_answer(&s->reply, request);
        session_unpark(s);
        session_flush(s);
    }
    admin_request_free(request);
}

void admin_ask(struct call *c, enum admin_kind kind, const struct slice *words, uint32_t word_count)
{
    struct admin_request *request = admin_request_new(kind, words, word_count);
    if (!request) {
        reply_error(c->reply, REPLY_OOM);
        return;
    }
    request->reply_to = &c->worker->mailbox;
    request->reply = ask_reply;
    request->session_id = c->session->id;
    request->resp3 = c->reply->protocol == 3;
    request->local = (c->session->flags & SESSION_UNIX) != 0;
    session_park(c->session, request, ask_cancel);
    admin_request_post(c->worker->node->control, request);
}
