#include "unix_mail.h"
#include <stdlib.h>
#include <string.h>

struct unix_link *unix_link_new(void)
{
    struct unix_link *link = malloc(sizeof(*link));
    if (!link)
        return NULL;
    /* The buffers' bytes stay untouched, so that an idle client costs none of their memory. */
    memset(link, 0, offsetof(struct unix_link, in));
    link->in.len = link->out.len = 0;
    link->open.link = link->end_control.link = link;
    link->closing.link = link->end_lcore.link = link;
    link->in.mail.link = link->out.mail.link = link;
    atomic_init(&link->finished_count, 0);
    return link;
}

void unix_link_finish(struct unix_link *link)
{
    if (atomic_fetch_add_explicit(&link->finished_count, 1, memory_order_acq_rel) == 1)
        free(link);
}

static void run_on_lcore(struct mail *mail, void *worker)
{
    struct unix_mail *unix_mail = (struct unix_mail *)mail;
    unix_mail->link->lcore_run(unix_mail->link, unix_mail, worker);
}

static void run_on_control(struct mail *mail, void *control)
{
    struct unix_mail *unix_mail = (struct unix_mail *)mail;
    unix_mail->link->control_run(unix_mail->link, unix_mail, control);
}

void unix_mail_post_lcore(struct unix_mail *mail)
{
    mail->mail.run = run_on_lcore;
    mail_post(mail->link->lcore, &mail->mail);
}

void unix_mail_post_control(struct unix_mail *mail)
{
    mail->mail.run = run_on_control;
    mail_post(mail->link->control, &mail->mail);
}
