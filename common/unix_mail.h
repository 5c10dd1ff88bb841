/* One client on the unix socket. The control thread owns the descriptor and pumps bytes; the
 * session lives on an lcore and sees a stream. Between them go six mails, all inside this object,
 * so that nothing is allocated on the way and nothing can fail.
 *
 * Each direction has one buffer, which belongs to one side at a time and changes hands by mail, so
 * what is under way is bounded and each side holds the other back:
 *
 *   in:   control fills it from the socket and posts it; the lcore posts it back, all consumed
 *   out:  the lcore fills it from the send queue and posts it; control posts it back, all written
 *
 * open is the first mail to the lcore. Both sides end by themselves, in any order: each posts its
 * end once, as its last mail, and from then on only drops what arrives. A side is finished when it
 * has posted its end and received the other's: mail is first-in first-out per sender, so nothing
 * is under way to it any more. unix_link_finish() by both frees the object.
 *
 * Memory ordering: mail_post() and its receiver's acquire cover every field here, each has one
 * owner at a time; the count of finished sides is acquire-release. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mailbox.h"

#define UNIX_BUFFER_SIZE 16384
#define UNIX_PATH_SIZE 108 /* sun_path */

struct unix_link;

struct unix_mail {
    struct mail mail; /* first */
    struct unix_link *link;
};

struct unix_buffer {
    struct unix_mail mail; /* first */
    size_t len;            /* bytes in data; 0 from the socket: the client sends no more */
    uint8_t data[UNIX_BUFFER_SIZE];
};

struct unix_link {
    struct unix_mail open;        /* control -> lcore, once */
    struct unix_mail end_control; /* control -> lcore, once: the socket is gone */
    struct unix_mail closing;     /* lcore -> control, at most once: what the client sends is not
                                   * wanted any more, it gets the rest of what was queued */
    struct unix_mail end_lcore;   /* lcore -> control, once: the stream is closed */
    bool lcore_aborted;           /* with end_lcore: drop what was not written yet */
    struct mailbox *control, *lcore;
    /* What mails to the lcore run there: unix_stream_mail() of dataplane/session/unix_stream.h. */
    void (*lcore_run)(struct unix_link *link, struct unix_mail *mail, void *worker);
    /* What mails to control run there. */
    void (*control_run)(struct unix_link *link, struct unix_mail *mail, void *control);
    void *lcore_state;                /* w, r: lcore */
    void *control_state;              /* w, r: control */
    char path[UNIX_PATH_SIZE];        /* of the socket, NUL-terminated, for CLIENT LIST */
    _Atomic(uint32_t) finished_count; /* sides */
    struct unix_buffer in, out;
};

/* The caller sets mailboxes, runs, control_state and path before it posts open. NULL: out of
 * memory. */
struct unix_link *unix_link_new(void);
/* Each side once, when it is finished (above); the second call frees. */
void unix_link_finish(struct unix_link *link);

/* Post a link's mail to a side. */
void unix_mail_post_lcore(struct unix_mail *mail);
void unix_mail_post_control(struct unix_mail *mail);
