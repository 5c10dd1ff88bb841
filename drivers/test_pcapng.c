#include "test_pcapng.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <rte_ip.h>
#include "check.h"

enum { BLOCK_SECTION = 0x0a0d0d0a, BLOCK_INTERFACE = 1, BLOCK_STATISTICS = 5, BLOCK_PACKET = 6 };
enum { OPTION_FLAGS = 2, OPTION_QUEUE = 6, OPTION_RECEIVED = 4, OPTION_DROPPED = 5 };

static uint32_t word_at(const uint8_t *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

static uint64_t option(const uint8_t *at, const uint8_t *end, uint16_t wanted)
{
    while (end - at >= 4) {
        uint16_t code, len;
        uint64_t value = 0;
        memcpy(&code, at, 2);
        memcpy(&len, at + 2, 2);
        if (code == wanted && len <= sizeof(value)) {
            memcpy(&value, at + 4, len);
            return value;
        }
        at += 4 + (len + 3) / 4 * 4;
    }
    return UINT64_MAX;
}

static void packet_add(struct pcapng_view *view, const uint8_t *block, uint32_t len)
{
    view->packets = realloc(view->packets, (view->count + 1) * sizeof(*view->packets));
    CHECK(view->packets != NULL);
    struct pcapng_packet *p = &view->packets[view->count++];
    CHECK(word_at(block + 8) == 0);
    p->stamp_ns = (uint64_t)word_at(block + 12) << 32 | word_at(block + 16);
    p->captured_bytes = word_at(block + 20);
    p->frame_bytes = word_at(block + 24);
    p->data = block + 28;
    const uint8_t *options = p->data + (p->captured_bytes + 3) / 4 * 4;
    p->direction = (uint32_t)option(options, block + len - 4, OPTION_FLAGS);
    p->queue = (uint32_t)option(options, block + len - 4, OPTION_QUEUE);
}

static void block_add(struct pcapng_view *view, const uint8_t *block, uint32_t len)
{
    switch (word_at(block)) {
    case BLOCK_INTERFACE:
        view->interfaces++;
        break;
    case BLOCK_STATISTICS:
        view->statistics++;
        view->received = option(block + 20, block + len - 4, OPTION_RECEIVED);
        view->dropped = option(block + 20, block + len - 4, OPTION_DROPPED);
        break;
    case BLOCK_PACKET:
        packet_add(view, block, len);
    }
}

struct pcapng_view *pcapng_view_new(const char *path)
{
    struct stat file;
    struct pcapng_view *view = calloc(1, sizeof(*view));
    int fd = open(path, O_RDONLY);
    CHECK(view != NULL && fd >= 0 && fstat(fd, &file) == 0);
    view->size = (uint64_t)file.st_size;
    view->bytes = malloc(view->size + 1);
    CHECK(view->bytes != NULL && read(fd, view->bytes, view->size) == file.st_size);
    close(fd);
    uint64_t at = 0;
    while (at + 12 <= view->size) {
        uint32_t len = word_at(view->bytes + at + 4);
        if (len < 12 || at + len > view->size || word_at(view->bytes + at + len - 4) != len ||
            (at == 0) != (word_at(view->bytes + at) == BLOCK_SECTION))
            break;
        block_add(view, view->bytes + at, len);
        at += len;
    }
    view->whole = at > 0 && at == view->size && view->interfaces > 0;
    return view;
}

void pcapng_view_free(struct pcapng_view *view)
{
    free(view->bytes);
    free(view->packets);
    free(view);
}

bool pcapng_packet_valid(const struct pcapng_packet *packet)
{
    /* The blocks' words are aligned to four bytes, IP's here to two. */
    uint8_t *copy = aligned_alloc(CACHE_LINE, 65536);
    CHECK(copy != NULL && packet->captured_bytes <= 65000);
    memcpy(copy, packet->data + 14, packet->captured_bytes - 14);
    const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)copy;
    bool valid = packet->captured_bytes == packet->frame_bytes &&
                 rte_be_to_cpu_16(ip->total_length) + 14u == packet->captured_bytes &&
                 rte_raw_cksum(ip, sizeof(*ip)) == 0xffff &&
                 rte_ipv4_udptcp_cksum_verify(ip, ip + 1) == 0;
    free(copy);
    return valid;
}
