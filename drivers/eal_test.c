#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <rte_eal.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include "check.h"
#include "eal.h"
#include "eal_folders.h"

static const struct eal_options defaults = {.nic = "tap:sw0",
                                            .lcores = "1",
                                            .hugepages = HUGEPAGES_NO,
                                            .packet_buffers = 1024,
                                            .mtu = 1500,
                                            .file_prefix = ""};

/* EAL starts once per process: each failure in a child of its own, which prints its sentence. */
static bool fails_with(const struct eal_options *options, const char *expected)
{
    char text[EAL_ERROR_SIZE + 64] = "";
    int ends[2];
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        static struct eal eal;
        char err[EAL_ERROR_SIZE] = "";
        bool started = eal_start(options, &eal, err);
        dprintf(ends[1], "%s%s", started ? "started " : "", err);
        _exit(0);
    }
    close(ends[1]);
    size_t len = 0;
    for (ssize_t got = 1; got > 0; len += (size_t)got)
        got = read(ends[0], text + len, sizeof(text) - 1 - len);
    close(ends[0]);
    CHECK(waitpid(child, NULL, 0) == child);
    if (strstr(text, expected) == NULL)
        print_error("said: %s\n", text);
    return strstr(text, expected) != NULL;
}

static void test_errors(void **state)
{
    struct eal_options options = defaults;
    options.hugepages = HUGEPAGES_YES;
    options.packet_buffers = 4194304; /* ten gigabytes */
    assert_true(fails_with(&options, "hugepages"));
    options = defaults;
    options.lcores = "9999";
    assert_true(fails_with(&options, "lcores \"9999\""));
    options = defaults;
    options.capture_secondary = true;
    assert_true(fails_with(&options, "capture-secondary yes"));
    options = defaults;
    options.file_prefix = "a/b";
    assert_true(fails_with(&options, "file-prefix"));
    /* EAL's own failure, in one line of ours. */
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit few = {.rlim_cur = 6, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_true(fails_with(&defaults, "EAL did not start"));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static struct eal eal;
static int turns[2];

static int take_turns(void *arg)
{
    int mine = *(int *)arg;
    CHECK(rte_lcore_id() == eal.lcore[mine].lcore_id);
    for (int i = 0; i < 1000; i++) {
        __atomic_fetch_add(&turns[mine], 1, __ATOMIC_RELAXED);
        /* Both share one CPU: waiting for the other proves that both run. */
        while (__atomic_load_n(&turns[!mine], __ATOMIC_RELAXED) < i)
            sched_yield();
    }
    return 0;
}

static void test_start(void **state)
{
    struct eal_options options = defaults;
    char err[EAL_ERROR_SIZE] = "";
    cpu_set_t all;
    cpu_set_t before;
    cpu_set_t after;
    int index[2] = {0, 1};
    assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&before); /* two lcores, one CPU */
    CPU_SET(cpu, &before);
    assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
    options.lcores = "2";
    if (!eal_start(&options, &eal, err))
        print_error("%s\n", err);
    assert_int_equal(eal.lcore_count, 2);
    assert_false(eal.hugepages);
    assert_int_equal(eal.lcore[1].cpu, cpu);

    /* The control thread keeps every CPU that it had. */
    assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
    assert_true(CPU_EQUAL(&before, &after));
    assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);

    for (int i = 0; i < 2; i++)
        eal_lcore_launch(&eal, i, take_turns, &index[i]);
    eal_lcores_join(&eal);
    assert_int_equal(turns[0], 1000);
    assert_int_equal(turns[1], 1000);
}

static void test_pools(void **state)
{
    assert_int_equal(eal_buffers_used(&eal), 0);
    assert_ptr_not_equal(eal.lcore[0].pool, eal.lcore[1].pool);
    struct rte_mbuf *buffer = rte_pktmbuf_alloc(eal.lcore[1].pool);
    assert_int_equal(rte_pktmbuf_tailroom(buffer), 2048);
    assert_int_equal(eal_buffers_used(&eal), 1);
    rte_pktmbuf_free(buffer);
    assert_int_equal(eal_buffers_used(&eal), 0);
    assert_int_equal(rte_mempool_avail_count(eal.lcore[0].pool), 1024);
}

/* Rule 6, before any TAP port: no real-time signal is left for its driver. */
static void test_signals(void **state)
{
    struct sigaction now;
    assert_int_equal(sigaction(SIGIO, NULL, &now), 0);
    assert_true(now.sa_handler == SIG_IGN);
    assert_int_equal(sigaction(SIGPIPE, NULL, &now), 0);
    assert_true(now.sa_handler == SIG_IGN);
    for (int signo = SIGRTMIN; signo <= SIGRTMAX; signo++) {
        assert_int_equal(sigaction(signo, NULL, &now), 0);
        assert_true(now.sa_handler != SIG_DFL);
    }
}

static bool folder_exists(const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/../%s", rte_eal_get_runtime_dir(), name);
    return access(path, F_OK) == 0;
}

static void folder_make(const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/../%s", rte_eal_get_runtime_dir(), name);
    assert_int_equal(mkdir(path, 0700), 0);
}

/* What killed processes left is removed; what is another's, or alive, is not. */
static void test_folders(void **state)
{
    char dead[32];
    char alive[32];
    char other[32];
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    snprintf(dead, sizeof(dead), "slotwire%d", child);
    snprintf(alive, sizeof(alive), "slotwire%d", getpid());
    snprintf(other, sizeof(other), "other%d", child);
    folder_make(dead);
    folder_make(other);
    eal_folders_sweep();
    assert_false(folder_exists(dead));
    assert_true(folder_exists(alive));
    assert_true(folder_exists(other));
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/../%s", rte_eal_get_runtime_dir(), other);
    eal_folder_remove(path);
    assert_false(folder_exists(other));
}

static void test_stop(void **state)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof(folder), "%s", rte_eal_get_runtime_dir());
    eal_stop(&eal);
    assert_int_equal(eal.lcore_count, 0);
    assert_int_not_equal(access(folder, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),  cmocka_unit_test(test_start),
        cmocka_unit_test(test_pools),   cmocka_unit_test(test_signals),
        cmocka_unit_test(test_folders), cmocka_unit_test(test_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
