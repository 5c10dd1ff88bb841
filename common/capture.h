/* A packet capture of the running node, as the control plane asks drivers/ for it; main/ puts the
 * two together.
 *
 * All calls are the control thread's and none of them waits: a helper thread of drivers/ opens the
 * file, writes it and ends it, so that a slow disk holds nobody up. One capture at a time. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CAPTURE_FILE_SIZE 128  /* of a name without a folder, its NUL included */
#define CAPTURE_PATH_SIZE 1024 /* of the path that is shown */
#define CAPTURE_ERROR_SIZE 256

#define CAPTURE_SNAPLEN_MIN 64
#define CAPTURE_SNAPLEN_MAX 65000
#define CAPTURE_BYTES_MIN 4096
#define CAPTURE_SECONDS_MAX 604800 /* a week */
#define CAPTURE_QUEUE_MIN 64
#define CAPTURE_QUEUE_MAX 65536

struct capture_spec {
    char file[CAPTURE_FILE_SIZE]; /* in the working directory; must not exist */
    uint32_t snaplen;             /* bytes kept of a frame; 0: what the port's MTU makes of it */
    uint64_t packets_max;         /* the first bound that is reached ends the capture */
    uint64_t bytes_max;           /* of the file */
    uint32_t seconds_max;
    uint32_t queue_frames; /* per lcore: copies that may wait to be written */
};

enum capture_state {
    CAPTURE_NONE, /* there was none yet */
    CAPTURE_STARTING,
    CAPTURE_RUNNING,
    CAPTURE_STOPPING, /* what waits is still written */
    CAPTURE_ENDED,    /* the file is whole and closed */
    CAPTURE_FAILED,   /* it never ran: error says why, no file is left */
};

enum capture_end {
    CAPTURE_END_NONE,
    CAPTURE_END_STOPPED, /* by capture_ops.stop, or the end of the node */
    CAPTURE_END_PACKETS,
    CAPTURE_END_BYTES,
    CAPTURE_END_SECONDS,
    CAPTURE_END_WRITE, /* the disk refused: error says why; the file holds whole packets */
};

/* What of the last capture is known; counters of a running one may lag by a moment. */
struct capture_status {
    enum capture_state state;
    enum capture_end end;
    struct capture_spec spec;
    char path[CAPTURE_PATH_SIZE];
    char error[CAPTURE_ERROR_SIZE];
    uint64_t packets;   /* in the file */
    uint64_t bytes;     /* of the file */
    uint64_t dropped;   /* not captured: queue_frames copies waited already */
    uint64_t truncated; /* captured without what lay beyond snaplen */
    uint64_t duration_us;
};

struct capture_ops {
    /* The file and the buffers are made in the background: state goes from STARTING to RUNNING or
     * FAILED. False: one runs already, or err says what is missing. */
    bool (*start)(void *arg, const struct capture_spec *spec, char err[CAPTURE_ERROR_SIZE]);
    /* Asks a starting or running one to end; state goes to ENDED (or FAILED). */
    void (*stop)(void *arg);
    void (*status)(void *arg, struct capture_status *status);
};

static inline bool capture_active(enum capture_state state)
{
    return state == CAPTURE_STARTING || state == CAPTURE_RUNNING || state == CAPTURE_STOPPING;
}
