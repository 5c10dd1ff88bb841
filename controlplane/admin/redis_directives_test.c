#include "redis_directives.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "check.h"
#include "config_file.h"
#include "test_folder.h"

#define ANY(name, why) name,
#define ONLY(name, value, why) name,
#define NEVER(name, why) name,
static const char *const names[] = {
#include "redis_directives.def"
};
#undef ANY
#undef ONLY
#undef NEVER

static enum redis_directive judge(const char *line, char text[CONFIG_ERROR_SIZE])
{
    struct slice words[8];
    uint8_t storage[256];
    int count = config_line_split(slice_str(line), storage, words, 8);
    assert_true(count > 0);
    return redis_directive_judge(words[0], words + 1, count - 1, text);
}

static void accepted(const char *line, const char *want)
{
    char text[CONFIG_ERROR_SIZE], whole[CONFIG_ERROR_SIZE];
    assert_int_equal(judge(line, text), REDIS_DIRECTIVE_ACCEPTED);
    snprintf(whole, sizeof(whole), "accepted, without effect: %s", want);
    assert_string_equal(text, whole);
}

static void refused(const char *line, const char *want)
{
    char text[CONFIG_ERROR_SIZE];
    assert_int_equal(judge(line, text), REDIS_DIRECTIVE_REFUSED);
    assert_string_equal(text, want);
}

/* A row whose directive the node has would be dead. */
static void test_rows_are_what_the_node_lacks(void **state)
{
    for (size_t i = 0; i < count_of(names); i++) {
        assert_int_equal(config_option_find(slice_str(names[i])), -1);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(names[i], names[k]);
    }
}

static void test_what_has_no_meaning_is_accepted(void **state)
{
    accepted("dbfilename dump.rdb", "dbfilename: there are no snapshots yet");
    accepted("DBFileName other", "dbfilename: there are no snapshots yet");
    accepted("oom-score-adj-values 0 200 800",
             "oom-score-adj-values: the process leaves its score alone");
    accepted("tls-cluster NO", "tls-cluster: there is no TLS yet");
    accepted("notify-keyspace-events \"\"",
             "notify-keyspace-events: there are no keyspace events yet");
    accepted("latency-tracking-info-percentiles 50 99 99.9",
             "latency-tracking-info-percentiles: INFO latencystats has fixed percentiles");
}

static void test_what_somebody_relies_on_is_refused(void **state)
{
    refused("tls-cluster yes",
            "tls-cluster is not available: there is no TLS yet; only no is accepted");
    refused("replicaof 10.0.0.1 6379",
            "replicaof is not available: there is no replication yet; only \"\" is accepted");
    refused("notify-keyspace-events KEA", "notify-keyspace-events is not available: there are no "
                                          "keyspace events yet; only \"\" is accepted");
    refused("latency-tracking-info-percentiles 50 99",
            "latency-tracking-info-percentiles is not available: INFO latencystats has fixed "
            "percentiles; only 50 99 99.9 is accepted");
    refused("latency-tracking-info-percentiles 50 99 99.9 100",
            "latency-tracking-info-percentiles is not available: INFO latencystats has fixed "
            "percentiles; only 50 99 99.9 is accepted");
    refused("user default on nopass ~* &* +@all",
            "user is not available: there is one user, default, with requirepass");
    refused("loadmodule /x.so", "loadmodule is not available: there are no modules");
    refused("dbfilename", "wrong number of arguments");
}

static void test_others_are_not_judged(void **state)
{
    char text[CONFIG_ERROR_SIZE];
    assert_int_equal(judge("port 1", text), REDIS_DIRECTIVE_NOT);
    assert_int_equal(judge("nonsense 1", text), REDIS_DIRECTIVE_NOT);
    assert_int_equal(judge("'' 1", text), REDIS_DIRECTIVE_NOT);
}

/* ---- in a file ---- */

static char told[4096];

static void tell(const char *note)
{
    strcat(told, note);
    strcat(told, "\n");
}

static void test_files_with_them(void **state)
{
    struct test_folder folder;
    char err[CONFIG_FILE_ERROR_SIZE], place[CONFIG_PLACE_SIZE], want[512];
    struct config *config = config_new();
    struct config_trace *trace = config_trace_new();
    test_folder_make(&folder);
    static const char text[] = "port 7000\nrdbchecksum yes\ndatabases 16\nappendonly no\n"
                               "ip 10.0.0.1/24\n";
    const char *path = test_path(&folder, "a.conf");
    test_file_write(path, text, sizeof(text) - 1);
    assert_true(config_file_load(config, path, trace, err));
    char *args[] = {"--hz", "7", "--io-threads", "4"};
    assert_true(config_args_load(config, 4, args, trace, err));
    told[0] = '\0';
    config_trace_notes(trace, tell);
    assert_string_equal(
        told, "accepted, without effect: rdbchecksum: there are no snapshots yet\n"
              "accepted, without effect: databases: there is one database, 0, as in a cluster\n"
              "accepted, without effect: io-threads: the directive lcores says where the node "
              "runs\n");
    snprintf(want, sizeof(want), "%s, line 5: ", path);
    assert_string_equal(config_trace_place(trace, "gateway: hz and ip '1' are wrong", place), want);
    assert_string_equal(config_trace_place(trace, "set 'hz', or ip6", place), "");
    assert_string_equal(config_trace_place(trace, "", place), "");

    static const char bad[] = "user default on >secret\n";
    test_file_write(path, bad, sizeof(bad) - 1);
    assert_false(config_file_load(config, path, trace, err));
    assert_non_null(strstr(err, ">>> 'user...'\nuser is not available"));
    test_folder_remove(&folder);
    config_trace_free(trace);
    config_free(config);
}

static unsigned lines_told;
static char last_told[64];

static void count_line(const char *note)
{
    lines_told++;
    snprintf(last_told, sizeof(last_told), "%s", note);
}

static void test_notes_are_bounded(void **state)
{
    struct config_trace *trace = config_trace_new();
    for (int i = 0; i < CONFIG_NOTES_MAX + 5; i++)
        config_trace_note(trace, "x");
    config_trace_notes(trace, count_line);
    assert_int_equal(lines_told, CONFIG_NOTES_MAX + 1);
    assert_string_equal(last_told, "… and 5 more of the kind");
    config_trace_free(trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_what_the_node_lacks),
        cmocka_unit_test(test_what_has_no_meaning_is_accepted),
        cmocka_unit_test(test_what_somebody_relies_on_is_refused),
        cmocka_unit_test(test_others_are_not_judged),
        cmocka_unit_test(test_files_with_them),
        cmocka_unit_test(test_notes_are_bounded),
    };
    return cmocka_run_group_tests_name("redis_directives", tests, NULL, NULL);
}
