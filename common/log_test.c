#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "check.h"
#include "log.h"
#include "log_ring.h"
#include "metrics.h"

static char path[] = "/tmp/log_test_XXXXXX";
static char text[1 << 22];

static int make_path(void **state)
{
    int fd = mkstemp(path);
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

static int remove_path(void **state)
{
    return unlink(path);
}

static void read_log(void)
{
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t got = read(fd, text, sizeof(text) - 1);
    assert_true(got >= 0);
    text[got] = '\0';
    close(fd);
    assert_int_equal(truncate(path, 0), 0);
}

static void open_log(enum log_level level)
{
    assert_true(log_open(path, level));
}

static void test_line_looks_like_redis(void **state)
{
    open_log(LOG_LEVEL_NOTICE);
    log_notice("ready for %d", 42);
    log_close();
    read_log();
    int pid, day, year, hour, minute, second, ms, end = 0;
    char month[4], mark;
    assert_int_equal(sscanf(text, "%d:M %2d %3s %4d %2d:%2d:%2d.%3d %c ready for 42\n%n", &pid,
                            &day, month, &year, &hour, &minute, &second, &ms, &mark, &end),
                     9);
    assert_int_equal(pid, getpid());
    assert_int_equal(mark, '*');
    assert_int_equal(end, strlen(text));
}

static void test_levels(void **state)
{
    open_log(LOG_LEVEL_WARNING);
    log_notice("hidden");
    log_warning("shown");
    log_level_set(LOG_LEVEL_DEBUG);
    log_debug("small");
    log_verbose("talk");
    log_close();
    read_log();
    assert_null(strstr(text, "hidden"));
    assert_non_null(strstr(text, " # shown\n"));
    assert_non_null(strstr(text, " . small\n"));
    assert_non_null(strstr(text, " - talk\n"));
}

static void test_one_call_is_one_line(void **state)
{
    static char big[3000];
    memset(big, 'x', sizeof(big) - 1);
    open_log(LOG_LEVEL_NOTICE);
    log_notice("a\nb\rc\x7f");
    log_notice("%s", big);
    log_close();
    read_log();
    assert_non_null(strstr(text, " * a?b?c?\n"));
    assert_true(strlen(text) < 2 * (LOG_TEXT_SIZE + 64));
    assert_int_equal(text[strlen(text) - 1], '\n');
}

static void test_bytes_of_peers_are_escaped(void **state)
{
    assert_string_equal(LOG_BYTES(slice_from("a\0\r\n\xff\\z", 7)), "a\\x00\\x0d\\x0a\\xff\\x5cz");
    assert_string_equal(LOG_BYTES(slice_from(NULL, 0)), "");
    static uint8_t big[1000];
    const char *cut = LOG_BYTES(slice_from(big, sizeof(big)));
    assert_true(strlen(cut) < LOG_ESCAPE_SIZE);
    assert_string_equal(cut + strlen(cut) - 3, "...");
}

static void test_open_failure_keeps_the_log(void **state)
{
    open_log(LOG_LEVEL_NOTICE);
    assert_false(log_open("/nonexistent/dir/log", LOG_LEVEL_DEBUG));
    assert_int_equal(errno, ENOENT);
    log_notice("still here");
    log_close();
    read_log();
    assert_non_null(strstr(text, "still here"));
}

static void *log_one(void *arg)
{
    log_notice("from a thread");
    return NULL;
}

static void test_lines_of_other_threads_wait_for_the_pump(void **state)
{
    pthread_t thread;
    open_log(LOG_LEVEL_NOTICE);
    log_start();
    log_notice("control");
    read_log();
    assert_non_null(strstr(text, "control"));
    assert_int_equal(pthread_create(&thread, NULL, log_one, NULL), 0);
    pthread_join(thread, NULL);
    read_log();
    assert_string_equal(text, "");
    log_pump();
    read_log();
    assert_non_null(strstr(text, "from a thread"));
    log_close();
}

/* A reader that takes nothing: the control thread goes on, the loss is counted and told. */
static void test_blocked_pipe_blocks_nobody(void **state)
{
    char fifo[64];
    snprintf(fifo, sizeof(fifo), "%s.fifo", path);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    int reader = open(fifo, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    assert_true(log_open(fifo, LOG_LEVEL_NOTICE));
    uint64_t dropped = metric_sum(METRIC_log_lines_dropped);
    log_start();
    for (int i = 0; i < 10000; i++)
        log_notice("line %d", i);
    uint64_t lost = metric_sum(METRIC_log_lines_dropped) - dropped;
    assert_in_range(lost, 1, 9999);
    size_t len = 0;
    for (;;) {
        ssize_t got = read(reader, text + len, sizeof(text) - 1 - len);
        if (got <= 0) {
            size_t before = len;
            log_pump();
            got = read(reader, text + len, sizeof(text) - 1 - len);
            if (got <= 0 && len == before)
                break;
        }
        len += (size_t)got;
    }
    text[len] = '\0';
    char want[100];
    snprintf(want, sizeof(want), "%d log lines were lost", (int)lost);
    assert_non_null(strstr(text, want));
    size_t lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')); at++)
        lines++;
    assert_int_equal(lines, 10000 - lost + 1);
    log_close();
    close(reader);
    unlink(fifo);
}

/* Standard output as a full pipe, with nobody else's description made non-blocking. */
static void test_blocked_stdout_blocks_nobody(void **state)
{
    int fds[2];
    int saved = dup(STDOUT_FILENO);
    fflush(stdout);
    assert_int_equal(pipe(fds), 0);
    dup2(fds[1], STDOUT_FILENO);
    bool opened = log_open("", LOG_LEVEL_NOTICE);
    uint64_t dropped = metric_sum(METRIC_log_lines_dropped);
    for (int i = 0; i < 5000; i++)
        log_notice("line %d", i);
    int flags = fcntl(fds[1], F_GETFL);
    log_close();
    /* After log_close() lines go to the shared description: asked first, then. */
    for (int i = 0; i < 5000; i++)
        log_notice("line %d", i);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(fds[0]);
    close(fds[1]);
    assert_true(opened);
    assert_int_equal(flags & O_NONBLOCK, 0);
    assert_true(metric_sum(METRIC_log_lines_dropped) - dropped > 5000);
}

#define WRITERS 4
#define LINES 20000

struct writer {
    int id;
    int pushed;
};

static struct log_ring ring;
static _Atomic(int) running;

static void *push_lines(void *arg)
{
    struct writer *writer = arg;
    for (int i = 0; i < LINES; i++) {
        struct log_cell *cell = log_ring_push_begin(&ring);
        if (!cell) {
            sched_yield();
            continue;
        }
        cell->entry.time_ms = i;
        cell->entry.level = (enum log_level)writer->id;
        snprintf(cell->entry.text, sizeof(cell->entry.text), "%d %d", writer->id, i);
        log_ring_push_end(cell);
        writer->pushed++;
    }
    atomic_fetch_sub(&running, 1);
    return NULL;
}

/* Every line that was taken arrives once, whole, in its writer's order. */
static void test_race_of_many_writers(void **state)
{
    pthread_t threads[WRITERS];
    struct writer writers[WRITERS];
    int seen[WRITERS] = {0};
    int64_t last[WRITERS];
    log_ring_init(&ring);
    atomic_store(&running, WRITERS);
    for (int i = 0; i < WRITERS; i++) {
        last[i] = -1;
        writers[i] = (struct writer){i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, push_lines, &writers[i]), 0);
    }
    for (;;) {
        bool ended = atomic_load(&running) == 0;
        const struct log_entry *entry = log_ring_first(&ring);
        if (!entry) {
            if (ended)
                break;
            sched_yield();
            continue;
        }
        int id = (int)entry->level;
        char want[32];
        snprintf(want, sizeof(want), "%d %d", id, (int)entry->time_ms);
        assert_string_equal(entry->text, want);
        assert_true(entry->time_ms > last[id]);
        last[id] = entry->time_ms;
        seen[id]++;
        log_ring_pop(&ring);
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(seen[i], writers[i].pushed);
        assert_true(seen[i] >= 1);
    }
}

static void test_full_ring_refuses(void **state)
{
    log_ring_init(&ring);
    for (int i = 0; i < LOG_RING_LINES; i++) {
        struct log_cell *cell = log_ring_push_begin(&ring);
        assert_non_null(cell);
        log_ring_push_end(cell);
    }
    assert_null(log_ring_push_begin(&ring));
    assert_non_null(log_ring_first(&ring));
    log_ring_pop(&ring);
    assert_non_null(log_ring_push_begin(&ring));
    assert_null(log_ring_push_begin(&ring));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_looks_like_redis),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_one_call_is_one_line),
        cmocka_unit_test(test_bytes_of_peers_are_escaped),
        cmocka_unit_test(test_open_failure_keeps_the_log),
        cmocka_unit_test(test_lines_of_other_threads_wait_for_the_pump),
        cmocka_unit_test(test_blocked_pipe_blocks_nobody),
        cmocka_unit_test(test_blocked_stdout_blocks_nobody),
        cmocka_unit_test(test_full_ring_refuses),
        cmocka_unit_test(test_race_of_many_writers),
    };
    return cmocka_run_group_tests_name("log", tests, make_path, remove_path);
}
