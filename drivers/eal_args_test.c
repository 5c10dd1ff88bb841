#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "check.h"
#include "eal_args.h"

static const struct eal_machine four = {.cpu_count = 3,
                                        .cpu = {0, 2, 3},
                                        .hugepage_size_bytes = 2 << 20,
                                        .hugepages_free = 100,
                                        .pid = 7};

static void test_lcores(void **state)
{
    int cpus[EAL_LCORES_MAX];
    char err[EAL_ERROR_SIZE];
    assert_int_equal(eal_lcores_parse("1", &four, cpus, err), 1);
    assert_int_equal(cpus[0], 0);
    /* More lcores than CPUs share them. */
    assert_int_equal(eal_lcores_parse("4", &four, cpus, err), 4);
    assert_int_equal(cpus[2], 3);
    assert_int_equal(cpus[3], 0);
    assert_int_equal(eal_lcores_parse("0,2-3", &four, cpus, err), 3);
    assert_int_equal(cpus[1], 2);
    assert_int_equal(eal_lcores_parse("2-2", &four, cpus, err), 1);
    assert_int_equal(cpus[0], 2);
}

static void test_lcores_bad(void **state)
{
    static const char *const rows[] = {"",
                                       "0",
                                       "63",
                                       "x",
                                       "1x",
                                       "-1",
                                       "1,",
                                       ",1",
                                       "0-",
                                       "3-2",
                                       "0,1",
                                       "0-3",
                                       "0,0 ",
                                       "99999-2",
                                       "0--2",
                                       "0;2",
                                       "3,3",
                                       "2,0-2",
                                       "2,99999999999999999999"};
    int cpus[EAL_LCORES_MAX];
    char err[EAL_ERROR_SIZE];
    for (size_t i = 0; i < count_of(rows); i++) {
        err[0] = '\0';
        assert_int_equal(eal_lcores_parse(rows[i], &four, cpus, err), 0);
        assert_non_null(strstr(err, "lcores \""));
    }
}

static void test_lcores_too_many(void **state)
{
    int cpus[EAL_LCORES_MAX];
    char err[EAL_ERROR_SIZE];
    char list[256] = "0";
    for (int i = 0; i < EAL_LCORES_MAX; i++)
        strcat(list, ",0");
    assert_int_equal(eal_lcores_parse(list, &four, cpus, err), 0);
    assert_int_equal(eal_lcores_parse("62", &four, cpus, err), 62);
}

static void test_data_room(void **state)
{
    assert_int_equal(eal_data_room_bytes("tap:a", 1500), 2048);
    assert_int_equal(eal_data_room_bytes("tap:a", 9000), 2048);
    assert_int_equal(eal_data_room_bytes("af_packet:a", 1500), 2048);
    /* af_packet copies a whole ring slot, whatever the MTU. */
    assert_int_equal(eal_data_room_bytes("af_packet:a", 9000), 16384);
    assert_true(eal_data_room_bytes("af_xdp:a", 3000) >= 3022);
}

static bool choose(int hugepages, bool capture, size_t megabytes, bool *use, char *err)
{
    struct eal_options options = {.hugepages = hugepages, .capture_secondary = capture};
    err[0] = '\0';
    return eal_hugepages_choose(&options, &four, megabytes << 20, use, err);
}

static void test_hugepages(void **state)
{
    char err[EAL_ERROR_SIZE];
    bool use;
    assert_true(choose(HUGEPAGES_AUTO, false, 200, &use, err));
    assert_true(use);
    assert_true(choose(HUGEPAGES_AUTO, false, 201, &use, err));
    assert_false(use);
    assert_true(choose(HUGEPAGES_NO, false, 10, &use, err));
    assert_false(use);
    assert_true(choose(HUGEPAGES_YES, false, 200, &use, err));
    assert_true(use);
    /* The sentence names the command that mends it. */
    assert_false(choose(HUGEPAGES_YES, false, 300, &use, err));
    assert_non_null(
        strstr(err, "echo 50 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"));
    assert_false(choose(HUGEPAGES_NO, true, 10, &use, err));
    assert_non_null(strstr(err, "capture-secondary"));
    assert_false(choose(HUGEPAGES_YES, true, 10, &use, err));
    assert_non_null(strstr(err, "mount -t hugetlbfs"));
}

static bool has(const struct eal_args *args, const char *value)
{
    for (int i = 0; i < args->count; i++)
        if (strcmp(args->value[i], value) == 0)
            return true;
    return false;
}

static void test_args(void **state)
{
    static struct eal_args args;
    struct eal_options options = {.nic = "tap:sw0"};
    struct eal eal = {.lcore_count = 2, .memory_bytes = 64 << 20, .file_prefix = "sw7"};
    const int cpus[] = {2, 2};
    eal_args_build(&args, &options, &eal, &four, cpus);
    assert_true(has(&args, "--lcores=0@(0,2,3),1@2,2@2"));
    assert_true(has(&args, "--main-lcore=0"));
    assert_true(has(&args, "--file-prefix=sw7"));
    assert_true(has(&args, "--no-huge"));
    assert_true(has(&args, "--no-shconf"));
    assert_true(has(&args, "--no-pci"));
    assert_true(has(&args, "--iova-mode=va"));
    assert_true(has(&args, "64"));
    assert_false(has(&args, "--in-memory"));
    assert_null(args.value[args.count]);

    eal.hugepages = true;
    eal_args_build(&args, &options, &eal, &four, cpus);
    assert_true(has(&args, "--in-memory"));
    assert_true(has(&args, "--single-file-segments"));
    assert_false(has(&args, "--no-huge"));

    options.capture_secondary = true;
    options.nic = "pci:0000:3b:00.1";
    eal_args_build(&args, &options, &eal, &four, cpus);
    assert_false(has(&args, "--in-memory"));
    assert_false(has(&args, "--no-pci"));
    assert_true(has(&args, "0000:3b:00.1"));
}

static void test_args_longest(void **state)
{
    static struct eal_machine machine;
    static struct eal_args args;
    struct eal_options options = {.nic = "tap:sw0"};
    struct eal eal = {.lcore_count = EAL_LCORES_MAX, .memory_bytes = 64 << 20, .file_prefix = "p"};
    int cpus[EAL_LCORES_MAX];
    machine.cpu_count = EAL_CPUS_MAX;
    for (int i = 0; i < EAL_CPUS_MAX; i++)
        machine.cpu[i] = i;
    for (int i = 0; i < EAL_LCORES_MAX; i++)
        cpus[i] = 1000 + i % 24;
    eal_args_build(&args, &options, &eal, &machine, cpus);
    assert_true(args.count > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lcores),          cmocka_unit_test(test_lcores_bad),
        cmocka_unit_test(test_lcores_too_many), cmocka_unit_test(test_data_room),
        cmocka_unit_test(test_hugepages),       cmocka_unit_test(test_args),
        cmocka_unit_test(test_args_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
