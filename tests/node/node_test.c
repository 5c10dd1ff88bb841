/* Whole lcores in process, over the memory port: a client with a stack of its own on the other
 * side. What the loop, the batch and the steering must do, seen from a client's end of the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "node_fixture.h"

static void test_ping(void **state)
{
    struct peer *p = peer_open(*state);
    PEER_SAYS(p, "PING\r\n", "+PONG\r\n");
    peer_close(p);
}

/* A protocol error answers what came before it, says why, and ends the connection. */
static void test_protocol_error_after_good_commands(void **state)
{
    struct peer *p = peer_open(*state);
    PEER_SAYS(p, "SET k v\r\nGET k\r\n*1\r\n:5\r\nPING\r\n",
              "+OK\r\n$1\r\nv\r\n-ERR Protocol error: expected '$', got ':'\r\n");
    peer_expect_end(p);
    peer_close(p);
}

/* Commands behind one that parks are taken back and executed after it, in order. */
static void test_commands_behind_a_parked_one(void **state)
{
    struct peer *p = peer_open(*state);
    PEER_SAYS(p, "SET n 1\r\nDEBUG SLEEP 0.02\r\nINCR n\r\nDEBUG SLEEP 0.01\r\nINCR n\r\nGET n\r\n",
              "+OK\r\n+OK\r\n:2\r\n+OK\r\n:3\r\n$1\r\n3\r\n");
    peer_close(p);
}

static void test_a_client_that_ends_itself_in_a_burst(void **state)
{
    struct peer *p = peer_open(*state);
    PEER_SAYS(p, "SET x before\r\nQUIT\r\nSET x after\r\n", "+OK\r\n+OK\r\n");
    peer_expect_end(p);
    peer_close(p);
    p = peer_open(*state);
    PEER_SAYS(p, "GET x\r\n", "$6\r\nbefore\r\n");
    peer_close(p);
}

/* One byte per segment and all at once lead to the same. */
static void test_bytes_one_by_one(void **state)
{
    struct peer *p = peer_open(*state);
    static const char request[] =
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\na\r\n\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
    for (size_t i = 0; i < sizeof(request) - 1; i++) {
        peer_send(p, request + i, 1);
        peer_rounds(p, 2);
    }
    peer_expect(p, "+OK\r\n$3\r\na\r\n\r\n");
    peer_close(p);
}

/* A pipeline of many packets: every command, in order, and the neighbour gets its turns meanwhile.
 */
static void test_long_pipeline_is_fair(void **state)
{
    struct peer *busy = peer_open(*state), *neighbour = peer_open(*state);
    enum { COUNT = 20000 };
    char *request = malloc(COUNT * 20), *reply = malloc(COUNT * 20);
    size_t request_len = 0, reply_len = 0;
    for (int i = 0; i < COUNT; i++) {
        request_len += (size_t)sprintf(request + request_len, "ECHO %d\r\n", i);
        char digits[12];
        int n = sprintf(digits, "%d", i);
        reply_len += (size_t)sprintf(reply + reply_len, "$%d\r\n%s\r\n", n, digits);
    }
    peer_send(busy, request, request_len);
    PEER_SAYS(neighbour, "PING\r\n", "+PONG\r\n");
    assert_true(peer_received(busy) < reply_len);
    peer_expect(busy, reply);
    free(request);
    free(reply);
    peer_close(busy);
    peer_close(neighbour);
}

/* Values larger than any window, both ways. */
static void test_large_values(void **state)
{
    struct peer *p = peer_open(*state);
    enum { SIZE = 3000000 };
    char *value = malloc(SIZE + 1), *reply = malloc(SIZE + 64);
    for (int i = 0; i < SIZE; i++)
        value[i] = (char)('a' + i % 23);
    value[SIZE] = 0;
    char head[64];
    int n = sprintf(head, "*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n$%d\r\n", SIZE);
    peer_send(p, head, (size_t)n);
    peer_send(p, value, SIZE);
    PEER_SAYS(p, "\r\n", "+OK\r\n");
    sprintf(reply, "$%d\r\n%s\r\n", SIZE, value);
    PEER_SAYS(p, "GET large\r\n", reply);
    free(value);
    free(reply);
    peer_close(p);
}

/* CLIENT KILL of others while their commands are in the same burst. */
static void test_kill_a_neighbour_in_the_same_burst(void **state)
{
    struct peer *killer = peer_open(*state), *victim = peer_open(*state);
    PEER_SAYS(victim, "CLIENT SETNAME victim\r\n", "+OK\r\n");
    peer_send(killer, "CLIENT KILL TYPE normal SKIPME yes\r\n", 36);
    peer_send(victim, "PING\r\nPING\r\nPING\r\n", 18);
    peer_expect(killer, ":1\r\n");
    peer_expect_end(victim);
    PEER_SAYS(killer, "PING\r\n", "+PONG\r\n");
    peer_close(killer);
    peer_close(victim);
}

/* Many connections come and go; nothing of them stays. The fixture's teardown counts. */
static void test_connections_come_and_go(void **state)
{
    for (int round = 0; round < 20; round++) {
        struct peer *p[16];
        for (int i = 0; i < 16; i++)
            p[i] = peer_open(*state);
        for (int i = 0; i < 16; i++)
            PEER_SAYS(p[i], "INCR visits\r\nDEL visits\r\n", ":1\r\n:1\r\n");
        for (int i = 0; i < 16; i++) {
            if (i % 3 == 0)
                peer_abort(p[i]);
            else
                peer_close(p[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ping, node_setup_one, node_teardown),
        cmocka_unit_test_setup_teardown(test_protocol_error_after_good_commands, node_setup_one,
                                        node_teardown),
        cmocka_unit_test_setup_teardown(test_commands_behind_a_parked_one, node_setup_one,
                                        node_teardown),
        cmocka_unit_test_setup_teardown(test_a_client_that_ends_itself_in_a_burst, node_setup_one,
                                        node_teardown),
        cmocka_unit_test_setup_teardown(test_bytes_one_by_one, node_setup_one, node_teardown),
        cmocka_unit_test_setup_teardown(test_long_pipeline_is_fair, node_setup_one, node_teardown),
        cmocka_unit_test_setup_teardown(test_large_values, node_setup_one, node_teardown),
        cmocka_unit_test_setup_teardown(test_kill_a_neighbour_in_the_same_burst, node_setup_one,
                                        node_teardown),
        cmocka_unit_test_setup_teardown(test_connections_come_and_go, node_setup_one,
                                        node_teardown),
        /* Two lcores behind one queue that steers nothing: half of the flows go over the ring. */
        cmocka_unit_test_setup_teardown(test_ping, node_setup_two, node_teardown),
        cmocka_unit_test_setup_teardown(test_large_values, node_setup_two, node_teardown),
        cmocka_unit_test_setup_teardown(test_kill_a_neighbour_in_the_same_burst, node_setup_two,
                                        node_teardown),
        cmocka_unit_test_setup_teardown(test_connections_come_and_go, node_setup_two,
                                        node_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
