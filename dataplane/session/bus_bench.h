/* The surroundings of bus links in tests: streams in memory, and a control thread that the test
 * plays step by step. */
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "bus_link.h"
#include "test_stream.h"

#define BENCH_ME "0123456789abcdef0123456789abcdef01234567"
#define BENCH_YOU "89abcdef0123456789abcdef0123456789abcdef"
#define BENCH_STREAMS_MAX 80
#define BENCH_FRAMES_MAX 1024
#define BENCH_NOW_US 1000000
#define FRAME BUS_SIZE_PLAIN

extern struct bus_bench {
    struct worker worker;
    struct cluster_shared shared;
    struct mailbox control, lcore;
    struct bus_path path;
    struct bus_links *links;
    struct test_stream *streams[BENCH_STREAMS_MAX];
    unsigned stream_count;
    bool refuse_connect;
    uint64_t offset;
    /* What control does and has seen. */
    bool hold;             /* it keeps the frames */
    bool known;            /* it calls their senders known */
    struct bus_link *link; /* the last that connected */
    unsigned connected, gone, released, sent, dropped;
    enum stream_end why;
    struct bus_frame *held[BENCH_FRAMES_MAX];
    unsigned held_count, frame_count;
    struct bus_seen {
        uint16_t type;
        bool answered;
        uint64_t arrived_us, epoch;
        size_t len;
    } seen[BENCH_FRAMES_MAX];
} bench;

/* Around each test: no thread runs, the lease holds, a PONG with epoch 1 (with extensions: epoch 2)
 * is published. */
int bench_set_up(void **state);
int bench_tear_down(void **state);
#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)

/* All mail of both ends; all mail and rounds of the lcore, until nothing is left. */
void bench_run_mail(void);
void bench_run(void);

/* Control gives the frames back that it has held longest. */
void bench_give_back(unsigned count);
/* Control sends bytes on the link that has connected last; send lives until it is back. */
void bench_send_frame(struct bus_send *send, const uint8_t *data, size_t len);
/* Control opens a link; its stream is the next in streams. */
struct bus_link *bench_open_one(void);

struct test_stream *bench_stream_add(const char *peer);
/* A peer connects; the known one has said PING and got its PONG. */
struct test_stream *bench_accept_one(void);
struct test_stream *bench_accept_known(void);

/* The peer sends a message without body. */
void bench_push(struct test_stream *t, uint16_t type, uint64_t epoch);
void bench_push_pieces(struct test_stream *t, struct slice bytes, size_t piece);
struct bus_header bench_header_of(uint16_t type, uint64_t epoch);
/* A PUBLISH with a message of len bytes; the caller frees its data. */
struct slice bench_publish_of(size_t len);
/* Takes all that the peer was sent: that many plain PONGs, nothing else. */
void bench_expect_pongs(struct test_stream *t, unsigned count);
/* The index-th message that control got. */
void bench_expect_seen(unsigned index, uint16_t type, uint64_t epoch);
