/* TCP connections of the control thread, through the NIC: an lcore terminates them, here each is a
 * struct stream (common/stream.h) whose calls and callbacks happen on the control thread. What goes
 * between is common/link_mail.h.
 *
 * Owner: the control thread. A stream's out queue empties into one buffer that the lcore gives back
 * when TCP has room, so out->len is what the peer has not let go yet: users bound it, link_send()
 * does so by LINK_QUEUE_MAX. Unread bytes stay with the lcore and close the peer's window. At most
 * LINKS_MAX links, offers of listeners included.
 *
 * Ends: TIMEOUT (deadline passed, or TCP gave up), UNREACHABLE (no route, or at the deadline nobody
 * has the address), REFUSED, RESET, ABORTED (short of memory, or the node ends). A stream that was
 * closed has LINK_LINGER_US to hand over what was queued, then it is reset. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "link_mail.h"
#include "stream.h"

#define LINKS_MAX 4096
#define LINK_QUEUE_MAX (1u << 20)
#define LINK_LINGER_US 5000000
#define LINK_OFFERS 8 /* per listener and lcore: connections accepted in one burst */

struct links;
struct link_listener;

/* Where to: the lcore that terminates it, the peer, and how long to wait for the handshake. */
struct link_target {
    unsigned lcore;
    uint8_t address[LINK_ADDRESS_SIZE];
    uint16_t port;
    uint64_t timeout_us;
};

/* lcore_run: struct link's. control: this thread's mailbox. */
struct links *links_new(struct mailbox *control,
                        void (*lcore_run)(struct link *link, struct link_mail *mail, void *worker));
/* From now on links can be opened, on these lcores; the array is borrowed. */
void links_start(struct links *l, struct mailbox *const *lcores, unsigned lcore_count);
/* Some times per second; deadlines are as fine as that. */
void links_tick(struct links *l, uint64_t now_us);
/* When no lcore runs any more: every stream still in use ends with ABORTED. */
void links_free(struct links *l);
unsigned links_lcore_count(const struct links *l);
/* All that are not freed yet, offers included. */
unsigned links_count(const struct links *l);

/* "10.77.0.2" or "fd77::2". */
bool link_address_parse(const char *text, uint8_t address[LINK_ADDRESS_SIZE]);
/* connected() or ended() follows later, never inside this call. NULL: LINKS_MAX, out of memory, or
 * no lcores (before start, after the end). */
struct stream *link_open(struct links *l, const struct link_target *to,
                         const struct stream_user_ops *user_ops, void *user);
/* Queues and sends; false: LINK_QUEUE_MAX would be passed, nothing was taken. */
bool link_send(struct stream *s, const void *data, size_t len);
/* Ends it with TIMEOUT unless this is called again within timeout_us; 0: no deadline. connected()
 * begins without one. */
void link_deadline(struct stream *s, uint64_t timeout_us);

/* Who connects to port, on any lcore, becomes a stream for accept: it sets user and user_ops and
 * returns true; false resets the connection. NULL: as link_open(). An lcore that cannot listen (a
 * port in use) is logged. */
typedef bool (*link_accept_fn)(void *arg, struct stream *s);
struct link_listener *links_listen(struct links *l, uint16_t port, link_accept_fn accept,
                                   void *arg);
/* No new streams; accepted ones live on. */
void links_unlisten(struct link_listener *listener);
