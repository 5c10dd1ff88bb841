#include <string.h>
#include "test_cmocka.h"
#include <rte_mbuf.h>
#include "net_checksum.h"
#include "test_port.h"
#include "token_bucket.h"

static struct test_port port;
static uint8_t bytes[70000];

/* By the book, over bytes. */
static uint16_t by_the_book(const uint8_t *p, size_t len)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < len; i++)
        sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return __builtin_bswap16((uint16_t)sum);
}

static void sums_every_length_and_start(void **state)
{
    for (size_t start = 0; start < 4; start++) {
        for (size_t len = 0; len < 300; len++)
            assert_int_equal(net_sum_fold(net_sum(bytes + start, len)),
                             by_the_book(bytes + start, len));
    }
    memset(bytes + 1000, 0xff, 65536);
    assert_int_equal(net_sum_fold(net_sum(bytes + 1000, 65536)), 0xffff);
}

/* Pieces of odd length shift every byte behind them to the other half of its word. */
static void sums_chains_cut_anywhere(void **state)
{
    for (uint32_t first = 0; first < 60; first++) {
        for (uint32_t second = 0; second < first; second++) {
            struct rte_mbuf *m = test_frame_raw(&port, bytes, 100);
            test_frame_split(&port, m, first);
            test_frame_split(&port, m, second);
            for (uint32_t at = 0; at < 100; at += 7) {
                uint32_t len = 100 - at - at % 3;
                assert_int_equal(net_sum_fold(net_sum_chain(m, at, len)),
                                 by_the_book(bytes + at, len));
            }
            rte_pktmbuf_free(m);
        }
    }
    struct rte_mbuf *m = test_frame_raw(&port, bytes, 66001);
    assert_int_equal(net_sum_fold(net_sum_chain(m, 33, 65901)), by_the_book(bytes + 33, 65901));
    rte_pktmbuf_free(m);
}

static void pseudo_headers(void **state)
{
    static const char *const pairs[][2] = {{"10.1.2.3", "172.16.254.1"},
                                           {"2001:db8::ffff:1", "fe80::1234"}};
    for (unsigned i = 0; i < 2; i++) {
        struct ip_addr src = test_ip(pairs[i][0]), dst = test_ip(pairs[i][1]);
        uint64_t sum = net_sum_pseudo(&src, &dst, 6, 33) + net_sum(bytes, 33);
        uint16_t mine = (uint16_t)~net_sum_fold(sum);
        assert_int_equal(mine, __builtin_bswap16(test_l4_checksum(&src, &dst, 6, bytes, 33)));
    }
}

static void buckets_refill_evenly(void **state)
{
    struct token_bucket b = token_bucket_make(100, 5);
    uint64_t now_us = 77;
    for (unsigned i = 0; i < 5; i++)
        assert_true(token_bucket_take(&b, now_us));
    assert_false(token_bucket_take(&b, now_us));
    now_us += 9999;
    assert_false(token_bucket_take(&b, now_us));
    now_us += 1;
    assert_true(token_bucket_take(&b, now_us));
    assert_false(token_bucket_take(&b, now_us));
    /* Asking often loses nothing: 100 in a second. */
    unsigned got = 0;
    for (unsigned i = 0; i < 1000; i++)
        got += token_bucket_take(&b, now_us += 1000);
    assert_int_equal(got, 100);
    /* A long pause fills it once. */
    now_us += 3600000000ull;
    for (got = 0; token_bucket_take(&b, now_us); got++)
        ;
    assert_int_equal(got, 5);
}

static int set_up(void **state)
{
    test_eal_init();
    test_port_init(&port, 128, 0);
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 167 + (i >> 7));
    return 0;
}

static int tear_down(void **state)
{
    test_port_fini(&port);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_chains_cut_anywhere),
        cmocka_unit_test(sums_every_length_and_start),
        cmocka_unit_test(pseudo_headers),
        cmocka_unit_test(buckets_refill_evenly),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
