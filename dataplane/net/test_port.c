#include "test_port.h"
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <rte_eal.h>
#include <rte_mbuf.h>
#include "check.h"

const uint8_t test_mac_us[6] = {0x02, 0x77, 0, 0, 0, 1};
const uint8_t test_mac_peer[6] = {0x02, 0x77, 0, 0, 0, 2};

void test_eal_init(void)
{
    static bool done;
    char prefix[48], lcores[64];
    if (done)
        return;
    snprintf(prefix, sizeof prefix, "slotwire-test-%d", (int)getpid());
    snprintf(lcores, sizeof lcores, "0@(0-%ld)", sysconf(_SC_NPROCESSORS_ONLN) - 1);
    char *argv[] = {"test",     "--no-huge",      "--no-shconf",   "-m",   "256",
                    "--no-pci", "--no-telemetry", "--file-prefix", prefix, "--lcores",
                    lcores,     "--log-level",    "lib.eal:4",     NULL};
    CHECK(rte_eal_init((int)count_of(argv) - 1, argv) >= 0);
    done = true;
}

/* Lengths and counts of a chain agree. */
static void check_sound(const struct rte_mbuf *m)
{
    const char *reason;
    CHECK(rte_mbuf_check(m, 1, &reason) == 0);
}

static uint16_t port_rx(struct port_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
    return 0;
}

static uint16_t port_tx(struct port_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
    struct test_port *p = container_from(q, struct test_port, queue);
    if (p->accept_calls == 0)
        p->accept_max = 0;
    else if (p->accept_calls != UINT32_MAX)
        p->accept_calls--;
    uint16_t taken = (uint16_t)(n < p->accept_max ? n : p->accept_max);
    p->tx_calls++;
    for (uint16_t i = 0; i < taken; i++) {
        CHECK(p->sent_count < TEST_PORT_SENT_MAX);
        check_sound(pkts[i]);
        p->sent[(p->sent_head + p->sent_count++) % TEST_PORT_SENT_MAX] = pkts[i];
    }
    return taken;
}

static void port_tx_flush(struct port_queue *q)
{
}

static bool port_wake_arm(struct port_queue *q)
{
    return false;
}

void test_port_init(struct test_port *p, uint32_t buffers, uint32_t caps)
{
    static unsigned serial;
    char name[32];
    memset(p, 0, sizeof *p);
    snprintf(name, sizeof name, "test_pool_%u", serial++);
    snprintf(p->info.name, sizeof p->info.name, "test");
    p->info.caps = caps;
    p->info.queue_count = 1;
    p->info.mtu = 1500;
    p->info.numa_node = -1;
    memcpy(p->info.mac, test_mac_us, 6);
    p->buffers = buffers;
    p->accept_max = UINT16_MAX;
    p->accept_calls = UINT32_MAX;
    p->queue = (struct port_queue){
        .rx = port_rx,
        .tx = port_tx,
        .tx_flush = port_tx_flush,
        .wake_arm = port_wake_arm,
        .wake_disarm = port_tx_flush,
        .wake_fd = -1,
        .idle_max_us = 500,
        .info = &p->info,
        .pool = rte_pktmbuf_pool_create(name, buffers, 0, 0, RTE_PKTMBUF_HEADROOM + 2048, -1),
        .link_up = true,
    };
    CHECK(p->queue.pool != NULL);
}

void test_port_fini(struct test_port *p)
{
    test_port_drop_sent(p);
    CHECK(test_port_buffers_used(p) == 0);
    rte_mempool_free(p->queue.pool);
}

struct rte_mbuf *test_port_take(struct test_port *p)
{
    if (p->sent_count == 0)
        return NULL;
    struct rte_mbuf *m = p->sent[p->sent_head];
    p->sent_head = (p->sent_head + 1) % TEST_PORT_SENT_MAX;
    p->sent_count--;
    return m;
}

void test_port_drop_sent(struct test_port *p)
{
    struct rte_mbuf *m;
    while ((m = test_port_take(p)) != NULL)
        rte_pktmbuf_free(m);
}

uint32_t test_port_buffers_used(const struct test_port *p)
{
    return p->buffers - rte_mempool_avail_count(p->queue.pool);
}

/* --- netif --- */

static void seen_tcp(void *arg, struct rte_mbuf *m, const struct l4_packet *packet)
{
    struct test_l4_seen *seen = arg;
    check_sound(m);
    seen->segments++;
    seen->packet = *packet;
    seen->data_len = test_frame_bytes(m, seen->data, sizeof seen->data);
    rte_pktmbuf_free(m);
}

static void seen_icmp_error(void *arg, const struct ip_addr *remote, const struct ip_addr *local,
                            const struct icmp_error *e)
{
    struct test_l4_seen *seen = arg;
    seen->errors++;
    seen->error = *e;
    seen->error_remote = *remote;
    seen->error_local = *local;
}

static const struct l4_ops seen_ops = {.tcp_input = seen_tcp, .tcp_icmp_error = seen_icmp_error};

void test_net_init(struct test_net *t, uint32_t caps, uint16_t lcores, const struct l4_ops *l4,
                   void *l4_arg)
{
    uint8_t key[40];
    test_eal_init();
    memset(t, 0, sizeof *t);
    test_port_init(&t->port, TEST_PORT_BUFFERS, caps);
    for (unsigned i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)(i * 37 + 11);
    flow_init(&t->steering, key, lcores);
    t->config = (struct netif_config){
        .ip4 = test_ip("10.77.0.1"),
        .prefix4 = 24,
        .gateway4 = test_ip("10.77.0.254"),
        .ip6 = test_ip("fd77::1"),
        .prefix6 = 64,
        .gateway6 = test_ip("fd77::fe"),
        .mtu = 1500,
        .seed = 7,
        .steering = &t->steering,
    };
    memcpy(t->config.mac, test_mac_us, 6);
    t->nif = netif_new(&t->port.queue, &t->config, l4 ? l4 : &seen_ops, l4 ? l4_arg : &t->seen);
    CHECK(t->nif != NULL);
    t->nif->now_us = TEST_NOW_US;
}

void test_net_fini(struct test_net *t)
{
    netif_free(t->nif);
    test_port_fini(&t->port);
}

void test_net_input(struct test_net *t, struct rte_mbuf *m)
{
    flow_owner_of_frame(&t->steering, m, false);
    netif_input(t->nif, &m, 1);
    netif_flush(t->nif);
}

void test_net_resolve(struct test_net *t, const struct ip_addr *a, const uint8_t mac[6])
{
    uint32_t kept = t->port.sent_count;
    if (!netif_reachable(t->nif, a)) {
        netif_flush(t->nif);
        while (t->port.sent_count > kept) {
            uint32_t last = (t->port.sent_head + --t->port.sent_count) % TEST_PORT_SENT_MAX;
            rte_pktmbuf_free(t->port.sent[last]);
        }
    }
    netif_neighbour_set(t->nif, a, mac);
    CHECK(netif_reachable(t->nif, a));
}
