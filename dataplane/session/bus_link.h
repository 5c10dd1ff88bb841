/* The lcore's end of the cluster bus: frames and validates what arrives on its links, answers PING
 * and MEET at once, and mails whole messages to the control thread (common/bus_mail.h).
 *
 * Owner: one lcore, all calls. Nothing here is shared with clients: links have their own buffers,
 * their own share of a round (BUS_ROUND_STEPS), and are run before commands, so that no load of
 * clients holds the bus up, and none on the bus the clients.
 *
 * Answering: from the published PONG (common/cluster_view.h), with the replication offset of the
 * moment, while the lease holds; past it PINGs go to control unanswered. While the peer has not
 * taken what control sends, one PONG, for all PINGs that come meanwhile, waits for the end of the
 * frame that is on its way.
 *
 * Bounds. A link whose messages control has not given back (BUS_LINK_LENT_MAX bytes) keeps two more
 * here, of successive PINGs only the newest (the others are answered all the same); then it is not
 * read until some come back. A link whose peer takes no PONGs (BUS_LINK_OUT_MAX bytes queued) is
 * not read either. All messages and parts of messages of an lcore together: past BUS_MEMORY_MAX
 * bytes no link begins another. Messages above BUS_FRAME_MAX, which only known nodes may send, are
 * read one at a time. A peer that control has not called known is a stranger: BUS_STRANGERS_MAX at
 * a time, the one silent for longest is cut for the next, BUS_STRANGER_US in silence, frames of
 * BUS_STRANGER_FRAME_MAX bytes. */
#pragma once
#include "bus_mail.h"
#include "cluster_view.h"
#include "worker.h"

#define BUS_LINK_LENT_MAX 65536
#define BUS_LINK_OUT_MAX 262144
#define BUS_MEMORY_MAX (128u << 20)
#define BUS_STRANGERS_MAX 64
#define BUS_STRANGER_US 30000000
#define BUS_STRANGER_FRAME_MAX 131072
#define BUS_INBOUND_MAX 8192 /* links that peers opened, on one lcore */
#define BUS_ROUND_STEPS 128  /* frames, or pieces of them, of all links, per round */
#define BUS_TURN_STEPS 16    /* of one link, before the next has its turn */

struct bus_links;

struct bus_links_config {
    const struct bus_path *path; /* its lcore_end and functions are set by bus_links_path() */
    struct worker *worker;       /* its time */
    struct cluster_shared *shared;
    uint32_t publish_max; /* of known nodes: bus_limits */
    /* Opens a connection, as tcp_connect(); NULL: no route, no port, too many. */
    struct stream *(*connect)(void *ctx, const uint8_t address[BUS_ADDRESS_SIZE], uint16_t port,
                              const struct stream_user_ops *user_ops, void *user);
    uint64_t (*offset)(void *ctx); /* of replication, as of now */
    void *ctx;
};

/* NULL: out of memory. */
struct bus_links *bus_links_new(const struct bus_links_config *config);
/* Fills in the lcore's half of a path. */
void bus_links_path(struct bus_links *l, struct bus_path *path);
/* A peer has connected to the bus port: as tcp_accept_fn. False: BUS_INBOUND_MAX, or no memory. */
bool bus_links_accept(void *links, struct stream *s);
/* Once per round of the loop, before commands: reads what has arrived, within the round's share.
 * True: something is left that needs no event. */
bool bus_links_run(struct bus_links *l);
/* When bus_links_run() has to be called though nothing has arrived; UINT64_MAX: never. */
uint64_t bus_links_deadline_us(const struct bus_links *l);
/* The lcore ends: resets every link; control is told. */
void bus_links_end(struct bus_links *l);
/* When the control thread has ended too, before the streams' transport is freed: resets what is
 * left, telling nobody, and frees all messages, those that control had too. Links and sends are
 * control's to free. */
void bus_links_free(struct bus_links *l);
/* Invariants, for tests. */
void bus_links_validate(const struct bus_links *l);
