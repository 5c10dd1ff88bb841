#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "check.h"
#include "metrics.h"
#include "test_folder.h"
#include "unix_pump.h"

/* The pump with a side of lcores played by the test, all in one thread. */
static struct bench {
    struct test_folder folder;
    struct unix_pump *pump;
    struct mailbox control, lcores[2];
    struct mailbox *lcore_list[2];
    int epoll_fd;
    /* What the lcores have seen. */
    struct unix_link *opened[4];
    unsigned opened_count;
    bool in_here, out_here, eof, control_ended;
    size_t received;
} bench;

/* A well-behaved lcore: keeps buffers until the test hands them on. */
static void lcore_mail(struct unix_link *link, struct unix_mail *mail, void *worker)
{
    if (mail == &link->open) {
        if (bench.opened_count < 4)
            bench.opened[bench.opened_count] = link;
        bench.opened_count++;
        bench.out_here = true;
    } else if (mail == &link->in.mail) {
        bench.in_here = true;
        bench.eof = link->in.len == 0;
        bench.received += link->in.len;
    } else if (mail == &link->out.mail) {
        bench.out_here = true;
    } else {
        bench.control_ended = true;
    }
}

static uint32_t run_mail(void)
{
    return mailbox_run(&bench.control, NULL, 100) + mailbox_run(&bench.lcores[0], NULL, 100) +
           mailbox_run(&bench.lcores[1], NULL, 100);
}

/* Until nothing is to be done at once. */
static void run(void)
{
    struct epoll_event events[8];
    bool worked = true;
    while (worked) {
        int count = epoll_wait(bench.epoll_fd, events, 8, 0);
        for (int i = 0; i < count; i++) {
            struct control_source *source = events[i].data.ptr;
            source->ready(source, events[i].events);
        }
        worked = run_mail() > 0 || count > 0;
        unix_pump_reap(bench.pump);
    }
}

static const char *socket_path(void)
{
    return test_path(&bench.folder, "s");
}

static struct unix_pump *pump_new(unsigned permissions, char err[256])
{
    struct unix_pump_options options = {.path = socket_path(),
                                        .permissions = permissions,
                                        .epoll_fd = bench.epoll_fd,
                                        .control = &bench.control,
                                        .lcore_run = lcore_mail};
    err[0] = '\0';
    return unix_pump_new(&options, err, 256);
}

static int client_connect(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, socket_path());
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void lcore_send(struct unix_link *link, const char *text)
{
    assert_true(bench.out_here);
    bench.out_here = false;
    link->out.len = strlen(text);
    memcpy(link->out.data, text, link->out.len);
    unix_mail_post_control(&link->out.mail);
}

static void lcore_give_back(struct unix_link *link)
{
    assert_true(bench.in_here);
    bench.in_here = false;
    unix_mail_post_control(&link->in.mail);
}

static void lcore_end(struct unix_link *link, bool aborted)
{
    link->lcore_aborted = aborted;
    unix_mail_post_control(&link->end_lcore);
}

/* The lcore's last act once control has ended, too. */
static void expect_finished(struct unix_link *link)
{
    run();
    assert_true(bench.control_ended);
    unix_link_finish(link);
    assert_int_equal(unix_pump_clients(bench.pump), 0);
}

static void expect_read(int fd, const char *want)
{
    char got[128];
    ssize_t len = recv(fd, got, sizeof(got), 0);
    assert_int_equal(len, strlen(want));
    assert_memory_equal(got, want, strlen(want));
}

static int set_up(void **state)
{
    char err[256];
    memset(&bench, 0, sizeof(bench));
    test_folder_make(&bench.folder);
    metrics_attach(0);
    assert_true(mailbox_init(&bench.control));
    for (int i = 0; i < 2; i++) {
        assert_true(mailbox_init(&bench.lcores[i]));
        bench.lcore_list[i] = &bench.lcores[i];
    }
    bench.epoll_fd = epoll_create1(0);
    bench.pump = pump_new(0, err);
    assert_non_null(bench.pump);
    unix_pump_start(bench.pump, bench.lcore_list, 2);
    return 0;
}

static int tear_down(void **state)
{
    unix_pump_free(bench.pump);
    close(bench.epoll_fd);
    mailbox_fini(&bench.control);
    for (int i = 0; i < 2; i++)
        mailbox_fini(&bench.lcores[i]);
    test_folder_remove(&bench.folder);
    return 0;
}

/* ---- bytes ---- */

static void test_bytes_go_both_ways(void **state)
{
    int fd = client_connect();
    run();
    assert_int_equal(bench.opened_count, 1);
    struct unix_link *link = bench.opened[0];
    assert_string_equal(link->path, socket_path());
    assert_int_equal(send(fd, "hello", 5, 0), 5);
    run();
    assert_true(bench.in_here);
    assert_int_equal(link->in.len, 5);
    assert_memory_equal(link->in.data, "hello", 5);
    lcore_give_back(link);
    lcore_send(link, "world");
    run();
    assert_true(bench.out_here);
    expect_read(fd, "world");
    assert_int_equal(send(fd, "again", 5, 0), 5);
    run();
    assert_memory_equal(link->in.data, "again", 5);
    close(fd);
    lcore_end(link, false);
    expect_finished(link);
}

/* A busy lcore holds the client back: no byte is taken beyond its buffer. */
static void test_the_client_is_held_back(void **state)
{
    static char bytes[3 * UNIX_BUFFER_SIZE];
    int fd = client_connect();
    assert_int_equal(send(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
    run();
    run();
    struct unix_link *link = bench.opened[0];
    assert_int_equal(bench.received, UNIX_BUFFER_SIZE);
    /* A client that has hung up makes no noise, and its bytes still arrive. */
    close(fd);
    run();
    for (size_t taken = bench.received; !bench.eof; taken = bench.received) {
        lcore_give_back(link);
        run();
        assert_true(bench.eof || bench.received > taken);
    }
    assert_int_equal(bench.received, sizeof(bytes));
    assert_false(bench.control_ended);
    lcore_end(link, false);
    expect_finished(link);
}

/* A client that does not read holds the lcore back. */
static void test_the_lcore_is_held_back(void **state)
{
    static char bytes[UNIX_BUFFER_SIZE], taken[UNIX_BUFFER_SIZE];
    int fd = client_connect();
    size_t sent = 0, read_bytes = 0;
    run();
    struct unix_link *link = bench.opened[0];
    for (; bench.out_here; sent += sizeof(bytes)) {
        assert_true(sent < 64 << 20);
        bench.out_here = false;
        link->out.len = sizeof(bytes);
        memset(link->out.data, (int)(sent / sizeof(bytes)), sizeof(bytes));
        unix_mail_post_control(&link->out.mail);
        run();
    }
    while (read_bytes < sent) {
        ssize_t got = recv(fd, taken, sizeof(taken), 0);
        assert_true(got > 0);
        for (ssize_t i = 0; i < got; i++)
            assert_int_equal((uint8_t)taken[i],
                             (uint8_t)((read_bytes + (size_t)i) / sizeof(bytes)));
        read_bytes += (size_t)got;
        run();
    }
    assert_true(bench.out_here);
    close(fd);
    run();
    lcore_end(link, false);
    expect_finished(link);
}

static void test_half_close(void **state)
{
    int fd = client_connect();
    assert_int_equal(send(fd, "a", 1, 0), 1);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    run();
    struct unix_link *link = bench.opened[0];
    assert_int_equal(link->in.len, 1);
    lcore_give_back(link);
    run();
    assert_true(bench.eof);
    lcore_give_back(link);
    run();
    assert_false(bench.in_here);
    lcore_send(link, "b");
    lcore_end(link, false);
    run();
    expect_read(fd, "b");
    expect_read(fd, "");
    close(fd);
    expect_finished(link);
}

/* ---- ends ---- */

static void test_the_lcore_aborts(void **state)
{
    int fd = client_connect();
    run();
    struct unix_link *link = bench.opened[0];
    lcore_end(link, true);
    expect_finished(link);
    expect_read(fd, "");
    close(fd);
}

/* Both at once: each end crosses the other under way. */
static void test_ends_cross(void **state)
{
    int fd = client_connect();
    run();
    struct unix_link *link = bench.opened[0];
    lcore_send(link, "x"); /* finds the socket closed: EPIPE */
    lcore_end(link, false);
    close(fd);
    expect_finished(link);
}

/* The lcore has ended, and the client does not take what is left for it. */
static void test_a_client_that_reads_nothing_does_not_linger(void **state)
{
    static char fill[UNIX_BUFFER_SIZE];
    int fd = client_connect();
    run();
    struct unix_link *link = bench.opened[0];
    while (bench.out_here) {
        bench.out_here = false;
        link->out.len = sizeof(fill);
        memset(link->out.data, 0, sizeof(fill));
        unix_mail_post_control(&link->out.mail);
        run();
    }
    unix_pump_tick(bench.pump, 1000);
    lcore_end(link, false);
    run();
    assert_false(bench.control_ended);
    unix_pump_tick(bench.pump, 1000 + UNIX_LINGER_US);
    run();
    assert_false(bench.control_ended);
    unix_pump_tick(bench.pump, 1001 + UNIX_LINGER_US);
    expect_finished(link);
    close(fd);
}

/* A session that closes with more in its queue says so: nothing more is read. */
static void test_closing_stops_the_input(void **state)
{
    int fd = client_connect();
    run();
    struct unix_link *link = bench.opened[0];
    unix_mail_post_control(&link->closing);
    run();
    assert_int_equal(send(fd, "a", 1, 0), 1);
    run();
    assert_false(bench.in_here);
    lcore_send(link, "rest");
    run();
    expect_read(fd, "rest");
    lcore_end(link, false);
    expect_finished(link);
    close(fd);
}

static void test_freed_with_clients(void **state)
{
    int fd = client_connect();
    int other = client_connect();
    run();
    assert_int_equal(bench.opened_count, 2);
    assert_int_equal(send(fd, "a", 1, 0), 1);
    close(other);
    run();
    /* tear_down: no lcore runs any more, the mail is dropped. */
    close(fd);
}

static void test_clients_are_spread(void **state)
{
    int fds[4];
    for (int i = 0; i < 4; i++) {
        fds[i] = client_connect();
        run();
    }
    assert_int_equal(bench.opened_count, 4);
    for (int i = 0; i < 4; i++) {
        assert_ptr_equal(bench.opened[i]->lcore, &bench.lcores[i % 2]);
        close(fds[i]);
    }
}

static void test_one_client_too_many(void **state)
{
    static int fds[UNIX_CLIENTS_MAX + 1];
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int i = 0; i <= UNIX_CLIENTS_MAX; i++) {
        fds[i] = client_connect();
        run();
    }
    assert_int_equal(unix_pump_clients(bench.pump), UNIX_CLIENTS_MAX);
    expect_read(fds[UNIX_CLIENTS_MAX], "-ERR max number of clients reached\r\n");
    expect_read(fds[UNIX_CLIENTS_MAX], "");
    for (int i = 0; i <= UNIX_CLIENTS_MAX; i++)
        close(fds[i]);
}

/* Without descriptors the listener rests until the next tick. */
static void test_no_descriptors_left(void **state)
{
    struct rlimit limit, low;
    int fd = client_connect();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    low.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    run();
    assert_int_equal(bench.opened_count, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    run();
    assert_int_equal(bench.opened_count, 0);
    unix_pump_tick(bench.pump, 1);
    run();
    assert_int_equal(bench.opened_count, 1);
    close(fd);
}

/* ---- the socket file ---- */

static unsigned socket_mode(void)
{
    struct stat file;
    assert_int_equal(lstat(socket_path(), &file), 0);
    assert_true(S_ISSOCK(file.st_mode));
    return file.st_mode & 0777;
}

static void test_a_stale_socket_is_replaced_and_a_live_one_not(void **state)
{
    char err[256], want[256];
    assert_null(pump_new(0, err));
    snprintf(want, sizeof(want), "can't listen on unixsocket '%s': another process listens there",
             socket_path());
    assert_string_equal(err, want);
    unix_pump_free(bench.pump);
    assert_int_not_equal(access(socket_path(), F_OK), 0);
    /* What a process leaves that was killed. */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, socket_path());
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    bench.pump = pump_new(0700, err);
    assert_non_null(bench.pump);
    assert_int_equal(socket_mode(), 0700);
}

static void test_permissions(void **state)
{
    char err[256];
    mode_t mask = umask(022);
    assert_int_equal(socket_mode(), 0777 & ~mask);
    unix_pump_free(bench.pump);
    bench.pump = pump_new(0777, err);
    umask(mask);
    assert_non_null(bench.pump);
    assert_int_equal(socket_mode(), 0777);
}

static void test_other_files_are_left_alone(void **state)
{
    char err[256];
    unix_pump_free(bench.pump);
    test_file_write(socket_path(), "mine", 4);
    bench.pump = pump_new(0, err);
    assert_null(bench.pump);
    assert_non_null(strstr(err, "a file with that name exists and is no socket"));
    assert_int_equal(unlink(socket_path()), 0);
    bench.pump = pump_new(0, err);
    assert_non_null(bench.pump);
    /* Somebody has put another file there meanwhile. */
    assert_int_equal(unlink(socket_path()), 0);
    test_file_write(socket_path(), "mine", 4);
    unix_pump_stop(bench.pump);
    assert_int_equal(access(socket_path(), F_OK), 0);
}

static void test_impossible_paths(void **state)
{
    char err[256];
    char path[200];
    memset(path, 'a', sizeof(path));
    path[108] = '\0';
    assert_int_equal(unix_listen(path, 0, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "the path is longer than 107 bytes"));
    assert_int_equal(unix_listen("/no/such/folder/s", 0, err, sizeof(err)), -1);
    assert_string_equal(err, "can't listen on unixsocket '/no/such/folder/s': No such file or "
                             "directory");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_bytes_go_both_ways),
        TEST(test_the_client_is_held_back),
        TEST(test_the_lcore_is_held_back),
        TEST(test_half_close),
        TEST(test_the_lcore_aborts),
        TEST(test_ends_cross),
        TEST(test_a_client_that_reads_nothing_does_not_linger),
        TEST(test_closing_stops_the_input),
        TEST(test_freed_with_clients),
        TEST(test_clients_are_spread),
        TEST(test_one_client_too_many),
        TEST(test_no_descriptors_left),
        TEST(test_a_stale_socket_is_replaced_and_a_live_one_not),
        TEST(test_permissions),
        TEST(test_other_files_are_left_alone),
        TEST(test_impossible_paths),
    };
    return cmocka_run_group_tests_name("unix_pump", tests, NULL, NULL);
}
