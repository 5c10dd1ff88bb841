/* CAPTURE over a node in memory; the test plays the control thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "admin_mail.h"
#include "check.h"
#include "test_node.h"

struct fake_control {
    struct admin_server server; /* first */
    struct mailbox box;
    char asked[256]; /* kind and words of the last request */
    const char *text, *error;
};

static struct test_node *node;
static struct test_client *client;
static struct fake_control control;

static enum admin_outcome fake_serve(struct admin_server *server, struct admin_request *request)
{
    struct fake_control *f = container_from(server, struct fake_control, server);
    size_t at = (size_t)snprintf(f->asked, sizeof(f->asked), "%d",
                                 (int)request->kind - (int)ADMIN_CAPTURE_START);
    for (uint32_t i = 0; i < request->word_count; i++)
        at += (size_t)snprintf(f->asked + at, sizeof(f->asked) - at, " %.*s",
                               (int)request->words[i].len, (const char *)request->words[i].data);
    if (f->error)
        strcpy(request->error, f->error);
    else
        request->text = strdup(f->text);
    request->text_len = f->error ? 0 : strlen(f->text);
    return ADMIN_DONE;
}

static int setup(void **state)
{
    node = test_node_new(1);
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

static const char *control_answers(const char *text, const char *error)
{
    control.text = text;
    control.error = error;
    mailbox_run(&control.box, &control, 16);
    test_node_run(node);
    return test_replies(client, NULL);
}

static void test_the_control_thread_is_asked(void **state)
{
    TEST_SAYS(client, "CAPTURE START FILE a.pcapng packets 10\r\n", "");
    assert_string_equal(control_answers("/d/a.pcapng", NULL), "$11\r\n/d/a.pcapng\r\n");
    assert_string_equal(control.asked, "0 FILE a.pcapng packets 10");
    TEST_SAYS(client, "capture start\r\n", "");
    assert_string_equal(control_answers(NULL, "ERR a capture runs already"),
                        "-ERR a capture runs already\r\n");
    assert_string_equal(control.asked, "0");
    TEST_SAYS(client, "CAPTURE STOP\r\n", "");
    assert_string_equal(control_answers("x", NULL), "$1\r\nx\r\n");
    assert_string_equal(control.asked, "1");
    TEST_SAYS(client, "CAPTURE STATUS\r\n", "");
    assert_string_equal(control_answers("y", NULL), "$1\r\ny\r\n");
    assert_string_equal(control.asked, "2");
}

static void test_wrong_words(void **state)
{
    TEST_SAYS(client, "CAPTURE\r\n", "-ERR wrong number of arguments for 'capture' command\r\n");
    TEST_SAYS(client, "CAPTURE STOP now\r\n",
              "-ERR wrong number of arguments for 'capture|stop' command\r\n");
    TEST_SAYS(client, "CAPTURE NOSUCH\r\n",
              "-ERR unknown subcommand 'NOSUCH'. Try CAPTURE HELP.\r\n");
    TEST_SEND(client, "CAPTURE HELP\r\n");
    assert_non_null(strstr(test_replies(client, NULL), "+START [FILE <name>]"));
    TEST_SAYS(client, "MULTI\r\n", "+OK\r\n");
    TEST_SAYS(client, "CAPTURE STATUS\r\n", "-ERR Command not allowed inside a transaction\r\n");
    TEST_SAYS(client, "DISCARD\r\n", "+OK\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_control_thread_is_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_words, setup, teardown),
    };
    return cmocka_run_group_tests_name("capture", tests, NULL, NULL);
}
