/* TAP ports against the kernel, in a network namespace of the test's own. Needs root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <rte_mbuf.h>
#include "check.h"
#include "port_open.h"
#include "test_eal.h"
#include "test_netns.h"

#define WAIT_MS 5000

static struct eal *eal;

static struct port *port_new(const char *nic, uint16_t mtu)
{
    char err[PORT_ERROR_SIZE] = "";
    struct port_options options = {.nic = nic, .fault = "", .mac = "", .mtu = mtu};
    struct port *port = port_open(&options, eal, err);
    if (port == NULL)
        print_error("%s\n", err);
    assert_non_null(port);
    return port;
}

/* Any frame that is ours, within WAIT_MS; the kernel sends some of its own. */
static struct rte_mbuf *receive(struct port_queue *q)
{
    for (int i = 0; i < WAIT_MS; i++) {
        struct rte_mbuf *got;
        while (q->rx(q, &got, 1) == 1) {
            const uint8_t *bytes = rte_pktmbuf_mtod(got, const uint8_t *);
            if (rte_pktmbuf_data_len(got) >= 14 && bytes[12] == 0x88 && bytes[13] == 0xb5)
                return got;
            if (rte_pktmbuf_data_len(got) >= 54 && bytes[12] == 0x08 && bytes[23] == 6)
                return got;
            rte_pktmbuf_free(got);
        }
        usleep(1000);
    }
    return NULL;
}

static void experiment(uint8_t *frame, size_t len, const uint8_t *to, uint8_t fill)
{
    memset(frame, fill, len);
    memcpy(frame, to, 6);
    memset(frame + 6, 0x0a, 6);
    frame[12] = 0x88;
    frame[13] = 0xb5;
}

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static void drain(struct port_queue *q)
{
    struct rte_mbuf *got;
    while (q->rx(q, &got, 1) == 1)
        rte_pktmbuf_free(got);
}

static void test_receive_and_wake(void **state)
{
    uint64_t baseline = eal_buffers_used(eal);
    struct port *port = port_new("tap:swt0", 1500);
    struct port_queue *q = port_queue_get(port, 0);
    uint8_t frame[1514];
    int raw = test_raw_open("swt0");
    assert_string_equal(q->info->name, "tap:swt0");
    assert_string_equal(q->info->driver, "net_tap");
    assert_false(q->info->caps & (PORT_RX_HASH | PORT_RX_STEERED | PORT_TX_CHECKSUM));
    assert_true(q->link_up);
    assert_true(q->wake_arm(q));
    drain(q);
    assert_false(readable(q->wake_fd));
    experiment(frame, sizeof(frame), q->info->mac, 0x5a);
    test_raw_send(raw, frame, sizeof(frame));
    struct pollfd p = {.fd = q->wake_fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, WAIT_MS), 1);
    q->wake_disarm(q);
    struct rte_mbuf *got = receive(q);
    assert_non_null(got);
    assert_int_equal(rte_pktmbuf_pkt_len(got), sizeof(frame));
    assert_memory_equal(rte_pktmbuf_mtod(got, void *), frame, sizeof(frame));
    assert_ptr_equal(got->pool, q->pool);
    rte_pktmbuf_free(got);
    close(raw);
    port_close(port);
    assert_int_equal(eal_buffers_used(eal), baseline);
}

static void send_one(struct port_queue *q, const struct test_frame *options)
{
    struct rte_mbuf *frame = test_frame_new(options);
    assert_int_equal(q->tx(q, &frame, 1), 1);
    q->tx_flush(q);
}

/* What the kernel sees has right checksums, whatever the segments; frames are cut where it says so.
 */
static void test_send(void **state)
{
    uint64_t baseline = eal_buffers_used(eal);
    struct port *port = port_new("tap:swt0", 1500);
    struct port_queue *q = port_queue_get(port, 0);
    static uint8_t buf[70000];
    int raw = test_raw_open("swt0");
    for (int ip6 = 0; ip6 < 2; ip6++) {
        struct test_frame options = {.pool = q->pool,
                                     .ip6 = ip6,
                                     .payload_len = 1001,
                                     .cuts = {101, 333, 1, 55},
                                     .from = q->info->mac};
        send_one(q, &options);
        size_t len = test_raw_receive(raw, buf, sizeof(buf), WAIT_MS);
        assert_true(len > 1001);
        struct rte_mbuf *copy = rte_pktmbuf_alloc(q->pool);
        memcpy(rte_pktmbuf_append(copy, (uint16_t)len), buf, len);
        assert_true(test_frame_valid(copy));
        rte_pktmbuf_free(copy);
    }
    struct port_stats stats;
    assert_true(port_stats_get(port, &stats));
    assert_int_equal(stats.tx_packets, 2);
    close(raw);
    port_close(port);
    assert_int_equal(eal_buffers_used(eal), baseline);
}

static void test_cut_on_the_way(void **state)
{
    uint64_t baseline = eal_buffers_used(eal);
    struct port *port = port_new("tap:swt0", 1500);
    struct port_queue *q = port_queue_get(port, 0);
    static uint8_t buf[70000];
    int raw = test_raw_open("swt0");
    for (int ip6 = 0; ip6 < 2; ip6++) {
        struct test_frame options = {.pool = q->pool, .ip6 = ip6, .payload_len = 20000};
        struct rte_mbuf *frame = test_frame_new(&options);
        frame->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
        frame->tso_segsz = 1400;
        assert_int_equal(q->tx(q, &frame, 1), 1);
        for (int i = 0; i < 15; i++)
            assert_true(test_raw_receive(raw, buf, sizeof(buf), WAIT_MS) > 0);
    }
    close(raw);
    port_close(port);
    assert_int_equal(eal_buffers_used(eal), baseline);
}

static void test_jumbo(void **state)
{
    uint64_t baseline = eal_buffers_used(eal);
    struct port *port = port_new("tap:swt0", 9000);
    struct port_queue *q = port_queue_get(port, 0);
    static uint8_t frame[9014];
    static uint8_t buf[10000];
    int raw = test_raw_open("swt0");
    assert_int_equal(q->info->mtu, 9000);
    assert_true(q->info->caps & PORT_RX_SCATTER);
    experiment(frame, sizeof(frame), q->info->mac, 0x33);
    test_raw_send(raw, frame, sizeof(frame));
    struct rte_mbuf *got = receive(q);
    assert_non_null(got);
    assert_int_equal(rte_pktmbuf_pkt_len(got), sizeof(frame));
    assert_true(got->nb_segs > 1);
    uint8_t *bytes = test_frame_bytes(got);
    assert_memory_equal(bytes, frame, sizeof(frame));
    free(bytes);
    rte_pktmbuf_free(got);
    struct test_frame options = {.pool = q->pool, .payload_len = 8960};
    send_one(q, &options);
    assert_int_equal(test_raw_receive(raw, buf, sizeof(buf), WAIT_MS), 9014);
    close(raw);
    port_close(port);
    assert_int_equal(eal_buffers_used(eal), baseline);
}

/* Rule 2: on a bridge the interface's own MAC is the bridge's, ours is not; unicast passes. */
static void test_node_to_node(void **state)
{
    uint64_t baseline = eal_buffers_used(eal);
    struct port *port[2] = {port_new("tap:swt0", 1500), port_new("tap:swt1", 1500)};
    struct port_queue *q[2] = {port_queue_get(port[0], 0), port_queue_get(port[1], 0)};
    uint8_t netdev[6];
    test_run("ip link add swbr type bridge && ip link set swbr up");
    test_run("ip link set swt0 master swbr && ip link set swt1 master swbr");
    assert_memory_not_equal(q[0]->info->mac, q[1]->info->mac, 6);
    for (int i = 0; i < 2; i++) {
        test_mac_of(i == 0 ? "swt0" : "swt1", netdev);
        assert_memory_not_equal(q[i]->info->mac, netdev, 6);
        assert_int_equal(q[i]->info->mac[0] & 3, 2);
    }
    /* There, and back to an address that the bridge has learned. */
    for (int from = 0; from < 2; from++) {
        struct test_frame options = {.pool = q[from]->pool,
                                     .payload_len = 100,
                                     .from = q[from]->info->mac,
                                     .to = q[!from]->info->mac};
        send_one(q[from], &options);
        struct rte_mbuf *got = receive(q[!from]);
        assert_non_null(got);
        assert_true(test_frame_valid(got));
        rte_pktmbuf_free(got);
    }
    port_close(port[0]);
    port_close(port[1]);
    test_run("ip link del swbr");
    assert_int_equal(eal_buffers_used(eal), baseline);
}

static void test_link(void **state)
{
    struct port *port = port_new("tap:swt0", 1500);
    struct port_queue *q = port_queue_get(port, 0);
    assert_true(q->link_up);
    test_run("ip link set swt0 down");
    port_poll(port);
    assert_false(q->link_up);
    /* Frames are lost, as on an unplugged cable; nothing blocks. */
    struct test_frame options = {.pool = q->pool, .payload_len = 100};
    send_one(q, &options);
    test_run("ip link set swt0 up");
    port_poll(port);
    assert_true(q->link_up);
    int raw = test_raw_open("swt0");
    uint8_t buf[2000];
    send_one(q, &options);
    assert_int_equal(test_raw_receive(raw, buf, sizeof(buf), WAIT_MS), 154);
    close(raw);
    port_close(port);
}

static void test_errors(void **state)
{
    char err[PORT_ERROR_SIZE];
    struct port_options options = {.nic = "tap:swt0", .fault = "", .mac = "", .mtu = 1500};
    test_run("ip link add swt0 type bridge");
    assert_null(port_open(&options, eal, err));
    assert_non_null(strstr(err, "nic tap:swt0: an interface of this name exists"));
    test_run("ip link del swt0");
    /* A TAP that somebody made to keep, and that nobody uses. */
    test_run("ip tuntap add swt0 mode tap multi_queue && ip link set swt0 up");
    port_close(port_new("tap:swt0", 1500));
    test_run("ip link del swt0");
    struct port *port = port_new("tap:swt0", 1500);
    assert_null(port_open(&options, eal, err));
    assert_non_null(strstr(err, "nic tap:swt0: another process uses this interface"));
    port_close(port);
    options.mac = "01:02:03:04:05:06";
    assert_null(port_open(&options, eal, err));
    assert_non_null(strstr(err, "mac \"01:02:03:04:05:06\""));
    options.mac = "02:02:03:04:05:06";
    port = port_open(&options, eal, err);
    assert_non_null(port);
    assert_memory_equal(port_info_get(port)->mac, "\2\2\3\4\5\6", 6);
    port_close(port);
}

/* The wrapper around a real port: what it loses the kernel never sees. */
static void test_faults(void **state)
{
    char err[PORT_ERROR_SIZE];
    struct port_options options = {.nic = "tap:swt0", .fault = "loss=1", .mac = "", .mtu = 1500};
    assert_null(port_open(&options, eal, err));
    assert_non_null(strstr(err, "nic-fault: at \"loss=1\""));
    options.fault = "loss=100%";
    struct port *port = port_open(&options, eal, err);
    struct port_queue *q = port_queue_get(port, 0);
    int raw = test_raw_open("swt0");
    uint8_t buf[2000];
    struct test_frame frame = {.pool = q->pool, .payload_len = 100};
    send_one(q, &frame);
    assert_int_equal(test_raw_receive(raw, buf, sizeof(buf), 50), 0);
    close(raw);
    port_close(port);
    assert_int_equal(eal_buffers_used(eal), 0);
}

static void test_report(void **state)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    struct port *port = port_new("tap:swt0", 1500);
    report_write(port, eal, out);
    fclose(out);
    print_message("%s", text);
    assert_non_null(strstr(text, "port tap:swt0: driver net_tap, MAC 02:"));
    assert_non_null(strstr(text, "link up"));
    assert_non_null(strstr(text, "checksums in software"));
    assert_non_null(strstr(text, "no hugepages"));
    assert_non_null(strstr(text, "2047 buffers of 2048 bytes"));
    assert_non_null(strstr(text, "lcores: 1: 0 on CPU "));
    free(text);
    port_close(port);
}

static int setup(void **state)
{
    eal = test_eal(1, 2047);
    return 0;
}

static int echo_child(void)
{
    struct rlimit few = {.rlim_cur = 8, .rlim_max = 8};
    setrlimit(RLIMIT_SIGPENDING, &few);
    eal = test_eal(1, 2047);
    struct port_options options = {.nic = "tap:swt0", .fault = "", .mac = "", .mtu = 1500};
    char err[PORT_ERROR_SIZE];
    struct port *port = port_open(&options, eal, err);
    CHECK(port != NULL);
    struct port_queue *q = port_queue_get(port, 0);
    for (;;) {
        struct rte_mbuf *got;
        if (q->rx(q, &got, 1) == 0) {
            usleep(100);
            continue;
        }
        if (q->tx(q, &got, 1) == 0)
            rte_pktmbuf_free(got);
    }
}

/* Rule 6: a paused process must not die of the signals that frames would raise. */
static void test_pause_flood_resume(void)
{
    uint8_t frame[64];
    uint8_t buf[2000];
    pid_t child = fork();
    if (child == 0)
        exit(echo_child());
    int raw;
    while (system("ip -br link show swt0 2>/dev/null | grep -q LOWER_UP") != 0)
        usleep(20000);
    raw = test_raw_open("swt0");
    experiment(frame, sizeof(frame), (const uint8_t *)"\2\0\0\0\0\1", 1);
    CHECK(kill(child, SIGSTOP) == 0);
    for (int i = 0; i < 5000; i++)
        if (write(raw, frame, sizeof(frame)) < 0)
            continue; /* the queue is full: dropped */
    CHECK(kill(child, SIGCONT) == 0);
    frame[20] = 99;
    for (int tries = 0; tries < 50; tries++) {
        (void)!write(raw, frame, sizeof(frame));
        if (test_raw_receive(raw, buf, sizeof(buf), 100) > 0 && buf[20] == 99)
            break;
        while (buf[20] != 99 && test_raw_receive(raw, buf, sizeof(buf), 100) > 0)
            continue;
        if (buf[20] == 99)
            break;
    }
    CHECK(buf[20] == 99);
    CHECK(waitpid(child, NULL, WNOHANG) == 0);
    CHECK(kill(child, SIGKILL) == 0);
    CHECK(waitpid(child, NULL, 0) == child);
    close(raw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_receive_and_wake), cmocka_unit_test(test_send),
        cmocka_unit_test(test_cut_on_the_way),   cmocka_unit_test(test_jumbo),
        cmocka_unit_test(test_node_to_node),     cmocka_unit_test(test_link),
        cmocka_unit_test(test_errors),           cmocka_unit_test(test_faults),
        cmocka_unit_test(test_report),
    };
    test_netns_enter();
    test_pause_flood_resume();
    return cmocka_run_group_tests(tests, setup, NULL);
}
