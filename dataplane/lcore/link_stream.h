/* The lcore's side of the control thread's TCP connections (common/link_mail.h): opens or accepts
 * them, and pumps their bytes.
 *
 * Owner: the lcore that the link was given to. Bytes on the way: one buffer each way, and at most
 * LINK_OUT_MAX and one buffer in the stream's send queue, so both a peer and a control thread that
 * do not read hold the sender back. A stream ends with end or by itself, whichever is first; its
 * link is the control thread's to free.
 *
 * What is terminated on the lcore itself needs none of this: it calls tcp_connect() and gets the
 * same struct stream. */
#pragma once
#include "lcore.h"
#include "link_mail.h"

#define LINK_OUT_MAX 65536

struct link_stream;

/* struct link's lcore_run. worker: struct worker, inside a struct lcore. */
void link_stream_mail(struct link *link, struct link_mail *mail, void *worker);
/* The lcore ends: resets every link and withdraws the offers; control is told. */
void link_streams_end(struct lcore *l);
/* Before the lcore's TCP is freed, when the control thread has ended: the same, telling nobody. */
void link_streams_free(struct lcore *l);
