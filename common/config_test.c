#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "check.h"
#include "config.h"
#include "qsbr.h"

#define WORDS_MAX 16

/* Sets from a line "name word word"; true with an empty error, or false with one. */
static bool set(struct config *config, const char *name, const char *line, bool booting, char *err)
{
    struct slice words[WORDS_MAX];
    int count = 0;
    for (const char *at = line; count < WORDS_MAX;) {
        size_t len = strcspn(at, "|");
        words[count++] = slice_from(at, len);
        if (at[len] == '\0')
            break;
        at += len + 1;
    }
    err[0] = '\0';
    bool done = config_set(config, slice_str(name), words, count, booting, err);
    assert_int_equal(done, err[0] == '\0');
    return done;
}

static void expect_print(const struct config *config, const char *name, const char *want)
{
    int index = config_option_find(slice_str(name));
    assert_true(index >= 0);
    char *text = config_option_print(config, index);
    assert_string_equal(text, want);
    free(text);
}

static void expect_set(const char *name, const char *words, const char *want)
{
    char err[CONFIG_ERROR_SIZE];
    struct config *config = config_new();
    if (!set(config, name, words, true, err))
        fail_msg("%s %s: %s", name, words, err);
    expect_print(config, name, want);
    config_free(config);
}

static void expect_refused(const char *name, const char *words, const char *want)
{
    char err[CONFIG_ERROR_SIZE];
    struct config *config = config_new();
    int index = config_option_find(slice_str(name));
    char *before = config_option_print(config, index);
    assert_false(set(config, name, words, true, err));
    assert_string_equal(err, want);
    expect_print(config, name, before);
    free(before);
    config_free(config);
}

static void test_kinds_are_read_and_printed(void **state)
{
    expect_set("port", "7000", "7000");
    expect_set("PORT", "0", "0");
    expect_set("maxmemory", "100mb", "104857600");
    expect_set("maxmemory", "18446744073709551615", "18446744073709551615");
    expect_set("daemonize", "YES", "yes");
    expect_set("maxmemory-policy", "AllKeys-LFU", "allkeys-lfu");
    expect_set("requirepass", "two words", "two words");
    expect_set("bind", "127.0.0.1|-::1", "127.0.0.1 -::1");
    expect_set("unixsocketperm", "770", "770");
    expect_set("slowlog-log-slower-than", "-1", "-1");
    expect_set("save", "", "");
}

static void test_refusals_are_worded_as_redis_does(void **state)
{
    expect_refused("timeout", "-1", "argument must be between 0 and 2147483647 inclusive");
    expect_refused("timeout", "abc", "argument couldn't be parsed into an integer");
    expect_refused("timeout", "01", "argument couldn't be parsed into an integer");
    expect_refused("timeout", "99999999999999999999",
                   "argument couldn't be parsed into an integer");
    expect_refused("timeout", "", "argument couldn't be parsed into an integer");
    expect_refused("maxmemory", "-1", "argument must be a memory value");
    expect_refused("maxmemory", "99999999999999999999", "argument must be a memory value");
    expect_refused("proto-max-bulk-len", "1",
                   "argument must be between 1048576 and 9223372036854775807 inclusive");
    expect_refused("daemonize", "maybe", "argument must be 'yes' or 'no'");
    expect_refused("loglevel", "loud",
                   "argument(s) must be one of the following: debug, verbose, notice, warning");
    expect_refused("maxmemory-policy", "x",
                   "argument(s) must be one of the following: volatile-lru, volatile-lfu, "
                   "volatile-random, volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, "
                   "noeviction");
    expect_refused("unixsocketperm", "9", "argument couldn't be parsed as an octal number");
    expect_refused("unixsocketperm", "7777", "argument must be between 0 and 777 inclusive");
    expect_refused("timeout", "1|2", "wrong number of arguments");
    expect_refused("requirepass", "two|words", "wrong number of arguments");
    expect_refused("save", "3600|1", "no snapshots yet: only \"\" is accepted");
}

static void test_strings_are_bounded(void **state)
{
    static char big[CONFIG_STRING_MAX + 1];
    char err[CONFIG_ERROR_SIZE];
    struct config *config = config_new();
    memset(big, 'a', sizeof(big));
    struct slice words[2] = {slice_from(big, CONFIG_STRING_MAX + 1)};
    assert_false(config_set(config, slice_str("requirepass"), words, 1, false, err));
    words[0].len--;
    assert_true(config_set(config, slice_str("requirepass"), words, 1, false, err));
    assert_int_equal(strlen(config->requirepass), CONFIG_STRING_MAX);
    words[1] = slice_from(big, 0);
    assert_false(config_set(config, slice_str("bind"), words, 2, true, err));
    words[0] = slice_from("a\0b", 3);
    assert_false(config_set(config, slice_str("requirepass"), words, 1, false, err));
    assert_string_equal(err, "argument must not contain a zero byte");
    assert_int_equal(strlen(config->requirepass), CONFIG_STRING_MAX);
    config_free(config);
}

static void test_fixed_only_while_booting(void **state)
{
    char err[CONFIG_ERROR_SIZE];
    struct config *config = config_new();
    assert_false(set(config, "port", "7000", false, err));
    assert_string_equal(err, "can't set immutable config");
    assert_int_equal(config->port, 6379);
    assert_true(set(config, "port", "7000", true, err));
    assert_true(set(config, "timeout", "5", false, err));
    assert_false(set(config, "no-such-directive", "5", true, err));
    assert_string_equal(err, "Bad directive or wrong number of arguments");
    assert_false(config_set(config, slice_str("timeout"), NULL, 0, true, err));
    config_free(config);
}

static void test_alias_is_its_directive(void **state)
{
    char err[CONFIG_ERROR_SIZE];
    struct config *config = config_new();
    assert_true(set(config, "hash-max-ziplist-entries", "7", false, err));
    assert_int_equal(config->hash_max_listpack_entries, 7);
    expect_print(config, "hash-max-ziplist-entries", "7");
    expect_print(config, "hash-max-listpack-entries", "7");
    assert_true(set(config, "list-max-listpack-size", "-5", false, err));
    expect_print(config, "list-max-ziplist-size", "-5");
    assert_false(
        config_option_is_default(config, config_option_find(slice_str("list-max-ziplist-size"))));
    config_free(config);
}

static void test_output_limits(void **state)
{
    const char *name = "client-output-buffer-limit";
    char err[CONFIG_ERROR_SIZE];
    struct config *config = config_new();
    expect_print(config, name,
                 "normal 1073741824 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60");
    assert_true(set(config, name, "replica|1mb|2kb|3", false, err));
    assert_true(set(config, name, "normal  0 0 0 PubSub 5 6 7", false, err));
    expect_print(config, name, "normal 0 0 0 slave 1048576 2048 3 pubsub 5 6 7");
    assert_int_equal(config->client_output_limit[CLIENT_REPLICA].soft_s, 3);
    static const char *const wrong_count =
        "Wrong number of arguments in buffer limit configuration.";
    static const char *const wrong_class =
        "Invalid client class specified in buffer limit configuration.";
    static const char *const wrong_value =
        "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
    expect_refused(name, "normal 1 2", wrong_count);
    expect_refused(name, "", wrong_count);
    expect_refused(name, "master 1 2 3", wrong_class);
    expect_refused(name, "normal 1 2 3 master 1 2 3", wrong_class);
    expect_refused(name, "normal 1x 2 3", wrong_value);
    expect_refused(name, "normal 1 2 -3", wrong_value);
    expect_refused(name, "normal 1 2 3 normal 1 2 x", wrong_value);
    char many[1000] = "normal 1 2 3";
    for (int i = 0; i < 20; i++)
        strcat(many, " normal 1 2 3");
    expect_refused(name, many, wrong_count);
    config_free(config);
}

static void test_file_form_is_quoted_where_needed(void **state)
{
    static const struct {
        const char *value;
        const char *want;
    } rows[] = {
        {"", "\"\""},
        {"plain", "plain"},
        {"two words", "\"two words\""},
        {"a\"b\\", "\"a\\\"b\\\\\""},
        {"a\nb", "\"a\\x0ab\""},
        {"#no", "\"#no\""},
        {"\xff", "\"\\xff\""},
    };
    struct config *config = config_new();
    int index = config_option_find(slice_str("requirepass"));
    for (size_t i = 0; i < count_of(rows); i++) {
        char err[CONFIG_ERROR_SIZE];
        assert_true(set(config, "requirepass", rows[i].value, false, err));
        char *text = config_option_print_file(config, index);
        assert_string_equal(text, rows[i].want);
        free(text);
    }
    char *text = config_option_print_file(
        config, config_option_find(slice_str("client-output-buffer-limit")));
    assert_null(strchr(text, '"'));
    free(text);
    config_free(config);
}

/* What a directive prints can be read again, its default too; no two rows share a name. */
static void test_every_row(void **state)
{
    struct config *config = config_new();
    for (int i = 0; i < config_option_count(); i++) {
        assert_int_equal(config_option_find(slice_str(config_option_name(i))), i);
        assert_true(config_option_is_default(config, i));
        assert_true(strlen(config_option_help(i)) > 0);
        int flags = config_option_flags(i);
        assert_int_equal(!!(flags & LIVE) + !!(flags & FIXED), 1);
        char *text = config_option_print(config, i);
        char err[CONFIG_ERROR_SIZE];
        struct slice word = slice_str(text);
        if (!config_set(config, slice_str(config_option_name(i)), &word, 1, true, err))
            fail_msg("%s: %s", config_option_name(i), err);
        assert_true(config_option_is_default(config, i));
        free(text);
    }
    config_free(config);
}

static void test_copies_own_their_strings(void **state)
{
    char err[CONFIG_ERROR_SIZE];
    struct config *first = config_new();
    assert_true(set(first, "requirepass", "one", false, err));
    struct config *second = config_copy(first);
    assert_true(set(second, "requirepass", "two", false, err));
    assert_string_equal(first->requirepass, "one");
    config_free(first);
    assert_string_equal(second->requirepass, "two");
    config_free(second);
    config_free(NULL);
}

static void test_relations(void **state)
{
    char err[CONFIG_ERROR_SIZE];
    struct config *config = config_new();
    assert_true(config_validate(config, err));
    assert_true(set(config, "port", "0", true, err));
    assert_false(config_validate(config, err));
    assert_true(set(config, "unixsocket", "/tmp/s", true, err));
    assert_true(config_validate(config, err));
    assert_true(set(config, "gateway", "10.0.0.1", true, err));
    assert_false(config_validate(config, err));
    assert_true(set(config, "ip", "10.0.0.2/24", true, err));
    assert_true(config_validate(config, err));
    config_free(config);
}

static _Atomic(bool) stop;

static void *read_snapshots(void *arg)
{
    qsbr_register();
    int64_t last = 0;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        const struct config *config = config_get();
        /* Both were set together. */
        CHECK(config->timeout_s == config->slowlog_max_len);
        CHECK(strtoll(config->requirepass, NULL, 10) == config->timeout_s);
        CHECK(config->timeout_s >= last);
        last = config->timeout_s;
        qsbr_quiescent();
    }
    qsbr_unregister();
    return NULL;
}

static void publish_number(int64_t number)
{
    struct config *config = config_get() ? config_copy(config_get()) : config_new();
    char err[CONFIG_ERROR_SIZE];
    char text[32];
    snprintf(text, sizeof(text), "%lld", (long long)number);
    assert_true(set(config, "timeout", text, false, err));
    assert_true(set(config, "slowlog-max-len", text, false, err));
    assert_true(set(config, "requirepass", text, false, err));
    config_publish(config);
}

/* More snapshots than may wait, read all the while. */
static void test_race_of_publishing_and_reading(void **state)
{
    pthread_t readers[2];
    publish_number(1);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_snapshots, NULL), 0);
    for (int i = 2; i <= 3 * CONFIG_RETIRED_MAX; i++)
        publish_number(i);
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(readers[i], NULL);
    assert_int_equal(config_get()->timeout_s, 3 * CONFIG_RETIRED_MAX);
    config_unpublish();
    assert_null(config_get());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds_are_read_and_printed),
        cmocka_unit_test(test_refusals_are_worded_as_redis_does),
        cmocka_unit_test(test_strings_are_bounded),
        cmocka_unit_test(test_fixed_only_while_booting),
        cmocka_unit_test(test_alias_is_its_directive),
        cmocka_unit_test(test_output_limits),
        cmocka_unit_test(test_file_form_is_quoted_where_needed),
        cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_copies_own_their_strings),
        cmocka_unit_test(test_relations),
        cmocka_unit_test(test_race_of_publishing_and_reading),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
