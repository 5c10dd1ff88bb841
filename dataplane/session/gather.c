#include "gather.h"
#include "check.h"

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

static void gather_arrive(struct mail *mail, void *receiver)
{
    struct gather *g = container_from(mail, struct gather, mail);
    struct worker *w = receiver;
    if (w == g->home) {
        gather_finish(g);
        return;
    }
    g->visit(g, w);
    g->next = (w->id + 1) % w->node->lcore_count;
    mail_post(&w->node->workers[g->next]->mailbox, mail);
}

void gather_start(struct gather *g, struct session *s)
{
    struct worker *w = s->worker;
    g->home = w;
    g->session_id = s->id;
    g->visit(g, w);
    if (w->node->lcore_count == 1) {
        g->reply(g, s);
        g->free(g);
        return;
    }
    g->mail.run = gather_arrive;
    g->next = (w->id + 1) % w->node->lcore_count;
    session_park(s, g, NULL);
    mail_post(&w->node->workers[g->next]->mailbox, &g->mail);
}
