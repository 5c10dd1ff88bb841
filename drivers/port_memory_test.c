#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_thash.h>
#include "check.h"
#include "port_memory.h"
#include "port_open.h"
#include "test_eal.h"

static struct eal *eal;
static const uint8_t key[RSS_KEY_SIZE] = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

static struct port_memory *wire(int queues, uint32_t frames, const uint8_t *rss_key)
{
    static struct rte_mempool *pools[2][2];
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < queues; i++)
            pools[side][i] = eal->lcore[2 * side + i].pool;
    return port_memory_new(&(struct port_memory_options){.queue_count = queues,
                                                         .mtu = 1500,
                                                         .ring_frames = frames,
                                                         .pool = {pools[0], pools[1]},
                                                         .rss_key = rss_key});
}

static struct rte_mbuf *frame_of(const struct port_queue *q, uint16_t payload_len, uint16_t port)
{
    return test_frame_new(
        &(struct test_frame){.pool = q->pool, .payload_len = payload_len, .port = port});
}

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static void test_both_ways(void **state)
{
    struct port_memory *port = wire(1, 64, NULL);
    for (int side = 0; side < 2; side++) {
        struct port_queue *from = port_memory_queue(port, side, 0);
        struct port_queue *to = port_memory_queue(port, !side, 0);
        struct rte_mbuf *got[4];
        struct rte_mbuf *sent[3];
        for (int i = 0; i < 3; i++)
            sent[i] = frame_of(from, (uint16_t)(100 + i), 1);
        assert_int_equal(from->tx(from, sent, 3), 3);
        assert_int_equal(to->rx(to, got, 4), 3);
        /* The sender's buffers are back at once; the receiver's are its own. */
        assert_int_equal(rte_mempool_in_use_count(from->pool), 0);
        for (int i = 0; i < 3; i++) {
            assert_ptr_equal(got[i]->pool, to->pool);
            assert_true(test_frame_valid(got[i]));
            assert_int_equal(got[i]->ol_flags, 0);
            assert_int_equal(rte_pktmbuf_pkt_len(got[i]), 154 + i);
            rte_pktmbuf_free(got[i]);
        }
        assert_int_equal(to->rx(to, got, 4), 0);
    }
    port_memory_free(port);
    assert_int_equal(eal_buffers_used(eal), 0);
}

static void test_cuts_large_frames(void **state)
{
    struct port_memory *port = wire(1, 64, NULL);
    struct port_queue *from = port_memory_queue(port, 0, 0);
    struct port_queue *to = port_memory_queue(port, 1, 0);
    struct rte_mbuf *got[64];
    struct rte_mbuf *frame = frame_of(from, 14000, 1);
    assert_true(from->info->caps & PORT_TX_GSO);
    frame->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
    frame->tso_segsz = 1400;
    assert_int_equal(from->tx(from, &frame, 1), 1);
    assert_int_equal(to->rx(to, got, 64), 10);
    for (int i = 0; i < 10; i++)
        assert_true(test_frame_valid(got[i]));
    rte_pktmbuf_free_bulk(got, 10);
    port_memory_free(port);
    assert_int_equal(eal_buffers_used(eal), 0);
}

static void test_full_ring_waits(void **state)
{
    struct port_memory *port = wire(1, 4, NULL);
    struct port_queue *from = port_memory_queue(port, 0, 0);
    struct port_queue *to = port_memory_queue(port, 1, 0);
    struct rte_mbuf *sent[100];
    struct rte_mbuf *got[8];
    uint16_t next = 0;
    for (uint16_t i = 0; i < 100; i++)
        sent[i] = frame_of(from, (uint16_t)(i + 1), 1);
    uint16_t taken = from->tx(from, sent, 100);
    assert_true(taken >= 4 && taken < 100);
    /* Nothing more while earlier frames wait. */
    assert_int_equal(from->tx(from, sent + taken, 1), 0);
    while (next < 100) {
        uint16_t count = to->rx(to, got, 8);
        for (uint16_t i = 0; i < count; i++) {
            assert_int_equal(rte_pktmbuf_pkt_len(got[i]), 54 + ++next);
            rte_pktmbuf_free(got[i]);
        }
        from->tx_flush(from);
        if (taken < 100)
            taken = (uint16_t)(taken + from->tx(from, sent + taken, (uint16_t)(100 - taken)));
    }
    port_memory_free(port);
    assert_int_equal(eal_buffers_used(eal), 0);
}

static void test_wake(void **state)
{
    struct port_memory *port = wire(1, 64, NULL);
    struct port_queue *from = port_memory_queue(port, 0, 0);
    struct port_queue *to = port_memory_queue(port, 1, 0);
    struct rte_mbuf *got[4];
    struct rte_mbuf *frame = frame_of(from, 1, 1);
    assert_int_equal(from->tx(from, &frame, 1), 1);
    assert_false(readable(to->wake_fd)); /* not armed: no system call for the sender */
    assert_int_equal(to->rx(to, got, 4), 1);
    rte_pktmbuf_free(got[0]);

    assert_true(to->wake_arm(to));
    assert_false(readable(to->wake_fd));
    frame = frame_of(from, 1, 1);
    assert_int_equal(from->tx(from, &frame, 1), 1);
    assert_true(readable(to->wake_fd));
    to->wake_disarm(to);
    assert_false(readable(to->wake_fd));
    assert_int_equal(to->rx(to, got, 4), 1);
    rte_pktmbuf_free(got[0]);
    port_memory_free(port);
}

#define RACE_FRAMES 20000

static void *race_sender(void *arg)
{
    struct port_queue *q = arg;
    for (int i = 0; i < RACE_FRAMES;) {
        struct rte_mbuf *frame = rte_pktmbuf_alloc(q->pool);
        if (frame == NULL)
            continue;
        CHECK(rte_pktmbuf_append(frame, 60) != NULL);
        while (q->tx(q, &frame, 1) == 0)
            sched_yield();
        i++;
        /* Now and then nothing for a while, so that the receiver goes to sleep. */
        if (i % 7 == 0)
            sched_yield();
    }
    while (rte_mempool_in_use_count(q->pool) > 0)
        q->tx_flush(q);
    return NULL;
}

/* A lost wake-up would leave the receiver asleep with frames on the wire. */
static void test_wake_race(void **state)
{
    struct port_memory *port = wire(1, 64, NULL);
    struct port_queue *to = port_memory_queue(port, 1, 0);
    struct rte_mbuf *got[32];
    pthread_t sender;
    int total = 0;
    int sleeps = 0;
    assert_int_equal(pthread_create(&sender, NULL, race_sender, port_memory_queue(port, 0, 0)), 0);
    while (total < RACE_FRAMES) {
        uint16_t count = to->rx(to, got, 32);
        if (count == 0) {
            to->wake_arm(to);
            count = to->rx(to, got, 32);
            if (count == 0) {
                struct pollfd p = {.fd = to->wake_fd, .events = POLLIN};
                sleeps++;
                assert_int_equal(poll(&p, 1, 20000), 1);
            }
            to->wake_disarm(to);
        }
        total += count;
        rte_pktmbuf_free_bulk(got, count);
    }
    pthread_join(sender, NULL);
    assert_true(sleeps > 0);
    port_memory_free(port);
    assert_int_equal(eal_buffers_used(eal), 0);
}

static void test_steering(void **state)
{
    struct port_memory *port = wire(2, 256, key);
    struct port_queue *from = port_memory_queue(port, 0, 0);
    int seen[2] = {0};
    assert_true(from->info->caps & PORT_RX_STEERED);
    for (uint16_t flow = 1; flow <= 100; flow++) {
        struct rte_mbuf *frame = frame_of(from, 10, flow);
        assert_int_equal(from->tx(from, &frame, 1), 1);
    }
    for (int i = 0; i < 2; i++) {
        struct port_queue *to = port_memory_queue(port, 1, i);
        struct rte_mbuf *got[1];
        while (to->rx(to, got, 1) == 1) {
            const uint8_t *bytes = rte_pktmbuf_mtod(got[0], const uint8_t *);
            union rte_thash_tuple tuple = {.v4 = {.src_addr = 0x0a4d0001, .dst_addr = 0x0a4d0002}};
            tuple.v4.sport = (uint16_t)(bytes[34] << 8 | bytes[35]);
            tuple.v4.dport = 6379;
            uint32_t hash = rte_softrss((uint32_t *)&tuple, RTE_THASH_V4_L4_LEN, key);
            assert_true(got[0]->ol_flags & RTE_MBUF_F_RX_RSS_HASH);
            assert_int_equal(got[0]->hash.rss, hash);
            assert_int_equal(hash % RSS_TABLE_SIZE % 2, i);
            seen[i]++;
            rte_pktmbuf_free(got[0]);
        }
    }
    assert_int_equal(seen[0] + seen[1], 100);
    assert_true(seen[0] > 20 && seen[1] > 20);
    port_memory_free(port);
}

static void test_no_buffer(void **state)
{
    struct port_memory *port = wire(1, 64, NULL);
    struct port_queue *from = port_memory_queue(port, 0, 0);
    struct port_queue *to = port_memory_queue(port, 1, 0);
    static struct rte_mbuf *taken[2047];
    struct rte_mbuf *got[4];
    unsigned count = 0;
    while (count < count_of(taken) && (taken[count] = rte_pktmbuf_alloc(to->pool)) != NULL)
        count++;
    struct rte_mbuf *frame = frame_of(from, 1, 1);
    assert_int_equal(from->tx(from, &frame, 1), 1);
    assert_int_equal(to->rx(to, got, 4), 0);
    assert_int_equal(port_memory_no_buffer(port, 1), 1);
    rte_pktmbuf_free_bulk(taken, count);
    frame = frame_of(from, 1, 1);
    assert_int_equal(from->tx(from, &frame, 1), 1);
    assert_int_equal(to->rx(to, got, 4), 1);
    rte_pktmbuf_free(got[0]);
    port_memory_free(port);
    assert_int_equal(eal_buffers_used(eal), 0);
}

static void test_link(void **state)
{
    struct port_memory *port = wire(1, 64, NULL);
    struct port_queue *from = port_memory_queue(port, 0, 0);
    struct port_queue *to = port_memory_queue(port, 1, 0);
    struct rte_mbuf *got[4];
    port_memory_link_set(port, false);
    struct rte_mbuf *frame = frame_of(from, 1, 1);
    assert_int_equal(from->tx(from, &frame, 1), 1);
    assert_int_equal(to->rx(to, got, 4), 0);
    assert_false(to->link_up);
    port_memory_link_set(port, true);
    assert_int_equal(to->rx(to, got, 4), 0);
    assert_true(to->link_up);
    port_memory_free(port);
    assert_int_equal(eal_buffers_used(eal), 0);
}

static int setup(void **state)
{
    eal = test_eal(4, 2047);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),       cmocka_unit_test(test_cuts_large_frames),
        cmocka_unit_test(test_full_ring_waits), cmocka_unit_test(test_wake),
        cmocka_unit_test(test_wake_race),       cmocka_unit_test(test_steering),
        cmocka_unit_test(test_no_buffer),       cmocka_unit_test(test_link),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
