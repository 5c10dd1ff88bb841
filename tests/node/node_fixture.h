/* Lcores of a node over the memory port, run in turn by one thread, and clients on the wire's other
 * side with a stack of their own. Real time, but no assertion depends on it. */
#pragma once
#include <stddef.h>

struct node_fixture;
struct peer;

/* cmocka's set-up and tear-down. Tear-down checks that connections, sessions and packet buffers are
 * back where they were. With two lcores all frames arrive at lcore 0's queue. */
int node_setup_one(void **state);
int node_setup_two(void **state);
int node_teardown(void **state);

/* A connected client; fails the test when that does not work out. */
struct peer *peer_open(struct node_fixture *f);
void peer_close(struct peer *p);
void peer_abort(struct peer *p);
void peer_send(struct peer *p, const void *data, size_t len);
/* Rounds of all stacks. */
void peer_rounds(struct peer *p, int rounds);
/* Runs rounds until as many bytes have arrived as want has, and compares; takes them. */
void peer_expect(struct peer *p, const char *want);
/* Bytes that arrived and were not taken. */
size_t peer_received(const struct peer *p);
/* Runs rounds until the node has closed the connection. */
void peer_expect_end(struct peer *p);

#define PEER_SAYS(peer, request, reply)                \
    do {                                               \
        peer_send(peer, request, sizeof(request) - 1); \
        peer_expect(peer, reply);                      \
    } while (0)
