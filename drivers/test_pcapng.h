/* A pcapng file taken apart, for tests: strict about what they want, blind to the rest. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { PCAPNG_IN = 1, PCAPNG_OUT = 2 };

struct pcapng_packet {
    uint64_t stamp_ns;
    uint32_t direction;
    uint32_t queue;
    uint32_t captured_bytes;
    uint32_t frame_bytes;
    const uint8_t *data;
};

struct pcapng_view {
    bool whole; /* blocks from the first byte to the last, section and interface first */
    unsigned interfaces;
    unsigned statistics;
    uint64_t received, dropped; /* of the last statistics */
    unsigned count;
    struct pcapng_packet *packets;
    uint8_t *bytes;
    uint64_t size;
};

/* The file must be there. */
struct pcapng_view *pcapng_view_new(const char *path);
void pcapng_view_free(struct pcapng_view *view);
/* The packet's frame: lengths and checksums are right. */
bool pcapng_packet_valid(const struct pcapng_packet *packet);
