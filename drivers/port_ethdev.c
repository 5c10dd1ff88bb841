#include "port_ethdev.h"
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_eth_vhost.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_vhost.h>
#include "check.h"
#include "ethdev_setup.h"
#include "log.h"

#define IDLE_MAX_US 500 /* rule 5: without a wake-up */
#define TAP_DRIVER_MTU_MAX 1500
#define ALARMS_RUN_OUT_US 20000
#define IDLE_MAX_WAKEABLE_US 1000000 /* with one: a bound in case a driver loses an event */

static struct ethdev_queue *queue_of(struct port_queue *q)
{
    return container_from(q, struct ethdev_queue, base);
}

static uint16_t frames_send(void *arg, struct rte_mbuf **frames, uint16_t count)
{
    struct ethdev_queue *q = arg;
    uint16_t port = q->port->port_id;
    uint16_t id = q->base.id;
    uint16_t done = 0;
    while (done < count) {
        uint16_t ready = rte_eth_tx_prepare(port, id, frames + done, (uint16_t)(count - done));
        uint16_t sent = ready == 0 ? 0 : rte_eth_tx_burst(port, id, frames + done, ready);
        done = (uint16_t)(done + sent);
        if (sent < ready)
            break;
        if (done < count) {
            /* The driver refuses this one for good. */
            q->stage.offload.dropped++;
            rte_pktmbuf_free(frames[done++]);
        }
    }
    return done;
}

static uint16_t frames_send_tap(void *arg, struct rte_mbuf **frames, uint16_t count)
{
    struct ethdev_queue *q = arg;
    return tap_tx_burst(&q->tap, frames, count);
}

static uint16_t ethdev_tx(struct port_queue *base, struct rte_mbuf **pkts, uint16_t n)
{
    return tx_stage_take(&queue_of(base)->stage, pkts, n);
}

static uint16_t ethdev_rx(struct port_queue *base, struct rte_mbuf **pkts, uint16_t n)
{
    struct ethdev_queue *q = queue_of(base);
    if (unlikely(q->stage.count > 0))
        tx_stage_retry(&q->stage);
    uint16_t count = rte_eth_rx_burst(q->port->port_id, base->id, pkts, n);
    capture_rx(&q->stage.capture, pkts, count);
    return count;
}

static void ethdev_tx_flush(struct port_queue *base)
{
    struct ethdev_queue *q = queue_of(base);
    tx_stage_retry(&q->stage);
    rte_eth_tx_done_cleanup(q->port->port_id, base->id, 0);
}

static bool wake_none(struct port_queue *base)
{
    return false;
}

static bool wake_always(struct port_queue *base)
{
    return true;
}

static void wake_ignore(struct port_queue *base)
{
}

static bool wake_interrupt_arm(struct port_queue *base)
{
    struct ethdev_queue *q = queue_of(base);
    pthread_mutex_lock(&q->arm_lock);
    rte_eth_dev_rx_intr_enable(q->port->port_id, base->id);
    pthread_mutex_unlock(&q->arm_lock);
    return true;
}

static void wake_interrupt_disarm(struct port_queue *base)
{
    struct ethdev_queue *q = queue_of(base);
    struct epoll_event events[2];
    uint64_t pokes;
    pthread_mutex_lock(&q->arm_lock);
    rte_eth_dev_rx_intr_disable(q->port->port_id, base->id);
    pthread_mutex_unlock(&q->arm_lock);
    if (epoll_wait(base->wake_fd, events, 2, 0) > 0)
        if (read(q->poke_fd, &pokes, sizeof(pokes)) < 0)
            return;
}

static bool wake_epoll_open(struct ethdev_queue *q, int driver_fd)
{
    struct epoll_event edge = {.events = EPOLLIN | EPOLLET};
    q->poke_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    q->base.wake_fd = epoll_create1(EPOLL_CLOEXEC);
    return q->poke_fd >= 0 && q->base.wake_fd >= 0 &&
           epoll_ctl(q->base.wake_fd, EPOLL_CTL_ADD, q->poke_fd, &edge) == 0 &&
           epoll_ctl(q->base.wake_fd, EPOLL_CTL_ADD, driver_fd, &edge) == 0;
}

bool ethdev_wake_open(struct ethdev_queue *q)
{
    const struct ethdev_port *port = q->port;
    q->base.idle_max_us = IDLE_MAX_US;
    q->base.wake_arm = wake_none;
    q->base.wake_disarm = wake_ignore;
    if (port->kind->wake == PORT_WAKE_NONE || !port->wakes)
        return true;
    int fd = rte_eth_dev_rx_intr_ctl_q_get_fd(port->port_id, q->base.id);
    if (fd < 0)
        return true;
    q->base.idle_max_us = IDLE_MAX_WAKEABLE_US;
    if (port->spec.kind == PORT_KIND_TAP &&
        !(port->captured && port->info.mtu <= TAP_DRIVER_MTU_MAX)) {
        q->tap.fd = fd;
        q->stage.send = frames_send_tap;
    }
    if (port->kind->wake == PORT_WAKE_FD) {
        q->base.wake_fd = fd;
        q->base.wake_arm = wake_always;
        return true;
    }
    q->base.wake_arm = wake_interrupt_arm;
    q->base.wake_disarm = wake_interrupt_disarm;
    return wake_epoll_open(q, fd);
}

void ethdev_queue_init(struct ethdev_queue *q, struct ethdev_port *port, uint16_t id)
{
    memset(q, 0, sizeof(*q));
    q->port = port;
    q->poke_fd = -1;
    pthread_mutex_init(&q->arm_lock, NULL);
    q->stage.send = frames_send;
    q->stage.arg = q;
    q->base.rx = ethdev_rx;
    q->base.tx = ethdev_tx;
    q->base.tx_flush = ethdev_tx_flush;
    q->base.wake_arm = wake_none;
    q->base.wake_disarm = wake_ignore;
    q->base.wake_fd = -1;
    q->base.info = &port->info;
    q->base.id = id;
}

/* Kernel interfaces: their drivers report a link that is always up. */
static bool link_read(const struct ethdev_port *port)
{
    struct rte_eth_link link = {0};
    struct ifreq request = {0};
    if (!port->kind->netdev)
        return rte_eth_link_get_nowait(port->port_id, &link) == 0 && link.link_status != 0;
    memcpy(request.ifr_name, port->spec.target, IFNAMSIZ);
    if (ioctl(port->control_fd, SIOCGIFFLAGS, &request) != 0)
        return false;
    return (request.ifr_flags & IFF_UP) && (request.ifr_flags & IFF_RUNNING);
}

/* A vhost peer that takes no half-done checksums has the driver sum in software: with
 * rte_raw_cksum_mbuf, which is wrong for chains of odd lengths. Ours is right, and leaves nothing
 * to do. */
static void vhost_follow_peer(struct ethdev_port *port)
{
    uint64_t features = 0;
    int vid = rte_eth_vhost_get_vid_from_port_id(port->port_id);
    bool takes = vid >= 0 && rte_vhost_get_negotiated_features(vid, &features) == 0 &&
                 (features & 1ull << VIRTIO_NET_F_GUEST_CSUM) != 0;
    uint64_t hardware = takes ? RTE_MBUF_F_TX_TCP_CKSUM : 0;
    for (int i = 0; i < port->queue_count; i++)
        __atomic_store_n(&port->queue[i].stage.offload.hardware, hardware, __ATOMIC_RELAXED);
}

void ethdev_poll(struct ethdev_port *port)
{
    bool up = link_read(port);
    int before = __atomic_exchange_n(&port->link, (int)up, __ATOMIC_RELAXED);
    if (before == (int)up)
        return;
    if (up && port->spec.kind == PORT_KIND_VHOST)
        vhost_follow_peer(port);
    for (int i = 0; i < port->queue_count; i++)
        __atomic_store_n(&port->queue[i].base.link_up, up, __ATOMIC_RELAXED);
    if (before >= 0)
        log_notice("port %s: link is %s", port->info.name, up ? "up" : "down");
}

/* A vhost peer came or went; on the driver's thread. Taking each queue's lock lets an arming that
 * saw the old connection end before the driver frees it; the poke makes a sleeper arm the new one.
 */
static int link_event(uint16_t port_id, enum rte_eth_event_type type, void *arg, void *ret)
{
    struct ethdev_port *port = arg;
    const uint64_t one = 1;
    for (int i = 0; i < port->queue_count; i++) {
        struct ethdev_queue *q = &port->queue[i];
        pthread_mutex_lock(&q->arm_lock);
        pthread_mutex_unlock(&q->arm_lock);
        if (q->poke_fd >= 0 && write(q->poke_fd, &one, sizeof(one)) < 0)
            continue;
    }
    if (type == RTE_ETH_EVENT_INTR_LSC)
        ethdev_poll(port);
    return 0;
}

void ethdev_callbacks_set(struct ethdev_port *port, bool on)
{
    const enum rte_eth_event_type types[] = {RTE_ETH_EVENT_INTR_LSC, RTE_ETH_EVENT_QUEUE_STATE};
    for (size_t i = 0; i < count_of(types); i++) {
        if (on)
            rte_eth_dev_callback_register(port->port_id, types[i], link_event, port);
        else
            rte_eth_dev_callback_unregister(port->port_id, types[i], link_event, port);
    }
    port->callbacks = on;
}

bool ethdev_stats(const struct ethdev_port *port, struct port_stats *stats)
{
    struct rte_eth_stats s;
    memset(stats, 0, sizeof(*stats));
    if (rte_eth_stats_get(port->port_id, &s) != 0)
        return false;
    *stats = (struct port_stats){.rx_packets = s.ipackets,
                                 .rx_bytes = s.ibytes,
                                 .rx_missed = s.imissed,
                                 .rx_errors = s.ierrors,
                                 .rx_no_buffer = s.rx_nombuf,
                                 .tx_packets = s.opackets,
                                 .tx_bytes = s.obytes,
                                 .tx_errors = s.oerrors};
    for (int i = 0; i < port->queue_count; i++) {
        const struct ethdev_queue *q = &port->queue[i];
        stats->tx_packets += q->tap.packets;
        stats->tx_bytes += q->tap.bytes;
        stats->tx_errors += q->tap.errors + q->stage.offload.dropped;
    }
    return true;
}

static void queue_close(struct ethdev_queue *q)
{
    tx_stage_drop(&q->stage);
    if (q->poke_fd >= 0) {
        close(q->poke_fd);
        if (q->base.wake_fd >= 0)
            close(q->base.wake_fd);
    }
    rte_mempool_free(q->stage.offload.indirect);
    pthread_mutex_destroy(&q->arm_lock);
}

/* Looking at the link of a virtio-user port whose peer has gone leaves alarms behind, due after 1
 * us, that the driver does not cancel when the port goes. */
static void alarms_run_out(const struct ethdev_port *port)
{
    if (port->spec.kind == PORT_KIND_VIRTIO_USER)
        rte_delay_us_sleep(ALARMS_RUN_OUT_US);
}

void ethdev_close(struct ethdev_port *port)
{
    if (port == NULL)
        return;
    if (port->callbacks)
        ethdev_callbacks_set(port, false);
    if (port->plugged) {
        struct rte_eth_dev_info info;
        alarms_run_out(port);
        rte_eth_dev_stop(port->port_id);
        if (rte_eth_dev_info_get(port->port_id, &info) == 0)
            rte_dev_remove(info.device);
    }
    for (int i = 0; i < port->queue_count; i++)
        queue_close(&port->queue[i]);
    if (port->control_fd >= 0)
        close(port->control_fd);
    free(port->queue);
    free(port);
}
