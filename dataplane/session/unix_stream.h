/* The lcore's side of a client of the unix socket: a stream like any other, whose bytes the control
 * thread pumps (common/unix_mail.h).
 *
 * Owner: the lcore that the client was given to. Bytes on the way: one buffer each way, so a client
 * that does not read leaves its replies in stream->out, where the output limits count them. A
 * closed stream lives on until what was queued has been handed over, or the control thread ends the
 * client. */
#pragma once
#include "stream.h"
#include "unix_mail.h"
#include "worker.h"

struct unix_stream;

/* struct unix_link's lcore_run: makes the session on open, and feeds it. worker: struct worker. */
void unix_stream_mail(struct unix_link *link, struct unix_mail *mail, void *worker);
/* When the lcore and the control thread have ended and no session is left: frees what was still on
 * its way out. The links are the control thread's to free. */
void unix_streams_free(struct worker *w);
