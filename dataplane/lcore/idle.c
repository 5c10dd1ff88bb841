#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>
#include <rte_pause.h>
#include <rte_ring.h>
#include "idle.h"
#include "clock.h"
#include "log.h"
#include "metrics.h"
#include "port.h"
#include "qsbr.h"

struct idle {
    struct lcore *lcore;
    int epoll_fd;
    int port_fd; /* in the epoll set; -1: none */
    uint32_t port_fd_generation;
    uint64_t idle_since_us;  /* 0: the last round had work */
    uint64_t handed_over_us; /* when partial batches of retired memory last were */
};

struct idle *idle_new(struct lcore *l)
{
    struct idle *i = calloc(1, sizeof(*i));
    if (i == NULL)
        return NULL;
    i->lcore = l;
    i->port_fd = -1;
    i->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event mail = {.events = EPOLLIN};
    if (i->epoll_fd < 0 ||
        epoll_ctl(i->epoll_fd, EPOLL_CTL_ADD, l->worker.mailbox.event_fd, &mail) != 0) {
        log_warning("lcore %u: no epoll set: %s", l->config.id, strerror(errno));
        idle_free(i);
        return NULL;
    }
    return i;
}

void idle_free(struct idle *i)
{
    if (i == NULL)
        return;
    if (i->epoll_fd >= 0)
        close(i->epoll_fd);
    free(i);
}

/* The port's descriptor may change when a vhost peer reconnects. */
static void idle_follow_port(struct idle *i)
{
    struct port_queue *q = i->lcore->config.queue;
    if (i->port_fd == q->wake_fd && i->port_fd_generation == q->wake_fd_generation)
        return;
    if (i->port_fd >= 0)
        (void)epoll_ctl(i->epoll_fd, EPOLL_CTL_DEL, i->port_fd, NULL);
    i->port_fd = q->wake_fd;
    i->port_fd_generation = q->wake_fd_generation;
    struct epoll_event event = {.events = EPOLLIN};
    if (i->port_fd >= 0 && epoll_ctl(i->epoll_fd, EPOLL_CTL_ADD, i->port_fd, &event) != 0) {
        log_warning("lcore %u: port wake-up cannot be watched: %s", i->lcore->config.id,
                    strerror(errno));
        i->port_fd = -1;
    }
}

static void idle_wait(struct idle *i, uint64_t timeout_us)
{
    struct timespec t = {(time_t)(timeout_us / 1000000), (long)(timeout_us % 1000000) * 1000};
    struct epoll_event events[4];
    qsbr_offline();
    (void)epoll_pwait2(i->epoll_fd, events, 4, &t, NULL);
    qsbr_online();
}

static void idle_sleep(struct idle *i, uint64_t timeout_us)
{
    struct lcore *l = i->lcore;
    struct port_queue *q = l->config.queue;
    /* Not before every short sleep: each batch wakes liburcu's thread. */
    if (l->worker.now_us - i->handed_over_us >= IDLE_HAND_OVER_US) {
        i->handed_over_us = l->worker.now_us;
        (void)ks_reclaim(l->worker.ks, true, 0);
    }
    /* Announce sleep first, then look once more: whoever posts after the look sees the flag and
     * writes the eventfd (the fence is in mailbox_sleep_begin()). */
    if (!mailbox_sleep_begin(&l->worker.mailbox))
        return;
    bool port_wakes = q->wake_arm(q);
    idle_follow_port(i);
    if (!port_wakes || i->port_fd < 0)
        timeout_us = timeout_us < q->idle_max_us ? timeout_us : q->idle_max_us;
    /* A frame may have come between the last poll and the arming: poll again. */
    if (rte_ring_empty(l->steered) && !lcore_round(l) && timeout_us > 0) {
        metric_inc(lcore_sleeps);
        idle_wait(i, timeout_us);
    }
    q->wake_disarm(q);
    mailbox_sleep_end(&l->worker.mailbox);
}

void idle_step(struct idle *i, bool had_work)
{
    struct lcore *l = i->lcore;
    if (had_work || l->worker.config->idle == IDLE_BUSY) {
        i->idle_since_us = 0;
        return;
    }
    uint64_t now_us = l->worker.now_us;
    if (i->idle_since_us == 0)
        i->idle_since_us = now_us;
    uint64_t idle_us = now_us - i->idle_since_us;
    if (idle_us < IDLE_POLL_US)
        return;
    if (idle_us < IDLE_PAUSE_US) {
        for (int n = 0; n < 8; n++)
            rte_pause();
        return;
    }
    uint64_t deadline_us = lcore_deadline_us(l);
    uint64_t timeout_us = deadline_us > now_us ? deadline_us - now_us : 0;
    if (timeout_us > IDLE_SLEEP_MAX_US)
        timeout_us = IDLE_SLEEP_MAX_US;
    if (timeout_us > 0)
        idle_sleep(i, timeout_us);
}
