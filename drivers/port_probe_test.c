/* What a user without rights is told. Needs root, to give it up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"
#include "port_probe.h"
#include "test_netns.h"

#define NOBODY 65534

/* As nobody: true when the sentence contains expected; NULL: when there is none. */
static bool nobody_is_told(const char *nic, const char *expected)
{
    pid_t child = fork();
    if (child == 0) {
        struct port_spec spec;
        char err[PROBE_ERROR_SIZE] = "";
        CHECK(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
        CHECK(port_spec_parse(nic, &spec, err));
        bool passed = port_probe(&spec, 1500, err);
        printf("%s\n", err);
        fflush(stdout);
        _exit(expected == NULL ? !passed : passed || strstr(err, expected) == NULL);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void test_permissions(void **state)
{
    char folder[] = "/tmp/slotwire-probe-XXXXXX";
    char nic[64];
    assert_non_null(mkdtemp(folder));
    assert_true(nobody_is_told("tap:swt0", "run as root or with CAP_NET_ADMIN"));
    test_run("ip link add swv0 type veth peer name swv1");
    assert_true(nobody_is_told("af_packet:swv0", "run as root or with CAP_NET_RAW"));
    assert_true(nobody_is_told("af_xdp:swv0", "run as root or with CAP_NET_RAW"));
    snprintf(nic, sizeof(nic), "vhost:%s/v", folder);
    assert_true(nobody_is_told(nic, "no permission to make a socket in this folder"));
    snprintf(nic, sizeof(nic), "virtio-user:%s/v", folder);
    assert_true(nobody_is_told(nic, "no permission to reach this socket"));
    assert_int_equal(chmod(folder, 0777), 0);
    snprintf(nic, sizeof(nic), "vhost:%s/v", folder);
    assert_true(nobody_is_told(nic, NULL));
    assert_int_equal(rmdir(folder), 0);
}

static void test_stale_socket(void **state)
{
    char folder[] = "/tmp/slotwire-probe-XXXXXX";
    char path[64];
    char nic[80];
    char err[PROBE_ERROR_SIZE];
    struct port_spec spec;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/v.sock", folder);
    snprintf(nic, sizeof(nic), "vhost:%s", path);
    /* As a killed process leaves it. */
    test_run("python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"%s\")'", path);
    assert_int_equal(access(path, F_OK), 0);
    assert_true(port_spec_parse(nic, &spec, err));
    assert_true(port_probe(&spec, 1500, err));
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_permissions),
        cmocka_unit_test(test_stale_socket),
    };
    test_netns_enter();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
