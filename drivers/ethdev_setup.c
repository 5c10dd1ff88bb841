#include "ethdev_setup.h"
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include "check.h"
#include "dpdk_log.h"
#include "log.h"
#include "port_probe.h"

#define DESCRIPTORS 1024
#define TAP_SEGMENTS 8 /* buffers that one frame may fill: 9600 bytes in 2 KB each, with room */
#define AF_XDP_BUFFERS_MIN 8000 /* its fill ring, both rings, and as much again to work with */
#define INDIRECT_BUFFERS 2047
#define FRAME_OVERHEAD_BYTES 18 /* Ethernet header and one VLAN tag */
#define RSS_TCP (RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_TCP)
#define RSS_RETA_MAX 1024

static bool fail(const struct ethdev_port *port, char *err, const char *step, const char *why)
{
    char detail[256];
    dpdk_log_collected(detail, sizeof(detail));
    snprintf(err, PORT_ERROR_SIZE, "nic %s: %s%s%s%s%s", port->info.name, step,
             why[0] == '\0' ? "" : ": ", why, detail[0] == '\0' ? "" : ": ", detail);
    return false;
}

static bool fail_code(const struct ethdev_port *port, char *err, const char *step, int code)
{
    return fail(port, err, step, code < 0 ? strerror(-code) : "");
}

static bool mac_choose(struct ethdev_port *port, const struct port_options *options, char *err)
{
    char text[160];
    if (options->mac[0] != '\0' && !port_mac_parse(options->mac, port->info.mac)) {
        snprintf(err, PORT_ERROR_SIZE, "mac \"%.40s\": must look like 02:00:00:00:00:01, unicast",
                 options->mac);
        return false;
    }
    if (options->mac[0] == '\0' && port->kind->own_mac) {
        snprintf(text, sizeof(text), "%s %s", options->ip == NULL ? "" : options->ip,
                 port->info.name);
        port_mac_derive(text, port->info.mac);
    }
    return true;
}

static bool plug_vdev(struct ethdev_port *port, char *name, size_t size, char *err)
{
    static int number; /* device names are the process's, not the node's */
    char args[512];
    struct port_device device = {
        .mac = port->info.mac, .queue_count = port->queue_count, .mtu = port->info.mtu};
    CHECK(port_spec_devargs(&port->spec, &device, args, sizeof(args)));
    snprintf(name, size, "%s%d", port->kind->vdev, number++);
    int code = rte_eal_hotplug_add("vdev", name, args);
    return code == 0 || fail_code(port, err, "the driver cannot open it", code);
}

/* A PCI device was probed by EAL already: it is the only one allowed. */
static bool plug(struct ethdev_port *port, char *err)
{
    char name[PORT_SPEC_TARGET_SIZE];
    if (port->spec.server && port->spec.kind == PORT_KIND_VIRTIO_USER)
        log_notice("port %s: waiting for its vhost side to connect", port->info.name);
    if (port->kind->vdev == NULL)
        snprintf(name, sizeof(name), "%s", port->spec.target);
    else if (!plug_vdev(port, name, sizeof(name), err))
        return false;
    if (rte_eth_dev_get_port_by_name(name, &port->port_id) != 0)
        return fail(port, err, "no driver took it",
                    port->kind->vdev == NULL ? "is its driver among those linked?" : "");
    port->plugged = true;
    return true;
}

static uint64_t rx_offloads_wanted(const struct ethdev_port *port, const struct eal *eal)
{
    uint64_t wanted = RTE_ETH_RX_OFFLOAD_RSS_HASH;
    /* The TAP driver would verify in software, as the stack does. */
    if (!port->kind->software_tx)
        wanted |= RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
    if ((uint32_t)port->info.mtu + FRAME_OVERHEAD_BYTES > eal->data_room_bytes)
        wanted |= RTE_ETH_RX_OFFLOAD_SCATTER;
    return wanted;
}

static uint64_t tx_offloads_wanted(const struct ethdev_port *port)
{
    uint64_t wanted = RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
    if (!port->kind->software_tx)
        wanted |= RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
                  RTE_ETH_TX_OFFLOAD_TCP_TSO;
    return wanted;
}

/* Under our key, over the TCP 4-tuple, where the device can do both. */
static void rss_wanted(const struct ethdev_port *port, const struct rte_eth_dev_info *dev,
                       const uint8_t *key, struct rte_eth_conf *conf)
{
    bool able = (dev->flow_type_rss_offloads & RSS_TCP) == RSS_TCP &&
                dev->hash_key_size == RSS_KEY_SIZE && !port->kind->software_tx;
    if (!able || key == NULL) {
        conf->rxmode.offloads &= ~RTE_ETH_RX_OFFLOAD_RSS_HASH;
        return;
    }
    conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf->rx_adv_conf.rss_conf = (struct rte_eth_rss_conf){
        .rss_key = (uint8_t *)(uintptr_t)key, .rss_key_len = RSS_KEY_SIZE, .rss_hf = RSS_TCP};
}


static const uint16_t tap_queues_max = 4;

static bool configure(struct ethdev_port *port, const struct port_options *options,
                      const struct eal *eal, char *err)
{
    struct rte_eth_dev_info dev;
    struct rte_eth_conf conf = {0};
    uint16_t queues = (uint16_t)port->queue_count;
    char why[96];
    int code = rte_eth_dev_info_get(port->port_id, &dev);
    if (code != 0)
        return fail_code(port, err, "cannot be asked what it offers", code);
    snprintf(port->info.driver, sizeof(port->info.driver), "%s", dev.driver_name);
    /* The driver says more, but its message to secondary processes has room for eight descriptors,
     * two per queue, and is written past its end by the fifth. */
    if (port->spec.kind == PORT_KIND_TAP)
        dev.max_rx_queues = (uint16_t)RTE_MIN(dev.max_rx_queues, tap_queues_max);
    if (queues > dev.max_rx_queues || queues > dev.max_tx_queues) {
        snprintf(why, sizeof(why), "it has %u queues: set lcores to at most that many",
                 RTE_MIN(dev.max_rx_queues, dev.max_tx_queues));
        return fail(port, err, "too many lcores", why);
    }
    conf.rxmode.offloads = rx_offloads_wanted(port, eal) & dev.rx_offload_capa;
    conf.txmode.offloads = tx_offloads_wanted(port) & dev.tx_offload_capa;
    rss_wanted(port, &dev, options->rss_key, &conf);
    /* Others carry what they are given; a kernel interface keeps its MTU. */
    if (port->spec.kind == PORT_KIND_VIRTIO_USER || port->spec.kind == PORT_KIND_PCI)
        conf.rxmode.mtu = port->info.mtu;
    if (port->spec.kind == PORT_KIND_AF_XDP && port->info.mtu > dev.max_mtu) {
        snprintf(why, sizeof(why), "set mtu to at most %u", dev.max_mtu);
        return fail(port, err, "af_xdp has one page per frame", why);
    }
    if (port->spec.kind == PORT_KIND_AF_XDP && eal->packet_buffers < AF_XDP_BUFFERS_MIN) {
        snprintf(why, sizeof(why), "set packet-buffers to at least %d", AF_XDP_BUFFERS_MIN);
        return fail(port, err, "af_xdp keeps 2048 of them for receiving", why);
    }
    conf.intr_conf.rxq = port->kind->wake != PORT_WAKE_NONE;
    code = rte_eth_dev_configure(port->port_id, queues, queues, &conf);
    if (code != 0 && conf.intr_conf.rxq) {
        conf.intr_conf.rxq = 0;
        code = rte_eth_dev_configure(port->port_id, queues, queues, &conf);
    }
    if (code != 0)
        return fail_code(port, err, "cannot be configured", code);
    port->wakes = conf.intr_conf.rxq != 0;
    port->rx_offloads = conf.rxmode.offloads;
    port->tx_offloads = conf.txmode.offloads;
    port->rss = conf.rxmode.mq_mode == RTE_ETH_MQ_RX_RSS;
    port->reta_size = dev.reta_size;
    return true;
}

static uint16_t descriptors(const struct ethdev_port *port, const struct eal *eal)
{
    uint32_t count = DESCRIPTORS;
    if (port->spec.kind == PORT_KIND_TAP)
        return TAP_SEGMENTS;
    /* What a ring holds cannot be used elsewhere: at most a quarter of the pool. */
    while (count > eal->packet_buffers / 4)
        count /= 2;
    return (uint16_t)count;
}

static bool queue_setup(struct ethdev_port *port, const struct eal *eal, int index, char *err)
{
    uint16_t id = (uint16_t)index;
    struct ethdev_queue *q = &port->queue[index];
    const struct eal_lcore *lcore = &eal->lcore[index];
    unsigned node = (unsigned)lcore->numa_node;
    uint16_t rx_count = descriptors(port, eal);
    uint16_t tx_count = rx_count;
    char name[RTE_MEMPOOL_NAMESIZE];
    q->base.pool = lcore->pool;
    q->stage.offload.pool = lcore->pool;
    snprintf(name, sizeof(name), "indirect%u.%d", port->port_id, index);
    q->stage.offload.indirect =
        rte_pktmbuf_pool_create(name, INDIRECT_BUFFERS, 128, 0, 0, lcore->numa_node);
    if (q->stage.offload.indirect == NULL)
        return fail(port, err, "no memory for its buffers", "lower packet-buffers");
    int code = rte_eth_dev_adjust_nb_rx_tx_desc(port->port_id, &rx_count, &tx_count);
    if (code == 0)
        code = rte_eth_rx_queue_setup(port->port_id, id, rx_count, node, NULL, lcore->pool);
    if (code == 0)
        code = rte_eth_tx_queue_setup(port->port_id, id, tx_count, node, NULL);
    return code == 0 || fail_code(port, err, "its queues cannot be set up", code);
}

/* Entry i serves the hashes that end in i; the stack's table has RSS_TABLE_SIZE of them. */
static bool reta_set(const struct ethdev_port *port)
{
    struct rte_eth_rss_reta_entry64 reta[RSS_RETA_MAX / RTE_ETH_RETA_GROUP_SIZE];
    unsigned size = port->reta_size;
    if (!port->rss || size < RSS_TABLE_SIZE || size > RSS_RETA_MAX)
        return false;
    memset(reta, 0, sizeof(reta));
    for (unsigned i = 0; i < size; i++) {
        reta[i / RTE_ETH_RETA_GROUP_SIZE].mask |= 1ull << (i % RTE_ETH_RETA_GROUP_SIZE);
        reta[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE] =
            (uint16_t)(i % RSS_TABLE_SIZE % (unsigned)port->queue_count);
    }
    return rte_eth_dev_rss_reta_update(port->port_id, reta, (uint16_t)size) == 0;
}

static void caps_set(struct ethdev_port *port)
{
    uint32_t caps = port->kind->caps;
    if (port->tx_offloads & RTE_ETH_TX_OFFLOAD_TCP_CKSUM)
        caps |= PORT_TX_CHECKSUM;
    if (port->tx_offloads & RTE_ETH_TX_OFFLOAD_TCP_TSO)
        caps |= PORT_TX_TSO;
    if (port->tx_offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS)
        caps |= PORT_TX_MULTI_SEG;
    if (port->kind->extbuf)
        caps |= PORT_TX_EXTBUF;
    if (port->rx_offloads & RTE_ETH_RX_OFFLOAD_RSS_HASH)
        caps |= PORT_RX_HASH;
    if (port->rx_offloads & RTE_ETH_RX_OFFLOAD_SCATTER || port->spec.kind == PORT_KIND_MEMIF ||
        port->spec.kind == PORT_KIND_VHOST)
        caps |= PORT_RX_SCATTER;
    if (reta_set(port))
        caps |= PORT_RX_STEERED;
    port->info.caps = caps;
}

static void offload_init(struct ethdev_port *port, struct offload *offload)
{
    uint64_t tx = port->tx_offloads;
    offload->frame_bytes = (uint32_t)port->info.mtu + FRAME_OVERHEAD_BYTES;
    offload->multi_seg = (tx & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) != 0;
    if (tx & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM)
        offload->hardware |= RTE_MBUF_F_TX_IP_CKSUM;
    offload->own_buffers = (tx & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE) != 0;
    /* On vhost it depends on the peer. */
    if ((tx & RTE_ETH_TX_OFFLOAD_TCP_CKSUM) && port->spec.kind != PORT_KIND_VHOST)
        offload->hardware |= RTE_MBUF_F_TX_TCP_CKSUM;
    if (tx & RTE_ETH_TX_OFFLOAD_TCP_TSO)
        offload->hardware |= RTE_MBUF_F_TX_TCP_SEG;
    /* vhost forwards the flag but has no prepare function of its own. */
    offload->prepare = port->spec.kind == PORT_KIND_VHOST;
}

/* Multicast (neighbour discovery), and a MAC that is not the interface's, by a membership of our
 * own socket: it ends with the process and leaves the interface's flags alone. */
static bool netdev_filters(struct ethdev_port *port, char *err)
{
    struct packet_mreq request = {.mr_ifindex = (int)if_nametoindex(port->spec.target),
                                  .mr_type =
                                      port->promiscuous ? PACKET_MR_PROMISC : PACKET_MR_ALLMULTI};
    port->control_fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (port->control_fd < 0 || setsockopt(port->control_fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP,
                                           &request, sizeof(request)) != 0)
        return fail_code(port, err, "its receive filter cannot be opened", -errno);
    return true;
}

static bool device_filters(struct ethdev_port *port, const struct port_options *options, char *err)
{
    struct rte_ether_addr mac;
    if (port->kind->own_mac)
        return true;
    if (rte_eth_macaddr_get(port->port_id, &mac) != 0)
        return fail(port, err, "it has no MAC", "set mac");
    if (options->mac[0] == '\0')
        memcpy(port->info.mac, mac.addr_bytes, sizeof(port->info.mac));
    bool differs = memcmp(port->info.mac, mac.addr_bytes, sizeof(port->info.mac)) != 0;
    port->promiscuous = differs;
    if (port->kind->netdev)
        return netdev_filters(port, err);
    memcpy(mac.addr_bytes, port->info.mac, sizeof(port->info.mac));
    if (differs && rte_eth_dev_default_mac_addr_set(port->port_id, &mac) == 0)
        port->promiscuous = false;
    if (port->promiscuous)
        rte_eth_promiscuous_enable(port->port_id);
    rte_eth_allmulticast_enable(port->port_id);
    return true;
}

static bool tap_mtu_set(const struct ethdev_port *port, char *err)
{
    struct ifreq request = {.ifr_mtu = port->info.mtu};
    memcpy(request.ifr_name, port->spec.target, IFNAMSIZ);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int code = fd < 0 || ioctl(fd, SIOCSIFMTU, &request) != 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    return code == 0 || fail_code(port, err, "its MTU cannot be set", code);
}

static bool bring_up(struct ethdev_port *port, const struct port_options *options,
                     const struct eal *eal, char *err)
{
    if (!plug(port, err) || !configure(port, options, eal, err))
        return false;
    port->info.numa_node = rte_eth_dev_socket_id(port->port_id);
    for (int i = 0; i < port->queue_count; i++)
        if (!queue_setup(port, eal, i, err))
            return false;
    if (port->spec.kind == PORT_KIND_TAP && !tap_mtu_set(port, err))
        return false;
    ethdev_callbacks_set(port, true);
    int code = rte_eth_dev_start(port->port_id);
    if (code != 0)
        return fail_code(port, err, "cannot be started", code);
    if (!device_filters(port, options, err))
        return false;
    caps_set(port);
    for (int i = 0; i < port->queue_count; i++) {
        offload_init(port, &port->queue[i].stage.offload);
        if (!ethdev_wake_open(&port->queue[i]))
            return fail(port, err, "no file descriptors left", "raise ulimit -n");
    }
    ethdev_poll(port);
    return true;
}

struct ethdev_port *ethdev_open(const struct port_options *options, const struct port_spec *spec,
                                const struct eal *eal, char err[PORT_ERROR_SIZE])
{
    char ignored[8];
    struct ethdev_port *port = calloc(1, sizeof(*port));
    CHECK(port != NULL);
    port->spec = *spec;
    port->kind = port_kind_get(spec->kind);
    port->control_fd = -1;
    port->link = -1;
    port->captured = eal->capture_secondary;
    port->queue_count = eal->lcore_count;
    port->info.mtu = options->mtu;
    port->info.queue_count = (uint16_t)eal->lcore_count;
    snprintf(port->info.name, sizeof(port->info.name), "%s:%.*s", port->kind->word,
             (int)(sizeof(port->info.name) - strlen(port->kind->word) - 2), spec->target);
    port->queue = calloc((size_t)eal->lcore_count, sizeof(*port->queue));
    CHECK(port->queue != NULL);
    for (int i = 0; i < eal->lcore_count; i++)
        ethdev_queue_init(&port->queue[i], port, (uint16_t)i);
    dpdk_log_collect();
    bool up = mac_choose(port, options, err) && port_probe(spec, options->mtu, err) &&
              bring_up(port, options, eal, err);
    dpdk_log_collected(ignored, sizeof(ignored));
    if (up)
        return port;
    ethdev_close(port);
    return NULL;
}
