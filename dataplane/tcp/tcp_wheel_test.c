/* Row 34 of README.md: timers fire when they are due, and never otherwise. */
#include "tcp_test.h"
#include <stdlib.h>

#define CONNS 500u

/* A wheel with connections that are nothing but deadlines. */
static struct tcp *wheel_new(uint64_t now_ms)
{
    struct tcp *t = calloc(1, sizeof(*t));
    t->conns = calloc(CONNS, sizeof(t->conns[0]));
    for (uint32_t i = 0; i < CONNS; i++)
        t->conns[i].id = i + 1;
    t->now_ms = now_ms;
    tcp_wheel_init(&t->wheel, now_ms);
    return t;
}

static void wheel_free(struct tcp *t)
{
    free(t->conns);
    free(t);
}

static void test_row34_every_deadline_comes_up_not_later_than_due(void **state)
{
    struct rng rng;
    rng_seed(&rng, 3);
    for (uint64_t start = 0; start < 6; start++) {
        uint64_t now_ms = start * 0x3fffffff; /* over the wrap of 32 bits as well */
        struct tcp *t = wheel_new(now_ms);
        uint64_t due[CONNS];
        uint32_t left = CONNS;
        for (uint32_t i = 0; i < CONNS; i++) {
            due[i] = now_ms + (rng_next(&rng) >> (40 + rng_below(&rng, 23)));
            tcp_wheel_insert(t, &t->conns[i], (uint32_t)due[i]);
        }
        while (left) {
            uint64_t next = tcp_wheel_next_ms(&t->wheel);
            assert_true(next != UINT64_MAX);
            assert_true(next >= now_ms);
            now_ms = next;
            struct tcp_conn *c;
            while ((c = tcp_wheel_take_due(t, now_ms)) != NULL) {
                uint64_t own = due[c->id - 1];
                assert_true(own >= now_ms);
                if (own > now_ms)
                    tcp_wheel_insert(t, c, (uint32_t)own); /* lazy: it was looked at early */
                else
                    left--;
            }
        }
        assert_true(tcp_wheel_next_ms(&t->wheel) == UINT64_MAX);
        wheel_free(t);
    }
}

static void test_row34_removed_ones_do_not_come_up(void **state)
{
    struct rng rng;
    rng_seed(&rng, 4);
    struct tcp *t = wheel_new(1000);
    for (uint32_t i = 0; i < CONNS; i++)
        tcp_wheel_insert(t, &t->conns[i], 1000 + (uint32_t)rng_below(&rng, 100000));
    for (uint32_t i = 0; i < CONNS; i += 2)
        tcp_wheel_remove(t, &t->conns[i]);
    tcp_wheel_remove(t, &t->conns[0]);
    uint32_t seen = 0;
    for (uint64_t now_ms = 1000; now_ms < 200000; now_ms += 7) {
        struct tcp_conn *c;
        while ((c = tcp_wheel_take_due(t, now_ms)) != NULL) {
            assert_int_equal((c->id - 1) % 2, 1);
            seen++;
        }
    }
    assert_int_equal(t->wheel.count, 0);
    assert_true(seen >= CONNS / 2);
    wheel_free(t);
}

static void test_row34_a_deadline_in_the_past_is_due_now(void **state)
{
    struct tcp *t = wheel_new(5000);
    tcp_wheel_insert(t, &t->conns[0], 4000);
    assert_true(tcp_wheel_next_ms(&t->wheel) == 5000);
    assert_ptr_equal(tcp_wheel_take_due(t, 5000), &t->conns[0]);
    wheel_free(t);
}

static void test_row34_a_late_loop_loses_no_timer(void **state)
{
    struct tcp *t = wheel_new(0);
    for (uint32_t i = 0; i < CONNS; i++)
        tcp_wheel_insert(t, &t->conns[i], i * 200);
    uint32_t seen = 0;
    while (tcp_wheel_take_due(t, 10000000)) /* hours later */
        seen++;
    assert_int_equal(seen, CONNS);
    wheel_free(t);
}

static void test_row34_work_per_call_is_bounded(void **state)
{
    T.config.conns_max = 200;
    T.config.backlog = 200;
    tcp_test_start(0);
    for (uint16_t i = 0; i < 100; i++, T.peer.port++)
        SEND_BURST(.flags = SYN, .mss = 1460);
    ROUND();
    assert_int_equal(tcp_test_drop_sent(), 100);
    T.net.nif->now_us += 1000000;
    for (int i = 0; i < 10; i++) {
        tcp_timers(T.tcp, 10);
        tcp_flush(T.tcp);
        netif_flush(T.net.nif);
        assert_int_equal(tcp_test_drop_sent(), 10);
    }
    assert_true(tcp_deadline_us(T.tcp) > T.net.nif->now_us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TCP_TEST(test_row34_every_deadline_comes_up_not_later_than_due),
        TCP_TEST(test_row34_removed_ones_do_not_come_up),
        TCP_TEST(test_row34_a_deadline_in_the_past_is_due_now),
        TCP_TEST(test_row34_a_late_loop_loses_no_timer),
        TCP_TEST(test_row34_work_per_call_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
