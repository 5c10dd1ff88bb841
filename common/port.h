/* A packet port as the lcores see it. drivers/ implements it over DPDK ports, memory, and the
 * fault-injecting wrapper; the dataplane never sees rte_ethdev.
 *
 * One struct port_queue per lcore and port; its calls belong to that lcore. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct rte_mbuf;
struct rte_mempool;

/* What the port does itself. Transmit: the stack always sets the mbuf's offload flags and lengths
 * (l2_len, l3_len, l4_len, RTE_MBUF_F_TX_*) for checksums; drivers/ fills in in software what the
 * port cannot. The stack builds frames above the MTU only with PORT_TX_TSO or PORT_TX_GSO. */
enum port_caps {
    PORT_TX_CHECKSUM = 1 << 0,  /* the port computes IPv4 and TCP checksums */
    PORT_TX_TSO = 1 << 1,       /* the port cuts large TCP frames */
    PORT_TX_GSO = 1 << 2,       /* drivers/ cuts them with rte_gso, worth it on this port */
    PORT_TX_MULTI_SEG = 1 << 3, /* chains of mbufs may be sent */
    PORT_TX_EXTBUF = 1 << 4,    /* external buffers may be sent (copied inside the process) */
    PORT_RX_HASH = 1 << 5,      /* mbuf->hash.rss is our Toeplitz hash of the 4-tuple */
    PORT_RX_STEERED = 1 << 6,   /* the port spreads flows over queues by that hash */
    PORT_RX_SCATTER = 1 << 7,   /* frames may arrive as chains */
    PORT_RX_MAY_BLOCK = 1 << 8, /* rx may enter the kernel: run it RCU-offline (af_xdp) */
    PORT_TX_MAY_BLOCK = 1 << 9, /* tx may block in the kernel: run it RCU-offline (af_packet) */
};

struct port_info {
    char name[64];   /* "tap:sw0" */
    char driver[32]; /* "net_tap" */
    uint32_t caps;   /* enum port_caps */
    uint16_t queue_count;
    uint16_t mtu; /* L3 bytes */
    uint8_t mac[6];
    int numa_node; /* -1 unknown */
};

#define RSS_KEY_SIZE 40

struct port_queue {
    /* At most n frames into/from pkts; how many. tx takes ownership of those that it counts. */
    uint16_t (*rx)(struct port_queue *q, struct rte_mbuf **pkts, uint16_t n);
    uint16_t (*tx)(struct port_queue *q, struct rte_mbuf **pkts, uint16_t n);
    /* Frees transmitted mbufs that the driver still holds; how many packets may remain is the
     * driver's matter. For tests that compare baselines, and when the pool runs dry. */
    void (*tx_flush)(struct port_queue *q);
    /* Arms the queue's wake-up; false: it has none, sleep at most idle_max_us. disarm after waking.
     */
    bool (*wake_arm)(struct port_queue *q);
    void (*wake_disarm)(struct port_queue *q);
    int wake_fd; /* for a level-triggered epoll set; -1: none. May change on reconnect: see
                    wake_fd_generation */
    uint32_t wake_fd_generation;
    uint32_t idle_max_us; /* longest sleep without a wake-up (<= 500 where wake_fd is -1) */
    const struct port_info *info;
    struct rte_mempool *pool; /* receive and transmit buffers of this lcore */
    uint16_t id;              /* queue number */
    bool link_up;             /* followed by drivers/ */
};
