#include "gather.h"
#include "check.h"
#include "session_private.h"

static void walk_begin(struct gather *g, struct session_list *l)
{
    g->walking = true;
    g->walk.next = l->first;
    g->walk.link = l->walks;
    l->walks = &g->walk;
}

static void walk_end(struct gather *g, struct session_list *l)
{
    struct session_walk **place = &l->walks;
    while (*place != &g->walk)
        place = &(*place)->link;
    *place = g->walk.link;
    g->walking = false;
}

/* At most budget sessions of the lcore that g is on; true: that was the last. */
static bool gather_walk(struct gather *g, uint32_t budget)
{
    struct session_list *l = g->at->sessions;
    if (!g->walking)
        walk_begin(g, l);
    g->round = l->rounds;
    while (budget-- > 0 && g->walk.next && g->walk.next->id < g->id_end) {
        struct session *s = g->walk.next;
        g->walk.next = s->next;
        if (!(s->flags & SESSION_CLOSING))
            g->each(g, s);
    }
    if (g->walk.next && g->walk.next->id < g->id_end)
        return false;
    walk_end(g, l);
    return true;
}

static void gather_post(struct gather *g, struct worker *to)
{
    g->at = to;
    mail_post(&to->mailbox, &g->mail);
}

static void gather_finish(struct gather *g)
{
    struct session *s = session_by_id(g->home, g->session_id);
    if (s && s->parked == g) {
        g->reply(g, s);
        session_unpark(s);
        session_flush(s);
    }
    g->free(g);
}

/* A piece on the lcore that g is on; then it stays, goes on to the next lcore, or is home again. */
static void gather_step(struct gather *g)
{
    struct worker *w = g->at;
    if (!gather_walk(g, GATHER_PIECE)) {
        gather_post(g, w);
        return;
    }
    struct worker *next = w->node->workers[(w->id + 1) % w->node->lcore_count];
    if (next == g->home && w == g->home)
        gather_finish(g);
    else
        gather_post(g, next);
}

static void gather_arrive(struct mail *mail, void *receiver)
{
    struct gather *g = container_from(mail, struct gather, mail);
    struct worker *w = receiver;
    CHECK(w == g->at);
    if (g->walking && g->round == w->sessions->rounds)
        gather_post(g, w); /* one piece per round; the mail keeps the lcore awake */
    else if (w == g->home && !g->walking)
        gather_finish(g);
    else
        gather_step(g);
}

void gather_start(struct gather *g, struct session *s, bool at_once)
{
    struct worker *w = s->worker;
    g->home = g->at = w;
    g->session_id = s->id;
    g->id_end = 1 + atomic_load_explicit(&w->node->next_client_id, memory_order_relaxed);
    g->mail.run = gather_arrive;
    bool alone = w->node->lcore_count == 1;
    CHECK(alone || !at_once);
    if (alone && gather_walk(g, at_once ? UINT32_MAX : GATHER_PIECE)) {
        g->reply(g, s);
        g->free(g);
        return;
    }
    session_park(s, g, NULL);
    if (alone)
        gather_post(g, w);
    else
        gather_step(g);
}
