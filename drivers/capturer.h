/* Packet capture of a running port into a pcapng file: what common/capture.h asks for.
 *
 * A capture has a thread of its own from start to end. It makes buffers and file, puts a queue on
 * each port queue's hook, takes copies out a thousand times a second and writes them in the order
 * of their stamps; at the end it takes the queues off and waits until no lcore is in them. The
 * calls below are the control thread's and do not wait, but for capturer_free(). */
#pragma once
#include <stdbool.h>
#include "capture.h"
#include "capture_hook.h"

#define CAPTURER_HOOKS_MAX 64

struct capturer;

struct capturer_options {
    struct capture_hook *hook[CAPTURER_HOOKS_MAX]; /* of the port's queues */
    int hook_count;
    uint16_t port_id; /* DPDK's: the interface that the file names */
    uint16_t mtu;
    const char *port_name; /* borrowed */
};

struct capturer *capturer_new(const struct capturer_options *options);
/* As struct capture_ops says. */
bool capturer_start(struct capturer *c, const struct capture_spec *spec,
                    char err[CAPTURE_ERROR_SIZE]);
void capturer_stop(struct capturer *c);
void capturer_status(const struct capturer *c, struct capture_status *status);
/* Ends a capture that runs and waits for its file. The port is still open. NULL is fine. */
void capturer_free(struct capturer *c);
