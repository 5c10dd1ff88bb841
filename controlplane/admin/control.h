/* The control thread: mail from the lcores, the unix socket, signals, the log, and a watch over the
 * lcores' heartbeats.
 *
 * Owner: one thread, the process's first; it may wait, in an epoll set that mail wakes. Pieces of
 * work are short; what waits for the disk (rewriting the configuration file) a helper thread does.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "admin_mail.h"
#include "capture.h"
#include "link_mail.h"
#include "mailbox.h"
#include "unix_mail.h"

#define CONTROL_TICK_US 100000
#define CONTROL_STOP_US 2000000 /* an orderly end takes no longer */

struct bus_path;
struct cluster_host;
struct control;

struct control_options {
    const char *config_path; /* of the file that was loaded, absolute; NULL or "": none */
    /* Runs on an lcore for each mail of the unix pump: unix_stream_mail() of
     * dataplane/session/unix_stream.h. */
    void (*unix_lcore_run)(struct unix_link *link, struct unix_mail *mail, void *worker);
    /* Runs on an lcore for each mail of a link: link_stream_mail() of
     * dataplane/lcore/link_stream.h. */
    void (*link_lcore_run)(struct link *link, struct link_mail *mail, void *worker);
    /* Once the end was asked for, on the control thread, with the reason ("SIGTERM", "SHUTDOWN"):
     * asks the lcores to end, without waiting. May be NULL. */
    void (*stopping)(void *arg, const char *why);
    /* From then on: have the lcores ended? NULL: at once. */
    bool (*stopped)(void *arg);
    /* About ten times a second; may be NULL. */
    void (*tick)(void *arg, uint64_t now_us);
    /* The node's part in a cluster; NULL: cluster-enabled no. */
    const struct cluster_host *cluster;
    void *arg;
    const struct capture_ops *capture; /* NULL: there is nothing to capture */
    void *capture_arg;
};

/* Blocks the signals that the control thread reads itself (SIGTERM, SIGINT) and ignores SIGHUP and
 * SIGPIPE: first thing in main, so that all threads inherit it. */
void control_signals_setup(void);

/* Opens what the published configuration names (the unix socket). NULL: err says why. */
#define CONTROL_ERROR_SIZE 768
struct control *control_new(const struct control_options *options, char err[CONTROL_ERROR_SIZE]);
/* For struct node: where lcores post to. Lives until control_free(). */
struct mailbox *control_mailbox(struct control *c);
/* For the lcores: their ends of the cluster bus, and its port; NULL and 0: there is no cluster. */
struct bus_path *control_bus_path(struct control *c, unsigned lcore);
uint16_t control_bus_port(const struct control *c);
/* Before control_run(): the lcores' mailboxes, for clients of the unix socket and links; borrowed,
 * and read until control_run() has returned. */
void control_lcores_set(struct control *c, struct mailbox *const *lcores, unsigned lcore_count);
/* Until a signal, SHUTDOWN or control_stop(); then until the lcores have ended, CONTROL_STOP_US at
 * most: clients get their last replies meanwhile. The caller is a QSBR reader (online), has its
 * metrics block, and has called log_start(). Further signals change nothing: supervisors send them
 * twice, and the end is bounded. */
void control_run(struct control *c);
/* Any thread; why lives as long as the process. */
void control_stop(struct control *c, const char *why);
/* For struct node: a client's PUBLISH for the other nodes (common/cluster_mail.h). control: what the
 * mailbox is run with. */
void control_cluster_publish(struct mail *mail, void *control);
/* Closes and removes the socket. No lcore runs any more; what is left in the mailbox is dropped. */
void control_free(struct control *c);
