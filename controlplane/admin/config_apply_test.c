#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "check.h"
#include "config_apply.h"
#include "log.h"
#include "test_folder.h"

#define WORDS_MAX 16

static struct test_folder folder;
static char started_in[PATH_MAX];

static void publish(const char *name, const char *value)
{
    char err[CONFIG_ERROR_SIZE];
    struct config *config = config_new();
    struct slice word = slice_str(value);
    assert_true(config_set(config, slice_str(name), &word, 1, true, err));
    config_publish(config);
}

static int set_up(void **state)
{
    test_folder_make(&folder);
    assert_non_null(getcwd(started_in, sizeof(started_in)));
    publish("timeout", "7");
    return 0;
}

static int tear_down(void **state)
{
    log_close();
    assert_int_equal(chdir(started_in), 0);
    config_unpublish();
    test_folder_remove(&folder);
    return 0;
}

/* words: parted by '|'. */
static bool set(const char *words, bool local, char *err)
{
    struct slice list[WORDS_MAX];
    uint32_t count = 0;
    for (const char *at = words;; at++) {
        size_t len = strcspn(at, "|");
        list[count++] = slice_from(at, len);
        at += len;
        if (*at == '\0')
            break;
    }
    bool done = config_apply_set(list, count, local, err);
    assert_int_equal(done, err[0] == '\0');
    return done;
}

static void expect_refused(const char *words, const char *want)
{
    char err[CONFIG_APPLY_ERROR_SIZE];
    const struct config *before = config_get();
    assert_false(set(words, false, err));
    assert_string_equal(err, want);
    assert_ptr_equal(config_get(), before);
}

static void test_all_or_nothing(void **state)
{
    char err[CONFIG_APPLY_ERROR_SIZE];
    assert_true(set("maxmemory|10mb|TIMEOUT|3|requirepass|a b", false, err));
    assert_int_equal(config_get()->maxmemory_bytes, 10 << 20);
    assert_int_equal(config_get()->timeout_s, 3);
    assert_string_equal(config_get()->requirepass, "a b");
    expect_refused("maxmemory|1|timeout|x",
                   "ERR CONFIG SET failed (possibly related to argument 'timeout') - argument "
                   "couldn't be parsed into an integer");
    assert_int_equal(config_get()->maxmemory_bytes, 10 << 20);
    assert_true(set("client-output-buffer-limit|normal 1 2 3 pubsub 4 5 6", false, err));
    assert_int_equal(config_get()->client_output_limit[CLIENT_PUBSUB].soft_s, 6);
}

/* Texts of Redis 7.0. */
static void test_refusals(void **state)
{
#define FAILED(name, why) "ERR CONFIG SET failed (possibly related to argument '" name "') - " why
    expect_refused("timeout", "ERR syntax error");
    expect_refused("timeout|1|2", "ERR syntax error");
    expect_refused("nope|1", "ERR Unknown option or number of arguments for CONFIG SET - 'nope'");
    expect_refused("daemonize|yes|nope|4|nope2|4",
                   "ERR Unknown option or number of arguments for CONFIG SET - 'nope'");
    expect_refused("Daemonize|yes", FAILED("Daemonize", "can't set immutable config"));
    expect_refused("daemonize|yes|dir|x", FAILED("daemonize", "can't set immutable config"));
    expect_refused("timeout|1|timeout|2|daemonize|yes", FAILED("timeout", "duplicate parameter"));
    expect_refused("MAXMEMORY|0|maxmemory|2", FAILED("maxmemory", "duplicate parameter"));
    expect_refused("maxmemory|x", FAILED("maxmemory", "argument must be a memory value"));
    expect_refused("loglevel|foo",
                   FAILED("loglevel", "argument(s) must be one of the following: debug, verbose, "
                                      "notice, warning"));
    expect_refused("client-output-buffer-limit|normal",
                   FAILED("client-output-buffer-limit",
                          "Wrong number of arguments in buffer limit configuration."));
    expect_refused("dir|/tmp", FAILED("dir", "can't set protected config"));
    char err[CONFIG_APPLY_ERROR_SIZE];
    assert_true(set("hash-max-ziplist-entries|4|hash-max-listpack-entries|5", false, err));
    assert_int_equal(config_get()->hash_max_listpack_entries, 5);
}

static void test_long_and_many_words(void **state)
{
    static struct slice words[20000];
    char err[CONFIG_APPLY_ERROR_SIZE];
    char name[2000];
    memset(name, 'n', sizeof(name));
    words[0] = slice_from(name, sizeof(name));
    words[1] = slice_str("1");
    assert_false(config_apply_set(words, 2, false, err));
    assert_true(strlen(err) < 300);
    for (size_t i = 0; i < count_of(words); i += 2) {
        words[i] = slice_str("timeout");
        words[i + 1] = slice_str("1");
    }
    assert_false(config_apply_set(words, count_of(words), false, err));
    assert_non_null(strstr(err, "duplicate parameter"));
    assert_false(config_apply_set(words, 0, false, err));
}

static void test_dir_is_protected(void **state)
{
    char err[CONFIG_APPLY_ERROR_SIZE];
    char cwd[PATH_MAX];
    char words[TEST_PATH_SIZE];
    snprintf(words, sizeof(words), "dir|%s", folder.path);
    publish("enable-protected-configs", "local");
    assert_false(set(words, false, err));
    assert_true(set(words, true, err));
    assert_non_null(getcwd(cwd, sizeof(cwd)));
    assert_string_equal(cwd, folder.path);
    publish("enable-protected-configs", "yes");
    assert_true(set("dir|..", false, err));
    assert_string_equal(config_get()->dir, "/tmp");
    expect_refused("timeout|99|dir|/no/such/folder",
                   "ERR CONFIG SET failed (possibly related to argument 'dir') - No such file or "
                   "directory");
    assert_int_not_equal(config_get()->timeout_s, 99);
}

static void test_the_log_level_takes_effect_and_secrets_stay_out(void **state)
{
    char err[CONFIG_APPLY_ERROR_SIZE];
    const char *path = test_path(&folder, "log");
    assert_true(log_open(path, LOG_LEVEL_WARNING));
    assert_true(set("loglevel|verbose", false, err));
    assert_true(set("requirepass|hush-hush|timeout|5", false, err));
    assert_true(set("loglevel|warning", false, err));
    assert_true(set("timeout|6", false, err));
    log_close();
    char *text = test_file_read(path);
    assert_non_null(strstr(text, "CONFIG SET timeout 5"));
    assert_non_null(strstr(text, "CONFIG SET requirepass (not logged)"));
    assert_null(strstr(text, "hush"));
    assert_null(strstr(text, "timeout 6"));
    free(text);
}

static void test_boot(void **state)
{
    char err[CONFIG_APPLY_ERROR_SIZE];
    char cwd[PATH_MAX];
    struct config *config = config_new();
    free(config->dir);
    config->dir = strdup(folder.path);
    free(config->logfile);
    config->logfile = strdup("log"); /* relative to dir */
    assert_true(config_apply_boot(config, err));
    assert_non_null(getcwd(cwd, sizeof(cwd)));
    assert_string_equal(cwd, folder.path);
    assert_string_equal(config->dir, folder.path);
    assert_int_equal(access(test_path(&folder, "log"), F_OK), 0);
    log_close();
    free(config->dir);
    config->dir = strdup(".");
    assert_true(config_apply_boot(config, err));
    assert_string_equal(config->dir, folder.path);
    log_close();
    config_free(config);
}

static void test_boot_refusals(void **state)
{
    char err[CONFIG_APPLY_ERROR_SIZE];
    struct config *config = config_new();
    config->port = 0;
    assert_false(config_apply_boot(config, err));
    assert_non_null(strstr(err, "port 0 needs a unixsocket"));
    config->port = 1;
    free(config->dir);
    config->dir = strdup("/no/such/folder");
    assert_false(config_apply_boot(config, err));
    assert_string_equal(err, "can't change to dir '/no/such/folder': No such file or directory; "
                             "make it, or set another dir");
    free(config->dir);
    config->dir = strdup(folder.path);
    free(config->logfile);
    config->logfile = strdup("no/such/log");
    assert_false(config_apply_boot(config, err));
    assert_string_equal(err, "can't open logfile 'no/such/log': No such file or directory");
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_or_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_and_many_words, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dir_is_protected, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_log_level_takes_effect_and_secrets_stay_out,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_boot, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_boot_refusals, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("config_apply", tests, NULL, NULL);
}
