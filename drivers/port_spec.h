/* The text of the nic directive, and the table of port kinds. Pure. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum port_kind {
    PORT_KIND_TAP,
    PORT_KIND_AF_PACKET,
    PORT_KIND_AF_XDP,
    PORT_KIND_VIRTIO_USER,
    PORT_KIND_VHOST,
    PORT_KIND_MEMIF,
    PORT_KIND_PCI,
    PORT_KIND_COUNT
};

enum port_wake_kind {
    PORT_WAKE_NONE,      /* a timer of at most 500 us */
    PORT_WAKE_FD,        /* the queue's file descriptor, readable while frames wait */
    PORT_WAKE_INTERRUPT, /* armed by rte_eth_dev_rx_intr_enable, one edge on the queue's descriptor
                          */
};

/* What DPDK 22.11 does not tell through rte_eth_dev_info, per kind. */
struct port_kind_info {
    const char *word;   /* in the specification */
    const char *vdev;   /* DPDK's device name, without its number; NULL: a PCI device */
    const char *target; /* what follows the colon, for messages */
    enum port_wake_kind wake;
    bool scatters;    /* receives a frame in several buffers when it must */
    bool own_mac;     /* no hardware address worth keeping: one of our own */
    bool netdev;      /* sits on a kernel interface that stays as it is: MTU, promiscuity */
    bool software_tx; /* its checksums and TSO are software inside the driver; ours instead */
    bool extbuf;      /* copies what it sends inside this process */
    uint32_t caps;    /* further bits of enum port_caps */
};

#define PORT_SPEC_TARGET_SIZE 108
#define PORT_SPEC_ERROR_SIZE 256

struct port_spec {
    enum port_kind kind;
    char target[PORT_SPEC_TARGET_SIZE]; /* interface, socket path or PCI address */
    bool server;                        /* makes the socket instead of connecting to it */
    uint32_t id;                        /* memif only */
};

const struct port_kind_info *port_kind_get(enum port_kind kind);
/* False: a sentence in err. */
bool port_spec_parse(const char *text, struct port_spec *spec, char err[PORT_SPEC_ERROR_SIZE]);
/* "02:1a:..." into six bytes; only unicast, and not all zero. */
bool port_mac_parse(const char *text, uint8_t mac[6]);
/* A locally administered unicast address that is the same for the same text. */
void port_mac_derive(const char *text, uint8_t mac[6]);
/* Bytes of one frame slot in af_packet's rings for that MTU: a received frame is never longer. */
uint32_t port_spec_ring_frame_bytes(uint16_t mtu);

struct port_device {
    const uint8_t *mac; /* the stack's, for kinds with own_mac */
    int queue_count;
    uint16_t mtu;
};
/* The arguments of DPDK's virtual device; false: they do not fit. */
bool port_spec_devargs(const struct port_spec *spec, const struct port_device *device, char *out,
                       size_t size);
