#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "check.h"
#include "nodes_writer.h"
#include "test_folder.h"

#define RACE_SAVES 500
#define SAVES_MAX 4096

static struct bench {
    struct test_folder folder;
    struct nodes_file *file;
    struct mailbox control;
    struct nodes_writer *writer;
    unsigned told;
    uint64_t tickets[SAVES_MAX];
    bool oks[SAVES_MAX];
    char error[NODES_FILE_ERROR_SIZE];
} bench;

static void on_done(void *arg, uint64_t ticket, bool ok, const char *error)
{
    assert_ptr_equal(arg, &bench);
    assert_true((error[0] == '\0') == ok);
    bench.tickets[bench.told] = ticket;
    bench.oks[bench.told++] = ok;
    strcpy(bench.error, error);
}

static int set_up(void **state)
{
    char err[NODES_FILE_ERROR_SIZE];
    memset(&bench, 0, sizeof(bench));
    test_folder_make(&bench.folder);
    bench.file = nodes_file_open(test_path(&bench.folder, "nodes.conf"), err);
    CHECK(bench.file);
    CHECK(mailbox_init(&bench.control));
    bench.writer = nodes_writer_start(bench.file, &bench.control, on_done, &bench);
    CHECK(bench.writer);
    return 0;
}

static void end_writer(void)
{
    nodes_writer_stop(bench.writer);
    while (!nodes_writer_stopped(bench.writer))
        sched_yield();
    while (mailbox_run(&bench.control, NULL, 64) > 0)
        ;
    nodes_writer_free(bench.writer);
    bench.writer = NULL;
}

static int tear_down(void **state)
{
    if (bench.writer)
        end_writer();
    mailbox_fini(&bench.control);
    nodes_file_close(bench.file);
    test_folder_remove(&bench.folder);
    return 0;
}

static void save(uint64_t ticket, uint64_t now_us)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "text %llu\n", (unsigned long long)ticket);
    nodes_writer_save(bench.writer, ticket, strdup(text), (size_t)len, now_us);
}

static void wait_told(unsigned count)
{
    struct pollfd wake = {.fd = bench.control.event_fd, .events = POLLIN};
    while (bench.told < count) {
        if (mailbox_run(&bench.control, NULL, 64) > 0 || !mailbox_sleep_begin(&bench.control))
            continue;
        (void)poll(&wake, 1, -1);
        mailbox_sleep_end(&bench.control);
    }
}

static void expect_content(const char *want)
{
    char *text = test_file_read(test_path(&bench.folder, "nodes.conf"));
    assert_string_equal(text, want);
    free(text);
}

static void test_saved_and_told(void **state)
{
    assert_int_equal(nodes_writer_waiting_us(bench.writer, 1000), 0);
    save(7, 1000);
    assert_int_equal(bench.told, 0); /* never inside the call */
    wait_told(1);
    assert_int_equal(bench.tickets[0], 7);
    assert_true(bench.oks[0]);
    expect_content("text 7\n");
    assert_int_equal(nodes_writer_waiting_us(bench.writer, 9000), 0);
}

/* The helper waits where a disk would let it wait: in opening a FIFO that nobody reads. */
static void stick(void)
{
    assert_int_equal(mkfifo(test_path(&bench.folder, "nodes.conf.tmp"), 0600), 0);
}

static int unstick(void)
{
    return open(test_path(&bench.folder, "nodes.conf.tmp"), O_RDONLY);
}

static void test_stuck_disk_holds_nobody_up(void **state)
{
    stick();
    save(1, 1000);
    save(2, 2000);
    save(3, 3000);
    assert_int_equal(nodes_writer_waiting_us(bench.writer, 5000000), 4999000);
    (void)mailbox_run(&bench.control, NULL, 64);
    assert_int_equal(bench.told, 0);
    int reader = unstick();
    wait_told(2);
    close(reader);
    assert_int_equal(bench.tickets[0], 1);
    assert_false(bench.oks[0]); /* a FIFO can't be synced */
    assert_int_equal(bench.tickets[1], 3);
    assert_true(bench.oks[1]);
    expect_content("text 3\n");
}

static void test_failure_is_told_and_tried_again(void **state)
{
    stick();
    save(1, 1000);
    int reader = unstick();
    wait_told(1);
    close(reader);
    assert_false(bench.oks[0]);
    assert_non_null(strstr(bench.error, "can't be synced"));
    save(2, 2000);
    wait_told(2);
    assert_true(bench.oks[1]);
}

static void test_stopped_while_stuck(void **state)
{
    stick();
    save(1, 1000);
    save(2, 1000);
    nodes_writer_stop(bench.writer);
    assert_false(nodes_writer_stopped(bench.writer));
    int reader = unstick();
    while (!nodes_writer_stopped(bench.writer))
        sched_yield();
    close(reader);
    assert_int_equal(mailbox_run(&bench.control, NULL, 64), 1);
    assert_int_equal(bench.told, 0);
    nodes_writer_free(bench.writer);
    bench.writer = NULL;
}

/* Tickets are told in order, the last one always, and the file holds what was told. */
static void test_race_of_two_threads(void **state)
{
    for (uint64_t ticket = 1; ticket <= RACE_SAVES; ticket++) {
        save(ticket, ticket);
        if (ticket % 3 == 0)
            (void)mailbox_run(&bench.control, NULL, 64);
        while (ticket % 50 == 0 && (bench.told == 0 || bench.tickets[bench.told - 1] != ticket))
            wait_told(bench.told + 1);
    }
    for (unsigned i = 0; i < bench.told; i++) {
        assert_true(bench.oks[i]);
        assert_true(i == 0 || bench.tickets[i] > bench.tickets[i - 1]);
    }
    expect_content("text 500\n");
}

#define WRITER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WRITER_TEST(test_saved_and_told),
        WRITER_TEST(test_stuck_disk_holds_nobody_up),
        WRITER_TEST(test_failure_is_told_and_tried_again),
        WRITER_TEST(test_stopped_while_stuck),
        WRITER_TEST(test_race_of_two_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
