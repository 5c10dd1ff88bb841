#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>
#include "check.h"
#include "offload.h"
#include "rng.h"
#include "test_eal.h"

static struct rte_mempool *pool;
static struct rte_mempool *indirect;

static struct offload software(void)
{
    return (struct offload){
        .multi_seg = true, .frame_bytes = 1518, .pool = pool, .indirect = indirect};
}

static void baseline_check(void)
{
    assert_int_equal(rte_mempool_in_use_count(pool), 0);
    assert_int_equal(rte_mempool_in_use_count(indirect), 0);
}

static struct rte_mbuf *one(struct offload *offload, struct rte_mbuf *frame)
{
    struct rte_mbuf *out[OFFLOAD_FRAMES_MAX];
    assert_int_equal(offload_frame(offload, frame, out), 1);
    return out[0];
}

/* Every length and cutting, odd ones too: what rte_*_cksum_verify says of a flat copy decides. */
static void test_checksums(void **state)
{
    struct offload offload = software();
    struct rng rng;
    rng_seed(&rng, 1);
    for (int round = 0; round < 4000; round++) {
        struct test_frame options = {.pool = pool, .ip6 = round & 1};
        options.payload_len = (uint16_t)rng_below(&rng, 1400);
        options.tcp_options_len = (uint16_t)(4 * rng_below(&rng, 11));
        options.fill = (uint8_t)rng_next(&rng);
        options.cuts[0] = (uint16_t)(14 + 40 + 20 + 40 + rng_below(&rng, 30));
        for (int i = 1; i < 6; i++)
            options.cuts[i] = (uint16_t)(1 + rng_below(&rng, 200));
        struct rte_mbuf *frame = one(&offload, test_frame_new(&options));
        assert_true(test_frame_valid(frame));
        assert_int_equal(frame->ol_flags & (RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_L4_MASK), 0);
        rte_pktmbuf_free(frame);
    }
    baseline_check();
}

static void test_not_asked_not_touched(void **state)
{
    struct offload offload = software();
    struct rte_mbuf *frame = test_frame_new(&(struct test_frame){.pool = pool, .payload_len = 9});
    frame->ol_flags = RTE_MBUF_F_TX_IPV4;
    frame = one(&offload, frame);
    const struct rte_tcp_hdr *tcp =
        rte_pktmbuf_mtod_offset(frame, const struct rte_tcp_hdr *, frame->l2_len + frame->l3_len);
    assert_int_equal(tcp->cksum, 0xdead);
    rte_pktmbuf_free(frame);
    baseline_check();
}

static void test_hardware(void **state)
{
    struct offload offload = software();
    offload.hardware = RTE_MBUF_F_TX_TCP_CKSUM;
    struct rte_mbuf *frame = test_frame_new(&(struct test_frame){.pool = pool, .payload_len = 100});
    frame = one(&offload, frame);
    /* The header's is ours, the rest the port's. */
    assert_int_equal(frame->ol_flags & RTE_MBUF_F_TX_IP_CKSUM, 0);
    assert_int_equal(frame->ol_flags & RTE_MBUF_F_TX_L4_MASK, RTE_MBUF_F_TX_TCP_CKSUM);
    rte_pktmbuf_free(frame);

    offload.prepare = true;
    frame = test_frame_new(&(struct test_frame){.pool = pool, .payload_len = 100});
    frame = one(&offload, frame);
    const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(frame, const struct rte_ipv4_hdr *, 14);
    const struct rte_tcp_hdr *tcp = (const struct rte_tcp_hdr *)(ip + 1);
    assert_int_equal(tcp->cksum, rte_ipv4_phdr_cksum(ip, 0));
    rte_pktmbuf_free(frame);
    baseline_check();
}

static void test_flatten(void **state)
{
    struct offload offload = software();
    offload.multi_seg = false;
    struct test_frame options = {.pool = pool, .payload_len = 1001, .cuts = {101, 33, 1, 200}};
    struct rte_mbuf *chain = test_frame_new(&options);
    uint8_t *before = test_frame_bytes(chain);
    assert_int_equal(chain->nb_segs, 5);
    struct rte_mbuf *flat = one(&offload, chain);
    assert_int_equal(flat->nb_segs, 1);
    assert_true(test_frame_valid(flat));
    uint8_t *after = test_frame_bytes(flat);
    assert_memory_equal(before + 54, after + 54, 1001);
    free(before);
    free(after);
    rte_pktmbuf_free(flat);
    baseline_check();
}

/* A port with mbuf fast-free puts what it sent into one pool without a look. */
static void test_own_buffers(void **state)
{
    struct offload offload = software();
    struct test_frame options = {.pool = pool, .payload_len = 300, .cuts = {101, 33}};
    offload.own_buffers = true;
    struct rte_mbuf *own = test_frame_new(&options);
    assert_ptr_equal(one(&offload, own), own);
    rte_pktmbuf_free(own);

    struct rte_mbuf *shared = test_frame_new(&options);
    rte_mbuf_refcnt_update(shared->next, 1);
    struct rte_mbuf *held = shared->next;
    struct rte_mbuf *copy = one(&offload, shared);
    assert_ptr_not_equal(copy, shared);
    assert_true(test_frame_valid(copy));
    rte_pktmbuf_free(copy);
    rte_pktmbuf_free_seg(held);

    struct rte_mempool *other = rte_pktmbuf_pool_create("other", 63, 0, 0, 2176, SOCKET_ID_ANY);
    options.pool = other;
    copy = one(&offload, test_frame_new(&options));
    assert_ptr_equal(copy->pool, pool);
    assert_true(test_frame_valid(copy));
    rte_pktmbuf_free(copy);
    rte_mempool_free(other);
    baseline_check();
}

static void dropped_check(struct offload *offload, struct rte_mbuf *frame)
{
    struct rte_mbuf *out[OFFLOAD_FRAMES_MAX];
    uint64_t before = offload->dropped;
    assert_int_equal(offload_frame(offload, frame, out), 0);
    assert_int_equal(offload->dropped, before + 1);
    baseline_check();
}

static void test_refused(void **state)
{
    struct offload offload = software();
    struct test_frame options = {.pool = pool, .payload_len = 1465};
    /* Longer than the port's frames: some drivers would stop at it for ever. */
    dropped_check(&offload, test_frame_new(&options));
    /* The header is not whole in the first segment. */
    options.payload_len = 100;
    struct rte_mbuf *frame = test_frame_new(&options);
    frame->l3_len = 140;
    dropped_check(&offload, frame);
    /* To be cut into pieces of nothing. */
    frame = test_frame_new(&options);
    frame->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
    frame->tso_segsz = 0;
    dropped_check(&offload, frame);
}

static struct rte_mbuf *large(bool ip6, uint16_t payload_len, uint16_t segment)
{
    struct test_frame options = {.pool = pool,
                                 .ip6 = ip6,
                                 .payload_len = payload_len,
                                 .tcp_options_len = 12,
                                 .cuts = {14 + 40 + 32, 1999, 333, 1, 1501}};
    struct rte_mbuf *frame = test_frame_new(&options);
    frame->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
    frame->tso_segsz = segment;
    return frame;
}

static void cut_check(bool ip6, uint16_t payload_len, uint16_t segment)
{
    struct offload offload = software();
    struct rte_mbuf *out[OFFLOAD_FRAMES_MAX];
    struct rte_mbuf *frame = large(ip6, payload_len, segment);
    uint32_t header = (uint32_t)frame->l2_len + frame->l3_len + frame->l4_len;
    uint8_t *whole = test_frame_bytes(frame);
    uint16_t count = offload_frame(&offload, frame, out);
    assert_int_equal(count, (payload_len + segment - 1) / segment);
    uint32_t at = 0;
    for (uint16_t i = 0; i < count; i++) {
        uint8_t *bytes = test_frame_bytes(out[i]);
        const struct rte_tcp_hdr *tcp = (const struct rte_tcp_hdr *)(bytes + header - 32);
        uint32_t len = rte_pktmbuf_pkt_len(out[i]) - header;
        bool last = i == count - 1;
        assert_true(test_frame_valid(out[i]));
        assert_int_equal(len, last ? payload_len - at : segment);
        assert_int_equal(rte_be_to_cpu_32(tcp->sent_seq), 1000 + at);
        assert_int_equal(!!(tcp->tcp_flags & RTE_TCP_FIN_FLAG), last);
        assert_int_equal(!!(tcp->tcp_flags & RTE_TCP_PSH_FLAG), last);
        assert_memory_equal(bytes + header, whole + header + at, len);
        at += len;
        free(bytes);
        rte_pktmbuf_free(out[i]);
    }
    assert_int_equal(at, payload_len);
    free(whole);
    baseline_check();
}

static void test_cut(void **state)
{
    for (int ip6 = 0; ip6 < 2; ip6++) {
        cut_check(ip6, 1, 1000);
        cut_check(ip6, 1000, 1000);
        cut_check(ip6, 1001, 1000);
        cut_check(ip6, 10007, 1000);
        cut_check(ip6, 60001, 1423);
        cut_check(ip6, 40000, 536);
    }
}

static void test_cut_too_many(void **state)
{
    struct offload offload = software();
    dropped_check(&offload, large(false, 20000, 100));
    dropped_check(&offload, large(true, 20000, 100));
}

static void test_cut_without_buffers(void **state)
{
    struct offload offload = software();
    struct rte_mbuf *taken[255];
    struct rte_mbuf *out[OFFLOAD_FRAMES_MAX];
    for (int ip6 = 0; ip6 < 2; ip6++) {
        struct rte_mbuf *frame = large((bool)ip6, 20000, 1000);
        unsigned leave = 7;
        unsigned count = rte_mempool_avail_count(indirect) - leave;
        assert_true(count <= count_of(taken));
        for (unsigned i = 0; i < count; i++)
            assert_non_null(taken[i] = rte_pktmbuf_alloc(indirect));
        assert_int_equal(offload_frame(&offload, frame, out), 0);
        rte_pktmbuf_free_bulk(taken, count);
        baseline_check();
    }
    assert_int_equal(offload.dropped, 2);
}

static int setup(void **state)
{
    pool = test_eal(1, 2047)->lcore[0].pool;
    indirect = rte_pktmbuf_pool_create("indirect", 255, 0, 0, 0, SOCKET_ID_ANY);
    return indirect == NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checksums),
        cmocka_unit_test(test_not_asked_not_touched),
        cmocka_unit_test(test_hardware),
        cmocka_unit_test(test_flatten),
        cmocka_unit_test(test_own_buffers),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_cut_too_many),
        cmocka_unit_test(test_cut_without_buffers),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
