/* MIGRATE's connections to other nodes, over the lcore's own TCP. One that has done its work is
 * kept for the next command to the same node.
 *
 * Owner: one lcore. At most MIGRATE_LINKS_IDLE_MAX are kept, the oldest goes first, each for
 * MIGRATE_LINK_IDLE_US; those in use are as many as there are parked clients. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "stream.h"
#include "worker.h"

#define MIGRATE_LINKS_IDLE_MAX 64
#define MIGRATE_LINK_IDLE_US 10000000
/* A longer line of a reply is none. */
#define MIGRATE_LINE_MAX 1024

struct migrate_link {
    struct migrate_link *next; /* of the idle ones, the newest first */
    struct worker *worker;
    struct stream *stream; /* NULL: it has ended */
    enum stream_end why;
    uint8_t address[16];
    uint16_t port;
    bool connected;
    int64_t database; /* that was selected; -1: none */
    uint64_t idle_since_us;
    void (*event)(void *user); /* connected, bytes, room or end */
    void *user;
    char line[MIGRATE_LINE_MAX + 1];
    size_t line_len;
};

/* An idle one to address, or a new one that connects; event() comes later, never inside this call.
 * NULL: no route, no port, no memory. */
struct migrate_link *migrate_link_open(struct worker *w, const uint8_t address[16], uint16_t port,
                                       void (*event)(void *user), void *user);
/* Takes it back: nothing is under way on it. */
void migrate_link_keep(struct migrate_link *link);
/* Ends and frees it. */
void migrate_link_close(struct migrate_link *link);

enum migrate_line { MIGRATE_LINE_NONE, MIGRATE_LINE_READ, MIGRATE_LINE_INVALID };
/* The next line of what the peer said, without its end, into line, NUL-terminated. */
enum migrate_line migrate_link_read(struct migrate_link *link);

/* Some times per second: ends what was idle for too long. */
void migrate_links_cron(struct worker *w);
void migrate_links_free(struct worker *w);
