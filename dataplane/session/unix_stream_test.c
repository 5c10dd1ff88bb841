#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "error_counts.h"
#include "session.h"
#include "unix_stream.h"

/* One lcore with sessions, and the control thread played by the test. */
static struct bench {
    struct node node;
    struct worker worker;
    struct config *config;
    struct mailbox control;
    struct unix_link *link;
    uint32_t woken;
    /* What control has seen. */
    bool in_here, out_here, closing, lcore_ended;
    char taken[4 * UNIX_BUFFER_SIZE];
    size_t taken_len;
} bench;

static void on_wake(struct session *s)
{
    bench.woken++;
}

static void control_mail(struct unix_link *link, struct unix_mail *mail, void *control)
{
    if (mail == &link->in.mail) {
        bench.in_here = true;
    } else if (mail == &link->out.mail) {
        bench.out_here = true;
        assert_true(link->out.len > 0);
        assert_true(bench.taken_len + link->out.len < sizeof(bench.taken));
        memcpy(bench.taken + bench.taken_len, link->out.data, link->out.len);
        bench.taken_len += link->out.len;
        bench.taken[bench.taken_len] = '\0';
    } else if (mail == &link->closing) {
        assert_false(bench.closing);
        bench.closing = true;
    } else {
        assert_ptr_equal(mail, &link->end_lcore);
        assert_false(bench.lcore_ended);
        bench.lcore_ended = true;
    }
}

static void run(void)
{
    while (mailbox_run(&bench.worker.mailbox, &bench.worker, 10) +
           mailbox_run(&bench.control, NULL, 10))
        ;
}

static void link_open(void)
{
    bench.link = unix_link_new();
    assert_non_null(bench.link);
    bench.link->control = &bench.control;
    bench.link->lcore = &bench.worker.mailbox;
    bench.link->control_run = control_mail;
    bench.link->lcore_run = unix_stream_mail;
    strcpy(bench.link->path, "/run/s");
    bench.in_here = true;
    unix_mail_post_lcore(&bench.link->open);
    run();
}

/* Control's end, and the last of the link. */
static void link_finish(void)
{
    unix_mail_post_lcore(&bench.link->end_control);
    run();
    assert_true(bench.lcore_ended);
    assert_null(bench.worker.unix_streams);
    unix_link_finish(bench.link);
}

static void control_send(const char *text)
{
    assert_true(bench.in_here);
    bench.in_here = false;
    bench.link->in.len = strlen(text);
    memcpy(bench.link->in.data, text, strlen(text));
    unix_mail_post_lcore(&bench.link->in.mail);
    run();
}

static void control_give_back(void)
{
    assert_true(bench.out_here);
    bench.out_here = false;
    unix_mail_post_lcore(&bench.link->out.mail);
    run();
}

static struct session *the_session(void)
{
    return session_by_id(&bench.worker, 1);
}

static void session_say(struct session *s, size_t len)
{
    static const char digits[] = "0123456789";
    for (size_t i = 0; i < len; i++)
        outbuf_append(&s->stream->out, &digits[i % 10], 1);
    session_flush(s);
    run();
}

static void expect_taken(size_t len)
{
    assert_int_equal(bench.taken_len, len);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(bench.taken[i], '0' + (char)(i % 10));
}

static int set_up(void **state)
{
    memset(&bench, 0, sizeof(bench));
    metrics_attach(0);
    session_wake = on_wake;
    bench.config = config_new();
    bench.node.lcore_count = 1;
    bench.worker.node = &bench.node;
    bench.worker.config = bench.config;
    bench.worker.sessions = session_list_new();
    bench.worker.errors = calloc(1, sizeof(*bench.worker.errors));
    assert_true(mailbox_init(&bench.worker.mailbox));
    assert_true(mailbox_init(&bench.control));
    link_open();
    return 0;
}

static int tear_down(void **state)
{
    session_reap(&bench.worker);
    assert_int_equal(session_count(&bench.worker), 0);
    session_list_free(bench.worker.sessions);
    unix_streams_free(&bench.worker);
    free(bench.worker.errors);
    mailbox_fini(&bench.worker.mailbox);
    mailbox_fini(&bench.control);
    config_free(bench.config);
    return 0;
}

/* ---- bytes ---- */

static void test_the_session(void **state)
{
    char name[STREAM_NAME_SIZE];
    struct session *s = the_session();
    assert_non_null(s);
    assert_true(s->flags & SESSION_UNIX);
    assert_int_equal(s->stream->kind, STREAM_UNIX);
    s->stream->ops->name_peer(s->stream, name);
    assert_string_equal(name, "/run/s:0");
    s->stream->ops->name_local(s->stream, name);
    assert_string_equal(name, "/run/s:0");
    link_finish();
}

static void test_bytes_come_in(void **state)
{
    struct stream *stream = the_session()->stream;
    assert_int_equal(stream->ops->peek(stream).len, 0);
    control_send("hello");
    assert_int_equal(bench.woken, 1);
    struct slice piece = stream->ops->peek(stream);
    assert_true(slice_equal(piece, slice_str("hello")));
    stream->ops->consume(stream, 2);
    run();
    assert_false(bench.in_here);
    assert_true(slice_equal(stream->ops->peek(stream), slice_str("llo")));
    stream->ops->consume(stream, 3);
    assert_int_equal(stream->ops->peek(stream).len, 0);
    run();
    assert_true(bench.in_here);
    control_send("again");
    assert_int_equal(bench.woken, 2);
    assert_true(slice_equal(stream->ops->peek(stream), slice_str("again")));
    link_finish();
}

static void test_bytes_go_out_a_buffer_at_a_time(void **state)
{
    struct session *s = the_session();
    session_say(s, 10);
    expect_taken(10);
    session_say(s, 2 * UNIX_BUFFER_SIZE);
    expect_taken(10); /* control has the buffer */
    assert_int_equal(s->stream->out.len, 2 * UNIX_BUFFER_SIZE);
    control_give_back();
    expect_taken(10 + UNIX_BUFFER_SIZE);
    control_give_back();
    expect_taken(10 + 2 * UNIX_BUFFER_SIZE);
    assert_int_equal(s->stream->out.len, 0);
    control_give_back();
    session_say(s, 10);
    assert_int_equal(bench.taken_len, 20 + 2 * UNIX_BUFFER_SIZE);
    link_finish();
}

static void test_end_of_file(void **state)
{
    control_send("");
    assert_true(the_session()->flags & SESSION_EOF);
    assert_int_equal(bench.woken, 1);
    session_close(the_session(), true);
    session_reap(&bench.worker);
    run();
    assert_true(bench.lcore_ended);
    link_finish();
}

/* ---- ends ---- */

static void test_closing_gives_the_rest(void **state)
{
    struct session *s = the_session();
    session_say(s, 2 * UNIX_BUFFER_SIZE + 10);
    session_close(s, true);
    session_reap(&bench.worker);
    assert_int_equal(session_count(&bench.worker), 0);
    run();
    assert_true(bench.closing);
    assert_false(bench.lcore_ended);
    /* Input that was on its way is given back unread. */
    control_send("late");
    assert_true(bench.in_here);
    control_send("");
    control_give_back();
    assert_false(bench.lcore_ended);
    control_give_back();
    assert_true(bench.lcore_ended);
    assert_false(bench.link->lcore_aborted);
    expect_taken(2 * UNIX_BUFFER_SIZE + 10);
    link_finish();
}

static void test_closing_with_nothing_left(void **state)
{
    session_say(the_session(), 10);
    session_close(the_session(), true);
    session_reap(&bench.worker);
    run();
    assert_true(bench.lcore_ended);
    assert_false(bench.closing);
    assert_false(bench.link->lcore_aborted);
    expect_taken(10);
    link_finish();
}

static void test_aborting(void **state)
{
    control_send("unread");
    session_say(the_session(), 2 * UNIX_BUFFER_SIZE);
    session_close(the_session(), false);
    session_reap(&bench.worker);
    run();
    assert_true(bench.lcore_ended);
    assert_true(bench.link->lcore_aborted);
    /* Mail that crossed finds nobody. */
    control_give_back();
    link_finish();
}

static void test_the_socket_goes_first(void **state)
{
    control_send("unread");
    session_say(the_session(), 3 * UNIX_BUFFER_SIZE);
    unix_mail_post_lcore(&bench.link->end_control);
    run();
    assert_true(bench.lcore_ended);
    assert_null(the_session()); /* closing */
    session_reap(&bench.worker);
    assert_int_equal(session_count(&bench.worker), 0);
    unix_link_finish(bench.link);
}

static void test_the_socket_goes_while_the_rest_leaves(void **state)
{
    session_say(the_session(), 3 * UNIX_BUFFER_SIZE);
    session_close(the_session(), true);
    session_reap(&bench.worker);
    run();
    assert_false(bench.lcore_ended);
    link_finish();
}

static void test_refused_at_maxclients(void **state)
{
    struct unix_link *first = bench.link;
    bench.config->maxclients = 1;
    link_open();
    assert_true(bench.lcore_ended);
    assert_string_equal(bench.taken, "-ERR max number of clients reached\r\n");
    unix_mail_post_lcore(&bench.link->end_control);
    run();
    unix_link_finish(bench.link);
    bench.link = first;
    bench.lcore_ended = false;
    link_finish();
}

/* At the lcore's end: the link is control's, which is gone as well. */
static void test_freed_with_bytes_on_their_way(void **state)
{
    session_say(the_session(), 3 * UNIX_BUFFER_SIZE);
    session_close(the_session(), true);
    session_reap(&bench.worker);
    unix_streams_free(&bench.worker);
    assert_null(bench.worker.unix_streams);
    free(bench.link);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_the_session),
        TEST(test_bytes_come_in),
        TEST(test_bytes_go_out_a_buffer_at_a_time),
        TEST(test_end_of_file),
        TEST(test_closing_gives_the_rest),
        TEST(test_closing_with_nothing_left),
        TEST(test_aborting),
        TEST(test_the_socket_goes_first),
        TEST(test_the_socket_goes_while_the_rest_leaves),
        TEST(test_refused_at_maxclients),
        TEST(test_freed_with_bytes_on_their_way),
    };
    return cmocka_run_group_tests_name("unix_stream", tests, NULL, NULL);
}
