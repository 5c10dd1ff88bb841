#include "tcp_cc.h"
#include <string.h>
#include "tcp_limits.h"

#define INITIAL_WINDOW_BYTES 14600u

void tcp_cc_init(struct tcp_cc_state *cc, uint32_t cwnd_bytes)
{
    memset(cc, 0, sizeof(*cc));
    cc->cwnd_bytes = cwnd_bytes;
    cc->ssthresh_bytes = TCP_CWND_MAX;
}

uint32_t tcp_cc_initial_window(uint32_t mss)
{
    uint32_t least = 2 * mss > INITIAL_WINDOW_BYTES ? 2 * mss : INITIAL_WINDOW_BYTES;
    uint32_t most = TCP_INITIAL_SEGMENTS * mss;
    return most < least ? most : least;
}

void tcp_cc_restart(struct tcp_cc_state *cc, uint32_t mss)
{
    uint32_t window = tcp_cc_initial_window(mss);
    if (cc->cwnd_bytes > window)
        cc->cwnd_bytes = window;
    cc->cubic.start = 0; /* means nothing to NewReno */
}

uint32_t tcp_cc_slow_start(struct tcp_cc_state *cc, const struct tcp_cc_event *e)
{
    uint32_t grow = e->acked_bytes < 2 * e->mss ? e->acked_bytes : 2 * e->mss;
    uint32_t room = cc->ssthresh_bytes - cc->cwnd_bytes;
    if (grow < room) {
        cc->cwnd_bytes += grow;
        return 0;
    }
    cc->cwnd_bytes = cc->ssthresh_bytes;
    return grow - room;
}
