#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "check.h"
#include "config_file.h"
#include "test_folder.h"

static struct test_folder folder;

static int set_up(void **state)
{
    test_folder_make(&folder);
    return 0;
}

static int tear_down(void **state)
{
    test_folder_remove(&folder);
    return 0;
}

static const char *file_with(const char *name, const char *text)
{
    test_file_write(test_path(&folder, name), text, strlen(text));
    return test_path(&folder, name);
}

static void expect_option(const struct config *config, const char *name, const char *want)
{
    char *text = config_option_print(config, config_option_find(slice_str(name)));
    assert_string_equal(text, want);
    free(text);
}

/* ---- words ---- */

/* want: the words, each followed by '|'; NULL: refused. */
static void expect_words(const char *line, const char *want)
{
    struct slice words[8];
    uint8_t storage[256];
    char got[256] = "";
    int count = config_line_split(slice_str(line), storage, words, 8);
    if (!want) {
        assert_int_equal(count, -1);
        return;
    }
    assert_true(count >= 0);
    for (int i = 0; i < count; i++) {
        strncat(got, (const char *)words[i].data, words[i].len);
        strcat(got, "|");
    }
    assert_string_equal(got, want);
}

static void test_words(void **state)
{
    expect_words("", "");
    expect_words(" \t ", "");
    expect_words("port 7000", "port|7000|");
    expect_words("  a\tb  c ", "a|b|c|");
    expect_words("a \"\" ''", "a|||");
    expect_words("a \"b c\"", "a|b c|");
    expect_words("a \"b\\\"c\\\\\"", "a|b\"c\\|");
    expect_words("a \"\\n\\r\\t\\b\\a\\q\"", "a|\n\r\t\b\aq|");
    expect_words("a \"\\x41\\X41\\x4g\\x\"", "a|AX41x4gx|");
    expect_words("a 'b\\n\\'\"c'", "a|b\\n'\"c|");
    expect_words("a ba\"b c\"", "a|bab c|");
    expect_words("a b#c #d", "a|b#c|#d|");
    expect_words("a back\\slash", "a|back\\slash|");
    expect_words("a \"b", NULL);
    expect_words("a 'b", NULL);
    expect_words("a \"b\"\vc", "a|b|c|"); /* a closing quote ends its word */
    expect_words("a \"b\"c", NULL);
    expect_words("a 'b'c", NULL);
    expect_words("a \"b\\\"", NULL);
    expect_words("a 'b\\'", NULL);
    expect_words("a \"b\\", NULL);
    expect_words("1 2 3 4 5 6 7 8", "1|2|3|4|5|6|7|8|");
    expect_words("1 2 3 4 5 6 7 8 9", NULL);
}

/* ---- good files ---- */

static void test_a_file_is_read(void **state)
{
    char err[CONFIG_FILE_ERROR_SIZE];
    struct config *config = config_new();
    const char *path = file_with("a.conf", "# a comment\r\n"
                                           "\r\n"
                                           "  PORT 7000\r\n"
                                           "\t# another\n"
                                           "maxmemory 100mb\n"
                                           "requirepass \"a b\\x01\"\n"
                                           "bind 127.0.0.1 -::1\n"
                                           "client-output-buffer-limit normal 1 2 3\n"
                                           "client-output-buffer-limit pubsub 4 5 6\n"
                                           "save ''\n"
                                           "timeout 1\n"
                                           "timeout 2"); /* no newline */
    if (!config_file_load(config, path, NULL, err))
        fail_msg("%s", err);
    expect_option(config, "port", "7000");
    expect_option(config, "maxmemory", "104857600");
    expect_option(config, "requirepass", "a b\x01");
    expect_option(config, "bind", "127.0.0.1 -::1");
    expect_option(config, "save", "");
    expect_option(config, "timeout", "2");
    expect_option(config, "client-output-buffer-limit",
                  "normal 1 2 3 slave 268435456 67108864 60 pubsub 4 5 6");
    config_free(config);
}

static void test_an_empty_file_is_fine(void **state)
{
    char err[CONFIG_FILE_ERROR_SIZE];
    struct config *config = config_new();
    assert_true(config_file_load(config, file_with("a.conf", ""), NULL, err));
    assert_true(config_file_load(config, file_with("a.conf", "\n\n"), NULL, err));
    assert_true(config_file_load(config, "/dev/null", NULL, err));
    for (int i = 0; i < config_option_count(); i++)
        assert_true(config_option_is_default(config, i));
    config_free(config);
}

static void test_included_files_take_their_place(void **state)
{
    char err[CONFIG_FILE_ERROR_SIZE];
    struct config *config = config_new();
    char text[512];
    file_with("inner.conf", "timeout 2\nmaxclients 20\nport 1");
    file_with("part-b.conf", "hz 20");
    file_with("part-a.conf", "hz 10\nmaxmemory-samples 9");
    snprintf(text, sizeof(text),
             "timeout 1\ninclude inner.conf\nmaxclients 30\nport 2\ninclude \"%s/part-*.conf\"\n"
             "include nothing-*.conf\n",
             folder.path);
    if (!config_file_load(config, file_with("outer.conf", text), NULL, err))
        fail_msg("%s", err);
    assert_int_equal(config->timeout_s, 2);
    assert_int_equal(config->maxclients, 30);
    assert_int_equal(config->port, 2);
    assert_int_equal(config->hz, 20);
    assert_int_equal(config->maxmemory_samples, 9);
    config_free(config);
}

/* ---- bad files ---- */

static void expect_refused(const char *path, const char *line, const char *reason)
{
    char err[CONFIG_FILE_ERROR_SIZE];
    char want[2 * CONFIG_FILE_ERROR_SIZE];
    struct config *config = config_new();
    assert_false(config_file_load(config, path, NULL, err));
    if (line)
        snprintf(want, sizeof(want),
                 "*** FATAL CONFIG FILE ERROR ***\nReading the configuration file %s, at line "
                 "%s'\n%s",
                 path, line, reason);
    else
        snprintf(want, sizeof(want), "*** FATAL CONFIG FILE ERROR ***\n%s", reason);
    assert_string_equal(err, want);
    config_free(config);
}

static void test_bad_lines_are_named(void **state)
{
    static const struct {
        const char *text, *line, *reason;
    } rows[] = {
        {"maxmemory x", "1\n>>> 'maxmemory x", "argument must be a memory value"},
        {"#\n\nmaxmemory 99999999999999999999gb\n", "3\n>>> 'maxmemory 99999999999999999999gb",
         "argument must be a memory value"},
        {"maxmemory 18014398509481985kb", "1\n>>> 'maxmemory 18014398509481985kb",
         "argument must be a memory value"},
        {"port 65536", "1\n>>> 'port 65536", "argument must be between 0 and 65535 inclusive"},
        {"port -1", "1\n>>> 'port -1", "argument must be between 0 and 65535 inclusive"},
        {"port", "1\n>>> 'port", "wrong number of arguments"},
        {"port 1 2", "1\n>>> 'port 1 2", "wrong number of arguments"},
        {"nonsense 1", "1\n>>> 'nonsense 1", "Bad directive or wrong number of arguments"},
        {"'' 1", "1\n>>> ''' 1", "Bad directive or wrong number of arguments"},
        {"port \"1", "1\n>>> 'port \"1", "Unbalanced quotes in configuration line"},
        {"daemonize maybe", "1\n>>> 'daemonize maybe", "argument must be 'yes' or 'no'"},
        {"requirepass very secret", "1\n>>> 'requirepass...", "wrong number of arguments"},
        {"port 1\ntimeout 1\nport 2\n", "3\n>>> 'port 2",
         "port was given already, at line 1 of this file"},
        {"include", "1\n>>> 'include", "wrong number of arguments"},
        {"include ''", "1\n>>> 'include ''", "wrong number of arguments"},
        {"include a b", "1\n>>> 'include a b", "wrong number of arguments"},
        {"timeout \t\x01", "1\n>>> 'timeout ??", "argument couldn't be parsed into an integer"},
    };
    for (size_t i = 0; i < count_of(rows); i++)
        expect_refused(file_with("a.conf", rows[i].text), rows[i].line, rows[i].reason);
}

static void test_the_same_port_twice_is_fine(void **state)
{
    char err[CONFIG_FILE_ERROR_SIZE];
    struct config *config = config_new();
    assert_true(config_file_load(config, file_with("a.conf", "port 1\nport 1\n"), NULL, err));
    config_free(config);
}

static void test_zero_bytes(void **state)
{
    test_file_write(test_path(&folder, "a.conf"), "timeout 1\0\nhz 2\n", 16);
    expect_refused(test_path(&folder, "a.conf"), "1\n>>> 'timeout 1?",
                   "the line contains a zero byte");
    static const char zeros[5000];
    test_file_write(test_path(&folder, "a.conf"), zeros, sizeof(zeros));
    char err[CONFIG_FILE_ERROR_SIZE];
    struct config *config = config_new();
    assert_false(config_file_load(config, test_path(&folder, "a.conf"), NULL, err));
    assert_true(strlen(err) < CONFIG_FILE_ERROR_SIZE - 1);
    assert_false(config_file_load(config, file_with("a.conf", "include \"a\\x00b\""), NULL, err));
    assert_non_null(strstr(err, "zero byte"));
    assert_false(config_file_load(config, file_with("a.conf", "logfile \"a\\x00b\""), NULL, err));
    assert_non_null(strstr(err, "zero byte"));
    config_free(config);
}

static void test_long_lines_and_files(void **state)
{
    char err[CONFIG_FILE_ERROR_SIZE];
    struct config *config = config_new();
    size_t size = CONFIG_FILE_MAX + 1;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, 'a', size);
    memcpy(text, "logfile ", 8);
    test_file_write(test_path(&folder, "a.conf"), text, 1 << 20);
    assert_false(config_file_load(config, test_path(&folder, "a.conf"), NULL, err));
    assert_non_null(strstr(err, "...'\nthe line is longer than 65536 bytes"));
    test_file_write(test_path(&folder, "a.conf"), text, CONFIG_LINE_MAX);
    assert_true(config_file_load(config, test_path(&folder, "a.conf"), NULL, err));
    assert_int_equal(strlen(config->logfile), CONFIG_LINE_MAX - 8);
    memset(text, '\n', size);
    test_file_write(test_path(&folder, "a.conf"), text, size - 1);
    assert_true(config_file_load(config, test_path(&folder, "a.conf"), NULL, err));
    test_file_write(test_path(&folder, "a.conf"), text, size);
    assert_false(config_file_load(config, test_path(&folder, "a.conf"), NULL, err));
    assert_non_null(strstr(err, "File too large"));
    /* As many words as nobody needs. */
    memset(text, ' ', size);
    for (int i = 0; i < 1000; i++)
        text[2 * i] = 'b';
    test_file_write(test_path(&folder, "a.conf"), text, 2000);
    assert_false(config_file_load(config, test_path(&folder, "a.conf"), NULL, err));
    free(text);
    config_free(config);
}

static void test_files_that_are_not_there(void **state)
{
    char reason[512];
    const char *path = test_path(&folder, "missing.conf");
    snprintf(reason, sizeof(reason), "Can't open config file '%s': No such file or directory",
             path);
    expect_refused(path, NULL, reason);
    snprintf(reason, sizeof(reason), "Can't open config file '%s': Is a directory", folder.path);
    expect_refused(folder.path, NULL, reason);
    snprintf(reason, sizeof(reason),
             "Can't open config file '%s/gone.conf': No such file or directory", folder.path);
    expect_refused(file_with("a.conf", "port 1\ninclude gone.conf"), "2\n>>> 'include gone.conf",
                   reason);
    char longer[5000] = "include ";
    memset(longer + 8, 'a', sizeof(longer) - 9);
    char err[CONFIG_FILE_ERROR_SIZE];
    struct config *config = config_new();
    assert_false(config_file_load(config, file_with("a.conf", longer), NULL, err));
    assert_non_null(strstr(err, "the path is too long"));
    config_free(config);
}

static void test_loops_of_includes_end(void **state)
{
    char err[CONFIG_FILE_ERROR_SIZE];
    struct config *config = config_new();
    assert_false(config_file_load(config, file_with("a.conf", "include a.conf"), NULL, err));
    assert_non_null(strstr(err, "includes are nested too deeply"));
    /* Not deep, but each file doubles the number. */
    for (int i = 0; i < 8; i++) {
        char name[16], text[64];
        snprintf(name, sizeof(name), "%d.conf", i);
        snprintf(text, sizeof(text), "include %d.conf\ninclude %d.conf\n", i + 1, i + 1);
        file_with(name, i < 7 ? text : "hz 5\n");
    }
    assert_true(config_file_load(config, test_path(&folder, "0.conf"), NULL, err));
    file_with("many.conf", "include 1.conf\ninclude 1.conf\ninclude 1.conf\n");
    assert_false(config_file_load(config, test_path(&folder, "many.conf"), NULL, err));
    assert_non_null(strstr(err, "more than 256 files are included"));
    file_with("b.conf", "include c.conf");
    file_with("c.conf", "include b.conf");
    assert_false(config_file_load(config, test_path(&folder, "b.conf"), NULL, err));
    config_free(config);
}

static void test_an_error_in_an_included_file_names_it(void **state)
{
    char err[CONFIG_FILE_ERROR_SIZE];
    char want[256];
    struct config *config = config_new();
    file_with("inner.conf", "\nhz x\n");
    assert_false(
        config_file_load(config, file_with("outer.conf", "include inner.conf"), NULL, err));
    snprintf(want, sizeof(want), "%s/inner.conf, at line 2\n>>> 'hz x'\n", folder.path);
    assert_non_null(strstr(err, want));
    config_free(config);
}

/* ---- the command line ---- */

static bool load_args(struct config *config, const char *line, char *err)
{
    char *argv[64];
    char text[512];
    int argc = 0;
    strcpy(text, line);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        argv[argc++] = strcmp(word, "EMPTY") == 0 ? (char *)"" : word;
    return config_args_load(config, argc, argv, NULL, err);
}

static void test_command_line(void **state)
{
    char err[CONFIG_FILE_ERROR_SIZE];
    struct config *config = config_new();
    assert_true(load_args(config, "", err));
    assert_true(load_args(config,
                          "--port 7000 --save EMPTY --timeout 5 --client-output-buffer-limit "
                          "normal 1 2 3 --port 7001 --slowlog-log-slower-than -1",
                          err));
    assert_int_equal(config->port, 7001);
    assert_int_equal(config->timeout_s, 5);
    assert_int_equal(config->slowlog_log_slower_than_us, -1);
    assert_int_equal(config->client_output_limit[CLIENT_NORMAL].soft_s, 3);
    assert_false(load_args(config, "--port", err));
    assert_string_equal(err, "*** FATAL CONFIG FILE ERROR ***\nReading the command line\n"
                             ">>> '--port'\nwrong number of arguments");
    assert_false(load_args(config, "--port 1 --nonsense 2", err));
    assert_non_null(strstr(err, "'--nonsense'\nBad directive"));
    assert_false(load_args(config, "port 1", err));
    assert_non_null(strstr(err, "'port'\nexpected a directive that begins with --"));
    assert_false(load_args(config, "--", err));
    assert_false(load_args(config, "--requirepass very secret", err));
    assert_null(strstr(err, "secret"));
    file_with("a.conf", "timeout 9");
    char line[128];
    snprintf(line, sizeof(line), "--include %s/a.conf", folder.path);
    assert_true(load_args(config, line, err));
    assert_int_equal(config->timeout_s, 9);
    assert_false(load_args(config, "--include", err));
    assert_false(load_args(config, "--include /no/such/file", err));
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test_setup_teardown(test_a_file_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_empty_file_is_fine, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_included_files_take_their_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_lines_are_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_same_port_twice_is_fine, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_zero_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_lines_and_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files_that_are_not_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_loops_of_includes_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_error_in_an_included_file_names_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_command_line, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("config_file", tests, NULL, NULL);
}
