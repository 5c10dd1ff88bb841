#include "tcp_prr.h"

uint32_t tcp_prr_acked(struct tcp_prr *p, uint32_t delivered, uint32_t pipe, uint32_t ssthresh,
                       uint32_t mss)
{
    p->delivered_bytes += delivered;
    uint64_t allowed;
    if (pipe > ssthresh) {
        /* In proportion: ssthresh bytes leave while RecoverFS bytes arrive, rounded up. */
        allowed = ((uint64_t)p->delivered_bytes * ssthresh + p->flight_bytes - 1) / p->flight_bytes;
    } else {
        /* Slow start reduction bound: no more than one segment above what has arrived. */
        uint64_t arrived = (uint64_t)p->out_bytes + delivered;
        allowed = (p->delivered_bytes > arrived ? p->delivered_bytes : arrived) + mss;
        if (allowed > (uint64_t)p->out_bytes + ssthresh - pipe)
            allowed = (uint64_t)p->out_bytes + ssthresh - pipe;
    }
    return allowed > p->out_bytes ? pipe + (uint32_t)(allowed - p->out_bytes) : pipe;
}
