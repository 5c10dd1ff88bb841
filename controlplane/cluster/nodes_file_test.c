#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"
#include "nodes_file.h"
#include "test_folder.h"

#define SKIPPED 77
#define TEXT_SIZE 20000

static struct test_folder folder;
static char err[NODES_FILE_ERROR_SIZE];
static char old_text[TEXT_SIZE], new_text[TEXT_SIZE];
static const struct slice old = {(const uint8_t *)old_text, TEXT_SIZE / 2};
static const struct slice new = {(const uint8_t *)new_text, TEXT_SIZE};

static int set_up(void **state)
{
    test_folder_make(&folder);
    memset(old_text, 'o', sizeof(old_text));
    memset(new_text, 'n', sizeof(new_text));
    return 0;
}

static int tear_down(void **state)
{
    test_folder_remove(&folder);
    return 0;
}

static const char *path(void)
{
    return test_path(&folder, "nodes.conf");
}

static struct nodes_file *open_file(void)
{
    struct nodes_file *f = nodes_file_open(path(), err);
    if (!f)
        fprintf(stderr, "%s\n", err);
    CHECK(f);
    return f;
}

static bool holds(struct nodes_file *f, struct slice want)
{
    char *text;
    size_t len;
    CHECK(nodes_file_read(f, &text, &len, err));
    bool same = text && slice_equal(slice_from(text, len), want);
    free(text);
    return same;
}

static void write_old(void)
{
    struct nodes_file *f = open_file();
    CHECK(nodes_file_replace(f, old, err));
    nodes_file_close(f);
}

static void test_made_read_and_replaced(void **state)
{
    char *text;
    size_t len;
    struct nodes_file *f = open_file();
    assert_true(nodes_file_read(f, &text, &len, err));
    assert_null(text);
    assert_true(nodes_file_replace(f, old, err));
    assert_true(holds(f, old));
    assert_true(nodes_file_replace(f, new, err));
    assert_true(holds(f, new));
    nodes_file_close(f);
    f = open_file();
    assert_true(holds(f, new));
    assert_true(nodes_file_replace(f, slice_from(NULL, 0), err));
    assert_true(nodes_file_read(f, &text, &len, err));
    assert_non_null(text); /* empty, but there: damaged, not new */
    assert_int_equal(len, 0);
    free(text);
    nodes_file_close(f);
}

static void test_locked_by_another(void **state)
{
    struct nodes_file *f = open_file();
    assert_null(nodes_file_open(path(), err));
    assert_non_null(strstr(err, "in use by another node"));
    assert_true(nodes_file_replace(f, old, err));
    assert_null(nodes_file_open(path(), err));
    nodes_file_close(f);
    f = open_file();
    nodes_file_close(f);
}

static void test_remains_are_removed(void **state)
{
    test_file_write(test_path(&folder, "nodes.conf.tmp"), "half of", 7);
    struct nodes_file *f = open_file();
    assert_int_equal(access(test_path(&folder, "nodes.conf.tmp"), F_OK), -1);
    test_file_write(test_path(&folder, "nodes.conf.tmp"), new_text, TEXT_SIZE);
    assert_true(nodes_file_replace(f, old, err));
    assert_true(holds(f, old));
    nodes_file_close(f);
}

static void test_no_file_of_ours(void **state)
{
    assert_null(nodes_file_open(test_path(&folder, "none/nodes.conf"), err));
    assert_non_null(strstr(err, "its folder can't be opened: No such file or directory"));
    assert_null(nodes_file_open(test_path(&folder, ""), err));
    assert_int_equal(mkdir(path(), 0755), 0);
    assert_null(nodes_file_open(path(), err));
    assert_non_null(strstr(err, "not a regular file"));
    assert_int_equal(rmdir(path()), 0);
    char long_name[400] = "/";
    memset(long_name + 1, 'x', sizeof(long_name) - 2);
    assert_null(nodes_file_open(long_name, err));
}

static void test_moves_with_its_folder_not_with_ours(void **state)
{
    char before[4096];
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(folder.path), 0);
    struct nodes_file *f = nodes_file_open("nodes.conf", err);
    assert_non_null(f);
    assert_int_equal(chdir(before), 0);
    assert_true(nodes_file_replace(f, old, err));
    nodes_file_close(f);
    f = open_file();
    assert_true(holds(f, old));
    nodes_file_close(f);
}

/* A disk whose fsync fails: a FIFO has none. */
static void test_sync_that_fails(void **state)
{
    write_old();
    struct nodes_file *f = open_file();
    const char *tmp = test_path(&folder, "nodes.conf.tmp");
    assert_int_equal(mkfifo(tmp, 0600), 0);
    int reader = open(tmp, O_RDONLY | O_NONBLOCK);
    assert_false(nodes_file_replace(f, new, err));
    assert_non_null(strstr(err, "can't be synced"));
    close(reader);
    assert_int_equal(access(tmp, F_OK), -1);
    assert_true(holds(f, old));
    assert_true(nodes_file_replace(f, new, err));
    assert_true(holds(f, new));
    nodes_file_close(f);
}

/* ---- a folder of bounded size, in a mount namespace of a child ---- */

static int in_child(int (*run)(void))
{
    int status;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        _exit(run());
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static bool mount_small(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", folder.path, "tmpfs", 0, "size=64k") == 0;
}

static int run_full_disk(void)
{
    static char huge[200000];
    if (!mount_small())
        return SKIPPED;
    write_old();
    struct nodes_file *f = open_file();
    CHECK(!nodes_file_replace(f, slice_from(huge, sizeof(huge)), err));
    CHECK(strstr(err, "can't be written: No space left on device"));
    CHECK(access(test_path(&folder, "nodes.conf.tmp"), F_OK) != 0);
    CHECK(holds(f, old));
    CHECK(nodes_file_replace(f, new, err));
    CHECK(holds(f, new));
    nodes_file_close(f);
    return 0;
}

static int run_read_only_disk(void)
{
    if (!mount_small())
        return SKIPPED;
    write_old();
    struct nodes_file *f = open_file();
    CHECK(mount("none", folder.path, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
    CHECK(!nodes_file_replace(f, new, err));
    CHECK(strstr(err, "can't be made: Read-only file system"));
    CHECK(holds(f, old));
    CHECK(mount("none", folder.path, NULL, MS_REMOUNT, NULL) == 0);
    CHECK(nodes_file_replace(f, new, err));
    CHECK(holds(f, new));
    nodes_file_close(f);
    return 0;
}

static void expect_child(int (*run)(void))
{
    int status = in_child(run);
    if (status == SKIPPED)
        skip();
    assert_int_equal(status, 0);
}

static void test_full_disk(void **state)
{
    expect_child(run_full_disk);
}

static void test_read_only_disk(void **state)
{
    expect_child(run_read_only_disk);
}

/* ---- a kill at every system call ---- */

static pid_t saver_start(void)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid > 0)
        return pid;
    struct nodes_file *f = nodes_file_open(path(), err);
    CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
    raise(SIGSTOP);
    _exit(nodes_file_replace(f, new, err) ? 0 : 1);
}

/* Which call it is about to make; -1: it returns from one. */
static long call_entered(pid_t pid)
{
    struct __ptrace_syscall_info info = {0};
    CHECK(ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof(info), &info) > 0);
    return info.op == PTRACE_SYSCALL_INFO_ENTRY ? (long)info.entry.nr : -1;
}

/* Kills it when it stands before or after a call for the at-th time. False: it ended before. */
static bool run_until(pid_t pid, int at, long *calls)
{
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
    CHECK(ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) == 0);
    for (int i = 0;; i++) {
        CHECK(ptrace(PTRACE_SYSCALL, pid, NULL, NULL) == 0);
        CHECK(waitpid(pid, &status, 0) == pid);
        if (WIFEXITED(status)) {
            CHECK(WEXITSTATUS(status) == 0);
            return false;
        }
        CHECK(WIFSTOPPED(status));
        calls[i] = call_entered(pid);
        if (i < at)
            continue;
        CHECK(kill(pid, SIGKILL) == 0);
        CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
        return true;
    }
}

#define CALLS_MAX 1000

static int index_of(const long *calls, int from, long one, long other)
{
    for (int i = from; i < CALLS_MAX; i++) {
        if (calls[i] == one || calls[i] == other)
            return i;
    }
    return CALLS_MAX;
}

/* Power may fail as well: what is named is synced, then the name. */
static void expect_order(const long *calls)
{
    int written = index_of(calls, 0, SYS_write, SYS_write);
    int synced = index_of(calls, written, SYS_fsync, SYS_fsync);
    int renamed = index_of(calls, 0, SYS_renameat, SYS_renameat2);
    int folder_synced = index_of(calls, renamed, SYS_fsync, SYS_fsync);
    assert_true(written < synced);
    assert_true(synced < renamed);
    assert_true(renamed < folder_synced);
    assert_true(folder_synced < CALLS_MAX);
    assert_int_equal(index_of(calls, synced, SYS_write, SYS_write), CALLS_MAX);
}

static void test_killed_at_every_call(void **state)
{
    static long calls[CALLS_MAX];
    int olds = 0, news = 0;
    bool killed = true;
    for (int at = 0; killed; at++) {
        assert_true(at < CALLS_MAX);
        write_old();
        memset(calls, 0xff, sizeof(calls));
        killed = run_until(saver_start(), at, calls);
        struct nodes_file *f = open_file(); /* unlocked by its death */
        bool is_old = holds(f, old), is_new = holds(f, new);
        assert_true(is_old || is_new);
        assert_true(killed || is_new);
        olds += is_old;
        news += is_new;
        assert_true(nodes_file_replace(f, old, err));
        nodes_file_close(f);
    }
    assert_true(olds > 5);
    assert_true(news > 2);
    expect_order(calls);
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_made_read_and_replaced),
        FILE_TEST(test_locked_by_another),
        FILE_TEST(test_remains_are_removed),
        FILE_TEST(test_no_file_of_ours),
        FILE_TEST(test_moves_with_its_folder_not_with_ours),
        FILE_TEST(test_sync_that_fails),
        FILE_TEST(test_full_disk),
        FILE_TEST(test_read_only_disk),
        FILE_TEST(test_killed_at_every_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
