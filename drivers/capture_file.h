/* The file of a packet capture: pcapng by rte_pcapng, stamps in nanoseconds of the wall clock,
 * checksums that the port's hardware would have filled in filled in.
 *
 * Belongs to the capture's thread; its calls may wait for the disk. Whatever happens the file ends
 * behind a whole block: what a full disk took of the next one is cut off again. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "capture.h"

struct rte_mbuf;
struct rte_pcapng;

/* Of the block of statistics at the end: room that the bound on the file's size leaves. */
#define CAPTURE_FILE_END_BYTES 128

struct capture_file {
    int fd;
    struct rte_pcapng *pcapng;
    uint16_t port_id;
    uint64_t packets;
    uint64_t bytes; /* all of it whole blocks */
    /* Cycles and the wall clock, read at the same moment. */
    uint64_t clock_cycles;
    uint64_t clock_ns;
};

/* Makes it in the working directory, for its owner's eyes only; an existing file is never touched.
 * port_name stands in its head. False: err, and no file is left. */
bool capture_file_open(struct capture_file *file, const char *name, uint16_t port_id,
                       const char *port_name, char err[CAPTURE_ERROR_SIZE]);
/* Where it lies, as far as /proc tells. */
void capture_file_path(const struct capture_file *file, char path[CAPTURE_PATH_SIZE]);
/* Once per round: stamps are counted from here, so that a long capture does not drift. */
void capture_file_clock(struct capture_file *file);
/* Copies of a capture_queue, at most CAPTURE_FILE_BATCH; frees them. False: the disk refused some
 * of them, err says why. */
#define CAPTURE_FILE_BATCH 64
bool capture_file_write(struct capture_file *file, struct rte_mbuf **copies, unsigned n,
                        char err[CAPTURE_ERROR_SIZE]);
/* Writes the statistics and closes it. */
void capture_file_close(struct capture_file *file, uint64_t dropped);
