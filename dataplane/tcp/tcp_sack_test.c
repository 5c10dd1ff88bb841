/* Rows 28 and 29 of README.md: the scoreboard alone, also against a plain model of it. */
#include "test_cmocka.h"
#include <string.h>
#include "check.h"
#include "rng.h"
#include "tcp_sack.h"
#include "tcp_seq.h"

static uint32_t add(struct tcp_sack_board *b, uint32_t una, uint32_t max, uint32_t left,
                    uint32_t right)
{
    return tcp_sack_add(b, una, max, (struct tcp_block){left, right});
}

static void test_row28_only_blocks_in_flight(void **state)
{
    struct tcp_sack_board b = {0};
    assert_int_equal(add(&b, 100, 200, 100, 110), 0);
    assert_int_equal(add(&b, 100, 200, 90, 110), 0);
    assert_int_equal(add(&b, 100, 200, 150, 201), 0);
    assert_int_equal(add(&b, 100, 200, 160, 150), 0);
    assert_int_equal(add(&b, 100, 200, 150, 150), 0);
    /* Each end alone would pass a comparison modulo 2^32. */
    assert_int_equal(add(&b, 100, 200, 100 + 0x70000000, 100 + 0x90000000), 0);
    assert_int_equal(add(&b, 100, 100, 100 + 0x69b1735f, 100 + 0x96b5b342), 0);
    assert_int_equal(add(&b, 100, 200, 150, 200), 50);
    assert_int_equal(b.count, 1);
}

static void test_blocks_merge(void **state)
{
    struct tcp_sack_board b = {0};
    add(&b, 0, 1000, 100, 200);
    add(&b, 0, 1000, 300, 400);
    assert_int_equal(add(&b, 0, 1000, 200, 250), 50); /* touches the first */
    assert_int_equal(b.count, 2);
    assert_int_equal(add(&b, 0, 1000, 150, 350), 50); /* joins both */
    assert_int_equal(b.count, 1);
    assert_int_equal(b.bytes, 300);
    assert_int_equal(add(&b, 0, 1000, 120, 380), 0);
}

static void test_row28_full_board_ignores_more(void **state)
{
    struct tcp_sack_board b = {0};
    for (uint32_t i = 0; i < 2 * TCP_SACK_RANGES_MAX; i++)
        add(&b, 0, 100000, 10 + 10 * i, 15 + 10 * i);
    assert_int_equal(b.count, TCP_SACK_RANGES_MAX);
    assert_int_equal(add(&b, 0, 100000, 15, 20), 5); /* what touches still counts */
    assert_int_equal(b.count, TCP_SACK_RANGES_MAX - 1);
}

static void test_row29_ack_into_a_range_forgets_it(void **state)
{
    struct tcp_sack_board b = {0};
    add(&b, 0, 1000, 100, 200);
    add(&b, 0, 1000, 300, 400);
    tcp_sack_advance(&b, 150);
    assert_int_equal(b.count, 1);
    assert_int_equal(b.bytes, 100);
    tcp_sack_advance(&b, 400);
    assert_int_equal(b.count, 0);
    assert_int_equal(b.bytes, 0);
}

static void test_row29_lost_edge(void **state)
{
    struct tcp_sack_board b = {0};
    add(&b, 0, 100000, 1000, 1500);
    assert_int_equal(tcp_sack_lost_edge(&b, 0, 1000), 0);
    add(&b, 0, 100000, 2000, 2500);
    assert_int_equal(tcp_sack_lost_edge(&b, 0, 1000), 0);
    add(&b, 0, 100000, 3000, 3500); /* the third range: what is below the first is lost */
    assert_int_equal(tcp_sack_lost_edge(&b, 0, 1000), 1000);
    struct tcp_sack_board c = {0};
    add(&c, 0, 100000, 1000, 3000);
    assert_int_equal(tcp_sack_lost_edge(&c, 0, 1000), 0);
    add(&c, 0, 100000, 3000, 3001); /* more than two segments above */
    assert_int_equal(tcp_sack_lost_edge(&c, 0, 1000), 1000);
}

static void test_pipe(void **state)
{
    struct tcp_sack_board b = {0};
    add(&b, 0, 100000, 1000, 4000);
    /* [0, 1000) is lost, [4000, 6000) in flight. */
    assert_int_equal(tcp_sack_pipe(&b, 0, 6000, 0, 1000), 2000);
    assert_int_equal(tcp_sack_pipe(&b, 0, 6000, 1000, 1000), 3000); /* and sent again */
}

/* --- against a byte map --- */

#define SPAN 600u

static uint32_t base;
static bool map[SPAN];

static void compare(const struct tcp_sack_board *b, uint32_t una)
{
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < SPAN; i++)
        bytes += map[i];
    assert_int_equal(bytes, b->bytes);
    for (uint32_t i = 0; i < b->count; i++) {
        assert_true(seq_lt(i ? b->range[i - 1].right : una, b->range[i].left));
        for (uint32_t s = b->range[i].left; s != b->range[i].right; s++)
            assert_true(map[s - base]);
    }
}

static void compare_hole(const struct tcp_sack_board *b, uint32_t from, uint32_t to)
{
    uint32_t at = from, missing = 0;
    while (at < to && map[at])
        at++;
    struct tcp_block hole;
    assert_int_equal(tcp_sack_hole(b, base + from, base + to, &hole), at < to);
    if (at < to) {
        assert_int_equal(hole.left, base + at);
        while (at < to && !map[at])
            at++;
        assert_int_equal(hole.right, base + at);
    }
    for (uint32_t i = from; i < to; i++)
        missing += !map[i];
    assert_int_equal(tcp_sack_missing(b, base + from, base + to), missing);
}

static void test_board_agrees_with_a_byte_map(void **state)
{
    struct rng rng;
    rng_seed(&rng, 7);
    for (int round = 0; round < 300; round++) {
        struct tcp_sack_board b = {0};
        memset(map, 0, sizeof(map));
        base = round % 2 ? 0xffffff00u : (uint32_t)rng_next(&rng);
        uint32_t una = 0;
        for (int step = 0; step < 60; step++) {
            uint32_t left = (uint32_t)rng_below(&rng, SPAN), len = (uint32_t)rng_below(&rng, 30);
            uint32_t before = b.bytes, fresh = 0;
            bool valid = left > una && len && left + len <= SPAN;
            for (uint32_t i = left; valid && i < left + len; i++) {
                fresh += !map[i];
                map[i] = true;
            }
            assert_int_equal(add(&b, base + una, base + SPAN, base + left, base + left + len),
                             fresh);
            assert_int_equal(b.bytes, before + fresh);
            if (rng_below(&rng, 8) == 0) {
                una += (uint32_t)rng_below(&rng, 40);
                una = una > SPAN ? SPAN : una;
                /* A range that the ACK reaches is forgotten whole. */
                uint32_t end = una;
                while (end < SPAN && map[end])
                    end++;
                memset(map, 0, end);
                tcp_sack_advance(&b, base + una);
            }
            compare(&b, base + una);
            uint32_t from = una + (uint32_t)rng_below(&rng, SPAN - una + 1);
            compare_hole(&b, from, from + (uint32_t)rng_below(&rng, SPAN - from + 1));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_row28_only_blocks_in_flight),
        cmocka_unit_test(test_blocks_merge),
        cmocka_unit_test(test_row28_full_board_ignores_more),
        cmocka_unit_test(test_row29_ack_into_a_range_forgets_it),
        cmocka_unit_test(test_row29_lost_edge),
        cmocka_unit_test(test_pipe),
        cmocka_unit_test(test_board_agrees_with_a_byte_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
