#include "control.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "check.h"
#include "clock.h"
#include "cluster_mail.h"
#include "cluster_shell.h"
#include "config.h"
#include "control_serve.h"
#include "links.h"
#include "log.h"
#include "metrics.h"
#include "qsbr.h"
#include "unix_pump.h"

#define MAIL_BURST 256
#define EVENT_BURST 64
#define STOPPING_TICK_US 5000

struct control {
    struct control_server server; /* first: what mail to the control thread is run with */
    struct control_options options;
    struct mailbox mailbox;
    struct control_source mail_source, signal_source;
    int epoll_fd, signal_fd;
    struct unix_pump *pump; /* NULL: no unix socket */
    struct mailbox *const *lcores;
    unsigned lcore_count;
    _Atomic(const char *) stop_why; /* w: any thread; NULL: runs on */
    uint64_t tick_due_us;
    uint64_t stop_until_us; /* 0: the end was not asked for yet */
};

/* ---- signals ---- */

static void signals_of_ours(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
}

void control_signals_setup(void)
{
    sigset_t set;
    signals_of_ours(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
}

static void signal_ready(struct control_source *source, uint32_t events)
{
    struct control *c = container_from(source, struct control, signal_source);
    struct signalfd_siginfo info;
    if (read(c->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    control_stop(c, info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
}

static void mail_ready(struct control_source *source, uint32_t events)
{
    /* Its descriptor only wakes; the mail is run once per round. */
}

/* ---- life ---- */

static bool control_watch(struct control *c, int fd, struct control_source *source)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
    return epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool control_open(struct control *c, char err[CONTROL_ERROR_SIZE])
{
    sigset_t set;
    signals_of_ours(&set);
    c->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (c->signal_fd < 0 || c->epoll_fd < 0 || !mailbox_init(&c->mailbox) ||
        !control_watch(c, c->signal_fd, &c->signal_source) ||
        !control_watch(c, c->mailbox.event_fd, &c->mail_source)) {
        snprintf(err, CONTROL_ERROR_SIZE, "the control thread can't be set up: %s",
                 strerror(errno));
        return false;
    }
    const struct config *config = config_get();
    if (config->unixsocket[0] == '\0')
        return true;
    struct unix_pump_options options = {.path = config->unixsocket,
                                        .permissions = (unsigned)config->unixsocketperm,
                                        .epoll_fd = c->epoll_fd,
                                        .control = &c->mailbox,
                                        .lcore_run = c->options.unix_lcore_run};
    c->pump = unix_pump_new(&options, err, CONTROL_ERROR_SIZE);
    return c->pump != NULL;
}

static bool control_open_cluster(struct control *c, char err[CONTROL_ERROR_SIZE])
{
    if (c->options.cluster == NULL)
        return true;
    c->server.cluster = cluster_shell_new(c->options.cluster, &c->mailbox, err);
    return c->server.cluster != NULL;
}

struct control *control_new(const struct control_options *options, char err[CONTROL_ERROR_SIZE])
{
    struct control *c =
        aligned_alloc(CACHE_LINE, (sizeof(*c) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
    CHECK(c);
    memset(c, 0, sizeof(*c));
    c->options = *options;
    c->mail_source.ready = mail_ready;
    c->signal_source.ready = signal_ready;
    c->mailbox.event_fd = c->signal_fd = c->epoll_fd = -1;
    control_server_init(&c->server, c, options->config_path);
    c->server.links = links_new(&c->mailbox, options->link_lcore_run);
    c->server.capture = (struct capture_desk){.ops = options->capture, .arg = options->capture_arg};
    if (control_open(c, err) && control_open_cluster(c, err))
        return c;
    control_free(c);
    return NULL;
}

void control_cluster_publish(struct mail *mail, void *control)
{
    struct control *c = control;
    struct cluster_publication *p = container_from(mail, struct cluster_publication, mail);
    if (!c->server.ending)
        cluster_shell_publish(c->server.cluster, p->channel, p->message, p->sharded);
    cluster_publication_free(p);
}

struct bus_path *control_bus_path(struct control *c, unsigned lcore)
{
    return c->server.cluster != NULL ? cluster_shell_path(c->server.cluster, lcore) : NULL;
}

uint16_t control_bus_port(const struct control *c)
{
    return c->server.cluster != NULL ? cluster_shell_bus_port(c->server.cluster) : 0;
}

struct mailbox *control_mailbox(struct control *c)
{
    return &c->mailbox;
}

void control_lcores_set(struct control *c, struct mailbox *const *lcores, unsigned lcore_count)
{
    c->lcores = lcores;
    c->lcore_count = lcore_count;
}

void control_stop(struct control *c, const char *why)
{
    const char *none = NULL;
    atomic_compare_exchange_strong(&c->stop_why, &none, why);
    mailbox_wake(&c->mailbox);
}

void control_free(struct control *c)
{
    if (!c)
        return;
    unix_pump_free(c->pump);
    c->server.ending = true;
    if (c->server.cluster != NULL) {
        cluster_shell_stop(c->server.cluster);
        cluster_shell_free(c->server.cluster);
    }
    links_free(c->server.links);
    control_server_fini(&c->server);
    if (c->epoll_fd >= 0)
        close(c->epoll_fd);
    if (c->signal_fd >= 0)
        close(c->signal_fd);
    if (c->mailbox.event_fd >= 0)
        mailbox_fini(&c->mailbox);
    free(c);
}

/* ---- the loop ---- */

static void control_wait(struct control *c, uint64_t timeout_us)
{
    struct epoll_event events[EVENT_BURST];
    int timeout_ms = (int)((timeout_us + 999) / 1000);
    if (!mailbox_sleep_begin(&c->mailbox) || (atomic_load(&c->stop_why) && c->stop_until_us == 0))
        timeout_ms = 0;
    qsbr_offline();
    int count = epoll_wait(c->epoll_fd, events, EVENT_BURST, timeout_ms);
    qsbr_online();
    mailbox_sleep_end(&c->mailbox);
    for (int i = 0; i < count; i++) {
        struct control_source *source = events[i].data.ptr;
        source->ready(source, events[i].events);
    }
}

static void control_tick(struct control *c, uint64_t now_us)
{
    c->tick_due_us = now_us + CONTROL_TICK_US;
    if (c->pump)
        unix_pump_tick(c->pump, now_us);
    links_tick(c->server.links, now_us);
    if (!c->server.ending)
        capture_desk_tick(&c->server.capture);
    if (c->options.tick)
        c->options.tick(c->options.arg, now_us);
}

static void control_begin_stop(struct control *c, uint64_t now_us)
{
    const char *why = atomic_load(&c->stop_why);
    c->stop_until_us = now_us + CONTROL_STOP_US;
    c->server.ending = true;
    if (c->pump)
        unix_pump_stop(c->pump);
    if (c->server.cluster != NULL)
        cluster_shell_stop(c->server.cluster);
    if (c->options.stopping)
        c->options.stopping(c->options.arg, why);
}

/* True: nobody has to be waited for any more. */
static bool control_is_over(struct control *c, uint64_t now_us)
{
    if (!atomic_load(&c->stop_why))
        return false;
    if (c->stop_until_us == 0)
        control_begin_stop(c, now_us);
    return now_us >= c->stop_until_us || !c->options.stopped || c->options.stopped(c->options.arg);
}

/* How long nothing has to be done but for mail. */
static uint64_t control_rest_us(const struct control *c, uint64_t now_us)
{
    if (c->stop_until_us > 0)
        return STOPPING_TICK_US;
    uint64_t due_us = c->tick_due_us;
    if (c->server.cluster != NULL && cluster_shell_next_us(c->server.cluster) < due_us)
        due_us = cluster_shell_next_us(c->server.cluster);
    return due_us > now_us ? due_us - now_us : 0;
}

void control_run(struct control *c)
{
    if (c->pump && c->lcore_count > 0)
        unix_pump_start(c->pump, c->lcores, c->lcore_count);
    links_start(c->server.links, c->lcores, c->lcore_count);
    if (c->server.cluster != NULL)
        cluster_shell_start(c->server.cluster, c->lcore_count, clock_now_us());
    while (true) {
        uint64_t now_us = clock_now_us();
        bool over = control_is_over(c, now_us);
        (void)mailbox_run(&c->mailbox, c, over ? UINT32_MAX : MAIL_BURST);
        if (now_us >= c->tick_due_us)
            control_tick(c, now_us);
        if (c->server.cluster != NULL && !c->server.ending)
            cluster_shell_round(c->server.cluster, now_us);
        if (c->pump)
            unix_pump_reap(c->pump);
        log_pump();
        if (over)
            return;
        control_wait(c, control_rest_us(c, now_us));
    }
}
