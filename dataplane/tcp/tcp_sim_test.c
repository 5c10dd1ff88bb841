/* Whole transfers between two engines over a bad link. */
#include "test_cmocka.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "tcp_sim.h"

static struct sim_result run(struct sim_config c)
{
    struct sim_result r;
    if (!c.limit_us)
        c.limit_us = 3600ull * 1000000;
    sim_run(&c, &r);
    if (!r.done || r.stall_us)
        print_error("seed %" PRIu64
                    " loss %.3f reorder %.2f dup %.2f delay %u us: done %d stall %" PRIu64
                    " us, elapsed %" PRIu64 " us\n",
                    c.seed, c.link.loss, c.link.reorder, c.link.dup, c.link.delay_us, r.done,
                    r.stall_us, r.elapsed_us);
    assert_true(r.done);
    assert_int_equal(r.stall_us, 0);
    return r;
}

static void test_clean_link_both_directions(void **state)
{
    struct sim_result r =
        run((struct sim_config){.seed = 1, .bytes = {4 << 20, 4 << 20}, .link.delay_us = 50});
    assert_int_equal(r.retransmits[0] + r.retransmits[1], 0);
    assert_int_equal(r.timeouts[0] + r.timeouts[1], 0);
}

static void test_matrix_of_loss_reordering_duplication_delay(void **state)
{
    static const double loss[] = {0, 0.001, 0.01, 0.05}, reorder[] = {0, 0.25}, dup[] = {0, 0.01};
    static const uint32_t delay_us[] = {0, 1000, 50000};
    uint64_t seed = 100;
    for (size_t l = 0; l < count_of(loss); l++)
        for (size_t o = 0; o < count_of(reorder); o++)
            for (size_t d = 0; d < count_of(dup); d++)
                for (size_t y = 0; y < count_of(delay_us); y++, seed++)
                    run((struct sim_config){.seed = seed,
                                            .bytes = {300000, 300000},
                                            .cc = seed % 2 ? TCP_CC_NEWRENO : TCP_CC_CUBIC,
                                            .validate_rarely = true,
                                            .link = {.loss = loss[l],
                                                     .reorder = reorder[o],
                                                     .dup = dup[d],
                                                     .delay_us = delay_us[y],
                                                     .reorder_us = delay_us[y] / 2 + 200}});
}

/* SLOTWIRE_LONG=1: more of everything. */
static bool is_long(void)
{
    return getenv("SLOTWIRE_LONG") != NULL;
}

static void test_row52_more_bytes_than_sequence_numbers(void **state)
{
    run((struct sim_config){.seed = 52,
                            .bytes = {is_long() ? 9ull << 29 : 48 << 20, 1000},
                            .caps = PORT_TX_MULTI_SEG | PORT_TX_TSO,
                            .validate_rarely = true,
                            .link = {.loss = 0.0001, .delay_us = 100}});
}

static void test_random_links_and_options(void **state)
{
    struct rng rng;
    const char *from = getenv("TCP_SIM_SEED"), *rounds = getenv("TCP_SIM_ROUNDS");
    uint64_t seed = from ? strtoull(from, NULL, 10) : 1;
    uint64_t end = seed + (rounds ? strtoull(rounds, NULL, 10) : is_long() ? 3000 : 60);
    for (; seed < end; seed++) {
        rng_seed(&rng, seed);
        struct sim_config c = {.seed = seed,
                               .bytes = {rng_below(&rng, 2000000), rng_below(&rng, 2000000)},
                               .cc = seed % 2 ? TCP_CC_NEWRENO : TCP_CC_CUBIC,
                               .no_sack = rng_below(&rng, 3) == 0,
                               .no_ts = rng_below(&rng, 3) == 0,
                               .no_scale = rng_below(&rng, 3) == 0,
                               .validate_rarely = seed % 8 != 0};
        c.caps = rng_below(&rng, 2) ? PORT_TX_MULTI_SEG | PORT_TX_TSO : 0;
        c.read_per_round = rng_below(&rng, 4) == 0 ? 1 + (uint32_t)rng_below(&rng, 5000) : 0;
        c.rx_memory_bytes = rng_below(&rng, 4) == 0 ? 100000 + rng_below(&rng, 400000) : 0;
        c.link = (struct sim_link_config){.loss = (double)rng_below(&rng, 60) / 1000,
                                          .dup = (double)rng_below(&rng, 50) / 1000,
                                          .reorder = (double)rng_below(&rng, 300) / 1000,
                                          .delay_us = (uint32_t)rng_below(&rng, 60000),
                                          .jitter_us = (uint32_t)rng_below(&rng, 5000),
                                          .reorder_us = (uint32_t)rng_below(&rng, 20000),
                                          .rate_bps = rng_below(&rng, 2) ? 20000000 : 0,
                                          .queue_max = 100};
        run(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean_link_both_directions),
        cmocka_unit_test(test_matrix_of_loss_reordering_duplication_delay),
        cmocka_unit_test(test_row52_more_bytes_than_sequence_numbers),
        cmocka_unit_test(test_random_links_and_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
