#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "links.h"

/* The links with an lcore played by the test: in the same thread, step by step, or in a thread of
 * its own that echoes. */
static struct bench {
    struct mailbox control, lcore;
    struct mailbox *lcores[1];
    struct links *links;
    struct link *opened[LINK_OFFERS + 2];
    unsigned opened_count;
    unsigned ends, outs, ins;
    bool hold_end, hold_out;
    /* What the user has seen. */
    struct stream *stream;
    unsigned connected, readable, drained, eof, ended;
    enum stream_end why;
    bool hold, close_on_readable, refuse;
    char got[65536];
    size_t got_len;
} bench;

static void lcore_mail(struct link *link, struct link_mail *mail, void *worker)
{
    if (mail == &link->open) {
        bench.opened[bench.opened_count++] = link;
    } else if (mail == &link->end) {
        bench.ends++;
        if (!bench.hold_end)
            link_mail_post_control(&link->released);
    } else if (mail == &link->out.mail) {
        bench.outs++;
        if (!bench.hold_out)
            link_mail_post_control(&link->out.mail);
    } else {
        bench.ins++;
    }
}

static void run(void)
{
    while (mailbox_run(&bench.lcore, NULL, 64) + mailbox_run(&bench.control, NULL, 64) > 0)
        ;
}

static void on_connected(struct stream *s)
{
    bench.connected++;
}

static void on_readable(struct stream *s)
{
    bench.readable++;
    if (bench.close_on_readable) {
        s->ops->close(s);
        return;
    }
    struct slice piece = s->ops->peek(s);
    if (bench.hold)
        return;
    memcpy(bench.got + bench.got_len, piece.data, piece.len);
    bench.got_len += piece.len;
    s->ops->consume(s, piece.len);
}

static void on_drained(struct stream *s)
{
    bench.drained++;
}

static void on_eof(struct stream *s)
{
    bench.eof++;
}

static void on_ended(struct stream *s, enum stream_end why)
{
    bench.ended++;
    bench.why = why;
}

static const struct stream_user_ops user_ops = {
    .connected = on_connected,
    .readable = on_readable,
    .drained = on_drained,
    .eof = on_eof,
    .ended = on_ended,
};

static int set_up(void **state)
{
    memset(&bench, 0, sizeof(bench));
    assert_true(mailbox_init(&bench.control));
    assert_true(mailbox_init(&bench.lcore));
    bench.lcores[0] = &bench.lcore;
    bench.links = links_new(&bench.control, lcore_mail);
    links_start(bench.links, bench.lcores, 1);
    links_tick(bench.links, 1000000);
    return 0;
}

static int tear_down(void **state)
{
    run();
    links_free(bench.links);
    mailbox_fini(&bench.control);
    mailbox_fini(&bench.lcore);
    return 0;
}

static struct link *start(void)
{
    struct link_target to = {.port = 7, .timeout_us = 500000};
    assert_true(link_address_parse("10.77.0.2", to.address));
    bench.stream = link_open(bench.links, &to, &user_ops, NULL);
    assert_non_null(bench.stream);
    run();
    return bench.opened[bench.opened_count - 1];
}

static struct link *start_connected(void)
{
    struct link *link = start();
    link_mail_post_control(&link->connected);
    run();
    assert_int_equal(bench.connected, 1);
    return link;
}

static void feed(struct link *link, const char *text)
{
    link->in.len = strlen(text);
    memcpy(link->in.data, text, link->in.len);
    link_mail_post_control(&link->in.mail);
    run();
}

static void gone(struct link *link, enum stream_end why)
{
    link->why = why;
    link_mail_post_control(&link->gone);
    run();
}

static void test_bytes_both_ways(void **state)
{
    struct link *link = start_connected();
    assert_true(link_send(bench.stream, "PING", 4));
    run();
    assert_int_equal(link->out.len, 4);
    assert_memory_equal(link->out.data, "PING", 4);
    feed(link, "PONG");
    assert_string_equal(bench.got, "PONG");
    assert_int_equal(bench.ins, 1);
    feed(link, "");
    assert_int_equal(bench.eof, 1);
    bench.stream->ops->close(bench.stream);
    run();
    assert_int_equal(bench.ends, 1);
    assert_int_equal(links_count(bench.links), 0);
    assert_int_equal(bench.ended, 0);
}

static void test_sender_is_held_back(void **state)
{
    static char bytes[LINK_QUEUE_MAX + 1];
    struct link *link = start_connected();
    bench.hold_out = true;
    assert_false(link_send(bench.stream, bytes, sizeof(bytes)));
    assert_true(link_send(bench.stream, bytes, 3 * LINK_BUFFER_SIZE));
    run();
    assert_int_equal(bench.outs, 1);
    assert_int_equal(bench.stream->out.len, 2 * LINK_BUFFER_SIZE);
    link_mail_post_control(&link->out.mail);
    run();
    assert_int_equal(bench.outs, 2);
    assert_int_equal(bench.drained, 1);
    /* What is queued goes out before the end. */
    bench.stream->ops->close(bench.stream);
    run();
    assert_int_equal(bench.ends, 0);
    link_mail_post_control(&link->out.mail);
    run();
    assert_int_equal(bench.outs, 3);
    assert_int_equal(bench.ends, 1);
    assert_int_equal(links_count(bench.links), 0);
}

static void test_reader_holds_back(void **state)
{
    struct link *link = start_connected();
    bench.hold = true;
    feed(link, "abc");
    assert_int_equal(bench.ins, 0);
    bench.stream->ops->consume(bench.stream, 2);
    run();
    assert_int_equal(bench.ins, 0);
    bench.stream->ops->consume(bench.stream, 1);
    run();
    assert_int_equal(bench.ins, 1);
    bench.stream->ops->abort(bench.stream);
    run();
    assert_true(links_count(bench.links) == 0);
}

static void test_closed_peer_that_takes_nothing_is_reset(void **state)
{
    struct link *link = start_connected();
    bench.hold_out = bench.hold_end = true;
    assert_true(link_send(bench.stream, "x", 1));
    assert_true(link_send(bench.stream, "y", 1));
    bench.stream->ops->close(bench.stream);
    links_tick(bench.links, 1000000 + LINK_LINGER_US - 1);
    run();
    assert_int_equal(bench.ends, 0);
    links_tick(bench.links, 1000000 + LINK_LINGER_US);
    run();
    assert_int_equal(bench.ends, 1);
    assert_true(link->aborted);
    link_mail_post_control(&link->released);
    run();
    assert_int_equal(links_count(bench.links), 0);
}

static void test_deadline_tells_what_the_lcore_knows(void **state)
{
    bench.hold_end = true;
    struct link *link = start();
    links_tick(bench.links, 1499999);
    run();
    assert_int_equal(bench.ends, 0);
    links_tick(bench.links, 1500000);
    run();
    assert_int_equal(bench.ends, 1);
    assert_int_equal(bench.ended, 0);
    /* Too late: not shown to the user. */
    link_mail_post_control(&link->connected);
    feed(link, "late");
    assert_int_equal(bench.connected + bench.readable, 0);
    link->why = STREAM_END_UNREACHABLE;
    link_mail_post_control(&link->released);
    run();
    assert_int_equal(bench.ended, 1);
    assert_int_equal(bench.why, STREAM_END_UNREACHABLE);
    assert_int_equal(links_count(bench.links), 0);
}

static void test_ends_by_itself(void **state)
{
    struct link *link = start();
    gone(link, STREAM_END_REFUSED);
    assert_int_equal(bench.ended, 1);
    assert_int_equal(bench.why, STREAM_END_REFUSED);
    assert_int_equal(links_count(bench.links), 0);
}

static void test_both_end_at_once(void **state)
{
    struct link *link = start_connected();
    bench.stream->ops->close(bench.stream);
    gone(link, STREAM_END_RESET);
    assert_int_equal(bench.ends, 1);
    assert_int_equal(bench.ended, 0);
    assert_int_equal(links_count(bench.links), 0);
}

static void test_close_inside_readable(void **state)
{
    struct link *link = start_connected();
    bench.close_on_readable = true;
    feed(link, "abc");
    assert_int_equal(bench.readable, 1);
    assert_int_equal(links_count(bench.links), 0);
}

static bool on_accept(void *arg, struct stream *s)
{
    bench.stream = s;
    s->user_ops = &user_ops;
    return !bench.refuse;
}

static void test_offers_are_accepted_and_renewed(void **state)
{
    struct link_listener *listener = links_listen(bench.links, 17000, on_accept, NULL);
    assert_non_null(listener);
    run();
    assert_int_equal(bench.opened_count, LINK_OFFERS);
    assert_true(bench.opened[0]->listen);
    assert_int_equal(bench.opened[0]->port, 17000);
    link_mail_post_control(&bench.opened[0]->connected);
    run();
    assert_int_equal(bench.opened_count, LINK_OFFERS + 1);
    feed(bench.opened[0], "hi");
    assert_string_equal(bench.got, "hi");
    bench.refuse = true;
    link_mail_post_control(&bench.opened[1]->connected);
    run();
    assert_int_equal(bench.ends, 1);
    assert_int_equal(bench.ended, 0);
    links_unlisten(listener);
    run();
    assert_int_equal(links_count(bench.links), 1);
    bench.stream = NULL;
    gone(bench.opened[0], STREAM_END_RESET);
    assert_int_equal(bench.ended, 1);
    assert_int_equal(links_count(bench.links), 0);
}

static void test_end_of_the_node(void **state)
{
    (void)start_connected();
    assert_non_null(links_listen(bench.links, 17000, on_accept, NULL));
    links_free(bench.links);
    assert_int_equal(bench.ended, 1);
    assert_int_equal(bench.why, STREAM_END_ABORTED);
    bench.links = links_new(&bench.control, lcore_mail);
    assert_null(link_open(bench.links, &(struct link_target){.port = 1}, &user_ops, NULL));
    /* The lcore is gone: nobody reads its mail. */
    mailbox_fini(&bench.lcore);
    assert_true(mailbox_init(&bench.lcore));
}

/* ---- an lcore in a thread of its own ---- */

static _Atomic(bool) echo_stop;

static void echo_mail(struct link *link, struct link_mail *mail, void *worker)
{
    if (mail == &link->open) {
        link_mail_post_control(&link->connected);
    } else if (mail == &link->end) {
        link_mail_post_control(&link->released);
    } else if (mail == &link->out.mail) {
        /* in is always here: the user has consumed it before it sends more. */
        link->in.len = link->out.len;
        memcpy(link->in.data, link->out.data, link->out.len);
        link_mail_post_control(&link->in.mail);
        link_mail_post_control(&link->out.mail);
    }
}

static void *echo_main(void *arg)
{
    while (!atomic_load(&echo_stop))
        (void)mailbox_run(&bench.lcore, NULL, 64);
    return NULL;
}

static void echo_readable(struct stream *s)
{
    struct slice piece = s->ops->peek(s);
    bench.got_len += piece.len;
    s->ops->consume(s, piece.len);
    if (bench.got_len % 3 == 0)
        s->ops->close(s);
    else
        (void)link_send(s, "abcd", 4);
}

static void echo_connected(struct stream *s)
{
    (void)link_send(s, "ab", 2);
}

static const struct stream_user_ops echo_ops = {
    .connected = echo_connected,
    .readable = echo_readable,
    .drained = on_drained,
    .eof = on_eof,
    .ended = on_ended,
};

static void test_race_of_two_threads(void **state)
{
    pthread_t thread;
    links_free(bench.links);
    bench.links = links_new(&bench.control, echo_mail);
    links_start(bench.links, bench.lcores, 1);
    atomic_store(&echo_stop, false);
    assert_int_equal(pthread_create(&thread, NULL, echo_main, NULL), 0);
    for (int i = 0; i < 5000; i++) {
        struct link_target to = {.port = 7};
        struct stream *s = link_open(bench.links, &to, &echo_ops, NULL);
        if (s && i % 7 == 0)
            s->ops->abort(s);
        do {
            (void)mailbox_run(&bench.control, NULL, 64);
        } while (links_count(bench.links) > 50);
    }
    while (links_count(bench.links) > 0)
        (void)mailbox_run(&bench.control, NULL, 64);
    atomic_store(&echo_stop, true);
    pthread_join(thread, NULL);
    assert_int_equal(bench.ended, 0);
}

static void test_addresses(void **state)
{
    uint8_t a[LINK_ADDRESS_SIZE];
    const uint8_t four[LINK_ADDRESS_SIZE] = {[10] = 0xff, 0xff, 10, 77, 0, 2};
    assert_true(link_address_parse("10.77.0.2", a));
    assert_memory_equal(a, four, sizeof(a));
    assert_true(link_address_parse("fd77::2", a));
    assert_int_equal(a[15], 2);
    assert_false(link_address_parse("10.77.0.2:1", a));
    assert_false(link_address_parse("", a));
}

#define LINKS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINKS_TEST(test_bytes_both_ways),
        LINKS_TEST(test_sender_is_held_back),
        LINKS_TEST(test_reader_holds_back),
        LINKS_TEST(test_closed_peer_that_takes_nothing_is_reset),
        LINKS_TEST(test_deadline_tells_what_the_lcore_knows),
        LINKS_TEST(test_ends_by_itself),
        LINKS_TEST(test_both_end_at_once),
        LINKS_TEST(test_close_inside_readable),
        LINKS_TEST(test_offers_are_accepted_and_renewed),
        LINKS_TEST(test_end_of_the_node),
        LINKS_TEST(test_race_of_two_threads),
        LINKS_TEST(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
