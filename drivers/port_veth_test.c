/* af_packet and af_xdp over a veth pair, and two memif ports, in a network namespace of the test's
 * own. Needs root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <rte_mbuf.h>
#include "check.h"
#include "port_open.h"
#include "test_eal.h"
#include "test_netns.h"

#define WAIT_MS 5000

static struct eal *eal;

static struct port *port_try(const char *nic, const char *mac, uint16_t mtu, char *err)
{
    struct port_options options = {.nic = nic, .fault = "", .mac = mac, .mtu = mtu};
    return port_open(&options, eal, err);
}

static struct port *port_new(const char *nic, uint16_t mtu)
{
    char err[PORT_ERROR_SIZE] = "";
    struct port *port = port_try(nic, "", mtu, err);
    if (port == NULL)
        print_error("%s\n", err);
    assert_non_null(port);
    return port;
}

static bool is_experiment(const struct rte_mbuf *frame)
{
    const uint8_t *bytes = rte_pktmbuf_mtod(frame, const uint8_t *);
    return rte_pktmbuf_data_len(frame) >= 14 && bytes[12] == 0x88 && bytes[13] == 0xb5;
}

static struct rte_mbuf *receive(struct port_queue *q)
{
    for (int i = 0; i < WAIT_MS; i++) {
        struct rte_mbuf *got;
        while (q->rx(q, &got, 1) == 1) {
            if (is_experiment(got))
                return got;
            rte_pktmbuf_free(got);
        }
        usleep(1000);
    }
    return NULL;
}

static void veth_up(void)
{
    test_run("ip link add swv0 type veth peer name swv1");
    test_run("ip link set swv0 up && ip link set swv1 up");
}

static void veth_down(void)
{
    test_run("ip link del swv0");
}

static void frame_in(struct port_queue *q, int raw, const uint8_t *to, uint16_t len)
{
    static uint8_t frame[16000];
    for (uint16_t i = 0; i < len; i++)
        frame[i] = (uint8_t)(i * 3);
    memcpy(frame, to, 6);
    memcpy(frame + 6, "\2\2\2\2\2\2", 6);
    frame[12] = 0x88;
    frame[13] = 0xb5;
    test_raw_send(raw, frame, len);
    struct rte_mbuf *got = receive(q);
    assert_non_null(got);
    assert_int_equal(rte_pktmbuf_pkt_len(got), len);
    uint8_t *bytes = test_frame_bytes(got);
    assert_memory_equal(bytes, frame, len);
    free(bytes);
    rte_pktmbuf_free(got);
}

static void frame_out(struct port_queue *q, int raw, int ip6, uint16_t payload_len)
{
    static uint8_t buf[16000];
    struct test_frame options = {.pool = q->pool,
                                 .ip6 = ip6,
                                 .payload_len = payload_len,
                                 .cuts = {101, 333, 1, 55},
                                 .from = q->info->mac};
    struct rte_mbuf *frame = test_frame_new(&options);
    assert_int_equal(q->tx(q, &frame, 1), 1);
    q->tx_flush(q);
    size_t len = test_raw_receive(raw, buf, sizeof(buf), WAIT_MS);
    assert_int_equal(len, (ip6 ? 74 : 54) + payload_len);
    struct rte_mbuf *copy = rte_pktmbuf_alloc(q->pool);
    char *to = rte_pktmbuf_append(copy, (uint16_t)RTE_MIN(len, rte_pktmbuf_tailroom(copy)));
    memcpy(to, buf, rte_pktmbuf_data_len(copy));
    assert_true(len > rte_pktmbuf_data_len(copy) || test_frame_valid(copy));
    rte_pktmbuf_free(copy);
}

/* kept: buffers that the driver does not give back before the process ends */
static void kernel_port(const char *nic, const char *driver, uint64_t kept)
{
    uint64_t baseline = eal_buffers_used(eal);
    uint8_t mac[6];
    veth_up();
    test_mac_of("swv0", mac);
    int raw = test_raw_open("swv1");
    struct port *port = port_new(nic, 1500);
    struct port_queue *q = port_queue_get(port, 0);
    assert_string_equal(q->info->driver, driver);
    assert_memory_equal(q->info->mac, mac, 6);
    assert_false(q->wake_arm(q));
    assert_int_equal(q->wake_fd, -1);
    assert_true(q->idle_max_us <= 500);
    for (uint16_t i = 0; i < 100; i++) {
        frame_in(q, raw, mac, (uint16_t)(60 + i));
        frame_out(q, raw, i & 1, (uint16_t)(500 + i));
    }
    frame_in(q, raw, mac, 1514);
    /* Neighbour discovery's multicast, though nobody in the kernel asked for it. */
    frame_in(q, raw, (const uint8_t *)"\x33\x33\xff\x12\x34\x56", 100);
    assert_true(q->link_up);
    test_run("ip link set swv1 down");
    port_poll(port);
    assert_false(q->link_up);
    close(raw);
    port_close(port);
    veth_down();
    assert_in_range(eal_buffers_used(eal), baseline, baseline + kept);
}

static void test_af_packet(void **state)
{
    kernel_port("af_packet:swv0", "net_af_packet", 0);
}

static void test_af_xdp(void **state)
{
    /* Its fill ring belongs to the kernel, and what lay in the transmit ring at the end. */
    kernel_port("af_xdp:swv0", "net_af_xdp", 2048 + 64);
}

static void test_foreign_mac(void **state)
{
    static const uint8_t mac[6] = {2, 0, 0, 0, 0, 9};
    char err[PORT_ERROR_SIZE];
    veth_up();
    int raw = test_raw_open("swv1");
    struct port *port = port_try("af_packet:swv0", "02:00:00:00:00:09", 1500, err);
    assert_non_null(port);
    frame_in(port_queue_get(port, 0), raw, mac, 100);
    test_run("ip -d link show swv0 | grep -q 'promiscuity 1'");
    close(raw);
    port_close(port);
    test_run("ip -d link show swv0 | grep -q 'promiscuity 0'");
    veth_down();
}

static void test_errors(void **state)
{
    char err[PORT_ERROR_SIZE];
    static const char *const kinds[] = {"af_packet", "af_xdp"};
    for (size_t i = 0; i < count_of(kinds); i++) {
        char nic[32];
        snprintf(nic, sizeof(nic), "%s:swnone", kinds[i]);
        assert_null(port_try(nic, "", 1500, err));
        assert_non_null(strstr(err, "there is no such interface in this network namespace"));
        veth_up();
        snprintf(nic, sizeof(nic), "%s:swv0", kinds[i]);
        assert_null(port_try(nic, "", 9000, err));
        assert_non_null(strstr(err, "ip link set swv0 mtu 9000"));
        veth_down();
    }
    veth_up();
    test_run("ip link set swv0 mtu 9000");
    assert_null(port_try("af_xdp:swv0", "", 9000, err));
    assert_non_null(strstr(err, "set mtu to at most"));
    veth_down();
    assert_null(port_try("pci:0000:ff:1f.7", "", 1500, err));
    assert_non_null(strstr(err, "there is no such PCI device"));
    assert_null(port_try("nonsense", "", 1500, err));
    assert_non_null(strstr(err, "must be tap:NAME"));
}

static void test_memif(void **state)
{
    uint64_t baseline = eal_buffers_used(eal);
    char folder[] = "/tmp/slotwire-memif-XXXXXX";
    char nic[2][96];
    struct port *port[2];
    assert_non_null(mkdtemp(folder));
    snprintf(nic[0], sizeof(nic[0]), "memif:%s/m.sock,server", folder);
    snprintf(nic[1], sizeof(nic[1]), "memif:%s/m.sock", folder);
    for (int i = 0; i < 2; i++)
        port[i] = port_new(nic[i], 1500);
    bool linked = false;
    for (int i = 0; i < WAIT_MS && !linked; i++) {
        usleep(1000);
        port_poll(port[0]);
        port_poll(port[1]);
        linked = port_queue_get(port[0], 0)->link_up && port_queue_get(port[1], 0)->link_up;
    }
    for (int from = 0; from < 2; from++) {
        struct port_queue *q = port_queue_get(port[from], 0);
        struct port_queue *to = port_queue_get(port[!from], 0);
        assert_true(q->link_up);
        for (uint16_t i = 0; i < 300; i++) {
            struct test_frame options = {.pool = q->pool,
                                         .ip6 = i & 1,
                                         .payload_len = (uint16_t)(900 + i),
                                         .cuts = {101, 333, 1, 55}};
            struct rte_mbuf *frame = test_frame_new(&options);
            struct rte_mbuf *got = NULL;
            assert_int_equal(q->tx(q, &frame, 1), 1);
            for (int tries = 0; tries < WAIT_MS && to->rx(to, &got, 1) == 0; tries++) {
                q->tx_flush(q); /* the ring has room only once its receiver has polled */
                usleep(100);
            }
            assert_non_null(got);
            assert_true(test_frame_valid(got));
            rte_pktmbuf_free(got);
        }
    }
    port_close(port[1]);
    port_close(port[0]);
    assert_int_equal(eal_buffers_used(eal), baseline);
    test_run("rm -rf %s", folder);
}

/* A killed process leaves its XDP program on the interface. */
static void leave_xdp_behind(void)
{
    veth_up();
    pid_t child = fork();
    if (child == 0) {
        char err[PORT_ERROR_SIZE];
        eal = test_eal(1, 8191);
        CHECK(port_try("af_xdp:swv0", "", 1500, err) != NULL);
        pause();
    }
    while (system("ip link show swv0 | grep -q 'prog/xdp'") != 0)
        usleep(20000);
    CHECK(kill(child, SIGKILL) == 0);
    CHECK(waitpid(child, NULL, 0) == child);
    test_run("ip link show swv0 | grep -q 'prog/xdp'");
}

static void test_af_xdp_after_kill(void **state)
{
    uint8_t mac[6];
    test_mac_of("swv0", mac);
    int raw = test_raw_open("swv1");
    struct port *port = port_new("af_xdp:swv0", 1500);
    struct port_queue *q = port_queue_get(port, 0);
    for (uint16_t i = 0; i < 100; i++) {
        frame_in(q, raw, mac, (uint16_t)(60 + i));
        frame_out(q, raw, i & 1, (uint16_t)(500 + i));
    }
    close(raw);
    port_close(port);
    veth_down();
}

static int setup(void **state)
{
    eal = test_eal(1, 8191);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_af_xdp_after_kill),
        cmocka_unit_test(test_af_packet),
        cmocka_unit_test(test_foreign_mac),
        cmocka_unit_test(test_af_xdp),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_memif),
    };
    test_netns_enter();
    leave_xdp_behind();
    return cmocka_run_group_tests(tests, setup, NULL);
}
