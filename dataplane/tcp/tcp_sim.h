/* Two engines and a link between them in virtual time: loss, duplication, reordering, delay and a
 * rate, all from one seed. Each side sends a pattern, checks what it receives, and closes. */
#pragma once
#include "rng.h"
#include "tcp_engine.h"
#include "test_port.h"

#define SIM_FRAMES_MAX 16384

struct sim_link_config {
    double loss, dup, reorder; /* probabilities per frame */
    uint32_t delay_us;         /* one way */
    uint32_t jitter_us;        /* added at random */
    uint32_t reorder_us;       /* extra delay of a reordered frame */
    uint64_t rate_bps;         /* 0: unlimited */
    uint32_t queue_max;        /* frames waiting for the rate; more are lost (0: no limit) */
};

struct sim_frame {
    uint64_t at_us, order;
    struct rte_mbuf *m;
    uint8_t to; /* node */
};

struct sim_app {
    struct stream *stream;
    uint64_t send_total, sent; /* appended to stream.out */
    uint64_t expect_total, received;
    uint64_t progress_us;    /* when bytes last arrived */
    uint64_t rto_max_us;     /* the sender's largest timeout since then */
    uint32_t read_per_round; /* 0: everything at once */
    bool eof, closed, ended, failed, slow_pending;
    enum stream_end why;
};

struct sim_node {
    struct test_port port;
    struct netif_config config;
    struct netif *nif;
    struct tcp *tcp;
    struct sim_app app;
    struct sim *sim;
    uint64_t link_free_us; /* when the link can take the next frame */
    uint32_t link_queued;
};

struct sim {
    struct flow_steering steering;
    struct sim_node node[2];
    struct sim_link_config link;
    bool blank[9]; /* by option kind */
    struct rng rng;
    uint64_t now_us, frames_order;
    uint64_t stall_max_us;  /* longest time without progress beyond what the RTO explains */
    struct sim_frame *heap; /* by at_us, then order */
    uint32_t heap_count;
    uint64_t frames, lost;
};

struct sim_config {
    struct sim_link_config link;
    uint64_t seed;
    uint64_t bytes[2]; /* node 0 (client) sends, node 1 (server) sends */
    enum tcp_cc cc;
    uint32_t caps;
    uint32_t read_per_round; /* of both */
    uint64_t rx_memory_bytes;
    uint64_t limit_us;             /* gives up after it */
    bool no_sack, no_ts, no_scale; /* the link blanks these options in SYNs */
    bool validate_rarely;
};

struct sim_result {
    bool done;           /* both sides got everything, byte for byte, and ended */
    uint64_t elapsed_us; /* until the last byte arrived */
    uint64_t stall_us;
    uint64_t retransmits[2], timeouts[2], frames, lost;
};

/* Runs one transfer to its end; CHECKs data, invariants and that nothing is left over. */
void sim_run(const struct sim_config *c, struct sim_result *r);
