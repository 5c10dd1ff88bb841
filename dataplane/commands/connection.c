#include "families.h"

void cmd_ping(struct call *c)
{
    if (c->argc > 2) {
        command_reply_arity(c);
        return;
    }
    if (c->argc == 2)
        reply_bulk(c->reply, c->argv[1]);
    else
        reply_status(c->reply, "PONG");
}

void cmd_echo(struct call *c)
{
    reply_bulk(c->reply, c->argv[1]);
}
