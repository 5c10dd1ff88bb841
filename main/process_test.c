#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "process.h"

/* A process that goes to the background, and there is ready, or ends with a code. Its exit code as
 * its starter sees it. */
static int starter_sees(bool becomes_ready, int child_code)
{
    char err[128];
    pid_t starter = fork();
    if (starter == 0) {
        if (!process_background(err, sizeof(err)))
            _exit(99);
        if (getsid(0) != getpid())
            _exit(98);
        if (becomes_ready)
            process_ready();
        _exit(child_code);
    }
    int status;
    assert_int_equal(waitpid(starter, &status, 0), starter);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_the_starter_knows_whether_it_runs(void **state)
{
    assert_int_equal(starter_sees(true, 5), 0);
    assert_int_equal(starter_sees(false, 5), 5);
    assert_int_equal(starter_sees(false, 0), 1);
}

static void test_pidfile(void **state)
{
    char err[256], folder[] = "/tmp/slotwire-test-XXXXXX", path[64], text[32] = "";
    assert_true(process_pidfile_write("", err, sizeof(err)));
    process_pidfile_remove();
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/pid", folder);
    assert_true(process_pidfile_write(path, err, sizeof(err)));
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof(text), file));
    fclose(file);
    assert_int_equal(atoi(text), getpid());
    /* Also after dir has changed. */
    assert_int_equal(chdir("/"), 0);
    process_pidfile_remove();
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(rmdir(folder), 0);
    assert_false(process_pidfile_write("/no/such/folder/pid", err, sizeof(err)));
    assert_string_equal(err,
                        "can't write pidfile '/no/such/folder/pid': No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_starter_knows_whether_it_runs),
        cmocka_unit_test(test_pidfile),
    };
    return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
