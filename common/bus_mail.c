#include "bus_mail.h"
#include <stdlib.h>

struct bus_link *bus_link_new(const struct bus_path *path, bool inbound)
{
    struct bus_link *link = calloc(1, sizeof(*link));
    if (!link)
        return NULL;
    link->open.link = link->end.link = link->connected.link = link;
    link->gone.link = link->released.link = link;
    link->path = path;
    link->inbound = inbound;
    return link;
}

/* ---- to the lcore ---- */

static void run_lcore_link(struct mail *mail, void *receiver)
{
    struct bus_link_mail *m = (struct bus_link_mail *)mail;
    m->link->path->lcore_on_link(m->link, m, m->link->path->lcore_end);
}

static void run_frame_back(struct mail *mail, void *receiver)
{
    struct bus_frame *frame = (struct bus_frame *)mail;
    frame->link->path->lcore_on_frame_back(frame, frame->link->path->lcore_end);
}

static void run_send(struct mail *mail, void *receiver)
{
    struct bus_send *send = (struct bus_send *)mail;
    send->link->path->lcore_on_send(send, send->link->path->lcore_end);
}

void bus_link_post_lcore(struct bus_link_mail *mail)
{
    mail->mail.run = run_lcore_link;
    mail_post(mail->link->path->lcore, &mail->mail);
}

void bus_frame_give_back(struct bus_frame *frame)
{
    frame->mail.run = run_frame_back;
    mail_post(frame->link->path->lcore, &frame->mail);
}

void bus_send_post(struct bus_send *send)
{
    send->mail.run = run_send;
    mail_post(send->link->path->lcore, &send->mail);
}

/* ---- to control ---- */

static void run_control_link(struct mail *mail, void *receiver)
{
    struct bus_link_mail *m = (struct bus_link_mail *)mail;
    m->link->path->on_link(m->link, m, m->link->path->control_end);
}

static void run_frame(struct mail *mail, void *receiver)
{
    struct bus_frame *frame = (struct bus_frame *)mail;
    frame->link->path->on_frame(frame, frame->link->path->control_end);
}

static void run_sent(struct mail *mail, void *receiver)
{
    struct bus_send *send = (struct bus_send *)mail;
    send->link->path->on_sent(send, send->link->path->control_end);
}

void bus_link_post_control(struct bus_link_mail *mail)
{
    mail->mail.run = run_control_link;
    mail_post(mail->link->path->control, &mail->mail);
}

void bus_frame_post(struct bus_frame *frame)
{
    frame->mail.run = run_frame;
    mail_post(frame->link->path->control, &frame->mail);
}

void bus_send_give_back(struct bus_send *send)
{
    send->mail.run = run_sent;
    mail_post(send->link->path->control, &send->mail);
}
