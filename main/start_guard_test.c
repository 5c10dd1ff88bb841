#include "start_guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int told[2]; /* a pipe: why the process left */

static void leave(void *arg, const char *why)
{
    (void)!write(told[1], why, strlen(why));
    (void)!write(told[1], arg, 1);
}

static void signals_block(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

/* A start that never ends by itself. */
static void start_for_ever(void)
{
    char err[128];
    signals_block();
    if (!start_guard_begin(leave, "!", err, sizeof(err)))
        _exit(99);
    (void)!write(told[1], "+", 1);
    while (1)
        pause();
}

static void starts_are_left_at_once(int signal, const char *want)
{
    char text[16] = "";
    int status;
    assert_int_equal(pipe(told), 0);
    pid_t child = fork();
    if (child == 0)
        start_for_ever();
    assert_int_equal(read(told[0], text, 1), 1);
    assert_int_equal(kill(child, signal), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    close(told[1]);
    assert_int_equal(read(told[0], text, sizeof(text) - 1), strlen(want));
    assert_string_equal(text, want);
    close(told[0]);
}

static void test_signals_while_starting(void **state)
{
    starts_are_left_at_once(SIGTERM, "SIGTERM!");
    starts_are_left_at_once(SIGINT, "SIGINT!");
}

/* After the end a signal waits for whoever reads it next. */
static void test_signals_after_the_start(void **state)
{
    char err[128];
    sigset_t waiting;
    signals_block();
    start_guard_end(); /* not begun */
    for (int i = 0; i < 3; i++) {
        assert_true(start_guard_begin(leave, "!", err, sizeof(err)));
        start_guard_end();
    }
    assert_int_equal(raise(SIGTERM), 0);
    assert_int_equal(sigpending(&waiting), 0);
    assert_true(sigismember(&waiting, SIGTERM));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signals_while_starting),
        cmocka_unit_test(test_signals_after_the_start),
    };
    return cmocka_run_group_tests_name("start_guard", tests, NULL, NULL);
}
