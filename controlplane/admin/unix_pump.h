/* The unix socket: clients that come through the kernel. The control thread pumps their bytes to
 * and from sessions on the lcores (common/unix_mail.h), so redis-cli -s works when the NIC does
 * not.
 *
 * Owner: the control thread. At most UNIX_CLIENTS_MAX clients, one more gets an error and is
 * closed; one buffer each way per client. A client that does not take the rest of its replies after
 * its session has ended is closed UNIX_LINGER_US after the last byte it took. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "unix_mail.h"

#define UNIX_CLIENTS_MAX 1024
#define UNIX_LINGER_US 5000000

/* Something in the control thread's epoll set: the event's data.ptr. */
struct control_source {
    void (*ready)(struct control_source *source, uint32_t events);
};

struct unix_pump;

struct unix_pump_options {
    const char *path;
    unsigned permissions; /* 0: as the umask has it */
    int epoll_fd;
    struct mailbox *control;
    /* struct unix_link's: what mails run on the lcore. */
    void (*lcore_run)(struct unix_link *link, struct unix_mail *mail, void *worker);
};

/* Listens on path. A socket file that nobody listens on is replaced. NULL: err says why. */
struct unix_pump *unix_pump_new(const struct unix_pump_options *options, char *err,
                                size_t err_size);
/* From now on clients are accepted, for these lcores in turn; the array is borrowed. */
void unix_pump_start(struct unix_pump *p, struct mailbox *const *lcores, unsigned lcore_count);
/* No new clients, the socket file is gone. */
void unix_pump_stop(struct unix_pump *p);
/* Some times per second. */
void unix_pump_tick(struct unix_pump *p, uint64_t now_us);
/* After a batch of epoll events and mail: frees clients that have ended. */
void unix_pump_reap(struct unix_pump *p);
unsigned unix_pump_clients(const struct unix_pump *p);
/* When no lcore runs any more: closes everything; what was under way is dropped. */
void unix_pump_free(struct unix_pump *p);

/* unix_listen.c: the listening socket of path, as a stream socket that does not block; -1: err. */
int unix_listen(const char *path, unsigned permissions, char *err, size_t err_size);
