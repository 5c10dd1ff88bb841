/* vhost and virtio-user, two ports of one process over one socket, and what a peer that comes and
 * goes does to the other side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include "check.h"
#include "port_open.h"
#include "test_eal.h"

#define WAIT_MS 5000

static struct eal *eal;
static char folder[] = "/tmp/slotwire-virtio-XXXXXX";
static char path[64];

static struct port *port_try(const char *kind, const char *options, uint16_t mtu, char *err)
{
    char nic[128];
    snprintf(nic, sizeof(nic), "%s:%s%s", kind, path, options);
    return port_open(&(struct port_options){.nic = nic, .fault = "", .mac = "", .mtu = mtu}, eal,
                     err);
}

static struct port *port_new(const char *kind, uint16_t mtu)
{
    char err[PORT_ERROR_SIZE] = "";
    struct port *port = port_try(kind, "", mtu, err);
    if (port == NULL)
        print_error("%s\n", err);
    assert_non_null(port);
    return port;
}

static bool link_wait(struct port *port, bool up)
{
    for (int i = 0; i < WAIT_MS; i++) {
        port_poll(port);
        if (port_queue_get(port, 0)->link_up == up)
            return true;
        usleep(1000);
    }
    return false;
}

static struct rte_mbuf *receive(struct port_queue *q)
{
    struct rte_mbuf *got;
    for (int i = 0; i < WAIT_MS; i++) {
        if (q->rx(q, &got, 1) == 1)
            return got;
        usleep(1000);
    }
    return NULL;
}

static void send_one(struct port_queue *q, const struct test_frame *options)
{
    struct rte_mbuf *frame = test_frame_new(options);
    for (int i = 0; i < WAIT_MS && q->tx(q, &frame, 1) == 0; i++)
        usleep(1000);
}

/* Either the frame's checksums are right, or the driver says that the data is good though the field
 * is not (RTE_MBUF_F_RX_L4_CKSUM_NONE): the peer left the sum to a NIC that there is none of. */
static bool acceptable(const struct rte_mbuf *frame)
{
    uint64_t l4 = frame->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
    return test_frame_valid(frame) || l4 == RTE_MBUF_F_RX_L4_CKSUM_NONE;
}

static void exchange(struct port_queue *from, struct port_queue *to, int ip6, uint16_t payload_len)
{
    struct test_frame options = {.pool = from->pool,
                                 .ip6 = ip6,
                                 .payload_len = payload_len,
                                 .cuts = {101, 333, 1, 55},
                                 .fill = (uint8_t)payload_len};
    send_one(from, &options);
    struct rte_mbuf *got = receive(to);
    assert_non_null(got);
    assert_true(acceptable(got));
    assert_int_equal(rte_pktmbuf_pkt_len(got), (ip6 ? 74 : 54) + payload_len);
    uint8_t *bytes = test_frame_bytes(got);
    for (uint32_t i = 0; i < payload_len; i++)
        assert_int_equal(bytes[(ip6 ? 74 : 54) + i], (uint8_t)(payload_len + i * 7));
    free(bytes);
    rte_pktmbuf_free(got);
    from->tx_flush(from);
}

static void test_exchange(void **state)
{
    struct port *vhost = port_new("vhost", 1500);
    struct port_queue *v = port_queue_get(vhost, 0);
    assert_false(v->link_up);
    struct port *user = port_new("virtio-user", 1500);
    struct port_queue *u = port_queue_get(user, 0);
    assert_string_equal(v->info->driver, "net_vhost");
    assert_string_equal(u->info->driver, "net_virtio_user");
    assert_memory_not_equal(u->info->mac, v->info->mac, 6);
    assert_true(u->info->caps & PORT_TX_CHECKSUM);
    assert_false(u->info->caps & PORT_TX_EXTBUF);
    assert_true(v->info->caps & PORT_TX_EXTBUF);
    assert_true(link_wait(vhost, true) && link_wait(user, true));
    for (int i = 0; i < 400; i++) {
        exchange(u, v, i & 1, (uint16_t)(50 + i));
        exchange(v, u, i & 1, (uint16_t)(50 + i));
    }
    port_close(user);
    assert_true(link_wait(vhost, false));
    port_close(vhost);
    assert_int_equal(eal_buffers_used(eal), 0);
}

static void test_jumbo(void **state)
{
    struct port *vhost = port_new("vhost", 9000);
    struct port *user = port_new("virtio-user", 9000);
    struct port_queue *v = port_queue_get(vhost, 0);
    struct port_queue *u = port_queue_get(user, 0);
    assert_true(link_wait(vhost, true) && link_wait(user, true));
    for (int i = 0; i < 20; i++) {
        exchange(u, v, 0, (uint16_t)(8900 + i));
        exchange(v, u, 0, (uint16_t)(8900 + i));
    }
    port_close(user);
    port_close(vhost);
    assert_int_equal(eal_buffers_used(eal), 0);
}

static bool wakes(struct port_queue *sleeper, struct port_queue *sender)
{
    struct test_frame options = {.pool = sender->pool, .payload_len = 10};
    struct pollfd p = {.fd = sleeper->wake_fd, .events = POLLIN};
    struct rte_mbuf *got;
    sleeper->wake_disarm(sleeper);
    while (sleeper->rx(sleeper, &got, 1) == 1)
        rte_pktmbuf_free(got);
    if (!sleeper->wake_arm(sleeper) || sleeper->rx(sleeper, &got, 1) != 0 || poll(&p, 1, 20) != 0)
        return false;
    send_one(sender, &options);
    bool woken = poll(&p, 1, WAIT_MS) == 1;
    sleeper->wake_disarm(sleeper);
    bool quiet = poll(&p, 1, 0) == 0;
    got = receive(sleeper);
    rte_pktmbuf_free(got);
    return woken && quiet && got != NULL;
}

static void test_wake(void **state)
{
    struct port *vhost = port_new("vhost", 1500);
    struct port *user = port_new("virtio-user", 1500);
    struct port_queue *v = port_queue_get(vhost, 0);
    struct port_queue *u = port_queue_get(user, 0);
    assert_true(link_wait(vhost, true) && link_wait(user, true));
    exchange(u, v, 0, 100);
    exchange(v, u, 0, 100);
    for (int i = 0; i < 20; i++) {
        assert_true(wakes(v, u));
        assert_true(wakes(u, v));
    }
    port_close(user);
    port_close(vhost);
}

/* The node is the vhost side and asleep; its peer goes and comes back, and must still wake it. */
static void test_reconnect(void **state)
{
    struct port *vhost = port_new("vhost", 1500);
    struct port_queue *v = port_queue_get(vhost, 0);
    for (int round = 0; round < 3; round++) {
        struct pollfd p = {.fd = v->wake_fd, .events = POLLIN};
        v->wake_disarm(v);
        assert_true(v->wake_arm(v));
        struct port *user = port_new("virtio-user", 1500);
        struct port_queue *u = port_queue_get(user, 0);
        assert_int_equal(poll(&p, 1, WAIT_MS), 1); /* a sleeper learns of the connection */
        assert_true(link_wait(vhost, true) && link_wait(user, true));
        exchange(u, v, 0, 100);
        assert_true(wakes(v, u));
        assert_true(v->wake_arm(v));
        port_close(user);
        assert_true(link_wait(vhost, false));
    }
    port_close(vhost);
    assert_int_equal(eal_buffers_used(eal), 0);
}

static struct port *port_with(const char *kind, const char *options)
{
    char err[PORT_ERROR_SIZE] = "";
    struct port *port = port_try(kind, options, 1500, err);
    if (port == NULL)
        print_error("%s\n", err);
    assert_non_null(port);
    return port;
}

/* The node makes the socket, a vhost back-end (a switch) connects to it, leaves and comes back. */
static void test_roles_swapped(void **state)
{
    struct port *vhost = port_with("vhost", ",client");
    struct port *user = port_with("virtio-user", ",server");
    struct port_queue *u = port_queue_get(user, 0);
    for (int round = 0; round < 2; round++) {
        struct port_queue *v = port_queue_get(vhost, 0);
        assert_true(link_wait(vhost, true) && link_wait(user, true));
        exchange(u, v, 0, 100);
        exchange(v, u, 0, 100);
        assert_true(wakes(v, u) && wakes(u, v));
        port_close(vhost);
        assert_true(link_wait(user, false));
        vhost = port_with("vhost", ",client");
    }
    assert_true(link_wait(vhost, true) && link_wait(user, true));
    /* In this order: a client of the vhost library must not be closed while it tries to connect. */
    port_close(vhost);
    port_close(user);
    assert_int_equal(eal_buffers_used(eal), 0);
}

/* A peer that takes no half-done checksums, as testpmd: every frame must come with whole ones. */
static void test_peer_without_offloads(void **state)
{
    struct port *vhost = port_new("vhost", 1500);
    struct port_queue *v = port_queue_get(vhost, 0);
    struct rte_mempool *pool = eal->lcore[0].pool;
    struct rte_eth_conf conf = {0};
    char args[128];
    uint16_t id;
    snprintf(args, sizeof(args), "path=%s,queues=1,mac=02:00:00:00:00:07", path);
    assert_int_equal(rte_eal_hotplug_add("vdev", "net_virtio_user99", args), 0);
    assert_int_equal(rte_eth_dev_get_port_by_name("net_virtio_user99", &id), 0);
    assert_int_equal(rte_eth_dev_configure(id, 1, 1, &conf), 0);
    assert_int_equal(rte_eth_rx_queue_setup(id, 0, 256, SOCKET_ID_ANY, NULL, pool), 0);
    assert_int_equal(rte_eth_tx_queue_setup(id, 0, 256, SOCKET_ID_ANY, NULL), 0);
    assert_int_equal(rte_eth_dev_start(id), 0);
    assert_true(link_wait(vhost, true));
    for (int i = 0; i < 200; i++) {
        struct test_frame options = {.pool = v->pool,
                                     .ip6 = i & 1,
                                     .payload_len = (uint16_t)(600 + i),
                                     .cuts = {101, (uint16_t)(33 + i), 1, 55}};
        struct rte_mbuf *got = NULL;
        send_one(v, &options);
        for (int tries = 0; tries < WAIT_MS && rte_eth_rx_burst(id, 0, &got, 1) == 0; tries++)
            usleep(1000);
        assert_non_null(got);
        assert_true(test_frame_valid(got));
        rte_pktmbuf_free(got);
    }
    assert_int_equal(rte_eth_dev_stop(id), 0);
    assert_int_equal(rte_eal_hotplug_remove("vdev", "net_virtio_user99"), 0);
    port_close(vhost);
    assert_int_equal(eal_buffers_used(eal), 0);
}

static void test_peer_away(void **state)
{
    struct port *vhost = port_new("vhost", 1500);
    struct port_queue *v = port_queue_get(vhost, 0);
    struct rte_mbuf *frame =
        test_frame_new(&(struct test_frame){.pool = v->pool, .payload_len = 10});
    /* Taken and kept, or refused: never blocked, never lost from the pool. */
    if (v->tx(v, &frame, 1) == 0)
        rte_pktmbuf_free(frame);
    port_close(vhost);
    assert_int_equal(eal_buffers_used(eal), 0);
}

static void test_errors(void **state)
{
    char err[PORT_ERROR_SIZE];
    assert_null(port_try("virtio-user", "", 1500, err));
    assert_non_null(strstr(err, "there is no such socket: start its vhost side first"));

    FILE *file = fopen(path, "w");
    fclose(file);
    assert_null(port_try("virtio-user", "", 1500, err));
    assert_non_null(strstr(err, "is no socket"));
    assert_null(port_try("vhost", "", 1500, err));
    assert_non_null(strstr(err, "exists and is no socket"));
    unlink(path);

    struct port *vhost = port_new("vhost", 1500);
    assert_null(port_try("vhost", "", 1500, err));
    assert_non_null(strstr(err, "another process listens on this socket"));
    port_close(vhost);

    assert_null(port_try("vhost", "/none/v.sock", 1500, err));
    assert_non_null(strstr(err, "the folder of this socket does not exist"));
}

static int setup(void **state)
{
    eal = test_eal(1, 2047);
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/v.sock", folder);
    return 0;
}

static int teardown(void **state)
{
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchange),      cmocka_unit_test(test_jumbo),
        cmocka_unit_test(test_wake),          cmocka_unit_test(test_reconnect),
        cmocka_unit_test(test_roles_swapped), cmocka_unit_test(test_peer_without_offloads),
        cmocka_unit_test(test_peer_away),     cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
