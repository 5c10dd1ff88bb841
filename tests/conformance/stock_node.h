/* A stock redis-server in cluster mode on the loopback, for tests of what must be compatible. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct stock_node {
    pid_t pid;     /* 0: does not run */
    uint16_t port; /* the bus is at port + 10000 */
    char folder[64];
    char id[41];
};

/* redis-server is installed. */
bool stock_node_available(void);
/* A port of the loopback such that it and the one 10000 above are free. */
uint16_t stock_port_find(void);
/* A port and a folder of its own. */
void stock_node_new(struct stock_node *n);
/* hostname: cluster-announce-hostname, "" for none. False: it did not come up. */
bool stock_node_start(struct stock_node *n, const char *hostname);
/* SIGKILL. */
void stock_node_kill(struct stock_node *n);
/* SIGTERM: it saves nodes.conf. */
void stock_node_stop(struct stock_node *n);
/* And removes the folder. */
void stock_node_free(struct stock_node *n);
/* An inline command; its reply without RESP, NUL-terminated, malloc; "" when there is none. */
char *stock_node_ask(const struct stock_node *n, const char *command);
/* The reply is, or holds, that text. */
bool stock_node_says(const struct stock_node *n, const char *command, const char *text);
/* "folder/nodes.conf", in a buffer that the next call overwrites. */
const char *stock_node_conf(const struct stock_node *n);
