/* The control thread: EAL's main thread, after the lcores have been launched. Runs mail (CONFIG SET, REWRITE,
 * RESETSTAT, SHUTDOWN), writes the log, pumps the admin socket's bytes, watches. It may wait; nobody waits
 * for it. No piece of its work is over 1 ms. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "mailbox.h"

struct control;

struct control_options {
    const char *config_path;   /* for CONFIG REWRITE; NULL: started without a file */
    struct mailbox **lcore_mail; /* mailboxes of the lcores, for streams of the unix socket */
    unsigned lcore_count;
    /* Called some times per second: link state, heartbeats. */
    void (*watch)(void *arg, uint64_t now_us);
    void *watch_arg;
};

/* Takes over SIGTERM and SIGINT; opens the unix socket if configured. NULL: err says why. mailbox: the control
 * thread's own, initialised by the caller and known to the lcores. */
struct control *control_new(const struct control_options *options, struct mailbox *mailbox,
                            char err[256]);
/* Until a signal or SHUTDOWN; the thread must be QSBR-registered. */
void control_run(struct control *c);
/* Any thread (a signal handler too): control_run() returns soon. */
void control_stop(struct control *c);
void control_free(struct control *c);
