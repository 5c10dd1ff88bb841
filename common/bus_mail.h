/* One TCP link of the cluster bus, between the lcore that terminates it (dataplane/session/
 * bus_link.h) and the control thread, which runs the cluster's step function. Bytes are framed and
 * validated on the lcore: what arrives here are whole, valid messages with the time of their
 * arrival, what leaves are whole frames. Everything goes by mail, first-in first-out per sender, so
 * the messages of a link arrive in their order.
 *
 * Who owns what:
 *
 *   struct bus_link   whoever makes it: control an outbound one, the lcore one that a peer opened;
 *                     control frees it, after released
 *   struct bus_frame  made by the lcore; control has it until it gives it back, which it must for
 *                     each, also after the link has ended; freed by the lcore
 *   struct bus_send   made by control; the lcore has it until it gives it back, once its last byte
 *                     is in TCP's send queue, or dropped; data must not change meanwhile
 *
 * A link's life: open (outbound) or connected (inbound) is its first mail. connected follows open
 * when TCP has connected. gone says that the stream has ended, or could not be opened. end is
 * control's last mail for the link, but for frames that it gives back; the lcore answers with
 * released, its own last, when all frames and sends are back. What control posts after gone is
 * given back unsent.
 *
 * Bounds: frames under way are limited per link and lcore (bus_link.h); past them a link is not
 * read, TCP holds the peer back, and of PINGs only the newest waits. Sends are control's to bound;
 * what the lcore has not given back is what the peer has not taken.
 *
 * Memory ordering: mail_post() and its receiver's acquire cover every field; each object has one
 * owner at a time. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "bus_codec.h"
#include "mailbox.h"
#include "stream.h"

struct bus_link;
struct bus_frame;
struct bus_send;

struct bus_link_mail {
    struct mail mail; /* first */
    struct bus_link *link;
};

/* The two ends, one path per lcore: set up before either runs, then read-only. What each function
 * is called with last is its end's own. */
struct bus_path {
    struct mailbox *control, *lcore;
    void *control_end, *lcore_end;
    /* Run on the control thread. */
    void (*on_link)(struct bus_link *link, struct bus_link_mail *mail, void *control_end);
    void (*on_frame)(struct bus_frame *frame, void *control_end);
    void (*on_sent)(struct bus_send *send, void *control_end);
    /* Run on the lcore: bus_link.h. */
    void (*lcore_on_link)(struct bus_link *link, struct bus_link_mail *mail, void *lcore_end);
    void (*lcore_on_frame_back)(struct bus_frame *frame, void *lcore_end);
    void (*lcore_on_send)(struct bus_send *send, void *lcore_end);
};

struct bus_link {
    struct bus_link_mail open;      /* control -> lcore, outbound only, first */
    struct bus_link_mail end;       /* control -> lcore, once, last */
    struct bus_link_mail connected; /* lcore -> control, at most once; inbound: its first mail */
    struct bus_link_mail gone;      /* lcore -> control, at most once */
    struct bus_link_mail released;  /* lcore -> control, last */
    const struct bus_path *path;
    bool inbound;
    uint8_t address[BUS_ADDRESS_SIZE]; /* with open */
    uint16_t port;                     /* with open: of the peer's bus */
    bool aborted;        /* with end: reset it; else what TCP has queued goes out first */
    enum stream_end why; /* with gone */
    /* With connected: addresses without port, NUL-terminated; empty: not known. */
    char local_ip[BUS_IP_SIZE], peer_ip[BUS_IP_SIZE];
    void *lcore_state;   /* w, r: lcore */
    void *control_state; /* w, r: control */
};

/* One valid message. */
struct bus_frame {
    struct mail mail; /* first */
    struct bus_link *link;
    uint64_t arrived_us; /* monotonic */
    bool answered;       /* PING: the lcore has sent or queued the published PONG */
    /* w: control, before it gives the frame back: the sender is a node of the cluster. Such links
     * may send more, and stay when they are silent. */
    bool known;
    struct bus_message message; /* its views are in bytes */
    /* The lcore's. */
    struct bus_frame *next, *prev;
    bool large;
    uint8_t *bytes; /* memory, or an allocation of its own */
    uint8_t memory[];
};

struct bus_send {
    struct mail mail; /* first */
    struct bus_link *link;
    const uint8_t *data;
    uint32_t len;
    bool dropped;          /* w: lcore: the link had ended */
    struct bus_send *next; /* the lcore's */
    void *owner;           /* control's */
};

/* NULL: out of memory. */
struct bus_link *bus_link_new(const struct bus_path *path, bool inbound);

/* Control's side. */
void bus_link_post_lcore(struct bus_link_mail *mail);
void bus_frame_give_back(struct bus_frame *frame);
void bus_send_post(struct bus_send *send);
/* The lcore's side. */
void bus_link_post_control(struct bus_link_mail *mail);
void bus_frame_post(struct bus_frame *frame);
void bus_send_give_back(struct bus_send *send);
