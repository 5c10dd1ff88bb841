#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "admin_mail.h"
#include "check.h"
#include "clock.h"
#include "config.h"
#include "control.h"
#include "log.h"
#include "metrics.h"
#include "qsbr.h"
#include "test_folder.h"

/* A control thread, and a thread that plays an lcore: it echoes what clients of the unix socket
 * send, and ends when it is asked to. */
static struct bench {
    struct test_folder folder;
    struct control *control;
    struct mailbox lcore;
    struct mailbox *lcores[1];
    pthread_t control_thread, lcore_thread;
    _Atomic(bool) lcore_stop, lcore_stopped, lcore_hangs;
    _Atomic(uint32_t) ticks;
    _Atomic(const char *) why;
    /* Answers to requests. */
    _Atomic(uint32_t) answers;
    char error[ADMIN_ERROR_SIZE];
} bench;

/* ---- the lcore ---- */

struct echo {
    bool out_here, in_here;
    size_t pos;
};

static void echo_step(struct unix_link *link, struct echo *e)
{
    if (!e->out_here || !e->in_here)
        return;
    link->out.len = link->in.len;
    memcpy(link->out.data, link->in.data, link->in.len);
    e->out_here = e->in_here = false;
    unix_mail_post_control(&link->out.mail);
    unix_mail_post_control(&link->in.mail);
}

static void echo_end(struct unix_link *link)
{
    free(link->lcore_state);
    link->lcore_state = NULL;
    unix_mail_post_control(&link->end_lcore);
}

static void echo_mail(struct unix_link *link, struct unix_mail *mail, void *worker)
{
    struct echo *e = link->lcore_state;
    if (mail == &link->open) {
        e = link->lcore_state = calloc(1, sizeof(*e));
        CHECK(e);
        e->out_here = true;
    } else if (mail == &link->end_control) {
        if (e)
            echo_end(link);
        unix_link_finish(link);
    } else if (e && mail == &link->in.mail && link->in.len == 0) {
        echo_end(link);
    } else if (e) {
        e->in_here |= mail == &link->in.mail;
        e->out_here |= mail == &link->out.mail;
        echo_step(link, e);
    }
}

static void *lcore_main(void *arg)
{
    while (!atomic_load(&bench.lcore_stop)) {
        if (mailbox_run(&bench.lcore, NULL, 64) > 0)
            continue;
        struct pollfd p = {.fd = bench.lcore.event_fd, .events = POLLIN};
        if (mailbox_sleep_begin(&bench.lcore) && !atomic_load(&bench.lcore_stop))
            poll(&p, 1, -1);
        mailbox_sleep_end(&bench.lcore);
    }
    while (mailbox_run(&bench.lcore, NULL, 64) > 0)
        ;
    atomic_store(&bench.lcore_stopped, true);
    return NULL;
}

/* ---- the control thread ---- */

static void on_stopping(void *arg, const char *why)
{
    assert_ptr_equal(arg, &bench);
    atomic_store(&bench.why, why);
    if (atomic_load(&bench.lcore_hangs))
        return;
    atomic_store(&bench.lcore_stop, true);
    mailbox_wake(&bench.lcore);
}

static bool on_stopped(void *arg)
{
    return atomic_load(&bench.lcore_stopped);
}

static void on_tick(void *arg, uint64_t now_us)
{
    atomic_fetch_add(&bench.ticks, 1);
}

static void *control_main(void *arg)
{
    qsbr_register();
    metrics_attach(LCORES_MAX - 1);
    control_run(bench.control);
    qsbr_unregister();
    return NULL;
}

static void bench_start(const char *config_path)
{
    char err[CONTROL_ERROR_SIZE];
    struct control_options options = {.config_path = config_path,
                                      .unix_lcore_run = echo_mail,
                                      .stopping = on_stopping,
                                      .stopped = on_stopped,
                                      .tick = on_tick,
                                      .arg = &bench};
    bench.control = control_new(&options, err);
    if (!bench.control)
        fail_msg("%s", err);
    control_lcores_set(bench.control, bench.lcores, 1);
    assert_int_equal(pthread_create(&bench.lcore_thread, NULL, lcore_main, NULL), 0);
    assert_int_equal(pthread_create(&bench.control_thread, NULL, control_main, NULL), 0);
}

/* Waits for the end that something else has asked for. */
static void bench_join(void)
{
    pthread_join(bench.control_thread, NULL);
    atomic_store(&bench.lcore_stop, true);
    mailbox_wake(&bench.lcore);
    pthread_join(bench.lcore_thread, NULL);
    control_free(bench.control);
    bench.control = NULL;
}

static int set_up(void **state)
{
    char err[CONFIG_ERROR_SIZE];
    memset(&bench, 0, sizeof(bench));
    test_folder_make(&bench.folder);
    assert_true(mailbox_init(&bench.lcore));
    bench.lcores[0] = &bench.lcore;
    struct config *config = config_new();
    struct slice path = slice_str(test_path(&bench.folder, "s"));
    assert_true(config_set(config, slice_str("unixsocket"), &path, 1, true, err));
    config_publish(config);
    return 0;
}

static int tear_down(void **state)
{
    config_unpublish();
    mailbox_fini(&bench.lcore);
    test_folder_remove(&bench.folder);
    return 0;
}

/* ---- requests ---- */

static void on_answer(struct mail *mail, void *receiver)
{
    struct admin_request *request = container_from(mail, struct admin_request, mail);
    assert_int_equal(request->session_id, 7);
    strcpy(bench.error, request->error);
    admin_request_free(request);
    atomic_fetch_add(&bench.answers, 1);
}

static void ask(enum admin_kind kind, const char *name, const char *value)
{
    struct slice words[2] = {slice_str(name ? name : ""), slice_str(value ? value : "")};
    struct admin_request *request = admin_request_new(kind, words, name ? 2 : 0);
    assert_non_null(request);
    request->reply_to = &bench.lcore;
    request->reply = on_answer;
    request->session_id = 7;
    admin_request_post(control_mailbox(bench.control), request);
}

static void ask_and_wait(enum admin_kind kind, const char *name, const char *value)
{
    uint32_t before = atomic_load(&bench.answers);
    ask(kind, name, value);
    while (atomic_load(&bench.answers) == before)
        usleep(100);
}

static void test_requests_are_served(void **state)
{
    const char *path = test_path(&bench.folder, "a.conf");
    test_file_write(path, "# mine\n", 7);
    bench_start(path);
    ask_and_wait(ADMIN_CONFIG_SET, "timeout", "5");
    assert_string_equal(bench.error, "");
    ask_and_wait(ADMIN_CONFIG_SET, "timeout", "x");
    assert_string_equal(bench.error,
                        "ERR CONFIG SET failed (possibly related to argument 'timeout') - "
                        "argument couldn't be parsed into an integer");
    ask_and_wait(ADMIN_CONFIG_REWRITE, NULL, NULL);
    assert_string_equal(bench.error, "");
    ask_and_wait(ADMIN_CONFIG_RESETSTAT, NULL, NULL);
    ask_and_wait(ADMIN_MEMORY_PURGE, NULL, NULL);
    ask_and_wait(ADMIN_MALLOC_STATS, NULL, NULL);
    assert_string_equal(bench.error, "");
    control_stop(bench.control, "test");
    bench_join();
    assert_int_equal(config_get()->timeout_s, 5);
    char *text = test_file_read(test_path(&bench.folder, "a.conf"));
    assert_non_null(strstr(text, "# mine\n# Generated by CONFIG REWRITE\n"));
    assert_non_null(strstr(text, "\ntimeout 5\n"));
    free(text);
}

/* Many at once stand in line, and an end amid them drops the rest. */
static void test_rewrites_in_a_row(void **state)
{
    const char *path = test_path(&bench.folder, "a.conf");
    test_file_write(path, "", 0);
    bench_start(path);
    for (int i = 0; i < 20; i++)
        ask(ADMIN_CONFIG_REWRITE, NULL, NULL);
    while (atomic_load(&bench.answers) < 20)
        usleep(100);
    assert_string_equal(bench.error, "");
    for (int i = 0; i < 20; i++)
        ask(ADMIN_CONFIG_REWRITE, NULL, NULL);
    control_stop(bench.control, "test");
    bench_join();
}

static void test_rewriting_needs_a_file(void **state)
{
    bench_start(NULL);
    ask_and_wait(ADMIN_CONFIG_REWRITE, NULL, NULL);
    assert_string_equal(bench.error, "ERR The server is running without a config file");
    control_stop(bench.control, "test");
    bench_join();
}

static void test_shutdown_ends_without_an_answer(void **state)
{
    bench_start(NULL);
    ask(ADMIN_SHUTDOWN, NULL, NULL);
    bench_join();
    assert_string_equal(atomic_load(&bench.why), "SHUTDOWN");
    assert_int_equal(atomic_load(&bench.answers), 0);
    assert_int_not_equal(access(test_path(&bench.folder, "s"), F_OK), 0);
}

/* ---- the end ---- */

static void test_signals_end_it(void **state)
{
    static const struct {
        int signal;
        const char *why;
    } rows[] = {{SIGTERM, "SIGTERM"}, {SIGINT, "SIGINT"}};
    for (size_t i = 0; i < count_of(rows); i++) {
        atomic_store(&bench.lcore_stop, false);
        atomic_store(&bench.lcore_stopped, false);
        atomic_store(&bench.why, NULL);
        bench_start(NULL);
        assert_int_equal(kill(getpid(), SIGHUP), 0);
        assert_int_equal(kill(getpid(), SIGPIPE), 0);
        assert_int_equal(kill(getpid(), rows[i].signal), 0);
        while (!atomic_load(&bench.why))
            usleep(100);
        assert_int_equal(kill(getpid(), rows[i].signal), 0);
        bench_join();
        assert_string_equal(atomic_load(&bench.why), rows[i].why);
        /* The second one may have found nobody. */
        sigset_t set;
        struct timespec now = {0};
        sigemptyset(&set);
        sigaddset(&set, rows[i].signal);
        while (sigtimedwait(&set, NULL, &now) > 0)
            ;
    }
}

static void test_a_stop_before_the_run_counts(void **state)
{
    char err[CONTROL_ERROR_SIZE];
    struct control_options options = {.stopping = on_stopping, .arg = &bench};
    bench.control = control_new(&options, err);
    assert_non_null(bench.control);
    control_stop(bench.control, "first");
    control_stop(bench.control, "second");
    ask(ADMIN_CONFIG_SET, "timeout", "5"); /* dropped: nobody is there to be answered */
    control_main(NULL);
    assert_string_equal(atomic_load(&bench.why), "first");
    assert_int_not_equal(config_get()->timeout_s, 5);
    control_free(bench.control);
}

static void test_an_lcore_that_hangs_is_not_waited_for_longer(void **state)
{
    atomic_store(&bench.lcore_hangs, true);
    bench_start(NULL);
    control_stop(bench.control, "test");
    bench_join();
    assert_string_equal(atomic_load(&bench.why), "test");
}

static void test_ticks(void **state)
{
    bench_start(NULL);
    while (atomic_load(&bench.ticks) < 3)
        usleep(1000);
    control_stop(bench.control, "test");
    bench_join();
}

static void test_no_socket_no_control(void **state)
{
    char err[CONTROL_ERROR_SIZE];
    struct control_options options = {0};
    test_file_write(test_path(&bench.folder, "s"), "", 0);
    assert_null(control_new(&options, err));
    assert_non_null(strstr(err, "a file with that name exists and is no socket"));
}

/* ---- the unix socket ---- */

static int client_connect(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, test_path(&bench.folder, "s"));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    return fd;
}

#define ECHO_CLIENTS 8
#define ECHO_BYTES (1 << 20)

/* Sends and reads at once, so that both directions fill up. */
static void *echo_client(void *arg)
{
    int fd = client_connect();
    uint8_t bytes[8192];
    size_t sent = 0, taken = 0;
    while (taken < ECHO_BYTES) {
        struct pollfd p = {.fd = fd, .events = POLLIN | (sent < ECHO_BYTES ? POLLOUT : 0)};
        poll(&p, 1, -1);
        if (p.revents & POLLOUT) {
            for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (uint8_t)((sent + i) * 31 >> 3);
            ssize_t put = send(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
            sent += put > 0 ? (size_t)put : 0;
        }
        if (p.revents & POLLIN) {
            ssize_t got = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
            for (ssize_t i = 0; i < got; i++)
                CHECK(bytes[i] == (uint8_t)((taken + (size_t)i) * 31 >> 3));
            taken += got > 0 ? (size_t)got : 0;
        }
    }
    shutdown(fd, SHUT_WR);
    while (recv(fd, bytes, sizeof(bytes), 0) > 0)
        taken++;
    CHECK(taken >= ECHO_BYTES);
    close(fd);
    return NULL;
}

/* Clients that hang up at once, amid their bytes. */
static void *rude_client(void *arg)
{
    static const uint8_t bytes[30000];
    for (int i = 0; i < 100; i++) {
        int fd = client_connect();
        (void)!send(fd, bytes, (size_t)(i * 300), MSG_DONTWAIT);
        close(fd);
    }
    return NULL;
}

static void test_clients_of_the_unix_socket(void **state)
{
    pthread_t clients[ECHO_CLIENTS], rude;
    bench_start(NULL);
    assert_int_equal(pthread_create(&rude, NULL, rude_client, NULL), 0);
    for (int i = 0; i < ECHO_CLIENTS; i++)
        assert_int_equal(pthread_create(&clients[i], NULL, echo_client, NULL), 0);
    for (int i = 0; i < ECHO_CLIENTS; i++)
        pthread_join(clients[i], NULL);
    pthread_join(rude, NULL);
    control_stop(bench.control, "test");
    bench_join();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_requests_are_served),
        TEST(test_rewrites_in_a_row),
        TEST(test_rewriting_needs_a_file),
        TEST(test_shutdown_ends_without_an_answer),
        TEST(test_signals_end_it),
        TEST(test_a_stop_before_the_run_counts),
        TEST(test_an_lcore_that_hangs_is_not_waited_for_longer),
        TEST(test_ticks),
        TEST(test_no_socket_no_control),
        TEST(test_clients_of_the_unix_socket),
    };
    control_signals_setup(); /* before the first thread, liburcu's helper among them */
    clock_init();
    return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
