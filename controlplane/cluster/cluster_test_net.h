/* A small network of cluster states in virtual time, for the unit tests of this folder: one heap of
 * events, deterministic by seed. Links are like TCP: in order, delayed, held up by a partition, and
 * either end may lose them. The shell of each node is modelled: nodes.conf takes a moment to be
 * durable, views a moment to settle. Checked at every SEND: the frame decodes, and shows nothing of
 * its node's role, epoch and slots that is not durable. */
#pragma once
#include "cluster.h"

struct test_net;

#define TEST_NET_NODES_MAX 32

/* count nodes at 10.0.0.1 … count, port 6379, new, not knowing each other. */
struct test_net *test_net_new(unsigned count, uint64_t seed);
void test_net_free(struct test_net *net);

struct cluster *test_net_node(struct test_net *net, unsigned i);
uint64_t test_net_now_ms(const struct test_net *net);
/* Changed before the node's next restart, or told at once. */
void test_net_configure(struct test_net *net, unsigned i, const struct cluster_config *config);
const struct cluster_config *test_net_config(const struct test_net *net, unsigned i);

void test_net_run(struct test_net *net, uint64_t ms);
/* Runs until done or ms have passed: the ms that it took, UINT64_MAX: it was not done. */
uint64_t test_net_until(struct test_net *net, uint64_t ms, bool (*done)(struct test_net *net));

/* CLUSTER with these words, blanks between them: the reply, once it came (it must within 10 s),
 * valid until the next one. */
const char *test_net_command(struct test_net *net, unsigned i, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Faults. */
void test_net_crash(struct test_net *net, unsigned i);
/* From what was durable; what was not is lost. */
void test_net_restart(struct test_net *net, unsigned i);
/* As a new node on an empty disk. */
void test_net_restart_empty(struct test_net *net, unsigned i);
void test_net_move(struct test_net *net, unsigned i, const char *ip); /* with a restart */
void test_net_pause(struct test_net *net, unsigned i, uint64_t ms);   /* SIGSTOP */
/* Bit i of side: node i is on that side; frames wait between the sides. */
void test_net_partition(struct test_net *net, uint32_t side);
/* Each frame, with this chance per thousand, is lost together with its link. */
void test_net_loss(struct test_net *net, unsigned per_mille);
void test_net_disk(struct test_net *net, unsigned i, uint64_t delay_ms, bool works);
void test_net_keys(struct test_net *net, unsigned i, unsigned slot, uint64_t count);

/* Asked for each frame before it is on its way; false: it is lost together with its link. */
void test_net_watch(struct test_net *net,
                    bool (*pass)(void *ctx, unsigned from, unsigned to,
                                 const struct bus_message *m),
                    void *ctx);
/* Sees each action before it is carried out. */
void test_net_watch_actions(struct test_net *net,
                            void (*seen)(void *ctx, unsigned node,
                                         const struct cluster_action *action),
                            void *ctx);
/* Replication: the offset of a replica follows its primary's, unless it is stopped; the data of one
 * that is not synced does not count. Primaries write one byte every 100 ms, and this. */
void test_net_replica_stop(struct test_net *net, unsigned i, bool stopped);
void test_net_unsynced(struct test_net *net, unsigned i, bool unsynced);
void test_net_write(struct test_net *net, unsigned i, uint64_t bytes);
uint64_t test_net_offset(const struct test_net *net, unsigned i);

/* Shortcuts. */
/* Every node meets the first; runs until all know each other. */
void test_net_join(struct test_net *net);
/* Slots over the first primaries nodes, evenly; distinct epochs; the others become replicas of
 * them in turn; runs until all agree and the cluster is ok. */
void test_net_spread(struct test_net *net, unsigned primaries);
/* All that run have the same owner for each slot, and know the same nodes. */
bool test_net_agrees(struct test_net *net);
bool test_net_all_ok(struct test_net *net);
bool test_net_running(const struct test_net *net, unsigned i);
/* The flags that node i has for node j; 0: it does not know it. */
unsigned test_net_flags(struct test_net *net, unsigned i, unsigned j);
/* Index of the owner, or -1. */
int test_net_owner(struct test_net *net, unsigned i, unsigned slot);
/* Of actions since the start, over all nodes: lost slots that were deleted, alarms raised. */
unsigned test_net_deleted(const struct test_net *net);
unsigned test_net_alarms(const struct test_net *net);
/* The view that the node's lcores have. */
const struct cluster_view *test_net_view(const struct test_net *net, unsigned i);
/* What its disk has. */
struct slice test_net_disk_text(const struct test_net *net, unsigned i);
/* A frame as if node i had sent it to node j on its own link; false: there is none. */
bool test_net_inject(struct test_net *net, unsigned i, unsigned j, struct slice frame);
