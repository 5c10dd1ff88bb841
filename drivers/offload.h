/* What a port does not do itself, done in software on the way out: checksums, segmentation,
 * flattening of chains, and the refusal of what the port would choke on.
 *
 * One struct offload per port queue, used by its lcore only. Frames are the stack's: header in the
 * first segment, l2_len, l3_len, l4_len and RTE_MBUF_F_TX_* set, nobody else looks at the header.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct rte_mbuf;
struct rte_mempool;

/* 64 KB in segments of the smallest MSS that the stack uses (536, with room). */
#define OFFLOAD_FRAMES_MAX 144

struct offload {
    /* RTE_MBUF_F_TX_* that the port does: IP_CKSUM, TCP_CKSUM, TCP_SEG. The one field that another
     * thread may write (relaxed), when a vhost peer comes. */
    uint64_t hardware;
    bool multi_seg;           /* the port takes chains */
    bool prepare;             /* fill in the pseudo header where the port does the rest */
    bool own_buffers;         /* the port frees into pool unseen (mbuf fast-free): nothing shared */
    uint32_t frame_bytes;     /* longest frame of the port, without the FCS */
    struct rte_mempool *pool; /* headers of cut frames, flattened frames */
    struct rte_mempool *indirect; /* references into a cut frame: buffers without data room */
    uint64_t dropped;             /* frames freed here: too long, malformed, or no buffer left */
};

/* Turns one frame into what the port can send: how many frames stand in out[OFFLOAD_FRAMES_MAX].
 * Takes ownership of frame; 0: it was freed and counted in dropped. */
uint16_t offload_frame(struct offload *offload, struct rte_mbuf *frame, struct rte_mbuf **out);
/* Fills in every sum that the frame's flags ask for, whatever the port does; a frame whose header is
 * not whole stays as it is. For copies that never reach a port. */
void offload_sums_fill(struct rte_mbuf *frame);
