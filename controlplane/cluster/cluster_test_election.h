/* What the tests of elections begin with: three primaries 0, 1, 2 and their replicas 3, 4, 5 unless
 * a test says otherwise, T = 1000 ms. One translation unit per test. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "cluster_test_trace.h"

static struct test_net *net;
static struct test_trace *trace;

/* Node primaries + i follows node i; more follow the first ones. */
static inline void begin(unsigned primaries, unsigned count)
{
    net = test_net_new(count, 7);
    trace = trace_new(net, count);
    test_net_join(net);
    test_net_spread(net, primaries);
    test_net_run(net, 1000);
}

static inline int end(void **state)
{
    (void)state;
    if (trace)
        trace_free(trace);
    if (net)
        test_net_free(net);
    trace = NULL;
    net = NULL;
    return 0;
}

static inline uint64_t counts(unsigned i, bool won)
{
    const struct cluster_counts *c = cluster_counts_get(test_net_node(net, i));
    return won ? c->elections_won : c->elections_started;
}

/* Of two nodes the one whose id is smaller. */
static inline unsigned smaller(unsigned a, unsigned b)
{
    return strcmp(cluster_self_id(test_net_node(net, a)), cluster_self_id(test_net_node(net, b))) <
                   0
               ? a
               : b;
}

/* The owner of the first of node i's slots, as all nodes that run see it, of primaries. */
static inline int owner_of(unsigned i, unsigned primaries)
{
    assert_true(test_net_agrees(net));
    for (unsigned node = 0;; node++)
        if (test_net_running(net, node))
            return test_net_owner(net, node, 16384 * i / primaries);
}

static inline bool writes_again(struct test_net *n)
{
    const struct cluster_view *view = test_net_view(n, 3);
    return view->ok && view->primary && cluster_entry_is_ours(cluster_view_entry(view, 0));
}

/* Names the primaries 0 and 1 and their replicas so that A has the smaller id. */
static inline void name_shards(unsigned primaries)
{
    unsigned first = smaller(0, 1), second = 1 - first;
    trace_name(trace, first, 'A');
    trace_name(trace, second, 'B');
    trace_name(trace, primaries + first, 'a');
    trace_name(trace, primaries + second, 'b');
}
