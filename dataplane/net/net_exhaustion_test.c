/* The buffer pool runs dry at every place that takes a buffer: each frame is fed with 0, 1, 2 …
 * buffers left. Nothing breaks, every failure is counted, every buffer comes back. */
#include <string.h>
#include "test_cmocka.h"
#include <rte_mbuf.h>
#include "test_port.h"

static struct test_net net;
static struct rte_mbuf *held[TEST_PORT_BUFFERS + 1]; /* the last one ends the list */
static unsigned held_count;

/* Leaves only that many buffers in the pool. */
static void exhaust(unsigned left)
{
    while ((held[held_count] = rte_pktmbuf_alloc(net.port.queue.pool)) != NULL)
        held_count++;
    for (unsigned i = 0; i < left; i++)
        rte_pktmbuf_free(held[--held_count]);
}

static void replenish(void)
{
    while (held_count > 0)
        rte_pktmbuf_free(held[--held_count]);
}

/* A clone in two pieces, which must be copied before anything is written or made one piece. */
static struct rte_mbuf *shared(struct rte_mbuf *m, uint32_t cut)
{
    test_frame_split(&net.port, m, cut);
    struct rte_mbuf *clone = rte_pktmbuf_clone(m, net.port.queue.pool);
    rte_pktmbuf_free(m);
    return clone;
}

static struct rte_mbuf *arp_request(uint32_t cut)
{
    struct test_arp a = {.op = 1, .sender = test_ip("10.77.0.2"), .target = test_ip("10.77.0.1")};
    memcpy(a.sender_mac, test_mac_peer, 6);
    struct rte_mbuf *m = test_frame_arp(&net.port, &a);
    return cut ? shared(m, cut) : m;
}

static struct test_ip_header header(unsigned family)
{
    return (struct test_ip_header){.src = test_ip(family ? "fd77::2" : "10.77.0.2"),
                                   .dst = test_ip(family ? "fd77::1" : "10.77.0.1"),
                                   .ttl = 255};
}

static struct rte_mbuf *echo(unsigned family, uint32_t len, uint32_t cut)
{
    static uint8_t body[8000];
    struct test_ip_header h = header(family);
    struct rte_mbuf *m = test_frame_icmp(&net.port, &h, family ? 128 : 8, 0, body, len);
    return cut ? shared(m, cut) : m;
}

static struct rte_mbuf *stranger(unsigned family)
{
    struct test_ip_header h = header(family);
    h.proto = 132;
    return test_frame_ip(&net.port, &h, "12345678", 8);
}

static struct rte_mbuf *solicitation(uint32_t cut)
{
    struct test_ip_header h = header(1);
    struct ip_addr target = test_ip("fd77::1");
    uint8_t body[28] = {0};
    memcpy(body + 4, target.b, 16);
    body[20] = body[21] = 1;
    memcpy(body + 22, test_mac_peer, 6);
    struct rte_mbuf *m = test_frame_icmp(&net.port, &h, 135, 0, body, 28);
    return cut ? shared(m, cut) : m;
}

static struct rte_mbuf *query(void)
{
    struct test_ip_header h = header(1);
    uint8_t body[24] = {0};
    h.src = test_ip("fe80::9");
    h.ttl = 1;
    return test_frame_icmp(&net.port, &h, 130, 0, body, 24);
}

static struct rte_mbuf *segment(unsigned family, uint32_t cut)
{
    struct test_ip_header h = header(family);
    struct test_tcp t = {.src = h.src, .dst = h.dst, .flags = TEST_ACK};
    return shared(test_frame_tcp(&net.port, &t), cut);
}

static struct rte_mbuf *fragment(unsigned family, uint32_t cut)
{
    struct test_ip_header h = header(family);
    uint8_t l4[72] = {6, 0, 0, 1, 9};
    h.proto = family ? 44 : 6;
    h.fragment = family ? 0 : 0x2000;
    return shared(test_frame_ip(&net.port, &h, l4, sizeof l4), cut);
}

static struct rte_mbuf *frame(unsigned kind)
{
    switch (kind) {
    case 0:
        return arp_request(0);
    case 1:
        return arp_request(5);
    case 2:
        return arp_request(20);
    case 3:
        return echo(0, 64, 0);
    case 4:
        return echo(0, 64, 20);
    case 5:
        return echo(0, 64, 60);
    case 6:
        return echo(1, 64, 70);
    case 7:
        return echo(0, 5000, 0);
    case 8:
        return echo(1, 5000, 0);
    case 9:
        return stranger(0);
    case 10:
        return stranger(1);
    case 11:
        return solicitation(0);
    case 12:
        return solicitation(70);
    case 13:
        return query();
    case 14:
        return segment(0, 40);
    case 15:
        return segment(1, 60);
    case 16:
        return segment(0, 10);
    case 17:
        return segment(1, 20);
    case 18:
        return fragment(0, 40);
    case 19:
        return fragment(1, 58);
    case 20:
        return fragment(1, 20);
    case 21:
        return echo(1, 64, 58);
    default:
        return NULL;
    }
}

static void every_frame_with_few_buffers(void **state)
{
    struct rte_mbuf *m;
    for (unsigned kind = 0; (m = frame(kind)) != NULL; kind++) {
        rte_pktmbuf_free(m);
        uint64_t failures = UINT64_MAX;
        for (unsigned left = 0; left < 12 && failures != 0; left++) {
            struct netif_config c = net.config;
            const struct l4_ops *l4 = net.nif->l4;
            netif_free(net.nif);
            net.nif = netif_new(&net.port.queue, &c, l4, &net.seen);
            net.nif->now_us = TEST_NOW_US;
            m = frame(kind);
            exhaust(left);
            flow_owner_of_frame(&net.steering, m, false);
            netif_input(net.nif, &m, 1);
            netif_flush(net.nif);
            netif_validate(net.nif);
            replenish();
            test_port_drop_sent(&net.port);
            failures = net.nif->stats->mbuf_failures;
        }
        /* With enough of them it works. */
        assert_int_equal(failures, 0);
    }
}

static void requests_that_cannot_be_sent_are_repeated(void **state)
{
    struct ip_addr four = test_ip("10.77.0.2"), six = test_ip("fd77::2");
    exhaust(0);
    assert_false(netif_reachable(net.nif, &four));
    assert_false(netif_reachable(net.nif, &six));
    netif_announce(net.nif);
    netif_flush(net.nif);
    assert_int_equal(net.port.sent_count, 0);
    assert_int_equal(net.nif->stats->mbuf_failures, 6);
    replenish();
    net.nif->now_us += 1000000;
    netif_tick(net.nif);
    netif_flush(net.nif);
    assert_int_equal(net.port.sent_count, 2);
}

static int set_up(void **state)
{
    test_net_init(&net, 0, 1, NULL, NULL);
    return 0;
}

static int tear_down(void **state)
{
    netif_validate(net.nif);
    test_net_fini(&net);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_frame_with_few_buffers),
        TEST(requests_that_cannot_be_sent_are_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
