#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "check.h"
#include "fault_spec.h"

static void test_good(void **state)
{
    struct fault_spec spec;
    char err[FAULT_ERROR_SIZE];
    assert_true(fault_spec_parse("", &spec, err));
    assert_false(fault_spec_any(&spec));
    assert_true(fault_spec_parse(
        "loss=1%,dup=0.5%,reorder=5%,delay=10ms,corrupt=0.1%,stall=50ms/1s,seed=7", &spec, err));
    assert_int_equal(spec.loss_ppm, 10000);
    assert_int_equal(spec.dup_ppm, 5000);
    assert_int_equal(spec.reorder_ppm, 50000);
    assert_int_equal(spec.delay_us, 10000);
    assert_int_equal(spec.corrupt_ppm, 1000);
    assert_int_equal(spec.stall_us, 50000);
    assert_int_equal(spec.stall_period_us, 1000000);
    assert_int_equal(spec.seed, 7);
    assert_true(fault_spec_any(&spec));
    assert_true(fault_spec_parse("loss=100%", &spec, err));
    assert_int_equal(spec.loss_ppm, 1000000);
    assert_true(fault_spec_parse("loss=0.0001%,seed=18446744073709551615", &spec, err));
    assert_int_equal(spec.loss_ppm, 1);
    assert_true(spec.seed == UINT64_MAX);
    assert_true(fault_spec_parse("delay=60s", &spec, err));
    assert_int_equal(spec.delay_us, 60000000);
    assert_true(fault_spec_parse("seed=3", &spec, err));
    assert_false(fault_spec_any(&spec));
}

static void test_bad(void **state)
{
    static const char *const rows[] = {
        "loss",
        "loss=",
        "loss=1",
        "loss=101%",
        "loss=100.0001%",
        "loss=-1%",
        "loss=1.%",
        "loss=.5%",
        "loss=1%%",
        "loss=1.00001%",
        "loss=1%,",
        ",loss=1%",
        "loss=1%;dup=1%",
        "loss=1%,loss=2%",
        "delay=10",
        "delay=ms",
        "delay=61s",
        "delay=60001ms",
        "delay=99999999999999999999ms",
        "stall=1s",
        "stall=1s/1s",
        "stall=2s/1s",
        "stall=1s/",
        "seed=",
        "seed=x",
        "seed=18446744073709551616",
        "colour=1%",
        "LOSS=1%",
        " loss=1%",
        "loss=1% ",
    };
    struct fault_spec spec;
    char err[FAULT_ERROR_SIZE];
    for (size_t i = 0; i < count_of(rows); i++) {
        err[0] = '\0';
        if (fault_spec_parse(rows[i], &spec, err))
            print_error("accepted: %s\n", rows[i]);
        assert_non_null(strstr(err, "nic-fault: at \""));
    }
    assert_false(fault_spec_parse("dup=1%,loss=2x", &spec, err));
    assert_string_equal(err, "nic-fault: at \"loss=2x\": loss= must be a rate such as 1%");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
