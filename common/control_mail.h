/* What lcores ask of the control thread, and how it answers: the same mail goes there and back.
 *
 * A command that needs it (CONFIG SET, REWRITE, RESETSTAT, SHUTDOWN) parks its session, fills in a request and
 * posts it to the control thread's mailbox. The control thread does the work, sets ok or error, and posts the
 * mail back to reply_to, where done() runs on the lcore: it finds its session by client_id (it may be gone),
 * replies, and frees the request. Bounded by parked sessions: one request each. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "mailbox.h"
#include "slice.h"

enum control_request_kind { CONTROL_CONFIG_SET, CONTROL_CONFIG_REWRITE, CONTROL_RESETSTAT, CONTROL_SHUTDOWN };

struct control_request {
    struct mail mail; /* first */
    enum control_request_kind kind;
    struct mailbox *reply_to;
    void (*done)(struct control_request *r, void *worker); /* on the lcore; owns r */
    uint64_t client_id;
    /* CONFIG SET: name value name value …, copies owned by the request. */
    struct slice *words;
    unsigned word_count;
    bool ok;
    bool cancelled; /* SHUTDOWN ABORT */
    char error[320]; /* text of the error reply after "-", when not ok */
};

/* Words are copied; NULL: out of memory. Frees with control_request_free(). */
struct control_request *control_request_new(enum control_request_kind kind, const struct slice *words,
                                            unsigned word_count);
void control_request_free(struct control_request *r);
/* The handler that the control plane gives to mail.run before anything is posted; set once at start. */
extern void (*control_request_run)(struct mail *mail, void *control);
