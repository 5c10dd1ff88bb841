#include <rte_mbuf.h>
#include "batch.h"
#include "bus_link.h"
#include "clock.h"
#include "follow_view.h"
#include "idle.h"
#include "job.h"
#include "lcore.h"
#include "link_stream.h"
#include "log.h"
#include "metrics.h"
#include "migrate_link.h"
#include "qsbr.h"
#include "session.h"
#include "steer.h"

#define RX_BURST 32
#define MAIL_BURST 256
#define TIMER_BURST 256
#define WALL_READ_US 500     /* the wall clock is read when this much has passed */
#define EXPIRE_BUCKETS 64    /* per piece of expiry */
#define EXPIRE_SHARE 3       /* a piece is followed by so many times its duration without one … */
#define EXPIRE_PRODUCTIVE 16 /* … as long as it deletes at least this many keys */
#define SESSION_CRON_BUDGET 64
#define RECLAIM_BUDGET 512
#define JOB_BUDGET_US 100
#define CLOSE_WAIT_US 1000000 /* at the end: for replies on their way */

static void lcore_read_clocks(struct lcore *l)
{
    uint64_t now_us = clock_now_us();
    l->worker.now_us = now_us;
    l->net->now_us = now_us;
    atomic_store_explicit(&l->heartbeat_us, now_us, memory_order_relaxed);
    /* Another lcore may have moved the node's clock on: what it has seen expired is expired here.
     */
    bool due = now_us - l->wall_read_us >= WALL_READ_US;
    if (due)
        l->wall_read_us = now_us;
    l->worker.now_ms = due ? clock_wall_refresh_ms() : clock_wall_ms();
    l->worker.ks->now_ms = l->worker.now_ms;
}

/* Books the cycles since the last call on a stage's counter. */
#define stage_end(l, counter)                          \
    do {                                               \
        uint64_t now_tsc = clock_tsc();                \
        metric_add(counter, now_tsc - (l)->stage_tsc); \
        (l)->stage_tsc = now_tsc;                      \
    } while (0)

static uint16_t lcore_poll_port(struct lcore *l, struct rte_mbuf **frames)
{
    struct port_queue *q = l->config.queue;
    if (likely_true(!(q->info->caps & PORT_RX_MAY_BLOCK)))
        return q->rx(q, frames, RX_BURST);
    qsbr_offline();
    uint16_t received = q->rx(q, frames, RX_BURST);
    qsbr_online();
    return received;
}

static bool lcore_receive(struct lcore *l)
{
    struct rte_mbuf *frames[RX_BURST];
    uint16_t received = lcore_poll_port(l, frames);
    stage_end(l, cycles_rx);
    uint16_t own = 0;
    if (received > 0) {
        metric_add(rx_packets, received);
        own = steer_frames(l, frames, received);
    }
    if (own > 0)
        netif_input(l->net, frames, own);
    uint16_t steered = steer_receive(l, frames, RX_BURST);
    if (steered > 0)
        netif_input(l->net, frames, steered);
    return received + steered > 0;
}

static void lcore_transmit(struct lcore *l)
{
    bool may_block = (l->config.queue->info->caps & PORT_TX_MAY_BLOCK) != 0;
    uint64_t sent = l->net->stats->tx_frames;
    if (may_block)
        qsbr_offline();
    netif_flush(l->net);
    if (may_block)
        qsbr_online();
    metric_add(tx_packets, l->net->stats->tx_frames - sent);
    stage_end(l, cycles_tx);
}

static void lcore_send(struct lcore *l, bool work)
{
    uint64_t bytes_out = tcp_stats(l->tcp)->bytes_out;
    tcp_flush(l->tcp);
    metric_add(net_output_bytes, tcp_stats(l->tcp)->bytes_out - bytes_out);
    if (work)
        stage_end(l, cycles_tcp_out);
    if (l->net->tx_count > 0)
        lcore_transmit(l);
}

/* Switches and neighbours learn where we are when the link comes up, at start and later. */
static void lcore_follow_link(struct lcore *l)
{
    bool up = l->config.queue->link_up;
    if (l->config.id == 0 && up && !l->link_up)
        netif_announce(l->net);
    l->link_up = up;
}

/* A piece of active expiry. While pieces find much they follow each other, at most a quarter of the
 * lcore's time; else the next background round is soon enough. */
static bool lcore_expire(struct lcore *l)
{
    uint64_t now_us = l->worker.now_us;
    if (likely_true(now_us < l->expire_due_us))
        return false;
    uint64_t start = clock_tsc();
    uint32_t effort = (uint32_t)l->worker.config->active_expire_effort;
    uint32_t deleted = ks_expire_cycle(l->worker.ks, EXPIRE_BUCKETS * effort);
    uint64_t took_us = (clock_tsc() - start) * 1000000 / clock_tsc_hz() + 1;
    bool productive = deleted >= EXPIRE_PRODUCTIVE;
    l->expire_due_us = productive ? now_us + took_us * EXPIRE_SHARE : UINT64_MAX;
    return productive;
}

static bool lcore_cron(struct lcore *l)
{
    const struct config *config = l->worker.config;
    if (l->worker.now_us < l->cron_due_us)
        return false;
    l->cron_due_us = l->worker.now_us + 1000000 / (uint64_t)config->hz;
    session_cron(&l->worker, SESSION_CRON_BUDGET);
    migrate_links_cron(&l->worker);
    lcore_follow_link(l);
    pubsub_follow_view(&l->worker);
    if (!atomic_load_explicit(&l->worker.node->active_expire_off, memory_order_relaxed))
        l->expire_due_us = 0;
    if (l->keepalive_s != (uint64_t)config->tcp_keepalive_s) {
        l->keepalive_s = (uint64_t)config->tcp_keepalive_s;
        tcp_keepalive_set(l->tcp, (uint32_t)l->keepalive_s);
    }
    return true;
}

bool lcore_round(struct lcore *l)
{
    uint64_t start = l->stage_tsc = clock_tsc();
    lcore_read_clocks(l);
    l->worker.config = config_get();
    bool work = lcore_receive(l);
    work |= mailbox_run(&l->worker.mailbox, &l->worker, MAIL_BURST) > 0;
    tcp_timers(l->tcp, TIMER_BURST);
    netif_tick(l->net);
    if (work)
        stage_end(l, cycles_tcp_in);
    tcp_deliver(l->tcp);
    if (l->bus != NULL)
        work |= bus_links_run(l->bus);
    work |= batch_run(l) > 0;
    work |= lcore_cron(l);
    work |= lcore_expire(l);
    batch_drop_closing(l);
    session_reap(&l->worker);
    if (work)
        stage_end(l, cycles_commands);
    lcore_send(l, work);
    /* Behind what others were answered, which does not wait for long work. */
    if (jobs_run(&l->worker, JOB_BUDGET_US)) {
        work = true;
        stage_end(l, cycles_commands);
    }
    work |= l->ready_head != NULL || tcp_flush_pending(l->tcp);
    work |= ks_reclaim(l->worker.ks, false, RECLAIM_BUDGET) == KS_RECLAIM_MORE;
    qsbr_quiescent();
    metric_inc(lcore_loops);
    if (work) {
        stage_end(l, cycles_reclaim);
        metric_add(lcore_busy_cycles, l->stage_tsc - start);
        metric_inc(lcore_busy_loops);
    }
    return work;
}

uint64_t lcore_deadline_us(const struct lcore *l)
{
    uint64_t deadline = l->cron_due_us;
    uint64_t tcp = tcp_deadline_us(l->tcp);
    uint64_t net = netif_deadline_us(l->net);
    uint64_t job = jobs_next_us(&l->worker);
    deadline = tcp < deadline ? tcp : deadline;
    deadline = job < deadline ? job : deadline;
    deadline = l->expire_due_us < deadline ? l->expire_due_us : deadline;
    uint64_t bus = l->bus != NULL ? bus_links_deadline_us(l->bus) : UINT64_MAX;
    deadline = bus < deadline ? bus : deadline;
    return net < deadline ? net : deadline;
}

static void lcore_end_session(void *arg, struct session *s)
{
    session_close(s, true);
}

/* Clients get what was queued for them, for a bounded time. */
static void lcore_wind_down(struct lcore *l)
{
    tcp_unlisten(l->tcp, l->config.tcp_port);
    session_each(&l->worker, lcore_end_session, NULL);
    link_streams_end(l);
    if (l->bus != NULL)
        bus_links_end(l->bus);
    uint64_t until_us = clock_now_us() + CLOSE_WAIT_US;
    do {
        (void)lcore_round(l);
    } while (clock_now_us() < until_us &&
             (tcp_stats(l->tcp)->conns_open > 0 || l->worker.unix_streams != NULL));
}

int lcore_run(void *arg)
{
    struct lcore *l = arg;
    qsbr_register();
    metrics_attach((int)l->config.id);
    while (!atomic_load_explicit(&l->stop, memory_order_acquire)) {
        bool work = lcore_round(l);
        idle_step(l->idle, work);
    }
    lcore_wind_down(l);
    qsbr_unregister();
    atomic_store_explicit(&l->stopped, true, memory_order_release);
    return 0;
}

void lcore_stop(struct lcore *l)
{
    atomic_store_explicit(&l->stop, true, memory_order_release);
    mailbox_wake(&l->worker.mailbox);
}
