/* Private to bus_link.c, bus_read.c and bus_write.c: one link's end on its lcore. */
#pragma once
#include <sys/queue.h>
#include "bus_link.h"

#define BUS_WAITING_MAX 2

enum bus_pong_due { PONG_NONE, PONG_PLAIN, PONG_FULL };

struct bus_end {
    struct bus_link *link;
    struct bus_links *all;
    struct stream *stream; /* NULL: not opened, or ended */
    TAILQ_ENTRY(bus_end) in_all, in_ready, in_starved, in_strangers;
    bool connecting, known, eof, end_seen;
    bool ready, starved; /* in these lists */
    bool stranger;
    uint64_t silent_until_us; /* a stranger */
    /* In. */
    struct bus_framer framer;
    size_t framer_bytes; /* of it, in all->bytes */
    size_t lent_bytes;
    uint32_t lent_count;
    uint32_t waiting_count;
    struct bus_frame *waiting[BUS_WAITING_MAX];
    /* Out. */
    struct bus_send *sends, *sends_last; /* not wholly in the stream yet */
    uint32_t send_pos;                   /* bytes of the first that are */
    enum bus_pong_due pong_due;
};

TAILQ_HEAD(bus_end_list, bus_end);

struct bus_links {
    struct bus_links_config config;
    struct bus_end_list all, ready, starved, strangers;
    uint32_t inbound_count, stranger_count;
    size_t bytes;           /* of framers and frames, but for large ones */
    struct bus_end *large;  /* whose framer is above BUS_FRAME_MAX */
    bool large_lent;        /* control has a large frame, or it waits here */
    struct bus_frame *lent; /* all that control has */
    uint64_t logged_us;     /* the last line about a peer's fault */
    uint32_t unlogged;      /* faults since */
    bool ended;
};

/* ---- bus_link.c ---- */
/* It may have something to read. */
void bus_end_ready(struct bus_end *e);
/* Memory was freed: those that wait for it may go on. */
void bus_ends_feed(struct bus_links *l);
/* The stream ends now; control is told why. */
void bus_end_reset(struct bus_end *e, enum stream_end why);
void bus_end_close(struct bus_end *e);
/* A valid message came. */
void bus_end_heard(struct bus_end *e);
void bus_end_known(struct bus_end *e);
/* When the link has ended on both sides and all that was lent is back: the last of it. e may be
 * freed. */
void bus_end_release(struct bus_end *e);

/* ---- bus_read.c ---- */
/* A turn of one link, at most *steps: true: there is more to read. */
bool bus_end_turn(struct bus_end *e, uint32_t *steps);
void bus_frame_back(struct bus_frame *frame, void *links);
/* The stream is gone: what waits goes to control (deliver) or is dropped, parts of frames go. */
void bus_end_read_end(struct bus_end *e, bool deliver);
void bus_frame_free(struct bus_links *l, struct bus_frame *frame);

/* ---- bus_write.c ---- */
void bus_send_take(struct bus_send *send, void *links);
/* Moves what control sends into the stream, as far as there is room. */
void bus_end_flush(struct bus_end *e);
/* Sends a PONG, or notes that it is due; false: none is published, or the lease is over. */
bool bus_end_answer(struct bus_end *e, const struct bus_message *m);
/* Gives back what was not sent. */
void bus_end_write_end(struct bus_end *e);
