/* CAPTURE START, STOP and STATUS on the control thread: what the words mean, and when the client
 * gets its answer. The capture itself is behind struct capture_ops.
 *
 * START answers with the file's path once the capture runs, STOP and STATUS with lines of
 * "name:value". */
#pragma once
#include "admin_mail.h"
#include "capture.h"

/* What a START does not say. */
#define CAPTURE_PACKETS_DEFAULT 1000000
#define CAPTURE_BYTES_DEFAULT (100u << 20)
#define CAPTURE_SECONDS_DEFAULT 60
#define CAPTURE_QUEUE_DEFAULT 1024

struct capture_desk {
    const struct capture_ops *ops; /* NULL: this node has no port to listen at */
    void *arg;
    struct admin_request *waiting; /* clients whose START or STOP is not answered yet */
    enum capture_state told;       /* the log */
};

enum admin_outcome capture_serve(struct capture_desk *desk, struct admin_request *request);
/* Some times per second: answers those who wait, tells the log of beginning and end. */
void capture_desk_tick(struct capture_desk *desk);
/* No lcore runs any more: drops those who wait. */
void capture_desk_fini(struct capture_desk *desk);

/* What START's words ask for; false: error ("ERR …") says what is wrong with them. wall_s names a
 * file that has no name. */
bool capture_words_parse(const struct slice *words, uint32_t word_count, int64_t wall_s,
                         struct capture_spec *spec, char error[ADMIN_ERROR_SIZE]);
