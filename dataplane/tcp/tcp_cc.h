/* Congestion control behind one small interface: how the window changes when bytes are
 * acknowledged, when a loss is found, when the timer fires. Pure: the state is the caller's, time
 * comes in. */
#pragma once
#include <stdint.h>

struct tcp_cc_cubic {
    float w_max;  /* segments: the window before the last reduction */
    float k_s;    /* seconds until w_max is reached again */
    float origin; /* segments: plateau of the curve */
    float w_est;  /* segments: what Reno would have */
    float start;  /* segments: the window when this epoch began; 0: none has */
    uint32_t epoch_ms;
};

struct tcp_cc_state {
    uint32_t cwnd_bytes;
    uint32_t ssthresh_bytes;
    union {
        uint32_t acked_bytes; /* NewReno: since the window last grew */
        struct tcp_cc_cubic cubic;
    };
};

struct tcp_cc_event {
    uint32_t mss;
    uint32_t acked_bytes;  /* acked(): newly acknowledged */
    uint32_t flight_bytes; /* loss(), timeout(): outstanding before it */
    uint32_t now_ms;
    uint32_t srtt_us;
};

struct tcp_cc_ops {
    const char *name;
    /* Bytes were acknowledged outside of fast recovery while the window was in full use. */
    void (*acked)(struct tcp_cc_state *cc, const struct tcp_cc_event *e);
    /* Fast recovery begins: sets ssthresh and cwnd = ssthresh. */
    void (*loss)(struct tcp_cc_state *cc, const struct tcp_cc_event *e);
    /* The first retransmission timeout of a flight: sets ssthresh; cwnd = one segment (RFC
     * 5681, 3.1). */
    void (*timeout)(struct tcp_cc_state *cc, const struct tcp_cc_event *e);
};

extern const struct tcp_cc_ops tcp_cc_newreno, tcp_cc_cubic_ops;

/* A new connection with a window of that many bytes. */
void tcp_cc_init(struct tcp_cc_state *cc, uint32_t cwnd_bytes);
/* RFC 6928: min(10 MSS, max(2 MSS, 14600)). */
uint32_t tcp_cc_initial_window(uint32_t mss);
/* Nothing was sent for longer than the RTO (RFC 5681, 4.1). */
void tcp_cc_restart(struct tcp_cc_state *cc, uint32_t mss);
/* Slow start with byte counting, two segments per ACK at most (RFC 3465); what is left of the
 * acknowledged bytes once ssthresh is reached. */
uint32_t tcp_cc_slow_start(struct tcp_cc_state *cc, const struct tcp_cc_event *e);
