/* What a cluster of cluster_test_net.h does for a failover, as lines to compare with what a test
 * expects. Times are ms since the first line, epochs are told from the one that was current when
 * the trace began:
 *
 *   [   0] 3 > 1 2 4 5: fail 0, auth-req +1      frames of one step, by recipient, in their order
 *   [   1] 1 persists vote +1                     nodes.conf is on its way to the disk
 *   [   4] 3 wins
 *   [   6] 3 shows master +1                      the first header that says so
 *
 * PINGs are left out, but for the first that shows PAUSED; so are reservations of epochs after a
 * node's first, what nodes merely adopt, and the detection of failures. Checked beside: a voter
 * tells one vote per epoch; an epoch that is asked in, or voted in, is on the disk; what PAUSED
 * shows is final. */
#pragma once
#include "cluster_test_net.h"

struct test_trace;

/* Of the first count nodes, as they are now; takes both watches of the net. */
struct test_trace *trace_new(struct test_net *net, unsigned count);
void trace_free(struct test_trace *trace);
/* Nodes have their index for a name; two may be swapped, where ids decide which is which. */
void trace_name(struct test_trace *trace, unsigned node, char name);
/* Asked for each frame, as by test_net_watch(); NULL: all pass. */
void trace_filter(struct test_trace *trace,
                  bool (*pass)(void *ctx, unsigned from, unsigned to, const struct bus_message *m),
                  void *ctx);
/* Forgets the lines. */
void trace_begin(struct test_trace *trace);
/* What epochs are told from. */
uint64_t trace_epoch(const struct test_trace *trace);
/* The lines of the nodes named are as expected, each node's in order, all within TRACE_SLACK_MS of
 * the time expected; else both are printed. nodes: "013", NULL: all. */
#define TRACE_SLACK_MS 12
bool trace_is(struct test_trace *trace, const char *nodes, const char *expected);
