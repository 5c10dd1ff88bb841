/* The server family over a node in memory; the test plays the control thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "admin_mail.h"
#include "allocator.h"
#include "check.h"
#include "command_history.h"
#include "families.h"
#include "job.h"
#include "test_node.h"

struct fake_control {
    struct admin_server server; /* first */
    struct mailbox box;
    enum admin_kind kind; /* of the last request */
    char words[256];
    const char *error; /* to answer with */
    bool silent;
    unsigned served;
};

static struct test_node *node;
static struct test_client *client;
static struct fake_control control;

static enum admin_outcome fake_serve(struct admin_server *server, struct admin_request *request)
{
    struct fake_control *f = container_from(server, struct fake_control, server);
    size_t at = 0;
    f->kind = request->kind;
    f->words[0] = '\0';
    for (uint32_t i = 0; i < request->word_count; i++)
        at += (size_t)snprintf(f->words + at, sizeof(f->words) - at, "%.*s ",
                               (int)request->words[i].len, (const char *)request->words[i].data);
    if (f->error)
        snprintf(request->error, sizeof(request->error), "%s", f->error);
    f->served++;
    return f->silent ? ADMIN_NEVER : ADMIN_DONE;
}

static int setup(void **state)
{
    node = test_node_new(2);
    client = test_connect(node, 0);
    control = (struct fake_control){.server.serve = fake_serve};
    assert_true(mailbox_init(&control.box));
    test_node_shared(node)->control = &control.box;
    return 0;
}

static int teardown(void **state)
{
    test_node_free(node);
    mailbox_fini(&control.box);
    return 0;
}

static void control_run_once(void)
{
    mailbox_run(&control.box, &control, 16);
    test_node_run(node);
}

#define SAYS(text, want) TEST_SAYS(client, text "\r\n", want)
#define OK "+OK\r\n"

static const char *ask(const char *text)
{
    test_send(client, text, strlen(text));
    return test_replies(client, NULL);
}

/* ---- CONFIG, SHUTDOWN ---- */

static void test_config_get(void **state)
{
    SAYS("CONFIG GET maxmemory-samples", "*2\r\n$17\r\nmaxmemory-samples\r\n$1\r\n5\r\n");
    SAYS("CONFIG GET HZ hz nosuch", "*2\r\n$2\r\nHZ\r\n$2\r\n10\r\n");
    SAYS("CONFIG GET slowlog-* slowlog-max-le?",
         "*4\r\n$23\r\nslowlog-log-slower-than\r\n$5\r\n10000\r\n$15\r\nslowlog-max-len\r\n$"
         "3\r\n128\r\n");
    SAYS("CONFIG GET nosuch", "*0\r\n");
    SAYS("CONFIG GET", "-ERR wrong number of arguments for 'config|get' command\r\n");
}

static void test_config_set_waits_for_the_control_thread(void **state)
{
    struct test_client *other = test_connect(node, 0);
    SAYS("CONFIG SET hz 20 timeout 5", "");
    TEST_SAYS(other, "PING\r\n", "+PONG\r\n");
    SAYS("PING", ""); /* its own next command waits */
    control_run_once();
    assert_int_equal(control.kind, ADMIN_CONFIG_SET);
    assert_string_equal(control.words, "hz 20 timeout 5 ");
    assert_string_equal(test_replies(client, NULL), "+OK\r\n+PONG\r\n");
    control.error = "ERR CONFIG SET failed";
    SAYS("CONFIG SET hz x", "");
    control_run_once();
    assert_string_equal(test_replies(client, NULL), "-ERR CONFIG SET failed\r\n");
    SAYS("CONFIG SET hz 1 timeout", "-ERR syntax error\r\n");
}

static void test_silenced_answers(void **state)
{
    SAYS("CLIENT REPLY SKIP\r\nCONFIG SET hz 20\r\nPING", "");
    control_run_once();
    assert_string_equal(test_replies(client, NULL), "+PONG\r\n");
    SAYS("CLIENT REPLY OFF\r\nCONFIG SET hz 20\r\nCLIENT REPLY ON", "");
    control_run_once();
    assert_string_equal(test_replies(client, NULL), OK);
}

static void test_client_ends_while_it_waits(void **state)
{
    SAYS("CONFIG REWRITE", "");
    test_stream_reset(client->stream);
    test_node_run(node);
    control_run_once();
    assert_int_equal(control.kind, ADMIN_CONFIG_REWRITE);
    client = test_connect(node, 0);
    SAYS("PING", "+PONG\r\n");
}

static void test_resetstat(void **state)
{
    SAYS("GET k", "$-1\r\n");
    SAYS("GET", "-ERR wrong number of arguments for 'get' command\r\n");
    assert_non_null(strstr(ask("INFO commandstats\r\n"), "cmdstat_get:calls=1,"));
    assert_non_null(strstr(ask("LATENCY HISTOGRAM get\r\n"), "calls\r\n:1\r\n"));
    SAYS("CONFIG RESETSTAT", "");
    control_run_once();
    assert_string_equal(test_replies(client, NULL), OK);
    assert_null(strstr(ask("INFO commandstats errorstats\r\n"), "cmdstat_get:"));
    SAYS("LATENCY HISTOGRAM get", "*0\r\n");
}

static void test_shutdown(void **state)
{
    control.silent = true;
    SAYS("SHUTDOWN foo", "-ERR syntax error\r\n");
    SAYS("SHUTDOWN SAVE NOSAVE", "-ERR syntax error\r\n");
    SAYS("SHUTDOWN ABORT", "-ERR No shutdown in progress.\r\n");
    SAYS("SHUTDOWN SAVE", "-ERR Errors trying to SHUTDOWN. Check logs.\r\n");
    assert_int_equal(control.served, 0);
    SAYS("SHUTDOWN NOSAVE", "");
    control_run_once();
    assert_int_equal(control.kind, ADMIN_SHUTDOWN);
    assert_string_equal(test_replies(client, NULL), "");
}

/* ---- INFO, MEMORY, TIME ---- */

static void test_info_sections(void **state)
{
    const char *all = ask("INFO\r\n");
    assert_non_null(strstr(all, "# Server\r\nredis_version:7.0."));
    assert_non_null(strstr(all, "\r\n\r\n# Clients\r\nconnected_clients:1\r\n"));
    assert_null(strstr(all, "# Commandstats"));
    assert_null(strstr(all, "# Slotwire"));
    assert_non_null(strstr(ask("INFO all\r\n"), "# Commandstats"));
    assert_non_null(strstr(ask("INFO everything\r\n"), "# Slotwire\r\nlcores:2\r\n"));
    SAYS("SET k v EX 100", OK);
    const char *two = ask("INFO keyspace cluster nosuch\r\n");
    assert_non_null(strstr(two, "# Cluster\r\ncluster_enabled:0\r\n\r\n# Keyspace\r\n"));
    assert_non_null(strstr(two, "db0:keys=1,expires=1,"));
    assert_null(strstr(two, "# Server"));
    SAYS("INFO nosuch", "$0\r\n\r\n");
}

/* How many pieces the command takes; its reply is there afterwards. */
static unsigned pieces_of(command_fn handler, const char *name, const char *word)
{
    struct session *s = client->stream->stream.user;
    const struct slice argv[] = {slice_str(name), slice_str(word)};
    struct call c = {.worker = s->worker,
                     .session = s,
                     .ks = s->worker->ks,
                     .reply = &s->reply,
                     .argv = argv,
                     .argc = 2};
    unsigned pieces = 1;
    handler(&c);
    for (; s->flags & SESSION_PARKED; pieces++) {
        assert_int_equal(s->stream->out.len, 0);
        jobs_run(s->worker, 0);
    }
    return pieces;
}

/* What is long goes in pieces, and says the same. */
static void test_long_reports_go_in_pieces(void **state)
{
    ask("PING\r\nECHO a\r\nGET a\r\nSET a b\r\nTTL a\r\nDEL a\r\nHGET h f\r\nLLEN l\r\nSCARD "
        "s\r\n");
    ask("CLIENT ID\r\nCLIENT GETNAME\r\n");
    char *whole = strdup(ask("LATENCY HISTOGRAM\r\n"));
    assert_true(pieces_of(cmd_latency_histogram, "latency", "histogram") > 10);
    assert_string_equal(test_replies(client, NULL) + 5, whole + 5);
    free(whole);
    assert_non_null(strstr(ask("LATENCY HISTOGRAM client get client\r\n"),
                           "client|getname\r\n*4\r\n$5\r\ncalls\r\n:1\r\n"));
    assert_true(pieces_of(cmd_info, "info", "everything") > 15);
    const char *all = test_replies(client, NULL);
    static const char *const lines[] = {
        "# Server\r\n",
        "\r\n\r\n# Commandstats\r\ncmdstat_",
        "cmdstat_client|id:calls=1,",
        "\r\n\r\n# Errorstats\r\n",
        "\r\n# Latencystats\r\nlatency_percentiles_usec_",
        "usec_scard:p50=",
        "# Keyspace\r\n",
        "\r\n\r\n# Slotwire\r\nlcores:2\r\n",
        "lcore0:commands=",
        "lcore1:commands=",
    };
    const char *at = all;
    for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        at = strstr(at, lines[i]);
        assert_non_null(at);
    }
    assert_int_equal(pieces_of(cmd_info, "info", "server"), 1);
    test_replies(client, NULL);
    assert_string_equal(ask("MULTI\r\nINFO keyspace\r\nEXEC\r\n"),
                        "+OK\r\n+QUEUED\r\n*1\r\n$12\r\n# Keyspace\r\n\r\n");
}

static uint64_t line_of(const char *report, const char *name)
{
    const char *at = strstr(report, name);
    assert_non_null(at);
    return strtoull(at + strlen(name), NULL, 10);
}

/* used_memory is what the allocator has given out; maxmemory limits what is left of it without
 * mem_not_counted_for_evict. */
static void test_memory_is_that_of_the_process(void **state)
{
    struct ks *ks = test_worker(node, 0)->ks;
    allocator_stats_sample(1, ks_used_bytes(ks->shared));
    char *empty = strdup(ask("INFO memory\r\n"));
    uint64_t used = line_of(empty, "\r\nused_memory:");
    assert_true(used > 10000);
    assert_true(line_of(empty, "\r\nused_memory_startup:") > 10000);
    assert_int_equal(line_of(empty, "\r\nused_memory_dataset:"), 0);
    assert_int_equal(line_of(empty, "\r\nused_memory_overhead:"), used);
    assert_null(strstr(empty, "mem_fragmentation_ratio:0.00"));
    free(empty);
    static char big[1000000];
    memset(big, 'x', sizeof(big));
    ask("*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$1000000\r\n");
    test_send(client, big, sizeof(big));
    assert_string_equal(ask("\r\n"), OK);
    char *full = strdup(ask("INFO memory\r\n"));
    assert_true(line_of(full, "\r\nused_memory:") > used + 1000000);
    assert_true(line_of(full, "\r\nused_memory_peak:") >= line_of(full, "\r\nused_memory:"));
    assert_true(line_of(full, "\r\nused_memory_dataset:") > 1000000);
    assert_int_equal(line_of(full, "\r\nused_memory:") -
                         line_of(full, "\r\nmem_not_counted_for_evict:"),
                     ks_used_bytes(ks->shared));
    free(full);
}

static void test_memory(void **state)
{
    SAYS("MEMORY USAGE no", "$-1\r\n");
    SAYS("SET k v", OK);
    int bytes = 0;
    assert_int_equal(sscanf(ask("MEMORY USAGE k SAMPLES 0\r\n"), ":%d\r\n", &bytes), 1);
    assert_true(bytes > 0 && bytes < 200);
    SAYS("MEMORY USAGE k SAMPLES -1", "-ERR syntax error\r\n");
    SAYS("MEMORY USAGE k foo", "-ERR syntax error\r\n");
    assert_non_null(strstr(ask("MEMORY STATS\r\n"), "keys.count\r\n:1\r\n"));
    SAYS("MEMORY PURGE", "");
    control_run_once();
    assert_int_equal(control.kind, ADMIN_MEMORY_PURGE);
    assert_string_equal(test_replies(client, NULL), OK);
}

static void test_small_ones(void **state)
{
    SAYS("ROLE", "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
    assert_int_equal(strncmp(ask("TIME\r\n"), "*2\r\n$10\r\n", 9), 0);
    SAYS("LASTSAVE", ":0\r\n");
}

/* ---- COMMAND ---- */

static void test_command_getkeys(void **state)
{
    SAYS("COMMAND GETKEYS MSET a 1 b 2", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    SAYS("COMMAND GETKEYS OBJECT ENCODING k", "*1\r\n$1\r\nk\r\n");
    SAYS("COMMAND GETKEYS nosuch a", "-ERR Invalid command specified\r\n");
    SAYS("COMMAND GETKEYS PING a", "-ERR The command has no key arguments\r\n");
    SAYS("COMMAND GETKEYS SET a", "-ERR Invalid number of arguments specified for command\r\n");
    SAYS("COMMAND GETKEYSANDFLAGS SET a 1", "*1\r\n*2\r\n$1\r\na\r\n*2\r\n+OW\r\n+update\r\n");
    SAYS("COMMAND GETKEYSANDFLAGS SET a 1 GET",
         "*1\r\n*2\r\n$1\r\na\r\n*3\r\n+RW\r\n+access\r\n+update\r\n");
    SAYS("COMMAND GETKEYSANDFLAGS RENAME a b",
         "*2\r\n*2\r\n$1\r\na\r\n*3\r\n+RW\r\n+access\r\n+delete\r\n*2\r\n$1\r\nb\r\n*2\r\n+OW\r\n"
         "+update\r\n");
}

static void test_command_info(void **state)
{
    SAYS("COMMAND INFO nosuch", "*1\r\n$-1\r\n");
    SAYS("COMMAND INFO GET",
         "*1\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*3\r\n"
         "+@read\r\n+@string\r\n+@fast\r\n*0\r\n*1\r\n*6\r\n$5\r\nflags\r\n*2\r\n+RO\r\n+access\r\n"
         "$12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n*2\r\n$"
         "5\r\nindex\r\n"
         ":1\r\n$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n*6\r\n$7\r\n"
         "lastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n*0\r\n");
    assert_non_null(
        strstr(ask("COMMAND INFO rename\r\n"), ":3\r\n*1\r\n+write\r\n:1\r\n:2\r\n:1\r\n"));
    assert_non_null(strstr(ask("COMMAND INFO mget\r\n"), ":1\r\n:-1\r\n:1\r\n"));
    SAYS("COMMAND LIST FILTERBY PATTERN getr*", "*1\r\n$8\r\ngetrange\r\n");
    SAYS("COMMAND LIST FILTERBY MODULE x", "*0\r\n");
    SAYS("COMMAND LIST FILTERBY foo x", "-ERR syntax error\r\n");
    assert_null(command_history_fault());
    assert_non_null(strstr(ask("COMMAND DOCS getset lpush restore-asking\r\n"),
                           "$9\r\ndoc_flags\r\n*1\r\n+deprecated\r\n$16\r\ndeprecated_since\r\n$"
                           "5\r\n6.2.0\r\n$11\r\nreplaced_by\r\n$16\r\n`SET` with `GET`\r\n"));
    assert_non_null(strstr(ask("COMMAND DOCS lpush\r\n"),
                           "$7\r\nhistory\r\n*1\r\n*2\r\n$5\r\n2.4.0\r\n$16\r\nseveral elements"));
    assert_non_null(strstr(ask("COMMAND DOCS strlen nosuch\r\n"), "*2\r\n$6\r\nstrlen\r\n*10\r\n"));
}

/* ---- SLOWLOG ---- */

static void test_slowlog(void **state)
{
    SAYS("SLOWLOG GET", "*0\r\n");
    test_node_config(node, "slowlog-log-slower-than", "0");
    test_node_config(node, "slowlog-max-len", "3");
    SAYS("CLIENT SETNAME me", OK);
    static char text[700];
    int at = snprintf(text, sizeof(text), "DEL 0123456789");
    for (int i = 0; i < 38; i++)
        at += snprintf(text + at, sizeof(text) - (size_t)at, " k%d", i);
    at += snprintf(text + at, sizeof(text) - (size_t)at, " %0200d\r\n", 7);
    test_send(client, text, (size_t)at);
    assert_string_equal(test_replies(client, NULL), ":0\r\n");
    const char *log = ask("SLOWLOG GET 1\r\n");
    assert_int_equal(strncmp(log, "*1\r\n*6\r\n:", 9), 0);
    assert_non_null(strstr(log, "\r\n*32\r\n$3\r\nDEL\r\n$10\r\n0123456789\r\n"));
    assert_non_null(strstr(log, "... (10 more arguments)"));
    assert_non_null(strstr(log, "10.0.0.1:1001\r\n$2\r\nme\r\n"));
    snprintf(text, sizeof(text), "GET %0200d\r\n", 7);
    ask(text);
    assert_non_null(strstr(ask("SLOWLOG GET 2\r\n"), "... (72 more bytes)"));
    SAYS("SLOWLOG LEN", ":3\r\n");
    SAYS("SLOWLOG GET -2", "-ERR count should be greater than or equal to -1\r\n");
    test_node_config(node, "slowlog-log-slower-than", "-1");
    SAYS("SLOWLOG RESET", OK);
    SAYS("SLOWLOG LEN", ":0\r\n");
    SAYS("SLOWLOG GET -1", "*0\r\n");
}

/* ---- DEBUG ---- */

static void test_debug_is_gated(void **state)
{
    assert_int_equal(strncmp(ask("DEBUG SLEEP 0\r\n"), "-ERR DEBUG command not allowed.", 31), 0);
    test_node_config(node, "enable-debug-command", "local");
    assert_int_equal(strncmp(ask("DEBUG SLEEP 0\r\n"), "-ERR DEBUG command not allowed.", 31), 0);
    test_node_config(node, "enable-debug-command", "yes");
    SAYS("DEBUG SLEEP 0", OK);
    SAYS("DEBUG foo",
         "-ERR unknown subcommand or wrong number of arguments for 'foo'. Try DEBUG HELP.\r\n");
    SAYS("DEBUG SLEEP",
         "-ERR unknown subcommand or wrong number of arguments for 'SLEEP'. Try DEBUG HELP.\r\n");
}

static void test_debug_sleep_holds_its_client_only(void **state)
{
    struct test_client *other = test_connect(node, 0);
    test_node_config(node, "enable-debug-command", "yes");
    SAYS("DEBUG SLEEP 2", "");
    assert_int_equal(jobs_next_us(test_worker(node, 0)), test_worker(node, 0)->now_us + 2000000);
    SAYS("PING", "");
    TEST_SAYS(other, "PING\r\n", "+PONG\r\n");
    test_node_advance(node, 1999);
    test_node_run(node);
    assert_string_equal(test_replies(client, NULL), "");
    test_node_advance(node, 1);
    test_node_run(node);
    assert_string_equal(test_replies(client, NULL), "+OK\r\n+PONG\r\n");
    TEST_SAYS(other, "DEBUG SLEEP 100\r\n", "");
    test_stream_reset(other->stream);
    test_node_run(node); /* ends the session, which abandons its job */
    test_node_run(node); /* the job's last turn */
    assert_int_equal(jobs_next_us(test_worker(node, 0)), UINT64_MAX);
}

static void test_debug_populate_and_digest(void **state)
{
    test_node_config(node, "enable-debug-command", "yes");
    SAYS("DEBUG DIGEST", "+0000000000000000000000000000000000000000\r\n");
    SAYS("SET key:3 mine", OK);
    SAYS("DEBUG POPULATE 5000", OK);
    SAYS("DBSIZE", ":5000\r\n");
    SAYS("MGET key:3 key:4999", "*2\r\n$4\r\nmine\r\n$10\r\nvalue:4999\r\n");
    SAYS("DEBUG POPULATE 2 p 3", OK);
    SAYS("GET p:1", "$3\r\nval\r\n");
    SAYS("DEBUG POPULATE x", "-ERR value is out of range, must be positive\r\n");
    SAYS("FLUSHALL", OK);
    /* The digest of these on a redis-server 7.0.15. */
    SAYS("SET a 1", OK);
    SAYS("DEBUG DIGEST", "+943d800368fb9c0e951138f1bc0e313ac769d91f\r\n");
    SAYS("DEBUG DIGEST-VALUE no", "*1\r\n+0000000000000000000000000000000000000000\r\n");
    assert_int_equal(strncmp(ask("DEBUG OBJECT a\r\n"), "+Value at:0x", 12), 0);
    SAYS("DEBUG OBJECT no", "-ERR no such key\r\n");
    SAYS("DEBUG ERROR \"MINE is wrong\"", "-MINE is wrong\r\n");
    SAYS("DEBUG SET-ACTIVE-EXPIRE 0", OK);
    assert_true(test_node_shared(node)->active_expire_off);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_config_get, setup, teardown),
        cmocka_unit_test_setup_teardown(test_config_set_waits_for_the_control_thread, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_silenced_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_client_ends_while_it_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resetstat, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shutdown, setup, teardown),
        cmocka_unit_test_setup_teardown(test_info_sections, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_reports_go_in_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_is_that_of_the_process, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_small_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(test_command_getkeys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_command_info, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slowlog, setup, teardown),
        cmocka_unit_test_setup_teardown(test_debug_is_gated, setup, teardown),
        cmocka_unit_test_setup_teardown(test_debug_sleep_holds_its_client_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_debug_populate_and_digest, setup, teardown),
    };
    return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
