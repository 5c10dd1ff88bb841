/* The table as text: lines of CLUSTER NODES and of nodes.conf, CLUSTER INFO. */
#pragma once
#include "cluster_state.h"
#include "nodes_conf.h"

/* What CLUSTER NODES shows: all nodes, those in handshake too. */
void cluster_print_nodes(const struct cluster *c, struct nodes_text *text);
/* The replicas of one primary, a line each; calls line() with it, without its newline. */
void cluster_print_replicas(const struct cluster *c, const struct cluster_node *primary,
                            void (*line)(void *ctx, struct slice text), void *ctx);
/* The whole file. */
void cluster_print_file(const struct cluster *c, struct nodes_text *text);
void cluster_print_info(const struct cluster *c, struct nodes_text *text);
/* printf to the end of the text; at most 512 bytes each time. */
void cluster_print(struct nodes_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
