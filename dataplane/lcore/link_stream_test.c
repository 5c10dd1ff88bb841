/* The lcore's side of links on a real TCP engine, the control thread played by the test. */
#include "link_stream.h"
#include "tcp_test.h"
#include <stdlib.h>

static struct bench {
    struct lcore lcore;
    struct mailbox control;
    struct link *link;
    unsigned connected, gone, released, outs, ins;
    bool hold_in;
    char got[200000];
    size_t got_len;
    bool eof;
} bench;

static void control_mail(struct link *link, struct link_mail *mail, void *control)
{
    if (mail == &link->connected) {
        bench.connected++;
    } else if (mail == &link->gone) {
        bench.gone++;
    } else if (mail == &link->released) {
        bench.released++;
    } else if (mail == &link->out.mail) {
        bench.outs++;
    } else {
        bench.ins++;
        bench.eof |= link->in.len == 0;
        memcpy(bench.got + bench.got_len, link->in.data, link->in.len);
        bench.got_len += link->in.len;
        if (!bench.hold_in && link->in.len > 0)
            link_mail_post_lcore(&link->in.mail);
    }
}

static void run(void)
{
    while (mailbox_run(&bench.control, NULL, 64) +
               mailbox_run(&bench.lcore.worker.mailbox, &bench.lcore.worker, 64) >
           0)
        ;
    ROUND();
    (void)mailbox_run(&bench.control, NULL, 64);
}

static int set_up(void **state)
{
    memset(&bench, 0, sizeof(bench));
    tcp_test_defaults();
    tcp_test_start(0);
    bench.lcore.tcp = T.tcp;
    bench.lcore.net = T.net.nif;
    assert_true(mailbox_init(&bench.control));
    assert_true(mailbox_init(&bench.lcore.worker.mailbox));
    bench.link = link_new();
    assert_non_null(bench.link);
    bench.link->control = &bench.control;
    bench.link->lcore = &bench.lcore.worker.mailbox;
    bench.link->lcore_run = link_stream_mail;
    bench.link->control_run = control_mail;
    return 0;
}

static int tear_down(void **state)
{
    link_streams_free(&bench.lcore);
    tcp_test_stop(); /* no connection, no buffer is left */
    mailbox_fini(&bench.control);
    mailbox_fini(&bench.lcore.worker.mailbox);
    free(bench.link);
    return 0;
}

static void open_to(const char *address)
{
    struct ip_addr a = test_ip(address);
    memcpy(bench.link->address, a.b, sizeof(a.b));
    bench.link->port = 7000;
    T.peer.port = 7000;
    link_mail_post_lcore(&bench.link->open);
    run();
}

static void open_connected(void)
{
    open_to("10.77.0.2");
    assert_true(test_port_take_segment(&T.net.port, &T.last));
    T.iss = T.last.seq;
    T.port = T.last.src_port;
    SEND(.flags = SYN | ACK, .ack = 1, .mss = 1460);
    EXPECT(.seq = 1, .ack = 1);
    run();
    assert_int_equal(bench.connected, 1);
    assert_string_equal(bench.link->peer, "10.77.0.2:7000");
}

static void send_out(const char *text, size_t len)
{
    bench.link->out.len = len;
    memcpy(bench.link->out.data, text, len);
    link_mail_post_lcore(&bench.link->out.mail);
    run();
}

static void end(bool aborted)
{
    bench.link->aborted = aborted;
    link_mail_post_lcore(&bench.link->end);
    run();
    assert_int_equal(bench.released, 1);
}

static void test_bytes_both_ways_and_an_orderly_end(void **state)
{
    open_connected();
    send_out("PING", 4);
    EXPECT(.seq = 1, .ack = 1, .data = "PING");
    assert_int_equal(bench.outs, 1);
    SEND(.seq = 1, .ack = 5, .data = "PONG");
    run();
    assert_memory_equal(bench.got, "PONG", 4);
    tcp_test_drop_sent();
    SEND(.flags = FIN | ACK, .seq = 5, .ack = 5);
    run();
    assert_true(bench.eof);
    tcp_test_drop_sent();
    end(false);
    EXPECT(.flags = FIN | ACK, .seq = 5, .ack = 6);
    SEND(.seq = 6, .ack = 6);
    assert_int_equal(STAT(conns_open), 0);
    assert_int_equal(bench.gone, 0);
}

static void test_refused_and_reset(void **state)
{
    open_to("10.77.0.2");
    assert_true(test_port_take_segment(&T.net.port, &T.last));
    T.iss = T.last.seq;
    T.port = T.last.src_port;
    SEND(.flags = RST | ACK, .ack = 1);
    run();
    assert_int_equal(bench.gone, 1);
    assert_int_equal(bench.link->why, STREAM_END_REFUSED);
    end(true);
    bench.released = bench.gone = 0;
    open_connected();
    SEND(.flags = RST, .seq = 1);
    run();
    assert_int_equal(bench.gone, 1);
    assert_int_equal(bench.link->why, STREAM_END_RESET);
    send_out("late", 4);
    EXPECT_NONE();
    end(false);
    assert_int_equal(STAT(conns_open), 0);
}

static void test_no_route_silence_and_nobody(void **state)
{
    open_to("10.77.0.2");
    end(true);
    assert_int_equal(bench.link->why, STREAM_END_TIMEOUT);
    tcp_test_drop_sent();
    bench.released = 0;
    open_to("10.77.0.99");
    end(true);
    assert_int_equal(bench.link->why, STREAM_END_UNREACHABLE);
    assert_int_equal(STAT(conns_open), 0);
    assert_int_equal(bench.gone, 0);
}

static void test_peer_that_does_not_read_holds_control_back(void **state)
{
    static char bytes[LINK_BUFFER_SIZE];
    open_connected();
    for (unsigned i = 0; i < LINK_OUT_MAX / LINK_BUFFER_SIZE - 1; i++)
        send_out(bytes, sizeof(bytes));
    unsigned outs = bench.outs;
    assert_int_equal(outs, LINK_OUT_MAX / LINK_BUFFER_SIZE - 1);
    send_out(bytes, sizeof(bytes));
    assert_int_equal(bench.outs, outs);
    tcp_test_drop_sent();
    SEND(.seq = 1, .ack = 1 + 1460);
    run();
    assert_int_equal(bench.outs, outs + 1);
    end(true);
    assert_int_equal(STAT(conns_open), 0);
}

static void test_control_that_does_not_read_holds_the_peer_back(void **state)
{
    open_connected();
    bench.hold_in = true;
    for (uint32_t seq = 1; seq < 30 * 1000; seq += 1000)
        SEND(.seq = seq, .ack = 1, .len = 1000);
    run();
    assert_int_equal(bench.ins, 1);
    assert_true(INFO().rx_queued_bytes > 0);
    bench.hold_in = false;
    link_mail_post_lcore(&bench.link->in.mail);
    run();
    run();
    assert_int_equal(bench.got_len, 30 * 1000);
    assert_int_equal(INFO().rx_queued_bytes, 0);
    end(true);
}

static void offer(uint16_t port)
{
    bench.link->listen = true;
    bench.link->port = port;
    link_mail_post_lcore(&bench.link->open);
    run();
}

static void test_an_offer_is_taken_once(void **state)
{
    offer(17000);
    T.port = 17000;
    OPEN();
    run();
    assert_int_equal(bench.connected, 1);
    assert_string_equal(bench.link->peer, "10.77.0.2:40000");
    T.peer.port++;
    SEND(.flags = SYN, .mss = 1460);
    assert_true(test_port_take_segment(&T.net.port, &T.last));
    assert_true(T.last.flags & RST);
    end(true);
    assert_int_equal(STAT(conns_open), 0);
}

static void test_an_offer_is_withdrawn(void **state)
{
    offer(17000);
    assert_false(tcp_listen(T.tcp, 17000, NULL, NULL));
    end(true);
    T.port = 17000;
    SEND(.flags = SYN, .mss = 1460);
    assert_true(test_port_take_segment(&T.net.port, &T.last));
    assert_true(T.last.flags & RST);
}

static void test_a_port_in_use(void **state)
{
    offer(6379);
    assert_int_equal(bench.gone, 1);
    assert_int_equal(bench.link->why, STREAM_END_REFUSED);
    end(true);
}

static void test_the_lcore_ends(void **state)
{
    open_connected();
    link_streams_end(&bench.lcore);
    run();
    assert_int_equal(bench.gone, 1);
    assert_int_equal(bench.link->why, STREAM_END_ABORTED);
    end(true);
    assert_int_equal(STAT(conns_open), 0);
}

#define LINK_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(test_bytes_both_ways_and_an_orderly_end),
        LINK_TEST(test_refused_and_reset),
        LINK_TEST(test_no_route_silence_and_nobody),
        LINK_TEST(test_peer_that_does_not_read_holds_control_back),
        LINK_TEST(test_control_that_does_not_read_holds_the_peer_back),
        LINK_TEST(test_an_offer_is_taken_once),
        LINK_TEST(test_an_offer_is_withdrawn),
        LINK_TEST(test_a_port_in_use),
        LINK_TEST(test_the_lcore_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
