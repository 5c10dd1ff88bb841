/* The slow log: one for all lcores, newest first; slowlog_note() in watching.h adds to it.
 *
 * Any lcore. A lock is held for the time of linking and unlinking entries only; entries are counted
 * references, so that a reader copies pointers under the lock and replies outside of it. As in
 * Redis an entry keeps at most 32 arguments of at most 128 bytes. */
#pragma once

struct slowlog;

struct slowlog *slowlog_new(void);
void slowlog_free(struct slowlog *log);
