/* Goodput over loss and round-trip time, in virtual time, against the table beside this file: a
 * change in recovery or congestion control shows in its diff. TCP_GOODPUT_WRITE=1 writes the table
 * anew.
 *
 * argv[1]: tcp_goodput.txt. Lines: congestion control, loss in 1/1000, RTT in us, Mbit/s. */
#include "test_cmocka.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "tcp_sim.h"

#define BYTES (4u << 20)
#define SEEDS 3
/* Floating point differs a little between compilers, and one lost segment more or less moves much.
 */
#define TOLERANCE 0.15

static const char *table_path;
static const uint32_t losses_permille[] = {0, 1, 10, 50};
static const uint32_t rtts_us[] = {200, 2000, 20000, 100000};

/* 100 Mbit/s with a queue of 100 frames; the median of a few seeds. */
static double goodput_mbps(enum tcp_cc cc, uint32_t loss_permille, uint32_t rtt_us)
{
    double seen[SEEDS];
    for (uint64_t i = 0; i < SEEDS; i++) {
        struct sim_config c = {.seed = 1000 + i,
                               .bytes = {BYTES, 0},
                               .cc = cc,
                               .limit_us = 3600ull * 1000000,
                               .validate_rarely = true,
                               .link = {.loss = loss_permille / 1000.0,
                                        .delay_us = rtt_us / 2,
                                        .rate_bps = 100000000,
                                        .queue_max = 100}};
        struct sim_result r;
        sim_run(&c, &r);
        assert_true(r.done);
        assert_int_equal(r.stall_us, 0);
        seen[i] = BYTES * 8.0 / (double)r.elapsed_us;
    }
    double low = fmin(fmin(seen[0], seen[1]), seen[2]),
           high = fmax(fmax(seen[0], seen[1]), seen[2]);
    return seen[0] + seen[1] + seen[2] - low - high;
}

static void compare_row(FILE *f, const char *name, uint32_t loss, uint32_t rtt, double mbps)
{
    char want_name[16];
    unsigned want_loss, want_rtt;
    double want;
    assert_int_equal(fscanf(f, "%15s %u %u %lf", want_name, &want_loss, &want_rtt, &want), 4);
    assert_string_equal(want_name, name);
    assert_int_equal(want_loss, loss);
    assert_int_equal(want_rtt, rtt);
    if (fabs(mbps - want) > TOLERANCE * want)
        fail_msg("%s loss %u/1000 rtt %u us: %.2f Mbit/s, the table says %.2f", name, loss, rtt,
                 mbps, want);
}

static void test_goodput_table(void **state)
{
    bool write = getenv("TCP_GOODPUT_WRITE") != NULL;
    FILE *f = fopen(table_path, write ? "w" : "r");
    assert_non_null(f);
    for (int cc = TCP_CC_CUBIC; cc <= TCP_CC_NEWRENO; cc++) {
        const char *name = cc == TCP_CC_CUBIC ? "cubic" : "newreno";
        for (size_t l = 0; l < count_of(losses_permille); l++) {
            for (size_t r = 0; r < count_of(rtts_us); r++) {
                double mbps = goodput_mbps(cc, losses_permille[l], rtts_us[r]);
                if (write)
                    fprintf(f, "%-7s %2u %6u %6.2f\n", name, losses_permille[l], rtts_us[r], mbps);
                else
                    compare_row(f, name, losses_permille[l], rtts_us[r], mbps);
            }
        }
    }
    fclose(f);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 1;
    table_path = argv[1];
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_goodput_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
