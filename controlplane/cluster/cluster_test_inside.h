/* The inside of the test network, for its own files. */
#pragma once
#include "check.h"
#include "cluster_test_net.h"
#include "nodes_conf.h"
#include "rng.h"

#define MS 1000ull

enum what {
    WHAT_TICK,
    WHAT_DELIVER,
    WHAT_UP,
    WHAT_FAILED,
    WHAT_DOWN,
    WHAT_DURABLE,
    WHAT_SETTLED,
    WHAT_REPLICATION,
    WHAT_PAUSED
};

struct item {
    uint64_t at_us, sequence;
    enum what what;
    unsigned node;
    uint64_t life; /* of the node: events of a former one are void */
    uint64_t value;
    struct pipe *pipe;
};

struct parcel {
    struct parcel *next;
    struct cluster_frame *frame;
};

/* One TCP connection; ends[0] opened it. */
struct pipe {
    struct pipe *next;
    unsigned ends[2];
    uint64_t lives[2];
    cluster_link_id ids[2];
    bool open[2]; /* told up, not yet told down */
    bool cut;
    struct parcel *head[2], **tail[2]; /* towards ends[i] */
    bool scheduled[2];
};

struct disk {
    char *text, *writing;
    size_t len, writing_len;
    uint64_t delay_us;
    bool works;
    struct nodes_conf *conf;
};

struct box {
    struct cluster *c;
    struct cluster_config config;
    uint64_t life, tick_at_us, paused_until_us, offset, contact_us;
    bool writes_paused, replica_stopped, unsynced;
    cluster_link_id inbound_next;
    struct disk disk;
    struct cluster_view *view;
    struct cluster_pong *pong;
    char following[BUS_NAME_SIZE + 1];
    uint64_t keys[SLOTS];
    struct test_net *net;
};

struct test_net {
    unsigned count;
    struct box boxes[TEST_NET_NODES_MAX];
    struct item *heap;
    size_t heap_count, heap_size;
    uint64_t now_us, sequence, steps, reply_next, reply_id;
    uint32_t side;
    unsigned loss_per_mille, deleted, alarms;
    struct rng rng;
    struct pipe *pipes;
    bool (*pass)(void *ctx, unsigned from, unsigned to, const struct bus_message *m);
    void (*seen)(void *ctx, unsigned node, const struct cluster_action *action);
    void *pass_ctx, *seen_ctx;
    char *reply;
};

/* ---- cluster_test_wire.c: events in the order of their times, and what is on the way ---- */
void test_heap_push(struct test_net *net, struct item item);
struct item test_heap_pop(struct test_net *net);
void test_later(struct test_net *net, unsigned node, enum what what, uint64_t delay_us,
                uint64_t value);
void test_pipe_schedule(struct test_net *net, struct pipe *p, unsigned end, enum what what,
                        uint64_t delay);
bool test_pipe_blocked(const struct test_net *net, const struct pipe *p);
void test_pipe_empty(struct pipe *p, unsigned end);
void test_pipe_cut(struct test_net *net, struct pipe *p);
struct pipe *test_pipe_find(const struct test_net *net, unsigned node, cluster_link_id id,
                            unsigned *end);
void test_pipe_open(struct test_net *net, unsigned from, const struct cluster_action *action);
void test_pipe_push(struct test_net *net, struct pipe *p, unsigned to, const uint8_t *bytes,
                    uint32_t len);
