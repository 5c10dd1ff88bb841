#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

/* What the child prints on stderr; its exit status. */
static int run_child(void (*body)(void), char *text, size_t size)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(fds[1], STDERR_FILENO);
        body();
        _exit(0);
    }
    close(fds[1]);
    size_t len = 0;
    ssize_t got;
    while ((got = read(fds[0], text + len, size - 1 - len)) > 0)
        len += (size_t)got;
    text[len] = '\0';
    close(fds[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void body_false(void)
{
    int two = 2;
    CHECK(two == 3);
}

static void body_true(void)
{
    int two = 2;
    CHECK(two == 2);
}

static void test_false_aborts_with_place(void **state)
{
    char text[1000];
    int status = run_child(body_false, text, sizeof(text));
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(text, "check_test.c:"));
    assert_non_null(strstr(text, "two == 3"));
}

static void test_true_goes_on(void **state)
{
    char text[1000];
    assert_int_equal(run_child(body_true, text, sizeof(text)), 0);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_false_aborts_with_place),
        cmocka_unit_test(test_true_goes_on),
    };
    return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
