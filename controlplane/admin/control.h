/* The control thread: mail from the lcores, the unix socket, signals, the log, and a watch over the
 * lcores' heartbeats.
 *
 * Owner: one thread, the process's first; it may wait, in an epoll set that mail wakes. Pieces of
 * work are short; what may take longer (rewriting the configuration file) happens on a client's
 * request only. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "admin_mail.h"
#include "mailbox.h"
#include "unix_mail.h"

struct control;

struct control_options {
    const char *config_path; /* of the file that was loaded, absolute; NULL or "": none */
    unsigned lcore_count;
    struct mailbox **lcores; /* [lcore_count]: borrowed, must outlive the control thread's state */
    /* Runs on an lcore for each mail of the unix pump: unix_stream_mail() of
     * dataplane/session/unix_stream.h. */
    void (*unix_lcore_run)(struct unix_link *link, struct mail *mail, void *worker);
    /* Once the end was asked for, on the control thread, with the reason ("SIGTERM", "SHUTDOWN");
     * may be NULL. */
    void (*stopping)(void *arg, const char *why);
    /* About ten times a second; may be NULL. */
    void (*tick)(void *arg);
    void *arg;
};

/* Blocks the signals that the control thread reads itself (SIGTERM, SIGINT) and ignores SIGHUP and
 * SIGPIPE: first thing in main, so that all threads inherit it. */
void control_signals_setup(void);

/* Opens what the published configuration names (the unix socket). NULL: err says why. The lcores'
 * mailboxes must exist; the lcores need not run yet. */
#define CONTROL_ERROR_SIZE 512
struct control *control_new(const struct control_options *options, char err[CONTROL_ERROR_SIZE]);
/* For struct node: where lcores post to. */
struct mailbox *control_mailbox(struct control *c);
/* Until a signal, SHUTDOWN or control_stop(). The calling thread becomes the control thread: it is
 * attached to its metrics block and must not be an RCU reader. Afterwards lcores may still post;
 * call control_drain() when they have ended. */
void control_run(struct control *c);
/* Any thread. */
void control_stop(struct control *c, const char *why);
/* Runs what is left in the mailbox after the lcores have ended. */
void control_drain(struct control *c);
/* Closes and removes the socket. */
void control_free(struct control *c);
