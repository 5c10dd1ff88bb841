/* Small commands about the node. The large ones: info.c, config_cmd.c, introspect.c, slowlog.c,
 * latency_cmd.c, memory_cmd.c, debug.c. */
#include "admin_ask.h"
#include "clock.h"
#include "families.h"
#include "numbers.h"

void cmd_time(struct call *c)
{
    int64_t us = clock_wall_us();
    reply_array(c->reply, 2);
    reply_bulk_i64(c->reply, us / 1000000);
    reply_bulk_i64(c->reply, us % 1000000);
}

/* There is no replication yet: a master without replicas. */
void cmd_role(struct call *c)
{
    reply_array(c->reply, 3);
    reply_bulk_str(c->reply, "master");
    reply_i64(c->reply, 0);
    reply_array(c->reply, 0);
}

/* No snapshots yet: as Redis says it before its first, the time of the start. */
void cmd_lastsave(struct call *c)
{
    reply_i64(c->reply, c->worker->node->start_ms / 1000);
}

enum {
    SHUTDOWN_NOSAVE = 1,
    SHUTDOWN_SAVE = 2,
    SHUTDOWN_NOW = 4,
    SHUTDOWN_FORCE = 8,
    SHUTDOWN_ABORT = 16
};

/* False: syntax error. */
static bool shutdown_parse(const struct call *c, unsigned *flags)
{
    static const char *const words[] = {"nosave", "save", "now", "force", "abort"};
    *flags = 0;
    for (uint32_t i = 1; i < c->argc; i++) {
        unsigned w = 0;
        while (w < count_of(words) && !slice_equal_word(c->argv[i], words[w]))
            w++;
        if (w == count_of(words))
            return false;
        *flags |= 1u << w;
    }
    bool both = (*flags & SHUTDOWN_NOSAVE) && (*flags & SHUTDOWN_SAVE);
    return !both && (!(*flags & SHUTDOWN_ABORT) || *flags == SHUTDOWN_ABORT);
}

void cmd_shutdown(struct call *c)
{
    unsigned flags;
    if (!shutdown_parse(c, &flags)) {
        reply_error(c->reply, REPLY_SYNTAX);
        return;
    }
    if (flags & SHUTDOWN_ABORT) {
        reply_error(c->reply, "ERR No shutdown in progress.");
        return;
    }
    /* Nothing can be saved yet, so SAVE must not pretend; FORCE ends the node all the same, as in
     * Redis. */
    if ((flags & SHUTDOWN_SAVE) && !(flags & SHUTDOWN_FORCE)) {
        reply_error(c->reply, "ERR Errors trying to SHUTDOWN. Check logs.");
        return;
    }
    admin_ask(c, ADMIN_SHUTDOWN, NULL, 0);
}
