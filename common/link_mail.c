#include "link_mail.h"
#include <stdlib.h>
#include <string.h>

struct link *link_new(void)
{
    struct link *link = malloc(sizeof(*link));
    if (!link)
        return NULL;
    /* The buffers' bytes stay untouched, so that an idle link costs none of their memory. */
    memset(link, 0, offsetof(struct link, in));
    link->in.len = link->out.len = 0;
    link->open.link = link->end.link = link->connected.link = link;
    link->gone.link = link->released.link = link;
    link->in.mail.link = link->out.mail.link = link;
    return link;
}

static void run_on_lcore(struct mail *mail, void *worker)
{
    struct link_mail *link_mail = (struct link_mail *)mail;
    link_mail->link->lcore_run(link_mail->link, link_mail, worker);
}

static void run_on_control(struct mail *mail, void *control)
{
    struct link_mail *link_mail = (struct link_mail *)mail;
    link_mail->link->control_run(link_mail->link, link_mail, control);
}

void link_mail_post_lcore(struct link_mail *mail)
{
    mail->mail.run = run_on_lcore;
    mail_post(mail->link->lcore, &mail->mail);
}

void link_mail_post_control(struct link_mail *mail)
{
    mail->mail.run = run_on_control;
    mail_post(mail->link->control, &mail->mail);
}
