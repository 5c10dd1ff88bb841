/* Ports with several queues, one per lcore. Needs root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <rte_mbuf.h>
#include "check.h"
#include "port_open.h"
#include "test_eal.h"
#include "test_netns.h"

enum { QUEUES = 2, FLOWS = 64, WAIT_MS = 5000 };

static struct eal *eal;
static char folder[] = "/tmp/slotwire-queues-XXXXXX";

static struct port *port_new(const char *nic)
{
    char err[PORT_ERROR_SIZE] = "";
    struct port_options options = {.nic = nic, .fault = "", .mac = "", .mtu = 1500};
    struct port *port = port_open(&options, eal, err);
    if (port == NULL)
        print_error("%s\n", err);
    assert_non_null(port);
    assert_int_equal(port_info_get(port)->queue_count, QUEUES);
    return port;
}

static void flow_send(struct port *from, struct port *to, uint16_t flow)
{
    struct port_queue *q = port_queue_get(from, flow % QUEUES);
    struct rte_mbuf *frame = test_frame_new(&(struct test_frame){.pool = q->pool,
                                                                 .payload_len = 100,
                                                                 .port = (uint16_t)(1000 + flow),
                                                                 .from = q->info->mac,
                                                                 .to = port_info_get(to)->mac});
    for (int i = 0; i < WAIT_MS && q->tx(q, &frame, 1) == 0; i++)
        usleep(1000);
    q->tx_flush(q);
}

/* The flow of a frame of ours, -1: another's. */
static int flow_of(const struct rte_mbuf *frame)
{
    const uint8_t *bytes = rte_pktmbuf_mtod(frame, const uint8_t *);
    if (rte_pktmbuf_pkt_len(frame) != 154 || bytes[12] != 8 || bytes[13] != 0 || bytes[23] != 6)
        return -1;
    return (bytes[34] << 8 | bytes[35]) - 1000;
}

static int collect(struct port *port, uint8_t *seen)
{
    int count = 0;
    for (int i = 0; i < QUEUES; i++) {
        struct port_queue *q = port_queue_get(port, i);
        struct rte_mbuf *got;
        while (q->rx(q, &got, 1) == 1) {
            int flow = flow_of(got);
            if (flow >= 0 && flow < FLOWS) {
                seen[flow]++;
                count++;
                assert_ptr_equal(got->pool, q->pool);
            }
            rte_pktmbuf_free(got);
        }
        q->tx_flush(q);
    }
    return count;
}

/* Every flow, sent on every queue, arrives once on some queue. */
static void exchange(struct port *from, struct port *to)
{
    uint8_t seen[FLOWS] = {0};
    int count = 0;
    for (int i = 0; i < WAIT_MS && !port_queue_get(to, 0)->link_up; i++, usleep(1000)) {
        port_poll(from);
        port_poll(to);
    }
    collect(to, seen);
    for (uint16_t flow = 0; flow < FLOWS; flow++)
        flow_send(from, to, flow);
    for (int i = 0; i < WAIT_MS && count < FLOWS; i++, usleep(1000)) {
        count += collect(to, seen);
        collect(from, (uint8_t[FLOWS]){0});
    }
    for (int flow = 0; flow < FLOWS; flow++)
        assert_int_equal(seen[flow], 1);
}

static void pair(const char *first, const char *second)
{
    struct port *a = port_new(first);
    struct port *b = port_new(second);
    exchange(a, b);
    exchange(b, a);
    exchange(a, b);
    port_close(b);
    port_close(a);
    assert_int_equal(eal_buffers_used(eal), 0);
}

static void test_virtio(void **state)
{
    char nic[2][96];
    snprintf(nic[0], sizeof(nic[0]), "vhost:%s/v.sock", folder);
    snprintf(nic[1], sizeof(nic[1]), "virtio-user:%s/v.sock", folder);
    pair(nic[0], nic[1]);
}

static void test_memif(void **state)
{
    char nic[2][96];
    snprintf(nic[0], sizeof(nic[0]), "memif:%s/m.sock,server", folder);
    snprintf(nic[1], sizeof(nic[1]), "memif:%s/m.sock", folder);
    pair(nic[0], nic[1]);
}

static void test_af_packet(void **state)
{
    test_run("ip link add swv0 type veth peer name swv1");
    test_run("ip link set swv0 up && ip link set swv1 up");
    pair("af_packet:swv0", "af_packet:swv1");
    test_run("ip link del swv0");
}

static void test_af_xdp(void **state)
{
    char err[PORT_ERROR_SIZE];
    test_run("ip link add swv0 type veth peer name swv1");
    struct port_options options = {.nic = "af_xdp:swv0", .fault = "", .mac = "", .mtu = 1500};
    assert_null(port_open(&options, eal, err));
    assert_non_null(strstr(err, "nic af_xdp:swv0"));
    print_message("%s\n", err);
    test_run("ip link del swv0");
}

static void test_tap(void **state)
{
    struct port *a = port_new("tap:swt0");
    struct port *b = port_new("tap:swt1");
    test_run("ip link add swbr type bridge && ip link set swbr up");
    test_run("ip link set swt0 master swbr && ip link set swt1 master swbr");
    exchange(a, b);
    exchange(b, a);
    port_close(a);
    port_close(b);
    test_run("ip link del swbr");
    assert_int_equal(eal_buffers_used(eal), 0);
}

static int setup(void **state)
{
    eal = test_eal(QUEUES, 8191);
    return mkdtemp(folder) == NULL;
}

static int teardown(void **state)
{
    test_run("rm -rf %s", folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_virtio),    cmocka_unit_test(test_memif),  cmocka_unit_test(test_tap),
        cmocka_unit_test(test_af_packet), cmocka_unit_test(test_af_xdp),
    };
    test_netns_enter();
    return cmocka_run_group_tests(tests, setup, teardown);
}
