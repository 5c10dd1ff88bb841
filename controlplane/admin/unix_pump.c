#include "unix_pump.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "check.h"
#include "log.h"
#include "metrics.h"

#define ACCEPT_BURST 16

struct unix_client {
    struct control_source source; /* first */
    struct unix_pump *pump;
    struct unix_link *link;
    struct unix_client *next, *prev; /* all of the pump; of the ended ones only next */
    int fd;
    uint32_t watched; /* epoll events; 0: not in the set */
    bool in_is_here;  /* the buffers: ours to fill, ours to write */
    bool out_is_here;
    bool eof;     /* the client sends no more */
    bool closing; /* the session takes no more */
    bool lcore_ended;
    bool ended;           /* our end is posted, fd is closed */
    size_t out_pos;       /* bytes of out that are written */
    uint64_t progress_us; /* when bytes were last taken, while closing */
};

struct unix_pump {
    struct control_source source; /* first: the listener's */
    int fd;
    int epoll_fd;
    bool paused; /* accept failed: not before the next tick */
    struct mailbox *control;
    void (*lcore_run)(struct unix_link *link, struct unix_mail *mail, void *worker);
    struct mailbox *const *lcores;
    unsigned lcore_count, lcore_next;
    struct unix_client *clients; /* not finished: our end or the lcore's is missing */
    struct unix_client *finished;
    unsigned open_count;
    uint64_t now_us; /* of the last tick */
    char path[UNIX_PATH_SIZE];
    char file[PATH_MAX]; /* the same, absolute: dir may change */
    dev_t file_dev;
    ino_t file_ino;
};

/* ---- clients ---- */

static void client_finish(struct unix_client *c)
{
    struct unix_pump *p = c->pump;
    if (c->prev)
        c->prev->next = c->next;
    else
        p->clients = c->next;
    if (c->next)
        c->next->prev = c->prev;
    unix_link_finish(c->link);
    c->link = NULL;
    /* An epoll event of this round may still name it. */
    c->next = p->finished;
    p->finished = c;
}

static void client_end(struct unix_client *c)
{
    if (!c->ended) {
        c->ended = true;
        close(c->fd);
        c->fd = -1;
        c->pump->open_count--;
        unix_mail_post_lcore(&c->link->end_control);
    }
    if (c->lcore_ended)
        client_finish(c);
}

/* Only what can be used is watched: a peer that has hung up would be told again and again. */
static void client_watch(struct unix_client *c)
{
    uint32_t wanted = 0;
    if (c->ended)
        return;
    if (c->in_is_here && !c->eof && !c->closing && !c->lcore_ended)
        wanted |= EPOLLIN;
    if (c->out_is_here)
        wanted |= EPOLLOUT;
    if (wanted == c->watched)
        return;
    int what = c->watched == 0 ? EPOLL_CTL_ADD : wanted == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    struct epoll_event event = {.events = wanted, .data.ptr = &c->source};
    c->watched = wanted;
    if (epoll_ctl(c->pump->epoll_fd, what, c->fd, &event) != 0) {
        log_warning("A client of the unix socket can't be watched: %s", strerror(errno));
        client_end(c);
    }
}

static void client_read(struct unix_client *c)
{
    struct unix_buffer *in = &c->link->in;
    ssize_t got = recv(c->fd, in->data, sizeof(in->data), MSG_DONTWAIT);
    if (got < 0) {
        if (errno != EAGAIN && errno != EINTR)
            client_end(c);
        return;
    }
    c->eof = got == 0;
    in->len = (size_t)got;
    c->in_is_here = false;
    unix_mail_post_lcore(&in->mail);
}

static void client_write(struct unix_client *c)
{
    struct unix_buffer *out = &c->link->out;
    ssize_t put =
        send(c->fd, out->data + c->out_pos, out->len - c->out_pos, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put < 0) {
        if (errno != EAGAIN && errno != EINTR)
            client_end(c);
        return;
    }
    c->out_pos += (size_t)put;
    c->progress_us = c->pump->now_us;
    if (c->out_pos < out->len)
        return;
    c->out_is_here = false;
    if (c->lcore_ended)
        client_end(c);
    else
        unix_mail_post_lcore(&out->mail);
}

static void client_ready(struct control_source *source, uint32_t events)
{
    struct unix_client *c = (struct unix_client *)source;
    if (!c->ended && c->out_is_here)
        client_write(c);
    if (!c->ended && (c->watched & EPOLLIN) && (events & ~(uint32_t)EPOLLOUT))
        client_read(c);
    client_watch(c);
}

static void client_lcore_end(struct unix_client *c)
{
    c->lcore_ended = true;
    c->progress_us = c->pump->now_us;
    if (c->ended || c->link->lcore_aborted || !c->out_is_here)
        client_end(c);
}

static void client_mail(struct unix_link *link, struct unix_mail *mail, void *control)
{
    struct unix_client *c = link->control_state;
    if (mail == &link->end_lcore) {
        client_lcore_end(c);
    } else if (mail == &link->in.mail) {
        c->in_is_here = true;
    } else if (mail == &link->closing) {
        c->closing = true;
        c->progress_us = c->pump->now_us;
    } else if (!c->ended) {
        c->out_is_here = true;
        c->out_pos = 0;
        client_write(c);
    }
    client_watch(c);
}

static bool client_new(struct unix_pump *p, int fd)
{
    struct unix_client *c = calloc(1, sizeof(*c));
    struct unix_link *link = unix_link_new();
    if (!c || !link) {
        free(c);
        free(link);
        return false;
    }
    *c = (struct unix_client){.source.ready = client_ready,
                              .pump = p,
                              .link = link,
                              .next = p->clients,
                              .fd = fd,
                              .in_is_here = true};
    if (p->clients)
        p->clients->prev = c;
    p->clients = c;
    p->open_count++;
    link->control = p->control;
    link->lcore = p->lcores[p->lcore_next];
    p->lcore_next = (p->lcore_next + 1) % p->lcore_count;
    link->lcore_run = p->lcore_run;
    link->control_run = client_mail;
    link->control_state = c;
    memcpy(link->path, p->path, sizeof(link->path));
    unix_mail_post_lcore(&link->open);
    client_watch(c);
    return true;
}

/* ---- the listener ---- */

static void listener_watch(struct unix_pump *p, bool on)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &p->source};
    p->paused = !on;
    if (epoll_ctl(p->epoll_fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, p->fd, &event) != 0)
        log_warning("The unix socket can't be watched: %s", strerror(errno));
}

static void client_refuse(int fd)
{
    static const char text[] = "-ERR max number of clients reached\r\n";
    metric_inc(connections_rejected);
    (void)!send(fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    close(fd);
}

static void listener_ready(struct control_source *source, uint32_t events)
{
    struct unix_pump *p = (struct unix_pump *)source;
    for (int i = 0; i < ACCEPT_BURST; i++) {
        int fd = accept4(p->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0 && errno == EAGAIN)
            return;
        if (fd < 0) {
            /* Out of descriptors or memory: the listener would be told again at once. */
            log_warning("A client of the unix socket can't be accepted: %s", strerror(errno));
            listener_watch(p, false);
            return;
        }
        if (p->open_count >= UNIX_CLIENTS_MAX || !client_new(p, fd))
            client_refuse(fd);
    }
}

struct unix_pump *unix_pump_new(const struct unix_pump_options *options, char *err, size_t err_size)
{
    struct stat file;
    int fd = unix_listen(options->path, options->permissions, err, err_size);
    if (fd < 0)
        return NULL;
    struct unix_pump *p = calloc(1, sizeof(*p));
    CHECK(p);
    p->source.ready = listener_ready;
    p->fd = fd;
    p->paused = true;
    p->epoll_fd = options->epoll_fd;
    p->control = options->control;
    p->lcore_run = options->lcore_run;
    strcpy(p->path, options->path); /* unix_listen() has seen that it fits */
    if (realpath(options->path, p->file) && stat(p->file, &file) == 0) {
        p->file_dev = file.st_dev;
        p->file_ino = file.st_ino;
    }
    return p;
}

void unix_pump_start(struct unix_pump *p, struct mailbox *const *lcores, unsigned lcore_count)
{
    CHECK(lcore_count > 0);
    CHECK(p->lcore_count == 0);
    p->lcores = lcores;
    p->lcore_count = lcore_count;
    listener_watch(p, true);
}

void unix_pump_stop(struct unix_pump *p)
{
    struct stat file;
    if (p->fd < 0)
        return;
    close(p->fd);
    p->fd = -1;
    p->paused = false;
    /* Not another process' that has replaced it. */
    if (stat(p->file, &file) == 0 && file.st_dev == p->file_dev && file.st_ino == p->file_ino)
        unlink(p->file);
}

void unix_pump_tick(struct unix_pump *p, uint64_t now_us)
{
    p->now_us = now_us;
    if (p->paused && p->lcore_count > 0)
        listener_watch(p, true);
    for (struct unix_client *c = p->clients, *next; c; c = next) {
        next = c->next;
        bool lingers = !c->ended && (c->closing || c->lcore_ended);
        if (lingers && now_us - c->progress_us > UNIX_LINGER_US)
            client_end(c);
    }
}

void unix_pump_reap(struct unix_pump *p)
{
    while (p->finished) {
        struct unix_client *c = p->finished;
        p->finished = c->next;
        free(c);
    }
}

unsigned unix_pump_clients(const struct unix_pump *p)
{
    return p->open_count;
}

void unix_pump_free(struct unix_pump *p)
{
    if (!p)
        return;
    unix_pump_stop(p);
    unix_pump_reap(p);
    while (p->clients) {
        struct unix_client *c = p->clients;
        p->clients = c->next;
        if (!c->ended)
            close(c->fd);
        free(c->link);
        free(c);
    }
    free(p);
}
