/* nodes.conf and a stock node: we read what it writes and print it as the same bytes; it starts
 * from what we write, as the same node. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "nodes_conf.h"
#include "nodes_file.h"
#include "stock_node.h"

#define ROUND_US 50000
#define ROUNDS_MAX 1200

static struct stock_node one, two;
static char command[256];
#define COMMAND(...) (snprintf(command, sizeof(command), __VA_ARGS__), command)

static void ask(const struct stock_node *n, const char *text)
{
    char *reply = stock_node_ask(n, text);
    assert_string_equal(reply, "OK");
    free(reply);
}

static void wait_says(const struct stock_node *n, const char *question, const char *text)
{
    for (int i = 0; i < ROUNDS_MAX; i++) {
        if (stock_node_says(n, question, text))
            return;
        usleep(ROUND_US);
    }
    char *reply = stock_node_ask(n, question);
    fail_msg("waited for \"%s\" in:\n%s", text, reply);
}

/* A cluster of two: slots in pieces, a hostname, slots on their way; then a replica. */
static int set_up(void **state)
{
    stock_node_new(&one);
    stock_node_new(&two);
    if (!stock_node_start(&one, "stock-1.example") || !stock_node_start(&two, ""))
        return -1;
    ask(&one, "CLUSTER SET-CONFIG-EPOCH 1");
    ask(&two, "CLUSTER SET-CONFIG-EPOCH 2");
    ask(&one, "CLUSTER ADDSLOTS 0 2 4 5 6 16383");
    ask(&one, COMMAND("CLUSTER MEET 127.0.0.1 %u", two.port));
    wait_says(&one, "CLUSTER NODES", two.id);
    wait_says(&two, "CLUSTER NODES", "16383");
    ask(&one, COMMAND("CLUSTER SETSLOT 5 MIGRATING %s", two.id));
    return 0;
}

static int tear_down(void **state)
{
    stock_node_free(&one);
    stock_node_free(&two);
    return 0;
}

static char *read_conf(const struct stock_node *n, size_t *len)
{
    char err[NODES_FILE_ERROR_SIZE];
    char *text;
    struct nodes_file *f = nodes_file_open(stock_node_conf(n), err);
    if (!f)
        fail_msg("%s", err);
    assert_true(nodes_file_read(f, &text, len, err));
    assert_non_null(text);
    nodes_file_close(f);
    return text;
}

static void write_conf(const struct stock_node *n, struct slice text)
{
    char err[NODES_FILE_ERROR_SIZE];
    struct nodes_file *f = nodes_file_open(stock_node_conf(n), err);
    if (!f)
        fail_msg("%s", err);
    assert_true(nodes_file_replace(f, text, err));
    nodes_file_close(f);
}

static struct nodes_conf *parse(const char *text, size_t len)
{
    char err[NODES_CONF_ERROR_SIZE];
    struct nodes_conf *conf = nodes_conf_parse(slice_from(text, len), err);
    if (!conf)
        fail_msg("%s in:\n%.*s", err, (int)len, text);
    return conf;
}

static void expect_identity(const struct stock_node *n)
{
    size_t len;
    char *text = read_conf(n, &len);
    struct nodes_conf *conf = parse(text, len);
    struct nodes_text out = {0};
    nodes_conf_print(&out, conf);
    assert_int_equal(out.len, len);
    assert_memory_equal(out.data, text, len);
    assert_string_equal(conf->nodes[conf->myself].id, n->id);
    free(out.data);
    free(text);
    nodes_conf_free(conf);
}

/* In our form, with a checksum and shard ids. */
static void write_ours(const struct stock_node *n)
{
    size_t len;
    char *text = read_conf(n, &len);
    struct nodes_conf *conf = parse(text, len);
    struct nodes_text out = {0};
    conf->has_checksum = true;
    for (uint32_t i = 0; i < conf->node_count; i++)
        memset(conf->nodes[i].shard_id, 'a', BUS_NAME_SIZE);
    nodes_conf_print(&out, conf);
    write_conf(n, slice_from(out.data, out.len));
    free(out.data);
    free(text);
    nodes_conf_free(conf);
}

static void test_the_lock_of_a_stock_node_is_seen(void **state)
{
    char err[NODES_FILE_ERROR_SIZE];
    assert_null(nodes_file_open(stock_node_conf(&one), err));
    assert_non_null(strstr(err, "in use by another node"));
}

static void test_we_read_theirs(void **state)
{
    stock_node_stop(&one);
    expect_identity(&one);
    stock_node_stop(&two);
    expect_identity(&two);
}

static void test_they_read_ours(void **state)
{
    char id[41];
    write_ours(&one);
    strcpy(id, one.id);
    assert_true(stock_node_start(&one, "stock-1.example"));
    assert_string_equal(one.id, id);
    wait_says(&one, "CLUSTER NODES", two.id);
    assert_true(stock_node_says(&one, "CLUSTER NODES", COMMAND(" 0 2 4-6 16383 [5->-%s]", two.id)));
    assert_true(stock_node_says(&one, "CLUSTER INFO", "cluster_current_epoch:2"));
    assert_true(stock_node_says(&one, "CLUSTER NODES", "stock-1.example myself,master - 0 "));
    ask(&one, "CLUSTER SAVECONFIG");
    stock_node_stop(&one);
    expect_identity(&one);
}

static void test_a_stock_node_does_not_start_on_ours(void **state)
{
    char err[NODES_FILE_ERROR_SIZE];
    size_t len;
    char *text = read_conf(&two, &len);
    struct nodes_file *f = nodes_file_open(stock_node_conf(&two), err);
    assert_non_null(f);
    assert_false(stock_node_start(&two, ""));
    /* The file that we put in its place is locked too. */
    assert_true(nodes_file_replace(f, slice_from(text, len), err));
    assert_false(stock_node_start(&two, ""));
    nodes_file_close(f);
    assert_true(stock_node_start(&two, ""));
    free(text);
}

static void test_replica(void **state)
{
    assert_true(stock_node_start(&one, ""));
    ask(&two, COMMAND("CLUSTER REPLICATE %s", one.id));
    wait_says(&one, "CLUSTER NODES", "slave");
    ask(&one, "CLUSTER SAVECONFIG");
    stock_node_stop(&one);
    stock_node_stop(&two);
    expect_identity(&one);
    expect_identity(&two);
}

int main(void)
{
    if (!stock_node_available())
        return 77; /* skipped */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_lock_of_a_stock_node_is_seen),
        cmocka_unit_test(test_we_read_theirs),
        cmocka_unit_test(test_they_read_ours),
        cmocka_unit_test(test_a_stock_node_does_not_start_on_ours),
        cmocka_unit_test(test_replica),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
