/* One client on the unix socket. The control thread owns the descriptor and pumps bytes; the
 * session lives on an lcore and sees a stream. Between them go five mails, all inside this object.
 *
 * Each direction has one buffer, which belongs to one side at a time and changes hands by mail, so
 * what is under way is bounded and both sides hold the other back:
 *
 *   in:   control fills it from the socket, posts in; the lcore posts it back once all was consumed
 *   out:  the lcore fills it from the send queue, posts out; control posts it back once all was
 * written
 *
 * open is the first mail to the lcore. end says "my side has ended": each side posts its own once,
 * and after that nothing but what it was sent and hands back. The object is freed by control, once
 * both sides have ended and both buffers are home again (in: control's, out: the lcore's).
 *
 * Memory ordering: mail_post() and its receiver's acquire cover every field here. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mailbox.h"

#define UNIX_BUFFER_SIZE 16384

struct unix_buffer {
    struct mail mail;
    size_t len; /* bytes in data; 0 from the socket: it sends no more (end of file) */
    uint8_t data[UNIX_BUFFER_SIZE];
};

struct unix_link {
    struct mail open;        /* control -> lcore, once */
    struct mail end_control; /* control -> lcore, once: the socket is gone */
    struct mail
        end_lcore; /* lcore -> control, once: the stream is closed, queued bytes were handed over */
    struct unix_buffer in, out;
    struct mailbox *control, *lcore;
    /* What the lcore's mails run there; set by control from its options. */
    void (*lcore_run)(struct unix_link *link, struct mail *mail, void *worker);
    /* What mails to control run there; set by control. */
    void (*control_run)(struct unix_link *link, struct mail *mail, void *control);
    void *lcore_state;   /* w: lcore */
    void *control_state; /* w: control */
    char path[108];      /* of the socket, for CLIENT LIST */
};
