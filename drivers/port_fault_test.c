/* Faults over the in-memory wire, in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <rte_mbuf.h>
#include "check.h"
#include "port_fault.h"
#include "port_memory.h"
#include "test_eal.h"

static struct eal *eal;
static uint64_t now_us;

struct bed {
    struct port_memory *wire;
    struct port_queue *fault;
    struct port_queue *peer;
};

static uint64_t virtual_now(void *arg)
{
    return now_us;
}

static struct bed bed_new(const char *text)
{
    static struct rte_mempool *pools[2];
    struct fault_spec spec;
    char err[FAULT_ERROR_SIZE];
    assert_true(fault_spec_parse(text, &spec, err));
    pools[0] = eal->lcore[0].pool;
    pools[1] = eal->lcore[1].pool;
    struct bed bed = {
        .wire = port_memory_new(&(struct port_memory_options){
            .queue_count = 1, .mtu = 1500, .ring_frames = 4096, .pool = {&pools[0], &pools[1]}})};
    now_us = 1000000;
    bed.peer = port_memory_queue(bed.wire, 1, 0);
    bed.fault = port_fault_new(port_memory_queue(bed.wire, 0, 0), &spec,
                               (struct port_fault_clock){virtual_now, NULL});
    return bed;
}

static void bed_free(struct bed *bed)
{
    port_memory_free(bed->wire);
    port_fault_free(bed->fault);
    assert_int_equal(eal_buffers_used(eal), 0);
}

/* Frames carry their number as source port. */
static void send_numbered(struct port_queue *from, uint16_t number)
{
    struct rte_mbuf *frame = test_frame_new(
        &(struct test_frame){.pool = from->pool, .payload_len = 100, .port = number});
    assert_int_equal(from->tx(from, &frame, 1), 1);
}

static uint16_t number_of(const struct rte_mbuf *frame)
{
    const uint8_t *bytes = rte_pktmbuf_mtod(frame, const uint8_t *);
    return (uint16_t)(bytes[34] << 8 | bytes[35]);
}

/* Numbers received now, in order; how many. */
static int receive_numbers(struct port_queue *q, uint16_t *numbers, int max)
{
    struct rte_mbuf *got;
    int count = 0;
    while (q->rx(q, &got, 1) == 1) {
        assert_true(count < max);
        numbers[count++] = number_of(got);
        rte_pktmbuf_free(got);
    }
    return count;
}

enum { FRAMES = 20000 };

/* One frame per 10 us through the faults in that direction; what came out. */
static int run(struct bed *bed, bool outwards, uint16_t *numbers, int max)
{
    struct port_queue *from = outwards ? bed->fault : bed->peer;
    struct port_queue *to = outwards ? bed->peer : bed->fault;
    int count = 0;
    for (int i = 0; i < FRAMES; i++) {
        send_numbered(from, (uint16_t)i);
        count += receive_numbers(to, numbers + count, max - count);
        now_us += 10;
    }
    now_us += 10000000;
    bed->fault->tx_flush(bed->fault);
    return count + receive_numbers(to, numbers + count, max - count);
}

static uint16_t first[3 * FRAMES];
static uint16_t second[3 * FRAMES];

static void test_none(void **state)
{
    for (int outwards = 0; outwards < 2; outwards++) {
        struct bed bed = bed_new("");
        assert_int_equal(run(&bed, outwards, first, count_of(first)), FRAMES);
        for (int i = 0; i < FRAMES; i++)
            assert_int_equal(first[i], i);
        bed_free(&bed);
    }
}

static void test_loss(void **state)
{
    for (int outwards = 0; outwards < 2; outwards++) {
        struct bed bed = bed_new("loss=5%,seed=3");
        int count = run(&bed, outwards, first, count_of(first));
        struct port_fault_stats stats =
            port_fault_stats_get(bed.fault, outwards ? PORT_FAULT_TX : PORT_FAULT_RX);
        assert_int_equal(stats.frames, FRAMES);
        assert_int_equal(stats.lost, FRAMES - count);
        assert_int_equal(stats.passed, count);
        assert_in_range(stats.lost, FRAMES * 4 / 100, FRAMES * 6 / 100);
        for (int i = 1; i < count; i++)
            assert_true(first[i] > first[i - 1]);
        bed_free(&bed);
    }
}

static void test_same_seed_same_run(void **state)
{
    static const char all[] =
        "loss=2%,dup=2%,reorder=5%,delay=1ms,corrupt=1%,stall=3ms/20ms,seed=9";
    static const char other[] =
        "loss=2%,dup=2%,reorder=5%,delay=1ms,corrupt=1%,stall=3ms/20ms,seed=8";
    for (int outwards = 0; outwards < 2; outwards++) {
        struct bed bed = bed_new(all);
        int count = run(&bed, outwards, first, count_of(first));
        bed_free(&bed);
        bed = bed_new(all);
        assert_int_equal(run(&bed, outwards, second, count_of(second)), count);
        assert_memory_equal(first, second, (size_t)count * sizeof(first[0]));
        bed_free(&bed);
        bed = bed_new(other);
        int others = run(&bed, outwards, second, count_of(second));
        assert_true(others != count ||
                    memcmp(first, second, (size_t)count * sizeof(first[0])) != 0);
        bed_free(&bed);
    }
}

static void test_duplicates(void **state)
{
    struct bed bed = bed_new("dup=5%");
    int count = run(&bed, true, first, count_of(first));
    struct port_fault_stats stats = port_fault_stats_get(bed.fault, PORT_FAULT_TX);
    assert_int_equal(count, FRAMES + (int)stats.duplicated);
    assert_in_range(stats.duplicated, FRAMES * 4 / 100, FRAMES * 6 / 100);
    int twins = 0;
    for (int i = 1; i < count; i++)
        twins += first[i] == first[i - 1];
    assert_int_equal(twins, stats.duplicated);
    bed_free(&bed);
}

static void test_reordering(void **state)
{
    static uint8_t seen[FRAMES];
    struct bed bed = bed_new("reorder=5%");
    int count = run(&bed, true, first, count_of(first));
    struct port_fault_stats stats = port_fault_stats_get(bed.fault, PORT_FAULT_TX);
    int late = 0;
    assert_int_equal(count, FRAMES);
    for (int i = 0; i < count; i++) {
        seen[first[i]]++;
        late += i > 0 && first[i] < first[i - 1];
        /* Never overtaken by more than the bound. */
        assert_in_range(first[i] + PORT_FAULT_REORDER_MAX, i, i + 2 * PORT_FAULT_REORDER_MAX);
    }
    for (int i = 0; i < FRAMES; i++)
        assert_int_equal(seen[i], 1);
    assert_in_range(stats.reordered, FRAMES * 3 / 100, FRAMES * 6 / 100);
    assert_in_range(late, 1, stats.reordered);
    bed_free(&bed);
}

static void test_overtaken_not_for_ever(void **state)
{
    struct bed bed = bed_new("reorder=100%");
    uint16_t number;
    send_numbered(bed.fault, 5);
    now_us += PORT_FAULT_REORDER_US - 1;
    bed.fault->tx_flush(bed.fault);
    assert_int_equal(receive_numbers(bed.peer, &number, 1), 0);
    bed.fault->wake_arm(bed.fault);
    assert_int_equal(bed.fault->idle_max_us, 1);
    now_us += 1;
    bed.fault->tx_flush(bed.fault);
    assert_int_equal(receive_numbers(bed.peer, &number, 1), 1);
    bed_free(&bed);
}

static void test_corruption(void **state)
{
    struct bed bed = bed_new("corrupt=100%");
    for (int i = 0; i < 2000; i++) {
        bool outwards = i & 1;
        struct port_queue *from = outwards ? bed.fault : bed.peer;
        struct port_queue *to = outwards ? bed.peer : bed.fault;
        struct test_frame options = {.pool = from->pool,
                                     .ip6 = i & 2,
                                     .payload_len = (uint16_t)(10 + i % 1000),
                                     .cuts = {101, 33}};
        struct rte_mbuf *plain = test_frame_new(&options);
        struct rte_mbuf *frame = test_frame_new(&options);
        struct rte_mbuf *got;
        assert_int_equal(from->tx(from, &frame, 1), 1);
        assert_int_equal(to->rx(to, &got, 1), 1);
        uint8_t *a = test_frame_bytes(plain);
        uint8_t *b = test_frame_bytes(got);
        int bits = 0;
        uint32_t header = 14 + (uint32_t)plain->l3_len;
        for (uint32_t at = 0; at < rte_pktmbuf_pkt_len(got); at++) {
            bool checksum =
                (!(i & 2) && (at == 24 || at == 25)) || at == header + 16 || at == header + 17;
            if (!checksum)
                bits += __builtin_popcount((unsigned)(a[at] ^ b[at]));
        }
        assert_memory_equal(a, b, 14);
        assert_in_range(bits, 0, 1); /* 0: it hit a checksum, which the plain frame has not yet */
        assert_int_equal(got->ol_flags, 0);
        free(a);
        free(b);
        rte_pktmbuf_free(plain);
        rte_pktmbuf_free(got);
    }
    bed_free(&bed);
}

/* The flipped bit must not be summed over: the receiver can tell (IPv4: every byte is covered). */
static void test_corruption_shows(void **state)
{
    struct bed bed = bed_new("corrupt=100%");
    for (int i = 0; i < 1000; i++) {
        struct rte_mbuf *got;
        send_numbered(bed.fault, (uint16_t)i);
        assert_int_equal(bed.peer->rx(bed.peer, &got, 1), 1);
        const uint8_t *bytes = rte_pktmbuf_mtod(got, const uint8_t *);
        /* A changed header length or protocol would send the checker astray; they do not count. */
        assert_true(bytes[14] != 0x45 || bytes[23] != 6 || !test_frame_valid(got));
        rte_pktmbuf_free(got);
    }
    bed_free(&bed);
}

static void test_delay(void **state)
{
    uint16_t numbers[2];
    for (int outwards = 0; outwards < 2; outwards++) {
        struct bed bed = bed_new("delay=10ms");
        struct port_queue *from = outwards ? bed.fault : bed.peer;
        struct port_queue *to = outwards ? bed.peer : bed.fault;
        send_numbered(from, 1);
        assert_int_equal(receive_numbers(to, numbers, 2), 0);
        now_us += 4000;
        send_numbered(from, 2);
        assert_int_equal(receive_numbers(to, numbers, 2), 0);
        assert_false(bed.fault->wake_arm(bed.fault));
        assert_int_equal(bed.fault->idle_max_us, 6000);
        bed.fault->wake_disarm(bed.fault);
        now_us += 5999;
        bed.fault->tx_flush(bed.fault);
        assert_int_equal(receive_numbers(to, numbers, 2), 0);
        now_us += 1;
        bed.fault->tx_flush(bed.fault);
        assert_int_equal(receive_numbers(to, numbers, 2), 1);
        assert_int_equal(numbers[0], 1);
        now_us += 4000;
        bed.fault->tx_flush(bed.fault);
        assert_int_equal(receive_numbers(to, numbers, 2), 1);
        assert_int_equal(numbers[0], 2);
        assert_true(bed.fault->wake_arm(bed.fault));
        bed_free(&bed);
    }
}

static void test_stall(void **state)
{
    struct bed bed = bed_new("stall=20ms/100ms");
    uint16_t numbers[300];
    /* 80 ms pass, 20 ms do not, then all of those at once and in order. */
    for (int i = 0; i < 100; i++) {
        send_numbered(bed.fault, (uint16_t)i);
        int count = receive_numbers(bed.peer, numbers, 300);
        assert_int_equal(count, i < 80 ? 1 : 0);
        now_us += 1000;
    }
    bed.fault->tx_flush(bed.fault);
    assert_int_equal(receive_numbers(bed.peer, numbers, 300), 20);
    for (int i = 0; i < 20; i++)
        assert_int_equal(numbers[i], 80 + i);
    bed_free(&bed);
}

static void test_bound(void **state)
{
    struct bed bed = bed_new("delay=1s");
    static uint16_t numbers[PORT_FAULT_QUEUE_MAX + 1];
    for (int i = 0; i < PORT_FAULT_QUEUE_MAX + 100; i++)
        send_numbered(bed.fault, (uint16_t)i);
    assert_int_equal(port_fault_stats_get(bed.fault, PORT_FAULT_TX).overflowed, 100);
    now_us += 1000000;
    bed.fault->tx_flush(bed.fault);
    assert_int_equal(receive_numbers(bed.peer, numbers, count_of(numbers)), PORT_FAULT_QUEUE_MAX);
    bed_free(&bed);
}

/* Frames that wait when the port closes are given back. */
static void test_free_with_frames(void **state)
{
    struct bed bed = bed_new("delay=1s,reorder=50%");
    struct rte_mbuf *got;
    for (uint16_t i = 0; i < 50; i++) {
        send_numbered(bed.fault, i);
        send_numbered(bed.peer, i);
        assert_int_equal(bed.fault->rx(bed.fault, &got, 1), 0);
    }
    bed_free(&bed);
}

static void test_capabilities(void **state)
{
    struct bed bed = bed_new("loss=1%");
    assert_false(bed.fault->info->caps & (PORT_TX_TSO | PORT_TX_CHECKSUM));
    assert_true(bed.fault->info->caps & PORT_TX_GSO);
    bed_free(&bed);
}

static int setup(void **state)
{
    eal = test_eal(2, 8191);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_loss),
        cmocka_unit_test(test_same_seed_same_run),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_reordering),
        cmocka_unit_test(test_overtaken_not_for_ever),
        cmocka_unit_test(test_corruption),
        cmocka_unit_test(test_corruption_shows),
        cmocka_unit_test(test_delay),
        cmocka_unit_test(test_stall),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_free_with_frames),
        cmocka_unit_test(test_capabilities),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
