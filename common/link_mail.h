/* One TCP connection of the control thread. An lcore terminates the TCP (dataplane/lcore/
 * link_stream.h), the control thread sees a stream (controlplane/admin/links.h). Between them go
 * mails that all lie inside this object: nothing is allocated on the way and nothing can fail.
 *
 * Each direction has one buffer, which belongs to one side at a time and changes hands by mail, so
 * what is under way is bounded and each side holds the other back:
 *
 *   out:  control fills it and posts it; the lcore posts it back once TCP has room for more
 *   in:   the lcore fills it and posts it; control posts it back, all consumed
 *
 * The control thread makes and frees every link. open is its first mail and end its last; the lcore
 * answers end with released, its own last. Mail is first-in first-out per sender, so after released
 * nothing is under way any more. A stream that ends by itself says gone; what control posts after
 * that is dropped, but for end.
 *
 * A link is opened to a peer, or offered for whoever connects to a port: an lcore listens on a port
 * exactly while it holds offers for it, and refuses when it has none left. So what strangers can
 * open is bounded by what control has offered.
 *
 * What the lcore does with its end is lcore_run's matter: one that frames messages on the lcore
 * itself (the cluster bus) takes the same mails.
 *
 * Memory ordering: mail_post() and its receiver's acquire cover every field, each has one owner at
 * a time. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mailbox.h"
#include "stream.h"

#define LINK_BUFFER_SIZE 16384
#define LINK_ADDRESS_SIZE 16

struct link;

struct link_mail {
    struct mail mail; /* first */
    struct link *link;
};

struct link_buffer {
    struct link_mail mail; /* first */
    size_t len;            /* bytes in data; 0 from the lcore: the peer sends no more */
    uint8_t data[LINK_BUFFER_SIZE];
};

struct link {
    struct link_mail open;      /* control -> lcore, first */
    struct link_mail end;       /* control -> lcore, last */
    struct link_mail connected; /* lcore -> control, at most once; accepted, if it was offered */
    struct link_mail gone;      /* lcore -> control, at most once: ended by itself */
    struct link_mail released;  /* lcore -> control, last */
    bool listen;                /* with open: an offer for port; else to address and port */
    uint8_t address[LINK_ADDRESS_SIZE]; /* IPv4 as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2) */
    uint16_t port;
    bool aborted;        /* with end: reset it; else what was sent goes out first */
    enum stream_end why; /* with gone; with released: why it had not connected by then */
    char peer[STREAM_NAME_SIZE], local[STREAM_NAME_SIZE]; /* with connected: the endpoints */
    struct mailbox *control, *lcore;
    /* What mails to the lcore run there: link_stream_mail(). */
    void (*lcore_run)(struct link *link, struct link_mail *mail, void *worker);
    /* What mails to control run there. */
    void (*control_run)(struct link *link, struct link_mail *mail, void *control);
    void *lcore_state;   /* w, r: lcore */
    void *control_state; /* w, r: control */
    struct link_buffer in, out;
};

/* The caller sets the target, mailboxes, runs and control_state before it posts open; free() ends
 * it. NULL: out of memory. */
struct link *link_new(void);

/* Post a link's mail to a side. */
void link_mail_post_lcore(struct link_mail *mail);
void link_mail_post_control(struct link_mail *mail);
