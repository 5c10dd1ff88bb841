#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <rte_eth_ring.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include "capture_file.h"
#include "capture_queue.h"
#include "capturer.h"
#include "check.h"
#include "clock.h"
#include "port_memory.h"
#include "port_open.h"
#include "test_eal.h"
#include "test_pcapng.h"

#define NAME "a.pcapng"

static struct eal *eal;
static uint16_t interface; /* of DPDK, whose name the memory port's frames are written under */
static char folder[] = "/tmp/slotwire-test-XXXXXX";
static struct port_memory *port;
static struct capturer *capturer;

/* ---- a wire with a capture at both of its ends ---- */

static void wire_open(uint32_t ring_frames)
{
    static struct rte_mempool *pools[2][1];
    pools[0][0] = eal->lcore[0].pool;
    pools[1][0] = eal->lcore[1].pool;
    port = port_memory_new(&(struct port_memory_options){
        .queue_count = 1, .mtu = 1500, .ring_frames = ring_frames, .pool = {pools[0], pools[1]}});
    capturer = capturer_new(&(struct capturer_options){
        .hook = {port_memory_capture(port, 0, 0), port_memory_capture(port, 1, 0)},
        .hook_count = 2,
        .port_id = interface,
        .mtu = 1500,
        .port_name = "memory"});
    unlink(NAME);
}

static void wire_close(void)
{
    capturer_free(capturer);
    port_memory_free(port);
    assert_int_equal(eal_buffers_used(eal), 0);
}

static struct capture_spec spec_any(void)
{
    return (struct capture_spec){.file = NAME,
                                 .packets_max = 1000000,
                                 .bytes_max = 100 << 20,
                                 .seconds_max = 1000,
                                 .queue_frames = 1024};
}

static struct capture_status status_of(void)
{
    struct capture_status status;
    capturer_status(capturer, &status);
    return status;
}

static void state_await(enum capture_state state)
{
    while (status_of().state != state)
        usleep(100);
}

static void capture_begin(const struct capture_spec *spec)
{
    char err[CAPTURE_ERROR_SIZE];
    assert_true(capturer_start(capturer, spec, err));
    state_await(CAPTURE_RUNNING);
}

static struct capture_status capture_finish(void)
{
    capturer_stop(capturer);
    state_await(CAPTURE_ENDED);
    return status_of();
}

static void frames_send(unsigned n, uint16_t payload_len)
{
    struct port_queue *from = port_memory_queue(port, 0, 0);
    for (unsigned i = 0; i < n; i++) {
        struct rte_mbuf *frame = test_frame_new(&(struct test_frame){
            .pool = from->pool, .payload_len = payload_len, .port = (uint16_t)(i + 1)});
        while (from->tx(from, &frame, 1) == 0)
            from->tx_flush(from);
    }
}

static unsigned frames_receive(void)
{
    struct port_queue *to = port_memory_queue(port, 1, 0);
    struct rte_mbuf *got[64];
    unsigned all = 0;
    for (uint16_t n; (n = to->rx(to, got, 64)) > 0; all += n)
        rte_pktmbuf_free_bulk(got, n);
    return all;
}

static uint64_t wall_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- what stands in the file ---- */

static void test_both_directions(void **state)
{
    const uint64_t second_ns = 1000000000;
    const struct capture_spec spec = spec_any();
    unsigned in = 0, out = 0;
    struct stat file;
    wire_open(64);
    uint64_t before = wall_now_ns();
    capture_begin(&spec);
    for (unsigned i = 0; i < 10; i++) {
        frames_send(3, (uint16_t)(100 + i));
        assert_int_equal(frames_receive(), 3);
    }
    struct capture_status status = capture_finish();
    assert_int_equal(status.end, CAPTURE_END_STOPPED);
    assert_int_equal(status.packets, 60);
    assert_int_equal(status.dropped + status.truncated, 0);
    struct pcapng_view *view = pcapng_view_new(NAME);
    assert_true(view->whole);
    assert_int_equal(view->size, status.bytes);
    assert_int_equal(view->count, 60);
    assert_int_equal(view->statistics, 1);
    assert_int_equal(view->received, 60);
    assert_int_equal(view->dropped, 0);
    for (unsigned i = 0; i < view->count; i++) {
        const struct pcapng_packet *p = &view->packets[i];
        assert_true(pcapng_packet_valid(p));
        assert_int_equal(p->queue, p->direction == PCAPNG_OUT ? 0 : 1);
        assert_true(p->stamp_ns + second_ns > before && p->stamp_ns < wall_now_ns() + second_ns);
        assert_true(i == 0 || p->stamp_ns >= view->packets[i - 1].stamp_ns);
        in += p->direction == PCAPNG_IN;
        out += p->direction == PCAPNG_OUT;
    }
    assert_int_equal(in, 30);
    assert_int_equal(out, 30);
    pcapng_view_free(view);
    assert_int_equal(stat(NAME, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);
    assert_true(strcmp(strrchr(status.path, '/'), "/" NAME) == 0);
    wire_close();
}

static void test_long_frames_are_cut(void **state)
{
    struct capture_spec spec = spec_any();
    spec.snaplen = 64;
    wire_open(64);
    capture_begin(&spec);
    frames_send(1, 1000);
    frames_send(1, 5);
    assert_int_equal(frames_receive(), 2);
    struct capture_status status = capture_finish();
    assert_int_equal(status.packets, 4);
    assert_int_equal(status.truncated, 2);
    struct pcapng_view *view = pcapng_view_new(NAME);
    assert_true(view->whole);
    assert_int_equal(view->packets[0].captured_bytes, 64);
    assert_int_equal(view->packets[0].frame_bytes, 1054);
    assert_true(pcapng_packet_valid(&view->packets[3]));
    pcapng_view_free(view);
    wire_close();
}

/* What waits for room at the sender is offered to the wire several times. */
static void test_a_frame_that_waits_is_captured_once(void **state)
{
    const struct capture_spec spec = spec_any();
    struct port_queue *from;
    wire_open(4);
    from = port_memory_queue(port, 0, 0);
    capture_begin(&spec);
    struct rte_mbuf *frames[20];
    for (uint16_t i = 0; i < 20; i++)
        frames[i] =
            test_frame_new(&(struct test_frame){.pool = from->pool, .payload_len = 10, .port = i});
    assert_int_equal(from->tx(from, frames, 20), 20);
    unsigned got = 0;
    while (got < 20) {
        got += frames_receive();
        from->tx_flush(from);
    }
    assert_int_equal(capture_finish().packets, 40);
    wire_close();
}

/* What the hardware would fill in: one frame, and one that it would cut. */
static void test_sums_are_filled_in(void **state)
{
    struct capture_file file;
    struct capture_hook hook = {0};
    struct rte_mbuf *copies[4], *frames[2];
    char err[CAPTURE_ERROR_SIZE] = "";
    struct capture_queue *queue = aligned_alloc(CACHE_LINE, sizeof(*queue));
    *queue = (struct capture_queue){.snaplen = 20000, .port_id = interface};
    assert_true(capture_queue_init(queue, 64));
    capture_queues_prime(queue, 1);
    for (unsigned i = 0; i < 2; i++)
        frames[i] = test_frame_new(&(struct test_frame){
            .pool = eal->lcore[0].pool, .payload_len = i == 0 ? 333 : 9001, .cuts = {60, 301}});
    frames[1]->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
    frames[1]->tso_segsz = 1400;
    assert_false(test_frame_valid(frames[0]));
    capture_attach(&hook, queue);
    capture_tx(&hook, frames, 2);
    capture_detach(&hook);
    assert_true(capture_left(&hook));
    rte_pktmbuf_free_bulk(frames, 2);
    unlink(NAME);
    assert_true(capture_file_open(&file, NAME, interface, "memory", err));
    assert_int_equal(capture_queue_take(queue, copies, 4), 2);
    assert_true(capture_file_write(&file, copies, 2, err));
    capture_file_close(&file, 7);
    capture_queue_fini(queue);
    free(queue);
    struct pcapng_view *view = pcapng_view_new(NAME);
    assert_true(view->whole);
    assert_int_equal(view->count, 2);
    assert_int_equal(view->dropped, 7);
    assert_true(pcapng_packet_valid(&view->packets[0]));
    assert_int_equal(view->packets[1].frame_bytes, 9055);
    assert_true(pcapng_packet_valid(&view->packets[1]));
    pcapng_view_free(view);
    assert_int_equal(eal_buffers_used(eal), 0);
}

/* ---- bounds ---- */

static void test_full_queue_drops(void **state)
{
    struct capture_hook hook = {0};
    struct rte_mbuf *copies[128];
    struct capture_queue *queue = aligned_alloc(CACHE_LINE, sizeof(*queue));
    struct rte_mbuf *frame = test_frame_new(
        &(struct test_frame){.pool = eal->lcore[0].pool, .payload_len = 100, .port = 1});
    *queue = (struct capture_queue){.snaplen = 64, .port_id = interface};
    assert_true(capture_queue_init(queue, 64));
    capture_queues_prime(queue, 1);
    capture_attach(&hook, queue);
    for (int i = 0; i < 100; i++)
        capture_rx(&hook, &frame, 1);
    assert_int_equal(queue->dropped, 36);
    assert_int_equal(queue->truncated, 64);
    unsigned taken = capture_queue_take(queue, copies, 10);
    assert_int_equal(taken, 10);
    rte_pktmbuf_free_bulk(copies, taken);
    for (int i = 0; i < 20; i++)
        capture_rx(&hook, &frame, 1);
    assert_int_equal(queue->dropped, 46);
    capture_detach(&hook);
    capture_rx(&hook, &frame, 1);
    assert_int_equal(queue->dropped, 46);
    capture_queue_fini(queue);
    free(queue);
    rte_pktmbuf_free(frame);
    assert_int_equal(eal_buffers_used(eal), 0);
}

/* Sends until the capture ends by itself. */
static struct capture_status traffic_until_end(void)
{
    while (status_of().state != CAPTURE_ENDED) {
        frames_send(10, 1000);
        assert_int_equal(frames_receive(), 10);
    }
    return status_of();
}

static void test_packets_end_it(void **state)
{
    struct capture_spec spec = spec_any();
    spec.packets_max = 77;
    wire_open(64);
    capture_begin(&spec);
    struct capture_status status = traffic_until_end();
    assert_int_equal(status.end, CAPTURE_END_PACKETS);
    assert_int_equal(status.packets, 77);
    struct pcapng_view *view = pcapng_view_new(NAME);
    assert_true(view->whole);
    assert_int_equal(view->count, 77);
    pcapng_view_free(view);
    wire_close();
}

static void test_bytes_end_it(void **state)
{
    struct capture_spec spec = spec_any();
    spec.bytes_max = 50000;
    wire_open(64);
    capture_begin(&spec);
    struct capture_status status = traffic_until_end();
    assert_int_equal(status.end, CAPTURE_END_BYTES);
    struct pcapng_view *view = pcapng_view_new(NAME);
    assert_true(view->whole);
    assert_true(view->size <= 50000 && view->size > 48000);
    assert_int_equal(view->size, status.bytes);
    assert_int_equal(view->count, status.packets);
    assert_int_equal(view->statistics, 1);
    pcapng_view_free(view);
    wire_close();
}

static void test_seconds_end_it(void **state)
{
    struct capture_spec spec = spec_any();
    spec.seconds_max = 1;
    wire_open(64);
    capture_begin(&spec);
    frames_send(3, 10);
    assert_int_equal(frames_receive(), 3);
    state_await(CAPTURE_ENDED);
    assert_int_equal(status_of().end, CAPTURE_END_SECONDS);
    assert_int_equal(status_of().packets, 6);
    wire_close();
}

/* The limit on a file's size stands for a full disk: a write in part, then an error. */
static void test_full_disk_ends_it(void **state)
{
    const struct capture_spec spec = spec_any();
    struct rlimit unlimited, small;
    wire_open(64);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
    small = (struct rlimit){20001, unlimited.rlim_max};
    capture_begin(&spec);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct capture_status status = traffic_until_end();
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
    assert_int_equal(status.end, CAPTURE_END_WRITE);
    assert_string_equal(status.error, "File too large");
    struct pcapng_view *view = pcapng_view_new(NAME);
    assert_true(view->whole);
    assert_true(view->size <= 20001 && view->size > 18000);
    assert_int_equal(view->count, status.packets);
    pcapng_view_free(view);
    wire_close();
}

/* ---- what cannot begin ---- */

static void failing_start(const struct capture_spec *spec, const char *why)
{
    char err[CAPTURE_ERROR_SIZE];
    assert_true(capturer_start(capturer, spec, err));
    while (capture_active(status_of().state))
        usleep(100);
    assert_int_equal(status_of().state, CAPTURE_FAILED);
    assert_string_equal(status_of().error, why);
}

static void test_starts_that_fail(void **state)
{
    struct capture_spec spec = spec_any();
    struct rlimit unlimited, none;
    char err[CAPTURE_ERROR_SIZE];
    wire_open(64);
    assert_int_equal(status_of().state, CAPTURE_NONE);
    FILE *file = fopen(NAME, "w");
    assert_non_null(file);
    fputs("mine", file);
    fclose(file);
    failing_start(&spec, "can't create 'a.pcapng': File exists");
    assert_int_equal(unlink(NAME), 0);
    assert_int_equal(symlink("/dev/null", NAME), 0);
    failing_start(&spec, "can't create 'a.pcapng': File exists");
    assert_int_equal(unlink(NAME), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
    none = (struct rlimit){100, unlimited.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    failing_start(&spec, "can't write 'a.pcapng': File too large");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
    assert_int_not_equal(access(NAME, F_OK), 0);
    spec.queue_frames = CAPTURE_QUEUE_MAX;
    spec.snaplen = CAPTURE_SNAPLEN_MAX;
    failing_start(&spec, "no memory for 65536 packets of 65000 bytes per lcore: lower QUEUE or "
                         "SNAPLEN");
    spec = spec_any();
    capture_begin(&spec);
    assert_false(capturer_start(capturer, &spec, err));
    assert_string_equal(err, "a capture runs already");
    frames_send(1, 10);
    assert_int_equal(frames_receive(), 1);
    assert_int_equal(capture_finish().packets, 2);
    wire_close();
}

/* ---- beginning and ending under traffic ---- */

static bool traffic_stop;

static void *traffic_main(void *arg)
{
    while (!__atomic_load_n(&traffic_stop, __ATOMIC_RELAXED)) {
        frames_send(8, 100);
        CHECK(frames_receive() == 8);
    }
    return NULL;
}

/* A queue that went while the lcore was in it is found by the sanitizer, and a copy that was lost
 * by the count of the pool's buffers. */
static void test_race(void **state)
{
    const struct capture_spec spec = spec_any();
    pthread_t traffic;
    wire_open(64);
    traffic_stop = false;
    assert_int_equal(pthread_create(&traffic, NULL, traffic_main, NULL), 0);
    for (int i = 0; i < 100; i++) {
        char err[CAPTURE_ERROR_SIZE];
        assert_true(capturer_start(capturer, &spec, err));
        if (i % 2 == 0)
            while (status_of().packets == 0)
                usleep(100);
        (void)capture_finish();
        struct pcapng_view *view = pcapng_view_new(NAME);
        assert_true(view->whole);
        assert_int_equal(view->count, status_of().packets);
        pcapng_view_free(view);
        assert_int_equal(unlink(NAME), 0);
    }
    __atomic_store_n(&traffic_stop, true, __ATOMIC_RELAXED);
    pthread_join(traffic, NULL);
    wire_close();
}

static void test_the_end_of_the_node_ends_it(void **state)
{
    const struct capture_spec spec = spec_any();
    wire_open(64);
    capture_begin(&spec);
    frames_send(1, 10);
    assert_int_equal(frames_receive(), 1);
    wire_close();
    struct pcapng_view *view = pcapng_view_new(NAME);
    assert_true(view->whole);
    assert_int_equal(view->count, 2);
    pcapng_view_free(view);
}

static int set_up(void **state)
{
    static struct rte_ring *ring;
    clock_init();
    eal = test_eal(2, 2048);
    ring = rte_ring_create("interface", 64, SOCKET_ID_ANY, 0);
    int id = ring == NULL ? -1 : rte_eth_from_ring(ring);
    if (id < 0 || mkdtemp(folder) == NULL || chdir(folder) != 0)
        return -1;
    interface = (uint16_t)id;
    signal(SIGXFSZ, SIG_IGN);
    return 0;
}

static int tear_down(void **state)
{
    unlink(NAME);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_directions),
        cmocka_unit_test(test_long_frames_are_cut),
        cmocka_unit_test(test_a_frame_that_waits_is_captured_once),
        cmocka_unit_test(test_sums_are_filled_in),
        cmocka_unit_test(test_full_queue_drops),
        cmocka_unit_test(test_packets_end_it),
        cmocka_unit_test(test_bytes_end_it),
        cmocka_unit_test(test_seconds_end_it),
        cmocka_unit_test(test_full_disk_ends_it),
        cmocka_unit_test(test_starts_that_fail),
        cmocka_unit_test(test_race),
        cmocka_unit_test(test_the_end_of_the_node_ends_it),
    };
    return cmocka_run_group_tests_name("capturer", tests, set_up, tear_down);
}
