#define ALLOW_EXPERIMENTAL_API /* rte_pcapng, in all of 22.11 */
#include "capture_file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_pcapng.h>
#include "capture_queue.h"
#include "check.h"
#include "offload.h"

/* ---- stamps ---- */

void capture_file_clock(struct capture_file *file)
{
    struct timespec now;
    uint64_t before = rte_rdtsc();
    CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
    file->clock_cycles = before + (rte_rdtsc() - before) / 2;
    file->clock_ns = (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static uint64_t cycles_to_ns(uint64_t cycles)
{
    uint64_t hz = rte_get_tsc_hz();
    return cycles / hz * NS_PER_S + cycles % hz * NS_PER_S / hz;
}

/* Stamps lie on both sides of the moment at which the clock was read. */
static uint64_t wall_ns(const struct capture_file *file, uint64_t cycles)
{
    if (cycles <= file->clock_cycles)
        return file->clock_ns - cycles_to_ns(file->clock_cycles - cycles);
    return file->clock_ns + cycles_to_ns(cycles - file->clock_cycles);
}

/* ---- blocks ---- */

/* The frame stands behind the block's header; for a moment it is all that the buffer holds. */
static void sums_fill(struct rte_mbuf *copy, const struct capture_block *block)
{
    uint16_t length = rte_pktmbuf_data_len(copy);
    copy->data_off = (uint16_t)(copy->data_off + sizeof(*block));
    copy->data_len = (uint16_t)block->captured_bytes;
    copy->pkt_len = block->captured_bytes;
    offload_sums_fill(copy);
    copy->data_off = (uint16_t)(copy->data_off - sizeof(*block));
    copy->data_len = length;
    copy->pkt_len = length;
}

static void block_finish(const struct capture_file *file, struct rte_mbuf *copy)
{
    struct capture_block *block = rte_pktmbuf_mtod(copy, struct capture_block *);
    capture_block_stamp_set(block, wall_ns(file, capture_block_stamp(block)));
    if (block->captured_bytes == block->frame_bytes)
        sums_fill(copy, block);
}

/* ---- the file ---- */

/* The place behind the last whole block from at (the start of one) on; *blocks: how many.
 * rte_pcapng does not tell a short write from a whole one. */
static uint64_t blocks_end(int fd, uint64_t at, unsigned *blocks)
{
    struct stat file;
    uint32_t head[2]; /* type and length */
    *blocks = 0;
    if (fstat(fd, &file) != 0)
        return at;
    while (pread(fd, head, sizeof(head), (off_t)at) == sizeof(head) && head[1] >= sizeof(head) &&
           at + head[1] <= (uint64_t)file.st_size) {
        at += head[1];
        ++*blocks;
    }
    return at;
}

/* Takes back what came of a block that did not fit. */
static void cut_back(const struct capture_file *file)
{
    off_t end = (off_t)file->bytes;
    if (ftruncate(file->fd, end) == 0)
        (void)lseek(file->fd, end, SEEK_SET);
}

/* Why the last write was a short one: the next is told. */
static const char *refusal(const struct capture_file *file)
{
    errno = 0;
    bool refused = write(file->fd, "", 1) < 0;
    return strerror(refused ? errno : ENOSPC);
}

bool capture_file_open(struct capture_file *file, const char *name, uint16_t port_id,
                       const char *port_name, char err[CAPTURE_ERROR_SIZE])
{
    char hardware[128];
    unsigned blocks = 0;
    memset(file, 0, sizeof(*file));
    file->port_id = port_id;
    file->fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file->fd < 0) {
        snprintf(err, CAPTURE_ERROR_SIZE, "can't create '%s': %s", name, strerror(errno));
        return false;
    }
    snprintf(hardware, sizeof(hardware), "port %s", port_name);
    file->pcapng = rte_pcapng_fdopen(file->fd, NULL, hardware, "slotwire " SLOTWIRE_VERSION, NULL);
    if (file->pcapng != NULL)
        file->bytes = blocks_end(file->fd, 0, &blocks);
    /* A section and an interface for every port. */
    if (blocks >= 1u + rte_eth_dev_count_avail()) {
        capture_file_clock(file);
        return true;
    }
    snprintf(err, CAPTURE_ERROR_SIZE, "can't write '%s': %s", name, refusal(file));
    if (file->pcapng != NULL)
        rte_pcapng_close(file->pcapng);
    else
        close(file->fd);
    unlink(name);
    return false;
}

void capture_file_path(const struct capture_file *file, char path[CAPTURE_PATH_SIZE])
{
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", file->fd);
    ssize_t len = readlink(link, path, CAPTURE_PATH_SIZE - 1);
    path[len > 0 ? len : 0] = '\0';
}

bool capture_file_write(struct capture_file *file, struct rte_mbuf **copies, unsigned n,
                        char err[CAPTURE_ERROR_SIZE])
{
    uint64_t written_to = file->bytes;
    unsigned whole = 0;
    CHECK(n <= CAPTURE_FILE_BATCH);
    for (unsigned i = 0; i < n; i++)
        block_finish(file, copies[i]);
    /* One writev() for all of them; it writes less when the disk is full. */
    ssize_t wrote = n == 0 ? 0 : rte_pcapng_write_packets(file->pcapng, copies, (uint16_t)n);
    written_to += wrote > 0 ? (uint64_t)wrote : 0;
    for (; whole < n && file->bytes + rte_pktmbuf_pkt_len(copies[whole]) <= written_to; whole++)
        file->bytes += rte_pktmbuf_pkt_len(copies[whole]);
    file->packets += whole;
    rte_pktmbuf_free_bulk(copies, n);
    if (whole == n)
        return true;
    snprintf(err, CAPTURE_ERROR_SIZE, "%s", refusal(file));
    cut_back(file);
    return false;
}

void capture_file_close(struct capture_file *file, uint64_t dropped)
{
    unsigned blocks;
    (void)rte_pcapng_write_stats(file->pcapng, file->port_id, NULL, 0, 0, file->packets + dropped,
                                 dropped);
    file->bytes = blocks_end(file->fd, file->bytes, &blocks);
    cut_back(file);
    rte_pcapng_close(file->pcapng);
}
